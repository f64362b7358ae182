"""split_dataset: arrays, lists or data sets of samples in two parts, after keras.utils."""

from __future__ import annotations

import random
from typing import Any

import numpy as np

from berrante.data import PyDataset
from berrante.utils.batches import Samples


def _size(name: str, size: Any, total: int) -> int | None:
    """A number of samples from a number or a fraction."""
    if size is None:
        return None
    if isinstance(size, bool) or not isinstance(size, (int, float)):
        raise TypeError(f"`{name}`: expected an int, a float or None; received {size!r} of type {type(size)}")
    if size <= 0 or size >= (total if isinstance(size, int) else 1):
        raise ValueError(
            f"`{name}` should be either a positive integer smaller than {total}, or a float within the range `[0, 1]`. "
            f"Received: {name}={size}"
        )
    return size if isinstance(size, int) else round(size * total)


def split_sizes(left_size: Any, right_size: Any, total: int) -> tuple[int, int]:
    """How many of `total` samples go left and right; what is not given is the rest."""
    if left_size is None and right_size is None:
        raise ValueError("At least one of the `left_size` or `right_size` must be specified. Received: both None")
    left, right = _size("left_size", left_size, total), _size("right_size", right_size, total)
    if left is None:
        assert right is not None
        left = total - right
    right = total - left if right is None else right
    if left + right > total:
        raise ValueError(
            f"The sum of `left_size` and `right_size` should not exceed the {total} samples. Received: {left} + {right}"
        )
    if not left or not right:
        raise ValueError(
            f"With `dataset` of length={total}, left_size={left_size} and right_size={right_size} leave {left} samples "
            f"on the left and {right} on the right; neither part may be empty"
        )
    return left, right


def _samples(dataset: Any) -> list[Any]:
    if isinstance(dataset, np.ndarray):
        return list(dataset)
    if isinstance(dataset, (list, tuple)):
        if len({len(array) for array in dataset}) != 1:
            raise ValueError(f"dataset: expected arrays of one length; received {[len(array) for array in dataset]}")
        return list(zip(*dataset))
    if isinstance(dataset, PyDataset) or (hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__")):
        return [dataset[i] for i in range(len(dataset))]
    if hasattr(dataset, "__iter__") and hasattr(dataset, "__len__"):
        return list(dataset)
    raise TypeError(
        f"The `dataset` argument must be an array, a list or tuple of arrays, or a data set with __len__ and "
        f"__getitem__ or __iter__. Received: dataset={dataset} of type {type(dataset)}"
    )


def _together(samples: list[Any]) -> Any:
    """Arrays of samples in the nesting of one sample."""
    first = samples[0]
    if isinstance(first, dict):
        return {key: _together([s[key] for s in samples]) for key in first}
    if isinstance(first, (list, tuple)):
        return tuple(_together([s[i] for s in samples]) for i in range(len(first)))
    return np.array([np.asarray(s) for s in samples])


def split_dataset(
    dataset: Any, left_size: Any = None, right_size: Any = None, shuffle: bool = False, seed: int | None = None,
    preferred_backend: Any = None,
) -> tuple[Samples, Samples]:  # fmt: skip
    """Two data sets of single samples: the first part and the last.

    dataset: an array, a list or tuple of arrays of one length, or a data set (whose elements are the samples). Sizes are
    numbers of samples, or fractions; one left out is the rest. shuffle: first, by Python's `random` with the seed, in
    Keras' order. The parts iterate over samples and can be batched: `left.batch(32)` is something to fit on.
    """
    samples = _samples(dataset)
    left, right = split_sizes(left_size, right_size, len(samples))
    if shuffle:
        random.seed(random.randint(0, 10**6) if seed is None else seed)
        random.shuffle(samples)
    return Samples(_together(samples[:left])), Samples(_together(samples[len(samples) - right :]))
