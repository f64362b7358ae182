"""Data for fit, evaluate and predict: arrays in memory, generators, and PyDatasets, as batches of nested arrays.

Arrays of any stride, order, byte order and real dtype are taken; they are never written to. uint8 stays uint8 until a
batch is gathered.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from berrante.graph.tape import flatten, map_structure
from berrante.graph.tensor import Tensor, TensorSpec
from berrante.graph.variable import Variable
from berrante.runtime.device_arrays import DeviceArray, for_device, is_on_device, to_host
from berrante.runtime.devices import current_device


class PyDataset:
    """Batches by index: define __len__ and __getitem__, which gives (x, y) or (x, y, sample_weight).

    workers, use_multiprocessing and max_queue_size are accepted; batches are fetched by the caller's thread.
    """

    def __init__(self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10) -> None:
        self.workers, self.use_multiprocessing, self.max_queue_size = workers, use_multiprocessing, max_queue_size

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must define __getitem__")

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} must define __len__")

    def on_epoch_begin(self) -> None:
        """Called before each epoch."""

    def on_epoch_end(self) -> None:
        """Called after each epoch."""


Sequence = PyDataset


def as_array(x: Any, what: str = "data") -> np.ndarray:
    """A C-contiguous, native array of real numbers; lists and tensors are converted, arrays on the device stay there."""
    if isinstance(x, (Tensor, Variable)):
        x = np.asarray(x)
    if is_on_device(x):
        x = for_device(x, current_device())
        if isinstance(x, DeviceArray) and x.ndim and x.dtype.kind in "fiub" and x.dtype.itemsize != 2:
            return x  # type: ignore[return-value]
        x = to_host(x)
    if hasattr(x, "tocoo"):  # SciPy's sparse matrices
        x = x.toarray()
    if not isinstance(x, np.ndarray):
        frame = getattr(x, "values", x)  # pandas; a torch tensor has a method of this name
        x = np.asarray(x if callable(frame) else frame)
    array = x
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{what}: expected an array of real numbers; received dtype {array.dtype}")
    if array.ndim == 0:
        raise ValueError(f"{what}: expected an array with a batch dimension; received a scalar")
    if array.dtype.kind == "f" and array.dtype.itemsize not in (4, 8):
        array = array.astype(np.float32)
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))


def arrays_of(structure: Any, what: str) -> Any:
    """The nesting with its leaves as arrays. A list of numbers is one array; a list of arrays is several."""
    if structure is None:
        return None
    if isinstance(structure, dict):
        return {k: arrays_of(v, f"{what}[{k!r}]") for k, v in structure.items()}
    nested = isinstance(structure, (list, tuple)) and len(structure) > 0
    arrays = [s for s in structure if s is not None] if nested else []
    if arrays and all(hasattr(s, "shape") and len(s.shape) > 0 for s in arrays):
        return [arrays_of(s, f"{what}[{i}]") for i, s in enumerate(structure)]
    return as_array(structure, what)


def input_dtype(array: np.ndarray) -> str:
    """What a program takes an array as: bytes as float32, other integers as int32."""
    if array.dtype.kind == "f" or array.dtype == np.uint8:
        return "float32"
    return "bool" if array.dtype.kind == "b" else "int32"


def specs_of(arrays: list[np.ndarray], batch: int) -> list[TensorSpec]:
    return [TensorSpec((batch, *a.shape[1:]), input_dtype(a)) for a in arrays]


def check_lengths(named: dict[str, Any]) -> int:
    """The common number of samples."""
    lengths: dict[int, str] = {}
    for name, structure in named.items():
        for array in flatten(structure):
            if array is not None:
                lengths.setdefault(array.shape[0], name)
    if not lengths:
        raise ValueError("x: expected data; received none")
    if len(lengths) > 1:
        listed = ", ".join(f"{name} has {n}" for n, name in lengths.items())
        raise ValueError(f"expected the same number of samples everywhere; {listed}")
    return next(iter(lengths))


class Leaves(list):  # type: ignore[type-arg]
    """A data set's arrays. They stay as they are while this list lives, so that a device may keep a copy as long."""

    __slots__ = ("__weakref__",)
    __hash__ = object.__hash__  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return self is other


