"""Shapes, slices, joins and index arithmetic, with the names and semantics of keras.ops."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from berrante.graph import primitives as p
from berrante.graph.op import KernelCall, Op, as_tensor
from berrante.graph.primitives import cast
from berrante.graph.tensor import Node, Tensor, TensorSpec
from berrante.ops import elementwise as e
from berrante.ops.creation import arange, eye
from berrante.ops.public import public
from berrante.ops.reduction import normalize_axis, sum

Axes = int | Sequence[int]


def _pair(x: Any) -> tuple[int, ...]:
    return (x,) if isinstance(x, int) else tuple(x)


@public
def reshape(x: Any, newshape: Any) -> Tensor:
    """The same elements in row-major order; one extent may be -1."""
    return p.reshape(x, _pair(newshape))


@public
def broadcast_to(x: Any, shape: Sequence[int]) -> Tensor:
    """x repeated along dimensions of extent 1."""
    return p.broadcast_to(x, shape)


@public
def expand_dims(x: Any, axis: Axes) -> Tensor:
    """New dimensions of extent 1 at the given places of the result."""
    x = as_tensor(x)
    axes = _pair(axis)
    rank = len(x.shape) + len(axes)
    places = {normalize_axis("expand_dims", a, rank) for a in axes}
    rest = iter(x.shape)
    return p.reshape(x, tuple(1 if i in places else next(rest) for i in range(rank)))


@public
def squeeze(x: Any, axis: Axes | None = None) -> Tensor:
    """Drops dimensions of extent 1: all, or the given ones."""
    x = as_tensor(x)
    if axis is None:
        return p.reshape(x, tuple(n for n in x.shape if n != 1))
    places = {normalize_axis("squeeze", a, len(x.shape)) for a in _pair(axis)}
    if builtins.any(x.shape[i] != 1 for i in places):
        raise ValueError(f"[squeeze] expected extent 1 at axis {axis}; received shape {x.shape}")
    return p.reshape(x, tuple(n for i, n in enumerate(x.shape) if i not in places))


@public
def ravel(x: Any) -> Tensor:
    """One dimension."""
    return p.reshape(x, (-1,))


# --- transpose ------------------------------------------------------------------------------------------------------


def _grad_transpose(node: Node, dy: Tensor) -> list[Tensor]:
    perm = node.attrs["perm"]
    return [_transpose(dy, perm=tuple(perm.index(i) for i in range(len(perm))))]


_transpose = Op(
    "transpose",
    lambda x, perm: TensorSpec(tuple(x.shape[i] for i in perm), x.dtype),
    _grad_transpose,
)


@public
def transpose(x: Any, axes: Sequence[int] | None = None) -> Tensor:
    """Dimensions in another order (reversed by default)."""
    x = as_tensor(x)
    rank = len(x.shape)
    perm = tuple(reversed(range(rank))) if axes is None else tuple(normalize_axis("transpose", a, rank) for a in axes)
    if sorted(perm) != list(range(rank)):
        raise ValueError(f"[transpose] expected a permutation of {rank} axes; received {axes}")
    if perm == tuple(range(rank)):
        return x
    # Moving dimensions of extent 1 moves no memory.
    if [i for i in perm if x.shape[i] != 1] == [i for i in range(rank) if x.shape[i] != 1]:
        return p.reshape(x, tuple(x.shape[i] for i in perm))
    result: Tensor = _transpose(x, perm=perm)
    return result


@public
def swapaxes(x: Any, axis1: int, axis2: int) -> Tensor:
    """Exchanges two dimensions."""
    x = as_tensor(x)
    axes = list(range(len(x.shape)))
    a, b = (normalize_axis("swapaxes", i, len(axes)) for i in (axis1, axis2))
    axes[a], axes[b] = axes[b], axes[a]
    return transpose(x, axes)


@public
def moveaxis(x: Any, source: Axes, destination: Axes) -> Tensor:
    """Moves dimensions to new places, the others keeping their order."""
    x = as_tensor(x)
    rank = len(x.shape)
    sources = [normalize_axis("moveaxis", a, rank) for a in _pair(source)]
    targets = [normalize_axis("moveaxis", a, rank) for a in _pair(destination)]
    order = [i for i in range(rank) if i not in sources]
    for target, origin in sorted(zip(targets, sources, strict=True)):
        order.insert(target, origin)
    return transpose(x, order)


# --- joins and splits -----------------------------------------------------------------------------------------------


@public
def concatenate(xs: Sequence[Any], axis: int = 0) -> Tensor:
    """Tensors one after the other along an axis, in their common dtype."""
    from berrante.graph.elementwise import promote

    tensors = [as_tensor(x) for x in xs]
    if not tensors:
        raise ValueError("[concatenate] expected at least one tensor; received none")
    dtype = promote(*(t.dtype for t in tensors))
    return p.concat([cast(t, dtype) for t in tensors], axis)


@public
def stack(x: Sequence[Any], axis: int = 0) -> Tensor:
    """Tensors of one shape along a new axis."""
    return concatenate([expand_dims(t, axis) for t in x], axis)


@public
def split(x: Any, indices_or_sections: Any, axis: int = 0) -> list[Tensor]:
    """Equal parts (a number) or parts cut at positions (a list) along an axis."""
    x = as_tensor(x)
    axis = normalize_axis("split", axis, len(x.shape))
    n = x.shape[axis]
    if isinstance(indices_or_sections, int):
        if indices_or_sections < 1 or n % indices_or_sections:
            raise ValueError(f"[split] {n} elements do not divide into {indices_or_sections} equal parts")
        step = n // indices_or_sections
        edges = list(range(0, n + 1, step))
    else:
        edges = [0, *(int(i) for i in indices_or_sections), n]
    parts = []
    for first, last in zip(edges, edges[1:], strict=False):
        start = tuple(first if i == axis else 0 for i in range(len(x.shape)))
        parts.append(p.slice_(x, start, tuple(last - first if i == axis else m for i, m in enumerate(x.shape))))
    return parts


@public
def unstack(x: Any, num: int | None = None, axis: int = 0) -> list[Tensor]:
    """The parts of an axis, without it."""
    x = as_tensor(x)
    axis = normalize_axis("unstack", axis, len(x.shape))
    return [squeeze(part, axis) for part in split(x, num or x.shape[axis], axis)]


@public
def slice(inputs: Any, start_indices: Sequence[int], shape: Sequence[int]) -> Tensor:
    """A block of a given shape from a start on."""
    return p.slice_(inputs, tuple(start_indices), tuple(shape))


@public
def slice_update(inputs: Any, start_indices: Sequence[int], updates: Any) -> Tensor:
    """A copy of inputs with a block replaced."""
    x, u = as_tensor(inputs), as_tensor(updates)
    hole = p.pad_to(p.broadcast_to(1.0, u.shape), x.shape, tuple(start_indices))
    placed = p.pad_to(u, x.shape, tuple(start_indices))
    return e.where(hole, placed, x)


@public
def flip(x: Any, axis: Axes | None = None) -> Tensor:
    """Reverses the order along axes (all by default)."""
    x = as_tensor(x)
    rank = len(x.shape)
    axes = set(range(rank)) if axis is None else {normalize_axis("flip", a, rank) for a in _pair(axis)}
    start = tuple(n - 1 if i in axes else 0 for i, n in enumerate(x.shape))
    return p.slice_(x, start, x.shape, tuple(-1 if i in axes else 1 for i in range(rank)))


@public
def roll(x: Any, shift: int, axis: int | None = None) -> Tensor:
    """Shifts elements around an axis (or around the flattened tensor)."""
    x = as_tensor(x)
    if axis is None:
        return p.reshape(roll(p.reshape(x, (x.size,)), shift, 0), x.shape)
    axis = normalize_axis("roll", axis, len(x.shape))
    n = x.shape[axis]
    if n == 0 or shift % n == 0:
        return x
    head, tail = split(x, [n - shift % n], axis)
    return concatenate([tail, head], axis)


@public
def repeat(x: Any, repeats: Any, axis: int | None = None) -> Tensor:
    """Each element several times in a row along an axis (or of the flattened tensor): a number for all, or one for each."""
    x = as_tensor(x)
    if axis is None:
        x, axis = p.reshape(x, (x.size,)), 0
    axis = normalize_axis("repeat", axis, len(x.shape))
    counts = np.atleast_1d(np.asarray(repeats))
    if counts.size not in (1, x.shape[axis]):
        raise ValueError(f"[repeat] expected 1 or {x.shape[axis]} repeats; received {counts.size}")
    if counts.size > 1:
        return take(x, np.repeat(np.arange(x.shape[axis]), counts), axis)
    repeats = int(counts[0])
    wide = p.broadcast_to(expand_dims(x, axis + 1), (*x.shape[: axis + 1], repeats, *x.shape[axis + 1 :]))
    return p.reshape(wide, (*x.shape[:axis], x.shape[axis] * repeats, *x.shape[axis + 1 :]))


@public
def tile(x: Any, repeats: Axes) -> Tensor:
    """The whole tensor several times along each axis."""
    x = as_tensor(x)
    counts = _pair(repeats)
    rank = builtins.max(len(counts), len(x.shape))
    counts = (1,) * (rank - len(counts)) + counts
    shape = (1,) * (rank - len(x.shape)) + x.shape
    spread = p.reshape(x, tuple(m for n in shape for m in (1, n)))
    wide = p.broadcast_to(spread, tuple(m for c, n in zip(counts, shape, strict=True) for m in (c, n)))
    return p.reshape(wide, tuple(c * n for c, n in zip(counts, shape, strict=True)))


@public
def pad(x: Any, pad_width: Any, mode: str = "constant", constant_values: float | None = None) -> Tensor:
    """Widens dimensions by (before, after) elements: constant, reflect, symmetric or edge."""
    x = as_tensor(x)
    rank = len(x.shape)
    width = np.broadcast_to(np.asarray(pad_width, dtype=np.int64), (rank, 2)).tolist()
    if mode == "constant":
        shape = tuple(b + n + a for n, (b, a) in zip(x.shape, width, strict=True))
        return p.pad_to(x, shape, tuple(b for b, _ in width), value=constant_values or 0.0)
    if mode not in ("reflect", "symmetric", "edge"):
        raise ValueError(f"[pad] expected mode constant, reflect, symmetric or edge; received {mode!r}")
    how: Any = mode  # NumPy's stubs want a literal
    for axis, (before, after) in enumerate(width):
        if before or after:
            positions = np.pad(np.arange(x.shape[axis]), (before, after), mode=how)
            x = take(x, positions, axis)
    return x


# --- indexing -------------------------------------------------------------------------------------------------------


def _lower_gather(node: Node) -> KernelCall:
    x, indices = node.inputs
    axis = node.attrs["axis"]
    a, n, b = prod(x.shape[:axis]), x.shape[axis], prod(x.shape[axis + 1 :])
    m = indices.size
    return KernelCall("gather", [(x, (a, n, b)), (indices, (m,))], [(a, m, b)])


def _grad_gather(node: Node, dy: Tensor) -> list[Tensor | None]:
    x, indices = node.inputs
    return [_scatter_add(indices, dy, axis=node.attrs["axis"], size=x.shape[node.attrs["axis"]]), None]


def _lower_scatter(node: Node) -> KernelCall:
    indices, updates = node.inputs
    y, axis = node.outputs[0], node.attrs["axis"]
    a, n, b = prod(y.shape[:axis]), y.shape[axis], prod(y.shape[axis + 1 :])
    m = indices.size
    return KernelCall("scatter_add", [(indices, (m,)), (updates, (a, m, b))], [(a, n, b)])


_gather = Op(
    "gather",
    lambda x, i, axis: TensorSpec(x.shape[:axis] + i.shape + x.shape[axis + 1 :], x.dtype),
    _grad_gather,
    _lower_gather,
)
# indices of any rank r; updates replace axis by those r dimensions
_scatter_add = Op(
    "scatter_add",
    lambda i, u, axis, size: TensorSpec(u.shape[:axis] + (size,) + u.shape[axis + len(i.shape) :]),
    lambda node, dy: [None, _gather(dy, node.inputs[0], axis=node.attrs["axis"])],
    _lower_scatter,
)


@public
def take(x: Any, indices: Any, axis: int | None = None) -> Tensor:
    """Elements (or blocks) at positions of an axis; negative positions count from the end.

    A concrete position outside the axis is a ValueError; one that is only known when the program runs gives NaN.
    """
    x = as_tensor(x)
    if axis is None:
        x, axis = p.reshape(x, (x.size,)), 0
    axis = normalize_axis("take", axis, len(x.shape))
    n = x.shape[axis]
    i = cast(indices, "int32")
    if i.value is not None and i.size and (i.value.min() < -n or i.value.max() >= n):
        raise ValueError(f"[take] expected positions from {-n} to {n - 1}; received {i.value.min()} to {i.value.max()}")
    i = e.where(e.less(i, 0), e.add(i, n), i)
    result: Tensor = _gather(x, i, axis=axis)
    return result


@public
def take_along_axis(x: Any, indices: Any, axis: int | None = None) -> Tensor:
    """Along an axis, the element that each position of `indices` names."""
    x, i = as_tensor(x), cast(indices, "int32")
    if axis is None:
        x, i, axis = p.reshape(x, (x.size,)), p.reshape(i, (i.size,)), 0
    axis = normalize_axis("take_along_axis", axis, len(x.shape))
    rank = len(x.shape)
    lead = tuple(m if d != axis else 1 for d, m in enumerate(x.shape))
    shape = tuple(builtins.max(m, k) if d != axis else k for d, (m, k) in enumerate(zip(lead, i.shape, strict=True)))
    i = p.broadcast_to(e.where(e.less(i, 0), e.add(i, x.shape[axis]), i), shape)
    # Positions in the flattened tensor.
    flat = e.multiply(i, prod(x.shape[axis + 1 :]))
    for d in range(rank):
        if d != axis and x.shape[d] != 1:
            ramp = p.reshape(arange(x.shape[d]), tuple(x.shape[d] if k == d else 1 for k in range(rank)))
            flat = e.add(flat, e.multiply(ramp, prod(x.shape[d + 1 :])))
    result: Tensor = _gather(p.reshape(x, (x.size,)), flat, axis=0)
    return result


@public
def one_hot(x: Any, num_classes: int, axis: int = -1, dtype: Any = None, sparse: bool = False) -> Tensor:
    """1 at the class and 0 elsewhere, along a new axis; a class outside the range gives all 0. float32 by default."""
    if sparse:
        raise ValueError("[one_hot] sparse=True is not supported")
    dtype = dtype or "float32"
    x = cast(x, "int32")
    hot = cast(e.equal(expand_dims(x, -1), arange(num_classes)), dtype)
    rank = len(hot.shape)
    axis = normalize_axis("one_hot", axis, rank)
    return hot if axis == rank - 1 else moveaxis(hot, -1, axis)


@public
def multi_hot(
    inputs: Any, num_classes: int | None = None, axis: int = -1, dtype: Any = None, sparse: bool = False,
    **kwargs: Any,
) -> Tensor:  # fmt: skip
    """1 at each of a row's classes; float32 by default."""
    num_classes = kwargs.pop("num_tokens", num_classes)
    if sparse or kwargs or num_classes is None:
        raise ValueError(f"[multi_hot] expected num_classes alone; received {num_classes}, sparse={sparse}, {kwargs}")
    dtype = dtype or "float32"
    hot = one_hot(inputs, num_classes, axis)
    from berrante.ops.reduction import max as largest

    return cast(largest(hot, 1 if len(hot.shape) > 2 else 0), dtype)


