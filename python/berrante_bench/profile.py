"""Where a training step's time and memory go, kernel by kernel, and how many cores could share it. Ours alone.

Seconds come from one thread, every kernel's fastest of several runs. For more threads they are divided as the kernels
divide their tasks, with a barrier after each stage whose cost grows with the threads: a model, to be read beside measured
times (`scaling`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

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


class Work(NamedTuple):
    """A step: seconds on one thread, rough nanoseconds, and the tasks of each stage; of a loop, its slabs and its body."""

    seconds: float
    cost: float
    tasks: Sequence[int]
    slabs: int = 0
    body: Sequence[tuple[float, Sequence[int]]] = ()


def _works(program: Any, seconds: Sequence[float]) -> list[Work]:
    """The program's steps, with their seconds."""
    from berrante.graph.passes.emit import Emitter
    from berrante.graph.passes.memory import assign_arena
    from berrante.runtime.kernels import divide_kernel

    emitter = Emitter(assign_arena(program.plan)[0])
    works = []
    for step, time in zip(program.plan.steps, seconds, strict=True):
        if step.kernel == "loop":
            slabs, _, instructions = emitter.instruction(step)
            body = [divide_kernel(*instruction) for instruction in instructions]
            works.append(Work(time, slabs * sum(cost for cost, _ in body), [slabs], slabs, body))
        else:
            works.append(Work(time, *divide_kernel(*emitter.instruction(step))))
    return works


def _shared(work: Work, threads: int) -> float:
    """Seconds of a step that all threads share, with its barriers."""
    if not work.slabs:
        most = max(work.tasks)
        return work.seconds * -(-most // threads) / most + len(work.tasks) * threads * _ARRIVAL
    # As many whole slabs as the others for each thread; what is left over is shared stage by stage.
    each, left = divmod(work.slabs, threads)
    total = work.seconds * each / work.slabs + threads * _ARRIVAL
    for cost, tasks in work.body if left else ():
        most = left * max(tasks)
        share = work.seconds * cost / (work.cost / work.slabs) * left / work.slabs
        total += share * -(-most // threads) / most + len(tasks) * threads * _ARRIVAL
    return total


def predict(works: Sequence[Work], threads: int) -> float:
    """Seconds of a step's works on so many threads."""
    shared = [w for w in works if w.cost >= _PARALLEL_STAGE and max(w.tasks) > 1]
    if threads == 1 or sum(w.cost for w in shared) < _PARALLEL_PROGRAM:
        return sum(w.seconds for w in works)
    alone = sum(w.seconds for w in works) - sum(w.seconds for w in shared)
    return alone + sum(_shared(w, threads) for w in shared) + threads * _ARRIVAL


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
        works = _works(program, [s for _, s in times])
        for threads in CORES:
            rows.append({"kind": "cores", "workload": name, "threads": threads, "ms": predict(works, threads) * 1e3})
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
