"""Images read at other places: affine transformations and map_coordinates, with the semantics of keras.ops.image.

An output element is read from the input at a real coordinate, from the nearest element or linearly between neighbours;
a fill mode says what lies outside. Gradients flow to the image and, for linear reading, to the coordinates.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from math import prod
from typing import Any

from berrante.graph import primitives as p
from berrante.graph.op import as_tensor
from berrante.graph.primitives import cast, floating
from berrante.graph.tensor import Tensor
from berrante.ops import elementwise as e
from berrante.ops.creation import arange
from berrante.ops.public import public
from berrante.ops.shape import moveaxis, stack, take

FILL_MODES = ("constant", "nearest", "wrap", "mirror", "reflect")


def _inside(i: Tensor, n: int, mode: str) -> Tensor:
    """Whole positions brought into [0, n) by a fill mode."""
    if mode in ("constant", "nearest") or n == 1:
        return e.clip(i, 0, n - 1)
    if mode == "wrap":
        return e.mod(i, n)
    if mode == "mirror":  # the border element is not repeated
        return _mirror(i, n)
    return e.floor_divide(_mirror(e.add(e.multiply(i, 2), 1), 2 * n + 1), 2)


def _mirror(i: Tensor, n: int) -> Tensor:
    return e.absolute(e.subtract(e.mod(e.add(i, n - 1), 2 * (n - 1)), n - 1))


def _read(
    flat: Tensor, base: Any, coordinates: Sequence[Tensor], extents: Sequence[int], order: int, mode: str, value: float
) -> Tensor:  # fmt: skip
    """Rows of flat [M, ...] at coordinates within blocks of `extents` that begin at `base`."""
    strides = [prod(extents[d + 1 :]) for d in range(len(extents))]
    choices = []
    for x in coordinates:
        if order == 0:  # halves away from 0
            whole = cast(e.multiply(e.sign(x), e.floor(e.add(e.absolute(x), 0.5))), "int32")
            choices.append([(whole, None)])
        else:
            low = e.floor(x)
            high = e.subtract(x, low)
            first = cast(low, "int32")
            choices.append([(first, e.subtract(1.0, high)), (e.add(first, 1), high)])
    total: Any = None
    for corner in itertools.product(*choices):
        place, known, weight = base, None, None
        for (i, w), n, stride in zip(corner, extents, strides, strict=True):
            place = e.add(place, e.multiply(_inside(i, n, mode), stride))
            if mode == "constant":
                own = e.logical_and(e.greater_equal(i, 0), e.less(i, n))
                known = own if known is None else e.logical_and(known, own)
            if w is not None:
                weight = w if weight is None else e.multiply(weight, w)
        y = take(flat, place, 0)
        extra = (1,) * (len(y.shape) - len(coordinates[0].shape))
        if known is not None:
            y = e.where(p.reshape(known, known.shape + extra), y, value)
        if weight is not None:
            y = e.multiply(y, p.reshape(weight, weight.shape + extra))
        total = y if total is None else e.add(total, y)
    result: Tensor = total
    return result


def _check_fill(name: str, mode: str) -> None:
    if mode not in FILL_MODES:
        raise ValueError(f"[{name}] expected fill_mode {', '.join(FILL_MODES)}; received {mode!r}")


@public
def map_coordinates(
    inputs: Any, coordinates: Any, order: int, fill_mode: str = "constant", fill_value: float = 0.0
) -> Tensor:  # fmt: skip
    """inputs read at coordinates [rank, ...]: order 0 takes the nearest element, 1 interpolates linearly."""
    x, c = as_tensor(inputs), floating(coordinates)
    _check_fill("map_coordinates", fill_mode)
    if len(c.shape) < 2 or c.shape[0] != len(x.shape):
        raise ValueError(
            f"[map_coordinates] expected coordinates of shape ({len(x.shape)}, ...); received shape {c.shape}"
        )
    if order not in (0, 1):
        raise ValueError(f"[map_coordinates] expected order 0 or 1; received {order!r}")
    rows = [p.reshape(take(c, i, 0), c.shape[1:]) for i in range(len(x.shape))]
    y = _read(cast(p.reshape(x, (x.size,)), "float32"), 0, rows, x.shape, order, fill_mode, float(fill_value))
    return cast(y, x.dtype)


@public
def affine_transform(
    images: Any, transform: Any, interpolation: str = "bilinear", fill_mode: str = "constant",
    fill_value: float = 0.0, data_format: str | None = None,
) -> Tensor:  # fmt: skip
    """Images [(N,) H, W, C] by matrices [(N,) 8] of a0, a1, a2, b0, b1, b2, c0, c1.

    Output (x, y) is read at (a0 x + a1 y + a2, b0 x + b1 y + b2); c0 and c1 must be 0, as in Keras.
    """
    _check_fill("affine_transform", fill_mode)
    if interpolation not in ("nearest", "bilinear"):
        raise ValueError(f"[affine_transform] expected interpolation nearest or bilinear; received {interpolation!r}")
    x, t = as_tensor(images), floating(transform)
    if len(x.shape) not in (3, 4) or len(t.shape) not in (1, 2):
        raise ValueError(
            f"[affine_transform] expected 3-D or 4-D images and 1-D or 2-D transform; received shapes {x.shape}, {t.shape}"
        )
    one = len(x.shape) == 3
    x = p.reshape(x, (1, *x.shape)) if one else x
    t = p.reshape(t, (1, *t.shape)) if len(t.shape) == 1 else t
    x = moveaxis(x, 1, -1) if data_format == "channels_first" else x
    n, h, w, c = x.shape
    a0, a1, a2, b0, b1, b2 = (p.reshape(p.slice_(t, (0, i), (t.shape[0], 1)), (t.shape[0], 1, 1)) for i in range(6))
    row, column = p.reshape(arange(h, dtype="float32"), (1, h, 1)), p.reshape(arange(w, dtype="float32"), (1, 1, w))
    at_x = e.add(e.add(e.multiply(column, a0), e.multiply(row, a1)), a2)
    at_y = e.add(e.add(e.multiply(column, b0), e.multiply(row, b1)), b2)
    at_x, at_y = (p.broadcast_to(v, (n, h, w)) for v in (at_x, at_y))
    base = p.reshape(e.multiply(arange(n), h * w), (n, 1, 1))
    order = 0 if interpolation == "nearest" else 1
    flat = cast(p.reshape(x, (n * h * w, c)), "float32")
    y = cast(_read(flat, base, [at_y, at_x], (h, w), order, fill_mode, float(fill_value)), x.dtype)
    y = moveaxis(y, -1, 1) if data_format == "channels_first" else y
    return p.reshape(y, y.shape[1:]) if one else y


def matrices(a0: Any, a1: Any, a2: Any, b0: Any, b1: Any, b2: Any) -> Tensor:
    """Transforms [N, 8] for affine_transform from vectors [N]."""
    zero = e.multiply(a0, 0.0)
    return stack([a0, a1, a2, b0, b1, b2, zero, zero], 1)
