"""Convolutions in one and two dimensions, after keras.layers."""

from __future__ import annotations

from typing import Any

import numpy as np

from berrante import config, constraints, initializers, ops, regularizers
from berrante.layers.core import WeightedLayer
from berrante.layers.spec import InputSpec


def image_data_format(value: str | None) -> str:
    """The layout asked for; without one that of `berrante.config`, channels_last unless set."""
    value = config.image_data_format() if value is None else value.lower()
    if value not in ("channels_last", "channels_first"):
        raise ValueError(f"expected data_format channels_last or channels_first; received {value!r}")
    return value


def whole_numbers(label: str, name: str, value: Any, n: int) -> tuple[int, ...]:
    """A number for each of n dimensions; ValueError unless all are positive whole numbers."""
    values = (value,) * n if isinstance(value, (int, np.integer)) else value
    text = f"{label} The `{name}` argument must be a tuple of {n} integers. Received {name}={value}"
    try:
        found = tuple(int(v) for v in values)
    except (TypeError, ValueError):
        raise ValueError(text) from None
    if len(found) != n:
        raise ValueError(text)
    if min(found) < 1:
        raise ValueError(f"{text}, including values {{{min(found)}}} that do not satisfy `value > 0`")
    return found


def multiplier(label: str, value: Any) -> int:
    """A depth_multiplier; ValueError unless it is positive."""
    if value is None or value < 1:
        raise ValueError(
            f"{label} Invalid value for argument `depth_multiplier`. Expected a strictly positive value. Received "
            f"depth_multiplier={value}."
        )
    return int(value)


