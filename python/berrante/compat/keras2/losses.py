"""keras.losses of Keras 2: functions that give a value a sample, and the reduction that compile() wraps them in."""

from __future__ import annotations

from typing import Any

from berrante import losses as core
from berrante import ops
from berrante.graph.keras_tensor import KerasTensor
from berrante.graph.op import as_tensor
from berrante.losses import categorical_hinge, logcosh, mean_absolute_error, mean_squared_error, poisson

kullback_leibler_divergence = core.kl_divergence
mse = MSE = mean_squared_error
mae = MAE = mean_absolute_error
mean_absolute_percentage_error, mean_squared_logarithmic_error = (
    core.mean_absolute_percentage_error,
    core.mean_squared_logarithmic_error,
)
mape = MAPE = mean_absolute_percentage_error
msle = MSLE = mean_squared_logarithmic_error
kld = KLD = kullback_leibler_divergence


def hinge(y_true: Any, y_pred: Any) -> Any:
    """mean(max(1 - true * pred, 0)); labels are -1 and 1."""
    return ops.mean(ops.relu(ops.subtract(1.0, ops.multiply(ops.cast(y_true, "float32"), y_pred))), axis=-1)


def squared_hinge(y_true: Any, y_pred: Any) -> Any:
    """mean(max(1 - true * pred, 0)^2); labels are -1 and 1."""
    value = ops.relu(ops.subtract(1.0, ops.multiply(ops.cast(y_true, "float32"), y_pred)))
    return ops.mean(ops.square(value), axis=-1)


def categorical_crossentropy(y_true: Any, y_pred: Any) -> Any:
    """-sum(true * log(pred)) over classes."""
    return core.categorical_crossentropy(y_true, y_pred)


def sparse_categorical_crossentropy(y_true: Any, y_pred: Any) -> Any:
    """-log(pred[true]) for integer classes."""
    return core.sparse_categorical_crossentropy(y_true, y_pred)


def binary_crossentropy(y_true: Any, y_pred: Any) -> Any:
    """The mean over the last axis of -(t log p + (1 - t) log(1 - p))."""
    return core.binary_crossentropy(y_true, y_pred)


def cosine_proximity(y_true: Any, y_pred: Any) -> Any:
    """-sum of the products of unit vectors."""
    return core.cosine_similarity(y_true, y_pred)


cosine = cosine_proximity
_FUNCTIONS = {
    name: value for name, value in list(globals().items()) if callable(value) and name[0] != "_" and name[0].islower()
}
for _name in ("as_tensor",):
    _FUNCTIONS.pop(_name, None)
_FUNCTIONS.update(MSE=mse, MAE=mae, MAPE=mape, MSLE=msle, KLD=kld)


def get(identifier: Any) -> Any:
    """A loss function from a name, a config or a callable."""
    if identifier is None:
        return None
    if isinstance(identifier, str) and identifier in _FUNCTIONS:
        return _FUNCTIONS[identifier]
    if isinstance(identifier, (str, dict)):
        found = core.get(identifier)
        return getattr(found, "fn", found)
    if callable(identifier):
        return identifier
    raise ValueError(f"Could not interpret loss function identifier: {identifier!r}")


def serialize(loss: Any) -> Any:
    """The loss's name."""
    return loss.__name__ if hasattr(loss, "__name__") else core.serialize(loss)


def deserialize(name: Any, custom_objects: Any = None) -> Any:
    """The loss of a name."""
    from berrante.saving.registry import custom_object_scope

    with custom_object_scope(custom_objects or {}):
        return get(name)


def float_target(y_true: Any, y_pred: Any) -> Any:
    """Targets as floats, with a last dimension for vectors: what Keras 2's placeholders made of them."""
    y_true = ops.cast(y_true, "float32")
    if len(y_true.shape) == 1 and len(getattr(y_pred, "shape", ())) > 1:
        y_true = ops.expand_dims(y_true, -1)
    return y_true


def weighted_score(fn: Any, y_true: Any, y_pred: Any, weights: Any = None) -> Any:
    """The scalar that Keras 2 makes of a loss: mean(score * w) / share of weights that are not 0."""
    score = fn(float_target(y_true, y_pred), y_pred)
    if isinstance(score, KerasTensor):  # of placeholders, outside a step
        return ops.mean(score)
    score = as_tensor(score)
    mask = getattr(y_pred, "_keras_mask", None)
    if mask is not None and not isinstance(mask, KerasTensor) and len(mask.shape) <= len(score.shape):
        counted = ops.cast(mask, "float32")
        score = ops.divide(ops.multiply(score, counted), ops.mean(counted))
    if weights is None:
        return ops.mean(score)
    weights = ops.cast(weights, "float32")
    if len(weights.shape) == len(score.shape) + 1 and weights.shape[-1] == 1:
        weights = ops.squeeze(weights, -1)
    if len(score.shape) > len(weights.shape):
        score = ops.mean(score, axis=tuple(range(len(weights.shape), len(score.shape))))
    score = ops.multiply(score, weights)
    return ops.mean(ops.divide(score, ops.mean(ops.cast(ops.not_equal(weights, 0.0), "float32"))))


class WeightedLoss(core.Loss):
    """A loss function under Keras 2's reduction."""

    def __init__(self, fn: Any, name: str | None = None) -> None:
        super().__init__(name or getattr(fn, "__name__", None))
        self.fn = fn

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        return weighted_score(self.fn, y_true, y_pred, sample_weight)


def weighted_masked_objective(fn: Any) -> Any:
    """A function (y_true, y_pred, weights, mask=None) -> scalar, as Keras 2 trains on."""
    if fn is None:
        return None

    def weighted(y_true: Any, y_pred: Any, weights: Any = None, mask: Any = None) -> Any:
        if mask is None:
            return weighted_score(fn, y_true, y_pred, weights)
        m = ops.cast(mask, "float32")

        def masked(a: Any, b: Any) -> Any:
            return ops.divide(ops.multiply(fn(a, b), m), ops.mean(m))

        return weighted_score(masked, y_true, y_pred, weights)

    return weighted
