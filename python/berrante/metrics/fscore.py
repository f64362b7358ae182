"""F-scores of classes: weighted harmonic means of precision and recall, after keras.metrics."""

from __future__ import annotations

from typing import Any

from berrante import ops
from berrante.metrics.metric import EPSILON, Metric, add_to

_COUNTS = ("true_positives", "false_positives", "false_negatives", "intermediate_weights")


class FBetaScore(Metric):
    """(1 + beta^2) * precision * recall / (beta^2 * precision + recall) for targets and predictions [N, classes].

    Args:
        average: None (one score a class), micro (over all counts), macro (the mean over classes) or weighted (by the
            classes' numbers of positives).
        beta: above 1 it favours recall.
        threshold: above it a prediction is positive; None takes the largest of a row.
    """

    _direction = "up"

    def __init__(
        self, average: str | None = None, beta: float = 1.0, threshold: float | None = None,
        name: str | None = "fbeta_score", dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(dtype, name)
        if average not in (None, "micro", "macro", "weighted"):
            raise ValueError(
                "Invalid `average` argument value. Expected one of: {None, 'micro', 'macro', 'weighted'}. "
                f"Received: average={average}"
            )
        for name, value in (("beta", beta), ("threshold", threshold)):
            if not isinstance(value, float) and not (name == "threshold" and value is None):
                raise ValueError(
                    f"Invalid `{name}` argument value. It should be a Python float. Received: {name}={value} of type "
                    f"'{type(value)}'"
                )
        if beta <= 0.0:
            raise ValueError(f"Invalid `beta` argument value. It should be > 0. Received: beta={beta}")
        if threshold is not None and not 0.0 < threshold <= 1.0:
            raise ValueError(
                f"Invalid `threshold` argument value. It should verify 0 < threshold <= 1. Received: threshold={threshold}"
            )
        self.average, self.beta, self.threshold = average, beta, threshold

    def _build(self, y_true: Any, y_pred: Any) -> None:
        if len(y_pred.shape) != 2 or len(y_true.shape) != 2:
            raise ValueError(
                "FBetaScore expects 2D inputs with shape (batch_size, output_dim). Received input shapes: "
                f"y_pred.shape={tuple(y_pred.shape)} and y_true.shape={tuple(y_true.shape)}."
            )
        shape = () if self.average == "micro" else (y_pred.shape[-1],)
        for name in _COUNTS:
            setattr(self, name, self.add_variable(shape, "zeros", name=name))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_true, y_pred = ops.cast(y_true, "float32"), ops.cast(y_pred, "float32")
        if not self._variables:
            self._build(y_true, y_pred)
        if self.threshold is None:
            top = ops.max(y_pred, axis=-1, keepdims=True)
            chosen = ops.logical_and(ops.greater_equal(y_pred, top), ops.greater(ops.absolute(y_pred), 1e-9))
        else:
            chosen = ops.greater(y_pred, self.threshold)
        guess = ops.cast(chosen, "float32")
        values = (
            ops.multiply(guess, y_true), ops.multiply(guess, ops.subtract(1.0, y_true)),
            ops.multiply(ops.subtract(1.0, guess), y_true), y_true,
        )  # fmt: skip
        for name, value in zip(_COUNTS, values, strict=True):
            if sample_weight is not None:
                value = ops.multiply(value, ops.reshape(ops.cast(sample_weight, "float32"), (-1, 1)))
            add_to(getattr(self, name), ops.sum(value, axis=None if self.average == "micro" else 0))

    def result(self) -> Any:
        if not self._variables:
            return ops.convert_to_tensor(0.0)
        tp, fp, fn, support = (getattr(self, name).value for name in _COUNTS)
        precision = ops.divide(tp, ops.add(ops.add(tp, fp), EPSILON))
        recall = ops.divide(tp, ops.add(ops.add(tp, fn), EPSILON))
        square = self.beta**2
        below = ops.add(ops.add(ops.multiply(precision, square), recall), EPSILON)
        score = ops.multiply(ops.divide(ops.multiply(precision, recall), below), 1.0 + square)
        if self.average == "weighted":
            return ops.sum(ops.multiply(score, ops.divide(support, ops.add(ops.sum(support), EPSILON))))
        return score if self.average is None else ops.mean(score)

    def get_config(self) -> dict[str, Any]:
        own = {"average": self.average, "beta": self.beta, "threshold": self.threshold}
        return {**super().get_config(), **own}


class F1Score(FBetaScore):
    """FBetaScore with beta 1."""

    def __init__(
        self, average: str | None = None, threshold: float | None = None, name: str | None = "f1_score",
        dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(average, 1.0, threshold, name, dtype)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["beta"]
        return config
