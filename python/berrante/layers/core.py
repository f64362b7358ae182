"""Dense, Embedding, Activation, Lambda, Masking and Identity, after keras.layers."""

from __future__ import annotations

from typing import Any

import numpy as np

from berrante import activations, constraints, initializers, ops, regularizers
from berrante.layers.layer import Layer
from berrante.layers.spec import InputSpec


def refuse(label: str, **arguments: Any) -> None:
    """Raises ValueError for arguments of Keras that this core does not carry out."""
    for name, value in arguments.items():
        if value is not None:
            raise ValueError(f"{label} {name} is not supported; received {name}={value!r}")


class WeightedLayer(Layer):
    """A layer with a kernel and an optional bias: the arguments that Dense and the convolutions share."""

    kernel: Any
    bias: Any = None

    def _set_weight_arguments(
        self, activation: Any, use_bias: bool, kernel_initializer: Any, bias_initializer: Any,
        kernel_regularizer: Any, bias_regularizer: Any, kernel_constraint: Any, bias_constraint: Any,
    ) -> None:  # fmt: skip
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)

    def _add_weights(self, kernel_shape: tuple[int, ...], units: int) -> None:
        self.kernel = self.add_weight(
            kernel_shape, self.kernel_initializer, regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint, name="kernel",
        )  # fmt: skip
        if self.use_bias:
            self.bias = self.add_weight(
                (units,), self.bias_initializer, regularizer=self.bias_regularizer,
                constraint=self.bias_constraint, name="bias",
            )  # fmt: skip


