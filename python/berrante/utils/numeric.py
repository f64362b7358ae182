"""Helpers over plain arrays: to_categorical and normalize, after keras.utils."""

from __future__ import annotations

from typing import Any

import numpy as np

from berrante import ops
from berrante.graph.tensor import Tensor


def to_categorical(x: Any, num_classes: int | None = None) -> Any:
    """One-hot rows, float64 as in Keras 3, of integer classes; a last dimension of 1 is dropped.

    num_classes: the highest class plus 1 if None. A class outside 0 ... num_classes - 1 is an IndexError (Keras takes
    negative ones as counted from the end). A tensor gives a tensor, float32, and needs num_classes.
    """
    if isinstance(x, Tensor):
        if num_classes is None:
            raise ValueError("to_categorical: a tensor of classes needs num_classes")
        shape = x.shape[:-1] if len(x.shape) > 1 and x.shape[-1] == 1 else x.shape
        return ops.one_hot(ops.reshape(x, shape), num_classes)
    classes = np.array(x, dtype="int64")
    if classes.ndim > 1 and classes.shape[-1] == 1:
        classes = classes.reshape(classes.shape[:-1])
    if not num_classes:
        if not classes.size:
            raise ValueError("to_categorical: no classes, and num_classes is not given")
        num_classes = int(classes.max()) + 1
    if classes.size and (classes.min() < 0 or classes.max() >= num_classes):
        wrong = classes.min() if classes.min() < 0 else classes.max()
        raise IndexError(f"to_categorical: expected classes from 0 to {num_classes - 1}; received {wrong}")
    rows = np.zeros((classes.size, num_classes))
    rows[np.arange(classes.size), classes.reshape(-1)] = 1
    return rows.reshape(*classes.shape, num_classes)


def normalize(x: Any, axis: int = -1, order: int = 2) -> Any:
    """x divided by its norm of that order along an axis; zeros stay. A tensor gives a tensor."""
    if isinstance(x, Tensor):
        return ops.normalize(x, axis=axis, order=order)
    array = np.asarray(x)
    norms = np.linalg.norm(array, order, axis, keepdims=True)
    return array / np.where(norms == 0, 1, norms)
