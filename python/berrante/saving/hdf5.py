"""Guarded reading of HDF5: no links, no data outside the file, and no allocation before sizes are checked.

Names from a file are walked part by part, each a hard link in this very file. A dataset is read only after its shape has
been compared with the one expected, its storage found inside the file, and its chunks and filters found ordinary.
"""

from __future__ import annotations

import io
import mmap
from collections.abc import Callable
from typing import Any

import numpy as np

from berrante.saving.guard import Mismatch, RefusedFile, regular_file

MAX_ATTRIBUTE_BYTES = 64 << 20
MAX_NODES = 200_000
# Declared bytes may exceed stored bytes by this factor (compression), above a floor.
MAX_EXPANSION = 64
EXPANSION_FLOOR = 4 << 20
_FILTERS = {1, 2, 3, 32000}  # deflate, shuffle, fletcher32, lzf
_COLLECTION = b"GCOL\x01\0\0\0"  # a global heap's, version 1
SIGNATURE = b"\x89HDF\r\n\x1a\n"
Shape = tuple[int, ...]


def open_hdf5(source: Any, what: str = "weights") -> Any:
    """An HDF5 file for reading; `source` is a path or bytes."""
    import h5py

    _check_heaps(source, what)
    try:
        return h5py.File(io.BytesIO(source) if isinstance(source, bytes) else source, "r", locking=False)
    except FileNotFoundError:
        raise
    except (OSError, RuntimeError, ValueError, OverflowError) as error:
        raise RefusedFile(f"{what}: not a readable HDF5 file ({error})") from None


def _check_heaps(source: Any, what: str) -> None:
    """Walks the collections that hold strings of variable length: in a broken one the library goes round for ever."""
    if isinstance(source, bytes):
        return _check_collections(source, what)
    with open(source, "rb") as file:
        if file.seek(0, io.SEEK_END) == 0:
            return None
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _check_collections(data, what)


def _check_collections(data: bytes | mmap.mmap, what: str) -> None:
    start = data.find(_COLLECTION)
    while start >= 0:
        end = start + int.from_bytes(data[start + 8 : start + 16], "little")
        at = start + 16
        sound = at <= end <= len(data)
        while sound and end - at >= 16:
            index, size = int.from_bytes(data[at : at + 2], "little"), int.from_bytes(data[at + 8 : at + 16], "little")
            at += 16 + (size + 7) // 8 * 8 if index else size
            sound = at <= end and (index > 0 or size > 0)
        if not sound:
            raise RefusedFile(f"{what}: not a readable HDF5 file (the collection of strings at byte {start} is broken)")
        start = data.find(_COLLECTION, start + 8)


def hdf5_bytes(write: Callable[[Any], None]) -> bytes:
    """An HDF5 file that `write` fills, in memory: the library itself does not survive a disk that is full."""
    import h5py

    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        write(file)
    return memory.getvalue()


# What h5py raises on damaged files.
_ERRORS = (OSError, RuntimeError, ValueError, KeyError, TypeError, OverflowError, AttributeError, UnicodeDecodeError)


def child(group: Any, name: str, kind: str) -> Any:
    """A group or dataset that lies in this very file; `name` may be a path."""
    import h5py

    parts = [p for p in name.split("/") if p]
    if not parts or "\0" in name or any(p in (".", "..") for p in parts):
        raise RefusedFile(f"{group.name}: {name!r} is no plain name")
    for i, part in enumerate(parts):
        wanted = kind if i == len(parts) - 1 else "group"
        try:
            if not has(group, part):
                raise RefusedFile(f"{group.name}: {wanted} {part!r} is missing")
            # Only the link itself is looked at: h5py's `in` and get() would follow it.
            link = group.id.links.get_info(part.encode()).type
            if link != h5py.h5l.TYPE_HARD:
                kind = {h5py.h5l.TYPE_SOFT: "SoftLink", h5py.h5l.TYPE_EXTERNAL: "ExternalLink"}.get(link, "link")
                raise RefusedFile(f"{group.name}/{part}: refused, it is a link to elsewhere ({kind})")
            item = group[part]
        except RefusedFile:
            raise
        except _ERRORS as error:
            raise RefusedFile(f"{group.name}/{part}: unreadable ({error})") from None
        if not isinstance(item, h5py.Group if wanted == "group" else h5py.Dataset):
            raise RefusedFile(f"{group.name}/{part}: expected a {wanted}")
        group = item
    return group


def has(group: Any, name: str) -> bool:
    """Whether the group has an entry of that name, of whatever kind; a link is not followed."""
    try:
        return bool(group.id.links.exists(name.encode("utf-8", "surrogateescape")))
    except _ERRORS as error:
        raise RefusedFile(f"{group.name}: unreadable ({error})") from None


def keys(group: Any) -> list[str]:
    """The names in a group."""
    try:
        if len(group) > MAX_NODES:
            raise RefusedFile(f"{group.name}: {len(group)} entries, more than {MAX_NODES}")
        return list(group)
    except RefusedFile:
        raise
    except _ERRORS as error:
        raise RefusedFile(f"{group.name}: unreadable ({error})") from None


# --- attributes -----------------------------------------------------------------------------------------------------


def has_attribute(item: Any, name: str) -> bool:
    """Whether there is an attribute of that name."""
    try:
        return name in item.attrs
    except _ERRORS as error:
        raise RefusedFile(f"{item.name}: attribute {name!r} is unreadable ({error})") from None


