"""Training steps on a GPU: berrante against PyTorch (eager, channels_last, one CUDA graph, torch.compile) and JAX.

    python bench/gpu.py [network ...] [--quick] [--precision tf32 bf16 fp32] [--contenders ...]

Each contender runs in a process of its own, one after the other in several rounds, as much as --seconds allows; what is
not installed, or has no device, is left out and named. The table has medians of milliseconds a step and the ratio to the
best peer; with the per-operation tables of bench/gpu_ops.py it goes to bench/results/gpu_<card>.json.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
CONTENDERS = ("berrante", "torch_eager", "torch_channels_last", "torch_graph", "torch_compile", "jax")


def make(contender: str, name: str, precision: str, device: str) -> Any:
    from gpu_networks import NETWORKS

    network = NETWORKS[name]
    if contender == "berrante":
        import gpu_ours

        import berrante

        berrante.set_device(device)
        return gpu_ours.steps(network, precision)
    if contender == "jax":
        import gpu_jax
        import jax

        if device != "cpu" and jax.default_backend() != "gpu":
            raise RuntimeError("JAX has no GPU here")
        return gpu_jax.steps(network, precision)
    import gpu_torch

    return gpu_torch.steps(network, precision, contender.removeprefix("torch_"), device)


def worker(contender: str, name: str, precision: str, device: str) -> None:
    """Answers numbers of steps from standard input with seconds per step."""
    run = make(contender, name, precision, device)
    run(3)
    print("ready", flush=True)
    for line in sys.stdin:
        n = int(line)
        start = time.perf_counter()
        run(n)
        print((time.perf_counter() - start) / n, flush=True)


class Contender:
    def __init__(self, *what: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--worker", *what], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, cwd=HERE,
        )  # fmt: skip
        self.times: list[float] = []
        self.problem = "" if self._read() == "ready" else self._last_words()

    def _read(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def _last_words(self) -> str:
        assert self.process.stderr is not None
        lines = [line for line in self.process.stderr.read().strip().splitlines() if line.strip()]
        return lines[-1][:160] if lines else "no answer"

    def time(self, n: int) -> float:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{n}\n")
        self.process.stdin.flush()
        answer = self._read()
        if not answer:
            self.problem = self._last_words()
            return float("nan")
        return float(answer)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


def race(name: str, precision: str, contenders: list[str], device: str, seconds: float) -> dict[str, Any]:
    """Milliseconds per step, or why there are none."""
    result: dict[str, Any] = {}
    for contender in contenders:  # one at a time on the card
        c = Contender(contender, name, precision, device)
        if not c.problem:
            guess = c.time(3)
            n = max(1, min(2000, int(seconds / 5 / max(guess, 1e-6)))) if not c.problem else 0
            while n and len(c.times) < 5 and not c.problem:
                c.times.append(c.time(n))
        c.close()
        result[contender] = c.problem or statistics.median(c.times) * 1e3
    return result


def card() -> dict[str, str]:
    query = ["nvidia-smi", "--query-gpu=name,driver_version,clocks.max.sm", "--format=csv,noheader"]
    try:
        name, driver, clock = (
            subprocess.run(query, capture_output=True, text=True, check=True).stdout.splitlines()[0].split(", ")
        )
    except (OSError, subprocess.CalledProcessError, IndexError, ValueError):
        return {"name": "none"}
    return {"name": name, "driver": driver, "max clock": clock}


def versions() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for package in ("berrante", "cupy-cuda12x", "cupy-cuda13x", "torch", "jax", "numpy"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def main() -> None:
    from gpu_networks import NETWORKS, SMALL

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", help=f"of {', '.join(NETWORKS)}")
    parser.add_argument("--quick", action="store_true", help="a minute or two: small networks and two large ones, TF32")
    parser.add_argument("--precision", nargs="*", default=None, choices=("tf32", "bf16", "fp32"))
    parser.add_argument("--contenders", nargs="*", default=list(CONTENDERS), choices=CONTENDERS)
    parser.add_argument("--seconds", type=float, default=None, help="of timing for each contender and network")
    parser.add_argument("--device", default="cuda", help="cuda; cpu or emulated show that the scripts run")
    parser.add_argument("--no-ops", action="store_true", help="without the per-operation tables")
    parser.add_argument("--worker", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        worker(*args.worker)
        return
    names = args.networks or ([*SMALL, "segnet_224_b2", "dcgan_64_b128"] if args.quick else list(NETWORKS))
    contenders = [c for c in args.contenders if not (args.quick and c == "torch_compile")]
    seconds = args.seconds or (1.0 if args.quick else 3.0)
    results: dict[str, Any] = {"card": card(), "versions": versions(), "ms_per_step": {}}
    for precision in args.precision or (["tf32"] if args.quick else ["tf32", "bf16"]):
        for name in names:
            times = race(name, precision, contenders, args.device, seconds)
            results["ms_per_step"][f"{name} {precision}"] = times
            known = {c: t for c, t in times.items() if isinstance(t, float)}
            line = "  ".join(f"{c} {t:.4g}" for c, t in known.items())
            peers = [t for c, t in known.items() if c != "berrante"]
            if peers and "berrante" in known:
                line += f"  best peer / berrante {min(peers) / known['berrante']:.2f}"
            print(f"{name:18} {precision}  {line} ms", flush=True)
            for c, problem in times.items():
                if isinstance(problem, str):
                    print(f"{'':18} {c}: {problem}", flush=True)
    if not args.no_ops:
        import gpu_ops

        results["operations"] = gpu_ops.tables(args.quick, args.device)
    target = HERE / "results" / f"gpu_{results['card']['name'].replace(' ', '_').lower()}.json"
    if results["card"]["name"] != "none":
        target.write_text(json.dumps(results, indent=1) + "\n")
        print(f"written to {os.path.relpath(target)}")


if __name__ == "__main__":
    main()
