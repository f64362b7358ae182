"""tensorflow.data: a Dataset of arrays in memory or of a generator, enough to feed fit() and training loops."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from berrante.graph.op import as_tensor
from berrante.graph.tape import flatten, map_structure
from berrante.random import host_generator

AUTOTUNE = -1


class Dataset:
    """Elements one after the other; every method gives another Dataset."""

    def __init__(self, make: Callable[[], Iterator[Any]], size: int | None = None) -> None:
        self._make, self._size = make, size

    @classmethod
    def from_tensor_slices(cls, tensors: Any) -> Dataset:
        """Rows of arrays (in any nesting)."""
        arrays = map_structure(np.asarray, tensors)
        n = len(flatten(arrays)[0])

        def row(i: int) -> Any:
            return map_structure(lambda a: a[i], arrays)

        return cls(lambda: map(row, range(n)), n)

    @classmethod
    def from_generator(cls, generator: Callable[[], Iterator[Any]], *args: Any, **kwargs: Any) -> Dataset:
        """What a function's iterator gives."""
        return cls(lambda: iter(generator()))

    @classmethod
    def range(cls, *args: int) -> Dataset:
        """Whole numbers."""
        return cls(lambda: iter([np.int64(i) for i in range(*args)]), len(range(*args)))

    @classmethod
    def zip(cls, *datasets: Any) -> Dataset:
        """Elements of several side by side."""
        parts = datasets[0] if len(datasets) == 1 else datasets
        sizes = [d._size for d in parts if d._size is not None]
        return cls(lambda: zip(*(d._make() for d in parts)), min(sizes) if sizes else None)

    def __iter__(self) -> Iterator[Any]:
        return (map_structure(as_tensor, element) for element in self._make())

    def __len__(self) -> int:
        if self._size is None:
            raise TypeError("The dataset's length is unknown.")
        return self._size

    def cardinality(self) -> int:
        """How many elements there are."""
        return len(self)

    def as_numpy_iterator(self) -> Iterator[Any]:
        """Elements as arrays."""
        return (map_structure(np.asarray, element) for element in self._make())

    def shuffle(self, buffer_size: int, seed: Any = None, **kwargs: Any) -> Dataset:
        """Random order within a moving window of `buffer_size` elements."""

        def make() -> Iterator[Any]:
            rng = host_generator() if seed is None else np.random.default_rng(seed)
            window: list[Any] = []
            for element in self._make():
                window.append(element)
                if len(window) >= max(1, int(buffer_size)):
                    at = int(rng.integers(len(window)))
                    window[at], window[-1] = window[-1], window[at]
                    yield window.pop()
            for at in rng.permutation(len(window)):
                yield window[at]

        return Dataset(make, self._size)

    def batch(self, batch_size: int, drop_remainder: bool = False, **kwargs: Any) -> Dataset:
        """Groups of elements, stacked."""

        def make() -> Iterator[Any]:
            group: list[Any] = []
            for element in self._make():
                group.append(element)
                if len(group) == batch_size:
                    yield _stack(group)
                    group = []
            if group and not drop_remainder:
                yield _stack(group)

        n = self._size
        return Dataset(make, None if n is None else n // batch_size if drop_remainder else -(-n // batch_size))

    def map(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Dataset:
        """A function of every element; tuples are spread over its arguments."""

        def apply(element: Any) -> Any:
            element = map_structure(as_tensor, element)
            result = function(*element) if isinstance(element, tuple) else function(element)
            return map_structure(np.asarray, result)

        return Dataset(lambda: map(apply, self._make()), self._size)

    def repeat(self, count: int | None = None) -> Dataset:
        """Again and again, or `count` times."""

        def make() -> Iterator[Any]:
            done = 0
            while count is None or count < 0 or done < count:
                yield from self._make()
                done += 1

        known = self._size is not None and count is not None and count >= 0
        return Dataset(make, self._size * count if known else None)  # type: ignore[operator]

    def take(self, count: int) -> Dataset:
        """The first elements."""
        from itertools import islice

        n = count if self._size is None else min(count, self._size)
        return Dataset(lambda: islice(self._make(), count), n)

    def skip(self, count: int) -> Dataset:
        """All but the first elements."""
        from itertools import islice

        n = None if self._size is None else max(0, self._size - count)
        return Dataset(lambda: islice(self._make(), count, None), n)

    def prefetch(self, *args: Any, **kwargs: Any) -> Dataset:
        """The same."""
        return self

    cache = prefetch


def _stack(group: list[Any]) -> Any:
    leaves = iter([np.stack(values) for values in zip(*(flatten(g) for g in group), strict=True)])
    return map_structure(lambda _: next(leaves), group[0])


class experimental:  # noqa: N801
    """Older place of AUTOTUNE."""

    AUTOTUNE = AUTOTUNE
