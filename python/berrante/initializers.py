"""Initial values of weights, with Keras' names, arguments and defaults (keras.initializers)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from berrante import ops, random
from berrante.graph.tensor import Tensor

Shape = Sequence[int]


class Initializer:
    """Gives a tensor for `(shape, dtype)`."""

    def __call__(self, shape: Shape, dtype: Any = None) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must define __call__")

    def get_config(self) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Initializer:
        return cls(**config)

    def clone(self) -> Initializer:
        return type(self).from_config(self.get_config())


class Zeros(Initializer):
    """All 0."""

    def __call__(self, shape: Shape, dtype: Any = None) -> Tensor:
        return ops.zeros(shape, dtype or "float32")


class Ones(Initializer):
    """All 1."""

    def __call__(self, shape: Shape, dtype: Any = None) -> Tensor:
        return ops.ones(shape, dtype or "float32")


class Constant(Initializer):
    """All one value (or an array of the shape)."""

    def __init__(self, value: Any = 0.0) -> None:
        self.value = value

    def __call__(self, shape: Shape, dtype: Any = None) -> Tensor:
        return ops.cast(np.broadcast_to(np.asarray(self.value), tuple(shape)), dtype or "float32")

    def get_config(self) -> dict[str, Any]:
        value = self.value.tolist() if isinstance(self.value, np.ndarray) else self.value
        return {"value": value}


class RandomInitializer(Initializer):
    """Draws from a seed, the same values at every call, as in Keras 3; a SeedGenerator draws anew each time.

    Without a seed the initializer takes one for itself when it is made.
    """

    def __init__(self, seed: Any = None) -> None:
        self._config_seed = seed
        self.seed = random.make_default_seed() if seed is None else seed

    def _draw_seed(self) -> Any:
        return self.seed

    def get_config(self) -> dict[str, Any]:
        seed = self._config_seed
        return {"seed": seed if seed is None or isinstance(seed, int) else None}


class RandomNormal(RandomInitializer):
    """The normal distribution."""

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: Any = None) -> None:
        super().__init__(seed)
        self.mean, self.stddev = mean, stddev

    def __call__(self, shape: Shape, dtype: Any = None) -> Tensor:
        return random.normal(shape, self.mean, self.stddev, dtype, self._draw_seed())

    def get_config(self) -> dict[str, Any]:
        return {"mean": self.mean, "stddev": self.stddev, **super().get_config()}


class TruncatedNormal(RandomNormal):
    """The normal distribution within two standard deviations."""

    def __call__(self, shape: Shape, dtype: Any = None) -> Tensor:
        return random.truncated_normal(shape, self.mean, self.stddev, dtype, self._draw_seed())


class RandomUniform(RandomInitializer):
    """Uniform in [minval, maxval)."""

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: Any = None) -> None:
        super().__init__(seed)
        self.minval, self.maxval = minval, maxval

    def __call__(self, shape: Shape, dtype: Any = None) -> Tensor:
        return random.uniform(shape, self.minval, self.maxval, dtype, self._draw_seed())

    def get_config(self) -> dict[str, Any]:
        return {"minval": self.minval, "maxval": self.maxval, **super().get_config()}


def compute_fans(shape: Shape, input_axes: Any = None, output_axes: Any = None) -> tuple[int, int]:
    """Inputs and outputs of one unit: the receptive field times the channels, or the products of the given axes."""
    shape = tuple(shape)
    if input_axes is not None and output_axes is not None:
        return math.prod(shape[a] for a in input_axes), math.prod(shape[a] for a in output_axes)
    if len(shape) < 1:
        return 1, 1
    if len(shape) == 1:
        return shape[0], shape[0]
    field = math.prod(shape[:-2])
    return shape[-2] * field, shape[-1] * field


class VarianceScaling(RandomInitializer):
    """Variance `scale / n`, n being fan_in, fan_out or their mean (He et al., 2015; Glorot and Bengio, 2010).

    distribution: truncated_normal (its deviation corrected for the truncation), untruncated_normal or uniform.
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: Any = None,
        input_axes: Any = None,
        output_axes: Any = None,
    ) -> None:
        if scale <= 0:
            raise ValueError(f"Argument `scale` must be positive float. Received: scale={scale}")
        if mode not in ("fan_in", "fan_out", "fan_avg"):
            raise ValueError(f"Invalid `mode` argument: expected fan_in, fan_out or fan_avg; received {mode!r}")
        distribution = {"normal": "truncated_normal"}.get(distribution.lower(), distribution.lower())
        if distribution not in ("uniform", "truncated_normal", "untruncated_normal"):
            raise ValueError(
                "Invalid `distribution` argument: expected uniform, truncated_normal or untruncated_normal; "
                f"received {distribution!r}"
            )
        super().__init__(seed)
        self.scale, self.mode, self.distribution = scale, mode, distribution
        self.input_axes, self.output_axes = input_axes, output_axes

    def __call__(self, shape: Shape, dtype: Any = None) -> Tensor:
        fan_in, fan_out = compute_fans(shape, self.input_axes, self.output_axes)
        n = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2.0}[self.mode]
        variance = self.scale / max(1.0, n)
        seed = self._draw_seed()
        if self.distribution == "truncated_normal":
            return random.truncated_normal(shape, 0.0, math.sqrt(variance) / 0.87962566103423978, dtype, seed)
        if self.distribution == "untruncated_normal":
            return random.normal(shape, 0.0, math.sqrt(variance), dtype, seed)
        limit = math.sqrt(3.0 * variance)
        return random.uniform(shape, -limit, limit, dtype, seed)

    def get_config(self) -> dict[str, Any]:
        return {
            "scale": self.scale, "mode": self.mode, "distribution": self.distribution, **super().get_config(),
            **self._axes_config(),
        }  # fmt: skip

    def _axes_config(self) -> dict[str, Any]:
        """Only where they are set: earlier versions of Keras do not know them."""
        axes = {"input_axes": self.input_axes, "output_axes": self.output_axes}
        return {name: value for name, value in axes.items() if value is not None}


