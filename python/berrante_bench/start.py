"""From starting Python to the first training step, memory, and what an installation weighs.

`python -m berrante_bench.start NAME WORKLOAD` is one fresh process: it imports the contender's library, builds, compiles and
runs one batch, then a few more, and prints what that took. The parent takes turns among contenders.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from berrante_bench.contenders import CONTENDERS, prepare
from berrante_bench.report import table
from berrante_bench.turns import Settings, environment, pin

_MORE_STEPS = 5


def _memory() -> float:
    """The largest resident set so far, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def _installed(package: str, seen: set[str]) -> float:
    """MB of a distribution's files and of those that it requires; optional requirements do not count."""
    name = package.lower().replace("_", "-")
    if name in seen:
        return 0.0
    seen.add(name)
    try:
        found = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return 0.0
    total = sum(f.stat().st_size for f in (Path(str(file.locate())) for file in found.files or ()) if f.is_file())
    needed = [re.match(r"[\w.-]+", r) for r in found.requires or () if "extra ==" not in r]
    return total / 1e6 + sum(_installed(match[0], seen) for match in needed if match)


def _size(contender: str) -> float:
    """MB of the contender's packages with all that they need; berrante used from its sources counts its own folder."""
    seen: set[str] = set()
    packages = ["tensorflow-cpu" if p == "tensorflow" else p for p in CONTENDERS[contender].packages if p != "optax"]
    total = sum(_installed(p, seen) for p in packages)
    if contender == "berrante" and total and _installed("berrante", set()) == 0.0:
        import berrante

        folder = Path(berrante.__file__).parent
        total += sum(f.stat().st_size for f in folder.rglob("*") if f.is_file() and "__pycache__" not in f.parts) / 1e6
        total += sum(_installed(p, seen) for p in ("h5py", "rich"))
    return total


def probe(contender: str, workload: str) -> dict[str, float]:
    """What this fresh process sees: seconds of the import, MB after it and at the most."""
    start = time.perf_counter()
    option = CONTENDERS[contender].option
    if CONTENDERS[contender].module == "keras3":
        os.environ["KERAS_BACKEND"] = option
    importlib.import_module(CONTENDERS[contender].packages[0])
    imported, memory = time.perf_counter() - start, _memory()
    steps = prepare(contender, {"kind": "train", "workload": workload})
    steps(1)
    print("first", flush=True)
    steps(_MORE_STEPS)
    return {"import_s": imported, "import_mb": memory, "peak_mb": _memory(), "install_mb": _size(contender)}


def once(contender: str, workload: str, settings: Settings) -> dict[str, float]:
    """One fresh process, with the seconds from its start to the end of its first step."""
    python = sys.executable if contender == "berrante" else settings.peers_python
    start = time.perf_counter()
    process = subprocess.Popen(
        [python, "-m", "berrante_bench.start", contender, workload], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, env=environment(settings.threads), preexec_fn=pin(settings.threads),
    )  # fmt: skip
    assert process.stdout is not None
    first = None
    for line in process.stdout:
        if line.strip() == "first":
            first = time.perf_counter() - start
            break
    out, err = process.communicate()
    if first is None or process.returncode:
        raise RuntimeError((err.strip().splitlines() or ["no first step"])[-1][:200])
    return {"first_step_s": first, **json.loads(out.strip().splitlines()[-1])}


def show(rows: Sequence[dict[str, Any]]) -> None:
    """A table, peers after ours."""
    keys = ("first_step_s", "import_s", "peak_mb", "import_mb", "install_mb")
    lines = [[r["contender"], *(r.get(k) for k in keys), r.get("failed", "")] for r in rows]
    headers = ["", "first step s", "import s", "peak MB", "after import MB", "installed MB", ""]
    print(table(headers, lines))


def measure(workload: str, contenders: Sequence[str], settings: Settings) -> list[dict[str, Any]]:
    """One row a contender: medians over rounds."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in contenders if name != "onnxruntime"}
    failures: dict[str, str] = {}
    for _ in range(settings.rounds):
        for name in found:
            if name not in failures:
                try:
                    found[name].append(once(name, workload, settings))
                except RuntimeError as error:
                    failures[name] = str(error)
    rows: list[dict[str, Any]] = []
    for name, runs in found.items():
        if name in failures:
            rows.append({"contender": name, "workload": workload, "failed": failures[name]})
        else:
            medians = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
            rows.append({"contender": name, "workload": workload, **medians})
    return rows


if __name__ == "__main__":
    print(json.dumps(probe(*sys.argv[1:])))
