"""Data sets, after keras.datasets: from Keras' own cache folder, or downloaded into it; and scikit-learn's bundled digits."""

from berrante.datasets import (
    boston_housing,
    california_housing,
    cifar10,
    cifar100,
    digits,
    fashion_mnist,
    imdb,
    mnist,
    reuters,
)
