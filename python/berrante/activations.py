"""Activation functions by name, with Keras' names (keras.activations), and `step`, the McCulloch-Pitts neuron's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from berrante import ops
from berrante.ops import (
    celu,
    elu,
    exponential,
    glu,
    hard_shrink,
    hard_sigmoid,
    hard_silu,
    hard_swish,
    hard_tanh,
    leaky_relu,
    linear,
    log_sigmoid,
    log_softmax,
    mish,
    relu6,
    selu,
    sigmoid,
    silu,
    soft_shrink,
    softmax,
    softplus,
    softsign,
    sparse_plus,
    sparse_sigmoid,
    sparsemax,
    squareplus,
    step,
    swish,
    tanh,
    tanh_shrink,
    threshold,
)


def relu(x: Any, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Any:
    """x above the threshold, else negative_slope * (x - threshold); at most max_value."""
    if negative_slope == 0.0 and threshold == 0.0:
        y = ops.relu(x)
    else:
        below = ops.multiply(ops.subtract(x, threshold), negative_slope)
        above = x if max_value is None else ops.clip(x, 0.0, max_value)  # a bound above brings one at 0, as in Keras
        return ops.where(ops.greater(x, threshold), above, below)
    return y if max_value is None else ops.minimum(y, max_value)


def gelu(x: Any, approximate: bool = False) -> Any:
    """x times the normal distribution function at x, by tanh if approximate (keras.ops.gelu approximates by default)."""
    return ops.gelu(x, approximate)


_ALL: tuple[Callable[..., Any], ...] = (
    glu, sparse_plus, sparse_sigmoid, sparsemax, squareplus,
    relu, celu, elu, exponential, gelu, hard_shrink, hard_sigmoid, hard_silu, hard_tanh, leaky_relu, linear,
    log_sigmoid, log_softmax, mish, relu6, selu, sigmoid, silu, soft_shrink, softmax, softplus, softsign, step, tanh,
    tanh_shrink, threshold,
)  # fmt: skip
_BY_NAME: dict[str, Callable[..., Any]] = {f.__name__: f for f in _ALL} | {"swish": swish, "hard_swish": hard_swish}
NAMES = tuple(_BY_NAME)


def get(identifier: Any) -> Any:
    """An activation from a name, a config or a callable; None gives `linear`."""
    if identifier is None:
        return linear
    if isinstance(identifier, str) and identifier in _BY_NAME:
        return _BY_NAME[identifier]
    if isinstance(identifier, (str, dict)):
        from berrante.saving.registry import deserialize_named

        return deserialize_named(identifier, "activation")
    if callable(identifier):
        return identifier
    raise ValueError(f"expected an activation (a name or a callable); received {identifier!r}")


def serialize(activation: Any) -> Any:
    """The activation's name, or the config of a registered one."""
    name = getattr(activation, "__name__", None)
    if name in _BY_NAME and _BY_NAME[name] is activation:
        return name
    from berrante.saving.registry import serialize_keras_object

    return serialize_keras_object(activation)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The activation of a name or config."""
    if isinstance(config, str) and config in _BY_NAME:
        return _BY_NAME[config]
    from berrante.saving.registry import deserialize_keras_object

    return deserialize_keras_object(config, custom_objects)
