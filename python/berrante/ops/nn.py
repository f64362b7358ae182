"""Activations, softmax, crossentropies and normalisation, with the names and semantics of keras.ops (keras.ops.nn)."""

from __future__ import annotations

import math
from math import prod
from typing import Any

from berrante.graph import primitives as p
from berrante.graph.elementwise import Elementwise, single
from berrante.graph.op import KernelCall, Op
from berrante.graph.primitives import cast, floating
from berrante.graph.tensor import Node, Tensor, TensorSpec
from berrante.ops import elementwise as e
from berrante.ops.public import public
from berrante.ops.reduction import mean as mean_over
from berrante.ops.reduction import moments, normalize_axis, sum
from berrante.ops.shape import expand_dims, moveaxis, one_hot

EPSILON = 1e-7

relu = e._one("relu", e._relu, "max(x, 0); the derivative at 0 is 0.")
sigmoid = e._one("sigmoid", e._sigmoid, "1 / (1 + exp(-x)).")
tanh = e._one("tanh", e._tanh, "The hyperbolic tangent.")
softplus = e._one("softplus", e._softplus, "log(1 + exp(x)).")


@public
def relu6(x: Any) -> Tensor:
    """min(max(x, 0), 6)."""
    return e.minimum(relu(x), 6.0)


@public
def leaky_relu(x: Any, negative_slope: float = 0.2) -> Tensor:
    """x above 0, else negative_slope * x."""
    x = floating(x)
    return e.where(e.greater(x, 0.0), x, e.multiply(x, negative_slope))


@public
def elu(x: Any, alpha: float = 1.0) -> Tensor:
    """x above 0, else alpha * (exp(x) - 1)."""
    x = floating(x)
    return e.where(e.greater(x, 0.0), x, e.multiply(e.expm1(e.minimum(x, 0.0)), alpha))


@public
def celu(x: Any, alpha: float = 1.0) -> Tensor:
    """x above 0, else alpha * (exp(x / alpha) - 1)."""
    x = floating(x)
    return e.where(e.greater(x, 0.0), x, e.multiply(e.expm1(e.divide(e.minimum(x, 0.0), alpha)), alpha))


@public
def selu(x: Any) -> Tensor:
    """The self-normalising scaled ELU (Klambauer et al., 2017)."""
    return e.multiply(elu(x, 1.6732632423543772), 1.0507009873554805)


@public
def gelu(x: Any, approximate: bool = True) -> Tensor:
    """x times the normal distribution function at x, by tanh unless approximate is False (Hendrycks, Gimpel, 2016)."""
    x = floating(x)
    if approximate:
        inner = e.multiply(e.add(x, e.multiply(e.multiply(x, e.square(x)), 0.044715)), math.sqrt(2.0 / math.pi))
        return e.multiply(e.multiply(x, 0.5), e.add(tanh(inner), 1.0))
    return e.multiply(e.multiply(x, 0.5), e.add(e.erf(e.multiply(x, math.sqrt(0.5))), 1.0))


@public
def silu(x: Any) -> Tensor:
    """x * sigmoid(x), also called swish."""
    x = floating(x)
    return e.multiply(x, sigmoid(x))


swish = silu


@public
def mish(x: Any) -> Tensor:
    """x * tanh(softplus(x))."""
    return e.multiply(x, tanh(softplus(x)))


@public
def softsign(x: Any) -> Tensor:
    """x / (1 + |x|)."""
    x = floating(x)
    return e.divide(x, e.add(e.absolute(x), 1.0))


@public
def hard_sigmoid(x: Any) -> Tensor:
    """relu6(x + 3) / 6."""
    return e.multiply(relu6(e.add(x, 3.0)), 1.0 / 6.0)


@public
def hard_silu(x: Any) -> Tensor:
    """x * hard_sigmoid(x)."""
    return e.multiply(x, hard_sigmoid(x))


hard_swish = hard_silu


@public
def hard_tanh(x: Any) -> Tensor:
    """x limited to [-1, 1]."""
    return e.clip(x, -1.0, 1.0)


@public
def log_sigmoid(x: Any) -> Tensor:
    """log(sigmoid(x)) without overflow."""
    return e.negative(softplus(e.negative(x)))


@public
def exponential(x: Any) -> Tensor:
    """exp(x)."""
    return e.exp(x)


