"""Max, average and median pooling, over windows and over whole images, after keras.layers (the median is ours)."""

from __future__ import annotations

from typing import Any

from berrante import ops
from berrante.layers.convolution import image_data_format
from berrante.layers.layer import Layer
from berrante.layers.spec import InputSpec
from berrante.ops.conv import pair


class BasePooling(Layer):
    """Windows over one or two dimensions; strides default to the window."""

    spatial = 2
    fields = ("pool_size", "strides", "padding", "data_format")
    function: Any = None

    def __init__(
        self, pool_size: Any = 2, strides: Any = None, padding: str = "valid", data_format: str | None = None,
        name: str | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(name=name, **kwargs)
        self.pool_size = pair(f"{self._label()} pool_size", pool_size, self.spatial)
        self.strides = pair(f"{self._label()} strides", pool_size if strides is None else strides, self.spatial)
        self.padding = padding.lower()
        if self.padding not in ("valid", "same"):
            raise ValueError(f"{self._label()} expected padding valid or same; received {padding!r}")
        self.data_format = image_data_format(data_format)
        self.input_spec = InputSpec(ndim=self.spatial + 2)

    def call(self, inputs: Any) -> Any:
        return type(self).function(inputs, self.pool_size, self.strides, self.padding, self.data_format)


class PairPooling(BasePooling):
    """Windows of 2 unless another size is given."""

    def __init__(
        self, pool_size: Any = 2, strides: Any = None, padding: str = "valid", data_format: str | None = None,
        name: str | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(pool_size, strides, padding, data_format, name, **kwargs)


class MaxPooling2D(PairPooling):
    """The largest element of each window."""

    function = staticmethod(ops.max_pool)


class MaxPooling1D(PairPooling):
    """The largest element of each window."""

    spatial = 1
    function = staticmethod(ops.max_pool)


class AveragePooling2D(BasePooling):
    """The mean of each window's elements inside the input."""

    function = staticmethod(ops.average_pool)


class AveragePooling1D(BasePooling):
    """The mean of each window's elements inside the input."""

    spatial = 1
    function = staticmethod(ops.average_pool)


class MedianPooling2D(PairPooling):
    """The median of each window's elements inside the input."""

    function = staticmethod(ops.median_pool)


class MedianPooling1D(PairPooling):
    """The median of each window's elements inside the input."""

    spatial = 1
    function = staticmethod(ops.median_pool)


class BaseGlobalPooling(Layer):
    """One value a channel."""

    spatial = 2
    fields = ("data_format", "keepdims")
    function: Any = None

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = image_data_format(data_format)
        self.keepdims = keepdims
        self.input_spec = InputSpec(ndim=self.spatial + 2)

    def call(self, inputs: Any) -> Any:
        first = 2 if self.data_format == "channels_first" else 1
        return type(self).function(inputs, axis=tuple(range(first, first + self.spatial)), keepdims=self.keepdims)


class GlobalAveragePooling2D(BaseGlobalPooling):
    """The mean over height and width."""

    function = staticmethod(ops.mean)


class GlobalAveragePooling1D(BaseGlobalPooling):
    """The mean over steps; over those that a mask keeps if there is one."""

    spatial = 1
    function = staticmethod(ops.mean)
    supports_masking = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        if mask is None:
            return super().call(inputs)
        first = self.data_format == "channels_first"
        keep = ops.expand_dims(ops.cast(mask, "bool"), 1 if first else 2)
        total = ops.sum(ops.where(keep, inputs, 0.0), 2 if first else 1, self.keepdims)
        return ops.divide(total, ops.sum(ops.cast(keep, "float32"), 2 if first else 1, self.keepdims))

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return None


class GlobalMaxPooling2D(BaseGlobalPooling):
    """The largest element over height and width."""

    function = staticmethod(ops.max)


class GlobalMaxPooling1D(BaseGlobalPooling):
    """The largest element over steps."""

    spatial = 1
    function = staticmethod(ops.max)


MaxPool1D, MaxPool2D, AvgPool1D, AvgPool2D = MaxPooling1D, MaxPooling2D, AveragePooling1D, AveragePooling2D
GlobalMaxPool1D, GlobalMaxPool2D = GlobalMaxPooling1D, GlobalMaxPooling2D
GlobalAvgPool1D, GlobalAvgPool2D = GlobalAveragePooling1D, GlobalAveragePooling2D
