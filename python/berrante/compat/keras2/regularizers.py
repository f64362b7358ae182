"""keras.regularizers of Keras 2."""

from __future__ import annotations

from typing import Any

from berrante import regularizers as core


def l1(l: float = 0.01) -> Any:
    """l times the sum of magnitudes."""
    return core.L1(l)


def l2(l: float = 0.01) -> Any:
    """l times the sum of squares."""
    return core.L2(l)


def l1_l2(l1: float = 0.01, l2: float = 0.01) -> Any:
    """Both."""
    return core.L1L2(l1, l2)


l1l2 = l1_l2
