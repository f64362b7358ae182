"""Stacking, splitting and rearranging whole arrays: hstack, array_split, rot90, kron, depth_to_space and their kin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from berrante.graph import primitives as p
from berrante.graph.op import as_tensor
from berrante.graph.primitives import cast, floating
from berrante.graph.tensor import Tensor
from berrante.ops import elementwise as e
from berrante.ops.creation import _constant
from berrante.ops.public import public
from berrante.ops.reduction import normalize_axis
from berrante.ops.shape import concatenate, diag, flip, moveaxis, ravel, split, stack, swapaxes, transpose


def _at_least(x: Any, rank: int) -> Tensor:
    """NumPy's atleast_1d, 2d and 3d."""
    x = as_tensor(x)
    n = len(x.shape)
    if n >= rank:
        return x
    if rank == 3:
        return p.reshape(x, {0: (1, 1, 1), 1: (1, x.size, 1), 2: (*x.shape, 1)}[n])
    return p.reshape(x, (1,) * (rank - n) + x.shape)


@public
def hstack(xs: Sequence[Any]) -> Tensor:
    """Side by side: along the second axis, or the only one."""
    tensors = [_at_least(x, 1) for x in xs]
    return concatenate(tensors, 0 if len(tensors[0].shape) == 1 else 1)


@public
def vstack(xs: Sequence[Any]) -> Tensor:
    """One above the other, along the first axis."""
    return concatenate([_at_least(x, 2) for x in xs], 0)


@public
def dstack(xs: Sequence[Any]) -> Tensor:
    """Along the third axis."""
    return concatenate([_at_least(x, 3) for x in xs], 2)


@public
def append(x1: Any, x2: Any, axis: int | None = None) -> Tensor:
    """x2 after x1 along an axis, or both flattened."""
    if axis is None:
        return concatenate([ravel(x1), ravel(x2)], 0)
    return concatenate([x1, x2], axis)