class ArrayData:
    """Samples in memory: `x`, `y` and `sample_weight`, each a nesting of arrays (or None)."""

    def __init__(self, x: Any, y: Any = None, sample_weight: Any = None) -> None:
        self.data = (arrays_of(x, "x"), arrays_of(y, "y"), arrays_of(sample_weight, "sample_weight"))
        self.size = check_lengths(dict(zip(("x", "y", "sample_weight"), self.data, strict=True)))
        self.leaves: list[np.ndarray] = Leaves(a for a in flatten(list(self.data)) if a is not None)

    def restore(self, leaves: Any) -> tuple[Any, Any, Any]:
        """The nesting with other leaves."""
        rest = iter(leaves)
        restored = [map_structure(lambda a: None if a is None else next(rest), part) for part in self.data]
        return restored[0], restored[1], restored[2]

    def inputs(self) -> ArrayData:
        """x alone."""
        return self if self.data[1] is None and self.data[2] is None else ArrayData(self.data[0])

    def rows(self, start: int, stop: int) -> ArrayData:
        part = [map_structure(lambda a: None if a is None else a[start:stop], d) for d in self.data]
        return ArrayData(*part)


def weigh_classes(y: Any, sample_weight: Any, class_weight: dict[int, float]) -> np.ndarray:
    """Sample weights from the classes of y (integers or one-hot rows); classes without a weight count 1."""
    if not isinstance(y, np.ndarray):
        raise ValueError("`class_weight` is only supported for Models with a single output.")
    labels = y.argmax(-1) if y.ndim > 1 and y.shape[-1] > 1 else y.reshape(y.shape[: max(y.ndim - 1, 1)])
    if labels.ndim != 1:
        raise ValueError(f"class_weight: expected one class a sample; received targets of shape {y.shape}")
    table = {int(k): float(v) for k, v in class_weight.items()}
    weights = np.array([table.get(int(c), 1.0) for c in np.round(labels)], np.float32)
    if sample_weight is None:
        return weights
    given = np.asarray(sample_weight, np.float32)
    return given * weights.reshape(-1, *(1,) * (given.ndim - 1))


def unpack(batch: Any) -> tuple[Any, Any, Any]:
    """(x, y, sample_weight) of what a generator gave."""
    if isinstance(batch, (list, tuple)):
        if len(batch) > 3 or not batch:
            raise ValueError(
                f"expected (x,), (x, y) or (x, y, sample_weight) from the data; received {len(batch)} items"
            )
        return (*batch, *(None,) * (3 - len(batch)))  # type: ignore[return-value]
    return batch, None, None


def pack(x: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """What a step gets, as Keras packs it: x alone (a list or tuple as (x,)), (x, y), or all three."""
    if sample_weight is not None:
        return x, y, sample_weight
    if y is not None:
        return x, y
    return (x,) if isinstance(x, (list, tuple)) else x


class Rounds:
    """The batches of a sequence pass after pass, for epochs of a set number of steps: an epoch goes on where the last ended.

    Each pass has its own random order if asked, and ends with the sequence's on_epoch_end.
    """

    def __init__(self, source: Any, shuffle: bool, rng: np.random.Generator) -> None:
        if not len(source):
            raise ValueError(f"x: expected batches; {type(source).__name__} has none")
        self.source = source
        self._batches = self._passes(shuffle, rng)

    def _passes(self, shuffle: bool, rng: np.random.Generator) -> Iterator[Any]:
        while True:
            order = np.arange(len(self.source))
            if shuffle:
                rng.shuffle(order)
            for i in order:
                batch = self.source[int(i)]
                if i == order[-1] and hasattr(self.source, "on_epoch_end"):
                    self.source.on_epoch_end()
                yield batch

    def on_epoch_begin(self) -> None:
        if hasattr(self.source, "on_epoch_begin"):
            self.source.on_epoch_begin()

    def __iter__(self) -> Iterator[Any]:
        return self._batches


def unpack_x_y_sample_weight(data: Any) -> tuple[Any, Any, Any]:
    """keras.utils' function of the same name."""
    return unpack(data)
