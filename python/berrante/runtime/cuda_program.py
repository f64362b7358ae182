"""Programs on a CUDA device: the compiled program, its memory, the variables' copies and the data sets that it reads."""

from __future__ import annotations

import os
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np

from berrante.runtime import precision
from berrante.runtime.device_arrays import DeviceArray
from berrante.runtime.devices import Device
from berrante.runtime.placement import Mirror, changes

# Data sets are kept in device memory while they take at most this part of what is free.
RESIDENT_PART = 0.5
_MAX_SOURCES = 32
_NAMES = ["float32", "int32", "uint8", "bool"]


class _Residents:
    """Data sets in a device's memory, as long as the list of their arrays lives."""

    def __init__(self) -> None:
        self._kept: weakref.WeakKeyDictionary[Any, list[DeviceArray]] = weakref.WeakKeyDictionary()

    def of(self, device: Device, sources: list[Any]) -> list[DeviceArray] | None:
        """The sources on the device; None if they do not fit."""
        keeps = type(sources) is not list  # a plain list says nothing of how long its arrays stay as they are
        known = self._kept.get(sources) if keeps else None
        if known is not None and known[0].device is device:
            return known
        needed = sum(a.nbytes for a in sources if isinstance(a, np.ndarray))
        if len(sources) > _MAX_SOURCES or needed > RESIDENT_PART * device.module.free_memory(device.index):
            return None
        arrays = [a if _usable(a, device) else DeviceArray.copy_of(device, _host(a)) for a in sources]
        if keeps:
            self._kept[sources] = arrays
        return arrays


def _usable(a: Any, device: Device) -> bool:
    return isinstance(a, DeviceArray) and a.device is device and a.ptr % 16 == 0


def _host(a: Any) -> np.ndarray:
    return a.get() if isinstance(a, DeviceArray) else a


_residents = _Residents()


class CudaProgram:
    """The counterpart of `_cpu.Program` on a device.

    Args:
        mirrors: the storages, in the order of their spaces.
    """

    def __init__(
        self, device: Device, instructions: list[Any], arena_size: int, mirrors: Sequence[Mirror], inputs: list[Any],
        outputs: list[Any],
    ) -> None:  # fmt: skip
        self.device = device
        sizes = [m.array.nbytes for m in mirrors]
        self._program = device.module.Program(
            instructions, arena_size, sizes, inputs, outputs, precision.code(precision.matmul_precision())
        )
        if os.environ.get("BERRANTE_CUDA_GRAPHS", "1") in ("", "0"):
            self._program.set_captured(False)
        self._mirrors = list(mirrors)
        written = {place[0] for _, _, outs, _ in instructions for place in outs if place[0] > 0}
        self._written = [self._mirrors[space - 1] for space in sorted(written)]
        self._outputs = [(tuple(shape), np.dtype(_NAMES[code])) for _, _, code, shape in outputs]
        self._slab: Any = None
        self._addresses: list[int] = []
        self._seen = -1
        self._order: tuple[Any, DeviceArray | None] = (None, None)

    @property
    def arena_size(self) -> int:
        return int(self._program.arena_size)

    @property
    def graphs(self) -> int:
        """How many CUDA graphs were captured."""
        return int(self._program.graphs)

    def set_captured(self, captured: bool) -> None:
        """Whether steps are captured as a CUDA graph and replayed, or launched one by one."""
        self._program.set_captured(captured)

    def _prepare(self) -> None:
        """Gets memory and variables to the device, where they are not there yet."""
        if self._seen == changes():
            return
        addresses = [m.on(self.device) for m in self._mirrors]
        if self._slab is None:
            self._slab = self.device.allocate(int(self._program.slab_size))
            self._addresses = []
        if addresses != self._addresses or not self._addresses:
            with self.device.errors():
                self._program.place(self.device.index, int(self._slab.ptr), addresses)
            self._addresses = addresses
        for mirror in self._written:
            mirror.written()
        self._seen = changes()

    def run(self, arrays: list[Any]) -> list[Any]:
        """NumPy arrays for NumPy arrays; DeviceArrays as soon as one input is a DeviceArray."""
        self._prepare()
        given = [a.described() if isinstance(a, DeviceArray) else a for a in arrays]
        stream = self.device.stream()
        with self.device.errors():
            if not any(isinstance(a, DeviceArray) for a in arrays):
                return list(self._program.run(given, stream))
            results = [DeviceArray.empty(self.device, shape, dtype) for shape, dtype in self._outputs]
            self._program.run(given, stream, [r.ptr for r in results])
            return results

    def run_batches(
        self, sources: list[Any], order: np.ndarray | None, first: int, count: int, budget: float | None = None
    ) -> int:
        """As `_cpu.Program.run_batches`. Data sets that fit are copied to the device once and gathered there."""
        self._prepare()
        stream = self.device.stream()
        arrays = _residents.of(self.device, sources)
        with self.device.errors():
            if arrays is None:
                return int(self._program.run_staged([_host(a) for a in sources], order, first, count, budget, stream))
            at, length = self._order_on_device(order, min(a.shape[0] for a in arrays))
            given = [a.described() for a in arrays]
            return int(self._program.run_resident(given, at, length, first, count, budget, stream))

    def _order_on_device(self, order: np.ndarray | None, rows: int) -> tuple[int, int]:
        if order is None:
            return 0, 0
        known, copy = self._order
        if known is not order or copy is None:
            if order.size and (order.min() < 0 or order.max() >= rows):
                bad = order.max() if order.max() >= rows else order.min()
                raise IndexError(f"row {bad} is not among the {rows} there are")
            copy = DeviceArray.copy_of(self.device, np.ascontiguousarray(order, np.int64))
            self._order = order, copy
        return copy.ptr, order.size

    def profile(self, repeats: int = 10) -> list[tuple[str, float]]:
        """Kernel names and seconds (the fastest of the repeats), one per step."""
        self._prepare()
        with self.device.errors():
            return list(self._program.profile(repeats, self.device.stream()))