@public
def array_split(x: Any, indices_or_sections: Any, axis: int = 0) -> list[Tensor]:
    """Parts as equal as they can be, the larger ones first."""
    x = as_tensor(x)
    if not isinstance(indices_or_sections, int):
        raise TypeError(f"[array_split] expected indices_or_sections to be an int; received {indices_or_sections!r}")
    n, parts = x.shape[axis], indices_or_sections
    sizes = [n // parts + (i < n % parts) for i in range(parts)]
    return split(x, np.cumsum(sizes)[:-1].tolist(), axis)


@public
def vsplit(x: Any, indices_or_sections: Any) -> list[Tensor]:
    """Parts along the first axis."""
    return split(x, indices_or_sections, 0)


@public
def hsplit(x: Any, indices_or_sections: Any) -> list[Tensor]:
    """Parts along the second axis, or the only one."""
    x = as_tensor(x)
    return split(x, indices_or_sections, 0 if len(x.shape) == 1 else 1)


@public
def dsplit(x: Any, indices_or_sections: Any) -> list[Tensor]:
    """Parts along the third axis."""
    return split(x, indices_or_sections, 2)


@public
def fliplr(x: Any) -> Tensor:
    """The second axis reversed."""
    return flip(x, 1)


@public
def flipud(x: Any) -> Tensor:
    """The first axis reversed."""
    return flip(x, 0)


@public
def rot90(array: Any, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Tensor:
    """Rotates by 90 degrees k times, from the first towards the second axis."""
    x = as_tensor(array)
    if len(x.shape) < 2 or len(axes) != 2 or axes[0] % len(x.shape) == axes[1] % len(x.shape):
        raise ValueError(f"[rot90] expected at least 2-D input and two axes; received shape {x.shape}, axes {axes}")
    a, b = axes
    k %= 4
    if k == 0:
        return x
    if k == 2:
        return flip(x, axes)
    return swapaxes(flip(x, b), a, b) if k == 1 else flip(swapaxes(x, a, b), b)


@public
def diagflat(x: Any, k: int = 0) -> Tensor:
    """A matrix with the flattened elements on a diagonal."""
    return diag(ravel(x), k)


@public
def vander(x: Any, N: int | None = None, increasing: bool = False) -> Tensor:
    """Powers of a vector's elements as columns."""
    x = as_tensor(x)
    n = x.size if N is None else int(N)
    exponents = np.arange(n) if increasing else np.arange(n)[::-1]
    columns = [e.power(floating(x), int(i)) if i else p.broadcast_to(1.0, x.shape) for i in exponents]
    return cast(stack(columns, 1), x.dtype)


@public
def kron(x1: Any, x2: Any) -> Tensor:
    """Kronecker's product."""
    a, b = as_tensor(x1), as_tensor(x2)
    rank = max(len(a.shape), len(b.shape))
    m, n = ((1,) * (rank - len(t.shape)) + t.shape for t in (a, b))
    wide = e.multiply(
        p.reshape(a, tuple(k for i in m for k in (i, 1))), p.reshape(b, tuple(k for i in n for k in (1, i)))
    )
    return p.reshape(wide, tuple(i * j for i, j in zip(m, n, strict=True)))


@public
def diff(a: Any, n: int = 1, axis: int = -1) -> Tensor:
    """Differences of neighbours along an axis, n times over."""
    x = as_tensor(a)
    axis = normalize_axis("diff", axis, len(x.shape))
    for _ in range(n):
        size = tuple(m - (i == axis) for i, m in enumerate(x.shape))
        ahead = p.slice_(x, tuple(int(i == axis) for i in range(len(size))), size)
        x = e.subtract(ahead, p.slice_(x, (0,) * len(size), size))
    return x


@public
def cross(
    x1: Any, x2: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None
) -> Tensor:  # fmt: skip
    """The vector product along axes of extent 2 or 3."""
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = moveaxis(x1, axisa, -1), moveaxis(x2, axisb, -1)
    if a.shape[-1] not in (2, 3) or b.shape[-1] not in (2, 3):
        raise ValueError(f"[cross] expected vectors of 2 or 3; received shapes {a.shape} and {b.shape}")
    flat = a.shape[-1] == b.shape[-1] == 2
    u, v = ([t[..., i] if i < t.shape[-1] else 0.0 for i in range(3)] for t in (a, b))  # type: ignore[index]
    last = e.subtract(e.multiply(u[0], v[1]), e.multiply(u[1], v[0]))
    if flat:
        return last
    first = e.subtract(e.multiply(u[1], v[2]), e.multiply(u[2], v[1]))
    second = e.subtract(e.multiply(u[2], v[0]), e.multiply(u[0], v[2]))
    shape = last.shape
    return moveaxis(stack([p.broadcast_to(t, shape) for t in (first, second, last)], -1), -1, axisc)


@public
def unravel_index(indices: Any, shape: Sequence[int]) -> tuple[Tensor, ...]:
    """Positions in the flattened tensor as coordinates."""
    rest = cast(indices, "int32")
    coordinates = []
    for n in reversed(tuple(shape)):
        coordinates.append(e.mod(rest, int(n)))
        rest = e.floor_divide(rest, int(n))
    return tuple(reversed(coordinates))


def geomspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0
) -> Tensor:  # fmt: skip
    """Numbers evenly spaced on a logarithmic scale, from start to stop."""
    return _constant(np.geomspace(np.asarray(start), np.asarray(stop), num, endpoint, axis=axis), dtype or "float32")


@public
def depth_to_space(x: Any, block_size: int, data_format: str | None = "channels_last") -> Tensor:
    """Channels become blocks of pixels: [N, H, W, C * b * b] -> [N, H * b, W * b, C]."""
    x, b = _channels_last("depth_to_space", x, data_format), int(block_size)
    n, h, w, c = x.shape
    if b < 2 or c % (b * b):
        raise ValueError(f"[depth_to_space] {c} channels do not divide into blocks of {b} x {b} (2 x 2 at least)")
    k = c // (b * b)
    if data_format == "channels_first":  # there the channel is the slowest part, as in a pixel shuffle
        y = transpose(p.reshape(x, (n, h, w, k, b, b)), (0, 1, 4, 2, 5, 3))
    else:
        y = transpose(p.reshape(x, (n, h, w, b, b, k)), (0, 1, 3, 2, 4, 5))
    y = p.reshape(y, (n, h * b, w * b, k))
    return moveaxis(y, -1, 1) if data_format == "channels_first" else y


@public
def space_to_depth(x: Any, block_size: int, data_format: str | None = "channels_last") -> Tensor:
    """Blocks of pixels become channels: [N, H * b, W * b, C] -> [N, H, W, C * b * b]."""
    x, b = _channels_last("space_to_depth", x, data_format), int(block_size)
    n, h, w, c = x.shape
    if b < 2 or h % b or w % b:
        raise ValueError(
            f"[space_to_depth] an image of {h} x {w} does not divide into blocks of {b} x {b} (2 x 2 or more)"
        )
    order = (0, 1, 3, 5, 2, 4) if data_format == "channels_first" else (0, 1, 3, 2, 4, 5)
    y = transpose(p.reshape(x, (n, h // b, b, w // b, b, c)), order)
    y = p.reshape(y, (n, h // b, w // b, c * b * b))
    return moveaxis(y, -1, 1) if data_format == "channels_first" else y


def _channels_last(name: str, x: Any, data_format: str | None) -> Tensor:
    x = as_tensor(x)
    if len(x.shape) != 4:
        raise ValueError(f"[{name}] expected 4-D input; received shape {x.shape}")
    return moveaxis(x, 1, -1) if data_format == "channels_first" else x


__all__ = [
    "append", "array_split", "cross", "depth_to_space", "diagflat", "diff", "dsplit", "dstack", "fliplr", "flipud",
    "geomspace", "hsplit", "hstack", "kron", "rot90", "space_to_depth", "unravel_index", "vander", "vsplit", "vstack",
]  # fmt: skip
