"""Layers that only move elements, after keras.layers."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from berrante import ops
from berrante.layers.convolution import image_data_format
from berrante.layers.layer import Layer
from berrante.layers.spec import InputSpec
from berrante.ops.conv import pair


class Flatten(Layer):
    """[N, ...] -> [N, elements]; channels_first moves the channels last before, as Keras does."""

    fields = ("data_format",)

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = image_data_format(data_format)
        self.input_spec = InputSpec(min_ndim=1)

    def call(self, inputs: Any) -> Any:
        if self.data_format == "channels_first" and len(inputs.shape) > 2:
            inputs = ops.moveaxis(inputs, 1, -1)
        return ops.reshape(inputs, (inputs.shape[0], prod(inputs.shape[1:])))


class Reshape(Layer):
    """Another shape for each sample; one extent may be -1."""

    fields = ("target_shape",)

    def __init__(self, target_shape: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target_shape = (target_shape,) if isinstance(target_shape, int) else tuple(target_shape)
        if any(isinstance(n, int) and n < -1 for n in self.target_shape):
            raise ValueError(
                f"{self._label()} expected each extent to be a non-negative integer or -1; received "
                f"target_shape={self.target_shape}"
            )
        if self.target_shape.count(-1) > 1:
            raise ValueError(
                f"{self._label()} expected at most one unknown dimension (-1); received target_shape={self.target_shape}"
            )

    def call(self, inputs: Any) -> Any:
        target = list(self.target_shape)
        if -1 in target:
            rest = prod(n for n in target if n != -1)
            target[target.index(-1)] = prod(inputs.shape[1:]) // max(rest, 1)
        return ops.reshape(inputs, (inputs.shape[0], *target))


class Permute(Layer):
    """The dimensions of each sample in another order; dims count from 1."""

    fields = ("dims",)

    def __init__(self, dims: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dims = tuple(dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ValueError(
                f"{self._label()} Invalid permutation for argument `dims`: expected one of 1 to {len(self.dims)}; "
                f"received dims={dims}"
            )
        self.input_spec = InputSpec(ndim=len(self.dims) + 1)

    def call(self, inputs: Any) -> Any:
        return ops.transpose(inputs, (0, *self.dims))


class RepeatVector(Layer):
    """[N, K] -> [N, n, K]."""

    fields = ("n",)

    def __init__(self, n: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.n = _positive(self._label(), "n", n)
        self.input_spec = InputSpec(ndim=2)

    def call(self, inputs: Any) -> Any:
        return ops.repeat(ops.expand_dims(inputs, 1), self.n, axis=1)


class UpSampling2D(Layer):
    """Images enlarged by whole factors: nearest, bilinear, bicubic, lanczos3 or lanczos5 (half-pixel centres)."""

    fields = ("size", "data_format", "interpolation")

    def __init__(
        self, size: Any = (2, 2), data_format: str | None = None, interpolation: str = "nearest", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.size = pair(f"{self._label()} size", size, 2)
        self.data_format = image_data_format(data_format)
        self.interpolation = interpolation.lower()
        known = ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5")
        if self.interpolation not in known:
            raise ValueError(f"{self._label()} expected interpolation {', '.join(known)}; received {interpolation!r}")
        self.input_spec = InputSpec(ndim=4)

    def call(self, inputs: Any) -> Any:
        first = 2 if self.data_format == "channels_first" else 1
        out = (inputs.shape[first] * self.size[0], inputs.shape[first + 1] * self.size[1])
        return ops.resize(inputs, out, self.interpolation, data_format=self.data_format)


class UpSampling1D(Layer):
    """Each step repeated."""

    fields = ("size",)

    def __init__(self, size: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size = _positive(self._label(), "size", size)
        self.input_spec = InputSpec(ndim=3)

    def call(self, inputs: Any) -> Any:
        return ops.repeat(inputs, self.size, axis=1)


def _positive(label: str, name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{label} Expected an integer value for `{name}`; received {value!r}")
    if value < 1:
        raise ValueError(f"{label} `{name}` should be a positive integer; received {value}")
    return int(value)


def _widths(label: str, value: Any, n: int) -> tuple[tuple[int, int], ...]:
    bad = f"{label} expected {n} widths of at least 0 (or pairs of them); received {value!r}"
    if isinstance(value, int):
        value = ((value, value),) * n
    if not isinstance(value, (list, tuple)) or not all(isinstance(v, (int, list, tuple)) for v in value):
        raise ValueError(bad)
    if n == 1 and len(value) == 1 and isinstance(value[0], int):
        raise ValueError(bad)
    pairs = tuple((v, v) if isinstance(v, int) else tuple(v) for v in value)
    if n == 1 and len(pairs) == 2 and all(isinstance(v, int) for v in value):
        pairs = (tuple(value),)
    if len(pairs) != n or any(len(p) != 2 or min(p) < 0 for p in pairs):
        raise ValueError(bad)
    return pairs  # type: ignore[return-value]


class ZeroPadding2D(Layer):
    """Zeros around height and width: a number, (height, width) or ((top, bottom), (left, right))."""

    fields = ("padding", "data_format")

    def __init__(self, padding: Any = (1, 1), data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.padding = _widths(self._label(), padding, 2)
        self.data_format = image_data_format(data_format)
        self.input_spec = InputSpec(ndim=4)

    def call(self, inputs: Any) -> Any:
        none = ((0, 0),)
        widths = none * 2 + self.padding if self.data_format == "channels_first" else none + self.padding + none
        return ops.pad(inputs, widths)


class ZeroPadding1D(Layer):
    """Zeros before and after the steps."""

    fields = ("padding", "data_format")

    def __init__(self, padding: Any = 1, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.padding = _widths(self._label(), padding, 1)[0]
        self.data_format = image_data_format(data_format)
        self.input_spec = InputSpec(ndim=3)

    def call(self, inputs: Any) -> Any:
        none = (0, 0)
        widths = (none, none, self.padding) if self.data_format == "channels_first" else (none, self.padding, none)
        return ops.pad(inputs, widths)


class Cropping2D(Layer):
    """Drops rows and columns at the borders."""

    fields = ("cropping", "data_format")

    def __init__(self, cropping: Any = ((0, 0), (0, 0)), data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.cropping = _widths(self._label(), cropping, 2)
        self.data_format = image_data_format(data_format)
        self.input_spec = InputSpec(ndim=4)

    def call(self, inputs: Any) -> Any:
        return _crop(inputs, self.cropping, 2 if self.data_format == "channels_first" else 1)


class Cropping1D(Layer):
    """Drops steps at both ends."""

    fields = ("cropping",)

    def __init__(self, cropping: Any = (1, 1), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.cropping = _widths(self._label(), cropping, 1)[0]
        self.input_spec = InputSpec(ndim=3)

    def call(self, inputs: Any) -> Any:
        return _crop(inputs, (self.cropping,), 1)


def _crop(x: Any, widths: Any, first: int) -> Any:
    start, size = [0] * len(x.shape), list(x.shape)
    for i, (before, after) in enumerate(widths):
        start[first + i] = before
        size[first + i] -= before + after
        if size[first + i] < 1:
            message = (
                "`cropping` parameter of `Cropping1D` layer must be smaller than the input"
                if len(widths) == 1
                else "Values in `cropping` argument should be smaller than the corresponding spatial dimension of the input"
            )
            raise ValueError(f"{message}. Received: cropping={widths} for an input of shape {tuple(x.shape)}")
    return ops.slice(x, start, size)
