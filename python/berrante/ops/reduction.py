"""Reductions and scans along axes, with the names and semantics of keras.ops."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod as product
from typing import Any

from berrante.graph.formats import is_float
from berrante.graph.op import KernelCall, Op, as_tensor
from berrante.graph.primitives import REDUCTIONS, cast, collapse, floating, reduce, reshape, slice_, stop_gradient
from berrante.graph.tensor import Node, Tensor, TensorSpec
from berrante.ops import elementwise as e
from berrante.ops.public import public

Axis = int | Sequence[int] | None


def normalize_axis(name: str, axis: int, rank: int) -> int:
    """A non-negative axis; raises ValueError outside the rank."""
    if not -rank <= axis < rank:
        raise ValueError(f"[{name}] axis {axis} is outside a tensor of rank {rank}")
    return axis % rank


def normalize_axes(name: str, axis: Axis, rank: int) -> tuple[int, ...]:
    if axis is None:
        return tuple(range(rank))
    axes = [axis] if isinstance(axis, int) else list(axis)
    result = tuple(sorted(normalize_axis(name, int(a), rank) for a in axes))
    if len(set(result)) != len(result):
        raise ValueError(f"[{name}] axis {axis} names a dimension twice")
    return result


def keep(x: Tensor, axes: tuple[int, ...], shape: tuple[int, ...], keepdims: bool) -> Tensor:
    return reshape(x, tuple(1 if i in axes else n for i, n in enumerate(shape))) if keepdims else x


def _reduction(name: str, x: Any, axis: Axis, keepdims: bool, as_float: bool = False) -> Tensor:
    x = as_tensor(x)
    if as_float or x.dtype in ("bool", "uint8"):
        x = floating(x) if as_float else cast(x, "int32")
    axes = normalize_axes(name, axis, len(x.shape))
    return keep(reduce(x, axes, name), axes, x.shape, keepdims)


@public
def sum(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The sum over axes (all by default)."""
    return _reduction("sum", x, axis, keepdims)


