"""Affine maps of images, in NumPy: where does each pixel of the result come from, and what is there?

The place in the source is a linear map of the row and column; between its pixels a B-spline of order 0 (nearest) to 5
interpolates, and outside its borders a fill mode continues it. All of it follows scipy.ndimage.affine_transform (whose
documentation is the specification), in float64. Places and weights are computed once for all channels; each of the
(order + 1)^2 taps gathers rows of channels, so images are [height, width, channels] here.
"""

from __future__ import annotations

import math

import numpy as np

FILL_MODES = ("constant", "nearest", "reflect", "mirror", "wrap")

# Poles of the recursive filters that turn samples into B-spline coefficients (Unser, 1999).
_POLES = {
    2: (math.sqrt(8) - 3,),
    3: (math.sqrt(3) - 2,),
    4: (
        math.sqrt(664 - math.sqrt(438976)) + math.sqrt(304) - 19,
        math.sqrt(664 + math.sqrt(438976)) - math.sqrt(304) - 19,
    ),
    5: (
        math.sqrt(67.5 - math.sqrt(4436.25)) + math.sqrt(26.25) - 6.5,
        math.sqrt(67.5 + math.sqrt(4436.25)) - math.sqrt(26.25) - 6.5,
    ),
}
_BAND = 8192  # pixels whose taps are gathered at once, so that what lies between stays in the cache
_PAD = 12  # pixels repeated around an image in mode "nearest", after which the spline's border no longer shows


def _fold(place: np.ndarray, size: int, mode: str) -> np.ndarray:
    """Places outside [0, size - 1] mapped to where the fill mode takes their values from."""
    last = size - 1
    if mode == "nearest":
        return np.clip(place, 0, last)
    if size == 1:
        return np.zeros_like(place)
    period = {"wrap": last, "mirror": 2 * last, "reflect": 2 * size}[mode]
    low, high = place < 0, place > last
    if mode == "wrap":
        up = place + period * (np.trunc(-place / period) + 1)
        return np.where(low, up, np.where(high, place - period * np.trunc(place / period), place))
    up = place + period * np.trunc(-place / period)
    down = place - period * np.trunc(place / period)
    if mode == "mirror":
        up = np.where(up <= 1 - size, up + period, -up)
        down = np.where(down >= size, period - down, down)
    else:
        near = np.where(up > -np.finfo(float).eps, np.finfo(float).eps, -up) - 1
        up = np.where(up < -size, up + period, near)
        down = np.where(down >= size, period - down - 1, down)
    return np.where(low, up, np.where(high, down, place))


