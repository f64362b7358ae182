"""Intersections over unions of classes, from a confusion matrix, after keras.metrics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from berrante import ops
from berrante.metrics.metric import EPSILON, Metric, add_to


class _ConfusionMatrix(Metric):
    """Counts (weights) of pairs of target and predicted class. Pairs out of range or of the ignored class are left out."""

    _direction = "up"

    def __init__(
        self, num_classes: int, name: str | None = None, dtype: Any = None, ignore_class: int | None = None,
        sparse_y_true: bool = True, sparse_y_pred: bool = True, axis: int = -1,
    ) -> None:  # fmt: skip
        super().__init__(dtype or "int32", name)
        self.num_classes, self.ignore_class, self.axis = num_classes, ignore_class, axis
        self.sparse_y_true, self.sparse_y_pred = sparse_y_true, sparse_y_pred
        self.total_cm = self.add_variable(
            (num_classes, num_classes), "zeros", self.dtype, name="total_confusion_matrix"
        )

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        if not self.sparse_y_true:
            y_true = ops.argmax(y_true, axis=self.axis)
        if not self.sparse_y_pred:
            y_pred = ops.argmax(y_pred, axis=self.axis)
        y_true, y_pred = (ops.reshape(ops.cast(y, "int32"), (-1,)) for y in (y_true, y_pred))
        if y_true.shape != y_pred.shape:
            raise ValueError(
                f"{type(self).__name__}: expected targets and predictions of one size; received {y_true.size} and "
                f"{y_pred.size} classes"
            )
        weights: Any = ops.ones(y_true.shape)
        if sample_weight is not None:
            # In the state's dtype, as in Keras: integers unless dtype says otherwise.
            given = ops.cast(ops.cast(sample_weight, self.dtype), "float32")
            weights = ops.broadcast_to(ops.reshape(given, (-1,)) if len(given.shape) > 1 else given, y_true.shape)
        if self.ignore_class is not None:
            weights = ops.where(ops.equal(y_true, self.ignore_class), 0.0, weights)
        classes = np.arange(self.num_classes, dtype=np.int32)
        true, guess = (ops.cast(ops.equal(ops.expand_dims(y, 1), classes), "float32") for y in (y_true, y_pred))
        counts = ops.matmul(ops.transpose(ops.multiply(true, ops.expand_dims(weights, 1))), guess)
        add_to(self.total_cm, ops.cast(counts, self.dtype))

    def get_config(self) -> dict[str, Any]:
        own = ("num_classes", "ignore_class", "sparse_y_true", "sparse_y_pred", "axis")
        return {**super().get_config(), **{key: getattr(self, key) for key in own}}


class IoU(_ConfusionMatrix):
    """The mean over chosen classes of true positives / (true positives + false positives + false negatives).

    Args:
        num_classes: how many there are.
        target_class_ids: which of them count.
        ignore_class: a target class that is left out.
        sparse_y_true, sparse_y_pred: integers; otherwise scores along `axis`, of which the largest counts.
    """

    def __init__(
        self, num_classes: int, target_class_ids: Sequence[int], name: str | None = None, dtype: Any = None,
        ignore_class: int | None = None, sparse_y_true: bool = True, sparse_y_pred: bool = True, axis: int = -1,
    ) -> None:  # fmt: skip
        super().__init__(num_classes, name, dtype, ignore_class, sparse_y_true, sparse_y_pred, axis)
        if max(target_class_ids) >= num_classes:
            raise ValueError(f"Target class id {max(target_class_ids)} is out of range, which is [{0}, {num_classes}).")
        self.target_class_ids = list(target_class_ids)

    def result(self) -> Any:
        matrix = ops.cast(self.total_cm.value, "float32")
        hits = ops.sum(ops.multiply(matrix, np.eye(self.num_classes, dtype=np.float32)), axis=0)
        union = ops.subtract(ops.add(ops.sum(matrix, axis=0), ops.sum(matrix, axis=1)), hits)
        chosen = np.asarray(self.target_class_ids, np.int32)
        hits, union = ops.take(hits, chosen), ops.take(union, chosen)
        there = ops.cast(ops.greater(union, 1e-9), "float32")
        iou = ops.multiply(ops.divide(hits, ops.add(union, EPSILON)), there)
        return ops.divide(ops.sum(iou), ops.add(ops.sum(there), EPSILON))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "target_class_ids": self.target_class_ids}


def _without(config: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {k: v for k, v in config.items() if k not in keys}


class BinaryIoU(IoU):
    """IoU of the classes 0 and 1, a prediction of at least the threshold being 1."""

    def __init__(
        self, target_class_ids: Sequence[int] = (0, 1), threshold: float = 0.5, name: str | None = None,
        dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(2, target_class_ids, name, dtype)
        self.threshold = threshold

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        above = ops.greater_equal(ops.cast(y_pred, "float32"), self.threshold)
        super().update_state(y_true, ops.cast(above, "int32"), sample_weight)

    def get_config(self) -> dict[str, Any]:
        config = Metric.get_config(self)
        return {**config, "target_class_ids": self.target_class_ids, "threshold": self.threshold}


class MeanIoU(IoU):
    """IoU of all classes."""

    def __init__(
        self, num_classes: int, name: str | None = None, dtype: Any = None, ignore_class: int | None = None,
        sparse_y_true: bool = True, sparse_y_pred: bool = True, axis: int = -1,
    ) -> None:  # fmt: skip
        ids = list(range(num_classes))
        super().__init__(num_classes, ids, name, dtype, ignore_class, sparse_y_true, sparse_y_pred, axis)

    def get_config(self) -> dict[str, Any]:
        return _without(super().get_config(), "target_class_ids")


class OneHotIoU(IoU):
    """IoU for one-hot targets."""

    def __init__(
        self, num_classes: int, target_class_ids: Sequence[int], name: str | None = None, dtype: Any = None,
        ignore_class: int | None = None, sparse_y_pred: bool = False, axis: int = -1,
    ) -> None:  # fmt: skip
        super().__init__(num_classes, target_class_ids, name, dtype, ignore_class, False, sparse_y_pred, axis)

    def get_config(self) -> dict[str, Any]:
        return _without(super().get_config(), "sparse_y_true")


class OneHotMeanIoU(MeanIoU):
    """IoU of all classes for one-hot targets."""

    def __init__(
        self, num_classes: int, name: str | None = None, dtype: Any = None, ignore_class: int | None = None,
        sparse_y_pred: bool = False, axis: int = -1,
    ) -> None:  # fmt: skip
        super().__init__(num_classes, name, dtype, ignore_class, False, sparse_y_pred, axis)

    def get_config(self) -> dict[str, Any]:
        return _without(super().get_config(), "sparse_y_true")
