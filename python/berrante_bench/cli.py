"""The command line of the benchmarks: `berrante bench WHAT`, or `python bench WHAT` in the repository."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from berrante_bench import generative, grid, networks, ops, profile, report, scaling, start
from berrante_bench.contenders import CONTENDERS
from berrante_bench.turns import Settings
from berrante_bench.workloads import WORKLOADS


class Section(NamedTuple):
    """What is measured, and which share of --rounds and --seconds it takes: single operations are steadier than networks."""

    what: str
    rounds: float
    seconds: float


_SECTIONS = {
    "train": Section("training steps of the workloads, against all peers", 1, 1),
    "predict": Section("predictions, with a batch of 1 and the workload's own", 0.7, 0.6),
    "grid": Section("random shapes of convolutions and dense layers against PyTorch", 0.4, 0.2),
    "profile": Section("where a training step's time and memory go, and how many cores could share it", 1, 1),
    "ops": Section("every family of operations against PyTorch and the machine's limits", 0.7, 0.2),
    "scaling": Section("cost over the batch, by threads and by instruction set", 0.7, 0.6),
    "start": Section("from starting Python to the first step, memory, size of the installation", 0.3, 1),
    "fit": Section("epochs of fit over uint8 images in memory", 0.4, 1),
    "generative": Section("training steps of a DCGAN, a WGAN-GP and a VAE", 0.5, 1),
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="berrante bench", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Times berrante beside PyTorch, torch.compile, JAX, Keras 3 and onnxruntime, where they are installed.",
        epilog="\n".join(f"  {name:10s} {section.what}" for name, section in _SECTIONS.items())
        + "\n  all        one after the other\n  plots      pictures of the results",
    )  # fmt: skip
    parser.add_argument("what", nargs="+", choices=(*_SECTIONS, "all", "plots"), metavar="WHAT", help="see below")
    parser.add_argument("--workloads", nargs="+", choices=tuple(WORKLOADS), default=list(WORKLOADS), metavar="NAME",
                        help=", ".join(WORKLOADS))  # fmt: skip
    parser.add_argument("--contenders", nargs="+", choices=tuple(CONTENDERS), default=list(CONTENDERS), metavar="NAME",
                        help=", ".join(CONTENDERS))  # fmt: skip
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity")
                        else os.cpu_count(), help="of each contender (default: all cores)")  # fmt: skip
    parser.add_argument("--rounds", type=int, default=7, help="turns of each contender (default 7)")
    parser.add_argument("--seconds", type=float, default=0.15, help="a turn's length (default 0.15)")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall",
                        help="cpu: the processes' own time, steadier on a busy machine with one thread")  # fmt: skip
    parser.add_argument("--peers-python", default=os.environ.get("BERRANTE_PEERS_PYTHON", sys.executable),
                        help="a Python that has the peers (default: this one, or BERRANTE_PEERS_PYTHON)")  # fmt: skip
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no section after so many minutes")
    parser.add_argument("--count", type=int, default=200, help="grid: shapes (default 200)")
    parser.add_argument("--seed", type=int, default=0, help="grid: of the draw (default 0)")
    parser.add_argument("--samples", type=int, default=2048, help="fit: samples of the data set (default 2048)")
    folder = Path("bench/results") if Path("bench/results").is_dir() else Path("berrante-bench")
    parser.add_argument("--out", type=Path, default=folder, help=f"folder for results (default here: {folder})")
    parser.add_argument(
        "--pictures", type=Path, default=None, help="plots: their folder (default: that of the results)"
    )
    return parser


def _measure(name: str, args: argparse.Namespace, settings: Settings, peak: report.Peak) -> list[dict[str, Any]]:
    """Measures one section and shows it; gives its rows."""
    if name == "grid":
        rows = grid.measure(args.count, args.seed, settings)
        grid.show(rows)
    elif name == "generative":
        rows = generative.measure(args.contenders, settings)
        generative.show(rows)
    elif name == "start":
        rows = start.measure("lenet5", args.contenders, settings)
        start.show(rows)
    elif name == "ops":
        rows = ops.measure(ops.cases(), settings, peak)
        ops.show(rows)
    elif name == "profile":
        rows = profile.measure(args.workloads, 2 * settings.rounds)
        profile.show(rows)
    elif name == "scaling":
        rows = scaling.measure(settings, args.workloads)
        scaling.show(rows)
    else:
        rows = networks.measure(name, args.workloads, args.contenders, settings, peak, args.samples)
        networks.show(rows)
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the sections asked for; gives the exit status."""
    args = _parser().parse_args(arguments)
    settings = Settings(args.threads, args.rounds, args.seconds, args.clock, args.peers_python)
    names = list(_SECTIONS) if "all" in args.what else [name for name in args.what if name != "plots"]
    begin = time.monotonic()
    if names:
        peak = report.measure_peak(args.threads)
        print(f"{report.machine(args.threads)}\n{args.threads} threads at most: {peak.gflops:.0f} GFLOP/s in float32, "
              f"{peak.gb_per_s:.0f} GB/s")  # fmt: skip
    for name in names:
        minutes = (time.monotonic() - begin) / 60
        if minutes >= args.minutes:
            print(f"\n{name}: not run, {minutes:.0f} minutes are over")
            continue
        section = _SECTIONS[name]
        print(f"\n{name}: {section.what} (after {minutes:.1f} minutes)", flush=True)
        rounds, seconds = max(1, round(args.rounds * section.rounds)), args.seconds * section.seconds
        own = replace(settings, rounds=rounds, seconds=seconds)
        rows = _measure(name, args, own, peak)
        print(f"written to {report.write(args.out, name, own, peak, rows)}")
    if "plots" in args.what or "all" in args.what:
        from berrante_bench import plots

        for path in plots.draw(args.out, args.pictures or args.out):
            print(f"drawn: {path}")
    return 0
