"""Reads the arrays of .npz files, object arrays included, without pickle and without believing declared sizes.

A member's header is parsed by NumPy; its dtype and shape must account for exactly the bytes that the member has before
anything of that size is allocated. Object arrays go through datasets.object_stream.
"""

from __future__ import annotations

import math
import os
import zipfile
import zlib
from typing import IO, Any

import numpy as np

from berrante.datasets.object_stream import read_objects
from berrante.saving.guard import RefusedFile

_FREE_BYTES = 64 << 20  # what any file may expand to
_MAX_RATIO = 200


def _header(file: IO[bytes], what: str) -> tuple[tuple[int, ...], bool, np.dtype]:
    try:
        version = np.lib.format.read_magic(file)
        read: Any = np.lib.format.read_array_header_1_0 if version[0] == 1 else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(file)
    except (ValueError, TypeError, SyntaxError, EOFError, RecursionError, MemoryError) as error:
        raise RefusedFile(f"{what}: its header is not an array's ({error})") from error
    if any(type(n) is not int or n < 0 for n in shape) or len(shape) > 32:
        raise RefusedFile(f"{what}: the shape {shape}")
    return shape, fortran, dtype


def read_array(file: IO[bytes], size: int, what: str) -> np.ndarray:
    """The array of a .npy stream of `size` bytes."""
    shape, fortran, dtype = _header(file, what)
    left = size - file.tell()
    if dtype.hasobject:
        content = file.read(left + 1)
        array = read_objects(content, what) if len(content) <= left else None
        if not isinstance(array, np.ndarray) or array.shape != shape:
            raise RefusedFile(f"{what}: its content is not an array of shape {shape}")
        return array
    if dtype.kind not in "biuf":
        raise RefusedFile(f"{what}: expected numbers; received dtype {dtype}")
    if math.prod(shape) * dtype.itemsize != left:
        raise RefusedFile(f"{what}: an array of shape {shape} and dtype {dtype} does not fit its {left} bytes")
    buffer = bytearray(file.read(left))
    if len(buffer) != left:
        raise RefusedFile(f"{what}: {len(buffer)} of {left} bytes are there")
    return np.frombuffer(buffer, dtype).reshape(shape, order="F" if fortran else "C")


def read_npz(path: Any, names: tuple[str, ...]) -> list[np.ndarray]:
    """The named arrays of an .npz file."""
    allowed = max(_FREE_BYTES, _MAX_RATIO * os.path.getsize(path))
    try:
        with zipfile.ZipFile(path) as archive:
            members = {info.filename: info for info in archive.infolist()}
            arrays = []
            for name in names:
                info = members.get(f"{name}.npy")
                if info is None:
                    raise RefusedFile(f"{path}: expected the arrays {', '.join(names)}; it holds {', '.join(members)}")
                allowed -= info.file_size
                if allowed < 0:
                    raise RefusedFile(f"{path}: {name} makes the file expand beyond all reason")
                with archive.open(info) as file:
                    arrays.append(read_array(file, info.file_size, f"{path}: {name}"))
            return arrays
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise RefusedFile(
            f"{path}: a damaged or unknown .npz file ({error}); delete it to download it again"
        ) from error
