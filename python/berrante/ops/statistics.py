"""Statistics beyond sums: quantiles, ranges, correlations, histograms, positions in sorted sequences, and NaN-blind kin."""

from __future__ import annotations

from math import prod as product
from typing import Any

import numpy as np

from berrante.graph import primitives as p
from berrante.graph.op import as_tensor
from berrante.graph.primitives import cast, floating
from berrante.graph.tensor import Tensor
from berrante.ops import elementwise as e
from berrante.ops import linalg, reduction
from berrante.ops.arithmetic import concrete
from berrante.ops.creation import _constant
from berrante.ops.public import public
from berrante.ops.reduction import Axis, normalize_axes
from berrante.ops.shape import diagonal, expand_dims, moveaxis, one_hot, ravel, stack, take, take_along_axis, transpose

_METHODS = ("linear", "lower", "higher", "midpoint", "nearest")


def _rows(x: Tensor, axes: tuple[int, ...]) -> tuple[Tensor, tuple[int, ...]]:
    """The reduced axes flattened to the last one, and the extents of the others."""
    rest = tuple(i for i in range(len(x.shape)) if i not in axes)
    moved = transpose(x, (*rest, *axes)) if rest + axes != tuple(range(len(x.shape))) else x
    extents = tuple(x.shape[i] for i in rest)
    return p.reshape(moved, (*extents, product(x.shape[i] for i in axes))), extents


@public
def quantile(x: Any, q: Any, axis: Axis = None, method: str = "linear", keepdims: bool = False) -> Tensor:
    """Values below which fractions q of the elements lie; several fractions make a leading axis."""
    if method not in _METHODS:
        raise ValueError(f"[quantile] expected method {', '.join(_METHODS)}; received {method!r}")
    x = floating(x)
    axes = normalize_axes("quantile", axis, len(x.shape))
    rows, extents = _rows(x, axes)
    ordered, n = reduction.sort(rows, -1), rows.shape[-1]
    (fractions,) = concrete("quantile", q)
    results = [_one_quantile(ordered, n, float(f), method) for f in np.atleast_1d(fractions)]
    shape = tuple(1 if i in axes else m for i, m in enumerate(x.shape)) if keepdims else extents
    results = [p.reshape(y, shape) for y in results]
    return results[0] if fractions.ndim == 0 else stack(results, 0)


def _one_quantile(ordered: Tensor, n: int, fraction: float, method: str) -> Tensor:
    place = min(max(fraction, 0.0), 1.0) * (n - 1)
    low, high = int(np.floor(place)), int(np.ceil(place))
    weight = {"linear": place - low, "lower": 0.0, "higher": 1.0, "midpoint": 0.5 if high > low else 0.0,
              "nearest": float(np.round(place) - low)}[method]  # fmt: skip
    a, b = (take(ordered, np.asarray([i], np.int32), -1) for i in (low, high))
    return e.add(e.multiply(a, 1.0 - weight), e.multiply(b, weight))


@public
def percentile(x: Any, q: Any, axis: Axis = None, method: str = "linear", keepdims: bool = False) -> Tensor:
    """quantile of q / 100."""
    (percents,) = concrete("percentile", q)
    return quantile(x, percents / np.float32(100.0), axis, method, keepdims)


