"""keras.initializers of Keras 2: today's, with the older private helper that scripts import."""

from __future__ import annotations

import math
from typing import Any

from berrante import initializers as core


def _compute_fans(shape: Any, data_format: str = "channels_last") -> tuple[float, float]:
    """fan_in and fan_out; kernels of convolutions hold their channels last (or first)."""
    if len(shape) == 2:
        return shape[0], shape[1]
    if len(shape) in (3, 4, 5):
        if data_format == "channels_first":
            field = math.prod(shape[2:])
            return shape[1] * field, shape[0] * field
        if data_format != "channels_last":
            raise ValueError(f"Invalid data_format: {data_format}")
        return core.compute_fans(shape)
    side = math.sqrt(math.prod(shape))
    return side, side


def __getattr__(name: str) -> Any:
    return getattr(core, name)
