"""16-bit floats. A tensor of dtype float16 or bfloat16 is kept in memory as float32, with values that its dtype has.

So every kernel works on it, and what makes it a 16-bit tensor is that each operation rounds its result. A GPU stores the
tensors inside a program in 16 bits where all kernels that touch them can (passes/narrow.py): the values are the same.
Outside, NumPy sees float16, and bfloat16 where the package ml_dtypes is there, else float32.
"""

from __future__ import annotations

from typing import Any

import numpy as np

# The micro-operation that rounds to the type (csrc/core/micro.def).
ROUNDING = {"float16": "round_f16", "bfloat16": "round_bf16"}
FLOATS = ("float32", *ROUNDING)


def is_float(dtype: str) -> bool:
    """Whether elements are floats of any size."""
    return dtype in FLOATS


def rounded(array: np.ndarray, dtype: str) -> np.ndarray:
    """The nearest values that the dtype has, ties to even, as float32."""
    array = np.asarray(array, np.float32)
    if dtype == "float16":
        with np.errstate(over="ignore"):
            return array.astype(np.float16).astype(np.float32)
    if dtype == "bfloat16":
        bits = array.view(np.uint32)
        near = ((bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) & np.uint32(0xFFFF0000)).view(
            np.float32
        )
        return np.where(np.isnan(array), array, near)
    return array


def bfloat16_type() -> Any:
    """NumPy's bfloat16 from ml_dtypes, or None where that package is not installed."""
    try:
        import ml_dtypes
    except ImportError:
        return None
    return np.dtype(ml_dtypes.bfloat16)


def outside(array: Any, dtype: str) -> Any:
    """A float32 array of a tensor of this dtype as users get it; CuPy's arrays of bfloat16 stay float32."""
    if dtype == "float16" and hasattr(array, "astype"):
        return array.astype(np.float16)
    if dtype == "bfloat16" and isinstance(array, np.ndarray):
        kind = bfloat16_type()
        return array if kind is None else array.astype(kind)
    return array