def _scaling(name: str, scale: float, mode: str, distribution: str) -> type[VarianceScaling]:
    class Scaling(VarianceScaling):
        def __init__(self, seed: Any = None, input_axes: Any = None, output_axes: Any = None) -> None:
            super().__init__(scale, mode, distribution, seed, input_axes, output_axes)

        def get_config(self) -> dict[str, Any]:
            return {**RandomInitializer.get_config(self), **self._axes_config()}

    Scaling.__name__ = Scaling.__qualname__ = name
    Scaling.__doc__ = f"VarianceScaling(scale={scale}, mode={mode!r}, distribution={distribution!r})."
    return Scaling


GlorotUniform = _scaling("GlorotUniform", 1.0, "fan_avg", "uniform")
GlorotNormal = _scaling("GlorotNormal", 1.0, "fan_avg", "truncated_normal")
HeUniform = _scaling("HeUniform", 2.0, "fan_in", "uniform")
HeNormal = _scaling("HeNormal", 2.0, "fan_in", "truncated_normal")
LecunUniform = _scaling("LecunUniform", 1.0, "fan_in", "uniform")
LecunNormal = _scaling("LecunNormal", 1.0, "fan_in", "truncated_normal")


class Orthogonal(RandomInitializer):
    """Orthonormal rows or columns over all but the last dimension (Saxe et al., 2014)."""

    def __init__(self, gain: float = 1.0, seed: Any = None) -> None:
        super().__init__(seed)
        self.gain = gain

    def __call__(self, shape: Shape, dtype: Any = None) -> Tensor:
        shape = tuple(shape)
        if len(shape) < 2:
            raise ValueError(f"Orthogonal: expected a shape of at least rank 2; received {shape}")
        rows, columns = math.prod(shape[:-1]), shape[-1]
        flat = random.normal((max(rows, columns), min(rows, columns)), seed=self._draw_seed()).numpy()
        q, r = np.linalg.qr(flat)
        q = q * np.sign(np.diag(r))
        q = q.T if rows < columns else q
        return ops.cast(self.gain * q.reshape(shape), dtype or "float32")

    def get_config(self) -> dict[str, Any]:
        return {"gain": self.gain, **super().get_config()}


class Identity(Initializer):
    """A multiple of the identity matrix."""

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = gain

    def __call__(self, shape: Shape, dtype: Any = None) -> Tensor:
        if len(tuple(shape)) != 2:
            raise ValueError(f"Identity: expected a shape of rank 2; received {tuple(shape)}")
        rows, columns = shape
        return ops.multiply(ops.eye(rows, columns, dtype=dtype or "float32"), self.gain)

    def get_config(self) -> dict[str, Any]:
        return {"gain": self.gain}


IdentityInitializer = Identity
OrthogonalInitializer = Orthogonal

ALL = (
    Zeros, Ones, Constant, RandomNormal, TruncatedNormal, RandomUniform, VarianceScaling, GlorotUniform, GlorotNormal,
    HeUniform, HeNormal, LecunUniform, LecunNormal, Orthogonal, Identity,
)  # fmt: skip
_ALIASES = {
    "zero": Zeros, "one": Ones, "normal": RandomNormal, "uniform": RandomUniform, "orthogonalinitializer": Orthogonal,
    "identityinitializer": Identity,
}  # fmt: skip
_BY_NAME = {cls.__name__.lower(): cls for cls in ALL} | _ALIASES


def get(identifier: Any) -> Any:
    """An initializer from a name, a config, a class, an instance or a callable; None stays None."""
    if identifier is None:
        return None
    if isinstance(identifier, str):
        cls = _BY_NAME.get(identifier.lower().replace("_", ""))
        if cls is not None:
            return cls()
    if isinstance(identifier, (str, dict)):
        from berrante.saving.registry import deserialize_named

        return deserialize_named(identifier, "initializer")
    if isinstance(identifier, type):
        return identifier()
    if isinstance(identifier, (np.ndarray, Tensor)):
        return Constant(np.asarray(identifier))
    if callable(identifier):
        return identifier
    raise ValueError(f"expected an initializer (a name, a config or a callable); received {identifier!r}")


def serialize(initializer: Any) -> Any:
    """The initializer's config."""
    from berrante.saving.registry import serialize_keras_object

    return serialize_keras_object(initializer)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The initializer of a config."""
    from berrante.saving.registry import deserialize_keras_object

    return deserialize_keras_object(config, custom_objects)


def __getattr__(name: str) -> Any:
    # Keras' lower-case names: initializers.glorot_uniform, initializers.zeros ...
    cls = _BY_NAME.get(name.lower().replace("_", ""))
    if cls is None or name.startswith("__"):
        raise AttributeError(f"module 'berrante.initializers' has no attribute {name!r}")
    return cls
