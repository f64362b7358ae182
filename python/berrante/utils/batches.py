"""Data sets that other helpers make: elements by index, which can be iterated, mapped, cut and batched.

An element is an array, a tuple or a dict. They have the few methods of tf.data that scripts use (map, take, skip, batch,
cache, prefetch, as_numpy_iterator), so that such scripts run; nothing is fetched before it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from berrante.data import PyDataset
from berrante.graph.tape import flatten, map_structure


class BatchArray(np.ndarray):
    """A NumPy array that also answers `numpy()`, as the tensors of Keras' data sets do."""

    def numpy(self) -> np.ndarray:
        """The plain array."""
        return self.view(np.ndarray)


def wrapped(element: Any) -> Any:
    """The element with its arrays as BatchArrays."""
    return map_structure(lambda a: a.view(BatchArray) if type(a) is np.ndarray else a, element)


class Dataset(PyDataset):
    """Elements by index; a subclass defines __len__ and fetch(index). Iterating ends an epoch when it has given all."""

    def fetch(self, index: int) -> Any:
        """The element at an index from 0."""
        raise NotImplementedError(f"{type(self).__name__} must define fetch")

    def __getitem__(self, index: int) -> Any:
        if not -len(self) <= index < len(self):
            raise IndexError(f"{type(self).__name__} has {len(self)} elements; asked for number {index}")
        return self.fetch(index % len(self))

    def __iter__(self) -> Iterator[Any]:
        for index in range(len(self)):
            yield self.fetch(index)
        self.on_epoch_end()

    def map(self, function: Callable[..., Any], num_parallel_calls: Any = None) -> Dataset:
        """The elements with a function applied; tuples are spread over its arguments."""
        return _Mapped(self, function)

    def take(self, count: int) -> Dataset:
        """The first elements (all with -1)."""
        return _Window(self, 0, len(self) if count < 0 else min(count, len(self)))

    def skip(self, count: int) -> Dataset:
        """All but the first elements."""
        return _Window(self, min(max(count, 0), len(self)), len(self))

    def batch(self, batch_size: int, drop_remainder: bool = False) -> Dataset:
        """The elements stacked, batch_size at a time."""
        return _Batched(self, batch_size, drop_remainder)

    def cache(self) -> Dataset:
        """The same elements, kept in memory once fetched."""
        return _Cached(self)

    def prefetch(self, buffer_size: Any = None) -> Dataset:
        """This data set: nothing needs to be said for its batches to come in time."""
        return self

    def as_numpy_iterator(self) -> Iterator[Any]:
        """Iterates over the elements as plain arrays."""
        for element in self:
            yield map_structure(lambda a: np.asarray(a) if hasattr(a, "__array__") else a, element)

    def cardinality(self) -> int:
        """The number of elements."""
        return len(self)


class _Derived(Dataset):
    def __init__(self, source: Dataset) -> None:
        super().__init__()
        self.source = source
        for name in ("class_names", "file_paths"):
            if hasattr(source, name):
                setattr(self, name, getattr(source, name))

    def __len__(self) -> int:
        return len(self.source)

    def on_epoch_end(self) -> None:
        self.source.on_epoch_end()


class _Mapped(_Derived):
    def __init__(self, source: Dataset, function: Callable[..., Any]) -> None:
        super().__init__(source)
        self.function = function

    def fetch(self, index: int) -> Any:
        element = self.source.fetch(index)
        return self.function(*element) if isinstance(element, tuple) else self.function(element)


class _Window(_Derived):
    def __init__(self, source: Dataset, start: int, stop: int) -> None:
        super().__init__(source)
        self.start, self.stop = start, stop

    def __len__(self) -> int:
        return self.stop - self.start

    def fetch(self, index: int) -> Any:
        return self.source.fetch(self.start + index)


class _Batched(_Derived):
    def __init__(self, source: Dataset, batch_size: int, drop_remainder: bool) -> None:
        super().__init__(source)
        if batch_size < 1:
            raise ValueError(f"batch_size: expected a positive integer; received {batch_size}")
        self.batch_size, self.drop_remainder = batch_size, drop_remainder

    def __len__(self) -> int:
        n = len(self.source)
        return n // self.batch_size if self.drop_remainder else -(-n // self.batch_size)

    def fetch(self, index: int) -> Any:
        start = index * self.batch_size
        elements = [self.source.fetch(i) for i in range(start, min(start + self.batch_size, len(self.source)))]
        columns = iter([np.stack([np.asarray(v) for v in column]) for column in zip(*(flatten(e) for e in elements))])
        return wrapped(map_structure(lambda _: next(columns), elements[0]))


class _Cached(_Derived):
    """The elements of the first pass, in its order."""

    def __init__(self, source: Dataset) -> None:
        super().__init__(source)
        self.known: dict[int, Any] = {}

    def fetch(self, index: int) -> Any:
        if index not in self.known:
            self.known[index] = self.source.fetch(index)
        return self.known[index]

    def on_epoch_end(self) -> None:
        """Nothing: another order would no longer be the cached one."""


class Samples(Dataset):
    """Single samples of nested arrays of one length."""

    def __init__(self, arrays: Any) -> None:
        super().__init__()
        self.arrays = map_structure(np.asarray, arrays)
        self.size = len(flatten(self.arrays)[0])

    def __len__(self) -> int:
        return self.size

    def fetch(self, index: int) -> Any:
        return wrapped(map_structure(lambda a: a[index], self.arrays))
