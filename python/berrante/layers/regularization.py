"""Dropout, noise and activity penalties, after keras.layers. Masks come from a seed and are never stored."""

from __future__ import annotations

import math
from typing import Any

from berrante import ops, random
from berrante import regularizers as regularizers_module
from berrante.layers.convolution import image_data_format
from berrante.layers.layer import Layer
from berrante.layers.spec import InputSpec


class _Random(Layer):
    """A layer that draws from a seed generator of its own in training, and passes its input on otherwise."""

    supports_masking = True

    def _set_seed(self, seed: int | None, amount: float) -> None:
        """Keeps the seed, and a generator where there is an amount of anything to draw (as Keras, in files too)."""
        self.seed = seed
        if amount > 0:
            self.seed_generator = random.SeedGenerator(seed)

    def _rate(self, rate: float, name: str = "rate") -> float:
        if not isinstance(rate, (int, float)) or not 0 <= rate <= 1:
            raise ValueError(
                f"{self._label()} Invalid value received for argument `{name}`. Expected a float value between 0 and 1. "
                f"Received: {name}={rate!r}"
            )
        return float(rate)

    def _checked_shape(self, shape: Any) -> tuple[int | None, ...] | None:
        """A noise_shape as a tuple; ValueError for anything but positive integers and None."""
        if shape is None:
            return None
        wrong = None
        if not isinstance(shape, (list, tuple)):
            wrong = "a tuple or list of integers"
        elif any(n is not None and (not isinstance(n, int) or isinstance(n, bool)) for n in shape):
            wrong = "all elements to be integers or None"
        elif any(n is not None and n < 1 for n in shape):
            wrong = "all dimensions to be positive integers or None"
        if wrong:
            raise ValueError(
                f"{self._label()} Invalid value received for argument `noise_shape`. Expected {wrong}. Received: "
                f"noise_shape={shape!r}"
            )
        return tuple(shape)


class Dropout(_Random):
    """Sets a fraction of the elements to 0 and scales the rest by 1 / (1 - rate) (Srivastava et al., 2014)."""

    fields: tuple[str, ...] = ("rate", "seed", "noise_shape")

    def __init__(self, rate: float, noise_shape: Any = None, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rate, self.noise_shape = self._rate(rate), self._checked_shape(noise_shape)
        self._set_seed(seed, self.rate)

    def _noise_shape(self, inputs: Any) -> Any:
        return self.noise_shape

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training or self.rate == 0:
            return inputs
        return random.dropout(inputs, self.rate, self._noise_shape(inputs), self.seed_generator)


class BaseSpatialDropout(Dropout):
    """Drops whole channels. Its config holds only what Keras' constructor takes."""

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.pop("trainable")
        return {**config, "dtype": self.dtype}


class SpatialDropout2D(BaseSpatialDropout):
    """Drops whole channels of images."""

    fields = ("rate", "seed", "data_format")

    def __init__(
        self, rate: float, data_format: str | None = None, seed: int | None = None, name: str | None = None,
        dtype: Any = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(rate, seed=seed, name=name, dtype=dtype, **kwargs)
        self.data_format = image_data_format(data_format)
        self.input_spec = InputSpec(ndim=4)

    def _noise_shape(self, inputs: Any) -> Any:
        n, *rest = inputs.shape
        return (n, rest[0], 1, 1) if self.data_format == "channels_first" else (n, 1, 1, rest[-1])


class SpatialDropout1D(BaseSpatialDropout):
    """Drops whole channels of sequences."""

    fields = ("rate", "seed")

    def __init__(
        self, rate: float, seed: int | None = None, name: str | None = None, dtype: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(rate, seed=seed, name=name, dtype=dtype, **kwargs)
        self.input_spec = InputSpec(ndim=3)

    def _noise_shape(self, inputs: Any) -> Any:
        return (inputs.shape[0], 1, inputs.shape[2])


class GaussianNoise(_Random):
    """Adds normal noise of a standard deviation in training."""

    fields = ("stddev", "seed")

    def __init__(self, stddev: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if stddev < 0:
            raise ValueError(f"{self._label()} expected stddev of at least 0; received {stddev}")
        self.stddev = float(stddev)
        self._set_seed(seed, self.stddev)

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training or self.stddev == 0:
            return inputs
        return ops.add(inputs, random.normal(inputs.shape, 0.0, self.stddev, seed=self.seed_generator))


class GaussianDropout(_Random):
    """Multiplies by normal noise around 1 of variance rate / (1 - rate)."""

    fields = ("rate", "seed")

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rate = self._rate(rate)
        self._set_seed(seed, self.rate)

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training or self.rate == 0:
            return inputs
        deviation = math.sqrt(self.rate / (1.0 - self.rate))
        return ops.multiply(inputs, random.normal(inputs.shape, 1.0, deviation, seed=self.seed_generator))


class AlphaDropout(_Random):
    """Dropout that keeps mean and variance of self-normalising networks (Klambauer et al., 2017)."""

    fields = ("rate", "seed", "noise_shape")

    def __init__(self, rate: float, noise_shape: Any = None, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rate, self.noise_shape = self._rate(rate), self._checked_shape(noise_shape)
        self._set_seed(seed, self.rate)

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training or self.rate == 0:
            return inputs
        low = -1.0507009873554805 * 1.6732632423543772
        given = self.noise_shape or (None,) * len(inputs.shape)
        shape = tuple(m if n is None else n for n, m in zip(given, inputs.shape, strict=True))
        keep = ops.greater_equal(random.uniform(shape, seed=self.seed_generator), self.rate)
        a = ((1.0 - self.rate) * (1.0 + self.rate * low * low)) ** -0.5
        return ops.add(ops.multiply(ops.where(keep, inputs, low), a), -a * low * self.rate)


class ActivityRegularization(Layer):
    """Adds a penalty on its input to the loss."""

    supports_masking = True
    fields = ("l1", "l2")

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **kwargs: Any) -> None:
        super().__init__(activity_regularizer=regularizers_module.L1L2(l1, l2), **kwargs)
        self.l1, self.l2 = l1, l2

    def call(self, inputs: Any) -> Any:
        return inputs

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.pop("activity_regularizer", None)
        return config
