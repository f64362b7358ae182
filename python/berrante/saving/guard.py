"""The guard of all loading: sizes, shapes, types and links are checked before anything is allocated or read."""

from __future__ import annotations

import io
import json
import os
import tempfile
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np

MAX_JSON_BYTES = 64 << 20
MAX_JSON_DEPTH = 128
MAX_MEMBERS = 10_000
MAX_RATIO = 200


class RefusedFile(ValueError):
    """The file is damaged, of another kind, or not safe to load."""


def write_atomically(path: str, write: Callable[[str], None]) -> None:
    """Calls `write` with a temporary name in the same folder, then renames it to `path`."""
    folder = os.path.dirname(os.path.abspath(path))
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=".saving-")
    os.close(handle)
    try:
        write(temporary)
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)
        os.replace(temporary, path)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise


def read_json(text: bytes, what: str) -> Any:
    """JSON of bounded size and depth."""
    if len(text) > MAX_JSON_BYTES:
        raise RefusedFile(f"{what}: {len(text)} bytes of JSON, more than {MAX_JSON_BYTES}")
    depth = deepest = 0
    quoted = escaped = False
    for byte in text:
        if quoted:
            if escaped:
                escaped = False
            elif byte == 0x5C:
                escaped = True
            elif byte == 0x22:
                quoted = False
        elif byte == 0x22:
            quoted = True
        elif byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"]}":
            depth -= 1
    if deepest > MAX_JSON_DEPTH:
        raise RefusedFile(f"{what}: JSON nested {deepest} deep, more than {MAX_JSON_DEPTH}")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RefusedFile(f"{what}: not valid JSON ({error})") from None


def open_archive(path: str) -> zipfile.ZipFile:
    """A ZIP whose members are few, named plainly, and do not expand beyond reason."""
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise RefusedFile(f"{path}: not a readable archive ({error})") from None
    infos = archive.infolist()
    size = os.path.getsize(path)
    if len(infos) > MAX_MEMBERS:
        raise RefusedFile(f"{path}: {len(infos)} members, more than {MAX_MEMBERS}")
    if sum(i.file_size for i in infos) > max(size * MAX_RATIO, 1 << 20):
        raise RefusedFile(f"{path}: its members expand to more than {MAX_RATIO} times the file")
    names = [i.filename for i in infos]
    if len(set(names)) != len(names) or any(n.startswith("/") or ".." in n.split("/") for n in names):
        raise RefusedFile(f"{path}: member names repeat or leave the archive")
    return archive


def open_hdf5(source: Any) -> Any:
    """An HDF5 file for reading; `source` is a path or bytes."""
    import h5py

    try:
        return h5py.File(io.BytesIO(source) if isinstance(source, bytes) else source, "r")
    except FileNotFoundError:
        raise
    except OSError as error:
        raise RefusedFile(f"not a readable HDF5 file ({error})") from None


def child(group: Any, name: str, kind: str) -> Any:
    """A group or dataset that lies in this very file: no soft or external links."""
    import h5py

    if name not in group:
        raise RefusedFile(f"{group.name}: {kind} {name!r} is missing")
    link = group.get(name, getlink=True)
    if not isinstance(link, h5py.HardLink):
        raise RefusedFile(f"{group.name}/{name}: refused, it is a link to elsewhere")
    item = group[name]
    if not isinstance(item, h5py.Group if kind == "group" else h5py.Dataset):
        raise RefusedFile(f"{group.name}/{name}: expected a {kind}")
    return item


def read_dataset(group: Any, name: str, shape: tuple[int, ...], what: str) -> np.ndarray:
    """A dataset of exactly the expected shape, of numbers, stored in this file."""
    dataset = child(group, name, "dataset")
    if tuple(dataset.shape) != tuple(shape):
        raise RefusedFile(f"{what}: expected shape {tuple(shape)}; the file has {tuple(dataset.shape)}")
    if dataset.dtype.kind not in "fiub":
        raise RefusedFile(f"{what}: expected numbers; the file has dtype {dataset.dtype}")
    if dataset.is_virtual or dataset.external:
        raise RefusedFile(f"{what}: refused, its data lie outside the file")
    try:
        array: np.ndarray = dataset[()]
    except (OSError, RuntimeError, ValueError) as error:
        raise RefusedFile(f"{what}: unreadable ({error})") from None
    return np.asarray(array)