@public
def diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """The diagonal of two dimensions, as the last one."""
    x = moveaxis(as_tensor(x), (axis1, axis2), (-2, -1))
    m, n = x.shape[-2:]
    rows = range(builtins.max(0, -offset), builtins.max(builtins.max(0, -offset), builtins.min(m, n - offset)))
    flat = p.reshape(x, (*x.shape[:-2], m * n))
    return take(flat, np.asarray([r * n + r + offset for r in rows], np.int32), -1)


@public
def diag(x: Any, k: int = 0) -> Tensor:
    """A matrix with this diagonal, or a matrix' diagonal."""
    x = as_tensor(x)
    if len(x.shape) == 2:
        return diagonal(x, k)
    n = x.shape[0] + builtins.abs(k)
    grid = e.multiply(eye(x.shape[0], dtype=x.dtype), expand_dims(x, -1))
    return p.pad_to(grid, (n, n), (builtins.max(0, -k), builtins.max(0, k)))


def _triangle(x: Any, k: int, lower: bool) -> Tensor:
    x = as_tensor(x)
    m, n = x.shape[-2:]
    keep = np.tri(m, n, k if lower else k - 1, dtype=bool)
    return e.where(keep if lower else ~keep, x, 0)


@public
def tril(x: Any, k: int = 0) -> Tensor:
    """The part of matrices on and below a diagonal."""
    return _triangle(x, k, True)


@public
def triu(x: Any, k: int = 0) -> Tensor:
    """The part of matrices on and above a diagonal."""
    return _triangle(x, k, False)


@public
def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """The sum of the diagonal."""
    return sum(diagonal(x, offset, axis1, axis2), -1)
