"""Keras 1's dense layers that Keras 2 still has: MaxoutDense and Highway, with Keras 1's names of arguments."""

from __future__ import annotations

from typing import Any

from berrante import constraints, initializers, ops, regularizers
from berrante.compat.differences import LAYER_ARGUMENTS
from berrante.compat.keras2 import activations
from berrante.compat.keras2.layer import Layer
from berrante.layers import InputSpec

# Today's names, which configs have after they were read, and those of these layers.
_OLD = {"units": "output_dim", **{new: old for old, new in LAYER_ARGUMENTS["Dense"].items() if old != "output_dim"}}


class _OldDense(Layer):
    """What both have: an input [N, features], a kernel W and a bias b with their regularizers and constraints."""

    def __init__(
        self, init: Any = "glorot_uniform", weights: Any = None, W_regularizer: Any = None, b_regularizer: Any = None,
        activity_regularizer: Any = None, W_constraint: Any = None, b_constraint: Any = None, bias: bool = True,
        input_dim: int | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        if input_dim:
            kwargs["input_shape"] = (input_dim,)
        activity_regularizer = regularizers.get(activity_regularizer)
        super().__init__(weights=weights, activity_regularizer=activity_regularizer, **kwargs)
        self.init = initializers.get(init)
        self.W_regularizer, self.b_regularizer = regularizers.get(W_regularizer), regularizers.get(b_regularizer)
        self.W_constraint, self.b_constraint = constraints.get(W_constraint), constraints.get(b_constraint)
        self.bias, self.input_dim = bias, input_dim
        self.input_spec = InputSpec(ndim=2)

    def _add(self, name: str, shape: tuple[int, ...], start: Any = None) -> Any:
        """The weight of a name; W and b have regularizers and constraints."""
        return self.add_weight(
            shape, start or self.init, name=name, regularizer=getattr(self, f"{name}_regularizer", None),
            constraint=getattr(self, f"{name}_constraint", None),
        )  # fmt: skip

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(), "init": initializers.serialize(self.init), "bias": self.bias,
            "W_regularizer": regularizers.serialize(self.W_regularizer),
            "b_regularizer": regularizers.serialize(self.b_regularizer),
            "activity_regularizer": regularizers.serialize(self.activity_regularizer),
            "W_constraint": constraints.serialize(self.W_constraint),
            "b_constraint": constraints.serialize(self.b_constraint), "input_dim": self.input_dim,
        }  # fmt: skip

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        return cls(**{_OLD.get(name, name): value for name, value in config.items()})


class MaxoutDense(_OldDense):
    """The largest of several linear functions: [N, features] -> [N, output_dim].

    Args:
        output_dim: outputs.
        nb_feature: linear functions for each output.
    """

    def __init__(self, output_dim: int, nb_feature: int = 4, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.output_dim, self.nb_feature = output_dim, nb_feature

    def build(self, input_shape: Any) -> None:
        self.W = self._add("W", (self.nb_feature, input_shape[1], self.output_dim))
        self.b = self._add("b", (self.nb_feature, self.output_dim), "zeros") if self.bias else None

    def call(self, inputs: Any) -> Any:
        y = ops.tensordot(inputs, self.W, [[1], [1]])
        return ops.max(y if self.b is None else ops.add(y, self.b), axis=1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "output_dim": self.output_dim, "nb_feature": self.nb_feature}


class Highway(_OldDense):
    """t * activation(x W + b) + (1 - t) * x with t = sigmoid(x W_carry + b_carry); the width stays."""

    def __init__(self, init: Any = "glorot_uniform", activation: Any = None, *args: Any, **kwargs: Any) -> None:
        kwargs.pop("transform_bias", None)
        super().__init__(init, *args, **kwargs)
        self.activation = activations.get(activation)

    def build(self, input_shape: Any) -> None:
        n = input_shape[1]
        self.W, self.W_carry = self._add("W", (n, n)), self._add("W_carry", (n, n))
        self.b = self._add("b", (n,), "zeros") if self.bias else None
        self.b_carry = self._add("b_carry", (n,), "ones") if self.bias else None

    def call(self, inputs: Any) -> Any:
        gate, y = ops.matmul(inputs, self.W_carry), ops.matmul(inputs, self.W)
        if self.bias:
            gate, y = ops.add(gate, self.b_carry), ops.add(y, self.b)
        t = ops.sigmoid(gate)
        return ops.add(ops.multiply(t, self.activation(y)), ops.multiply(ops.subtract(1.0, t), inputs))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "activation": activations.serialize(self.activation)}