class Dense(WeightedLayer):
    """activation(x @ kernel + bias) over the last dimension: [..., K] -> [..., units]."""

    supports_masking = True
    fields = (
        "units", "activation", "use_bias", "kernel_initializer", "bias_initializer", "kernel_regularizer",
        "bias_regularizer", "kernel_constraint", "bias_constraint",
    )  # fmt: skip

    def __init__(
        self, units: int, activation: Any = None, use_bias: bool = True, kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros", kernel_regularizer: Any = None, bias_regularizer: Any = None,
        activity_regularizer: Any = None, kernel_constraint: Any = None, bias_constraint: Any = None,
        lora_rank: int | None = None, lora_alpha: float | None = None, quantization_config: Any = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        refuse(self._label(), lora_rank=lora_rank, lora_alpha=lora_alpha, quantization_config=quantization_config)
        if (
            isinstance(units, bool)
            or not isinstance(units, (int, float, np.number))
            or int(units) != units
            or units < 1
        ):
            raise ValueError(f"{self._label()} expected units to be a positive integer; received {units!r}")
        self.units = int(units)
        self._set_weight_arguments(
            activation, use_bias, kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer,
            kernel_constraint, bias_constraint,
        )  # fmt: skip
        self.input_spec = InputSpec(min_ndim=2)

    def build(self, input_shape: Any) -> None:
        k = input_shape[-1]
        if k is None:
            raise ValueError(f"expected a known last extent; received shape {tuple(input_shape)}")
        self._add_weights((k, self.units), self.units)
        self.input_spec = InputSpec(min_ndim=2, axes={-1: k})

    def call(self, inputs: Any) -> Any:
        y = ops.matmul(inputs, self.kernel)
        if self.use_bias:
            y = ops.add(y, self.bias)
        return y if self.activation is None else self.activation(y)


class NotPositive(ValueError, TypeError):
    """An argument is no positive whole number."""


class Embedding(Layer):
    """Rows of a table: integers [...] -> [..., output_dim]. Positions outside the table give NaN."""

    fields: tuple[str, ...] = (
        "input_dim", "output_dim", "embeddings_initializer", "embeddings_regularizer", "activity_regularizer",
        "embeddings_constraint", "mask_zero",
    )  # fmt: skip

    def __init__(
        self, input_dim: int, output_dim: int, embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None, embeddings_constraint: Any = None, mask_zero: bool = False,
        weights: Any = None, lora_rank: int | None = None, lora_alpha: float | None = None,
        quantization_config: Any = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        input_length = kwargs.pop("input_length", None)
        if input_length is not None:
            kwargs.setdefault("input_shape", (input_length,))
        super().__init__(**kwargs)
        refuse(self._label(), lora_rank=lora_rank, lora_alpha=lora_alpha, quantization_config=quantization_config)
        for argument, value in (("input_dim", input_dim), ("output_dim", output_dim)):
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
                raise NotPositive(f"{self._label()} `{argument}` must be a positive integer; received {value!r}")
        self.input_dim, self.output_dim, self.mask_zero = int(input_dim), int(output_dim), bool(mask_zero)
        self.supports_masking = self.mask_zero
        self.embeddings_initializer = initializers.get(embeddings_initializer)
        self.embeddings_regularizer = regularizers.get(embeddings_regularizer)
        self.embeddings_constraint = constraints.get(embeddings_constraint)
        self._initial = weights

    def build(self, input_shape: Any = None) -> None:
        self.embeddings = self.add_weight(
            (self.input_dim, self.output_dim), self.embeddings_initializer, regularizer=self.embeddings_regularizer,
            constraint=self.embeddings_constraint, name="embeddings",
        )  # fmt: skip
        if self._initial is not None:
            self.embeddings.assign(self._initial[0] if isinstance(self._initial, list) else self._initial)
        self.built = True

    def _casts_integers(self) -> bool:
        return False

    def call(self, inputs: Any) -> Any:
        return ops.take(self.embeddings, ops.cast(inputs, "int32"), axis=0)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """With mask_zero, the positions that are not 0."""
        return ops.not_equal(inputs, 0) if self.mask_zero else None


class Activation(Layer):
    """An activation function as a layer."""

    supports_masking = True
    fields = ("activation",)

    def __init__(self, activation: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.activation = activations.get(activation)

    def call(self, inputs: Any) -> Any:
        return self.activation(inputs)


class Lambda(Layer):
    """A Python function as a layer. It is not saved: register a layer class for models that are to be loaded."""

    def __init__(
        self, function: Any, output_shape: Any = None, mask: Any = None, arguments: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(**kwargs)
        self.function = function
        self.arguments = arguments or {}
        self._mask = mask
        self.supports_masking = mask is not None
        self._output_shape = output_shape

    def call(self, inputs: Any, training: bool = False) -> Any:
        import inspect

        extra = dict(self.arguments)
        if "training" in inspect.signature(self.function).parameters:
            extra["training"] = training
        return self.function(inputs, **extra)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """The constructor's mask, or what it gives for the inputs and their mask."""
        return self._mask(inputs, previous_mask) if callable(self._mask) else self._mask

    def get_config(self) -> dict[str, Any]:
        from berrante.saving.registry import serialize_keras_object

        return {
            **super().get_config(), "function": serialize_keras_object(self.function), "arguments": self.arguments,
        }  # fmt: skip

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        from berrante.saving.registry import deserialize_keras_object

        function = config["function"]
        if isinstance(function, dict):
            function = deserialize_keras_object(function)
        if not callable(function):
            raise ValueError("[lambda] a Lambda's function is only restored from a registered name, never from code")
        return cls(**{**config, "function": function})


class Masking(Layer):
    """Sets time steps whose features all equal mask_value to 0, and masks them for the layers after it."""

    supports_masking = True
    fields = ("mask_value",)

    def __init__(self, mask_value: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mask_value = mask_value

    def call(self, inputs: Any) -> Any:
        keep = ops.any(ops.not_equal(inputs, self.mask_value), axis=-1, keepdims=True)
        return ops.where(keep, inputs, 0)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return ops.any(ops.not_equal(inputs, self.mask_value), axis=-1)


class Identity(Layer):
    """Its input."""

    supports_masking = True

    def call(self, inputs: Any) -> Any:
        return inputs