def _spline_weights(place: np.ndarray, order: int) -> list[np.ndarray]:
    """The B-spline's order + 1 weights at each place; they add up to 1."""
    x = place - np.floor(place if order % 2 else place + 0.5)
    if order == 1:
        return [1.0 - x, x]
    taps = [_b_spline(x + (order // 2 - k), order) for k in range(order)]
    return [*taps, 1.0 - np.sum(taps, axis=0)]


def _b_spline(x: np.ndarray, order: int) -> np.ndarray:
    """The centred B-spline, by its truncated powers."""
    total = np.zeros_like(x)
    for k in range(order + 2):
        power = np.maximum(x + (order + 1) / 2 - k, 0.0) ** order
        total += (-1) ** k * math.comb(order + 1, k) * power
    return total / math.factorial(order)


def _coefficients(image: np.ndarray, order: int, mode: str) -> np.ndarray:
    """The B-spline coefficients whose spline passes through the samples along rows and columns."""
    image = image.astype(np.float64)
    for axis in (0, 1):
        lines = np.moveaxis(image, axis, 0)
        if len(lines) == 1:
            continue
        for pole in _POLES[order]:
            lines *= (1 - pole) * (1 - 1 / pole)
        for pole in _POLES[order]:
            _filter(lines, pole, mode)
    return image


def _filter(c: np.ndarray, pole: float, mode: str) -> None:
    """One pole, forwards and backwards along the first axis, in place; the border is mirrored or reflected."""
    n = len(c)
    powers = pole ** np.arange(n, dtype=np.float64).reshape(-1, *(1,) * (c.ndim - 1))
    if mode in ("nearest", "reflect"):
        first = (c * powers + c[::-1] * powers * pole**n).sum(0) * pole / (1 - pole ** (2 * n)) + c[0]
    else:
        inner = (c[1:-1] * powers[1:-1] + c[1:-1] * pole ** (2 * (n - 1)) / powers[1:-1]).sum(0)
        first = (c[0] + pole ** (n - 1) * c[-1] + inner) / (1 - pole ** (2 * (n - 1)))
    c[0] = first
    for i in range(1, n):
        c[i] += pole * c[i - 1]
    if mode in ("nearest", "reflect"):
        c[-1] *= pole / (pole - 1)
    else:
        c[-1] = (pole * c[-2] + c[-1]) * pole / (pole * pole - 1)
    for i in range(n - 2, -1, -1):
        c[i] = pole * (c[i + 1] - c[i])


def _taps(place: np.ndarray, size: int, order: int, mode: str) -> list[np.ndarray]:
    """The index of each of the order + 1 pixels that meet at a place."""
    start = np.floor(place if order % 2 else place + 0.5) - order // 2
    border = "mirror" if mode in ("constant", "wrap") else mode
    return [_fold(start + k, size, border).astype(np.intp) for k in range(order + 1)]


def _rounded(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    if dtype.kind not in "iu":
        return values.astype(dtype)
    limits = np.iinfo(dtype)
    return np.clip(np.trunc(values + np.copysign(0.5, values)), limits.min, limits.max).astype(dtype)


def affine_transform(
    image: np.ndarray, matrix: np.ndarray, offset: np.ndarray, order: int = 1, mode: str = "nearest", cval: float = 0.0
) -> np.ndarray:
    """The image [H, W, C] whose pixel at p is the source's value at matrix @ p + offset; same shape and dtype.

    matrix: [2, 2], offset: [2], for (row, column). order: of the spline, 0 to 5. mode: one of FILL_MODES; cval fills
    what "constant" leaves outside.
    """
    if mode not in FILL_MODES:
        raise ValueError(f"fill_mode: expected one of {', '.join(FILL_MODES)}; received {mode!r}")
    if order not in range(6):
        raise ValueError(f"interpolation order: expected 0 to 5; received {order!r}")
    height, width, channels = image.shape
    source = image
    shift = 0
    if order > 1:
        if mode == "nearest":
            shift = _PAD
            source = np.pad(image, ((_PAD, _PAD), (_PAD, _PAD), (0, 0)), mode="edge")
        source = _coefficients(source, order, mode)
    result = np.empty_like(image)
    lines = np.ascontiguousarray(source).reshape(-1, channels)
    band = max(1, _BAND // width)
    for top in range(0, height, band):
        rows = np.arange(top, min(top + band, height), dtype=np.float64)[:, None]
        places = [
            offset[axis] + matrix[axis, 0] * rows + matrix[axis, 1] * np.arange(width, dtype=np.float64) + shift
            for axis in (0, 1)
        ]
        result[top : top + band] = _rounded(_sample(lines, places, source.shape[:2], order, mode, cval), image.dtype)
    return result


def _sample(
    lines: np.ndarray, places: list[np.ndarray], size: tuple[int, ...], order: int, mode: str, cval: float
) -> np.ndarray:
    """The spline's values [rows, columns, C] at the places; lines: the coefficients, [H * W, C]."""
    outside = np.zeros(places[0].shape, bool)
    weights, taps = [], []
    for place, extent in zip(places, size):
        if mode == "constant":
            beyond = (place < 0) | (place > extent - 1)
            outside |= beyond
            place = np.where(beyond, 0.0, place)
        else:
            place = _fold(place, extent, mode)
        taps.append(_taps(place, extent, order, mode))
        weights.append(_spline_weights(place, order) if order else [np.ones(())])
    total = np.zeros((*outside.shape, lines.shape[1]))
    for i, down in zip(taps[0], weights[0]):
        start = i * size[1]
        for j, across in zip(taps[1], weights[1]):
            total += np.take(lines, start + j, axis=0) * (down * across)[..., None]
    if mode == "constant":
        total[outside] = cval
    return total
