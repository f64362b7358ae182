"""Losses of numbers and margins as functions: one value a sample, over the last axis, after keras.losses."""

from __future__ import annotations

import math
from typing import Any

from berrante import ops
from berrante.losses.loss import same_rank

EPSILON = 1e-7


def pair(y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    """Targets and predictions as float32 of the same rank."""
    return same_rank(ops.cast(y_true, "float32"), ops.cast(y_pred, "float32"))


def _last_mean(x: Any) -> Any:
    return ops.mean(x, axis=-1) if len(x.shape) else x


def mean_squared_error(y_true: Any, y_pred: Any) -> Any:
    """mean((true - pred)^2) over the last axis."""
    y_true, y_pred = pair(y_true, y_pred)
    return _last_mean(ops.square(ops.subtract(y_true, y_pred)))


def mean_absolute_error(y_true: Any, y_pred: Any) -> Any:
    """mean(|true - pred|) over the last axis."""
    y_true, y_pred = pair(y_true, y_pred)
    return _last_mean(ops.absolute(ops.subtract(y_true, y_pred)))


def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> Any:
    """100 * mean(|true - pred| / max(|true|, 1e-7))."""
    y_true, y_pred = pair(y_true, y_pred)
    ratio = ops.divide(ops.subtract(y_true, y_pred), ops.maximum(ops.absolute(y_true), EPSILON))
    return ops.multiply(_last_mean(ops.absolute(ratio)), 100.0)


def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> Any:
    """mean((log(true + 1) - log(pred + 1))^2)."""
    y_true, y_pred = pair(y_true, y_pred)
    a, b = (ops.log(ops.add(ops.maximum(y, EPSILON), 1.0)) for y in (y_true, y_pred))
    return _last_mean(ops.square(ops.subtract(a, b)))


def _signed(y_true: Any) -> Any:
    """Labels 0 and 1 as -1 and 1; others as they are."""
    binary = ops.all(ops.logical_or(ops.equal(y_true, 0.0), ops.equal(y_true, 1.0)))
    return ops.where(binary, ops.subtract(ops.multiply(y_true, 2.0), 1.0), y_true)


def hinge(y_true: Any, y_pred: Any) -> Any:
    """mean(max(1 - true * pred, 0)); labels 0 count as -1."""
    y_true, y_pred = pair(y_true, y_pred)
    return _last_mean(ops.relu(ops.subtract(1.0, ops.multiply(_signed(y_true), y_pred))))


def squared_hinge(y_true: Any, y_pred: Any) -> Any:
    """mean(max(1 - true * pred, 0)^2); labels 0 count as -1."""
    y_true, y_pred = pair(y_true, y_pred)
    return _last_mean(ops.square(ops.relu(ops.subtract(1.0, ops.multiply(_signed(y_true), y_pred)))))


def categorical_hinge(y_true: Any, y_pred: Any) -> Any:
    """max(best wrong - right + 1, 0)."""
    y_true, y_pred = pair(y_true, y_pred)
    right = ops.sum(ops.multiply(y_true, y_pred), axis=-1)
    wrong = ops.max(ops.multiply(ops.subtract(1.0, y_true), y_pred), axis=-1)
    return ops.relu(ops.add(ops.subtract(wrong, right), 1.0))


def kl_divergence(y_true: Any, y_pred: Any) -> Any:
    """sum(true * log(true / pred)), both clipped to [1e-7, 1]."""
    y_true, y_pred = (ops.clip(y, EPSILON, 1.0) for y in pair(y_true, y_pred))
    return ops.sum(ops.multiply(y_true, ops.log(ops.divide(y_true, y_pred))), axis=-1)


def poisson(y_true: Any, y_pred: Any) -> Any:
    """mean(pred - true * log(pred + 1e-7))."""
    y_true, y_pred = pair(y_true, y_pred)
    return _last_mean(ops.subtract(y_pred, ops.multiply(y_true, ops.log(ops.add(y_pred, EPSILON)))))


def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """-sum of the products of unit vectors: -1 for the same direction."""
    y_true, y_pred = pair(y_true, y_pred)

    def unit(y: Any) -> Any:
        square = ops.sum(ops.square(y), axis=axis, keepdims=True)
        return ops.multiply(y, ops.rsqrt(ops.maximum(square, 1e-12)))

    return ops.negative(ops.sum(ops.multiply(unit(y_true), unit(y_pred)), axis=axis))


def log_cosh(y_true: Any, y_pred: Any) -> Any:
    """mean(log(cosh(pred - true)))."""
    y_true, y_pred = pair(y_true, y_pred)
    x = ops.subtract(y_pred, y_true)
    return _last_mean(ops.subtract(ops.add(x, ops.softplus(ops.multiply(x, -2.0))), math.log(2.0)))


def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> Any:
    """Squared within delta, linear beyond."""
    y_true, y_pred = pair(y_true, y_pred)
    error = ops.absolute(ops.subtract(y_pred, y_true))
    inside = ops.multiply(ops.square(error), 0.5)
    outside = ops.subtract(ops.multiply(error, delta), 0.5 * delta * delta)
    return _last_mean(ops.where(ops.less_equal(error, delta), inside, outside))
