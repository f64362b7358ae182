"""Crossentropies and their focal and generalised kin as functions, one value a sample, after keras.losses."""

from __future__ import annotations

import warnings
from typing import Any

from berrante import ops
from berrante.losses.functions import EPSILON, pair


def _check_axis(name: str, axis: Any) -> None:
    if isinstance(axis, bool) or not isinstance(axis, int):
        raise ValueError(f"{name}: expected axis to be an int; received {axis!r}")


def _categorical(name: str, y_true: Any, y_pred: Any, label_smoothing: float, axis: Any) -> tuple[Any, Any]:
    """Targets, smoothed, and predictions as float32."""
    _check_axis(name, axis)
    y_true, y_pred = ops.cast(y_true, "float32"), ops.cast(y_pred, "float32")
    if y_pred.shape and y_pred.shape[-1] == 1:
        warnings.warn(
            f"{name}: expected predictions of more than one class; received shape {tuple(y_pred.shape)}. "
            "For two classes in one output use binary_crossentropy",
            SyntaxWarning,
            stacklevel=3,
        )
    if label_smoothing:
        share = label_smoothing / y_true.shape[-1]
        y_true = ops.add(ops.multiply(y_true, 1.0 - label_smoothing), share)
    return y_true, y_pred


def _binary(y_true: Any, y_pred: Any, label_smoothing: float) -> tuple[Any, Any]:
    y_true, y_pred = pair(y_true, y_pred)
    if label_smoothing:
        y_true = ops.add(ops.multiply(y_true, 1.0 - label_smoothing), 0.5 * label_smoothing)
    return y_true, y_pred


def categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Any:
    """-sum(true * log(pred)) over classes."""
    y_true, y_pred = _categorical("categorical_crossentropy", y_true, y_pred, label_smoothing, axis)
    return ops.categorical_crossentropy(y_true, y_pred, from_logits, axis)


def sparse_categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, ignore_class: int | None = None, axis: int = -1
) -> Any:
    """-log(pred[true]) for integer classes. Samples of ignore_class give 0 and do not count in means."""
    y_pred = ops.cast(y_pred, "float32")
    labels = ops.cast(y_true, "int32")
    if len(labels.shape) == len(y_pred.shape) and labels.shape[axis] == 1:
        labels = ops.squeeze(labels, axis)
    if ignore_class is None:
        return ops.sparse_categorical_crossentropy(labels, y_pred, from_logits, axis)
    valid = ops.not_equal(labels, ignore_class)
    y_pred = ops.where(ops.expand_dims(valid, axis), y_pred, 0.0)
    loss: Any = ops.sparse_categorical_crossentropy(ops.where(valid, labels, 0), y_pred, from_logits, axis)
    loss = ops.where(valid, loss, 0.0)
    loss._keras_mask = valid
    return loss


def binary_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Any:
    """The mean over an axis of -(t log p + (1 - t) log(1 - p))."""
    y_true, y_pred = _binary(y_true, y_pred, label_smoothing)
    loss = ops.binary_crossentropy(y_true, y_pred, from_logits)
    return ops.mean(loss, axis=axis) if len(loss.shape) else loss


def binary_focal_crossentropy(
    y_true: Any, y_pred: Any, apply_class_balancing: bool = False, alpha: float = 0.25, gamma: float = 2.0,
    from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1,
) -> Any:  # fmt: skip
    """Binary crossentropy weighted by (1 - p of the right class)^gamma (Lin et al., 2017)."""
    y_true, y_pred = _binary(y_true, y_pred, label_smoothing)
    p = ops.sigmoid(y_pred) if from_logits else y_pred
    bce = ops.binary_crossentropy(y_true, p)
    right = ops.add(ops.multiply(y_true, p), ops.multiply(ops.subtract(1.0, y_true), ops.subtract(1.0, p)))
    loss = ops.multiply(ops.power(ops.subtract(1.0, right), float(gamma)), bce)
    if apply_class_balancing:
        weight = ops.add(ops.multiply(y_true, alpha), ops.multiply(ops.subtract(1.0, y_true), 1.0 - alpha))
        loss = ops.multiply(weight, loss)
    return ops.mean(loss, axis=axis)


def categorical_focal_crossentropy(
    y_true: Any, y_pred: Any, alpha: Any = 0.25, gamma: float = 2.0, from_logits: bool = False,
    label_smoothing: float = 0.0, axis: int = -1,
) -> Any:  # fmt: skip
    """Categorical crossentropy weighted by alpha * (1 - p)^gamma; alpha may be one number a class."""
    y_true, y_pred = _categorical("categorical_focal_crossentropy", y_true, y_pred, label_smoothing, axis)
    p = ops.softmax(y_pred, axis=axis) if from_logits else y_pred
    p = ops.clip(ops.divide(p, ops.sum(p, axis=axis, keepdims=True)), EPSILON, 1.0 - EPSILON)
    weight = ops.multiply(ops.power(ops.subtract(1.0, p), float(gamma)), alpha)
    return ops.negative(ops.sum(ops.multiply(weight, ops.multiply(y_true, ops.log(p))), axis=axis))


def categorical_generalized_cross_entropy(y_true: Any, y_pred: Any, q: float) -> Any:
    """(1 - p^q) / q for the probability p of the integer label: between crossentropy (q near 0) and |error| (q = 1)."""
    y_pred = ops.cast(y_pred, "float32")
    hot = ops.cast(ops.one_hot(ops.cast(y_true, "int32"), y_pred.shape[-1]), "float32")
    p = ops.sum(ops.multiply(y_pred, hot), axis=-1)
    return ops.divide(ops.subtract(1.0, ops.power(p, float(q))), float(q))