@public
def linear(x: Any) -> Any:
    """x itself."""
    return x


@public
def step(x: Any) -> Tensor:
    """Heaviside's step: 1 where x >= 0, else 0. McCulloch and Pitts' neuron fires when its threshold is reached.

    Its derivative is 0 everywhere.
    """
    return cast(e.greater_equal(floating(x), 0.0), "float32")


@public
def threshold(x: Any, threshold: float, default_value: float) -> Tensor:
    """x above the threshold, else a default."""
    x = floating(x)
    return e.where(e.greater(x, threshold), x, default_value)


@public
def tanh_shrink(x: Any) -> Tensor:
    """x - tanh(x)."""
    return e.subtract(x, tanh(x))


@public
def soft_shrink(x: Any, threshold: float = 0.5) -> Tensor:
    """x moved towards 0 by a threshold."""
    return e.subtract(relu(e.subtract(x, threshold)), relu(e.subtract(e.negative(x), threshold)))


@public
def hard_shrink(x: Any, threshold: float = 0.5) -> Tensor:
    """0 within the threshold, else x."""
    return e.where(e.greater(e.absolute(x), threshold), x, 0.0)


# --- softmax --------------------------------------------------------------------------------------------------------


def _lower_rows(kernel: str) -> Any:
    def lower(node: Node) -> KernelCall:
        x = node.inputs[0]
        rows = (prod(x.shape[:-1]), x.shape[-1])
        return KernelCall(kernel, [(x, rows)], [rows])

    return lower


def softmax_vjp(y: Tensor, dy: Tensor) -> Tensor:
    """The adjoint of softmax from its output."""
    inner = e.multiply(y, dy)
    return e.subtract(inner, e.multiply(y, sum(inner, -1, keepdims=True)))


_softmax = Op("softmax", lambda x: x.spec, lambda node, dy: [softmax_vjp(node.outputs[0], dy)], _lower_rows("softmax"))
_log_softmax = Op(
    "log_softmax",
    lambda x: x.spec,
    lambda node, dy: [e.subtract(dy, e.multiply(e.exp(node.outputs[0]), sum(dy, -1, keepdims=True)))],
    _lower_rows("log_softmax"),
)


def _along(op: Op, x: Any, axis: Any) -> Tensor:
    x = floating(x)
    if not x.shape:
        raise ValueError(f"[{op.name}] expected at least 1-D input; received a scalar")
    if axis is None or isinstance(axis, (tuple, list)):
        axes = (
            tuple(range(len(x.shape)))
            if axis is None
            else tuple(normalize_axis(op.name, a, len(x.shape)) for a in axis)
        )
        rest = [i for i in range(len(x.shape)) if i not in axes]
        moved = moveaxis(x, axes, tuple(range(len(rest), len(x.shape))))
        flat = p.reshape(moved, (*moved.shape[: len(rest)], -1))
        return moveaxis(p.reshape(op(flat), moved.shape), tuple(range(len(rest), len(x.shape))), axes)
    axis = normalize_axis(op.name, axis, len(x.shape))
    last = len(x.shape) - 1
    result: Tensor = op(x) if axis == last else moveaxis(op(moveaxis(x, axis, last)), last, axis)
    return result


@public
def softmax(x: Any, axis: Any = -1) -> Tensor:
    """exp(x) normalised to sum 1 along an axis."""
    return _along(_softmax, x, axis)


@public
def log_softmax(x: Any, axis: Any = -1) -> Tensor:
    """The logarithm of softmax without overflow."""
    return _along(_log_softmax, x, axis)


# --- crossentropies -------------------------------------------------------------------------------------------------


def _infer_cross_entropy(x: Tensor, t: Tensor, clip: float) -> tuple[TensorSpec, TensorSpec]:
    return TensorSpec(x.shape[:-1]), x.spec


def _lower_cross_entropy(node: Node) -> KernelCall:
    x, t = node.inputs
    m, n = prod(x.shape[:-1]), x.shape[-1]
    targets = (m,) if t.dtype == "int32" else (m, n)
    return KernelCall(
        "softmax_cross_entropy", [(x, (m, n)), (t, targets)], [(m,), (m, n)], {"clip": node.attrs["clip"]}
    )


