"""Accuracies: how often predictions are right, as functions and as metrics, after keras.metrics."""

from __future__ import annotations

from typing import Any

from berrante import ops
from berrante.losses.loss import same_rank
from berrante.metrics.reduction import MeanMetricWrapper


def _match(a: Any, b: Any) -> Any:
    return ops.cast(ops.equal(ops.cast(a, "float32"), ops.cast(b, "float32")), "float32")


def accuracy(y_true: Any, y_pred: Any) -> Any:
    """Whether labels are equal."""
    return _match(*same_rank(ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)))


def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Any:
    """Whether the prediction lies on its label's side of a threshold."""
    y_true, y_pred = same_rank(ops.convert_to_tensor(y_true), ops.cast(y_pred, "float32"))
    return _match(y_true, ops.greater(y_pred, threshold))


def categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """Whether the largest prediction is at the label's largest element."""
    return _match(ops.argmax(y_true, -1), ops.argmax(y_pred, -1))


def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """Whether the largest prediction is the integer label's."""
    y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
    if len(y_true.shape) == len(y_pred.shape) and y_true.shape[-1] == 1:
        y_true = ops.squeeze(y_true, -1)
    return _match(y_true, ops.argmax(y_pred, -1))


def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Any:
    """Whether the label's largest element is among the k largest predictions."""
    return sparse_top_k_categorical_accuracy(ops.argmax(y_true, -1), y_pred, k)


def sparse_top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5, from_sorted_ids: bool = False) -> Any:
    """Whether the integer label is among the k largest predictions (or the first k ids, if those are given sorted)."""
    y_true, y_pred = ops.cast(y_true, "int32"), ops.convert_to_tensor(y_pred)
    labels = ops.reshape(y_true, (-1,))
    rows: Any = ops.reshape(y_pred, (-1, y_pred.shape[-1]))
    if from_sorted_ids:
        found = ops.any(ops.equal(ops.expand_dims(labels, 1), ops.cast(rows[:, :k], "int32")), axis=1)
    else:
        found = ops.in_top_k(labels, ops.cast(rows, "float32"), k)
    return ops.reshape(ops.cast(found, "float32"), y_true.shape)


class Accuracy(MeanMetricWrapper):
    """How often labels are equal."""

    _direction = "up"

    def __init__(self, name: str | None = "accuracy", dtype: Any = None) -> None:
        super().__init__(accuracy, name, dtype)


class BinaryAccuracy(MeanMetricWrapper):
    """How often predictions lie on their label's side of a threshold."""

    _direction = "up"

    def __init__(self, name: str | None = "binary_accuracy", dtype: Any = None, threshold: float = 0.5) -> None:
        super().__init__(binary_accuracy, name, dtype, threshold=threshold)
        self.threshold = threshold


class CategoricalAccuracy(MeanMetricWrapper):
    """How often the largest prediction is the one-hot label's."""

    _direction = "up"

    def __init__(self, name: str | None = "categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(categorical_accuracy, name, dtype)


class SparseCategoricalAccuracy(MeanMetricWrapper):
    """How often the largest prediction is the integer label's."""

    _direction = "up"

    def __init__(self, name: str | None = "sparse_categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(sparse_categorical_accuracy, name, dtype)


class TopKCategoricalAccuracy(MeanMetricWrapper):
    """How often the one-hot label is among the k largest predictions."""

    _direction = "up"

    def __init__(self, k: int = 5, name: str | None = "top_k_categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(top_k_categorical_accuracy, name, dtype, k=k)
        self.k = k


class SparseTopKCategoricalAccuracy(MeanMetricWrapper):
    """How often the integer label is among the k largest predictions."""

    _direction = "up"

    def __init__(
        self, k: int = 5, name: str | None = "sparse_top_k_categorical_accuracy", dtype: Any = None,
        from_sorted_ids: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(sparse_top_k_categorical_accuracy, name, dtype, k=k, from_sorted_ids=from_sorted_ids)
        self.k, self.from_sorted_ids = k, from_sorted_ids

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        if not self.from_sorted_ids:
            del config["from_sorted_ids"]
        return config
