"""K's networks: activations, losses, convolutions, pooling, normalisation, random numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from berrante import losses, ops, random
from berrante.compat.backend.state import Mode, floatx, normalize_data_format
from berrante.graph import trace
from berrante.graph.keras_tensor import record
from berrante.graph.op import as_tensor
from berrante.graph.tensor import standard_dtype
from berrante.graph.variable import Variable
from berrante.ops.public import public

sigmoid, tanh, softplus, softsign, elu = ops.sigmoid, ops.tanh, ops.softplus, ops.softsign, ops.elu


def relu(x: Any, alpha: float = 0.0, max_value: Any = None, threshold: float = 0.0) -> Any:
    """x above the threshold, else alpha * (x - threshold); at most max_value."""
    from berrante import activations

    return activations.relu(x, alpha, max_value, threshold)


def hard_sigmoid(x: Any) -> Any:
    """clip(0.2 x + 0.5, 0, 1)."""
    return ops.clip(ops.add(ops.multiply(x, 0.2), 0.5), 0.0, 1.0)


def softmax(x: Any, axis: int = -1) -> Any:
    """exp(x) normalised along an axis."""
    return ops.softmax(x, axis)


def categorical_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Any:
    """-sum(target * log(output)) over classes."""
    return losses.categorical_crossentropy(target, output, from_logits, axis=axis)


def sparse_categorical_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Any:
    """-log(output[target])."""
    return losses.sparse_categorical_crossentropy(target, output, from_logits, axis=axis)


def binary_crossentropy(target: Any, output: Any, from_logits: bool = False) -> Any:
    """-(t log p + (1 - t) log(1 - p)), for each element."""
    return ops.binary_crossentropy(target, output, from_logits)


def in_top_k(predictions: Any, targets: Any, k: int) -> Any:
    """Whether the target is among the k largest predictions."""
    return ops.in_top_k(ops.cast(targets, "int32"), predictions, k)


@public
def l2_normalize(x: Any, axis: Any = None) -> Any:
    """x / max(its length, 1e-6) along an axis."""
    square = ops.sum(ops.square(x), axis=axis, keepdims=True)
    return ops.multiply(x, ops.rsqrt(ops.maximum(square, 1e-12)))


def dropout(x: Any, level: float, noise_shape: Any = None, seed: Any = None) -> Any:
    """Zeroes a share of the elements and scales the others."""
    return _dropout(x, level, noise_shape, seed)


@public
def _dropout(x: Any, level: float, noise_shape: Any, seed: Any) -> Any:
    return random.dropout(x, level, noise_shape, seed)


# --- convolutions ---------------------------------------------------------------------------------------------------


@public
def conv1d(
    x: Any, kernel: Any, strides: int = 1, padding: str = "valid", data_format: Any = None, dilation_rate: int = 1
) -> Any:
    """[N, L, C] by [k, C, F]; padding valid, same or causal."""
    data_format = normalize_data_format(data_format)
    if padding == "causal":
        before = dilation_rate * (kernel.shape[0] - 1)
        width = [(0, 0), (before, 0), (0, 0)] if data_format == "channels_last" else [(0, 0), (0, 0), (before, 0)]
        x, padding = ops.pad(x, width), "valid"
    return ops.conv(x, kernel, strides, padding, data_format, dilation_rate)


@public
def conv2d(
    x: Any, kernel: Any, strides: Any = (1, 1), padding: str = "valid", data_format: Any = None,
    dilation_rate: Any = (1, 1),
) -> Any:  # fmt: skip
    """Images by [kh, kw, C, F]."""
    return ops.conv(x, kernel, strides, padding, normalize_data_format(data_format), dilation_rate)


@public
def conv2d_transpose(
    x: Any, kernel: Any, output_shape: Any, strides: Any = (1, 1), padding: str = "valid", data_format: Any = None,
    dilation_rate: Any = (1, 1),
) -> Any:  # fmt: skip
    """The transposed convolution by [kh, kw, F, C]; output_shape has the batch."""
    data_format = normalize_data_format(data_format)
    x = as_tensor(x)
    first = 2 if data_format == "channels_first" else 1
    extents = [int(n) for n in output_shape[first : first + 2]]
    strides = (strides, strides) if isinstance(strides, int) else tuple(strides)
    extra = []
    for i in (0, 1):
        n, k, s = x.shape[first + i], kernel.shape[i], strides[i]
        base = (n - 1) * s + k - (2 * (k // 2) if padding == "same" else 0)
        extra.append(extents[i] - base)
    return ops.conv_transpose(x, kernel, strides, padding, tuple(extra), data_format, dilation_rate)


@public
def depthwise_conv2d(
    x: Any, depthwise_kernel: Any, strides: Any = (1, 1), padding: str = "valid", data_format: Any = None,
    dilation_rate: Any = (1, 1),
) -> Any:  # fmt: skip
    """Each channel by kernels of its own: [kh, kw, C, M]."""
    return ops.depthwise_conv(
        x, depthwise_kernel, strides, padding, normalize_data_format(data_format), dilation_rate
    )  # fmt: skip


@public
def separable_conv2d(
    x: Any, depthwise_kernel: Any, pointwise_kernel: Any, strides: Any = (1, 1), padding: str = "valid",
    data_format: Any = None, dilation_rate: Any = (1, 1),
) -> Any:  # fmt: skip
    """A depthwise convolution, then a pointwise one."""
    return ops.separable_conv(
        x, depthwise_kernel, pointwise_kernel, strides, padding, normalize_data_format(data_format), dilation_rate
    )  # fmt: skip


@public
def separable_conv1d(
    x: Any, depthwise_kernel: Any, pointwise_kernel: Any, strides: Any = 1, padding: str = "valid",
    data_format: Any = None, dilation_rate: Any = 1,
) -> Any:  # fmt: skip
    """The same along one dimension."""
    return ops.separable_conv(
        x, depthwise_kernel, pointwise_kernel, strides, padding, normalize_data_format(data_format), dilation_rate
    )  # fmt: skip


@public
def pool2d(
    x: Any, pool_size: Any, strides: Any = (1, 1), padding: str = "valid", data_format: Any = None,
    pool_mode: str = "max",
) -> Any:  # fmt: skip
    """The largest (or the mean) of each window."""
    if pool_mode not in ("max", "avg"):
        raise ValueError(f"pool2d: expected pool_mode max or avg; received {pool_mode!r}")
    pool = ops.max_pool if pool_mode == "max" else ops.average_pool
    return pool(x, pool_size, strides, padding, normalize_data_format(data_format))


@public
def bias_add(x: Any, bias: Any, data_format: Any = None) -> Any:
    """x plus a bias per channel (or of a sample's whole shape)."""
    x, bias = as_tensor(x), as_tensor(bias)
    rank = len(x.shape)
    if len(bias.shape) not in (1, rank - 1):
        raise ValueError(f"bias_add: expected a bias of 1 or {rank - 1} dimensions; received {len(bias.shape)}")
    if normalize_data_format(data_format) == "channels_first" and rank > 2:
        if len(bias.shape) == 1:
            return ops.add(x, ops.reshape(bias, (bias.shape[0], *(1,) * (rank - 2))))
        return ops.add(
            x, ops.reshape(bias, (bias.shape[-1], *bias.shape[:-1]))
        )  # read anew, not transposed, as in Keras 2
    return ops.add(x, bias)


@public
def resize_images(
    x: Any, height_factor: int, width_factor: int, data_format: str = "channels_last", interpolation: str = "nearest"
) -> Any:
    """Images enlarged by whole factors."""
    from berrante.compat.keras2.layers import UpSampling2D

    if interpolation not in ("nearest", "bilinear"):
        raise ValueError(f"resize_images: expected interpolation nearest or bilinear; received {interpolation!r}")
    layer = UpSampling2D((height_factor, width_factor), data_format=data_format, interpolation=interpolation)
    return layer.call(as_tensor(x))


@public
def batch_normalization(
    x: Any, mean: Any, var: Any, beta: Any, gamma: Any, axis: int = -1, epsilon: float = 1e-3
) -> Any:
    """(x - mean) / sqrt(var + epsilon) * gamma + beta."""
    x = as_tensor(x)
    flat = [None if w is None else ops.reshape(w, (-1,)) for w in (mean, var, beta, gamma)]
    return ops.batch_normalization(x, flat[0], flat[1], axis, flat[2], flat[3], epsilon)


def normalize_batch_in_training(
    x: Any, gamma: Any, beta: Any, reduction_axes: Any, epsilon: float = 1e-3
) -> tuple[Any, Any, Any]:
    """The normalised batch, its means and variances."""
    x = as_tensor(x)
    axis = next(i for i in range(len(x.shape)) if i not in list(reduction_axes))
    mean, variance = ops.moments(x, list(reduction_axes))
    return batch_normalization(x, mean, variance, beta, gamma, axis, epsilon), mean, variance


# --- random numbers -------------------------------------------------------------------------------------------------


def _extents(shape: Any) -> tuple[int, ...]:
    return tuple(int(n) for n in shape)


def _drawn(draw: Callable[[tuple[int, ...], Any], Any], shape: Any, seed: Any) -> Any:
    """Random numbers that are others at each run: of the step that is traced, or else of a placeholder without inputs."""
    extents = _extents(shape)
    if trace.current() is not None:
        return draw(extents, _seed_of_step(seed))
    if not Mode.placeholders:
        return draw(extents, seed)
    generator = random.SeedGenerator(seed)

    def drawn() -> Any:
        return draw(extents, generator)

    return record(drawn, (), {})


def _seed_of_step(seed: Any) -> Any:
    """The global generator's next seed; a whole number takes the place of its key."""
    fresh = random.draw_seed(None)
    if seed is None:
        return fresh
    key = np.array([seed & 0x7FFFFFFF], np.int32)
    return ops.concatenate([key, ops.slice(fresh, (1,), (1,))])


def random_normal(shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None) -> Any:
    """Normal numbers."""
    return _drawn(lambda extents, s: random.normal(extents, mean, stddev, dtype, s), shape, seed)


def random_uniform(shape: Any, minval: float = 0.0, maxval: float = 1.0, dtype: Any = None, seed: Any = None) -> Any:
    """Uniform numbers."""
    return _drawn(lambda extents, s: random.uniform(extents, minval, maxval, dtype, s), shape, seed)


def random_binomial(shape: Any, p: float = 0.0, dtype: Any = None, seed: Any = None) -> Any:
    """1 with probability p, else 0."""
    return _drawn(lambda extents, s: random.bernoulli(extents, p, dtype or floatx(), s), shape, seed)


def truncated_normal(shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None) -> Any:
    """Normal numbers within two standard deviations."""
    return _drawn(lambda extents, s: random.truncated_normal(extents, mean, stddev, dtype, s), shape, seed)


def random_normal_variable(
    shape: Any, mean: float, scale: float, dtype: Any = None, name: Any = None, seed: Any = None
) -> Variable:
    """A variable of normal numbers."""
    value = np.random.default_rng(seed).normal(mean, scale, _extents(shape))
    return Variable(value, dtype=standard_dtype(dtype or floatx()), name=name or "Variable")


def random_uniform_variable(
    shape: Any, low: float, high: float, dtype: Any = None, name: Any = None, seed: Any = None
) -> Variable:
    """A variable of uniform numbers."""
    value = np.random.default_rng(seed).uniform(low, high, _extents(shape))
    return Variable(value, dtype=standard_dtype(dtype or floatx()), name=name or "Variable")
