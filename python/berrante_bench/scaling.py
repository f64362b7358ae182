"""How cost grows: per sample over the batch, with one thread and more, and by instruction set. Ours alone."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

from berrante_bench.report import table
from berrante_bench.turns import Settings, Worker, take_turns
from berrante_bench.workloads import WORKLOADS

BATCHES = (16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
# What is small enough for a batch of 4096.
BY_BATCH = ("mlp", "lenet5", "dense_autoencoder", "conv_autoencoder")


@contextmanager
def _running(workers: Mapping[str, Worker]) -> Iterator[Mapping[str, Worker]]:
    with ExitStack() as stack:
        for worker in workers.values():
            stack.callback(worker.close)
        yield workers


def _compare(
    kind: str, workers: Mapping[str, Worker], tasks: Sequence[dict[str, Any]], settings: Settings
) -> list[dict[str, Any]]:
    """One row a task and worker, whose names are what differs between them."""
    rows = []
    with _running(workers):
        for task in tasks:
            times = take_turns(workers, task, settings)
            for name in times.seconds:
                seconds = times.median(name)
                rows.append({"kind": kind, "workload": task["workload"], "batch": task["batch"], "as": name,
                             "ms": seconds * 1e3, "us_per_sample": seconds * 1e6 / task["batch"]})  # fmt: skip
            print(".", end="", file=sys.stderr, flush=True)
    return rows


def measure(
    settings: Settings, names: Sequence[str] = tuple(WORKLOADS), batches: Sequence[int] = BATCHES
) -> list[dict[str, Any]]:
    """Rows of three kinds: "batch", "threads" (1, 2, 4 ... up to the settings' number) and "isa" (on one thread)."""
    from berrante.runtime import kernels

    def task(name: str, batch: int) -> dict[str, Any]:
        return {"kind": "train", "workload": name, "batch": batch}

    own = [task(name, WORKLOADS[name].batch) for name in names]
    rows = _compare(
        "batch", {str(settings.threads): Worker("berrante", settings)},
        [task(name, batch) for name in names if name in BY_BATCH for batch in batches], settings,
    )  # fmt: skip
    threads = sorted({*(1 << k for k in range(10) if 1 << k < settings.threads), settings.threads})
    rows += _compare(
        "threads", {str(n): Worker("berrante", replace(settings, threads=n)) for n in threads}, own, settings
    )
    single = replace(settings, threads=1)
    sets = [isa for isa in kernels.isas() if isa != "wide"]
    by_isa = {isa: Worker("berrante", single, {"BERRANTE_ISA": isa}) for isa in sets}
    rows += _compare("isa", by_isa, [t for t in own if t["workload"] not in ("vgg_like", "segmenter")], single)
    print(file=sys.stderr)
    return rows


def show(rows: Sequence[dict[str, Any]]) -> None:
    """A table for each kind."""
    for kind, unit in (("batch", "us_per_sample"), ("threads", "ms"), ("isa", "ms")):
        chosen = [r for r in rows if r["kind"] == kind]
        column = "batch" if kind == "batch" else "as"
        columns = list(dict.fromkeys(r[column] for r in chosen))
        lines = []
        for name in dict.fromkeys(r["workload"] for r in chosen):
            found = {r[column]: r[unit] for r in chosen if r["workload"] == name}
            extra = (
                max(found.values()) / min(found.values()) if kind == "batch" else found[columns[0]] / found[columns[-1]]
            )
            lines.append([name, *(found.get(c) for c in columns), extra])
        last = "dearest / cheapest" if kind == "batch" else "first / last"
        print(table([f"{unit} by {kind}", *columns, last], lines) + "\n")
