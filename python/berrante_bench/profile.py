"""Where a training step's time and memory go, kernel by kernel, and how many cores could share it. Ours alone.

Seconds come from one thread, every kernel's fastest of several runs. For more threads they are divided as the kernels
divide their tasks, with a barrier after each stage whose cost grows with the threads: a model, to be read beside measured
times (`scaling`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from berrante_bench.contenders.keras_style import build
from berrante_bench.report import table
from berrante_bench.workloads import WORKLOADS, data

CORES = (1, 2, 4, 8, 16, 32, 64)
# One worker's arrival at a barrier: an atomic addition to a line that the others hold. And the costs, in nanoseconds, below
# which the executor leaves a stage, or a whole program, to one thread (csrc/program/program.cpp).
_ARRIVAL = 50e-9
_PARALLEL_STAGE, _PARALLEL_PROGRAM = 4000, 30000


def training_program(name: str) -> Any:
    """The compiled training step of a workload."""
    import berrante

    w = WORKLOADS[name]
    model = build(berrante, w)
    x, y = data(w)
    model.fit(x, y, batch_size=w.batch, verbose=0)
    return next(program for key, program in model._programs.items() if key[0] == "train")


def _divided(program: Any) -> list[tuple[float, list[int]]]:
    """Of each step: rough nanoseconds, and the tasks of its stages."""
    from berrante.graph.passes.emit import Emitter
    from berrante.graph.passes.memory import assign_arena
    from berrante.runtime.kernels import divide_kernel

    emitter = Emitter(assign_arena(program.plan)[0])
    return [divide_kernel(*emitter.instruction(step)) for step in program.plan.steps]


def predict(steps: Sequence[tuple[float, float, list[int]]], threads: int) -> float:
    """Seconds on so many threads of steps that are (seconds on one, rough nanoseconds, tasks by stage)."""
    shared = [(s, t) for s, cost, t in steps if cost >= _PARALLEL_STAGE and max(t) > 1]
    alone = sum(s for s, _, _ in steps) - sum(s for s, _ in shared)
    if threads == 1 or sum(cost for _, cost, t in steps if cost >= _PARALLEL_STAGE and max(t) > 1) < _PARALLEL_PROGRAM:
        return sum(s for s, _, _ in steps)
    barriers = sum(len(t) for _, t in shared) + 1
    divided = sum(s * -(-max(t) // threads) / max(t) for s, t in shared)
    return alone + divided + barriers * threads * _ARRIVAL


def measure(names: Sequence[str], repeats: int = 5) -> list[dict[str, Any]]:
    """Rows of three kinds: "kernel" (milliseconds and calls), "memory" (a buffer's place and life), "cores" (the model)."""
    from berrante.graph.passes.memory import assign_arena, bytes_of, lifetimes

    rows: list[dict[str, Any]] = []
    for name in names:
        program = training_program(name)
        times = program.profile(repeats)
        for kernel in dict.fromkeys(k for k, _ in times):
            seconds = [s for k, s in times if k == kernel]
            rows.append(
                {"kind": "kernel", "workload": name, "kernel": kernel, "calls": len(seconds), "ms": sum(seconds) * 1e3}
            )
        places, _ = assign_arena(program.plan)
        for buffer, (first, last) in lifetimes(program.plan).items():
            rows.append({"kind": "memory", "workload": name, "first": first, "last": last, "offset": places[buffer],
                         "bytes": bytes_of(buffer)})  # fmt: skip
        steps = [(s, cost, tasks) for (_, s), (cost, tasks) in zip(times, _divided(program), strict=True)]
        for threads in CORES:
            rows.append({"kind": "cores", "workload": name, "threads": threads, "ms": predict(steps, threads) * 1e3})
    return rows


def show(rows: Sequence[dict[str, Any]]) -> None:
    """Kernels by share of each step, and the model's milliseconds by threads."""
    for name in dict.fromkeys(r["workload"] for r in rows):
        kernels = sorted((r for r in rows if r["kind"] == "kernel" and r["workload"] == name), key=lambda r: -r["ms"])
        total = sum(r["ms"] for r in kernels)
        shares = ", ".join(
            f"{r['kernel']} {r['ms'] / total:.0%} ({r['calls']})" for r in kernels if r["ms"] > total / 50
        )
        memory = max(r["offset"] + r["bytes"] for r in rows if r["kind"] == "memory" and r["workload"] == name)
        print(f"{name}: {total:.3g} ms on one thread, {memory / 1e6:.3g} MB of working memory: {shares}")
    lines = []
    for name in dict.fromkeys(r["workload"] for r in rows):
        times = [r["ms"] for r in rows if r["kind"] == "cores" and r["workload"] == name]
        lines.append([name, *times, times[0] / min(times)])
    print("\n" + table(["modelled ms by threads", *CORES, "speed-up at most"], lines))
