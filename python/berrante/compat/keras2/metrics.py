"""keras.metrics of Keras 2: functions; each batch's value is a scalar, an epoch's the mean weighted by batch size."""

from __future__ import annotations

from typing import Any

from berrante import metrics as core
from berrante import ops
from berrante.compat.differences import METRIC_KEYS
from berrante.compat.keras2 import losses
from berrante.compat.keras2.losses import (  # noqa: F401
    binary_crossentropy,
    categorical_crossentropy,
    cosine,
    cosine_proximity,
    hinge,
    kullback_leibler_divergence,
    logcosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    poisson,
    sparse_categorical_crossentropy,
    squared_hinge,
)
from berrante.graph import trace
from berrante.saving.registry import _scope

mse = MSE = mean_squared_error
mae = MAE = mean_absolute_error
mape = MAPE = mean_absolute_percentage_error
msle = MSLE = mean_squared_logarithmic_error


def binary_accuracy(y_true: Any, y_pred: Any) -> Any:
    """The share of predictions that round to their label."""
    equal = ops.equal(ops.cast(y_true, "float32"), ops.round(y_pred))
    return ops.mean(ops.cast(equal, "float32"), axis=-1)


def categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """Whether the largest prediction is at the label's largest element."""
    return core.categorical_accuracy(y_true, y_pred)


def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """Whether the largest prediction is the integer label's."""
    return core.sparse_categorical_accuracy(y_true, y_pred)


def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Any:
    """The share of labels among the k largest predictions."""
    return ops.mean(core.top_k_categorical_accuracy(y_true, y_pred, k), axis=-1)


def sparse_top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Any:
    """The share of integer labels among the k largest predictions."""
    y_true = ops.reshape(ops.cast(y_true, "int32"), (-1,))
    return ops.mean(core.sparse_top_k_categorical_accuracy(y_true, y_pred, k), axis=-1)


_FUNCTIONS = {
    f.__name__: f
    for f in (
        binary_accuracy, categorical_accuracy, sparse_categorical_accuracy, top_k_categorical_accuracy,
        sparse_top_k_categorical_accuracy,
    )
}  # fmt: skip


def get(identifier: Any) -> Any:
    """A metric function from a name, a config or a callable."""
    if isinstance(identifier, str) and identifier in _FUNCTIONS:
        return _FUNCTIONS[identifier]
    if isinstance(identifier, str) and identifier in losses._FUNCTIONS:
        return losses._FUNCTIONS[identifier]
    if isinstance(identifier, str) and identifier in _scope.objects:
        return _scope.objects[identifier]
    if isinstance(identifier, (str, dict)):
        return core.get(identifier)
    if callable(identifier):
        return identifier
    raise ValueError(f"Could not interpret metric function identifier: {identifier!r}")


def serialize(metric: Any) -> Any:
    """The metric's name."""
    if hasattr(metric, "__name__"):
        return metric.__name__
    from berrante.saving.registry import serialize_keras_object

    return serialize_keras_object(metric)


def deserialize(name: Any, custom_objects: Any = None) -> Any:
    """The metric of a name."""
    from berrante.saving.registry import custom_object_scope

    with custom_object_scope(custom_objects or {}):
        return get(name)


def accuracy_for(loss: Any, crossentropy: bool) -> Any:
    """What 'accuracy' or 'crossentropy' means for an output with this loss, once its width is known."""
    name = getattr(loss, "__name__", "")

    def by_loss(y_true: Any, y_pred: Any) -> Any:
        if y_pred.shape[-1] == 1 or name == "binary_crossentropy":
            fn = binary_crossentropy if crossentropy else binary_accuracy
        elif name == "sparse_categorical_crossentropy":
            fn = sparse_categorical_crossentropy if crossentropy else sparse_categorical_accuracy
        else:
            fn = categorical_crossentropy if crossentropy else categorical_accuracy
        return fn(y_true, y_pred)

    return by_loss


class BatchMean(core.Mean):
    """The mean of a function's values over batches, weighted by their sizes."""

    def __init__(self, fn: Any, name: str, weighted: bool) -> None:
        super().__init__(name)
        self._fn, self._weighted = fn, weighted

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        value = losses.weighted_score(self._fn, y_true, y_pred, sample_weight if self._weighted else None)
        super().update_state(value, sample_weight=float(y_pred.shape[0]))


class Stateful(core.Metric):
    """A Keras 2 layer that counts over batches (`stateful`): its value is what its last call gave."""

    def __init__(self, layer: Any) -> None:
        super().__init__(name=layer.name)
        self._layer = layer
        self.value = self.add_variable((), "zeros", name="value")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        self.value.assign(ops.cast(self._layer(losses.float_target(y_true, y_pred), y_pred), "float32"))

    def result(self) -> Any:
        return self.value.array.item() if trace.current() is None else self.value.value

    def reset_state(self) -> None:
        super().reset_state()
        self._layer.reset_states()


def for_output(spec: Any, loss: Any, weighted: bool) -> Any:
    """The running metric of one compile() entry for an output; metrics with states of their own stay as they are."""
    if spec is None or isinstance(spec, core.Metric):
        return spec
    key = METRIC_KEYS.get(spec) if isinstance(spec, str) else None
    fn = accuracy_for(loss, key == "ce") if key is not None else get(spec)
    if isinstance(fn, core.Metric):
        return fn
    if isinstance(fn, type) and issubclass(fn, core.Metric):
        return fn()
    if getattr(fn, "stateful", False):
        return Stateful(fn)
    name = str(key or getattr(fn, "name", None) or getattr(fn, "__name__", type(fn).__name__))
    return BatchMean(fn, f"weighted_{name}" if weighted else name, weighted)
