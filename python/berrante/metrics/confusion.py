"""Counts of hits and misses at thresholds and the ratios of them (precision, recall, ...), after keras.metrics.

A prediction above a threshold is positive. Over many evenly spaced thresholds a prediction's place among them is computed
instead of compared, with Keras' rounding.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from berrante import ops
from berrante.losses.loss import same_rank
from berrante.metrics.metric import EPSILON, Metric, add_to, divide_no_nan

_LOWEST = -1e10
COUNTS = ("true_positives", "false_positives", "true_negatives", "false_negatives")


def parse_thresholds(name: str, thresholds: Any, default: float) -> list[float]:
    """Thresholds from 0 to 1 as a list."""
    values = [default] if thresholds is None else list(np.atleast_1d(np.asarray(thresholds, dtype=object)))
    bad = [t for t in values if thresholds is not None and (t is None or not 0 <= t <= 1)]
    if bad:
        raise ValueError(f"{name}: Threshold values must be in [0, 1]. Received: {bad}")
    return [float(t) for t in values]


def _is_even(thresholds: np.ndarray) -> bool:
    n = len(thresholds)
    return n >= 3 and bool(np.allclose(thresholds, np.arange(n, dtype=np.float32) / (n - 1), atol=EPSILON))


def _keep_top(x: Any, k: int) -> Any:
    """The k largest of the last axis; the others below every threshold."""
    _, places = ops.top_k(x, k)
    kept = ops.sum(ops.cast(ops.one_hot(places, x.shape[-1]), "float32"), axis=-2)
    return ops.where(ops.equal(kept, 0.0), _LOWEST, x)


def _is_positive(y_pred: Any, thresholds: np.ndarray) -> Any:
    """Whether predictions [N, ...] lie above thresholds [T], as float32 [T, N, ...]."""
    shape = (len(thresholds), *(1,) * len(y_pred.shape))
    if not _is_even(thresholds):
        above = ops.greater(ops.expand_dims(y_pred, 0), thresholds.astype(np.float32).reshape(shape))
        return ops.cast(above, "float32")
    place = ops.subtract(ops.ceil(ops.multiply(ops.clip(y_pred, 0.0, 1.0), float(len(thresholds) - 1))), 1.0)
    if thresholds[0] < 0.0 or thresholds[-1] > 1.0:
        place = ops.maximum(place, 0.0)
    steps = np.arange(len(thresholds), dtype=np.float32).reshape(shape)
    return ops.cast(ops.greater_equal(ops.expand_dims(place, 0), steps), "float32")


def count_confusions(
    variables: dict[str, Any], y_true: Any, y_pred: Any, thresholds: Any, top_k: int | None = None,
    class_id: int | None = None, sample_weight: Any = None, by_label: bool = False, label_weights: Any = None,
) -> None:  # fmt: skip
    """Adds a batch's counts at each threshold [T] (or, by label, [T, L]) to the variables of those names."""
    y_pred, y_true = same_rank(ops.cast(y_pred, "float32"), ops.cast(y_true, "float32"))
    if tuple(y_pred.shape) != tuple(y_true.shape):
        raise ValueError(f"Shapes {tuple(y_pred.shape)} and {tuple(y_true.shape)} are incompatible")
    weights: Any = None
    if sample_weight is not None:
        weights = ops.expand_dims(ops.cast(sample_weight, "float32"), -1)
        if len(weights.shape) == len(y_true.shape) + 1:
            weights = ops.squeeze(weights, -1)
    if top_k is not None:
        y_pred = _keep_top(y_pred, top_k)
    if class_id is not None:
        if len(y_pred.shape) == 1:
            raise ValueError(
                f"When class_id is provided, y_pred must be a 2D array with shape (num_samples, num_classes), found shape: "
                f"{tuple(y_pred.shape)}; class_id is {class_id}"
            )
        y_true, y_pred = (y[..., class_id : class_id + 1] for y in (y_true, y_pred))
    weights = ops.ones_like(y_pred) if weights is None else ops.broadcast_to(weights, y_pred.shape)
    if label_weights is not None:
        weights = ops.multiply(weights, label_weights)
    true = ops.cast(ops.not_equal(y_true, 0.0), "float32")
    right, wrong = ops.multiply(true, weights), ops.multiply(ops.subtract(1.0, true), weights)
    values = np.asarray(thresholds, np.float64)
    positive = _is_positive(y_pred if by_label else ops.reshape(y_pred, (-1,)), values)
    negative = ops.subtract(1.0, positive)

    def total(side: Any, w: Any) -> Any:
        if by_label:
            return ops.sum(ops.multiply(side, ops.expand_dims(w, 0)), axis=1)
        return ops.reshape(ops.matmul(side, ops.reshape(w, (-1, 1))), (len(values),))

    # Negatives are counted, not what is left of the total: a count of none is exactly 0.
    sides = {
        "true_positives": (positive, right), "false_positives": (positive, wrong),
        "true_negatives": (negative, wrong), "false_negatives": (negative, right),
    }  # fmt: skip
    for name, variable in variables.items():
        add_to(variable, total(*sides[name]))


class _Counting(Metric):
    """Counts of some kinds at thresholds."""

    counts: tuple[str, ...] = ()
    class_id: int | None = None
    top_k: int | None = None
    thresholds: Any

    def _make_counts(self, shape: Any) -> None:
        for name in self.counts:
            setattr(self, name, self.add_variable(shape, "zeros", name=name))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        variables = {name: getattr(self, name) for name in self.counts}
        count_confusions(variables, y_true, y_pred, self.thresholds, self.top_k, self.class_id, sample_weight)

    def _rate(self, of: str, other: str) -> Any:
        """of / (of + other)."""
        a = getattr(self, of).value
        return divide_no_nan(a, ops.add(a, getattr(self, other).value))


