"""AUC: the area under the ROC, precision-recall or precision-recall-gain curve, as a Riemann sum, after keras.metrics."""

from __future__ import annotations

from typing import Any

import numpy as np

from berrante import ops
from berrante.metrics.confusion import COUNTS, _Counting, count_confusions
from berrante.metrics.metric import EPSILON, divide_no_nan

_CURVES = ("ROC", "PR", "PRGAIN")
_SUMS = ("interpolation", "majoring", "minoring")


class AUC(_Counting):
    """The area under a curve over thresholds.

    Args:
        num_thresholds: evenly spaced ones, the two ends included.
        curve: ROC, PR (precision-recall) or PRGAIN.
        summation_method: interpolation (trapezoids; for PR as Davis and Goadrich, 2006), minoring or majoring.
        thresholds: own ones from 0 to 1 instead; the ends are added.
        multi_label: an area for each of the labels [N, L], averaged (by label_weights if given).
        num_labels: L, if the state is to be made before the first batch.
        label_weights: for multi_label, of the average; otherwise of the predictions.
        from_logits: predictions pass through a sigmoid first.
    """

    _direction = "up"

    counts = COUNTS

    def __init__(
        self, num_thresholds: int = 200, curve: str = "ROC", summation_method: str = "interpolation",
        name: str | None = None, dtype: Any = None, thresholds: Any = None, multi_label: bool = False,
        num_labels: int | None = None, label_weights: Any = None, from_logits: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(dtype, name)
        self.curve = getattr(curve, "value", str(curve)).upper()
        self.summation_method = getattr(summation_method, "value", str(summation_method)).lower()
        if self.curve not in _CURVES:
            raise ValueError(f'Invalid AUC curve value: "{curve}". Expected {", ".join(_CURVES)}.')
        if self.summation_method not in _SUMS:
            raise ValueError(f'Invalid AUC summation method value: "{summation_method}". Expected {", ".join(_SUMS)}.')
        self._own_thresholds = thresholds is not None
        if thresholds is None:
            if num_thresholds <= 1:
                raise ValueError(f"AUC: Argument `num_thresholds` must be an integer > 1. Received: {num_thresholds}")
            inner = [(i + 1) / (num_thresholds - 1) for i in range(num_thresholds - 2)]
        else:
            inner = sorted(float(t) for t in thresholds)
            if inner and not (inner[0] >= 0 and inner[-1] <= 1):
                raise ValueError(f"AUC: expected thresholds from 0 to 1; received {thresholds}")
        self.thresholds = [-EPSILON, *inner, 1.0 + EPSILON]
        self.num_thresholds = len(self.thresholds)
        if num_labels and not multi_label:
            raise ValueError("AUC: `num_labels` is needed only when `multi_label` is True.")
        self.multi_label, self.num_labels, self.from_logits = multi_label, num_labels, from_logits
        self.label_weights = None if label_weights is None else np.asarray(label_weights, np.float32)
        if not multi_label:
            self._make_counts((self.num_thresholds,))
        elif num_labels:
            self._make_counts((self.num_thresholds, num_labels))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_pred = ops.convert_to_tensor(y_pred)
        if not self._variables:
            if len(y_pred.shape) != 2:
                raise ValueError(
                    f"AUC: `y_pred` must have rank 2 when `multi_label=True`; received shape {tuple(y_pred.shape)}"
                )
            self._make_counts((self.num_thresholds, y_pred.shape[1]))
        count_confusions(
            {name: getattr(self, name) for name in self.counts},
            y_true,
            ops.sigmoid(y_pred) if self.from_logits else y_pred,
            self.thresholds,
            sample_weight=sample_weight,
            by_label=self.multi_label,
            label_weights=None if self.multi_label else self.label_weights,
        )

    def _average(self, areas: Any) -> Any:
        """The sum over thresholds, averaged over labels."""
        area = ops.sum(areas, axis=0)
        if not self.multi_label:
            return area
        if self.label_weights is None:
            return ops.mean(area)
        return divide_no_nan(ops.sum(ops.multiply(area, self.label_weights)), float(self.label_weights.sum()))

    def interpolate_pr_auc(self) -> Any:
        """True positives interpolate between thresholds and precision follows."""
        tp, fp, _, fn = (getattr(self, name).value for name in self.counts)
        dtp, p = ops.subtract(tp[:-1], tp[1:]), ops.add(tp, fp)
        slope = divide_no_nan(dtp, ops.maximum(ops.subtract(p[:-1], p[1:]), 0.0))
        intercept = ops.subtract(tp[1:], ops.multiply(slope, p[1:]))
        both = ops.logical_and(ops.greater(p[:-1], 0.0), ops.greater(p[1:], 0.0))
        ratio = ops.where(both, divide_no_nan(p[:-1], ops.maximum(p[1:], 0.0)), 1.0)
        part = ops.multiply(slope, ops.add(dtp, ops.multiply(intercept, ops.log(ratio))))
        return self._average(divide_no_nan(part, ops.maximum(ops.add(tp[1:], fn[1:]), 0.0)))

    def _gains(self) -> tuple[Any, Any]:
        """Recall and precision gain (Flach and Kull, 2015)."""
        tp, fp, tn, fn = (getattr(self, name).value for name in self.counts)
        scale = divide_no_nan(ops.add(tp, fn), ops.add(tn, fp))
        none = ops.equal(tp, 0.0)
        recall, precision = (ops.subtract(1.0, ops.multiply(scale, divide_no_nan(wrong, tp))) for wrong in (fn, fp))
        return ops.maximum(ops.where(none, 0.0, recall), 0.0), ops.where(none, 1.0, precision)

    def result(self) -> Any:
        if not self._variables:
            return ops.convert_to_tensor(0.0)
        if self.curve == "PR" and self.summation_method == "interpolation":
            return self.interpolate_pr_auc()
        recall = self._rate("true_positives", "false_negatives")
        if self.curve == "ROC":
            x, y = self._rate("false_positives", "true_negatives"), recall
        elif self.curve == "PR":
            x, y = recall, self._rate("true_positives", "false_positives")
        else:
            x, y = self._gains()
        a, b = y[:-1], y[1:]
        if self.summation_method == "interpolation":
            heights = ops.multiply(ops.add(a, b), 0.5)
        else:
            heights = ops.minimum(a, b) if self.summation_method == "minoring" else ops.maximum(a, b)
        return self._average(ops.multiply(ops.subtract(x[:-1], x[1:]), heights))

    def get_config(self) -> dict[str, Any]:
        weights = self.label_weights
        config = {
            **super().get_config(), "num_thresholds": self.num_thresholds, "curve": self.curve,
            "summation_method": self.summation_method, "multi_label": self.multi_label, "num_labels": self.num_labels,
            "label_weights": None if weights is None else weights.tolist(), "from_logits": self.from_logits,
        }  # fmt: skip
        if self._own_thresholds:
            config["thresholds"] = self.thresholds[1:-1]
        return config
