"""Activations with parameters, as layers, after keras.layers."""

from __future__ import annotations

from typing import Any

from berrante import activations, constraints, initializers, ops, regularizers
from berrante.layers.layer import Layer
from berrante.layers.spec import InputSpec


class ReLU(Layer):
    """x above the threshold, else negative_slope * (x - threshold); at most max_value."""

    supports_masking = True
    fields = ("max_value", "negative_slope", "threshold")

    def __init__(
        self, max_value: float | None = None, negative_slope: float = 0.0, threshold: float = 0.0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if max_value is not None and max_value < 0:
            raise ValueError(
                f"{self._label()} max_value of a ReLU layer cannot be a negative value. Received: {max_value}"
            )
        for argument, value in (("negative_slope", negative_slope), ("threshold", threshold)):
            if value is None or value < 0:
                raise ValueError(
                    f"{self._label()} {argument} of a ReLU layer cannot be None or a negative value. Received: {value}"
                )
        self.max_value, self.negative_slope, self.threshold = max_value, negative_slope, threshold

    def call(self, inputs: Any) -> Any:
        return activations.relu(inputs, self.negative_slope, self.max_value, self.threshold)


class LeakyReLU(Layer):
    """x above 0, else negative_slope * x."""

    supports_masking = True
    fields = ("negative_slope",)

    def __init__(self, negative_slope: float = 0.3, **kwargs: Any) -> None:
        negative_slope = kwargs.pop("alpha", negative_slope)
        super().__init__(**kwargs)
        if negative_slope is None or negative_slope < 0:
            raise ValueError(
                f"{self._label()} The negative_slope value of a Leaky ReLU layer cannot be None or a negative value. "
                f"Received: negative_slope={negative_slope}"
            )
        self.negative_slope = float(negative_slope)

    def call(self, inputs: Any) -> Any:
        return ops.leaky_relu(inputs, self.negative_slope)


class PReLU(Layer):
    """x above 0, else a learnt slope times x; shared_axes share their slopes (He et al., 2015)."""

    supports_masking = True
    fields = ("alpha_initializer", "alpha_regularizer", "alpha_constraint", "shared_axes")

    def __init__(
        self, alpha_initializer: Any = "Zeros", alpha_regularizer: Any = None, alpha_constraint: Any = None,
        shared_axes: Any = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(**kwargs)
        self.alpha_initializer = initializers.get(alpha_initializer)
        self.alpha_regularizer = regularizers.get(alpha_regularizer)
        self.alpha_constraint = constraints.get(alpha_constraint)
        self.shared_axes = [shared_axes] if isinstance(shared_axes, int) else list(shared_axes) if shared_axes else None

    def build(self, input_shape: Any) -> None:
        shape = list(input_shape[1:])
        for axis in self.shared_axes or ():
            shape[axis - 1] = 1
        self.alpha = self.add_weight(
            tuple(shape), self.alpha_initializer, regularizer=self.alpha_regularizer,
            constraint=self.alpha_constraint, name="alpha",
        )  # fmt: skip
        self.input_spec = InputSpec(ndim=len(input_shape))

    def call(self, inputs: Any) -> Any:
        negative = ops.multiply(self.alpha, ops.negative(ops.relu(ops.negative(inputs))))
        return ops.add(ops.relu(inputs), negative)


class ELU(Layer):
    """x above 0, else alpha * (exp(x) - 1)."""

    supports_masking = True
    fields = ("alpha",)

    def __init__(self, alpha: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alpha = alpha

    def call(self, inputs: Any) -> Any:
        return ops.elu(inputs, self.alpha)


class ThresholdedReLU(Layer):
    """x above theta, else 0."""

    fields = ("theta",)

    def __init__(self, theta: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.theta = theta

    def call(self, inputs: Any) -> Any:
        return ops.threshold(inputs, self.theta, 0.0)


class Softmax(Layer):
    """exp(x) normalised to sum 1 along an axis; what a mask leaves out gets 0."""

    supports_masking = True
    fields = ("axis",)

    def __init__(self, axis: Any = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis

    def call(self, inputs: Any, mask: Any = None) -> Any:
        if mask is None:
            return ops.softmax(inputs, self.axis)
        if len(mask.shape) > len(inputs.shape):
            raise ValueError(
                f"`mask` must not have more dimensions than the input; received shape {mask.shape} for {inputs.shape}"
            )
        keep = mask if mask.dtype == "bool" else ops.greater(mask, 0.5)
        y = ops.softmax(ops.where(keep, inputs, -1e30), self.axis)
        return ops.where(keep, y, 0.0)  # also where everything is left out
