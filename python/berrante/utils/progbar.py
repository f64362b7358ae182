"""Keras' progress bar."""

from __future__ import annotations

import math
import sys
import time
from typing import Any


def _duration(seconds: float, per: str) -> str:
    if seconds >= 1 or seconds == 0:
        return f" {seconds:.0f}s/{per}"
    if seconds >= 1e-3:
        return f" {seconds * 1e3:.0f}ms/{per}"
    return f" {seconds * 1e6:.0f}us/{per}"


class Progbar:
    """Shows progress towards `target` steps. verbose: 0 nothing, 1 a bar, 2 one line at the end."""

    def __init__(
        self, target: int | None, width: int = 20, verbose: int = 1, interval: float = 0.05,
        stateful_metrics: Any = None, unit_name: str = "step",
    ) -> None:  # fmt: skip
        self.target, self.width, self.verbose, self.interval, self.unit_name = (
            target,
            width,
            verbose,
            interval,
            unit_name,
        )
        self._start = time.time()
        self._last = 0.0
        self._length = 0
        self._values: dict[str, float] = {}
        self._dynamic = sys.stdout.isatty() or "ipykernel" in sys.modules

    def update(self, current: int, values: Any = None, finalize: bool | None = None) -> None:
        """Shows the bar at a step with (name, value) pairs."""
        finalize = (self.target is not None and current >= self.target) if finalize is None else finalize
        for name, value in values or []:
            self._values[name] = float(value)
        now = time.time()
        if self.verbose == 0 or (not finalize and (now - self._last < self.interval or not self._dynamic)):
            return
        if self.verbose == 2 and not finalize:
            return
        self._last = now
        elapsed = now - self._start
        message = self._counter(current) if self.verbose == 1 else self._plain_counter(current)
        per_unit = elapsed / current if current else 0.0
        if self.target is None or finalize:
            message += f" \x1b[1m{elapsed:.0f}s\x1b[0m" if self.verbose == 1 else f" - {elapsed:.0f}s -"
            message += _duration(per_unit, self.unit_name)
        else:
            message += f" \x1b[1m{_clock(per_unit * (self.target - current))}\x1b[0m" + _duration(
                per_unit, self.unit_name
            )
        for name, value in self._values.items():
            message += f" - {name}: " + (f"{value:.4f}" if abs(value) > 1e-3 else f"{value:.4e}")
        if self.verbose == 1 and self._dynamic:
            padding = " " * max(0, self._length - len(message))
            self._length = len(message)
            message = "\r" + message + padding
        sys.stdout.write(message + ("\n" if finalize or not self._dynamic else ""))
        sys.stdout.flush()

    def _counter(self, current: int) -> str:
        if self.target is None:
            return f"\x1b[1m{current:7d}/Unknown\x1b[0m"
        digits = int(math.log10(max(self.target, 1))) + 1
        done = int(self.width * min(current / max(self.target, 1), 1.0))
        bar = "\x1b[32m" + "━" * done + "\x1b[0m\x1b[37m" + "━" * (self.width - done) + "\x1b[0m"
        return f"\x1b[1m{current:{digits}d}/{self.target}\x1b[0m {bar}"

    def _plain_counter(self, current: int) -> str:
        return f"{current}/{self.target}" if self.target else f"{current}"

    def add(self, n: int, values: Any = None) -> None:
        """Moves on by n steps."""
        self._seen = getattr(self, "_seen", 0) + n
        self.update(self._seen, values)


def _clock(seconds: float) -> str:
    if seconds > 3600:
        return f"{int(seconds // 3600)}:{int(seconds % 3600 // 60):02d}:{int(seconds % 60):02d}"
    return f"{int(seconds // 60)}:{int(seconds % 60):02d}" if seconds > 60 else f"{seconds:.0f}s"
