"""Errors, correlations, the coefficient of determination, and losses as metrics, after keras.metrics."""

from __future__ import annotations

import warnings
from typing import Any

from berrante import losses, ops
from berrante.graph import trace
from berrante.losses.functions import pair
from berrante.metrics.metric import EPSILON, Metric, add_to
from berrante.metrics.reduction import Mean, MeanMetricWrapper


def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """The cosine between vectors."""
    return ops.negative(losses.cosine_similarity(y_true, y_pred, axis))


def pearson_correlation(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """The correlation along an axis, from -1 to 1."""
    y_true, y_pred = pair(y_true, y_pred)

    def standard(y: Any) -> Any:
        centred = ops.subtract(y, ops.mean(y, axis=axis, keepdims=True))
        return ops.divide(centred, ops.std(centred, axis=axis, keepdims=True))

    return ops.mean(ops.multiply(standard(y_true), standard(y_pred)), axis=axis)


def concordance_correlation(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """Lin's concordance (1989) along an axis: correlation that also asks for equal means and scales."""
    y_true, y_pred = pair(y_true, y_pred)
    mean_true, mean_pred = (ops.mean(y, axis=axis, keepdims=True) for y in (y_true, y_pred))
    spread = ops.add(ops.var(y_true, axis=axis, keepdims=True), ops.var(y_pred, axis=axis, keepdims=True))
    below = ops.add(ops.add(spread, ops.square(ops.subtract(mean_true, mean_pred))), EPSILON)
    covariance = ops.multiply(ops.subtract(y_true, mean_pred), ops.subtract(y_pred, mean_pred))
    return ops.mean(ops.divide(ops.multiply(covariance, 2.0), below), axis=axis)


class MeanSquaredError(MeanMetricWrapper):
    """mean((true - pred)^2)."""

    def __init__(self, name: str | None = "mean_squared_error", dtype: Any = None) -> None:
        super().__init__(losses.mean_squared_error, name, dtype)


class MeanAbsoluteError(MeanMetricWrapper):
    """mean(|true - pred|)."""

    def __init__(self, name: str | None = "mean_absolute_error", dtype: Any = None) -> None:
        super().__init__(losses.mean_absolute_error, name, dtype)


class MeanAbsolutePercentageError(MeanMetricWrapper):
    """100 * mean(|true - pred| / |true|)."""

    def __init__(self, name: str | None = "mean_absolute_percentage_error", dtype: Any = None) -> None:
        super().__init__(losses.mean_absolute_percentage_error, name, dtype)


class MeanSquaredLogarithmicError(MeanMetricWrapper):
    """mean((log(true + 1) - log(pred + 1))^2)."""

    def __init__(self, name: str | None = "mean_squared_logarithmic_error", dtype: Any = None) -> None:
        super().__init__(losses.mean_squared_logarithmic_error, name, dtype)


class LogCoshError(MeanMetricWrapper):
    """mean(log(cosh(pred - true)))."""

    def __init__(self, name: str | None = "logcosh", dtype: Any = None) -> None:
        super().__init__(losses.log_cosh, name, dtype)


class CosineSimilarity(MeanMetricWrapper):
    """The mean cosine between targets and predictions."""

    _direction = "up"

    def __init__(self, name: str | None = "cosine_similarity", dtype: Any = None, axis: int = -1) -> None:
        super().__init__(cosine_similarity, name, dtype, axis=axis)


class PearsonCorrelation(MeanMetricWrapper):
    """The mean correlation along an axis."""

    _direction = "up"

    def __init__(self, name: str | None = "pearson_correlation", dtype: Any = None, axis: int = -1) -> None:
        super().__init__(pearson_correlation, name, dtype, axis=axis)
        self.axis = axis


class ConcordanceCorrelation(MeanMetricWrapper):
    """The mean concordance along an axis."""

    _direction = "up"

    def __init__(self, name: str | None = "concordance_correlation", dtype: Any = None, axis: int = -1) -> None:
        super().__init__(concordance_correlation, name, dtype, axis=axis)
        self.axis = axis


class Hinge(MeanMetricWrapper):
    """mean(max(1 - true * pred, 0))."""

    def __init__(self, name: str | None = "hinge", dtype: Any = None) -> None:
        super().__init__(losses.hinge, name, dtype)


class SquaredHinge(MeanMetricWrapper):
    """mean(max(1 - true * pred, 0)^2)."""

    def __init__(self, name: str | None = "squared_hinge", dtype: Any = None) -> None:
        super().__init__(losses.squared_hinge, name, dtype)


class CategoricalHinge(MeanMetricWrapper):
    """max(best wrong - right + 1, 0)."""

    def __init__(self, name: str | None = "categorical_hinge", dtype: Any = None) -> None:
        super().__init__(losses.categorical_hinge, name, dtype)


class KLDivergence(MeanMetricWrapper):
    """sum(true * log(true / pred))."""

    def __init__(self, name: str | None = "kl_divergence", dtype: Any = None) -> None:
        super().__init__(losses.kl_divergence, name, dtype)


class Poisson(MeanMetricWrapper):
    """mean(pred - true * log(pred))."""

    def __init__(self, name: str | None = "poisson", dtype: Any = None) -> None:
        super().__init__(losses.poisson, name, dtype)


class BinaryCrossentropy(MeanMetricWrapper):
    """-(t log p + (1 - t) log(1 - p))."""

    def __init__(
        self, name: str | None = "binary_crossentropy", dtype: Any = None, from_logits: bool = False,
        label_smoothing: float = 0,
    ) -> None:  # fmt: skip
        own = {"from_logits": from_logits, "label_smoothing": label_smoothing}
        super().__init__(losses.binary_crossentropy, name, dtype, **own)
        self.from_logits, self.label_smoothing = from_logits, label_smoothing


class CategoricalCrossentropy(MeanMetricWrapper):
    """-sum(true * log(pred)) over classes."""

    def __init__(
        self, name: str | None = "categorical_crossentropy", dtype: Any = None, from_logits: bool = False,
        label_smoothing: float = 0, axis: int = -1,
    ) -> None:  # fmt: skip
        own = {"from_logits": from_logits, "label_smoothing": label_smoothing, "axis": axis}
        super().__init__(losses.categorical_crossentropy, name, dtype, **own)
        self.from_logits, self.label_smoothing, self.axis = from_logits, label_smoothing, axis


class SparseCategoricalCrossentropy(MeanMetricWrapper):
    """-log(pred[true]) for integer classes; 0 for samples of ignore_class."""

    def __init__(
        self, name: str | None = "sparse_categorical_crossentropy", dtype: Any = None, from_logits: bool = False,
        ignore_class: int | None = None, axis: int = -1,
    ) -> None:  # fmt: skip
        own = {"from_logits": from_logits, "ignore_class": ignore_class, "axis": axis}
        super().__init__(losses.sparse_categorical_crossentropy, name, dtype, **own)
        self.from_logits, self.ignore_class, self.axis = from_logits, ignore_class, axis


class RootMeanSquaredError(Mean):
    """The square root of the mean squared error."""

    _direction = "down"

    def __init__(self, name: str | None = "root_mean_squared_error", dtype: Any = None) -> None:
        super().__init__(name, dtype)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        y_true, y_pred = pair(y_true, y_pred)
        super().update_state(ops.square(ops.subtract(y_pred, y_true)), sample_weight)

    def result(self) -> Any:
        return ops.sqrt(super().result())


class R2Score(Metric):
    """1 - residual / total sum of squares, for targets and predictions [N, outputs].

    Args:
        class_aggregation: uniform_average or variance_weighted_average over outputs, or None for one score an output.
        num_regressors: adjusts for the number of independent variables; 0 does not.
    """

    _direction = "up"

    def __init__(
        self, class_aggregation: str | None = "uniform_average", num_regressors: int = 0,
        name: str | None = "r2_score", dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(dtype, name)
        known = (None, "uniform_average", "variance_weighted_average")
        if class_aggregation not in known:
            raise ValueError(
                f"Invalid value for argument `class_aggregation`. Expected one of {known}. "
                f"Received: class_aggregation={class_aggregation}"
            )
        if num_regressors < 0:
            raise ValueError(
                f"Invalid value for argument `num_regressors`. Expected a value >= 0. Received: num_regressors={num_regressors}"
            )
        self.class_aggregation, self.num_regressors = class_aggregation, num_regressors
        self.num_samples = self.add_variable((), "zeros", name="num_samples")
        self._built = False

    def _build(self, y_true: Any, y_pred: Any) -> None:
        if len(y_pred.shape) != 2 or len(y_true.shape) != 2:
            raise ValueError(
                "R2Score expects 2D inputs with shape (batch_size, output_dim). Received input shapes: "
                f"y_pred.shape={tuple(y_pred.shape)} and y_true.shape={tuple(y_true.shape)}."
            )
        outputs = (y_pred.shape[-1],)
        self.squared_sum = self.add_variable(outputs, "zeros", name="squared_sum")
        self.sum = self.add_variable(outputs, "zeros", name="sum")
        self.total_mse = self.add_variable(outputs, "zeros", name="residual")
        self.count = self.add_variable(outputs, "zeros", name="count")
        self._built = True

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_true, y_pred = pair(y_true, y_pred)
        if not self._built:
            self._build(y_true, y_pred)
        weights: Any = ops.cast(1.0 if sample_weight is None else sample_weight, "float32")
        if len(weights.shape) == 1:
            weights = ops.expand_dims(weights, 1)
        weights = ops.broadcast_to(weights, y_true.shape)
        weighted = ops.multiply(y_true, weights)
        add_to(self.sum, ops.sum(weighted, axis=0))
        add_to(self.squared_sum, ops.sum(ops.multiply(y_true, weighted), axis=0))
        residual = ops.multiply(ops.square(ops.subtract(y_true, y_pred)), weights)
        add_to(self.total_mse, ops.sum(residual, axis=0))
        add_to(self.count, ops.sum(weights, axis=0))
        add_to(self.num_samples, float(y_true.size))

    def result(self) -> Any:
        if not self._built:
            return ops.convert_to_tensor(0.0)
        total = ops.subtract(self.squared_sum.value, ops.divide(ops.square(self.sum.value), self.count.value))
        scores: Any = ops.subtract(1.0, ops.divide(self.total_mse.value, total))
        scores = ops.where(ops.isinf(scores), 0.0, scores)
        if self.class_aggregation == "uniform_average":
            scores = ops.mean(scores)
        elif self.class_aggregation == "variance_weighted_average":
            scores = ops.divide(ops.sum(ops.multiply(total, scores)), ops.sum(total))
        return self._adjusted(scores) if self.num_regressors else scores

    def _adjusted(self, scores: Any) -> Any:
        n, p = self.num_samples.value, float(self.num_regressors)
        free = ops.subtract(ops.subtract(n, p), 1.0)
        if trace.current() is None and float(free) <= 0:
            warnings.warn(
                f"R2Score: {self.num_regressors} regressors are too many for {float(n):.0f} values; the score is not "
                "adjusted",
                stacklevel=2,
            )
        share = ops.divide(ops.multiply(ops.subtract(1.0, scores), ops.subtract(n, 1.0)), free)
        return ops.where(ops.greater(free, 0.0), ops.subtract(1.0, share), scores)

    def get_config(self) -> dict[str, Any]:
        own = {"class_aggregation": self.class_aggregation, "num_regressors": self.num_regressors}
        return {**super().get_config(), **own}
