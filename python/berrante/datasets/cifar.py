"""What cifar10 and cifar100 share: batches in Python's object stream format, read as plain data."""

from __future__ import annotations

import os

import numpy as np

from berrante.datasets.object_stream import read_objects
from berrante.layers.convolution import image_data_format
from berrante.saving.guard import RefusedFile

Split = tuple[np.ndarray, np.ndarray]


def load_batch(path: str, label_key: str = "labels") -> Split:
    """(images uint8 [N, 3, 32, 32], labels int64 [N]) of a batch file."""
    with open(path, "rb") as file:
        found = read_objects(file.read(), path)
    names = (
        {k.decode("utf8", "replace") if isinstance(k, bytes) else k: v for k, v in found.items()}
        if isinstance(found, dict)
        else {}
    )
    data, labels = names.get("data"), names.get(label_key)
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.ndim != 2 or data.shape[1] != 3072:
        raise RefusedFile(f"{path}: expected data, uint8 of shape (N, 3072); the file has {sorted(map(str, names))}")
    if not isinstance(labels, list) or len(labels) != len(data) or not all(type(label) is int for label in labels):
        raise RefusedFile(f"{path}: expected {label_key}, a list of {len(data)} integers")
    return data.reshape(-1, 3, 32, 32), np.array(labels, dtype="int64")


def arranged(x: np.ndarray) -> np.ndarray:
    """Images of [N, 3, 32, 32] in the data format that is set."""
    return x.transpose(0, 2, 3, 1) if image_data_format(None) == "channels_last" else x


def batches(folder: str, names: list[str], label_key: str = "labels") -> Split:
    """Several batch files in one; labels [N, 1]."""
    parts = [load_batch(os.path.join(folder, name), label_key) for name in names]
    x, y = (np.concatenate(column) for column in zip(*parts))
    return arranged(x), y[:, None]
