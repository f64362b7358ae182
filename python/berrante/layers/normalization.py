"""Batch, layer, group and unit normalisation, after keras.layers."""

from __future__ import annotations

from typing import Any

from berrante import constraints, initializers, ops, regularizers
from berrante.layers.layer import Layer
from berrante.layers.spec import InputSpec


def check_axis(layer: Layer, axis: Any) -> Any:
    """An axis or a list of axes; TypeError for anything else."""
    if isinstance(axis, (list, tuple)):
        return list(axis)
    if isinstance(axis, bool) or not isinstance(axis, int):
        raise TypeError(
            f"{layer._label()} Invalid value for `axis` argument: expected an int or a list/tuple of ints. Expected an int or a "
            f"list/tuple of ints for the argument 'axis'; received axis={axis!r}"
        )
    return axis


class Affine(Layer):
    """A layer that scales by gamma and shifts by beta: the arguments that normalisations share."""

    supports_masking = True
    _wide = True  # statistics need float32
    fields: tuple[str, ...] = (
        "epsilon", "center", "scale", "beta_initializer", "gamma_initializer", "beta_regularizer",
        "gamma_regularizer", "beta_constraint", "gamma_constraint",
    )  # fmt: skip
    gamma: Any = None
    beta: Any = None

    def _set_affine(
        self, epsilon: float, center: bool, scale: bool, beta_initializer: Any, gamma_initializer: Any,
        beta_regularizer: Any, gamma_regularizer: Any, beta_constraint: Any, gamma_constraint: Any,
    ) -> None:  # fmt: skip
        self.epsilon, self.center, self.scale = epsilon, center, scale
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.gamma_constraint = constraints.get(gamma_constraint)

    def _add_affine(self, shape: tuple[int, ...], scale: bool | None = None, center: bool | None = None) -> None:
        if self.scale if scale is None else scale:
            self.gamma = self.add_weight(
                shape, self.gamma_initializer, regularizer=self.gamma_regularizer, constraint=self.gamma_constraint,
                name="gamma",
            )  # fmt: skip
        if self.center if center is None else center:
            self.beta = self.add_weight(
                shape, self.beta_initializer, regularizer=self.beta_regularizer, constraint=self.beta_constraint,
                name="beta",
            )  # fmt: skip


class BatchNormalization(Affine):
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
        if kwargs.pop("renorm", False):
            raise ValueError("BatchNormalization: renorm=True is not supported")
        kwargs.pop("renorm_clipping", None)
        kwargs.pop("renorm_momentum", None)
        super().__init__(**kwargs)
        self.axis = int(axis[0]) if isinstance(axis, (list, tuple)) else int(axis)
        self.momentum, self.synchronized = float(momentum), synchronized
        self._set_affine(
            float(epsilon), center, scale, beta_initializer, gamma_initializer, beta_regularizer, gamma_regularizer,
            beta_constraint, gamma_constraint,
        )  # fmt: skip
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)

    def build(self, input_shape: Any) -> None:
        rank = len(input_shape)
        if not -rank <= self.axis < rank:
            raise ValueError(f"axis {self.axis} is outside input of shape {tuple(input_shape)}")
        n = input_shape[self.axis]
        if n is None:
            raise ValueError(f"expected a known extent at axis {self.axis}; received shape {tuple(input_shape)}")
        self._add_affine((n,))
        self.moving_mean = self.add_weight((n,), self.moving_mean_initializer, trainable=False, name="moving_mean")
        self.moving_variance = self.add_weight(
            (n,), self.moving_variance_initializer, trainable=False, name="moving_variance"
        )
        self.input_spec = InputSpec(ndim=rank, axes={self.axis % rank: n})

    def _moments(self, x: Any, mask: Any) -> tuple[Any, Any]:
        """The batch's mean and variance a channel, over the steps that a mask keeps."""
        axis = self.axis % len(x.shape)
        axes = [i for i in range(len(x.shape)) if i != axis]
        if mask is None:
            return ops.moments(x, axes)
        if len(mask.shape) != len(x.shape) - 1:
            raise ValueError(f"expected a mask of rank {len(x.shape) - 1}; received shape {mask.shape}")
        keep = ops.broadcast_to(ops.expand_dims(ops.cast(mask, "bool"), -1), x.shape)
        count = ops.add(ops.sum(ops.cast(keep, "float32"), axes, keepdims=True), 1e-7)
        mean = ops.divide(ops.sum(ops.where(keep, x, 0.0), axes, keepdims=True), count)
        square = ops.square(ops.where(keep, ops.subtract(x, mean), 0.0))
        variance = ops.divide(ops.sum(square, axes, keepdims=True), count)
        return ops.squeeze(mean, axes), ops.squeeze(variance, axes)

    def call(self, inputs: Any, training: bool = False, mask: Any = None) -> Any:
        if training and self._trainable:
            mean, variance = self._moments(ops.cast(inputs, "float32"), mask)
            for moving, new in ((self.moving_mean, mean), (self.moving_variance, variance)):
                new = ops.stop_gradient(new)
                moving.assign(
                    ops.add(ops.multiply(moving.value, self.momentum), ops.multiply(new, 1.0 - self.momentum))
                )
        else:
            mean, variance = self.moving_mean.value, self.moving_variance.value
        return ops.batch_normalization(inputs, mean, variance, self.axis, self.beta, self.gamma, self.epsilon)


