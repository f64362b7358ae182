"""Adaptive pooling, with the semantics of keras.ops: windows of a size such that so many outputs come out.

Output i of m over n elements covers [floor(i n / m), ceil((i + 1) n / m)): neighbours overlap where m does not divide n.
Means are products with a matrix of shares, maxima one reduction a window.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from berrante.graph import primitives as p
from berrante.graph.op import as_tensor
from berrante.graph.primitives import floating
from berrante.graph.tensor import Tensor
from berrante.ops.conv import pair
from berrante.ops.linalg import tensordot
from berrante.ops.public import public
from berrante.ops.reduction import amax
from berrante.ops.shape import concatenate, moveaxis


def _windows(n: int, m: int) -> list[tuple[int, int]]:
    return [(i * n // m, -(-(i + 1) * n // m)) for i in range(m)]


def _pooled(
    name: str, inputs: Any, output_size: Any, data_format: str | None, pool: Callable[[Tensor, int, int], Tensor]
) -> Tensor:  # fmt: skip
    x = floating(as_tensor(inputs))
    if len(x.shape) not in (3, 4):
        raise ValueError(f"[{name}] expected 3-D or 4-D input; received shape {x.shape}")
    if data_format not in (None, "channels_last", "channels_first"):
        raise ValueError(f"[{name}] expected data_format channels_last or channels_first; received {data_format!r}")
    spatial = len(x.shape) - 2
    size: Sequence[int] = pair(f"{name} output_size", output_size, spatial)
    x = moveaxis(x, 1, -1) if data_format == "channels_first" else x
    for axis, m in enumerate(size, 1):
        x = pool(x, axis, m)
    return moveaxis(x, -1, 1) if data_format == "channels_first" else x


def _mean(x: Tensor, axis: int, m: int) -> Tensor:
    shares = np.zeros((x.shape[axis], m), np.float32)
    for i, (start, end) in enumerate(_windows(x.shape[axis], m)):
        shares[start:end, i] = 1.0 / (end - start)
    return moveaxis(tensordot(x, shares, [[axis], [0]]), -1, axis)


def _max(x: Tensor, axis: int, m: int) -> Tensor:
    parts = []
    for start, end in _windows(x.shape[axis], m):
        begin, size = [0] * len(x.shape), list(x.shape)
        begin[axis], size[axis] = start, end - start
        parts.append(amax(p.slice_(x, tuple(begin), tuple(size)), axis, keepdims=True))
    return concatenate(parts, axis)


@public
def adaptive_average_pool(inputs: Any, output_size: Any, data_format: str | None = None) -> Tensor:
    """Means of windows over [N, L, C] or [N, H, W, C], `output_size` of them along each axis."""
    return _pooled("adaptive_average_pool", inputs, output_size, data_format, _mean)


@public
def adaptive_max_pool(inputs: Any, output_size: Any, data_format: str | None = None) -> Tensor:
    """The largest elements of windows over [N, L, C] or [N, H, W, C], `output_size` of them along each axis."""
    return _pooled("adaptive_max_pool", inputs, output_size, data_format, _max)


__all__ = ["adaptive_average_pool", "adaptive_max_pool"]
