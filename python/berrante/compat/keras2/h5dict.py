"""keras.utils.io_utils.h5dict: a nested mapping kept in an HDF5 file, a group of one, or a dict."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np

_GROUP = "_is_group"


class H5Dict:
    """Strings and lists of bytes are attributes, arrays data sets, other keys groups, made when first asked for.

    Args:
        path: a file name, an h5py group or a dict.
        mode: how to open a file: r reads only.
    """

    def __init__(self, path: Any, mode: str = "a") -> None:
        self._file = None
        self.read_only = mode == "r"
        if isinstance(path, h5py.Group):
            self.data: Any = path
        elif isinstance(path, dict):
            self.data = path
            if not self.read_only:
                path[_GROUP] = True
        elif isinstance(path, str):
            self.data = self._file = h5py.File(path, mode)
        else:
            raise TypeError(f"h5dict: expected a file name, an h5py group or a dict; received {type(path).__name__}")

    def __setitem__(self, key: str, value: Any) -> None:
        if self.read_only:
            raise ValueError("Cannot set item in read-only mode.")
        if isinstance(self.data, dict):
            if key in self.data:
                raise KeyError(f"Cannot set attribute. Group with name {key!r} exists.")
            self.data[key] = np.asarray(value) if hasattr(value, "shape") else value
        elif hasattr(value, "shape"):
            self.data.create_dataset(key, data=np.asarray(value))
        elif isinstance(value, (list, tuple)) and all(isinstance(v, bytes) for v in value):
            self.data.attrs[key] = np.array(value, dtype=f"S{max([1, *map(len, value)])}")
        else:
            self.data.attrs[key] = value

    def __getitem__(self, key: str) -> Any:
        if isinstance(self.data, dict):
            if key not in self.data:
                self._may_make(key)
                self.data[key] = {_GROUP: True}
            value = self.data[key]
            return self._group(value) if isinstance(value, dict) and value.get(_GROUP) else value
        if key in self.data.attrs:
            value = self.data.attrs[key]
            return [bytes(v) for v in value] if isinstance(value, np.ndarray) and value.dtype.kind == "S" else value
        if key not in self.data:
            self._may_make(key)
            return H5Dict(self.data.create_group(key))
        found = self.data[key]
        return self._group(found) if isinstance(found, h5py.Group) else found[()]

    def _group(self, data: Any) -> H5Dict:
        group = H5Dict(data)
        group.read_only = self.read_only
        return group

    def _may_make(self, key: str) -> None:
        if self.read_only:
            raise ValueError(f"Cannot create group {key!r} in read-only mode.")

    def __contains__(self, key: str) -> bool:
        return key in self.data or (not isinstance(self.data, dict) and key in self.data.attrs)

    def __iter__(self) -> Iterator[str]:
        return (key for key in self.data if key != _GROUP)

    def __len__(self) -> int:
        return len(list(iter(self)))

    def get(self, key: str, default: Any = None) -> Any:
        """The value, or a default where there is none."""
        return self[key] if key in self else default

    def close(self) -> None:
        """Closes the file, if this opened one."""
        if self._file is not None:
            self._file.close()

    def __enter__(self) -> H5Dict:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


h5dict = H5Dict