def _grad_cross_entropy(node: Node, dloss: Tensor, dy: Tensor) -> list[Tensor | None]:
    (x, t), y, clip = node.inputs, node.outputs[1], node.attrs["clip"]
    targets = one_hot(t, x.shape[-1]) if t.dtype == "int32" else t
    if clip > 0:  # where the clipping holds, the loss is flat
        inside = e.logical_and(e.greater(y, clip), e.less(y, 1.0 - clip))
        targets = e.where(inside, targets, 0.0)
    slope = e.subtract(e.multiply(y, sum(targets, -1, keepdims=True)), targets)
    dx = e.add(e.multiply(slope, expand_dims(dloss, -1)), softmax_vjp(y, dy))
    return [dx, None]


_softmax_cross_entropy = Op("softmax_cross_entropy", _infer_cross_entropy, _grad_cross_entropy, _lower_cross_entropy)


def _check_crossentropy(name: str, target: Tensor, output: Tensor, sparse: bool) -> None:
    if not output.shape:
        raise ValueError(f"[{name}] expected output of at least rank 1; received a scalar")
    expected = output.shape[:-1] if sparse else output.shape
    if target.shape != expected:
        raise ValueError(
            f"[{name}] expected target of shape {expected} for output {output.shape} "
            + ("" if sparse else "(they must have the same shape)")
            + f"; received {target.shape}"
        )


def _normalized_log(output: Tensor) -> Tensor:
    total = sum(output, -1, keepdims=True)
    return e.log(e.clip(e.divide(output, total), EPSILON, 1.0 - EPSILON))


def _softmax_input(output: Tensor) -> Tensor | None:
    """The logits, where the output is a softmax's own."""
    return output.node.inputs[0] if output.node is not None and output.node.op is _softmax else None


@public
def categorical_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Tensor:
    """-sum(target * log(output)) over classes.

    Probabilities are normalised and clipped to [1e-7, 1 - 1e-7] first, as Keras does. Where they come straight from a
    softmax, loss and gradient are taken from its logits, clipping included.
    """
    target, output = floating(target), floating(output)
    if axis not in (-1, len(output.shape) - 1):
        target, output = moveaxis(target, axis, -1), moveaxis(output, axis, -1)
    _check_crossentropy("categorical_crossentropy", target, output, False)
    logits = output if from_logits else _softmax_input(output)
    if logits is not None:
        loss: Tensor = _softmax_cross_entropy(logits, target, clip=0.0 if from_logits else EPSILON)[0]
        return loss
    return e.negative(sum(e.multiply(target, _normalized_log(output)), -1))


@public
def sparse_categorical_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Tensor:
    """categorical_crossentropy for integer classes; target may keep a last dimension of 1."""
    target, output = cast(target, "int32"), floating(output)
    if axis not in (-1, len(output.shape) - 1):
        output = moveaxis(output, axis, -1)
    if len(target.shape) == len(output.shape) and target.shape[-1:] == (1,):
        target = p.reshape(target, target.shape[:-1])
    _check_crossentropy("sparse_categorical_crossentropy", target, output, True)
    logits = output if from_logits else _softmax_input(output)
    if logits is not None:
        loss: Tensor = _softmax_cross_entropy(logits, target, clip=0.0 if from_logits else EPSILON)[0]
        return loss
    return e.negative(sum(e.multiply(one_hot(target, output.shape[-1]), _normalized_log(output)), -1))


def _grad_crossentropy(node: Node, dy: Tensor) -> list[Tensor]:
    target, output = node.inputs
    y = e.clip(output, EPSILON, 1.0 - EPSILON)
    by_target = e.subtract(e.log(e.subtract(1.0, y)), e.log(y))
    return [e.multiply(dy, by_target), e.multiply(dy, _crossentropy_slope(target, output))]


def _grad_crossentropy_slope(node: Node, dy: Tensor) -> list[Tensor]:
    """Of (y - t) / (y (1 - y)), which is 0 where y is clipped."""
    target, output = node.inputs
    y = e.clip(output, EPSILON, 1.0 - EPSILON)
    inside = cast(e.equal(y, output), "float32")
    rest = e.subtract(1.0, y)
    by_output = e.add(e.divide(target, e.square(y)), e.divide(e.subtract(1.0, target), e.square(rest)))
    by_target = e.negative(e.reciprocal(e.multiply(y, rest)))
    return [e.multiply(dy, e.multiply(by_target, inside)), e.multiply(dy, e.multiply(by_output, inside))]


