"""tensorflow.random."""

from __future__ import annotations

from typing import Any

import numpy as np

from berrante import random


def _extents(shape: Any) -> tuple[int, ...]:
    return tuple(int(n) for n in (shape if hasattr(shape, "__iter__") else [shape]))


def normal(
    shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = "float32", seed: Any = None, name: Any = None
) -> Any:
    """Normal numbers."""
    return random.normal(_extents(shape), mean, stddev, dtype, seed)


def truncated_normal(
    shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = "float32", seed: Any = None, name: Any = None
) -> Any:
    """Normal numbers within two standard deviations."""
    return random.truncated_normal(_extents(shape), mean, stddev, dtype, seed)


def uniform(
    shape: Any, minval: Any = 0, maxval: Any = None, dtype: Any = "float32", seed: Any = None, name: Any = None
) -> Any:
    """Uniform numbers; whole ones for integer dtypes."""
    if "int" in str(np.dtype(dtype) if not isinstance(dtype, str) else dtype):
        return random.randint(_extents(shape), int(minval), int(maxval), dtype, seed)
    return random.uniform(_extents(shape), minval, 1.0 if maxval is None else maxval, dtype, seed)


def shuffle(value: Any, seed: Any = None, name: Any = None) -> Any:
    """Rows in random order."""
    return random.shuffle(value, 0, seed)


def set_seed(seed: int) -> None:
    """Restarts the random numbers."""
    random.set_global_seed(int(seed))