class _Count(_Counting):
    """One count."""

    def __init__(self, thresholds: Any = None, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(dtype, name)
        self.init_thresholds = thresholds
        self.thresholds = parse_thresholds(type(self).__name__, thresholds, 0.5)
        self.accumulator = self.add_variable((len(self.thresholds),), "zeros", name="accumulator")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        variables = {self.counts[0]: self.accumulator}
        count_confusions(variables, y_true, y_pred, self.thresholds, sample_weight=sample_weight)

    def result(self) -> Any:
        value = ops.multiply(self.accumulator.value, 1.0)
        return value[0] if len(self.thresholds) == 1 else value

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "thresholds": self.init_thresholds}


class TruePositives(_Count):
    """How many positives were predicted as such."""

    counts = ("true_positives",)


class FalsePositives(_Count):
    """How many negatives were predicted positive."""

    counts = ("false_positives",)


class TrueNegatives(_Count):
    """How many negatives were predicted as such."""

    counts = ("true_negatives",)


class FalseNegatives(_Count):
    """How many positives were predicted negative."""

    counts = ("false_negatives",)


class _Ratio(_Counting):
    """A ratio of two counts."""

    _direction = "up"

    def __init__(
        self, thresholds: Any = None, top_k: int | None = None, class_id: int | None = None, name: str | None = None,
        dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(dtype, name)
        self.init_thresholds, self.top_k, self.class_id = thresholds, top_k, class_id
        self.thresholds = parse_thresholds(type(self).__name__, thresholds, 0.5 if top_k is None else _LOWEST)
        self._make_counts((len(self.thresholds),))

    def result(self) -> Any:
        ratio = self._rate(*self.counts)
        return ratio[0] if len(self.thresholds) == 1 else ratio

    def get_config(self) -> dict[str, Any]:
        own = {"thresholds": self.init_thresholds, "top_k": self.top_k, "class_id": self.class_id}
        return {**super().get_config(), **own}


class Precision(_Ratio):
    """True positives among all positives predicted."""

    counts = ("true_positives", "false_positives")


class Recall(_Ratio):
    """True positives among all positives there are."""

    counts = ("true_positives", "false_negatives")


class _AtConstraint(_Counting):
    """The best of one rate over the thresholds at which another reaches a value."""

    _direction = "up"

    counts = COUNTS
    constraint = ""
    # The rate that is bound, and the one that is reported, each as (of, other).
    bound: tuple[str, str]
    reported: tuple[str, str]

    def _setup_at(self, value: float, num_thresholds: int, class_id: int | None, name: str | None, dtype: Any) -> None:
        Metric.__init__(self, dtype, name)
        if not 0 <= value <= 1:
            raise ValueError(
                f"{type(self).__name__}: `{self.constraint}` must be in the range [0, 1]. Received: {value}"
            )
        if num_thresholds <= 0:
            raise ValueError(
                f"{type(self).__name__}: Argument `num_thresholds` must be an integer > 0. Received: {num_thresholds}"
            )
        setattr(self, self.constraint, value)
        self.value, self.num_thresholds, self.class_id = value, num_thresholds, class_id
        n = num_thresholds - 1
        self.thresholds = [0.5] if n == 0 else [0.0, *((i + 1) / n for i in range(n - 1)), 1.0]
        self._make_counts((len(self.thresholds),))

    def result(self) -> Any:
        reached = ops.greater_equal(self._rate(*self.bound), self.value)
        return ops.max(ops.where(reached, self._rate(*self.reported), 0.0))

    def get_config(self) -> dict[str, Any]:
        own = {"num_thresholds": self.num_thresholds, self.constraint: self.value, "class_id": self.class_id}
        return {**super().get_config(), **own}


_PRECISION, _RECALL = ("true_positives", "false_positives"), ("true_positives", "false_negatives")
_SPECIFICITY = ("true_negatives", "false_positives")


class SensitivityAtSpecificity(_AtConstraint):
    """The best sensitivity (recall) with at least a specificity."""

    constraint, bound, reported = "specificity", _SPECIFICITY, _RECALL

    def __init__(self, specificity: float, num_thresholds: int = 200, class_id: int | None = None,
                 name: str | None = None, dtype: Any = None) -> None:  # fmt: skip
        self._setup_at(specificity, num_thresholds, class_id, name, dtype)


class SpecificityAtSensitivity(_AtConstraint):
    """The best specificity with at least a sensitivity (recall)."""

    constraint, bound, reported = "sensitivity", _RECALL, _SPECIFICITY

    def __init__(self, sensitivity: float, num_thresholds: int = 200, class_id: int | None = None,
                 name: str | None = None, dtype: Any = None) -> None:  # fmt: skip
        self._setup_at(sensitivity, num_thresholds, class_id, name, dtype)


class PrecisionAtRecall(_AtConstraint):
    """The best precision with at least a recall."""

    constraint, bound, reported = "recall", _RECALL, _PRECISION

    def __init__(self, recall: float, num_thresholds: int = 200, class_id: int | None = None,
                 name: str | None = None, dtype: Any = None) -> None:  # fmt: skip
        self._setup_at(recall, num_thresholds, class_id, name, dtype)


class RecallAtPrecision(_AtConstraint):
    """The best recall with at least a precision."""

    constraint, bound, reported = "precision", _PRECISION, _RECALL

    def __init__(self, precision: float, num_thresholds: int = 200, class_id: int | None = None,
                 name: str | None = None, dtype: Any = None) -> None:  # fmt: skip
        self._setup_at(precision, num_thresholds, class_id, name, dtype)
