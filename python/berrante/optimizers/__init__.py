"""Optimizers and learning rate schedules, after keras.optimizers."""

from __future__ import annotations

from typing import Any

from berrante.optimizers import schedules
from berrante.optimizers.layerwise import Adafactor, Lamb, Muon, ScheduleFreeAdamW
from berrante.optimizers.multi import MultiOptimizer, OptimizerMap
from berrante.optimizers.optimizer import Optimizer
from berrante.optimizers.rules import SGD, Adadelta, Adagrad, Adam, Adamax, AdamW, Ftrl, Lion, Nadam, RMSprop
from berrante.optimizers.scaling import LossScaleOptimizer

ALL: tuple[type[Optimizer], ...] = (
    SGD, RMSprop, Adam, AdamW, Adadelta, Adagrad, Adamax, Adafactor, Nadam, Ftrl, Lion, Lamb, Muon, ScheduleFreeAdamW,
    LossScaleOptimizer, MultiOptimizer,
)  # fmt: skip
_BY_NAME = {cls.__name__.lower(): cls for cls in ALL}
sgd, adadelta, adagrad, adam, adamax, nadam, rmsprop = SGD, Adadelta, Adagrad, Adam, Adamax, Nadam, RMSprop


def get(identifier: Any) -> Any:
    """An optimizer from a name (in any case), a config, a class or an instance; None stays None."""
    if identifier is None or isinstance(identifier, Optimizer):
        return identifier
    if isinstance(identifier, str) and identifier.lower() in _BY_NAME:
        if _BY_NAME[identifier.lower()] in (LossScaleOptimizer, MultiOptimizer):
            raise ValueError(f"{identifier} needs an inner optimizer: give {identifier}(...) itself")
        return _BY_NAME[identifier.lower()]()
    if isinstance(identifier, dict) and str(identifier.get("class_name")).lower() in _BY_NAME:
        identifier = {**identifier, "class_name": _BY_NAME[identifier["class_name"].lower()].__name__}
    if isinstance(identifier, (str, dict)):
        from berrante.saving.registry import deserialize_named

        return get(deserialize_named(identifier, "optimizer"))
    if isinstance(identifier, type) and issubclass(identifier, Optimizer):
        return identifier()
    raise ValueError(f"expected an optimizer (a name, a config or an Optimizer); received {identifier!r}")


def serialize(optimizer: Any) -> Any:
    """The optimizer's config."""
    from berrante.saving.registry import serialize_keras_object

    return serialize_keras_object(optimizer)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The optimizer of a config."""
    from berrante.saving.registry import deserialize_keras_object

    return deserialize_keras_object(config, custom_objects)
