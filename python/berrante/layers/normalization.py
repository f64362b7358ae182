"""Batch, layer, group and unit normalisation, after keras.layers."""

from __future__ import annotations

from typing import Any

from berrante import constraints, initializers, ops, regularizers
from berrante.layers.layer import InputSpec, Layer


class BatchNormalization(Layer):
    """Normalises each channel by the batch's statistics in training, by their moving averages otherwise.

    The moving variance is the biased one. `trainable=False` means inference (Ioffe and Szegedy, 2015; Keras 3).
    """

    fields = (
        "axis", "momentum", "epsilon", "center", "scale", "beta_initializer", "gamma_initializer",
        "moving_mean_initializer", "moving_variance_initializer", "beta_regularizer", "gamma_regularizer",
        "beta_constraint", "gamma_constraint", "synchronized",
    )  # fmt: skip

    def __init__(
        self, axis: int = -1, momentum: float = 0.99, epsilon: float = 1e-3, center: bool = True, scale: bool = True,
        beta_initializer: Any = "zeros", gamma_initializer: Any = "ones", moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones", beta_regularizer: Any = None, gamma_regularizer: Any = None,
        beta_constraint: Any = None, gamma_constraint: Any = None, synchronized: bool = False, **kwargs: Any,
    ) -> None:  # fmt: skip
        for argument in ("renorm", "renorm_clipping", "renorm_momentum"):
            if kwargs.pop(argument, None) and argument == "renorm":
                raise ValueError("BatchNormalization: renorm=True is not supported")
        super().__init__(**kwargs)
        self.axis = int(axis[0]) if isinstance(axis, (list, tuple)) else int(axis)
        self.momentum, self.epsilon = float(momentum), float(epsilon)
        self.center, self.scale, self.synchronized = center, scale, synchronized
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.gamma_constraint = constraints.get(gamma_constraint)
        self.gamma: Any = None
        self.beta: Any = None

    def build(self, input_shape: Any) -> None:
        n = input_shape[self.axis]
        if n is None:
            raise ValueError(f"expected a known extent at axis {self.axis}; received shape {tuple(input_shape)}")
        if self.scale:
            self.gamma = self.add_weight(
                (n,), self.gamma_initializer, regularizer=self.gamma_regularizer, constraint=self.gamma_constraint,
                name="gamma",
            )  # fmt: skip
        if self.center:
            self.beta = self.add_weight(
                (n,), self.beta_initializer, regularizer=self.beta_regularizer, constraint=self.beta_constraint,
                name="beta",
            )  # fmt: skip
        self.moving_mean = self.add_weight((n,), self.moving_mean_initializer, trainable=False, name="moving_mean")
        self.moving_variance = self.add_weight(
            (n,), self.moving_variance_initializer, trainable=False, name="moving_variance"
        )
        rank = len(input_shape)
        self.input_spec = InputSpec(ndim=rank, axes={self.axis % rank: n})

    def call(self, inputs: Any, training: bool = False, mask: Any = None) -> Any:
        if training and self._trainable:
            axis = self.axis % len(inputs.shape)
            mean, variance = ops.moments(inputs, [i for i in range(len(inputs.shape)) if i != axis])
            for moving, new in ((self.moving_mean, mean), (self.moving_variance, variance)):
                new = ops.stop_gradient(new)
                moving.assign(
                    ops.add(ops.multiply(moving.value, self.momentum), ops.multiply(new, 1.0 - self.momentum))
                )
        else:
            mean, variance = self.moving_mean.value, self.moving_variance.value
        return ops.batch_normalization(inputs, mean, variance, self.axis, self.beta, self.gamma, self.epsilon)


