"""Anomalies by how badly a model reconstructs a sample: scores, a threshold from normal samples, a verdict."""

from __future__ import annotations

from typing import Any

import numpy as np

from berrante import ops
from berrante.graph.variable import Variable

REDUCTIONS = ("mse", "mae", "max")


def reduce_error(difference: Any, reduction: str) -> Any:
    """One number a sample of a difference [N, ...]."""
    axes = list(range(1, len(difference.shape)))
    size = ops.absolute(difference)
    if reduction == "max":
        return ops.max(size, axis=axes)
    return ops.mean(ops.square(difference) if reduction == "mse" else size, axis=axes)


class Anomaly:
    """The mixin: `anomaly_score` is high for samples unlike those of training."""

    anomaly_reduction: str
    threshold: Variable

    def _setup_anomaly(self, reduction: str, allowed: tuple[str, ...] = REDUCTIONS) -> None:
        self._reductions = allowed
        self.anomaly_reduction = self._check_reduction(reduction)
        # A variable, so that files keep it; NaN until calibrate().
        self.threshold = Variable(np.float32(np.nan), trainable=False, name="threshold")

    def _check_reduction(self, reduction: str) -> str:
        if reduction not in self._reductions:
            raise ValueError(
                f"{self._label()} anomaly_reduction: expected {', '.join(self._reductions)}; "  # type: ignore[attr-defined]
                f"received {reduction!r}"
            )
        return reduction

    def _score(self, x: Any, reduction: str) -> Any:
        raise NotImplementedError

    def anomaly_score(self, x: Any, reduction: str | None = None, batch_size: int = 128) -> np.ndarray:
        """One score a sample [N], higher for stranger ones.

        reduction: "mse", "mae" or "max" of the reconstruction's error over a sample's elements; by default the model's
        `anomaly_reduction`.
        """
        chosen = self.anomaly_reduction if reduction is None else self._check_reduction(reduction)
        scores: np.ndarray = self._batched(  # type: ignore[attr-defined]
            f"anomaly_score_{chosen}", lambda a: self._score(a, chosen), [x], batch_size
        )
        return scores

    def calibrate(self, x: Any, quantile: float = 0.99) -> float:
        """Sets the threshold at a quantile of the scores of normal samples, and gives it. Files keep it."""
        if not 0 < quantile <= 1:
            raise ValueError(
                f"{self._label()} quantile: expected a number above 0, up to 1; received {quantile}"  # type: ignore[attr-defined]
            )
        self.threshold.assign(np.float32(np.quantile(self.anomaly_score(x), quantile)))
        return float(self.threshold.array)

    def is_anomaly(self, x: Any, threshold: float | None = None) -> np.ndarray:
        """Whether each sample's score lies above the threshold (that of calibrate() by default), as bool [N]."""
        limit = float(self.threshold.array) if threshold is None else float(threshold)
        if np.isnan(limit):
            raise RuntimeError(
                f"{self._label()} has no threshold: call calibrate() on normal samples first"  # type: ignore[attr-defined]
            )
        return self.anomaly_score(x) > limit
