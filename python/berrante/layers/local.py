"""Locally connected layers of Keras 2: convolutions whose every output place has a kernel of its own."""

from __future__ import annotations

from math import prod
from typing import Any

from berrante import ops
from berrante.layers.convolution import image_data_format
from berrante.layers.core import WeightedLayer
from berrante.layers.spec import InputSpec
from berrante.ops.conv import pair, window_geometry
from berrante.ops.image import extract_patches


class BaseLocal(WeightedLayer):
    """Windows without padding. The kernel is [places, window elements, filters], the bias [*places, filters].

    A window's elements are in the order of the layout: channels last, or first for channels_first.
    """

    spatial = 2
    fields: tuple[str, ...] = (
        "filters", "kernel_size", "strides", "padding", "data_format", "activation", "use_bias", "kernel_initializer",
        "bias_initializer", "kernel_regularizer", "bias_regularizer", "activity_regularizer", "kernel_constraint",
        "bias_constraint",
    )  # fmt: skip

    def __init__(
        self, filters: int, kernel_size: Any, strides: Any = 1, padding: str = "valid",
        data_format: str | None = None, activation: Any = None, use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform", bias_initializer: Any = "zeros", kernel_regularizer: Any = None,
        bias_regularizer: Any = None, activity_regularizer: Any = None, kernel_constraint: Any = None,
        bias_constraint: Any = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        if isinstance(filters, bool) or not isinstance(filters, int) or filters < 1:
            raise ValueError(f"{self._label()} expected filters to be a positive integer; received {filters!r}")
        if padding.lower() != "valid":
            raise ValueError(f"{self._label()} expected padding valid (there is no other); received {padding!r}")
        self.filters, self.padding = filters, "valid"
        self.kernel_size = pair(f"{self._label()} kernel_size", kernel_size, self.spatial)
        self.strides = pair(f"{self._label()} strides", strides, self.spatial)
        self.data_format = image_data_format(data_format)
        self._set_weight_arguments(
            activation, use_bias, kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer,
            kernel_constraint, bias_constraint,
        )  # fmt: skip
        self.input_spec = InputSpec(ndim=self.spatial + 2)

    def build(self, input_shape: Any) -> None:
        first = self.data_format == "channels_first"
        channels = input_shape[1] if first else input_shape[-1]
        extents = input_shape[2:] if first else input_shape[1:-1]
        if channels is None or None in extents:
            raise ValueError(f"expected known extents and channels; received shape {tuple(input_shape)}")
        places, _ = window_geometry(self.name, extents, self.kernel_size, self.strides, "valid")
        self.kernel = self.add_weight(
            (prod(places), prod(self.kernel_size) * channels, self.filters), self.kernel_initializer,
            regularizer=self.kernel_regularizer, constraint=self.kernel_constraint, name="kernel",
        )  # fmt: skip
        if self.use_bias:
            self.bias = self.add_weight(
                (*places, self.filters), self.bias_initializer, regularizer=self.bias_regularizer,
                constraint=self.bias_constraint, name="bias",
            )  # fmt: skip
        self.input_spec = InputSpec(ndim=self.spatial + 2, axes={1 if first else -1: channels})

    def call(self, inputs: Any) -> Any:
        first = self.data_format == "channels_first"
        x = ops.moveaxis(inputs, 1, -1) if first else inputs
        line = self.spatial == 1
        x = ops.expand_dims(x, 1) if line else x
        window, strides = ((1, *self.kernel_size), (1, *self.strides)) if line else (self.kernel_size, self.strides)
        patches = extract_patches(x, window, strides)
        n, h, w, k = patches.shape
        rows = ops.reshape(patches, (n, h * w, k))
        if first:
            rows = ops.reshape(ops.swapaxes(ops.reshape(rows, (n, h * w, -1, x.shape[-1])), 2, 3), (n, h * w, k))
        y = ops.swapaxes(ops.matmul(ops.swapaxes(rows, 0, 1), self.kernel), 0, 1)
        y = ops.reshape(y, (n, w, self.filters) if line else (n, h, w, self.filters))
        if self.use_bias:
            y = ops.add(y, self.bias)
        return self.activation(ops.moveaxis(y, -1, 1) if first else y)


class LocallyConnected1D(BaseLocal):
    """[N, L, C] -> [N, L', filters]."""

    spatial = 1


class LocallyConnected2D(BaseLocal):
    """[N, H, W, C] -> [N, H', W', filters]."""
