"""keras.legacy: Keras 1's merge, its two dense layers, and the decorators of keras.legacy.interfaces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from berrante.compat.keras2.dense import Highway, MaxoutDense
from berrante.compat.keras2.layers import merge

__all__ = ["Highway", "MaxoutDense", "merge"]


def _as_it_is(function: Callable[..., Any]) -> Callable[..., Any]:
    return function


def __getattr__(name: str) -> Any:
    """`legacy_get_updates_support` and the like: Keras 1's argument names are taken without them."""
    if name.startswith("legacy_") and name.endswith("_support"):
        return _as_it_is
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
