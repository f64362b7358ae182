"""K's arithmetic: elementwise functions, reductions, products, shapes."""

from __future__ import annotations

from typing import Any

import numpy as np

from berrante import ops
from berrante.compat.backend.state import floatx
from berrante.compat.backend.updates import kept
from berrante.graph.op import as_tensor
from berrante.graph.tensor import standard_dtype
from berrante.graph.variable import Variable
from berrante.ops.public import public

square, exp, log, sign, sin, cos = ops.square, ops.exp, ops.log, ops.sign, ops.sin, ops.cos
equal, not_equal, greater, greater_equal = ops.equal, ops.not_equal, ops.greater, ops.greater_equal
less, less_equal, maximum, minimum = ops.less, ops.less_equal, ops.maximum, ops.minimum


def abs(x: Any) -> Any:
    """|x|."""
    return ops.absolute(x)


def round(x: Any) -> Any:
    """The nearest whole number, halves to even."""
    return ops.round(x)


@public
def sqrt(x: Any) -> Any:
    """The square root; 0 for negative numbers, as Keras 2 has it."""
    return ops.sqrt(ops.maximum(x, 0.0))


def pow(x: Any, a: Any) -> Any:
    """x to the power a."""
    return ops.power(x, a)


def clip(x: Any, min_value: Any, max_value: Any) -> Any:
    """x within bounds; a bound of None is no bound."""
    low = -float("inf") if min_value is None else min_value
    high = float("inf") if max_value is None else max_value
    if isinstance(low, (int, float)) and isinstance(high, (int, float)) and high < low:
        high = low
    return ops.clip(x, low, high)


def _axes(axis: Any) -> Any:
    return tuple(axis) if isinstance(axis, list) else axis


def _float(x: Any) -> Any:
    return ops.cast(x, "float32") if getattr(x, "dtype", "float32") == "bool" else x


