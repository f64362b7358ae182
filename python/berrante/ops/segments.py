"""Scattering values to positions, and reductions over segments that ids name."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from berrante.graph import primitives as p
from berrante.graph.op import as_tensor
from berrante.graph.primitives import cast, floating
from berrante.graph.tensor import Tensor
from berrante.ops import elementwise as e
from berrante.ops import reduction
from berrante.ops.public import public
from berrante.ops.shape import _scatter_add, expand_dims, one_hot, take


def _flat_positions(indices: Any, extents: Sequence[int]) -> Tensor:
    """Coordinates [..., k] as positions [...] in the first k dimensions, flattened."""
    i = cast(indices, "int32")
    k = i.shape[-1]
    if k > len(extents):
        raise ValueError(f"[scatter] indices of {k} coordinates do not fit shape {tuple(extents)}")
    strides = np.asarray([prod(extents[j + 1 : k]) for j in range(k)], np.int32)
    return reduction.sum(e.multiply(i, strides), -1)


def _scatter_sum(flat: Tensor, values: Tensor, size: int) -> Tensor:
    """[n] positions and [n, m] values -> [size, m]."""
    result: Tensor = _scatter_add(flat, floating(values), axis=0, size=size)
    return result


@public
def scatter(indices: Any, values: Any, shape: Sequence[int]) -> Tensor:
    """Zeros of a shape with values added at coordinates [..., k]."""
    shape = tuple(int(n) for n in shape)
    i, v = as_tensor(indices), as_tensor(values)
    k = i.shape[-1]
    n, inner = prod(i.shape[:-1]), prod(shape[k:])
    flat = p.reshape(_flat_positions(i, shape), (n,))
    y = _scatter_sum(flat, p.reshape(v, (n, inner)), prod(shape[:k]))
    return cast(p.reshape(y, shape), v.dtype)


_REDUCTIONS = (None, "add", "max", "min", "mul")


@public
def scatter_update(inputs: Any, indices: Any, updates: Any, reduction: str | None = None) -> Tensor:
    """A copy of inputs with the elements (or blocks) at coordinates [n, k] replaced, or combined with the updates.

    reduction: None (replace), add, max, min or mul. Without one, repeated coordinates take the last update where the
    indices have values.
    """
    if reduction not in _REDUCTIONS:
        raise ValueError(f"[scatter_update] expected reduction None, add, max, min or mul; received {reduction!r}")
    x, i, u = as_tensor(inputs), as_tensor(indices), as_tensor(updates)
    k = i.shape[-1]
    n, size, inner = prod(i.shape[:-1]), prod(x.shape[:k]), prod(x.shape[k:])
    flat = p.reshape(_flat_positions(i, x.shape), (n,))
    rows = p.reshape(p.broadcast_to(u, i.shape[:-1] + x.shape[k:]), (n, inner))
    old = p.reshape(x, (size, inner))
    if reduction == "add":
        new = e.add(old, cast(_scatter_sum(flat, rows, size), x.dtype))
    elif reduction is None:
        if flat.value is not None:
            _, last = np.unique(flat.numpy()[::-1], return_index=True)
            keep = (n - 1 - last).astype(np.int32)
            flat, rows = take(flat, keep, 0), take(rows, keep, 0)
        hit = e.greater(_scatter_sum(flat, p.broadcast_to(1.0, (flat.shape[0], 1)), size), 0.0)
        new = e.where(hit, cast(_scatter_sum(flat, rows, size), x.dtype), old)
    else:
        combine, whole = {
            "max": (e.maximum, segment_max), "min": (e.minimum, segment_min), "mul": (e.multiply, segment_prod)
        }[reduction]  # fmt: skip
        hit = e.greater(_scatter_sum(flat, p.broadcast_to(1.0, (n, 1)), size), 0.0)
        new = e.where(hit, combine(old, cast(whole(rows, flat, size), x.dtype)), old)
    return p.reshape(cast(new, x.dtype), x.shape)


# --- segments -------------------------------------------------------------------------------------------------------


def _count(name: str, ids: Tensor, num_segments: int | None) -> int:
    if num_segments is not None:
        return int(num_segments)
    if ids.value is None:
        raise ValueError(f"[{name}] expected num_segments, since the segment ids have no values yet")
    return int(ids.numpy().max(initial=-1)) + 1


def _by_mask(name: str, data: Any, ids: Any, count: int | None, empty: float, function: Any) -> Tensor:
    x, i = as_tensor(data), cast(ids, "int32")
    n = _count(name, i, count)
    own = p.reshape(cast(one_hot(i, n), "bool"), (x.shape[0], n) + (1,) * (len(x.shape) - 1))
    wide = e.where(own, expand_dims(floating(x), 1), empty)
    return cast(function(wide, 0), x.dtype)


@public
def segment_sum(data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False) -> Tensor:
    """Sums of rows with the same id: [n, ...] -> [segments, ...]."""
    x, i = as_tensor(data), cast(segment_ids, "int32")
    n = _count("segment_sum", i, num_segments)
    y = _scatter_sum(i, p.reshape(x, (x.shape[0], prod(x.shape[1:]))), n)
    return cast(p.reshape(y, (n, *x.shape[1:])), x.dtype)


@public
def segment_max(data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False) -> Tensor:
    """The largest of rows with the same id; -inf where there are none."""
    return _by_mask("segment_max", data, segment_ids, num_segments, float("-inf"), reduction.max)


@public
def segment_min(data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False) -> Tensor:
    """The smallest of rows with the same id; inf where there are none."""
    return _by_mask("segment_min", data, segment_ids, num_segments, float("inf"), reduction.min)


@public
def segment_prod(data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False) -> Tensor:
    """The products of rows with the same id; 1 where there are none."""
    return _by_mask("segment_prod", data, segment_ids, num_segments, 1.0, reduction.prod)


__all__ = ["scatter", "scatter_update", "segment_max", "segment_min", "segment_prod", "segment_sum"]
