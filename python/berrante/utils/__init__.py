"""Helpers, after keras.utils."""

from __future__ import annotations

from typing import Any

import numpy as np

from berrante.data import PyDataset, Sequence, unpack_x_y_sample_weight
from berrante.utils.progbar import Progbar


def set_random_seed(seed: int) -> None:
    """Seeds Python, NumPy and berrante; the same seed gives the same bits."""
    import random

    from berrante.random import set_global_seed

    random.seed(seed)
    np.random.seed(seed)
    set_global_seed(seed)


def to_categorical(x: Any, num_classes: int | None = None) -> np.ndarray:
    """One-hot rows, float32, of integer classes; a last dimension of 1 is dropped."""
    classes = np.asarray(x).astype(np.int64)
    if classes.ndim > 1 and classes.shape[-1] == 1:
        classes = classes.reshape(classes.shape[:-1])
    n = int(classes.max()) + 1 if num_classes is None and classes.size else num_classes or 0
    if classes.size and (classes.min() < 0 or classes.max() >= n):
        raise ValueError(
            f"to_categorical: expected classes from 0 to {n - 1}; received {classes.min()} to {classes.max()}"
        )
    return np.eye(n, dtype=np.float32)[classes]


def normalize(x: Any, axis: int = -1, order: int = 2) -> np.ndarray:
    """x divided by its norm along an axis."""
    norms = np.atleast_1d(np.linalg.norm(x, order, axis))
    norms[norms == 0] = 1
    result: np.ndarray = np.asarray(x) / np.expand_dims(norms, axis)
    return result


def clear_session(free_memory: bool = True) -> None:
    """Starts the naming of layers anew and forgets cached programs."""
    from berrante.graph import eager
    from berrante.layers.layer import reset_names

    reset_names()
    eager.clear()


def plot_model(model: Any, to_file: str = "model.png", **kwargs: Any) -> None:
    """Draws the model's layers and connections into a PNG (matplotlib)."""
    from berrante.utils.plotting import plot_model as plot

    plot(model, to_file, **kwargs)


def get_custom_objects() -> dict[str, Any]:
    """The registry of names that files may use."""
    from berrante.saving.registry import get_custom_objects as get

    return get()
