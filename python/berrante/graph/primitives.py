"""The few operations that the graph itself emits: cast, reshape, slice, concatenation, broadcast and sum.

`berrante.ops` builds its public functions on these and on the families that it declares.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from berrante.graph.elementwise import Elementwise, MicroBuilder
from berrante.graph.formats import is_float
from berrante.graph.op import Alias, KernelCall, Op, as_tensor
from berrante.graph.tensor import Node, Tensor, TensorSpec, standard_dtype

# --- cast -----------------------------------------------------------------------------------------------------------


def _cast_micro(builder: MicroBuilder, node: Node, x: Any) -> Any:
    source, target = node.inputs[0].dtype, node.attrs["dtype"]
    if target == "bool":
        return builder.emit("ne_f" if is_float(source) else "ne_i", x, builder.constant(0))
    if is_float(source) and not is_float(target):
        x = builder.emit("to_i", x)
    elif not is_float(source) and is_float(target):
        return builder.emit("to_f", x)
    return builder.emit("and_i", x, builder.constant(255)) if target == "uint8" else x


class _Cast(Elementwise):
    def prepare(self, inputs: Sequence[Any]) -> tuple[Tensor, ...]:
        return (as_tensor(inputs[0]),)


_cast = _Cast("cast", _cast_micro, lambda node, dy: [dy if is_float(node.inputs[0].dtype) else None])


def cast(x: Any, dtype: Any) -> Tensor:
    """`x` with another dtype; floats are truncated on their way to integers."""
    x, dtype = as_tensor(x), standard_dtype(dtype)
    return x if x.dtype == dtype else _cast(x, dtype=dtype)


def floating(x: Any) -> Tensor:
    """`x` as floats: a float32 or 16-bit tensor as it is, anything else as float32."""
    x = as_tensor(x)
    return x if is_float(x.dtype) else cast(x, "float32")


# --- identity, broadcast, stop_gradient -----------------------------------------------------------------------------


def _same(builder: MicroBuilder, node: Node, x: Any) -> Any:
    return x


_broadcast = Elementwise("broadcast_to", _same, lambda node, dy: [dy])
_copy = Elementwise("copy", _same, lambda node, dy: [dy])
stop_gradient = Op("stop_gradient", lambda x: x.spec, None, lambda node: Alias(node.inputs[0]))


def broadcast_to(x: Any, shape: Sequence[int]) -> Tensor:
    """`x` repeated along the dimensions where it has extent 1."""
    x, shape = as_tensor(x), tuple(int(n) for n in shape)
    if x.shape == shape:
        return x
    result: Tensor = _broadcast(x, shape=shape)
    if result.shape != shape:
        raise ValueError(f"[broadcast_to] expected a shape that broadcasts to {shape}; received {x.shape}")
    return result


def copy(x: Any) -> Tensor:
    """The same values in memory of their own."""
    result: Tensor = _copy(x)
    return result


# --- reshape --------------------------------------------------------------------------------------------------------

_reshape = Op(
    "reshape",
    lambda x, shape: TensorSpec(shape, x.dtype),
    lambda node, dy: [reshape(dy, node.inputs[0].shape)],
    lambda node: Alias(node.inputs[0]),
)


def reshape(x: Any, shape: Sequence[int]) -> Tensor:
    """The same elements in row-major order with another shape; one extent may be -1."""
    x = as_tensor(x)
    new = tuple(int(n) for n in shape)
    if new.count(-1) == 1:
        rest = prod(n for n in new if n != -1)
        if rest and x.size % rest == 0:
            new = tuple(x.size // rest if n == -1 else n for n in new)
    if prod(new) != x.size or min(new, default=0) < 0:
        raise ValueError(f"[reshape] cannot reshape {x.shape} ({x.size} elements) to {tuple(shape)}")
    return x if new == x.shape else _reshape(x, shape=new)


# --- slice and pad, each other's adjoint ----------------------------------------------------------------------------


def _infer_slice(x: Tensor, start: tuple[int, ...], size: tuple[int, ...], step: tuple[int, ...]) -> TensorSpec:
    for n, first, count, stride in zip(x.shape, start, size, step, strict=True):
        last = first + (count - 1) * stride
        if count < 0 or stride == 0 or (count > 0 and not (0 <= first < n and 0 <= last < n)):
            raise ValueError(f"[slice] start {start}, size {size}, step {step} leave a tensor of shape {x.shape}")
    return TensorSpec(size, x.dtype)


def _lower_slice(node: Node) -> KernelCall | Alias:
    x, y = node.inputs[0], node.outputs[0]
    start, step = node.attrs["start"], node.attrs["step"]
    if y.size == 0:
        return Alias(x, 0)
    # Dense if only the leading dimensions of extent 1, then one dimension, are cut.
    cut = [i for i in range(len(x.shape)) if x.shape[i] != y.shape[i] or start[i] or step[i] != 1]
    if not cut:
        return Alias(x, 0)
    if step[cut[-1]] == 1 and all(y.shape[i] == 1 for i in range(cut[-1])):
        offset, stride = 0, 1
        for i in reversed(range(len(x.shape))):
            offset += start[i] * stride
            stride *= x.shape[i]
        return Alias(x, offset)
    return KernelCall("slice", [(x, x.shape)], [y.shape], {"start": start, "step": step})


def _grad_slice(node: Node, dy: Tensor) -> list[Tensor]:
    shape, start, step = node.inputs[0].shape, node.attrs["start"], node.attrs["step"]
    if any(s < 0 for s in step):  # reverse dy first, so that the steps are positive
        last = tuple(f + (n - 1) * s if s < 0 else f for f, n, s in zip(start, dy.shape, step, strict=True))
        dy = slice_(
            dy,
            tuple(n - 1 if s < 0 else 0 for n, s in zip(dy.shape, step, strict=True)),
            dy.shape,
            tuple(-1 if s < 0 else 1 for s in step),
        )
        start, step = last, tuple(abs(s) for s in step)
    return [pad_to(dy, shape, start, tuple(s - 1 for s in step))]


_slice = Op("slice", _infer_slice, _grad_slice, _lower_slice)


def slice_(x: Any, start: Sequence[int], size: Sequence[int], step: Sequence[int] | None = None) -> Tensor:
    """`size` elements of each dimension from `start` on, `step` apart (negative steps walk back)."""
    x = as_tensor(x)
    result: Tensor = _slice(
        x, start=tuple(start), size=tuple(size), step=tuple(step) if step is not None else (1,) * len(x.shape)
    )
    return result


def slice_flat(x: Tensor, start: int, size: int) -> Tensor:
    """A part of a vector."""
    return slice_(x, (start,), (size,))


def _infer_pad(
    x: Tensor, shape: tuple[int, ...], low: tuple[int, ...], interior: tuple[int, ...], value: float
) -> TensorSpec:
    if not len(x.shape) == len(shape) == len(low) == len(interior) or min(shape, default=0) < 0:
        raise ValueError(f"[pad] expected widths for {len(x.shape)} dimensions of {x.shape}; received {low} to {shape}")
    return TensorSpec(shape, x.dtype)


def _grad_pad(node: Node, dy: Tensor) -> list[Tensor]:
    # Elements that were cropped away get zero: slice what was kept, then pad it back.
    x, low, interior = node.inputs[0], node.attrs["low"], node.attrs["interior"]
    start, size, before = [], [], []
    for n, extent, first, gap in zip(x.shape, dy.shape, low, interior, strict=True):
        step = gap + 1
        skipped = min(n, max(0, -(first // step) if first < 0 else 0))
        count = max(0, min(n - skipped, (extent - 1 - (first + skipped * step)) // step + 1))
        start.append(first + skipped * step if count else 0)
        size.append(count)
        before.append(skipped)
    kept = slice_(dy, start, size, tuple(gap + 1 for gap in interior))
    return [pad_to(kept, x.shape, before) if kept.shape != x.shape else kept]


_pad = Op(
    "pad",
    _infer_pad,
    _grad_pad,
    lambda node: KernelCall(
        "pad",
        [(node.inputs[0], node.inputs[0].shape)],
        [node.outputs[0].shape],
        {k: node.attrs[k] for k in ("low", "interior", "value")},
    ),
)


def pad_to(
    x: Any, shape: Sequence[int], low: Sequence[int], interior: Sequence[int] | None = None, value: float = 0.0
) -> Tensor:
    """A tensor of `shape` filled with `value`, with `x` placed at `low`, its elements `interior` apart."""
    x = as_tensor(x)
    result: Tensor = _pad(
        x,
        shape=tuple(shape),
        low=tuple(low),
        interior=tuple(interior) if interior is not None else (0,) * len(x.shape),
        value=float(value),
    )
    return result


# --- concat ---------------------------------------------------------------------------------------------------------


def _infer_concat(*inputs: Tensor, axis: int) -> TensorSpec:
    first = inputs[0]
    for x in inputs[1:]:
        if len(x.shape) != len(first.shape) or any(
            m != n for i, (m, n) in enumerate(zip(x.shape, first.shape, strict=True)) if i != axis
        ):
            shapes = ", ".join(str(t.shape) for t in inputs)
            raise ValueError(f"[concatenate] expected shapes that agree but for axis {axis}; received {shapes}")
    extent = sum(x.shape[axis] for x in inputs)
    return TensorSpec(first.shape[:axis] + (extent,) + first.shape[axis + 1 :], first.dtype)


def _grad_concat(node: Node, dy: Tensor) -> list[Tensor]:
    axis, grads, first = node.attrs["axis"], [], 0
    for x in node.inputs:
        start = tuple(first if i == axis else 0 for i in range(len(dy.shape)))
        grads.append(slice_(dy, start, x.shape))
        first += x.shape[axis]
    return grads


def _lower_concat(node: Node) -> KernelCall:
    axis, y = node.attrs["axis"], node.outputs[0]
    outer, inner = prod(y.shape[:axis]), prod(y.shape[axis + 1 :])
    return KernelCall(
        "concat",
        [(x, (outer, x.shape[axis], inner)) for x in node.inputs],
        [(outer, y.shape[axis], inner)],
    )


_concat = Op("concat", _infer_concat, _grad_concat, _lower_concat)


def concat(tensors: Sequence[Any], axis: int = 0) -> Tensor:
    """Tensors one after the other along an existing axis."""
    inputs = [as_tensor(x) for x in tensors]
    if len(inputs) == 1:
        return inputs[0]
    rank = len(inputs[0].shape)
    if not -rank <= axis < rank:
        raise ValueError(f"[concatenate] axis {axis} is outside shape {inputs[0].shape}")
    result: Tensor = _concat(*inputs, axis=axis % rank)
    return result


# --- reduce ---------------------------------------------------------------------------------------------------------

REDUCTIONS = {"sum": 0, "mean": 1, "max": 2, "min": 3, "prod": 4}


def collapse(shape: tuple[int, ...], axes: tuple[int, ...]) -> tuple[int, int, int]:
    """[A, R, B] for adjacent reduced axes."""
    return prod(shape[: axes[0]]), prod(shape[axes[0] : axes[-1] + 1]), prod(shape[axes[-1] + 1 :])


def _infer_reduce(x: Tensor, axes: tuple[int, ...], kind: str) -> TensorSpec:
    return TensorSpec(tuple(n for i, n in enumerate(x.shape) if i not in axes), x.dtype)


def _lower_reduce(node: Node) -> KernelCall:
    x = node.inputs[0]
    a, r, b = collapse(x.shape, node.attrs["axes"])
    return KernelCall("reduce", [(x, (a, r, b))], [(a, b)], {"kind": REDUCTIONS[node.attrs["kind"]]})


def _expand(x: Tensor, axes: tuple[int, ...], shape: tuple[int, ...]) -> Tensor:
    return reshape(x, tuple(1 if i in axes else n for i, n in enumerate(shape)))


def _grad_reduce(node: Node, dy: Tensor) -> list[Tensor]:
    from berrante.graph import rules

    x, y, axes, kind = node.inputs[0], node.outputs[0], node.attrs["axes"], node.attrs["kind"]
    dy = _expand(dy, axes, x.shape)
    if kind == "sum":
        return [broadcast_to(dy, x.shape)]
    if kind == "mean":
        count = prod(x.shape[i] for i in axes)
        return [rules.multiply(broadcast_to(dy, x.shape), 1.0 / max(count, 1))]
    y = _expand(y, axes, x.shape)
    if kind == "prod":
        return [rules.divide(rules.multiply(dy, y), x)]
    # Extremes share the gradient evenly, as Keras' backends do.
    hit = cast(rules.equal(x, y), x.dtype)
    return [rules.divide(rules.multiply(hit, dy), _expand(reduce(hit, axes, "sum"), axes, x.shape))]


_reduce = Op("reduce", _infer_reduce, _grad_reduce, _lower_reduce)


def reduce(x: Any, axes: Sequence[int], kind: str) -> Tensor:
    """Sum, mean, max, min or prod over non-negative axes, which are dropped. Runs of adjacent axes are one kernel each."""
    x = as_tensor(x)
    axes = tuple(sorted(axes))
    if kind in ("max", "min") and any(x.shape[i] == 0 for i in axes):
        raise ValueError(f"[{kind}] cannot reduce an empty axis of shape {x.shape}")
    single = [i for i in axes if x.shape[i] == 1]  # nothing to do but drop them
    if single:
        axes = tuple(i - sum(j < i for j in single) for i in axes if i not in single)
        x = reshape(x, tuple(n for i, n in enumerate(x.shape) if i not in single))
    while axes:
        # The innermost run first: it shrinks the tensor along contiguous memory.
        run = [axes[-1]]
        while len(run) < len(axes) and axes[-len(run) - 1] == run[0] - 1:
            run.insert(0, run[0] - 1)
        x = _reduce(x, axes=tuple(run), kind=kind)
        axes = axes[: -len(run)]
    return x


def unbroadcast(dy: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The adjoint of broadcasting `shape` to `dy.shape`."""
    if dy.shape == shape:
        return dy
    extra = len(dy.shape) - len(shape)
    axes = [i for i, n in enumerate(dy.shape) if i < extra or (shape[i - extra] == 1 and n != 1)]
    return reshape(reduce(dy, axes, "sum"), shape)
