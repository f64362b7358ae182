"""Random comparison with Keras: what a case is, how one is drawn, run on both libraries and compared.

A case is a label and a function `run(peer)` that uses one library through a `Peer` (peers.py) and gives named results:
arrays, which must agree within a tolerance, or plain values (shapes, names, configs), which must be equal. Where Keras
raises, we must raise an exception of the same type; where it does not, neither may we. Every case follows from (family,
seed, index) alone, so that one that fails can be run again on its own.

A family is a module with `KINDS`, a dict from a kind's name to a function that draws a case from a NumPy generator. To
add a family, write such a module and name it in `FAMILIES`.
"""

from __future__ import annotations

import importlib
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Draw = Callable[[np.random.Generator], "Case"]

FAMILIES = {
    "layers": "parity.layer_cases",
    "more layers": "parity.more_layer_cases",
    "preprocessing": "parity.preprocessing_cases",
    "ops": "parity.op_cases",
    "parts": "parity.part_cases",
    "losses": "parity.loss_cases",
    "metrics": "parity.metric_cases",
    "optimizers": "parity.optimizer_cases",
    "fit": "parity.fit_cases",
}


@dataclass
class Case:
    """One comparison.

    Args:
        label: says everything that was drawn, for the report.
        run: uses a peer's library and gives named results.
        rtol, atol: |ours - Keras'| <= atol + rtol * max|Keras'| must hold for each array.
        errors: whether an exception on both sides counts as agreement (of the same type).
        backends: where Keras computes this rightly (torch pads average pooling and transposed convolutions its own way).
    """

    label: str
    run: Callable[[Any], Mapping[str, Any]]
    rtol: float = 2e-4
    atol: float = 2e-5
    errors: bool = True
    backends: tuple[str, ...] = ("jax", "torch")


def rng_for(family: str, seed: int, index: int) -> np.random.Generator:
    return np.random.default_rng([zlib.crc32(family.encode()), seed, index])


def kinds_of(family: str, match: str = "") -> dict[str, Draw]:
    """The family's kinds whose names contain `match`."""
    kinds: dict[str, Draw] = importlib.import_module(FAMILIES[family]).KINDS
    return {name: draw for name, draw in kinds.items() if match in name}


def draw(family: str, seed: int, index: int, match: str = "") -> tuple[str, Case]:
    """Case number `index`: the kinds take turns."""
    kinds = kinds_of(family, match)
    name = list(kinds)[index % len(kinds)]
    return name, kinds[name](rng_for(family, seed, index))


def outcome(case: Case, peer: Any) -> Mapping[str, Any] | Exception:
    try:
        return case.run(peer)
    except Exception as error:  # an exception is a result to compare
        return error


def differences(case: Case, ours: Any, theirs: Any) -> list[str]:
    """What does not agree, in words; empty where all does."""
    if isinstance(theirs, Exception) or isinstance(ours, Exception):
        both = isinstance(theirs, Exception) and isinstance(ours, Exception)
        if both and case.errors and (isinstance(ours, type(theirs)) or isinstance(theirs, type(ours))):
            return []
        return [f"ours: {_short(ours)}", f"Keras: {_short(theirs)}"]
    result = []
    if list(ours) != list(theirs):
        result.append(f"results differ: ours {list(ours)}, Keras {list(theirs)}")
    for name in theirs:
        if name in ours:
            problem = _difference(ours[name], theirs[name], case.rtol, case.atol)
            if problem:
                result.append(f"{name}: {problem}")
    return result


def _short(result: Any) -> str:
    if isinstance(result, Exception):
        text = " ".join(str(result).split())
        return f"{type(result).__name__}: {text[:300]}"
    return "gave " + ", ".join(f"{k} {getattr(v, 'shape', v)}" for k, v in result.items())[:300]


def _difference(a: Any, b: Any, rtol: float, atol: float) -> str:
    if not (isinstance(a, np.ndarray) and isinstance(b, np.ndarray)):
        return "" if a == b else f"ours {a!r}, Keras {b!r}"
    if a.shape != b.shape:
        return f"ours has shape {a.shape}, Keras {b.shape}"
    if a.size == 0:
        return ""
    x, y = a.astype(np.float64), b.astype(np.float64)
    odd = ~np.isfinite(y)
    if not np.array_equal(x[odd], y[odd], equal_nan=True) or not np.isfinite(x[~odd]).all():
        return f"NaN or infinity at other places: ours {x.ravel()[:8]}, Keras {y.ravel()[:8]}"
    x, y = x[~odd], y[~odd]
    worst = float(np.abs(x - y).max(initial=0.0))
    allowed = atol + rtol * float(np.abs(y).max(initial=0.0))
    if worst <= allowed:
        return ""
    at = int(np.abs(x - y).argmax())
    return f"differs by {worst:.3g} (allowed {allowed:.3g}): ours {x[at]:.6g}, Keras {y[at]:.6g} of shape {b.shape}"


@dataclass
class Report:
    """How a run went."""

    cases: int = 0
    raised: int = 0
    failures: list[str] | None = None
    seconds: float = 0.0


def compare(
    families: list[str], count: int, seed: int, ours: Any, theirs: Any, match: str = "", only: int | None = None
) -> Iterator[tuple[str, int, str, Case, list[str], bool]]:
    """Yields (family, index, kind, case, differences, whether Keras raised) for `count` cases of each family."""
    for family in families:
        for index in range(count) if only is None else [only]:
            kind, case = draw(family, seed, index, match)
            if theirs.backend not in case.backends:
                continue
            theirs_got = outcome(case, theirs)
            ours_got = outcome(case, ours)
            problems = differences(case, ours_got, theirs_got)
            yield family, index, kind, case, problems, isinstance(theirs_got, Exception)


def run(
    families: list[str], count: int, seed: int, ours: Any, theirs: Any, match: str = "", only: int | None = None,
    say: Callable[[str], None] = print,
) -> Report:  # fmt: skip
    """Compares, says what fails as it happens, and sums up."""
    report = Report(failures=[])
    began = time.perf_counter()
    assert report.failures is not None
    for family, index, kind, case, problems, raised in compare(families, count, seed, ours, theirs, match, only):
        report.cases += 1
        report.raised += raised
        if problems:
            text = f"{family} seed {seed} index {index} [{kind}] {case.label}\n    " + "\n    ".join(problems)
            report.failures.append(text)
            say(text)
    report.seconds = time.perf_counter() - began
    return report
