"""CIFAR-10: colour photographs of 32 x 32 pixels in ten classes, from Keras' cache or the University of Toronto."""

from __future__ import annotations

from berrante.datasets.cache import data_folder
from berrante.datasets.cifar import Split, batches


def load_data() -> tuple[Split, Split]:
    """((x_train, y_train), (x_test, y_test)): 50,000 and 10,000 images uint8 [N, 32, 32, 3], labels uint8 [N, 1]."""
    folder = data_folder(
        "cifar-10-batches-py",
        "cifar-10-python.tar.gz",
        "data_batch_1",
        "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
        "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
    )
    x, y = batches(folder, [f"data_batch_{i}" for i in range(1, 6)])
    x_test, y_test = batches(folder, ["test_batch"])
    return (x, y.astype("uint8")), (x_test, y_test.astype("uint8"))
