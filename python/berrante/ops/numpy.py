"""keras.ops.numpy: the same functions as keras.ops."""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    from berrante import ops

    if name.startswith("__") or not hasattr(ops, name):
        raise AttributeError(f"module 'berrante.ops.numpy' has no attribute {name!r}")
    return getattr(ops, name)
