"""Tensors from nothing: constants, ranges, grids, with the names of keras.ops."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from berrante.graph import primitives as p
from berrante.graph.elementwise import Elementwise, MicroBuilder
from berrante.graph.op import as_tensor
from berrante.graph.primitives import cast
from berrante.graph.tensor import DTYPES, Node, Tensor, TensorSpec, standard_dtype
from berrante.ops.public import public


def _pair(x: Any) -> tuple[int, ...]:
    return (x,) if isinstance(x, int) else tuple(x)


def _coordinate_micro(b: MicroBuilder, node: Node, *_: Any) -> Any:
    return b.emit("coordinate", b.constant(node.attrs["inner"]), b.constant(node.attrs["extent"]))


_iota = Elementwise("iota", _coordinate_micro)


def _constant(value: Any, dtype: Any) -> Tensor:
    kind = standard_dtype(dtype)
    array = np.ascontiguousarray(value, DTYPES[kind]).reshape(np.shape(value))
    return Tensor(TensorSpec(array.shape, kind), array)


def zeros(shape: Any, dtype: Any = "float32") -> Tensor:
    """All 0."""
    return _constant(np.zeros(_pair(shape)), dtype or "float32")


def ones(shape: Any, dtype: Any = "float32") -> Tensor:
    """All 1."""
    return _constant(np.ones(_pair(shape)), dtype or "float32")


empty = zeros


@public
def empty_like(x: Any, dtype: Any = None) -> Tensor:
    """All 0, in the shape (and dtype) of x."""
    return full_like(x, 0, dtype)


@public
def full(shape: Any, fill_value: Any, dtype: Any = None) -> Tensor:
    """All one value."""
    value = as_tensor(fill_value)
    return p.broadcast_to(cast(value, dtype or value.dtype), _pair(shape))


@public
def full_like(x: Any, fill_value: Any, dtype: Any = None) -> Tensor:
    """All one value, in the shape (and dtype) of x."""
    x = as_tensor(x)
    kind = standard_dtype(dtype or x.dtype)
    return p.broadcast_to(cast(fill_value, kind), x.shape)


@public
def zeros_like(x: Any, dtype: Any = None) -> Tensor:
    """All 0, in the shape (and dtype) of x."""
    return full_like(x, 0, dtype)


@public
def ones_like(x: Any, dtype: Any = None) -> Tensor:
    """All 1, in the shape (and dtype) of x."""
    return full_like(x, 1, dtype)


def arange(start: Any, stop: Any = None, step: Any = None, dtype: Any = None) -> Tensor:
    """Numbers from start (0) up to, not including, stop, `step` (1) apart."""
    step = 1 if step is None else step
    if stop is None:
        start, stop = 0, start
    values = np.arange(start, stop, step)
    return _constant(values, dtype or standard_dtype(values.dtype))


def linspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, retstep: bool = False, dtype: Any = None,
    axis: int = 0,
) -> Any:  # fmt: skip
    """Evenly spaced numbers (and their distance with retstep)."""
    spread: Any = np.linspace  # NumPy's stubs want literals
    values, step = spread(np.asarray(start), np.asarray(stop), num, endpoint, True, axis=axis)
    y = _constant(values, dtype or "float32")
    return (y, _constant(step, dtype or "float32")) if retstep else y


def logspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, base: float = 10, dtype: Any = None, axis: int = 0
) -> Tensor:
    """Numbers evenly spaced on a logarithmic scale, between powers of the base."""
    values = np.logspace(np.asarray(start), np.asarray(stop), num, endpoint, base, axis=axis)
    return _constant(values, dtype or "float32")


def eye(N: int, M: int | None = None, k: int = 0, dtype: Any = "float32") -> Tensor:
    """1 on a diagonal, else 0."""
    return _constant(np.eye(N, M, k), dtype or "float32")


def identity(n: int, dtype: Any = "float32") -> Tensor:
    """The identity matrix."""
    return eye(n, dtype=dtype)


def tri(N: int, M: int | None = None, k: int = 0, dtype: Any = "float32") -> Tensor:
    """1 on and below a diagonal."""
    return _constant(np.tri(N, M, k), dtype or "float32")


@public
def meshgrid(*x: Any, indexing: str = "xy") -> list[Tensor]:
    """Coordinate grids of vectors."""
    vectors = [as_tensor(v) for v in x]
    n = len(vectors)
    order = list(range(n))
    if indexing == "xy" and n > 1:
        order[0], order[1] = 1, 0
    shape = [0] * n
    for i, v in enumerate(vectors):
        shape[order[i]] = v.size
    return [
        p.broadcast_to(p.reshape(v, tuple(v.size if d == order[i] else 1 for d in range(n))), shape)
        for i, v in enumerate(vectors)
    ]


def iota(shape: tuple[int, ...], dimension: int) -> Tensor:
    """The coordinate along a dimension, int32, made by the kernel (nothing is stored)."""
    result: Tensor = _iota(shape=shape, inner=prod(shape[dimension + 1 :]), extent=shape[dimension], dtype="int32")
    return result