def attribute(item: Any, name: str) -> Any:
    """An attribute of bounded size; None if there is none."""
    try:
        if not has_attribute(item, name):
            return None
        handle = item.attrs.get_id(name)
        size = int(np.prod(handle.shape, dtype=np.float64)) * max(int(handle.dtype.itemsize), 1)
        if size > MAX_ATTRIBUTE_BYTES:
            raise RefusedFile(f"{item.name}: attribute {name!r} declares {size} bytes, more than {MAX_ATTRIBUTE_BYTES}")
        return item.attrs[name]
    except RefusedFile:
        raise
    except (*_ERRORS, MemoryError) as error:
        raise RefusedFile(f"{item.name}: attribute {name!r} is unreadable ({error})") from None


def text(value: Any, what: str) -> str:
    """A str or bytes attribute as str."""
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value.item()
    try:
        if isinstance(value, (bytes, np.bytes_)):
            return bytes(value).decode("utf-8")
    except UnicodeDecodeError as error:
        raise RefusedFile(f"{what}: not text ({error})") from None
    if not isinstance(value, str):
        raise RefusedFile(f"{what}: expected text; received {type(value).__name__}")
    return str(value)


def text_attribute(item: Any, name: str) -> str | None:
    value = attribute(item, name)
    return None if value is None else text(value, f"{item.name}: attribute {name!r}")


def names_attribute(item: Any, name: str) -> list[str] | None:
    """A list of names, which writers split as name0, name1, ... where it is long; None if there is none."""
    values = attribute(item, name)
    if values is None:
        parts: list[Any] = []
        while len(parts) < MAX_NODES:
            part = attribute(item, f"{name}{len(parts)}")
            if part is None:
                break
            parts.append(part)
        if not parts:
            return None
        values = [v for part in parts for v in np.atleast_1d(part)]
    values = np.atleast_1d(values) if not isinstance(values, list) else values
    if len(values) > MAX_NODES:
        raise RefusedFile(f"{item.name}: {len(values)} names, more than {MAX_NODES}")
    if isinstance(values, np.ndarray) and values.dtype.kind == "f" and values.size == 0:
        return []  # an empty list becomes an empty float array
    return [text(v, f"{item.name}: {name}") for v in values]


# --- datasets -------------------------------------------------------------------------------------------------------


def checked(dataset: Any, what: str) -> Any:
    """The dataset, whose data are numbers, lie in this file, and are as many as its size on disk can hold."""
    try:
        if dataset.shape is None:
            raise RefusedFile(f"{what}: refused, it holds nothing")
        if dataset.is_virtual or dataset.external:
            raise RefusedFile(f"{what}: refused, its data lie outside the file")
        kind, itemsize = dataset.dtype.kind, dataset.dtype.itemsize
        if kind not in "fiub" and not _is_bfloat16(dataset):
            raise RefusedFile(f"{what}: expected numbers; the file has dtype {dataset.dtype}")
        filters = dataset.id.get_create_plist()
        for i in range(filters.get_nfilters()):
            if filters.get_filter(i)[0] not in _FILTERS:
                raise RefusedFile(f"{what}: refused, it is packed with filter {filters.get_filter(i)[0]}")
        declared = float(np.prod(dataset.shape, dtype=np.float64)) * itemsize
        stored = float(dataset.id.get_storage_size())
        if declared > max(EXPANSION_FLOOR, stored * MAX_EXPANSION):
            raise RefusedFile(f"{what}: declares {declared:.0f} bytes and stores {stored:.0f}")
        if dataset.chunks is not None:
            chunk = float(np.prod(dataset.chunks, dtype=np.float64)) * itemsize
            if chunk > max(EXPANSION_FLOOR, 4 * declared):
                raise RefusedFile(f"{what}: chunks of {chunk:.0f} bytes for {declared:.0f} bytes of data")
    except RefusedFile:
        raise
    except _ERRORS as error:
        raise RefusedFile(f"{what}: unreadable ({error})") from None
    return dataset


def _is_bfloat16(dataset: Any) -> bool:
    return dataset.dtype.kind == "V" and dataset.dtype.itemsize == 2 and attribute(dataset, "dtype") == "bfloat16"


def values(dataset: Any, what: str) -> np.ndarray:
    """The elements of a checked dataset; bfloat16 as float32."""
    try:
        array = np.asarray(dataset[()])
    except (*_ERRORS, MemoryError) as error:
        raise RefusedFile(f"{what}: unreadable ({error})") from None
    if array.dtype.kind == "V":
        bits = array.view(np.uint16).astype(np.uint32) << 16
        array = bits.view(np.float32)
    return array


def read_dataset(group: Any, name: str, shape: Shape, what: str) -> np.ndarray:
    """A dataset of exactly the expected shape."""
    dataset = child(group, name, "dataset")
    if tuple(dataset.shape or ()) != tuple(shape) or dataset.shape is None:
        raise Mismatch(f"{what}: expected shape {tuple(shape)}; the file has {dataset.shape}; they must match")
    return values(checked(dataset, what), what)


def declared_elements(file: Any, what: str) -> int:
    """How many elements all datasets hold, each of them checked. Links are not followed."""
    import h5py

    total, seen = 0, 0

    def visit(name: str, item: Any) -> None:
        nonlocal total, seen
        seen += 1
        if seen > MAX_NODES:
            raise RefusedFile(f"{what}: more than {MAX_NODES} objects")
        if isinstance(item, h5py.Dataset):
            total += int(np.prod(checked(item, f"{what}: {name}").shape, dtype=np.int64))

    try:
        file.visititems(visit)
    except RefusedFile:
        raise
    except _ERRORS as error:
        raise RefusedFile(f"{what}: unreadable ({error})") from None
    return total


def kind_of(path: str) -> str:
    """`archive` or `hdf5`, by content; a RefusedFile for anything else."""
    regular_file(path)
    with open(path, "rb") as file:
        start = file.read(8)
        if start[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
            return "archive"
        if start == SIGNATURE:
            return "hdf5"
    raise RefusedFile(f"{path}: neither a .keras archive nor an HDF5 file")
