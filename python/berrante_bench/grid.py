"""A grid of randomly drawn shapes of convolutions and dense layers against PyTorch, which finds where we are slow.

Every shape runs forward and with its gradients; PyTorch runs in both memory formats, and the better one counts.
"""

from __future__ import annotations

import random
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from berrante_bench.op_cases import OpCase
from berrante_bench.report import table
from berrante_bench.turns import Settings, Times, take_turns, workers

_BATCHES = (1, 3, 16, 17, 32, 64, 127)
_CHANNELS = (1, 3, 5, 6, 10, 16, 32, 33, 64, 100, 128, 256)
_SIDES = (7, 8, 13, 14, 19, 28, 32, 48, 56, 65, 96, 112, 224)
_UNITS = (1, 3, 10, 17, 33, 64, 100, 127, 256, 512, 784, 1000, 1024, 2048)
_MOST_FLOPS, _MOST_ELEMENTS = 2e9, 8e6


def _convolution(rng: random.Random) -> OpCase:
    n, c, k = rng.choice(_BATCHES), rng.choice(_CHANNELS), rng.choice(_CHANNELS)
    h = rng.choice(_SIDES)
    w = rng.choice(_SIDES) if rng.random() < 0.2 else h
    kh = rng.choice((1, 2, 3, 3, 3, 4, 5, 5, 7, 9, 11))
    kw = rng.choice((1, 3, 5, 7)) if rng.random() < 0.1 else kh
    kind = rng.random()
    groups = c if kind < 0.15 else next((g for g in (2, 3, 5) if c % g == 0), 1) if kind < 0.25 else 1
    k = c * rng.choice((1, 1, 2)) if groups == c else -(-k // groups) * groups
    stride = rng.choice((1, 1, 1, 2, 2, 3))
    padding = rng.choice(("same", "valid")) if stride == 1 else "valid"  # where all agree on what "same" means
    dilation = 2 if stride == 1 and kh > 1 and rng.random() < 0.1 else 1
    attrs = {"stride": stride, "dilation": dilation, "padding": padding, "groups": groups}
    return OpCase("conv2d", ((n, h, w, c), (kh, kw, c // groups, k), (k,)), attrs)


def _dense(rng: random.Random) -> OpCase:
    m, k, n = rng.choice((*_BATCHES, 256, 1000)), rng.choice(_UNITS), rng.choice(_UNITS)
    return OpCase("dense", ((m, k), (k, n), (n,)))


def draw(count: int, seed: int) -> Iterator[OpCase]:
    """So many different shapes, none of them huge; the same for the same seed."""
    rng = random.Random(seed)
    seen: set[str] = set()
    while len(seen) < count:
        case = (_dense if rng.random() < 0.15 else _convolution)(rng)
        out = case.output()
        sizes = [*case.shapes, out]
        if min(out) < 1 or case.flops() > _MOST_FLOPS or max(_size(s) for s in sizes) > _MOST_ELEMENTS:
            continue
        if case.label() not in seen:
            seen.add(case.label())
            yield case


def _size(shape: Sequence[int]) -> int:
    size = 1
    for n in shape:
        size *= n
    return size


def measure(count: int, seed: int, settings: Settings) -> list[dict[str, Any]]:
    """One row a shape and mode, the worst ratio first."""
    cases = [replace(case, mode=mode) for case in draw(count, seed) for mode in ("forward", "both")]
    with workers(("berrante", "torch", "torch_channels_last"), settings) as running:
        rows = []
        for k, case in enumerate(cases):
            print(f"\r{k + 1}/{len(cases)}", end="", file=sys.stderr, flush=True)
            rows.append(_row(case, take_turns(running, case.task(), settings)))
    print(file=sys.stderr)
    return sorted(rows, key=lambda row: row.get("ratio", 0.0))


def _row(case: OpCase, times: Times) -> dict[str, Any]:
    row = {"shape": case.label(), "mode": case.mode, **times.as_json()}
    peer = times.best_peer()
    if peer is not None and "berrante" in times.seconds:
        speed = case.flops() / times.median("berrante") / 1e9
        row |= {"peer": peer, "ratio": times.ratio(peer), "gflops": speed}
    return row


def show(rows: list[dict[str, Any]], worst: int = 20) -> None:
    """The worst ratios, and the distribution by mode."""
    lines = [
        [r["shape"], r["mode"], r["berrante"].get("ms"), r[r["peer"]]["ms"], r["peer"], r["gflops"], r["ratio"]]
        if "ratio" in r
        else [r["shape"], r["mode"], *(f"{name}: {v['failed']}" for name, v in r.items() if "failed" in v)]
        for r in rows[:worst]
    ]
    print(table(["shape", "mode", "berrante ms", "PyTorch ms", "PyTorch's format", "GFLOP/s", "ratio"], lines))
    for mode in ("forward", "both"):
        ratios = [r["ratio"] for r in rows if r["mode"] == mode and "ratio" in r]
        if ratios:
            below = sum(x < 1 for x in ratios)
            print(f"{mode}: {len(ratios)} shapes, worst {min(ratios):.2f}, median {statistics.median(ratios):.2f}, "
                  f"below 1.0: {below}")  # fmt: skip
