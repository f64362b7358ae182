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


def arange(start: Any, stop: Any = None, step: Any = 1, dtype: Any = None) -> Tensor:
    """Numbers from start (0) up to, not including, stop."""
    if stop is None:
        start, stop = 0, start
    values = np.arange(start, stop, step)
    return _constant(values, dtype or standard_dtype(values.dtype))


def linspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None) -> Tensor:
    """Evenly spaced numbers."""
    return _constant(np.linspace(start, stop, num, endpoint), dtype or "float32")


def logspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, base: float = 10, dtype: Any = None
) -> Tensor:
    """Numbers evenly spaced on a logarithmic scale."""
    return _constant(np.logspace(start, stop, num, endpoint, base), dtype or "float32")


def eye(N: int, M: int | None = None, k: int = 0, dtype: Any = "float32") -> Tensor:
    """1 on a diagonal, else 0."""
    return _constant(np.eye(N, M, k), dtype or "float32")


identity = eye


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
