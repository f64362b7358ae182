"""CIFAR-100: colour photographs of 32 x 32 pixels in 100 classes, or 20 groups of them."""

from __future__ import annotations

from berrante.datasets.cache import data_folder
from berrante.datasets.cifar import Split, batches


def load_data(label_mode: str = "fine") -> tuple[Split, Split]:
    """((x_train, y_train), (x_test, y_test)): 50,000 and 10,000 images uint8 [N, 32, 32, 3], labels int64 [N, 1].

    label_mode: "fine" (100 classes) or "coarse" (20).
    """
    if label_mode not in ("fine", "coarse"):
        raise ValueError(f'`label_mode` must be one of `"fine"`, `"coarse"`. Received: label_mode={label_mode}.')
    folder = data_folder(
        "cifar-100-python",
        "cifar-100-python.tar.gz",
        "train",
        "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
        "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
    )
    train, test = (batches(folder, [name], f"{label_mode}_labels") for name in ("train", "test"))
    return train, test
