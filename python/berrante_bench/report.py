"""Tables for the terminal, results with the machine and the versions that gave them, and what the machine can do at most."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from berrante_bench.contenders import CONTENDERS
from berrante_bench.turns import Settings


def table(headers: Sequence[Any], rows: Sequence[Sequence[Any]]) -> str:
    """Columns as wide as they must be; numbers to the right, with three significant digits."""
    cells = [list(map(str, headers)), *([_text(x) for x in row] for row in rows)]
    columns = max(map(len, cells))
    cells = [row + [""] * (columns - len(row)) for row in cells]
    widths = [max(len(row[i]) for row in cells) for i in range(columns)]
    right = [any(isinstance(row[i], (int, float)) for row in rows if i < len(row)) for i in range(columns)]
    lines = [
        "  ".join(c.rjust(w) if r else c.ljust(w) for c, w, r in zip(row, widths, right)).rstrip() for row in cells
    ]
    return "\n".join([lines[0], "  ".join("-" * w for w in widths), *lines[1:]])


def _text(x: Any) -> str:
    if x is None:
        return "-"
    if not isinstance(x, float):
        return str(x)
    return f"{x:.0f}" if abs(x) >= 100 else f"{x:.3g}"


@dataclass(frozen=True)
class Peak:
    """What so many threads of this machine do at most: multiply-adds from registers, and copies of large arrays."""

    gflops: float
    gb_per_s: float


def measure_peak(threads: int, tries: int = 5) -> Peak:
    """The best of several tries on all threads at once, by the threads' own clocks."""
    from berrante.runtime.kernels import fma_loop

    size = 1 << 24
    arrays = [(np.ones(size, np.float32), np.ones(size, np.float32)) for _ in range(threads)]

    def copy(k: int) -> float:
        np.copyto(*arrays[k])
        return size * 8.0

    flops = max(_rate(threads, lambda k: fma_loop(1 << 21)) for _ in range(tries))
    return Peak(flops / 1e9, max(_rate(threads, copy) for _ in range(tries)) / 1e9)


def _rate(threads: int, work: Callable[[int], float]) -> float:
    """What the threads' work comes to in a second, work(k) giving its amount."""
    rates = [0.0] * threads

    def run(k: int) -> None:
        start = time.thread_time()
        rates[k] = work(k) / (time.thread_time() - start)

    running = [threading.Thread(target=run, args=(k,)) for k in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return sum(rates)


def machine(threads: int) -> dict[str, Any]:
    """Processor, cores, and berrante's instruction set."""
    from berrante.cli.info import cpu_name
    from berrante.runtime import kernels

    return {"cpu": cpu_name(), "cores": os.cpu_count(), "threads": threads, "isa": kernels.isa(),
            "system": platform.platform()}  # fmt: skip


def versions(peers_python: str) -> dict[str, str]:
    """Of Python, berrante, and every package that a contender names, in the peers' environment."""
    import berrante

    packages = sorted({p for c in CONTENDERS.values() for p in c.packages if p != "berrante"})
    code = (
        "import json, sys, importlib.metadata as m\n"
        "found = {d.metadata['Name'].lower().replace('_cpu', '').replace('-cpu', ''): d.version for d in m.distributions()}\n"
        "print(json.dumps({p: found.get(p, 'not installed') for p in sys.argv[1:]}))"
    )
    found = subprocess.run([peers_python, "-c", code, *packages], capture_output=True, text=True, check=True).stdout
    return {"python": platform.python_version(), "berrante": berrante.__version__, **json.loads(found)}


def write(folder: Path, name: str, settings: Settings, peak: Peak, results: Any) -> Path:
    """Writes <folder>/<name>_<threads>_threads.json, one line a row, and gives its path."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{name}_{settings.threads}_threads.json"
    head = {
        "made": datetime.now(timezone.utc).isoformat(timespec="seconds"), "machine": machine(settings.threads),
        "versions": versions(settings.peers_python), "peak": asdict(peak),
        "settings": {k: v for k, v in asdict(settings).items() if k != "peers_python"},
    }  # fmt: skip
    rows = ",\n".join("  " + json.dumps(row) for row in results)
    target.write_text(json.dumps(head, indent=1)[:-2] + f',\n "results": [\n{rows}\n ]\n}}\n')
    return target
