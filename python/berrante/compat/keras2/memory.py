"""Whether get_config() may hold functions as they are: for copies in memory yes, in files and JSON no."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any

from berrante.saving.registry import live_functions

_writing: ContextVar[bool] = ContextVar("writing", default=False)


def for_memory() -> Any:
    """Around a get_config() that may be for a copy, unless a file is being written."""
    return nullcontext() if _writing.get() else live_functions()


@contextmanager
def for_files() -> Iterator[None]:
    """Around whatever writes a config."""
    token = _writing.set(True)
    try:
        yield
    finally:
        _writing.reset(token)
