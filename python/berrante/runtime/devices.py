"""Which device programs run on: the CPU, a CUDA device, or the emulated one that tests use.

The current device is chosen by `with device(...)`, else by `set_device`, else by the environment's BERRANTE_DEVICE, else
it is the first CUDA device where CuPy, a driver, a device and all kernels are there, and the CPU where they are not. It
counts when a program is made: what is made under one device runs there; variables move to where they are needed.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class DeviceError(RuntimeError):
    """A device failed. Variables keep the values that could still be read, or those that the host last saw."""


class DeviceMemoryError(DeviceError, MemoryError):
    """A device has not enough free memory. Nothing was changed."""


class Device:
    """A place where programs run.

    Attributes:
        kind: "cpu", "cuda" or "emulated".
        index: which of its kind.
    """

    def __init__(self, kind: str, index: int = 0) -> None:
        self.kind, self.index = kind, index
        self._module: Any = None
        self._cupy: Any = None

    def __repr__(self) -> str:
        return f"<Device {self}>"

    def __str__(self) -> str:
        return "cpu" if self.is_cpu else f"{self.kind}:{self.index}"

    @property
    def is_cpu(self) -> bool:
        return self.kind == "cpu"

    @property
    def module(self) -> Any:
        """The compiled module of a device that is not the CPU."""
        if self._module is None:
            self._module = _module_of(self.kind)
        return self._module

    @property
    def cupy(self) -> Any:
        """CuPy, if it is installed and this is a real device; else None."""
        if self._cupy is None:
            found = self.kind == "cuda" and importlib.util.find_spec("cupy") is not None
            self._cupy = importlib.import_module("cupy") if found else False
        return self._cupy or None

    def allocate(self, size: int) -> Any:
        """Device memory that lives as long as the object; `.ptr` is its address. From CuPy's pool where there is CuPy."""
        cupy = self.cupy
        with self.errors(f"{size / 2**20:.1f} MiB"):
            if cupy is None:
                return self.module.Memory(size, self.index)
            with cupy.cuda.Device(self.index):
                return cupy.cuda.alloc(max(size, 1))

    def stream(self) -> int:
        """The address of the caller's current CuPy stream; 0, the default stream, without CuPy."""
        if self.cupy is None:
            return 0
        with self.cupy.cuda.Device(self.index):
            return int(self.cupy.cuda.get_current_stream().ptr)

    @contextmanager
    def errors(self, wanted: str = "") -> Iterator[None]:
        """Turns the module's and CuPy's errors into ours, and saves what variables can be saved."""
        try:
            yield
        except MemoryError as e:  # CuPy's is one, too
            free = self.module.free_memory(self.index) / 2**20
            asked = f" for {wanted}" if wanted else ""
            raise DeviceMemoryError(
                f"{self}: out of memory{asked}, {free:.1f} MiB are free. Use smaller batches, or the CPU "
                "(berrante.set_device('cpu')); variables are as they were."
            ) from e
        except self.module.CudaError as e:
            from berrante.runtime.placement import rescue

            lost = rescue(self)
            state = f"{lost} variables' buffers have the values that the host last saw" if lost else "no value was lost"
            raise DeviceError(f"{self}: {e}; {state}") from e


CPU = Device("cpu")
_devices: dict[tuple[str, int], Device] = {("cpu", 0): CPU}


def _module_of(kind: str) -> Any:
    name = "berrante._cuda" if kind == "cuda" else "berrante._cuda_emulated"
    if importlib.util.find_spec(name) is None:
        raise DeviceError(f"device {kind!r}: berrante was built without it (see README, GPU)")
    module = importlib.import_module(name)
    if kind == "emulated" and os.environ.get("BERRANTE_EMULATOR_SUBSTITUTES", "0") not in ("", "0"):
        module.substitute(importlib.import_module("berrante._cpu").run_kernel)  # tests of the runtime alone
    return module


def find_device(name: str | Device) -> Device:
    """The device of a name: "cpu", "cuda", "cuda:1", "gpu:0", "/GPU:0", "emulated"; RuntimeError if it is not there.

    With BERRANTE_CUDA_EMULATED=1 in the environment, "cuda" is the emulated device.
    """
    if isinstance(name, Device):
        return name
    kind, _, number = str(name).lower().rpartition("/")[2].removeprefix("device:").partition(":")
    kind = {"gpu": "cuda"}.get(kind, kind)
    if kind not in ("cpu", "cuda", "emulated") or (number and not number.isdigit()):
        raise ValueError(f'device: expected "cpu", "cuda" or "cuda:N"; received {name!r}')
    if kind == "cpu":
        return CPU
    if kind == "cuda" and os.environ.get("BERRANTE_CUDA_EMULATED", "0") not in ("", "0"):
        kind = "emulated"
    index = int(number or 0)
    known = _devices.get((kind, index))
    if known is None:
        there = _module_of(kind).devices()
        if not there:
            raise DeviceError(f"device {name!r}: expected a CUDA device and its driver; found none")
        if index >= len(there):
            raise DeviceError(f"device {name!r}: expected a number below {len(there)}, the devices there are")
        known = _devices[kind, index] = Device(kind, index)
    return known


def _default() -> Device:
    chosen = os.environ.get("BERRANTE_DEVICE", "")
    if chosen:
        return find_device(chosen)
    there = all(importlib.util.find_spec(name) is not None for name in ("cupy", "berrante._cuda"))
    if there and not missing_kernels("berrante._cuda") and importlib.import_module("berrante._cuda").devices():
        return find_device("cuda")
    return CPU


def missing_kernels(module: str = "berrante._cuda_emulated") -> set[str]:
    """The kernels without a CUDA form, but for those of layouts that only the CPU has."""
    from berrante.runtime.kernels import SCHEMA

    own = {name for name in SCHEMA if "lanes" in name or "winograd" in name}
    return set(SCHEMA) - own - set(importlib.import_module(module).kernels())


class _Choice(threading.local):
    """The devices of the `with` blocks that this thread is in."""

    def __init__(self) -> None:
        self.stack: list[Device] = []


_choice = _Choice()
_chosen: list[Device] = []  # the process's own, once known


def current_device() -> Device:
    """Where programs that are made now will run."""
    if _choice.stack:
        return _choice.stack[-1]
    if not _chosen:
        _chosen.append(_default())
    return _chosen[0]


def set_device(name: str | Device) -> None:
    """Makes a device the process's own: "cpu", "cuda", "cuda:1". RuntimeError if it is not there."""
    _chosen[:] = [find_device(name)]


@contextmanager
def device(name: str | Device) -> Iterator[Device]:
    """Inside, this thread's programs are made for a device: `with berrante.device("cuda:0"):`."""
    _choice.stack.append(find_device(name))
    try:
        yield _choice.stack[-1]
    finally:
        _choice.stack.pop()
