"""The workloads against all peers: training steps, predictions, and epochs of fit over images in memory."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from berrante_bench.contenders import CONTENDERS
from berrante_bench.report import Peak, table
from berrante_bench.turns import Settings, Times, take_turns, workers
from berrante_bench.workloads import WORKLOADS

PEERS = tuple(name for name in CONTENDERS if name != "berrante")
# Where a whole epoch is timed: networks whose input costs something beside them.
FITTED = ("mlp", "lenet5", "emotion", "dense_autoencoder", "conv_autoencoder")


def tasks(kind: str, names: Sequence[str], samples: int) -> list[dict[str, Any]]:
    """What is timed: predictions with a batch of 1 and the workload's own."""
    if kind == "predict":
        return [
            {"kind": kind, "workload": name, "batch": batch}
            for name in names
            for batch in sorted({1, WORKLOADS[name].batch})
        ]
    if kind == "fit":
        return [{"kind": kind, "workload": name, "samples": samples} for name in names if name in FITTED]
    return [{"kind": kind, "workload": name, "batch": WORKLOADS[name].batch} for name in names]


def flops(task: dict[str, Any]) -> float:
    """Of one step (a training step, a prediction, an epoch), by the definition of the layers."""
    w = WORKLOADS[task["workload"]]
    if task["kind"] == "predict":
        return task["batch"] * w.forward_flops()
    return w.train_flops() / w.batch * task.get("samples", w.batch)


def measure(
    kind: str, names: Sequence[str], contenders: Sequence[str], settings: Settings, peak: Peak, samples: int = 4096
) -> list[dict[str, Any]]:
    """One row a task."""
    rows = []
    with workers([c for c in contenders if kind == "predict" or c != "onnxruntime"], settings) as running:
        for task in tasks(kind, names, samples):
            rows.append(_row(task, take_turns(running, task, settings), flops(task) / (peak.gflops * 1e9)))
            print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return rows


def _row(task: dict[str, Any], times: Times, floor: float) -> dict[str, Any]:
    row = {**task, "times": times.as_json(), "floor_ms": floor * 1e3}
    peer = times.best_peer()
    if "berrante" in times.seconds:
        row |= {"of_floor": floor / times.median("berrante")}
        if peer is not None:
            row |= {"best_peer": peer, "ratio": times.ratio(peer)}
    return row


def show(rows: Sequence[dict[str, Any]]) -> None:
    """Milliseconds of everyone, who of the peers is best, the ratio, and how near ours is to the floor."""
    names = list(dict.fromkeys(name for row in rows for name in row["times"]))
    lines = [
        [
            f"{row['workload']} ({row.get('samples', row.get('batch'))})",
            *(row["times"].get(name, {}).get("ms") for name in names),
            row.get("best_peer"), row.get("ratio"), row.get("floor_ms"), _percent(row.get("of_floor")),
        ]
        for row in rows
    ]  # fmt: skip
    print(table(["ms", *names, "best peer", "ratio", "floor", "of it"], lines))
    failures = {(name, t["failed"]) for row in rows for name, t in row["times"].items() if "failed" in t}
    for name, reason in sorted(failures):
        print(f"{name}: {reason}")


def _percent(x: float | None) -> str | None:
    return None if x is None else f"{x:.0%}"
