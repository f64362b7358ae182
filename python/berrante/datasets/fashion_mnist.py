"""Fashion-MNIST: 28 x 28 pictures of clothes in ten classes, from Keras' cache or its URL."""

from __future__ import annotations

import os

from berrante.datasets.cache import BASE, data_file
from berrante.datasets.mnist import Split, read_idx


def load_data() -> tuple[Split, Split]:
    """((x_train, y_train), (x_test, y_test)): 60,000 and 10,000 images uint8 [N, 28, 28], labels uint8 [N]."""
    folder = os.path.join("datasets", "fashion-mnist")
    names = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    files = [f"{name}-ubyte.gz" for name in names]
    x, y, x_test, y_test = (read_idx(data_file(file, BASE + file, cache_subdir=folder)) for file in files)
    if x.ndim != 3 or x_test.ndim != 3 or y.shape != x.shape[:1] or y_test.shape != x_test.shape[:1]:
        raise ValueError(f"fashion_mnist: images {x.shape}, {x_test.shape} do not fit labels {y.shape}, {y_test.shape}")
    return (x, y), (x_test, y_test)