class LayerNormalization(Layer):
    """Normalises each sample over axes, then scales and shifts (Ba et al., 2016)."""

    fields = (
        "axis", "epsilon", "center", "scale", "beta_initializer", "gamma_initializer", "beta_regularizer",
        "gamma_regularizer", "beta_constraint", "gamma_constraint",
    )  # fmt: skip

    def __init__(
        self, axis: Any = -1, epsilon: float = 1e-3, center: bool = True, scale: bool = True,
        beta_initializer: Any = "zeros", gamma_initializer: Any = "ones", beta_regularizer: Any = None,
        gamma_regularizer: Any = None, beta_constraint: Any = None, gamma_constraint: Any = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(**kwargs)
        self.axis = list(axis) if isinstance(axis, (list, tuple)) else axis
        self.epsilon, self.center, self.scale = epsilon, center, scale
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.gamma_constraint = constraints.get(gamma_constraint)
        self.gamma: Any = None
        self.beta: Any = None

    def build(self, input_shape: Any) -> None:
        axes = self.axis if isinstance(self.axis, list) else [self.axis]
        shape = tuple(input_shape[a] for a in axes)
        if self.scale:
            self.gamma = self.add_weight(
                shape, self.gamma_initializer, regularizer=self.gamma_regularizer, constraint=self.gamma_constraint,
                name="gamma",
            )  # fmt: skip
        if self.center:
            self.beta = self.add_weight(
                shape, self.beta_initializer, regularizer=self.beta_regularizer, constraint=self.beta_constraint,
                name="beta",
            )  # fmt: skip

    def _spread(self, w: Any, rank: int, shape: tuple[int, ...]) -> Any:
        axes = {a % rank for a in (self.axis if isinstance(self.axis, list) else [self.axis])}
        return None if w is None else ops.reshape(w, tuple(n if i in axes else 1 for i, n in enumerate(shape)))

    def call(self, inputs: Any) -> Any:
        rank = len(inputs.shape)
        gamma, beta = (self._spread(w, rank, inputs.shape) for w in (self.gamma, self.beta))
        return ops.layer_normalization(inputs, gamma, beta, self.axis, self.epsilon)


class GroupNormalization(Layer):
    """Normalises groups of channels of each sample (Wu and He, 2018); groups=-1 is one group a channel."""

    fields = (
        "groups", "axis", "epsilon", "center", "scale", "beta_initializer", "gamma_initializer", "beta_regularizer",
        "gamma_regularizer", "beta_constraint", "gamma_constraint",
    )  # fmt: skip

    def __init__(
        self, groups: int = 32, axis: int = -1, epsilon: float = 1e-3, center: bool = True, scale: bool = True,
        beta_initializer: Any = "zeros", gamma_initializer: Any = "ones", beta_regularizer: Any = None,
        gamma_regularizer: Any = None, beta_constraint: Any = None, gamma_constraint: Any = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(**kwargs)
        self.groups, self.axis, self.epsilon, self.center, self.scale = groups, axis, epsilon, center, scale
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.gamma_constraint = constraints.get(gamma_constraint)
        self.gamma: Any = None
        self.beta: Any = None

    def build(self, input_shape: Any) -> None:
        n = input_shape[self.axis]
        if n is None or (self.groups > 0 and n % self.groups):
            raise ValueError(
                f"expected channels divisible by groups={self.groups}; received shape {tuple(input_shape)}"
            )
        if self.scale:
            self.gamma = self.add_weight((n,), self.gamma_initializer, name="gamma")
        if self.center:
            self.beta = self.add_weight((n,), self.beta_initializer, name="beta")

    def call(self, inputs: Any) -> Any:
        x = ops.moveaxis(inputs, self.axis, 1)
        n, c = x.shape[:2]
        groups = c if self.groups == -1 else self.groups
        y = ops.layer_normalization(ops.reshape(x, (n, groups, -1)), epsilon=self.epsilon)
        y = ops.moveaxis(ops.reshape(y, x.shape), 1, self.axis)
        shape = tuple(c if i == self.axis % len(y.shape) else 1 for i in range(len(y.shape)))
        if self.gamma is not None:
            y = ops.multiply(y, ops.reshape(self.gamma, shape))
        return y if self.beta is None else ops.add(y, ops.reshape(self.beta, shape))


class UnitNormalization(Layer):
    """Each sample's vectors (along axis) get length 1."""

    fields = ("axis",)

    def __init__(self, axis: Any = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis

    def call(self, inputs: Any) -> Any:
        square = ops.sum(ops.square(inputs), axis=self.axis, keepdims=True)
        return ops.multiply(inputs, ops.rsqrt(ops.maximum(square, 1e-12)))


class Rescaling(Layer):
    """inputs * scale + offset, e.g. scale=1/255 for images."""

    fields = ("scale", "offset")

    def __init__(self, scale: Any, offset: Any = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale, self.offset = scale, offset

    def call(self, inputs: Any) -> Any:
        return ops.add(ops.multiply(ops.cast(inputs, "float32"), self.scale), self.offset)
