"""Training steps of generative models: a DCGAN, a WGAN-GP and a VAE, against those peers that have them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from berrante_bench.report import table
from berrante_bench.turns import Settings, take_turns, workers
from berrante_bench.workloads_generative import BATCH, GENERATIVE

PEERS = ("torch", "torch_channels_last", "keras_torch")


def measure(contenders: Sequence[str], settings: Settings) -> list[dict[str, Any]]:
    """One row a model."""
    rows = []
    with workers([c for c in contenders if c == "berrante" or c in PEERS], settings) as running:
        for name in GENERATIVE:
            task = {"kind": "generative", "workload": name, "batch": BATCH}
            times = take_turns(running, task, settings)
            row: dict[str, Any] = {**task, "times": times.as_json()}
            if "berrante" in times.seconds and (peer := times.best_peer()) is not None:
                row |= {"best_peer": peer, "ratio": times.ratio(peer)}
            rows.append(row)
            print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return rows


def show(rows: Sequence[dict[str, Any]]) -> None:
    """Milliseconds of everyone, the best peer, the ratio."""
    names = list(dict.fromkeys(name for row in rows for name in row["times"]))
    lines = [
        [f"{row['workload']} ({row['batch']})", *(row["times"].get(name, {}).get("ms") for name in names),
         row.get("best_peer"), row.get("ratio")]
        for row in rows
    ]  # fmt: skip
    print(table(["ms", *names, "best peer", "ratio"], lines))
    for name, reason in sorted({(n, t["failed"]) for row in rows for n, t in row["times"].items() if "failed" in t}):
        print(f"{name}: {reason}")