@public
def mean(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The mean over axes (all by default), as floats."""
    return _reduction("mean", x, axis, keepdims, as_float=True)


@public
def max(x: Any, axis: Axis = None, keepdims: bool = False, initial: Any = None) -> Tensor:
    """The largest element over axes (and `initial`); NaN if there is one. Ties share the gradient."""
    y = _reduction("max", x, axis, keepdims)
    return y if initial is None else e.maximum(y, initial)


@public
def min(x: Any, axis: Axis = None, keepdims: bool = False, initial: Any = None) -> Tensor:
    """The smallest element over axes (and `initial`); NaN if there is one. Ties share the gradient."""
    y = _reduction("min", x, axis, keepdims)
    return y if initial is None else e.minimum(y, initial)


amax, amin = max, min


@public
def prod(x: Any, axis: Axis = None, keepdims: bool = False, dtype: Any = None) -> Tensor:
    """The product over axes."""
    return _reduction("prod", x if dtype is None else cast(x, dtype), axis, keepdims)


@public
def any(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Whether any element over axes is not 0."""
    x = cast(cast(x, "bool"), "int32")
    axes = normalize_axes("any", axis, len(x.shape))
    return keep(cast(reduce(x, axes, "sum"), "bool"), axes, x.shape, keepdims)


@public
def all(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Whether every element over axes is not 0."""
    return e.logical_not(any(e.logical_not(x), axis, keepdims))


@public
def count_nonzero(x: Any, axis: Axis = None) -> Tensor:
    """How many elements over axes are not 0, as int32."""
    return sum(cast(cast(x, "bool"), "int32"), axis)


@public
def var(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The (biased) variance over axes."""
    return moments(x, axis, keepdims)[1]


@public
def std(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The (biased) standard deviation over axes."""
    return e.sqrt(var(x, axis, keepdims))


@public
def average(x: Any, axis: Axis = None, weights: Any = None) -> Tensor:
    """The mean, weighted if weights are given."""
    if weights is None:
        return mean(x, axis)
    return e.divide(sum(e.multiply(x, weights), axis), sum(e.multiply(e.add(e.multiply(x, 0.0), 1.0), weights), axis))


@public
def logsumexp(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """log(sum(exp(x))) without overflow."""
    x = floating(x)
    axes = normalize_axes("logsumexp", axis, len(x.shape))
    top = stop_gradient(max(x, axes, keepdims=True))
    top = e.where(e.isfinite(top), top, 0.0)
    total = e.add(e.log(sum(e.exp(e.subtract(x, top)), axes, keepdims=True)), top)
    return total if keepdims else reshape(total, tuple(n for i, n in enumerate(x.shape) if i not in axes))


@public
def norm(x: Any, ord: Any = None, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The norm over axes, as numpy.linalg.norm: of vectors (one axis) or matrices (two), Frobenius' by default."""
    from berrante.ops.norms import matrix_norm

    x = floating(x)
    if isinstance(ord, str) and ord not in ("fro", "nuc"):
        raise ValueError(f"[norm] expected ord to be a number, 'fro' or 'nuc'; received {ord!r}")
    axes = normalize_axes("norm", axis, len(x.shape)) if axis is not None else tuple(range(len(x.shape)))
    if ord is None or (len(axes) == 2 and ord == "fro"):
        return vector_norm(x, 2, axis, keepdims)
    if len(axes) == 2:
        return matrix_norm(x, ord, tuple(axis) if isinstance(axis, (list, tuple)) else axes, keepdims)
    if len(axes) != 1 or isinstance(ord, str):
        raise ValueError(f"[norm] ord={ord!r} does not fit axes {axes} of shape {x.shape}")
    return vector_norm(x, ord, axis, keepdims)


def vector_norm(x: Any, ord: Any, axis: Axis, keepdims: bool) -> Tensor:
    """The vector norm over axes: 2, 1, 0, inf, -inf or another exponent."""
    if ord == 0:
        return sum(floating(e.not_equal(x, 0.0)), axis, keepdims)
    if ord in (None, 2, "fro", "euclidean"):
        return e.sqrt(sum(e.square(floating(x)), axis, keepdims))
    if ord == 1:
        return sum(e.absolute(x), axis, keepdims)
    if ord == float("inf"):
        return max(e.absolute(x), axis, keepdims)
    if ord == float("-inf"):
        return min(e.absolute(x), axis, keepdims)
    return e.power(sum(e.power(e.absolute(x), float(ord)), axis, keepdims), 1.0 / ord)


# --- moments --------------------------------------------------------------------------------------------------------


def _infer_moments(x: Tensor, axes: tuple[int, ...]) -> tuple[TensorSpec, TensorSpec]:
    spec = TensorSpec(tuple(n for i, n in enumerate(x.shape) if i not in axes))
    return spec, spec


def _lower_moments(node: Node) -> KernelCall:
    x = node.inputs[0]
    a, r, b = collapse(x.shape, node.attrs["axes"])
    return KernelCall("moments", [(x, (a, r, b))], [(a, b), (a, b)])


def _grad_moments(node: Node, dmean: Tensor, dvar: Tensor) -> list[Tensor]:
    x, axes = node.inputs[0], node.attrs["axes"]
    count = product(x.shape[i] for i in axes)
    mu, dmean, dvar = (keep(t, axes, x.shape, True) for t in (node.outputs[0], dmean, dvar))
    slope = e.multiply(dvar, 2.0 / count)
    return [e.add(e.multiply(e.subtract(x, mu), slope), e.multiply(dmean, 1.0 / count))]


_moments = Op("moments", _infer_moments, _grad_moments, _lower_moments)


@public
def moments(x: Any, axes: Axis = None, keepdims: bool = False, synchronized: bool = False) -> tuple[Tensor, Tensor]:
    """Mean and (biased) variance over axes, in one pass where the axes are adjacent."""
    x = floating(x)
    axes = normalize_axes("moments", axes, len(x.shape))
    if not axes:
        return x, e.multiply(x, 0.0)
    if axes[-1] - axes[0] + 1 == len(axes):
        mu, variance = _moments(x, axes=axes)
        return keep(mu, axes, x.shape, keepdims), keep(variance, axes, x.shape, keepdims)
    mu = mean(x, axes, keepdims=True)
    variance = mean(e.square(e.subtract(x, mu)), axes, keepdims=True)
    if keepdims:
        return mu, variance
    shape = tuple(n for i, n in enumerate(x.shape) if i not in axes)
    return reshape(mu, shape), reshape(variance, shape)


# --- positions ------------------------------------------------------------------------------------------------------


def _lower_arg(node: Node) -> KernelCall:
    x = node.inputs[0]
    a, r, b = collapse(x.shape, (node.attrs["axis"],))
    return KernelCall("arg_reduce", [(x, (a, r, b))], [(a, b)], {"kind": REDUCTIONS[node.attrs["kind"]]})


def _infer_arg(x: Tensor, axis: int, kind: str) -> TensorSpec:
    if x.shape[axis] == 0:
        raise ValueError(f"[arg{kind}] cannot search an empty axis of shape {x.shape}")
    return TensorSpec(x.shape[:axis] + x.shape[axis + 1 :], "int32")


_arg = Op("arg_reduce", _infer_arg, None, _lower_arg)


def _arg_extreme(kind: str, x: Any, axis: int | None, keepdims: bool) -> Tensor:
    x = as_tensor(x)
    if x.dtype in ("bool", "uint8"):
        x = cast(x, "int32")
    if axis is None:
        result: Tensor = _arg(reshape(x, (x.size,)), axis=0, kind=kind)
        return reshape(result, (1,) * len(x.shape)) if keepdims else result
    axis = normalize_axis(f"arg{kind}", axis, len(x.shape))
    return keep(_arg(x, axis=axis, kind=kind), (axis,), x.shape, keepdims)


@public
def argmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The position of the first largest element, int32."""
    return _arg_extreme("max", x, axis, keepdims)


@public
def argmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The position of the first smallest element, int32."""
    return _arg_extreme("min", x, axis, keepdims)


# --- scans and order ------------------------------------------------------------------------------------------------


def _lower_cumsum(node: Node) -> KernelCall:
    x, attrs = node.inputs[0], node.attrs
    shape = collapse(x.shape, (attrs["axis"],))
    return KernelCall(
        "cumsum", [(x, shape)], [shape], {"exclusive": int(attrs["exclusive"]), "reverse": int(attrs["reverse"])}
    )


_cumsum: Op = Op(
    "cumsum",
    lambda x, axis, exclusive, reverse: x.spec,
    lambda node, dy: [_cumsum(dy, **(node.attrs | {"reverse": not node.attrs["reverse"]}))],
    _lower_cumsum,
)


def _count_dtype(x: Any) -> str:
    """The dtype of running sums: integers stay integers."""
    dtype = as_tensor(x).dtype
    return dtype if is_float(dtype) else "int32"


@public
def cumsum(
    x: Any, axis: int | None = None, dtype: Any = None, exclusive: bool = False, reverse: bool = False
) -> Tensor:  # fmt: skip
    """Running sums along an axis (of the flattened tensor by default); computed in float32."""
    kind = dtype or _count_dtype(x)
    x = floating(x)
    if axis is None:
        x, axis = reshape(x, (x.size,)), 0
    result: Tensor = _cumsum(
        x, axis=normalize_axis("cumsum", axis, len(x.shape)), exclusive=bool(exclusive), reverse=bool(reverse)
    )
    return cast(result, kind)


@public
def cumprod(x: Any, axis: int | None = None, dtype: Any = None) -> Tensor:
    """Running products along an axis (of the flattened tensor by default); computed in float32."""
    kind = dtype or _count_dtype(x)
    x = floating(x)
    if axis is None:
        x, axis = reshape(x, (x.size,)), 0
    axis = normalize_axis("cumprod", axis, len(x.shape))
    from berrante.ops.shape import concatenate

    parts: list[Any] = []
    for i in range(x.shape[axis]):
        start = tuple(i if d == axis else 0 for d in range(len(x.shape)))
        part = slice_(x, start, tuple(1 if d == axis else n for d, n in enumerate(x.shape)))
        parts.append(e.multiply(parts[-1], part) if parts else part)
    return cast(concatenate(parts, axis), kind) if parts else cast(x, kind)


def _infer_sort(x: Tensor, descending: int) -> tuple[TensorSpec, TensorSpec]:
    return TensorSpec(x.shape), TensorSpec(x.shape, "int32")


def _grad_sort(node: Node, dy: Tensor, _: Tensor) -> list[Tensor]:
    from berrante.ops.shape import take_along_axis

    order: Tensor = _sort(floating(node.outputs[1]), descending=0)[1]
    return [take_along_axis(dy, order, -1)]


_sort = Op("sort", _infer_sort, _grad_sort)


def _sorted(x: Any, axis: int, descending: bool) -> tuple[Tensor, Tensor]:
    from berrante.ops.shape import moveaxis

    x = as_tensor(x)
    dtype = x.dtype
    axis = normalize_axis("sort", axis, len(x.shape))
    moved = moveaxis(floating(x), axis, -1)
    rows = reshape(moved, (product(moved.shape[:-1]), moved.shape[-1]))
    values, positions = _sort(rows, descending=int(descending))
    return tuple(  # type: ignore[return-value]
        moveaxis(reshape(t, moved.shape), -1, axis) for t in (cast(values, dtype), positions)
    )


@public
def sort(x: Any, axis: int = -1) -> Tensor:
    """Elements in ascending order along an axis."""
    return _sorted(x, axis, False)[0]


@public
def argsort(x: Any, axis: int = -1) -> Tensor:
    """The positions that sort an axis in ascending order (stable), int32."""
    return _sorted(x, axis, False)[1]


@public
def top_k(x: Any, k: int, sorted: bool = True) -> tuple[Tensor, Tensor]:
    """The k largest elements of the last axis, descending, and their positions."""
    x = as_tensor(x)
    if not 0 < k <= x.shape[-1]:
        raise ValueError(f"[top_k] expected k from 1 to {x.shape[-1]}; received {k}")
    values, positions = _sorted(x, -1, True)
    size = (*x.shape[:-1], k)
    start = (0,) * len(x.shape)
    return slice_(values, start, size), slice_(positions, start, size)


@public
def in_top_k(targets: Any, predictions: Any, k: int) -> Tensor:
    """Whether the score of each target class is among its row's k largest; ties count as in, as in Keras."""
    from berrante.ops.shape import expand_dims, take_along_axis

    own = take_along_axis(predictions, expand_dims(cast(targets, "int32"), -1), -1)
    better = sum(cast(e.greater(predictions, own), "int32"), -1)
    return e.logical_and(e.less(better, k), e.isfinite(reshape(own, own.shape[:-1])))


@public
def median(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The middle value over axes; the mean of the two middle ones for an even count."""
    from berrante.ops.shape import moveaxis

    x = floating(x)
    axes = normalize_axes("median", axis, len(x.shape))
    rest = tuple(i for i in range(len(x.shape)) if i not in axes)
    moved = moveaxis(x, axes, tuple(range(len(rest), len(x.shape)))) if rest else x
    n = product(x.shape[i] for i in axes)
    ordered = sort(reshape(moved, (*(x.shape[i] for i in rest), n)), -1)
    start = (0,) * len(rest)
    size = tuple(x.shape[i] for i in rest)
    low = slice_(ordered, (*start, (n - 1) // 2), (*size, 1))
    high = slice_(ordered, (*start, n // 2), (*size, 1))
    middle = reshape(e.multiply(e.add(low, high), 0.5), size)
    return keep(middle, axes, x.shape, keepdims)