@public
def ptp(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The largest minus the smallest element."""
    return e.subtract(reduction.max(x, axis, keepdims), reduction.min(x, axis, keepdims))


@public
def corrcoef(x: Any) -> Tensor:
    """Pearson's correlations between rows."""
    x = floating(x)
    x = p.reshape(x, (1, x.size)) if len(x.shape) < 2 else x
    centred = e.subtract(x, reduction.mean(x, 1, keepdims=True))
    c = linalg.matmul(centred, transpose(centred))
    deviation = e.sqrt(diagonal(c))
    y = e.divide(e.divide(c, expand_dims(deviation, 1)), expand_dims(deviation, 0))
    y = e.clip(y, -1.0, 1.0)
    return p.reshape(y, ()) if y.size == 1 else y


@public
def correlate(x1: Any, x2: Any, mode: str = "valid") -> Tensor:
    """The cross-correlation of two vectors: valid, same or full."""
    from berrante.ops.conv import conv

    a, b = floating(x1), floating(x2)
    if len(a.shape) != 1 or len(b.shape) != 1 or mode not in ("valid", "same", "full"):
        raise ValueError(f"[correlate] expected two vectors and mode valid, same or full; received {a.shape}, {mode!r}")
    m, n = a.size, b.size
    padded = p.pad_to(a, (m + 2 * (n - 1),), (n - 1,))
    full = p.reshape(conv(p.reshape(padded, (1, -1, 1)), p.reshape(b, (n, 1, 1))), (m + n - 1,))
    if mode == "full":
        return full
    size = max(m, n) if mode == "same" else max(m, n) - min(m, n) + 1
    start = (m + n - 1 - size) // 2 if m >= n or mode == "valid" else (m + n - size) // 2
    return p.slice_(full, (start,), (size,))


@public
def trapezoid(y: Any, x: Any = None, dx: float = 1.0, axis: int = -1) -> Tensor:
    """The integral by the trapezoidal rule."""
    from berrante.ops.joining import diff

    y = moveaxis(floating(y), axis, -1)
    step: Any = dx
    if x is not None:
        x = floating(x)
        step = diff(x if len(x.shape) == 1 else moveaxis(x, axis, -1))
    n = y.shape[-1]
    ahead, behind = y[..., 1:], y[..., : n - 1]  # type: ignore[index]
    return reduction.sum(e.multiply(e.multiply(e.add(ahead, behind), 0.5), step), -1)


# --- counting and searching -----------------------------------------------------------------------------------------


@public
def bincount(x: Any, weights: Any = None, minlength: int = 0, sparse: bool = False) -> Tensor:
    """How often each whole number occurs (or the sum of its weights), along the last axis; the range needs values."""
    (values,) = concrete("bincount", x)
    n = max(int(values.max(initial=-1)) + 1, int(minlength or 0))
    hot = one_hot(x, n, dtype="float32")
    if weights is None:
        return cast(reduction.sum(hot, -2), "int32")
    return reduction.sum(e.multiply(hot, expand_dims(weights, -1)), -2)


@public
def searchsorted(sorted_sequence: Any, values: Any, side: str = "left") -> Tensor:
    """Where values would go into a sorted vector, int32."""
    edges, v = as_tensor(sorted_sequence), as_tensor(values)
    if len(edges.shape) != 1:
        raise ValueError(f"[searchsorted] expected a 1-D sorted sequence; received shape {edges.shape}")
    if side not in ("left", "right"):
        raise ValueError(f"[searchsorted] expected side left or right; received {side!r}")
    wide = expand_dims(v, -1)
    below = e.less(edges, wide) if side == "left" else e.less_equal(edges, wide)
    return reduction.sum(cast(below, "int32"), -1)


@public
def digitize(x: Any, bins: Any) -> Tensor:
    """The number of the bin of each element: how many edges it reaches."""
    return searchsorted(bins, x, "right")


def histogram(x: Any, bins: int = 10, range: Any = None) -> tuple[Tensor, Tensor]:
    """Counts of equal bins, and their edges. Of concrete tensors."""
    if not isinstance(bins, int) or isinstance(bins, bool):
        raise TypeError(f"[histogram] expected bins to be an int; received {bins!r}")
    if bins < 1:
        raise ValueError(f"[histogram] expected bins above 0; received {bins}")
    (values,) = concrete("histogram", x)
    counts, edges = np.histogram(values, bins, range)
    return _constant(counts, "int32"), _constant(edges, "float32")


@public
def isin(x1: Any, x2: Any, assume_unique: bool = False, invert: bool = False) -> Tensor:
    """Whether each element of x1 is among those of x2."""
    found = reduction.any(e.equal(expand_dims(as_tensor(x1), -1), ravel(x2)), -1)
    return e.logical_not(found) if invert else found


@public
def argpartition(x: Any, kth: int, axis: int = -1) -> Tensor:
    """Positions with the kth smallest element at its place, smaller ones before it (a full sort does it)."""
    return reduction.argsort(x, axis)


def nonzero(x: Any) -> tuple[Tensor, ...]:
    """Coordinates of the elements that are not 0. Of concrete tensors."""
    (values,) = concrete("nonzero", x)
    return tuple(_constant(i, "int32") for i in np.nonzero(values))


def unique(
    x: Any, sorted: bool = True, return_index: bool = False, return_inverse: bool = False,
    return_counts: bool = False, axis: int | None = None, size: int | None = None, fill_value: Any = None,
) -> Any:  # fmt: skip
    """The different elements, ascending; positions, inverse and counts on request. Of concrete tensors."""
    (values,) = concrete("unique", x)
    found = np.unique(values, True, True, True, axis=axis)
    if size is not None:
        raise ValueError("[unique] size is not supported")
    wanted = [found[0]] + [y for y, want in zip(found[1:], (return_index, return_inverse, return_counts)) if want]
    tensors = tuple(as_tensor(y) for y in wanted)
    return tensors[0] if len(tensors) == 1 else tensors


# --- without NaN ----------------------------------------------------------------------------------------------------


def _filled(x: Any, value: float) -> tuple[Tensor, Tensor]:
    x = floating(x)
    hole = e.isnan(x)
    return e.where(hole, value, x), e.logical_not(hole)


@public
def nansum(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The sum of what is not NaN."""
    return reduction.sum(_filled(x, 0.0)[0], axis, keepdims)


@public
def nanprod(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The product of what is not NaN."""
    return reduction.prod(_filled(x, 1.0)[0], axis, keepdims=keepdims)


@public
def nanmean(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The mean of what is not NaN."""
    y, kept = _filled(x, 0.0)
    return e.divide(reduction.sum(y, axis, keepdims), reduction.sum(floating(kept), axis, keepdims))


@public
def nanvar(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The (biased) variance of what is not NaN."""
    y, kept = _filled(x, 0.0)
    d = e.where(kept, e.subtract(y, nanmean(x, axis, keepdims=True)), 0.0)
    count = reduction.sum(floating(kept), axis, keepdims)
    return e.divide(reduction.sum(e.square(d), axis, keepdims), count)


@public
def nanstd(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The (biased) standard deviation of what is not NaN."""
    return e.sqrt(nanvar(x, axis, keepdims))


def _nan_extreme(x: Any, axis: Axis, keepdims: bool, worst: float, function: Any) -> Tensor:
    y, kept = _filled(x, worst)
    return e.where(reduction.any(kept, axis, keepdims), function(y, axis, keepdims), float("nan"))


@public
def nanmax(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The largest element that is not NaN; NaN where there is none."""
    return _nan_extreme(x, axis, keepdims, float("-inf"), reduction.max)


@public
def nanmin(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The smallest element that is not NaN; NaN where there is none."""
    return _nan_extreme(x, axis, keepdims, float("inf"), reduction.min)


@public
def nanargmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The position of the first largest element that is not NaN; -1 where there is none."""
    y, kept = _filled(x, float("-inf"))
    return e.where(reduction.any(kept, axis, keepdims), reduction.argmax(y, axis, keepdims), -1)


@public
def nanargmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The position of the first smallest element that is not NaN; -1 where there is none."""
    y, kept = _filled(x, float("inf"))
    return e.where(reduction.any(kept, axis, keepdims), reduction.argmin(y, axis, keepdims), -1)


@public
def nancumsum(x: Any, axis: int | None = None, dtype: Any = None) -> Tensor:
    """Running sums, NaN taken as 0."""
    return reduction.cumsum(_filled(x, 0.0)[0], axis, dtype)


@public
def nancumprod(x: Any, axis: int | None = None, dtype: Any = None) -> Tensor:
    """Running products, NaN taken as 1."""
    return reduction.cumprod(_filled(x, 1.0)[0], axis, dtype)


@public
def nanmedian(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The median of what is not NaN."""
    return nanquantile(x, 0.5, axis, keepdims=keepdims)


@public
def nanquantile(x: Any, q: Any, axis: Axis = None, method: str = "linear", keepdims: bool = False) -> Tensor:
    """quantile of what is not NaN."""
    if method not in _METHODS:
        raise ValueError(f"[nanquantile] expected method {', '.join(_METHODS)}; received {method!r}")
    x = floating(x)
    axes = normalize_axes("nanquantile", axis, len(x.shape))
    rows, extents = _rows(x, axes)
    y, kept = _filled(rows, float("inf"))
    ordered = reduction.sort(y, -1)
    count = reduction.sum(floating(kept), -1, keepdims=True)
    (fractions,) = concrete("nanquantile", q)
    results = []
    for fraction in np.atleast_1d(fractions):
        place = e.multiply(e.maximum(e.subtract(count, 1.0), 0.0), float(fraction))
        low, high = e.floor(place), e.ceil(place)
        a, b = (take_along_axis(ordered, cast(i, "int32"), -1) for i in (low, high))
        weight = {"linear": e.subtract(place, low), "lower": e.multiply(low, 0.0), "nearest": e.subtract(e.round(place), low),
                  "higher": e.subtract(high, low), "midpoint": e.multiply(e.subtract(high, low), 0.5)}[method]  # fmt: skip
        y = e.where(e.equal(weight, 0.0), a, e.add(e.multiply(a, e.subtract(1.0, weight)), e.multiply(b, weight)))
        results.append(e.where(e.greater(count, 0.0), y, float("nan")))
    shape = tuple(1 if i in axes else m for i, m in enumerate(x.shape)) if keepdims else extents
    results = [p.reshape(y, shape) for y in results]
    return results[0] if fractions.ndim == 0 else stack(results, 0)


@public
def nanpercentile(x: Any, q: Any, axis: Axis = None, method: str = "linear", keepdims: bool = False) -> Tensor:
    """nanquantile of q / 100."""
    (percents,) = concrete("nanpercentile", q)
    return nanquantile(x, percents / np.float32(100.0), axis, method, keepdims)


__all__ = [
    "argpartition", "bincount", "corrcoef", "correlate", "digitize", "histogram", "isin", "nanargmax", "nanargmin",
    "nancumprod", "nancumsum", "nanmax", "nanmean", "nanmedian", "nanmin", "nanpercentile", "nanprod", "nanquantile",
    "nanstd", "nansum", "nanvar", "nonzero", "percentile", "ptp", "quantile", "searchsorted", "trapezoid", "unique",
]  # fmt: skip
