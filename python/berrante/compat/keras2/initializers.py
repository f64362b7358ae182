"""keras.initializers of Keras 2: today's, with the older private helper that scripts import."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from berrante import initializers as core
from berrante import ops


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


class Identity(core.Identity):
    """A multiple of the identity matrix; several side by side where one side is a multiple of the other."""

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        if len(shape) != 2:
            raise ValueError("Identity matrix initializer can only be used for 2D matrices.")
        short, long = min(shape), max(shape)
        if long % short:
            raise ValueError("Long side should be multiple of short side.")
        eye = np.tile(np.eye(short), (shape[0] // short, shape[1] // short))
        return ops.cast(self.gain * eye, dtype or "float32")


identity = Identity


def get(identifier: Any) -> Any:
    """An initializer from a name, a config or a callable."""
    return Identity() if identifier in ("identity", "Identity") else core.get(identifier)


def __getattr__(name: str) -> Any:
    return getattr(core, name)
