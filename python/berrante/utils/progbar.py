"""Keras' progress bar, character for character."""

from __future__ import annotations

import math
import os
import sys
import time
from typing import Any

import numpy as np


def _print(message: str) -> None:
    """Writes to stdout; where its encoding has no bars, with equal signs."""
    try:
        sys.stdout.write(message)
    except UnicodeEncodeError:
        encoding = sys.stdout.encoding or "utf-8"
        sys.stdout.write(message.replace("━", "=").encode(encoding, errors="ignore").decode(encoding))
    sys.stdout.flush()


def _duration(seconds: float, unit: str) -> str:
    if seconds >= 1 or seconds == 0:
        return f" {seconds:.0f}s/{unit}"
    return f" {seconds * 1e3:.0f}ms/{unit}" if seconds >= 1e-3 else f" {seconds * 1e6:.0f}us/{unit}"


def _clock(seconds: float) -> str:
    whole = int(seconds)
    if seconds > 3600:
        return f"{whole // 3600}:{whole % 3600 // 60:02d}:{whole % 60:02d}"
    return f"{whole // 60}:{whole % 60:02d}" if seconds > 60 else f"{whole}s"


class Progbar:
    """Shows progress towards `target` steps (None: unknown).

    verbose: 0 nothing, 1 a bar `width` wide at most every `interval` seconds, 2 one line at the end. Values are averaged
    over the steps, but for those named in stateful_metrics, which are shown as they come; with stateless_metrics only
    those named there are averaged. unit_name: what a step is called.
    """

    def __init__(
        self, target: int | None, width: int = 20, verbose: int = 1, interval: float = 0.05,
        stateful_metrics: Any = None, stateless_metrics: Any = None, unit_name: str = "step",
    ) -> None:  # fmt: skip
        if stateful_metrics is not None and stateless_metrics is not None:
            raise ValueError(
                "Only one of `stateful_metrics` or `stateless_metrics` can be provided: the first averages all values "
                "but those named, the second none but those named."
            )
        self.target, self.width, self.verbose, self.interval, self.unit_name = (
            target, width, verbose, interval, unit_name,
        )  # fmt: skip
        self.stateful_metrics = set(stateful_metrics or ()) if stateless_metrics is None else None
        self.stateless_metrics = None if stateless_metrics is None else set(stateless_metrics)
        self._dynamic = (
            (hasattr(sys.stdout, "isatty") and sys.stdout.isatty())
            or "ipykernel" in sys.modules
            or os.name == "posix"
            or "PYCHARM_HOSTED" in os.environ
        )
        self._seen = 0
        self._values: dict[str, tuple[Any, float]] = {}  # sums and the steps that they are over
        self._start = time.time()
        self._last = 0.0
        self._after_first: float | None = None
        self._length = 0

    def _averages(self, name: str) -> bool:
        if self.stateful_metrics is not None:
            return name not in self.stateful_metrics
        return name in (self.stateless_metrics or ())

    def update(self, current: int, values: Any = None, finalize: bool | None = None) -> None:
        """Shows the bar at a step with (name, value) pairs; the last step finalizes it unless told otherwise."""
        if finalize is None:
            finalize = self.target is not None and current >= self.target
        for name, value in values or []:
            if isinstance(value, (list, tuple)):
                value = np.asarray(value)
            if self._averages(name) and not finalize:
                steps = max(current - self._seen, 1)
                total, count = self._values.get(name, (0.0, 0.0))
                self._values[name] = total + value * steps, count + steps
            else:
                self._values[name] = value, 1
        self._seen = current
        now = time.time()
        each = self._step_duration(current, now)
        if self.verbose == 1:
            if now - self._last < self.interval and not finalize:
                return
            self._show(current, now, each, finalize)
        elif self.verbose == 2 and finalize and self.target:
            digits = int(math.log10(self.target)) + 1
            line = f"{current:{digits}d}/{self.target} - {now - self._start:.0f}s -{_duration(each, self.unit_name)}"
            _print(line + self._shown(lambda value: value > 1e-3) + "\n")
        self._last = now

    def _show(self, current: int, now: float, each: float, finalize: bool) -> None:
        invisible = 0
        if self.target:
            digits = int(math.log10(self.target)) + 1
            done = int(self.width * current / self.target)
            bar = f"\x1b[1m{current:{digits}d}/{self.target}\x1b[0m "
            if done > 0:
                bar += f"\x1b[32m{'━' * done}\x1b[0m"
                invisible += 9
            bar += f"\x1b[37m{'━' * (self.width - done)}\x1b[0m"
            invisible += 17
        else:
            bar = f"{current:7d}/Unknown"
        if self.target and not finalize:
            info = f" \x1b[1m{_clock(each * (self.target - current))}\x1b[0m"
        else:
            info = f" \x1b[1m{now - self._start:.0f}s\x1b[0m"
        info += _duration(each, self.unit_name) + self._shown(lambda value: abs(value) > 1e-3)
        length = len(bar) + len(info) - invisible - 8
        start = "\b" * self._length + "\r" if self._dynamic else "\n"
        _print(start + bar + info + " " * max(0, self._length - length) + ("\n" if finalize else ""))
        self._length = length

    def _shown(self, plain: Any) -> str:
        text = ""
        for name, (total, count) in self._values.items():
            value = (total if isinstance(total, float) else float(np.mean(total))) / max(1, count)
            text += f" - {name}: " + (f"{value:.4f}" if plain(value) else f"{value:.4e}")
        return text

    def add(self, n: int, values: Any = None) -> None:
        """Moves on by n steps."""
        self.update(self._seen + n, values)

    def _step_duration(self, current: int, now: float) -> float:
        """Seconds a step; the first, which is slower than the others, does not count once there are more."""
        if not current:
            return 0.0
        if self._after_first is not None and current > 1:
            seconds = (now - self._after_first) / (current - 1)
        else:
            seconds = (now - self._start) / current
        if current == 1:
            self._after_first = now
        return seconds
