"""Losses of overlap (Dice, Tversky) and of distances between embeddings (circle) as functions, after keras.losses."""

from __future__ import annotations

from typing import Any

from berrante import ops
from berrante.losses.functions import EPSILON


def _floats(y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    return ops.cast(y_true, "float32"), ops.cast(y_pred, "float32")


def dice(y_true: Any, y_pred: Any, axis: Any = None) -> Any:
    """1 - 2 |A and B| / (|A| + |B|), over an axis or all of the batch."""
    y_true, y_pred = _floats(y_true, y_pred)
    both = ops.multiply(ops.sum(ops.multiply(y_true, y_pred), axis=axis), 2.0)
    sizes = ops.add(ops.sum(y_true, axis=axis), ops.sum(y_pred, axis=axis))
    return ops.subtract(1.0, ops.divide(both, ops.add(sizes, EPSILON)))


def tversky(y_true: Any, y_pred: Any, alpha: float = 0.5, beta: float = 0.5, axis: Any = None) -> Any:
    """Dice with a weight alpha for what only the target has and beta for what only the prediction has."""
    y_true, y_pred = _floats(y_true, y_pred)
    both = ops.sum(ops.multiply(y_true, y_pred), axis=axis)
    missed = ops.sum(ops.multiply(ops.subtract(1.0, y_pred), y_true), axis=axis)
    extra = ops.sum(ops.multiply(y_pred, ops.subtract(1.0, y_true)), axis=axis)
    total = ops.add(both, ops.add(ops.multiply(missed, alpha), ops.multiply(extra, beta)))
    return ops.subtract(1.0, ops.divide(both, ops.add(total, EPSILON)))


def circle(
    y_true: Any, y_pred: Any, ref_labels: Any = None, ref_embeddings: Any = None, remove_diagonal: bool = True,
    gamma: float = 80, margin: float = 0.4,
) -> Any:  # fmt: skip
    """Circle loss (Sun et al., 2020) of normalised embeddings [N, D] with integer labels [N]; zeros do not count."""
    y_pred = ops.cast(y_pred, "float32")
    labels = ops.reshape(ops.cast(y_true, "int32"), (-1, 1))
    others = y_pred if ref_embeddings is None else ops.cast(ref_embeddings, "float32")
    ref = labels if ref_labels is None else ops.cast(ref_labels, "int32")
    distance = ops.maximum(ops.subtract(1.0, ops.matmul(y_pred, ops.transpose(others))), 0.0)
    same = ops.equal(labels, ops.reshape(ref, (1, -1)))
    positive, negative = same, ops.logical_not(same)
    if remove_diagonal:
        diagonal = ops.cast(ops.eye(*same.shape), "bool")
        positive = ops.logical_and(positive, ops.logical_not(diagonal))

    def pull(mask: Any, weight: Any, gap: Any, sign: float) -> Any:
        weight = ops.maximum(ops.multiply(weight, ops.cast(mask, "float32")), 0.0)
        pulled = ops.multiply(ops.multiply(weight, gap), sign * gamma)
        return ops.logsumexp(ops.where(mask, pulled, float("-inf")), axis=1)

    near = pull(positive, ops.add(distance, margin), ops.subtract(margin, distance), -1.0)
    far = pull(negative, ops.subtract(1.0 + margin, distance), ops.subtract(1.0 - margin, distance), 1.0)
    loss = ops.softplus(ops.add(near, far))
    loss._keras_mask = ops.greater(loss, 0.0)
    return loss
