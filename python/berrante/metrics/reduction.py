"""Mean and Sum of values, and means of functions of (y_true, y_pred), after keras.metrics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from berrante import losses, ops
from berrante.graph import trace
from berrante.layers.masking import get_mask
from berrante.losses.loss import mask_weights, same_rank
from berrante.metrics.metric import Metric, add_to, divide_no_nan


def per_sample(values: Any, sample_weight: Any, reduce: Callable[..., Any]) -> tuple[Any, Any]:
    """Values weighted and reduced to one a sample, and the weights likewise (None without weights)."""
    mask = get_mask(values)
    values = ops.cast(values, "float32")
    if sample_weight is not None:
        weights = mask_weights(ops.cast(sample_weight, "float32"), mask, "sum")
        values, weights = same_rank(values, weights)
        extra = tuple(range(len(weights.shape), len(values.shape)))
        if extra:
            values = reduce(values, axis=extra)
        weights = ops.broadcast_to(weights, values.shape)
        values = ops.multiply(values, weights)
        sample_weight = reduce(weights, axis=tuple(range(1, len(weights.shape)))) if len(weights.shape) > 1 else weights
    if len(values.shape) > 1:
        values = reduce(values, axis=tuple(range(1, len(values.shape))))
    return values, sample_weight


class Mean(Metric):
    """The (weighted) mean of all values seen."""

    def __init__(self, name: str | None = "mean", dtype: Any = None) -> None:
        super().__init__(dtype, name)
        self.total = self.add_variable((), "zeros", name="total")
        self.count = self.add_variable((), "zeros", name="count")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        values, weights = per_sample(ops.convert_to_tensor(values), sample_weight, ops.mean)
        add_to(self.total, ops.sum(values))
        count: Any = float(values.shape[0]) if len(values.shape) else 1.0
        add_to(self.count, count if weights is None else ops.sum(weights))

    def result(self) -> Any:
        if trace.current() is None:  # the loss and most metrics of every progress line: no operations
            total, count = self.total.array, self.count.array
            return ops.convert_to_tensor(total / count if count else np.float32(0))
        return divide_no_nan(self.total.value, self.count.value)


class Sum(Metric):
    """The (weighted) sum of all values seen."""

    def __init__(self, name: str | None = "sum", dtype: Any = None) -> None:
        super().__init__(dtype, name)
        self.total = self.add_variable((), "zeros", name="total")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        values, _ = per_sample(ops.convert_to_tensor(values), sample_weight, ops.sum)
        add_to(self.total, ops.sum(values))

    def result(self) -> Any:
        return ops.convert_to_tensor(self.total.numpy()) if trace.current() is None else self.total.value


class MeanMetricWrapper(Mean):
    """The mean of a function of (y_true, y_pred); further arguments are the function's."""

    def __init__(self, fn: Callable[..., Any], name: str | None = None, dtype: Any = None, **kwargs: Any) -> None:
        super().__init__(name, dtype)
        self._fn, self._fn_kwargs = fn, kwargs
        if self._direction is None and losses.FUNCTIONS.get(getattr(fn, "__name__", "")) is fn:
            self._direction = "down"

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        mask = get_mask(y_pred)
        values = self._fn(ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred), **self._fn_kwargs)
        super().update_state(values, mask_weights(sample_weight, mask, "sum"))

    def get_config(self) -> dict[str, Any]:
        fn = {"fn": self._fn} if type(self) is MeanMetricWrapper else {}
        return {**super().get_config(), **fn, **self._fn_kwargs}