class LayerNormalization(Affine):
    """Normalises each sample over axes, then scales and shifts (Ba et al., 2016).

    rms_scaling=True (deprecated in Keras) divides by the deviation without centring.
    """

    fields = ("axis", "rms_scaling", *Affine.fields)

    def __init__(
        self, axis: Any = -1, epsilon: float = 1e-3, center: bool = True, scale: bool = True,
        beta_initializer: Any = "zeros", gamma_initializer: Any = "ones", beta_regularizer: Any = None,
        gamma_regularizer: Any = None, beta_constraint: Any = None, gamma_constraint: Any = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        self.rms_scaling = bool(kwargs.pop("rms_scaling", False))
        super().__init__(**kwargs)
        self.axis = check_axis(self, axis)
        self._set_affine(
            epsilon, center, scale, beta_initializer, gamma_initializer, beta_regularizer, gamma_regularizer,
            beta_constraint, gamma_constraint,
        )  # fmt: skip

    def build(self, input_shape: Any) -> None:
        self.axis = sorted(self.axis) if isinstance(self.axis, list) else [self.axis]
        shape = tuple(input_shape[a] for a in self.axis)
        self._add_affine(shape, scale=self.scale or self.rms_scaling, center=self.center and not self.rms_scaling)

    def call(self, inputs: Any) -> Any:
        if not self.rms_scaling:
            return ops.layer_normalization(inputs, self.gamma, self.beta, self.axis, self.epsilon)
        _, variance = ops.moments(inputs, self.axis, keepdims=True)
        gamma = ops.reshape(
            self.gamma, [n if i in self._positive_axes(inputs) else 1 for i, n in enumerate(inputs.shape)]
        )
        return ops.multiply(ops.multiply(inputs, ops.rsqrt(ops.add(variance, self.epsilon))), gamma)

    def _positive_axes(self, x: Any) -> set[int]:
        return {a % len(x.shape) for a in self.axis}


class RMSNormalization(Layer):
    """Divides each sample by its root mean square over axes, then scales (Zhang and Sennrich, 2019)."""

    _wide = True

    fields = ("axis", "epsilon")

    def __init__(self, axis: Any = -1, epsilon: float = 1e-6, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis, self.epsilon = check_axis(self, axis), epsilon

    def build(self, input_shape: Any) -> None:
        self.axis = sorted(self.axis) if isinstance(self.axis, list) else [self.axis]
        self.scale = self.add_weight(tuple(input_shape[a] for a in self.axis), "ones", name="scale")

    def call(self, inputs: Any) -> Any:
        return ops.rms_normalization(inputs, self.scale, self.axis, self.epsilon)


class GroupNormalization(Affine):
    """Normalises groups of channels of each sample (Wu and He, 2018); groups=-1 is one group a channel."""

    fields = ("groups", "axis", *Affine.fields)

    def __init__(
        self, groups: int = 32, axis: int = -1, epsilon: float = 1e-3, center: bool = True, scale: bool = True,
        beta_initializer: Any = "zeros", gamma_initializer: Any = "ones", beta_regularizer: Any = None,
        gamma_regularizer: Any = None, beta_constraint: Any = None, gamma_constraint: Any = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(**kwargs)
        if isinstance(groups, bool) or not isinstance(groups, int) or (groups < 1 and groups != -1):
            raise ValueError(
                f"{self._label()} expected the argument `groups` to be a positive integer or -1; received groups={groups!r}"
            )
        self.groups, self.axis = groups, axis
        self._set_affine(
            epsilon, center, scale, beta_initializer, gamma_initializer, beta_regularizer, gamma_regularizer,
            beta_constraint, gamma_constraint,
        )  # fmt: skip

    def build(self, input_shape: Any) -> None:
        n = input_shape[self.axis]
        if n is None:
            raise ValueError(
                f"Axis {self.axis} of input tensor should have a defined dimension but the layer received an input with shape "
                f"{tuple(input_shape)}"
            )
        if self.groups == -1:
            self.groups = n
        if n < self.groups:
            raise ValueError(
                f"Number of groups ({self.groups}) cannot be more than the number of channels ({n}). Received shape "
                f"{tuple(input_shape)}"
            )
        if n % self.groups:
            raise ValueError(
                f"Number of groups ({self.groups}) must be a multiple of the number of channels ({n}), that is divide it. "
                f"Received shape {tuple(input_shape)}"
            )
        self._add_affine((n,))
        self.input_spec = InputSpec(ndim=len(input_shape), axes={self.axis: n})

    def call(self, inputs: Any) -> Any:
        x = ops.moveaxis(inputs, self.axis, 1)
        n, c = x.shape[:2]
        y = ops.layer_normalization(ops.reshape(x, (n, self.groups, -1)), epsilon=self.epsilon)
        y = ops.moveaxis(ops.reshape(y, x.shape), 1, self.axis)
        shape = tuple(c if i == self.axis % len(y.shape) else 1 for i in range(len(y.shape)))
        if self.gamma is not None:
            y = ops.multiply(y, ops.reshape(self.gamma, shape))
        return y if self.beta is None else ops.add(y, ops.reshape(self.beta, shape))


class UnitNormalization(Layer):
    """Each sample's vectors (along axis) get length 1."""

    supports_masking = True
    fields = ("axis",)

    def __init__(self, axis: Any = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = check_axis(self, axis)

    def call(self, inputs: Any) -> Any:
        return ops.normalize(inputs, axis=self.axis, order=2, epsilon=1e-12)


class Rescaling(Layer):
    """inputs * scale + offset, e.g. scale=1/255 for images."""

    supports_masking = True
    fields = ("scale", "offset")

    def __init__(self, scale: Any, offset: Any = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale, self.offset = scale, offset

    def call(self, inputs: Any) -> Any:
        return ops.add(ops.multiply(ops.cast(inputs, "float32"), self.scale), self.offset)
