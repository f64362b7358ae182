"""Contenders in processes of their own that take turns.

Every contender lives in one worker process with the same number of threads, pinned to the same cores. Rounds go through
all of them one after the other, the first changing from round to round, so that what disturbs the machine disturbs
everyone alike: figures are medians over rounds, and ratios are taken within a round.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PACKAGES = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Settings:
    """How to measure: threads of each contender, rounds, seconds a turn, the clock, and the Python that has the peers.

    The clock "cpu" counts a process's own time on all its threads: on a busy machine, with one thread, it is the steadier.
    """

    threads: int = 1
    rounds: int = 7
    seconds: float = 0.2
    clock: str = "wall"
    peers_python: str = sys.executable


def environment(threads: int) -> dict[str, str]:
    """The variables that tell every contender its number of threads."""
    names = ("BERRANTE", "OMP", "MKL", "OPENBLAS")
    path = os.pathsep.join(filter(None, (str(PACKAGES), os.environ.get("PYTHONPATH"))))
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "1", "JAX_PLATFORMS": "cpu"}
    return {**os.environ, **quiet, "PYTHONPATH": path, **{f"{name}_NUM_THREADS": str(threads) for name in names}}


def pin(threads: int) -> Callable[[], None] | None:
    """What a child does first to stay on so many cores: some libraries know no other way of counting threads."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    cores = sorted(os.sched_getaffinity(0))[:threads]
    return lambda: os.sched_setaffinity(0, cores)


class Worker:
    """One contender's process. `failure` says why it cannot do what it was last asked to set up.

    `extra` are further environment variables.
    """

    def __init__(self, contender: str, settings: Settings, extra: Mapping[str, str] | None = None) -> None:
        self.name, self.settings, self.extra = contender, settings, dict(extra or {})
        self.failure = ""
        self._process = self._start()

    def _start(self) -> subprocess.Popen[str]:
        threads = self.settings.threads
        python = sys.executable if self.name == "berrante" else self.settings.peers_python
        return subprocess.Popen(
            [python, "-m", "berrante_bench.worker", self.name], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True, env=environment(threads) | self.extra, preexec_fn=pin(threads),
        )  # fmt: skip

    def close(self) -> None:
        """Ends the process."""
        self._process.kill()
        self._process.communicate()

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Sends one request; {"error": ...} where the process died, which the next request starts again."""
        if self._process.poll() is not None:
            self._process = self._start()
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            return {"error": f"the process ended with status {self._process.wait()}"}
        result: dict[str, Any] = json.loads(line)
        return result

    def setup(self, task: Mapping[str, Any]) -> bool:
        """Prepares a task, which later turns repeat."""
        self.failure = self.ask({"setup": task}).get("error", "")
        return not self.failure

    def turn(self, steps: int) -> float:
        """Seconds a step; not a number once there was a failure."""
        answer = {"error": self.failure} if self.failure else self.ask({"run": steps})
        self.failure = answer.get("error", "")
        return math.nan if self.failure else float(answer[self.settings.clock]) / steps


def _digits(x: float) -> float:
    return float(f"{x:.4g}")


@dataclass
class Times:
    """Seconds a step of each contender, round by round."""

    seconds: dict[str, list[float]]
    failures: dict[str, str]

    def median(self, name: str) -> float:
        return statistics.median(self.seconds[name])

    def best_peer(self, ours: str = "berrante") -> str | None:
        """The contender, not ours, with the smallest median."""
        return min((n for n in self.seconds if n != ours), key=self.median, default=None)

    def ratio(self, peer: str, ours: str = "berrante") -> float:
        """The median over rounds of the peer's time by ours: above 1, ours is faster."""
        return statistics.median(p / o for p, o in zip(self.seconds[peer], self.seconds[ours], strict=True))

    def as_json(self) -> dict[str, Any]:
        """Milliseconds, the median and the least."""
        result: dict[str, Any] = {
            name: {"ms": _digits(self.median(name) * 1e3), "least": _digits(min(times) * 1e3)}
            for name, times in self.seconds.items()
        }
        return result | {name: {"failed": reason} for name, reason in self.failures.items()}


def take_turns(running: Mapping[str, Worker], task: Mapping[str, Any], settings: Settings) -> Times:
    """Sets the task up in every worker and times it in turns; who cannot do it is among the failures."""
    steps = {name: _steps_of_a_turn(w, settings.seconds) for name, w in running.items() if w.setup(task)}
    names = list(steps)
    times: dict[str, list[float]] = {name: [] for name in names}
    for k in range(settings.rounds):
        for name in names[k % (len(names) or 1) :] + names[: k % (len(names) or 1)]:
            times[name].append(running[name].turn(steps[name]))
    failures = {name: worker.failure for name, worker in running.items() if worker.failure}
    return Times({name: seconds for name, seconds in times.items() if name not in failures}, failures)


def _steps_of_a_turn(worker: Worker, seconds: float) -> int:
    """So many steps as take so long, after a warm-up."""
    worker.turn(1)
    first = worker.turn(1)
    if worker.failure:
        return 1
    then = worker.turn(max(1, int(seconds / 10 / max(first, 1e-7))))
    return 1 if worker.failure else max(1, round(seconds / max(then, 1e-7)))


@contextmanager
def workers(names: Iterable[str], settings: Settings) -> Iterator[dict[str, Worker]]:
    """A process for each contender, ended at the end."""
    running = {name: Worker(name, settings) for name in names}
    try:
        yield running
    finally:
        for worker in running.values():
            worker.close()
