"""Times training steps of berrante and of PyTorch side by side: python bench/train.py [workloads] [--threads N]

Each contender runs in a process of its own with the same number of threads. They take turns, several rounds; the table
shows medians of milliseconds per step, the ratio of the medians, and the arithmetic floor given --peak GFLOP/s a core.
Writes bench/results/<name>.json with machine and versions.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
CONTENDERS = ("berrante", "torch", "torch_channels_last", "torch_compile")


def worker(contender: str, workload: str) -> None:
    """Reads numbers of steps from standard input and answers with seconds per step."""
    import workloads as w

    chosen = w.WORKLOADS[workload]
    if contender == "berrante":
        run = w.berrante_steps(chosen)
    else:
        run = w.torch_steps(chosen, contender == "torch_channels_last", contender == "torch_compile")
    run(3)
    print("ready", flush=True)
    for line in sys.stdin:
        steps = int(line)
        start = time.perf_counter()
        run(steps)
        print((time.perf_counter() - start) / steps, flush=True)


class Contender:
    def __init__(self, name: str, workload: str, threads: int) -> None:
        env = dict(os.environ, BERRANTE_NUM_THREADS=str(threads), OMP_NUM_THREADS=str(threads))
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--worker", name, workload],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env, cwd=HERE,
        )  # fmt: skip
        self.ok = self._read() == "ready"
        self.times: list[float] = []

    def _read(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def time(self, steps: int) -> float:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        return float(self._read())

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


def versions() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": platform.python_version()}
    for package in ("berrante", "torch", "numpy"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workloads", nargs="*")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--peak", type=float, default=0.0, help="fp32 GFLOP/s of one core, for the floor")
    parser.add_argument("--contenders", nargs="*", default=["berrante", "torch", "torch_channels_last"])
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        worker(*args.worker)
        return
    sys.path.insert(0, str(HERE))
    from workloads import WORKLOADS

    results = {}
    for name in args.workloads or WORKLOADS:
        contenders = {c: Contender(c, name, args.threads) for c in args.contenders}
        running = {c: p for c, p in contenders.items() if p.ok}
        steps = {c: max(1, int(0.3 / p.time(2))) for c, p in running.items()}
        for _ in range(args.rounds):
            for c, p in running.items():
                p.times.append(p.time(steps[c]))
        medians = {c: statistics.median(p.times) * 1e3 for c, p in running.items()}
        for p in contenders.values():
            p.close()
        results[name] = medians
        line = "  ".join(f"{c} {ms:.3f} ms" for c, ms in medians.items())
        peers = [ms for c, ms in medians.items() if c != "berrante"]
        if peers and "berrante" in medians:
            line += f"  best peer / berrante {min(peers) / medians['berrante']:.2f}"
        if args.peak and "berrante" in medians:
            floor = WORKLOADS[name].flops / (args.peak * args.threads * 1e9) * 1e3
            line += f"  floor {floor:.2f} ms ({floor / medians['berrante']:.0%})"
        print(f"{name:18s} {line}", flush=True)
    machine = {"cpu": platform.processor() or platform.machine(), "cores": os.cpu_count(), "threads": args.threads}
    target = HERE / "results" / f"train_{args.threads}_threads.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps({"machine": machine, "versions": versions(), "ms_per_step": results}, indent=1) + "\n")
    print(f"written to {target}")


if __name__ == "__main__":
    main()
