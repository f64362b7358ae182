"""What the two tables of house prices share."""

from __future__ import annotations

import numpy as np

Split = tuple[np.ndarray, np.ndarray]


def check_split(test_split: float) -> None:
    """Refuses an impossible share before anything is downloaded."""
    if not 0 <= test_split < 1:
        raise ValueError(f"Invalid `test_split` argument: {test_split}. It must be between 0 and 1 (exclusive of 1).")


def shuffled_split(x: np.ndarray, y: np.ndarray, test_split: float, seed: int) -> tuple[Split, Split]:
    """((x_train, y_train), (x_test, y_test)), shuffled by numpy's RandomState(seed) as Keras does."""
    order = np.arange(len(x))
    np.random.RandomState(seed).shuffle(order)
    x, y = x[order], y[order]
    at = int(len(x) * (1 - test_split))
    return (x[:at].copy(), y[:at].copy()), (x[at:].copy(), y[at:].copy())