def max(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The largest."""
    return ops.max(x, axis=_axes(axis), keepdims=keepdims)


def min(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The smallest."""
    return ops.min(x, axis=_axes(axis), keepdims=keepdims)


def sum(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The sum."""
    return ops.sum(_float(x), axis=_axes(axis), keepdims=keepdims)


def prod(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The product."""
    return ops.prod(x, axis=_axes(axis), keepdims=keepdims)


def mean(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The mean."""
    return ops.mean(_float(x), axis=_axes(axis), keepdims=keepdims)


def var(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The variance."""
    return ops.var(_float(x), axis=_axes(axis), keepdims=keepdims)


def std(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The standard deviation."""
    return ops.sqrt(var(x, axis, keepdims))


def any(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Whether any holds."""
    return ops.any(ops.cast(x, "bool"), axis=_axes(axis), keepdims=keepdims)


def all(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Whether all hold."""
    return ops.all(ops.cast(x, "bool"), axis=_axes(axis), keepdims=keepdims)


def argmax(x: Any, axis: int = -1) -> Any:
    """The place of the largest."""
    return ops.argmax(x, axis)


def argmin(x: Any, axis: int = -1) -> Any:
    """The place of the smallest."""
    return ops.argmin(x, axis)


def cumsum(x: Any, axis: int = 0) -> Any:
    """Running sums."""
    return ops.cumsum(x, axis)


def cumprod(x: Any, axis: int = 0) -> Any:
    """Running products."""
    return ops.cumprod(x, axis)


def logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """log(sum(exp(x)))."""
    return ops.logsumexp(x, axis=_axes(axis), keepdims=keepdims)


def cast(x: Any, dtype: Any) -> Any:
    """x in another element type."""
    return ops.cast(x, dtype)


def identity(x: Any, name: Any = None) -> Any:
    """x."""
    return ops.copy(x)


# --- making tensors -------------------------------------------------------------------------------------------------


def _made(value: Any, dtype: Any, name: Any) -> Variable:
    return kept(lambda: Variable(np.asarray(value), dtype=standard_dtype(dtype or floatx()), name=name or "Variable"))


def zeros(shape: Any, dtype: Any = None, name: Any = None) -> Variable:
    """A variable of zeros."""
    return _made(np.zeros(tuple(int(n) for n in shape)), dtype, name)


def ones(shape: Any, dtype: Any = None, name: Any = None) -> Variable:
    """A variable of ones."""
    return _made(np.ones(tuple(int(n) for n in shape)), dtype, name)


def eye(size: Any, dtype: Any = None, name: Any = None) -> Variable:
    """A variable that holds the identity matrix."""
    n, m = size if isinstance(size, (list, tuple)) else (size, size)
    return _made(np.eye(n, m), dtype, name)


def zeros_like(x: Any, dtype: Any = None, name: Any = None) -> Any:
    """Zeros of x's shape."""
    return ops.zeros_like(x, dtype)


def ones_like(x: Any, dtype: Any = None, name: Any = None) -> Any:
    """Ones of x's shape."""
    return ops.ones_like(x, dtype)


def arange(start: Any, stop: Any = None, step: Any = 1, dtype: Any = "int32") -> Any:
    """Evenly spaced numbers."""
    return ops.cast(np.arange(start) if stop is None else np.arange(start, stop, step), dtype)


# --- products -------------------------------------------------------------------------------------------------------


@public
def dot(x: Any, y: Any) -> Any:
    """The product of x's last dimension with y's last but one."""
    x, y = as_tensor(x), as_tensor(y)
    return ops.matmul(x, y) if len(y.shape) <= 2 else ops.tensordot(x, y, [[len(x.shape) - 1], [len(y.shape) - 2]])


@public
def batch_dot(x: Any, y: Any, axes: Any = None) -> Any:
    """For each sample the product over one axis of x and one of y (by default x's last and y's second)."""
    x, y = as_tensor(x), as_tensor(y)
    a, b = len(x.shape), len(y.shape)
    if axes is None:
        axes = (a - 1, 1 if b == 2 else b - 2)
    ia, ib = (axes, axes) if isinstance(axes, int) else axes
    ia, ib = ia % a, ib % b
    if x.shape[ia] != y.shape[ib]:
        raise ValueError(f"batch_dot: shapes {x.shape} and {y.shape} do not fit along axes {(ia, ib)}")
    if a == b == 2:  # one number for what is left of each sample
        result = ops.sum(ops.multiply(x if ia else ops.transpose(x), y if ib else ops.transpose(y)), axis=1)
        return ops.expand_dims(result, 1)
    left, right = "nabcde"[:a], "nuvwxy"[:b]
    left, right = left[:ia] + "k" + left[ia + 1 :], right[:ib] + "k" + right[ib + 1 :]
    result = ops.einsum(f"{left},{right}->n{(left[1:] + right[1:]).replace('k', '')}", x, y)
    return ops.expand_dims(result, 1) if len(result.shape) == 1 else result


def transpose(x: Any) -> Any:
    """Dimensions in reverse order."""
    return ops.transpose(x)


def gather(reference: Any, indices: Any) -> Any:
    """Rows of a table."""
    return ops.take(reference, indices, axis=0)


# --- shapes ---------------------------------------------------------------------------------------------------------


@public
def concatenate(tensors: Any, axis: int = -1) -> Any:
    """Tensors one after the other."""
    return ops.concatenate(tensors, axis)


@public
def reshape(x: Any, shape: Any) -> Any:
    """Another shape."""
    return ops.reshape(x, tuple(int(n) for n in shape))


def permute_dimensions(x: Any, pattern: Any) -> Any:
    """Dimensions in another order."""
    return ops.transpose(x, tuple(pattern))


def repeat_elements(x: Any, rep: int, axis: int) -> Any:
    """Each element `rep` times along an axis."""
    return ops.repeat(x, rep, axis)


@public
def repeat(x: Any, n: int) -> Any:
    """[N, K] -> [N, n, K]."""
    x = as_tensor(x)
    if len(x.shape) != 2:
        raise ValueError(f"K.repeat: expected 2-D input; received shape {x.shape}")
    return ops.repeat(ops.expand_dims(x, 1), n, 1)


@public
def tile(x: Any, n: Any) -> Any:
    """x repeated; an int repeats the last dimension."""
    x = as_tensor(x)
    return ops.tile(x, [n] if isinstance(n, int) else list(n))


@public
def flatten(x: Any) -> Any:
    """One dimension."""
    return ops.reshape(x, (-1,))


@public
def batch_flatten(x: Any) -> Any:
    """[N, ...] -> [N, elements]."""
    x = as_tensor(x)
    return ops.reshape(x, (x.shape[0], int(np.prod(x.shape[1:]))))


def expand_dims(x: Any, axis: int = -1) -> Any:
    """A further dimension of 1."""
    return ops.expand_dims(x, axis)


def squeeze(x: Any, axis: int) -> Any:
    """Without a dimension of 1."""
    return ops.squeeze(x, axis)


def stack(x: Any, axis: int = 0) -> Any:
    """Tensors along a new dimension."""
    return ops.stack(x, axis)


def one_hot(indices: Any, num_classes: int) -> Any:
    """Rows of 0 with a 1."""
    return ops.one_hot(ops.cast(indices, "int32"), num_classes)


def reverse(x: Any, axes: Any) -> Any:
    """The other way round along axes."""
    return ops.flip(x, axis=(axes,) if isinstance(axes, int) else tuple(axes))


@public
def slice(x: Any, start: Any, size: Any) -> Any:
    """A block from `start` of extents `size` (-1: to the end)."""
    x = as_tensor(x)
    start = [int(s) for s in start]
    extents = [x.shape[i] - s if int(n) == -1 else int(n) for i, (s, n) in enumerate(zip(start, size))]
    return ops.slice(x, start, extents)


@public
def temporal_padding(x: Any, padding: Any = (1, 1)) -> Any:
    """Zeros before and after the middle dimension of [N, L, C]."""
    return ops.pad(x, ((0, 0), tuple(padding), (0, 0)))


@public
def spatial_2d_padding(x: Any, padding: Any = ((1, 1), (1, 1)), data_format: Any = None) -> Any:
    """Zeros around images."""
    from berrante.compat.backend.state import normalize_data_format

    rows, columns = (tuple(p) for p in padding)
    if normalize_data_format(data_format) == "channels_first":
        return ops.pad(x, ((0, 0), (0, 0), rows, columns))
    return ops.pad(x, ((0, 0), rows, columns, (0, 0)))
