"""Activations that were others in Keras 2."""

from __future__ import annotations

import warnings
from typing import Any

from berrante import activations, ops
from berrante.compat.backend.nn import hard_sigmoid


def of_keras2(argument: Any) -> Any:
    """hard_sigmoid, by name or as Keras 3's function, as Keras 2's; anything else as it is."""
    if isinstance(argument, str) and argument == "hard_sigmoid":
        return hard_sigmoid
    return hard_sigmoid if argument is ops.hard_sigmoid else argument


def get(identifier: Any) -> Any:
    """An activation from a name, a config or a callable; a layer passes with a warning."""
    if isinstance(identifier, str) and identifier in ("relu", "softmax"):
        return globals()[identifier]
    if hasattr(identifier, "get_config") and callable(identifier):
        warnings.warn(
            f"Do not pass a layer instance (such as {type(identifier).__name__}) as the activation argument of another "
            "layer. Use it like any other layer in a model.",
            stacklevel=2,
        )
    return of_keras2(activations.get(of_keras2(identifier)))


def serialize(activation: Any) -> Any:
    """The activation's name, or the config of a registered one."""
    name = getattr(activation, "__name__", None)
    return name if name in ("hard_sigmoid", "relu", "softmax") else activations.serialize(activation)


def deserialize(config: Any, custom_objects: Any = None) -> Any:
    """The activation of a name or config."""
    from berrante.saving.registry import custom_object_scope

    with custom_object_scope(custom_objects or {}):
        return get(config)


def relu(x: Any, alpha: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Any:
    """x above the threshold, else alpha * (x - threshold); at most max_value."""
    return activations.relu(x, alpha, max_value, threshold)


def softmax(x: Any, axis: int = -1) -> Any:
    """exp(x) normalised along an axis; ValueError for vectors."""
    if len(x.shape) < 2:
        raise ValueError(f"Cannot apply softmax to a tensor that is 1D; received shape {tuple(x.shape)}")
    return ops.softmax(x, axis)
