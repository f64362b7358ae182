"""Projections of weights after each update, with Keras' names and defaults (keras.constraints)."""

from __future__ import annotations

from typing import Any

from berrante import ops

EPSILON = 1e-7


class Constraint:
    """Gives the allowed tensor nearest to a tensor, in some sense."""

    def __call__(self, w: Any) -> Any:
        return w

    def get_config(self) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Constraint:
        return cls(**config)


def _norms(w: Any, axis: Any) -> Any:
    return ops.sqrt(ops.sum(ops.square(w), axis=axis, keepdims=True))


class MaxNorm(Constraint):
    """Scales down vectors (along axis) longer than max_value."""

    def __init__(self, max_value: float = 2, axis: Any = 0) -> None:
        self.max_value, self.axis = max_value, axis

    def __call__(self, w: Any) -> Any:
        norms = _norms(w, self.axis)
        return ops.multiply(w, ops.divide(ops.clip(norms, 0.0, float(self.max_value)), ops.add(norms, EPSILON)))

    def get_config(self) -> dict[str, Any]:
        return {"max_value": self.max_value, "axis": self.axis}


class NonNeg(Constraint):
    """Negative weights become 0."""

    def __call__(self, w: Any) -> Any:
        return ops.relu(w)


class UnitNorm(Constraint):
    """Vectors (along axis) get length 1."""

    def __init__(self, axis: Any = 0) -> None:
        self.axis = axis

    def __call__(self, w: Any) -> Any:
        return ops.divide(w, ops.add(_norms(w, self.axis), EPSILON))

    def get_config(self) -> dict[str, Any]:
        return {"axis": self.axis}


class MinMaxNorm(Constraint):
    """Moves the length of vectors (along axis) into [min_value, max_value], by a fraction `rate` of the way."""

    def __init__(self, min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: Any = 0) -> None:
        self.min_value, self.max_value, self.rate, self.axis = min_value, max_value, rate, axis

    def __call__(self, w: Any) -> Any:
        norms = _norms(w, self.axis)
        wanted = ops.add(
            ops.multiply(ops.clip(norms, float(self.min_value), float(self.max_value)), self.rate),
            ops.multiply(norms, 1.0 - self.rate),
        )
        return ops.multiply(w, ops.divide(wanted, ops.add(norms, EPSILON)))

    def get_config(self) -> dict[str, Any]:
        return {
            "min_value": self.min_value, "max_value": self.max_value, "rate": self.rate, "axis": self.axis,
        }  # fmt: skip


max_norm, non_neg, unit_norm, min_max_norm = MaxNorm, NonNeg, UnitNorm, MinMaxNorm
maxnorm, nonneg, unitnorm = MaxNorm, NonNeg, UnitNorm
ALL = (MaxNorm, NonNeg, UnitNorm, MinMaxNorm)
_BY_NAME = {cls.__name__.lower(): cls for cls in ALL}


def get(identifier: Any) -> Any:
    """A constraint from a name, a config, a class, an instance or a callable; None stays None."""
    if identifier is None:
        return None
    if isinstance(identifier, str) and identifier.lower().replace("_", "") in _BY_NAME:
        return _BY_NAME[identifier.lower().replace("_", "")]()
    if isinstance(identifier, (str, dict)):
        from berrante.saving.registry import deserialize_named

        return deserialize_named(identifier, "constraint")
    if isinstance(identifier, type):
        return identifier()
    if callable(identifier):
        return identifier
    raise ValueError(f"expected a constraint (a name, a config or a callable); received {identifier!r}")


def serialize(constraint: Any) -> Any:
    """The constraint's config."""
    from berrante.saving.registry import serialize_keras_object

    return serialize_keras_object(constraint)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The constraint of a config."""
    from berrante.saving.registry import deserialize_keras_object

    return deserialize_keras_object(config, custom_objects)
