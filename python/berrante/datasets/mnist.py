"""MNIST: 28 x 28 handwritten digits, from Keras' cache (`~/.keras/datasets/mnist.npz`) or idx files."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import numpy as np

Split = tuple[np.ndarray, np.ndarray]


def read_idx(path: str | os.PathLike[str]) -> np.ndarray:
    """The uint8 array of an idx file, plain or gzipped."""
    data = Path(path).read_bytes()
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    if len(data) < 4 or data[:3] != b"\x00\x00\x08":
        raise ValueError(f"{path}: expected an idx file of bytes")
    rank = data[3]
    shape = tuple(int.from_bytes(data[4 + 4 * i : 8 + 4 * i], "big") for i in range(rank))
    body = data[4 + 4 * rank :]
    if int(np.prod(shape, dtype=np.int64)) != len(body):
        raise ValueError(f"{path}: expected {shape} bytes; the file holds {len(body)}")
    return np.frombuffer(body, np.uint8).reshape(shape)


def _find(folder: Path, part: str, kind: str) -> Path | None:
    matches = sorted(folder.glob(f"{part}-{kind}*-ubyte*"))
    return matches[0] if matches else None


def load_data(path: str | os.PathLike[str] = "mnist.npz") -> tuple[Split, Split]:
    """((x_train, y_train), (x_test, y_test)), uint8.

    path: an .npz file (looked for in Keras' cache if relative), or a folder of idx files. A folder that holds only the
    test images (10,000) gives 8,000 of them for training and 2,000 for testing.
    """
    target = Path(path)
    if target.is_dir():
        images, labels = _find(target, "t10k", "images"), _find(target, "t10k", "labels")
        if images is None or labels is None:
            raise FileNotFoundError(f"{target}: expected t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte (or .gz)")
        x, y = read_idx(images), read_idx(labels)
        train_images, train_labels = _find(target, "train", "images"), _find(target, "train", "labels")
        if train_images is not None and train_labels is not None:
            return (read_idx(train_images), read_idx(train_labels)), (x, y)
        cut = len(x) * 4 // 5
        return (x[:cut], y[:cut]), (x[cut:], y[cut:])
    if not target.is_file():
        home = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras"))
        target = home / "datasets" / target.name
    if not target.is_file():
        raise FileNotFoundError(f"{target}: not there; put mnist.npz into Keras' cache, or name a folder of idx files")
    with np.load(target, allow_pickle=False) as data:
        return (data["x_train"], data["y_train"]), (data["x_test"], data["y_test"])
