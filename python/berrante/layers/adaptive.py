"""Adaptive pooling, after keras.layers: windows of a size such that `output_size` outputs come out along each axis."""

from __future__ import annotations

from typing import Any

from berrante import ops
from berrante.layers.convolution import image_data_format
from berrante.layers.layer import Layer
from berrante.layers.spec import InputSpec


class AdaptivePooling(Layer):
    """The base: [N, H, W, C] -> [N, *output_size, C]."""

    spatial = 2
    fields = ("output_size", "data_format")
    function: Any = None

    def __init__(self, output_size: Any, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        size = (output_size,) * self.spatial if isinstance(output_size, int) else output_size
        if not isinstance(size, (list, tuple)) or len(size) != self.spatial:
            raise TypeError(
                f"{self._label()} `output_size` must be an integer or a tuple of {self.spatial}; received {output_size!r}"
            )
        self.output_size = tuple(size)
        self.data_format = image_data_format(data_format)
        self.input_spec = InputSpec(ndim=self.spatial + 2)

    def call(self, inputs: Any) -> Any:
        return type(self).function(inputs, self.output_size, self.data_format)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        if self.data_format == "channels_first":
            return (*input_shape[:2], *self.output_size)
        return (input_shape[0], *self.output_size, input_shape[-1])


class AdaptiveAveragePooling2D(AdaptivePooling):
    """The means of windows."""

    function = staticmethod(ops.adaptive_average_pool)


class AdaptiveAveragePooling1D(AdaptivePooling):
    """The means of windows."""

    spatial = 1
    function = staticmethod(ops.adaptive_average_pool)


class AdaptiveMaxPooling2D(AdaptivePooling):
    """The largest elements of windows."""

    function = staticmethod(ops.adaptive_max_pool)


class AdaptiveMaxPooling1D(AdaptivePooling):
    """The largest elements of windows."""

    spatial = 1
    function = staticmethod(ops.adaptive_max_pool)
