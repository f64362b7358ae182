"""California house prices of the 1990 census: 20,640 districts with 8 measurements each."""

from __future__ import annotations

from typing import Any

from berrante.datasets.cache import BASE, data_file
from berrante.datasets.housing import Split, check_split, shuffled_split
from berrante.datasets.npz import read_npz


def load_data(
    version: str = "large", path: Any = "california_housing.npz", test_split: float = 0.2, seed: int = 113
) -> tuple[Split, Split]:
    """((x_train, y_train), (x_test, y_test)): [N, 8], and prices in dollars [N]. version "small": the first 600."""
    check_split(test_split)
    if version not in ("small", "large"):
        raise ValueError(f"Argument `version` must be one of 'small', 'large'. Received: version={version}")
    sha = "1a2e3a52e0398de6463aebe6f4a8da34fb21fbb6b934cf88c3425e766f2a1a6f"
    x, y = read_npz(data_file(path, BASE + "california_housing.npz", sha), ("x", "y"))
    count = 600 if version == "small" else len(x)
    return shuffled_split(x[:count], y[:count], test_split, seed)
