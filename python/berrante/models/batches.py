"""What the trainer asks of data and results, without state."""

from __future__ import annotations

from typing import Any

import numpy as np

from berrante.data import ArrayData, PyDataset
from berrante.graph.tape import flatten, map_structure
from berrante.graph.tensor import Tensor
from berrante.graph.variable import Variable


def number(x: Any) -> Any:
    if isinstance(x, (float, int)):
        return x
    array = np.asarray(x)
    return float(array) if array.ndim == 0 else array


def is_stream(x: Any) -> bool:
    if isinstance(x, (PyDataset, ArrayData)):
        return isinstance(x, PyDataset)
    if x is None or isinstance(x, (np.ndarray, list, tuple, dict, Tensor, Variable)) or hasattr(x, "__array__"):
        return False
    return hasattr(x, "__next__") or hasattr(x, "__iter__") or (hasattr(x, "__getitem__") and hasattr(x, "__len__"))


def check_positive(name: str, value: Any) -> None:
    if value is not None and (isinstance(value, bool) or int(value) != value or value < 1):
        raise ValueError(f"{name}: expected a positive integer; received {value!r}")


def split(data: ArrayData, fraction: float) -> tuple[ArrayData, ArrayData]:
    """The last part of the samples, before any shuffling, is for validation."""
    if not 0 < fraction < 1:
        raise ValueError(f"validation_split: expected a fraction between 0 and 1; received {fraction}")
    at = int(np.floor(data.size * (1.0 - fraction)))
    if at == 0 or at == data.size:
        raise ValueError(f"validation_split={fraction} leaves {at} of {data.size} samples to train on")
    return data.rows(0, at), data.rows(at, data.size)


def take(data: ArrayData, rows: np.ndarray) -> ArrayData:
    return ArrayData(*(map_structure(lambda a: None if a is None else a[rows], part) for part in data.data))


def concatenate(parts: list[Any]) -> Any:
    leaves = iter([np.concatenate(group) for group in zip(*(flatten(p) for p in parts), strict=True)])
    return map_structure(lambda _: next(leaves), parts[0])
