"""What the trainer asks of data and results: batches of arrays in memory or of a stream, epoch by epoch."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from berrante.data import ArrayData, PyDataset, Rounds, unpack, weigh_classes
from berrante.graph.tape import flatten, map_structure
from berrante.graph.tensor import Tensor
from berrante.graph.variable import Variable
from berrante.runtime import device_arrays
from berrante.runtime.device_arrays import for_device, public
from berrante.runtime.devices import current_device


def number(x: Any) -> Any:
    if isinstance(x, (float, int)):
        return x
    array = np.asarray(x)
    return float(array) if array.ndim == 0 else array.copy()


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
    """The batches' results one after the other, in the nesting of one of them."""
    leaves = iter([_joined(group) for group in zip(*(flatten(p) for p in parts), strict=True)])
    return map_structure(lambda _: next(leaves), parts[0])


def _joined(group: tuple[Any, ...]) -> Any:
    if all(isinstance(a, np.ndarray) for a in group):
        return np.concatenate(group)
    return public(device_arrays.concatenate([for_device(a, current_device()) for a in group]))


def validation_of(data: Any) -> Any:
    """validation_data as arrays in memory, or the stream that it is."""
    return data if is_stream(data) or isinstance(data, ArrayData) else ArrayData(*unpack(data))


class Batches:
    """The batches of one epoch after the other.

    Args:
        source: ArrayData, a PyDataset, or an iterable of batches.
        batch_size: of arrays; by default 32, or as many samples as give `steps` batches.
        steps: batches an epoch. Epochs then go on where the one before ended, and start over at the end of the data.
        shuffle: arrays by sample, a PyDataset by batch.
        rng: of PyDatasets' order.
        class_weight: turned into sample weights, for streams.
        order: gives the order of an epoch's samples in memory, from the epoch and their number.
    """

    def __init__(
        self, source: Any, batch_size: int | None = None, steps: int | None = None, shuffle: bool = False,
        rng: np.random.Generator | None = None, class_weight: Any = None,
        order: Callable[[int, int], np.ndarray] | None = None,
    ) -> None:  # fmt: skip
        self.source, self.steps, self.shuffle, self.rng = source, steps, shuffle, rng
        self.class_weight, self._order = class_weight, order
        self.in_memory = isinstance(source, ArrayData)
        self.checked = False
        self._at: int | None = None
        self._stream: Iterator[Any] | None = None
        self._rows: np.ndarray | None = None
        if self.in_memory:
            if source.size == 0:
                raise ValueError("x: expected at least one sample; received an empty array")
            size = batch_size or (-(-source.size // steps) if steps else 32)
            self.batch_size = min(size, source.size)
            self._length: int | None = -(-source.size // self.batch_size)
        else:
            self._length = _length(source)

    @property
    def arrays(self) -> ArrayData:
        data: ArrayData = self.source
        return data

    @property
    def count(self) -> int | None:
        """Batches an epoch; None if that is not known."""
        return self.steps if self.steps is not None else self._length

    def restart(self) -> None:
        """The next epoch starts at the data's beginning (an iterator goes on)."""
        self._at = self._rows = None
        if not hasattr(self.source, "__next__"):
            self._stream = None

    def rows(self, epoch: int) -> tuple[np.ndarray | None, int]:
        """The rows of an epoch in memory, in order (None: as they are), and how many there are."""
        n = self.arrays.size
        fresh = self._order(epoch, n) if self.shuffle and self._order is not None else None
        if self.steps is None or self._length is None:
            return fresh, n
        if self._at is None or self._at >= self._length:
            self._at, self._rows = 0, fresh
        first, last = self._at, min(self._at + self.steps, self._length)
        self._at = last
        if last - first < self.steps:
            _ran_out()
        rows = np.arange(n) if self._rows is None else self._rows
        part = np.ascontiguousarray(rows[first * self.batch_size : last * self.batch_size])
        return part, len(part)

    def batches(self, epoch: int) -> Iterator[ArrayData]:
        """The batches of an epoch, one by one."""
        if self.in_memory:
            rows, n = self.rows(epoch)
            for k in range(0, n, self.batch_size):
                stop = min(k + self.batch_size, n)
                if rows is None:
                    yield self.arrays if n <= self.batch_size else self.arrays.rows(k, stop)
                else:
                    yield take(self.arrays, rows[k:stop])
            return
        begin, end = getattr(self.source, "on_epoch_begin", None), getattr(self.source, "on_epoch_end", None)
        if begin is not None:
            begin()
        for batch in self._of_dataset() if hasattr(self.source, "__getitem__") else self._of_iterable():
            data = ArrayData(*unpack(batch))
            if self.class_weight is not None:
                data = ArrayData(
                    data.data[0], data.data[1], weigh_classes(data.data[1], data.data[2], self.class_weight)
                )
            yield data
        if end is not None and (self.steps is None or self._length is None):  # otherwise passes end, not epochs
            end()

    def _of_dataset(self) -> Iterator[Any]:
        length = self._length
        if length is None:  # infinite
            for k in range(self.steps) if self.steps is not None else _forever():
                yield self.source[k]
            return
        if self.steps is not None:
            if self._stream is None:
                self._stream = iter(Rounds(self.source, self.shuffle, self.rng or np.random.default_rng(0)))
            for _ in range(self.steps):
                yield next(self._stream)
            return
        places = np.arange(length)
        if self.shuffle and self.rng is not None:
            self.rng.shuffle(places)
        for i in places:
            yield self.source[int(i)]

    def _of_iterable(self) -> Iterator[Any]:
        """Batches of an iterator, which goes on from epoch to epoch, or of an iterable, which starts over when used up."""
        done = 0
        again = not hasattr(self.source, "__next__")
        if self._stream is None or (again and self.steps is None):
            self._stream = iter(self.source)
        while self.steps is None or done < self.steps:
            try:
                batch = next(self._stream)
            except StopIteration:
                self._stream = None if again else self._stream
                if (done == 0 and not again) or (self.steps is not None and done < self.steps):
                    _ran_out()
                if self.steps is None and self._length is None:
                    self._length = done or None
                return
            done += 1
            yield batch


def _length(source: Any) -> int | None:
    if hasattr(source, "num_batches"):
        number_of: int | None = source.num_batches
        return number_of
    try:
        return len(source) if hasattr(source, "__len__") else None
    except TypeError:  # a tf.data.Dataset or torch.DataLoader that does not know
        return None


def _forever() -> Iterator[int]:
    k = 0
    while True:
        yield k
        k += 1


def _ran_out() -> None:
    warnings.warn(
        "Your input ran out of data; interrupting training. Make sure that your dataset or generator can generate at "
        "least `steps_per_epoch * epochs` batches. You may need to use the `.repeat()` function when building your "
        "dataset.",
        stacklevel=4,
    )