class BaseConv(WeightedLayer):
    """What all convolutions share. The kernel is [window..., channels / groups, filters]."""

    spatial = 2
    fields: tuple[str, ...] = (
        "filters", "kernel_size", "strides", "padding", "data_format", "dilation_rate", "groups", "activation",
        "use_bias", "kernel_initializer", "bias_initializer", "kernel_regularizer", "bias_regularizer",
        "activity_regularizer", "kernel_constraint", "bias_constraint",
    )  # fmt: skip

    def __init__(
        self, filters: int | None, kernel_size: Any, strides: Any = 1, padding: str = "valid",
        data_format: str | None = None, dilation_rate: Any = 1, groups: int = 1, activation: Any = None,
        use_bias: bool = True, kernel_initializer: Any = "glorot_uniform", bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None, bias_regularizer: Any = None, activity_regularizer: Any = None,
        kernel_constraint: Any = None, bias_constraint: Any = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        label = self._label()
        self.filters: Any = filters
        if filters is not None and filters < 1:
            raise ValueError(
                f"{label} Invalid value for argument `filters`. Expected a strictly positive value. Received filters={filters}."
            )
        if groups < 1:
            raise ValueError(f"{label} The number of groups must be a positive integer. Received: groups={groups}.")
        if filters is not None and filters % groups:
            raise ValueError(
                f"{label} The number of filters must be evenly divisible by the number of groups. Received: groups={groups}, "
                f"filters={filters}."
            )
        self.kernel_size = whole_numbers(label, "kernel_size", kernel_size, self.spatial)
        self.strides = whole_numbers(label, "strides", strides, self.spatial)
        self.dilation_rate = whole_numbers(label, "dilation_rate", dilation_rate, self.spatial)
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                f"{label} `strides > 1` not supported in conjunction with `dilation_rate > 1`. Received: "
                f"strides={self.strides} and dilation_rate={self.dilation_rate}"
            )
        self.groups = groups
        self.padding = padding.lower()
        if self.padding not in self._paddings():
            raise ValueError(f"{label} expected padding {' or '.join(self._paddings())}; received {padding!r}")
        self.data_format = image_data_format(data_format)
        self._set_weight_arguments(
            activation, use_bias, kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer,
            kernel_constraint, bias_constraint,
        )  # fmt: skip
        self.input_spec = InputSpec(ndim=self.spatial + 2)

    def _paddings(self) -> tuple[str, ...]:
        return ("valid", "same", "causal") if self.spatial == 1 else ("valid", "same")

    @property
    def _channel_axis(self) -> int:
        return 1 if self.data_format == "channels_first" else self.spatial + 1

    def _channels(self, input_shape: Any) -> int:
        channels = input_shape[self._channel_axis]
        if channels is None:
            raise ValueError(f"expected a known number of channels; received shape {tuple(input_shape)}")
        if channels % self.groups:
            raise ValueError(
                f"expected channels divisible by groups={self.groups}; received shape {tuple(input_shape)}"
            )
        self.input_spec = InputSpec(ndim=self.spatial + 2, axes={self._channel_axis: channels})
        return int(channels)

    def build(self, input_shape: Any) -> None:
        channels = self._channels(input_shape)
        self._add_weights((*self.kernel_size, channels // self.groups, self.filters), self.filters)

    def _finish(self, y: Any) -> Any:
        if self.use_bias:
            n = self.bias.shape[0]
            bias = self.bias
            if self.data_format == "channels_first":
                bias = ops.reshape(bias, (n, *(1,) * self.spatial))
            y = ops.add(y, bias)
        return self.activation(y)

    def call(self, inputs: Any) -> Any:
        padding = self.padding
        if padding == "causal":
            before = (self.kernel_size[0] - 1) * self.dilation_rate[0]
            width = [(0, 0)] * 3
            width[2 if self.data_format == "channels_first" else 1] = (before, 0)
            inputs, padding = ops.pad(inputs, width), "valid"
        y = ops.conv(
            inputs, self.kernel, self.strides, padding, self.data_format, self.dilation_rate, groups=self.groups
        )
        return self._finish(y)


class Conv2D(BaseConv):
    """[N, H, W, C] -> [N, H', W', filters], by cross-correlation."""


class Conv1D(BaseConv):
    """[N, L, C] -> [N, L', filters]; padding `causal` looks back only."""

    spatial = 1


class BaseConvTranspose(BaseConv):
    """The transposed convolution; the kernel is [window..., filters, channels]."""

    fields = (
        "filters", "kernel_size", "strides", "padding", "output_padding", "data_format", "dilation_rate",
        "activation", "use_bias", "kernel_initializer", "bias_initializer", "kernel_regularizer", "bias_regularizer",
        "activity_regularizer", "kernel_constraint", "bias_constraint",
    )  # fmt: skip

    def __init__(
        self, filters: int, kernel_size: Any, strides: Any = 1, padding: str = "valid", output_padding: Any = None,
        data_format: str | None = None, dilation_rate: Any = 1, activation: Any = None, use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform", bias_initializer: Any = "zeros", kernel_regularizer: Any = None,
        bias_regularizer: Any = None, activity_regularizer: Any = None, kernel_constraint: Any = None,
        bias_constraint: Any = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(
            filters, kernel_size, strides, padding, data_format, dilation_rate, 1, activation, use_bias,
            kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer, activity_regularizer,
            kernel_constraint, bias_constraint, **kwargs,
        )  # fmt: skip
        self.output_padding = (
            None if output_padding is None
            else (output_padding,) * self.spatial if isinstance(output_padding, int) else tuple(output_padding)
        )  # fmt: skip
        if any(extra >= stride for extra, stride in zip(self.output_padding or (), self.strides)):
            raise ValueError(
                f"{self._label()} `output_padding` must be strictly less than `strides` for all dimensions; received "
                f"output_padding={self.output_padding} with strides={self.strides}"
            )

    def _paddings(self) -> tuple[str, ...]:
        return ("valid", "same")

    def build(self, input_shape: Any) -> None:
        self._add_weights((*self.kernel_size, self.filters, self._channels(input_shape)), self.filters)

    def call(self, inputs: Any) -> Any:
        y = ops.conv_transpose(
            inputs, self.kernel, self.strides, self.padding, self.output_padding, self.data_format, self.dilation_rate
        )
        return self._finish(y)


class Conv2DTranspose(BaseConvTranspose):
    """[N, H, W, C] -> [N, H * stride, W * stride, filters] with padding `same`."""


class Conv1DTranspose(BaseConvTranspose):
    """[N, L, C] -> [N, L * stride, filters] with padding `same`."""

    spatial = 1


class BaseDepthwise(BaseConv):
    """Each channel with depth_multiplier kernels of its own."""

    fields = (
        "kernel_size", "strides", "padding", "depth_multiplier", "data_format", "dilation_rate", "activation",
        "use_bias", "depthwise_initializer", "bias_initializer", "depthwise_regularizer", "bias_regularizer",
        "activity_regularizer", "depthwise_constraint", "bias_constraint",
    )  # fmt: skip

    def __init__(
        self, kernel_size: Any, strides: Any = 1, padding: str = "valid", depth_multiplier: int = 1,
        data_format: str | None = None, dilation_rate: Any = 1, activation: Any = None, use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform", bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None, bias_regularizer: Any = None, activity_regularizer: Any = None,
        depthwise_constraint: Any = None, bias_constraint: Any = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(
            None, kernel_size, strides, padding, data_format, dilation_rate, 1, activation, use_bias,
            depthwise_initializer, bias_initializer, depthwise_regularizer, bias_regularizer, activity_regularizer,
            depthwise_constraint, bias_constraint, **kwargs,
        )  # fmt: skip
        self.depth_multiplier = multiplier(self._label(), depth_multiplier)
        self.depthwise_initializer = self.kernel_initializer
        self.depthwise_regularizer = self.kernel_regularizer
        self.depthwise_constraint = self.kernel_constraint

    def build(self, input_shape: Any) -> None:
        c = self._channels(input_shape)
        self._add_weights((*self.kernel_size, c, self.depth_multiplier), c * self.depth_multiplier)

    def call(self, inputs: Any) -> Any:
        return self._finish(
            ops.depthwise_conv(inputs, self.kernel, self.strides, self.padding, self.data_format, self.dilation_rate)
        )


class DepthwiseConv2D(BaseDepthwise):
    """[N, H, W, C] -> [N, H', W', C * depth_multiplier]."""


class DepthwiseConv1D(BaseDepthwise):
    """[N, L, C] -> [N, L', C * depth_multiplier]."""

    spatial = 1


class BaseSeparable(BaseConv):
    """A depthwise convolution followed by one of 1 x 1."""

    fields = (
        "filters", "kernel_size", "strides", "padding", "data_format", "dilation_rate", "depth_multiplier",
        "activation", "use_bias", "depthwise_initializer", "pointwise_initializer", "bias_initializer",
        "depthwise_regularizer", "pointwise_regularizer", "bias_regularizer", "activity_regularizer",
        "depthwise_constraint", "pointwise_constraint", "bias_constraint",
    )  # fmt: skip

    def __init__(
        self, filters: int, kernel_size: Any, strides: Any = 1, padding: str = "valid",
        data_format: str | None = None, dilation_rate: Any = 1, depth_multiplier: int = 1, activation: Any = None,
        use_bias: bool = True, depthwise_initializer: Any = "glorot_uniform",
        pointwise_initializer: Any = "glorot_uniform", bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None, pointwise_regularizer: Any = None, bias_regularizer: Any = None,
        activity_regularizer: Any = None, depthwise_constraint: Any = None, pointwise_constraint: Any = None,
        bias_constraint: Any = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(
            filters, kernel_size, strides, padding, data_format, dilation_rate, 1, activation, use_bias,
            "glorot_uniform", bias_initializer, None, bias_regularizer, activity_regularizer, None, bias_constraint,
            **kwargs,
        )  # fmt: skip
        self.depth_multiplier = multiplier(self._label(), depth_multiplier)
        self.depthwise_initializer = initializers.get(depthwise_initializer)
        self.pointwise_initializer = initializers.get(pointwise_initializer)
        self.depthwise_regularizer = regularizers.get(depthwise_regularizer)
        self.pointwise_regularizer = regularizers.get(pointwise_regularizer)
        self.depthwise_constraint = constraints.get(depthwise_constraint)
        self.pointwise_constraint = constraints.get(pointwise_constraint)

    def build(self, input_shape: Any) -> None:
        c = self._channels(input_shape)
        m = self.depth_multiplier
        self.depthwise_kernel = self.add_weight(
            (*self.kernel_size, c, m), self.depthwise_initializer, regularizer=self.depthwise_regularizer,
            constraint=self.depthwise_constraint, name="depthwise_kernel",
        )  # fmt: skip
        self.pointwise_kernel = self.add_weight(
            (*(1,) * self.spatial, c * m, self.filters), self.pointwise_initializer,
            regularizer=self.pointwise_regularizer, constraint=self.pointwise_constraint, name="pointwise_kernel",
        )  # fmt: skip
        if self.use_bias:
            self.bias = self.add_weight(
                (self.filters,), self.bias_initializer, regularizer=self.bias_regularizer,
                constraint=self.bias_constraint, name="bias",
            )  # fmt: skip

    def call(self, inputs: Any) -> Any:
        return self._finish(
            ops.separable_conv(
                inputs,
                self.depthwise_kernel,
                self.pointwise_kernel,
                self.strides,
                self.padding,
                self.data_format,
                self.dilation_rate,
            )  # fmt: skip
        )


class SeparableConv2D(BaseSeparable):
    """[N, H, W, C] -> [N, H', W', filters]."""


class SeparableConv1D(BaseSeparable):
    """[N, L, C] -> [N, L', filters]."""

    spatial = 1


Convolution1D, Convolution2D = Conv1D, Conv2D
Convolution1DTranspose = Conv1DTranspose
Convolution2DTranspose, Deconvolution2D = Conv2DTranspose, Conv2DTranspose
SeparableConvolution1D, SeparableConvolution2D = SeparableConv1D, SeparableConv2D
