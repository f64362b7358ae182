"""Boston house prices: 506 districts of the 1970s with 13 measurements each. One of them, from the proportion of Black
residents, makes the data set unfit for anything but reproducing old results."""

from __future__ import annotations

from typing import Any

from berrante.datasets.cache import BASE, data_file
from berrante.datasets.housing import Split, check_split, shuffled_split
from berrante.datasets.npz import read_npz


def load_data(path: Any = "boston_housing.npz", test_split: float = 0.2, seed: int = 113) -> tuple[Split, Split]:
    """((x_train, y_train), (x_test, y_test)): float64 [N, 13], and prices in 1,000 dollars, float64 [N]."""
    check_split(test_split)
    sha = "f553886a1f8d56431e820c5b82552d9d95cfcb96d1e678153f8839538947dff5"
    x, y = read_npz(data_file(path, BASE + "boston_housing.npz", sha), ("x", "y"))
    return shuffled_split(x, y, test_split, seed)