_binary_crossentropy = Elementwise(
    "binary_crossentropy", single("crossentropy_f"), _grad_crossentropy, compute="float32"
)
_crossentropy_slope = Elementwise(
    "binary_crossentropy_slope", single("crossentropy_slope_f"), _grad_crossentropy_slope, compute="float32"
)


@public
def binary_crossentropy(target: Any, output: Any, from_logits: bool = False) -> Tensor:
    """-(t * log(y) + (1 - t) * log(1 - y)), elementwise; y is clipped to [1e-7, 1 - 1e-7]."""
    target, output = floating(target), floating(output)
    if target.shape != output.shape:
        raise ValueError(
            "[binary_crossentropy] Arguments `target` and `output` must have the same shape. Received: "
            f"target.shape={target.shape}, output.shape={output.shape}"
        )
    if from_logits:
        return e.add(e.subtract(relu(output), e.multiply(output, target)), softplus(e.negative(e.absolute(output))))
    result: Tensor = _binary_crossentropy(target, output)
    return result


# --- normalisation --------------------------------------------------------------------------------------------------


@public
def batch_normalization(
    x: Any, mean: Any, variance: Any, axis: int, offset: Any = None, scale: Any = None, epsilon: float = 1e-3
) -> Tensor:
    """(x - mean) / sqrt(variance + epsilon) * scale + offset, the statistics being vectors along an axis."""
    x = floating(x)
    axis = normalize_axis("batch_normalization", axis, len(x.shape))
    factor = e.rsqrt(e.add(variance, epsilon))
    if scale is not None:
        factor = e.multiply(factor, scale)
    shift = e.negative(e.multiply(mean, factor))
    if offset is not None:
        shift = e.add(shift, offset)
    shape = tuple(n if i == axis else 1 for i, n in enumerate(x.shape))
    return e.add(e.multiply(x, p.reshape(factor, shape)), p.reshape(shift, shape))


def _over_axes(w: Any, x: Tensor, axis: Any) -> Tensor:
    """A weight of the axes' extents, shaped so that it broadcasts over x."""
    axes = {normalize_axis("normalization", a, len(x.shape)) for a in ([axis] if isinstance(axis, int) else axis)}
    return p.reshape(w, tuple(n if i in axes else 1 for i, n in enumerate(x.shape)))


@public
def layer_normalization(
    x: Any, gamma: Any = None, beta: Any = None, axis: Any = -1, epsilon: float | None = None
) -> Tensor:
    """Normalises each sample over the given axes, then scales and shifts; epsilon is 1e-7 by default."""
    x = floating(x)
    mean, variance = moments(x, axis, keepdims=True)
    y = e.multiply(e.subtract(x, mean), e.rsqrt(e.add(variance, EPSILON if epsilon is None else epsilon)))
    if gamma is not None:
        y = e.multiply(y, _over_axes(gamma, x, axis))
    return y if beta is None else e.add(y, _over_axes(beta, x, axis))


@public
def rms_normalization(x: Any, scale: Any = None, axis: Any = -1, epsilon: float | None = None) -> Tensor:
    """x divided by its root mean square over axes, then scaled; epsilon is 1e-7 by default."""
    x = floating(x)
    square = mean_over(e.square(x), axis, keepdims=True)
    y = e.multiply(x, e.rsqrt(e.add(square, EPSILON if epsilon is None else epsilon)))
    return y if scale is None else e.multiply(y, _over_axes(scale, x, axis))


@public
def normalize(x: Any, axis: Any = -1, order: int = 2, epsilon: float | None = None) -> Tensor:
    """x divided by its norm along axes, or by epsilon (1e-7) if that is larger."""
    from berrante.ops.reduction import vector_norm

    if isinstance(order, bool) or not isinstance(order, int) or order < 1:
        raise ValueError(f"[normalize] expected order to be a positive integer; received {order!r}")
    x = floating(x)
    return e.divide(x, e.maximum(vector_norm(x, order, axis, keepdims=True), EPSILON if epsilon is None else epsilon))


def __getattr__(name: str) -> Any:
    # keras.ops.nn has a few more names, which live elsewhere here.
    from berrante import ops

    if name.startswith("__") or not hasattr(ops, name):
        raise AttributeError(f"module 'berrante.ops.nn' has no attribute {name!r}")
    return getattr(ops, name)
