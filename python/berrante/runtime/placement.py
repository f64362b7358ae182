"""Host arrays with a copy in device memory: which of the two is newer, and copies when the other is asked for.

A buffer of variables is a `Mirror`. A program asks for it on its device (`on`) and says that it writes there (`written`);
whoever reads or writes on the host says so first (`pull`) or afterwards (`touched`). Nothing is copied that is not stale,
so that weights stay on the device from step to step and come back when someone looks.
"""

from __future__ import annotations

import threading
import weakref
from typing import Any

import numpy as np

from berrante.runtime.devices import Device

_HOST, _BOTH, _DEVICE = range(3)  # where the newest values are

_lock = threading.RLock()
_on_devices: weakref.WeakSet[Mirror] = weakref.WeakSet()
_changes = [0]


def changes() -> int:
    """A number that grows when any mirror changes its place: a program that saw it last time has nothing to do."""
    return _changes[0]


class Mirror:
    """A C-contiguous host array and at most one copy of it in device memory.

    Attributes:
        array: the host's side, as it was last pulled. Its identity names the buffer in plans.
    """

    __slots__ = ("__weakref__", "_device", "_memory", "_state", "array")

    def __init__(self, array: np.ndarray) -> None:
        self.array = array
        self._device: Device | None = None
        self._memory: Any = None
        self._state = _HOST

    def on(self, device: Device) -> int:
        """The address of the newest values in the device's memory."""
        with _lock:
            if self._memory is not None and self._device is not device:
                self.pull()
                self._memory = None
            if self._memory is None:
                self._memory = device.allocate(self.array.nbytes)
                self._device, self._state = device, _HOST
                _on_devices.add(self)
            if self._state == _HOST:
                with device.errors():
                    device.module.copy_in(self._memory.ptr, self.array, device.index, device.stream())
                self._state = _BOTH
                _changes[0] += 1
            return int(self._memory.ptr)

    def written(self) -> None:
        """The device's side is about to become the newer one."""
        self._state = _DEVICE

    def pull(self) -> None:
        """Brings the host's side up to date."""
        if self._state != _DEVICE:
            return
        with _lock:
            if self._state == _DEVICE and self._device is not None:
                with self._device.errors():
                    self._device.module.copy_out(self.array, self._memory.ptr, self._device.index)
                self._state = _BOTH
                _changes[0] += 1

    def touched(self) -> None:
        """The host's side has become the newer one."""
        if self._memory is not None:
            with _lock:
                self._state = _HOST
                _changes[0] += 1


def rescue(device: Device) -> int:
    """After a device's failure: saves what can still be read and lets go of its memory. Gives the number of buffers lost."""
    lost = 0
    with _lock:
        for mirror in list(_on_devices):
            if mirror._device is not device:
                continue
            if mirror._state == _DEVICE:
                try:
                    device.module.copy_out(mirror.array, mirror._memory.ptr, device.index)
                except device.module.CudaError:
                    lost += 1
            mirror._memory, mirror._device, mirror._state = None, None, _HOST
            _on_devices.discard(mirror)
        _changes[0] += 1
    return lost
