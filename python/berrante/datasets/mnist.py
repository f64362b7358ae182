"""MNIST: 28 x 28 handwritten digits, from Keras' cache (`~/.keras/datasets/mnist.npz`), its URL, or idx files."""

from __future__ import annotations

import gzip
import math
import os
from pathlib import Path
from typing import IO, Any

import numpy as np

from berrante.datasets.cache import BASE, data_file
from berrante.datasets.npz import read_npz
from berrante.saving.guard import RefusedFile

Split = tuple[np.ndarray, np.ndarray]


def read_idx(path: str | os.PathLike[str]) -> np.ndarray:
    """The uint8 array of an idx file, plain or gzipped."""
    with open(path, "rb") as plain:
        zipped = plain.read(2) == b"\x1f\x8b"
    opener: Any = gzip.open if zipped else open
    try:
        with opener(path, "rb") as file:
            return _read_idx(file, path)
    except (EOFError, gzip.BadGzipFile) as error:
        raise RefusedFile(f"{path}: a damaged file ({error})") from error


def _read_idx(file: IO[bytes], path: Any) -> np.ndarray:
    head = file.read(4)
    if len(head) < 4 or head[:3] != b"\x00\x00\x08":
        raise RefusedFile(f"{path}: expected an idx file of bytes")
    shape = tuple(int.from_bytes(file.read(4), "big") for _ in range(head[3]))
    # Only as much as the file has is ever allocated, whatever the shape says.
    size = math.prod(shape)
    chunks, left = [], size + 1
    while left > 0 and (chunk := file.read(min(left, 1 << 20))):
        chunks.append(chunk)
        left -= len(chunk)
    if left != 1:
        raise RefusedFile(f"{path}: expected {shape} bytes; the file holds {'more' if left < 1 else size + 1 - left}")
    return np.frombuffer(bytearray(b"".join(chunks)), np.uint8).reshape(shape)


def _find(folder: Path, part: str, kind: str) -> Path | None:
    matches = sorted(folder.glob(f"{part}-{kind}*-ubyte*"))
    return matches[0] if matches else None


def load_data(path: str | os.PathLike[str] = "mnist.npz") -> tuple[Split, Split]:
    """((x_train, y_train), (x_test, y_test)): images uint8 [N, 28, 28], labels uint8 [N].

    path: the name of an .npz file in Keras' cache, downloaded if it is not there; the path of such a file; or a folder of
    idx files. A folder that holds only the test images (10,000) gives 8,000 of them for training and 2,000 for testing.
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
    sha = "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"
    file = data_file(path, BASE + "mnist.npz", sha)
    x, y, x_test, y_test = read_npz(file, ("x_train", "y_train", "x_test", "y_test"))
    return (x, y), (x_test, y_test)
