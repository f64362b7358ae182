"""How products of float32 are computed on a GPU's tensor cores."""

from __future__ import annotations

import os

_CODES = {"tf32": 0, "float32": 1, "bfloat16": 2, "float16": 3}
_ALIASES = {"high": "tf32", "tensorfloat32": "tf32", "highest": "float32", "medium": "bfloat16"}
_current: list[str] = []


def _checked(value: str) -> str:
    name = _ALIASES.get(value, value)
    if name not in _CODES:
        raise ValueError(f"set_matmul_precision: expected {', '.join(_CODES)}; received {value!r}")
    return name


def matmul_precision() -> str:
    """tf32 (unless set, or given by BERRANTE_MATMUL_PRECISION), float32, bfloat16 or float16."""
    if not _current:
        _current.append(_checked(os.environ.get("BERRANTE_MATMUL_PRECISION") or "tf32"))
    return _current[0]


def set_matmul_precision(value: str) -> None:
    """Sets how matrix products and convolutions round their factors on GPUs; sums are always float32.

    "tf32" keeps 10 bits of mantissa, "bfloat16" 7, "float16" 10 with a smaller range, "float32" all. On the CPU products
    are float32 whatever this says. Programs that are compiled already stay as they are.
    """
    _current[:] = [_checked(value)]


def code(name: str) -> int:
    """The compiled modules' number for it (csrc/cuda/cuda_kernel.h)."""
    return _CODES[name]
