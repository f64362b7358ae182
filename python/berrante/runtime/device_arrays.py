"""Arrays in device memory: what callers hand over (CuPy, PyTorch, JAX, anything with `__cuda_array_interface__` or
DLPack) without a copy, and what programs give back for them."""

from __future__ import annotations

from typing import Any

import numpy as np

from berrante.runtime.devices import Device, find_device

_KINDS = "fiub"


class DeviceArray:
    """A C-contiguous array in device memory, with `__cuda_array_interface__`. `owner` keeps the memory alive."""

    __array_ufunc__ = None

    def __init__(self, device: Device, ptr: int, shape: tuple[int, ...], dtype: Any, owner: Any) -> None:
        self.device, self.ptr, self.shape, self.dtype, self.owner = device, ptr, tuple(shape), np.dtype(dtype), owner

    @classmethod
    def empty(cls, device: Device, shape: tuple[int, ...], dtype: Any) -> DeviceArray:
        size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        memory = device.allocate(size)
        return cls(device, int(memory.ptr), shape, dtype, memory)

    @classmethod
    def copy_of(cls, device: Device, array: np.ndarray) -> DeviceArray:
        result = cls.empty(device, array.shape, array.dtype)
        with device.errors():
            device.module.copy_in(result.ptr, np.ascontiguousarray(array), device.index, device.stream())
        return result

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {
            "shape": self.shape, "typestr": self.dtype.str, "data": (self.ptr, False), "version": 3, "strides": None,
            "stream": self.device.stream() or 1,
        }  # fmt: skip

    def get(self) -> np.ndarray:
        """A copy on the host."""
        result = np.empty(self.shape, self.dtype)
        with self.device.errors():
            self.device.module.copy_out(result, self.ptr, self.device.index)
        return result

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self.get(), dtype)

    def __getitem__(self, rows: Any) -> Any:
        """Rows start:stop as a view; any other selection as a NumPy array."""
        if not isinstance(rows, slice) or rows.step not in (None, 1):
            return self.get()[rows]
        start, stop, _ = rows.indices(self.shape[0])
        row = self.nbytes // self.shape[0] if self.shape[0] else 0
        shape = (max(stop - start, 0), *self.shape[1:])
        return DeviceArray(self.device, self.ptr + start * row, shape, self.dtype, self.owner)

    def described(self) -> tuple[int, str, tuple[int, ...]]:
        """As the compiled module takes it."""
        return self.ptr, self.dtype.str, self.shape

    def __repr__(self) -> str:
        return f"<DeviceArray {self.device} shape={self.shape} dtype={self.dtype}>"


def is_on_device(x: Any) -> bool:
    """Whether x is an array in a device's memory."""
    if isinstance(x, (np.ndarray, list, tuple, dict, int, float)) or x is None:
        return False
    if isinstance(x, DeviceArray) or hasattr(x, "__cuda_array_interface__"):
        return True
    kind = getattr(x, "__dlpack_device__", None)
    return kind is not None and int(kind()[0]) == 2  # kDLCUDA


def to_host(x: Any) -> np.ndarray:
    """A NumPy array of any array: from a device's memory by a copy."""
    if isinstance(x, DeviceArray):
        return x.get()
    if not is_on_device(x):
        return np.asarray(x)
    if hasattr(x, "get"):  # CuPy
        return np.asarray(x.get())
    if hasattr(x, "detach"):  # PyTorch
        return np.asarray(x.detach().cpu().numpy())
    return np.asarray(x)


def for_device(x: Any, device: Device) -> Any:
    """x as a DeviceArray of the device, without a copy if it is there and C-contiguous; as a NumPy array for the CPU."""
    if device.is_cpu or not is_on_device(x):
        return to_host(x)
    if isinstance(x, DeviceArray):
        return x if x.device is device else DeviceArray.copy_of(device, x.get())
    if device.kind != "cuda":
        return to_host(x)
    if hasattr(x, "detach"):
        x = x.detach()
    cupy = device.cupy
    if cupy is not None:
        array = cupy.asarray(x) if hasattr(x, "__cuda_array_interface__") else cupy.from_dlpack(x)
        array = cupy.ascontiguousarray(array)
        where = find_device(f"cuda:{array.device.id}")
        ours = DeviceArray(where, int(array.data.ptr), array.shape, array.dtype, array)
        return ours if where is device else DeviceArray.copy_of(device, ours.get())
    face = x.__cuda_array_interface__
    if face.get("strides") is not None and tuple(face["strides"]) != _dense(face["shape"], face["typestr"]):
        raise ValueError("expected a C-contiguous array in device memory (CuPy would make it one; it is not installed)")
    if face.get("stream"):
        device.module.wait_for(device.stream(), int(face["stream"]), device.index)
    return DeviceArray(device, int(face["data"][0]), tuple(face["shape"]), face["typestr"], x)


def _dense(shape: tuple[int, ...], typestr: str) -> tuple[int, ...]:
    strides, step = [], np.dtype(typestr).itemsize
    for extent in reversed(shape):
        strides.append(step)
        step *= extent
    return tuple(reversed(strides))


def public(x: Any) -> Any:
    """What callers get for a DeviceArray: CuPy's array over the same memory where there is CuPy."""
    if isinstance(x, DeviceArray) and x.device.cupy is not None:
        with x.device.cupy.cuda.Device(x.device.index):
            return x.device.cupy.asarray(x)
    return x


def concatenate(parts: list[Any]) -> Any:
    """The parts one after the other along the first dimension, on the device if all of them are there."""
    if not all(isinstance(p, DeviceArray) for p in parts):
        return np.concatenate([to_host(p) for p in parts])
    device = parts[0].device
    shape = (sum(p.shape[0] for p in parts), *parts[0].shape[1:])
    result = DeviceArray.empty(device, shape, parts[0].dtype)
    at = result.ptr
    with device.errors():
        for part in parts:
            device.module.copy_within(at, part.ptr, part.nbytes, device.index, device.stream())
            at += part.nbytes
    return result
