"""The guard of all loading: text, archives and configs of bounded size; writing to a temporary name. HDF5 is in hdf5.py.

Limits are module constants: whoever trusts a larger file may raise them before loading it.
"""

from __future__ import annotations

import io
import json
import os
import re
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

MAX_JSON_BYTES = 32 << 20
MAX_JSON_DEPTH = 128
MAX_MEMBERS = 10_000
# What an archive may expand to: so many times its size, above a floor. Weights hardly compress.
MAX_RATIO = 32
RATIO_FLOOR = 32 << 20
# Objects (layers, initializers, losses ...) that one config may describe, layers with their calls, and the longest name.
MAX_OBJECTS = 100_000
MAX_LAYERS = 10_000
MAX_NAME = 1 << 16
# The largest count that a layer or metric may ask for, and the elements of all weights of a config without a file.
MAX_UNITS = 1 << 20
MAX_EXTENT = 1 << 24
MAX_PARAMETERS = 1 << 28

_UNITS = {
    "units", "filters", "output_dim", "nb_filter", "nb_feature", "depth_multiplier", "num_thresholds", "num_classes",
    "groups", "num_heads", "key_dim", "value_dim", "head_size", "num_bins", "nb_row", "nb_col", "filter_length",
}  # fmt: skip
# Counts of pieces, each of which is a tensor.
_PIECES = {"indices_or_sections", "num", "N"}
_TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)


class RefusedFile(ValueError):
    """The file is damaged, of another kind, or not safe to load."""


class Mismatch(RefusedFile):
    """The file is sound, but its weights are of other numbers or shapes than the model's."""


def write_atomically(path: str, write: Callable[[str], None]) -> None:
    """Calls `write` with a temporary name in the same folder, then renames it to `path`.

    Whatever fails (a full disk, Ctrl-C), the file that was there stays as it was. A link is written through.
    """
    path = os.path.realpath(path)
    handle, temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".saving-")
    os.close(handle)
    try:
        write(temporary)
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        if os.path.exists(path):
            mode = os.stat(path).st_mode & 0o7777
        else:
            mask = os.umask(0)
            os.umask(mask)
            mode = 0o666 & ~mask
        os.chmod(temporary, mode)
        os.replace(temporary, path)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise


def write_bytes(path: str, data: bytes) -> None:
    """write_atomically of data that are there."""

    def write(temporary: str) -> None:
        with open(temporary, "wb") as file:
            file.write(data)

    write_atomically(path, write)


def read_json(text: bytes | str, what: str) -> Any:
    """JSON of bounded size and depth; a RefusedFile otherwise."""
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else bytes(text)
    if len(data) > MAX_JSON_BYTES:
        raise RefusedFile(f"{what}: {len(data)} bytes of JSON, more than {MAX_JSON_BYTES}")
    depth = deepest = 0
    for token in _TOKENS.finditer(data):
        mark = data[token.start()]
        if mark in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif mark in b"]}":
            depth -= 1
    if deepest > MAX_JSON_DEPTH:
        raise RefusedFile(f"{what}: JSON nested {deepest} deep, more than {MAX_JSON_DEPTH}")
    try:
        return json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise RefusedFile(f"{what}: not valid JSON ({error})") from None


def check_config(config: Any, what: str = "config") -> None:
    """Refuses a config that nests too deep, describes too many objects, or asks for absurd extents."""
    objects = layers = 0
    stack: list[tuple[Any, str, int]] = [(config, "", 0)]
    while stack:
        x, key, depth = stack.pop()
        if depth > MAX_JSON_DEPTH:
            raise RefusedFile(f"{what}: nested deeper than {MAX_JSON_DEPTH} levels")
        if isinstance(x, dict):
            objects += "class_name" in x
            calls = x.get("inbound_nodes")
            layers += max(len(calls), 1) if isinstance(calls, list) else "inbound_nodes" in x
            if key == "layers":
                layers += 1
            for k, v in x.items():
                if k in ("class_name", "name", "registered_name") and isinstance(v, str) and len(v) > MAX_NAME:
                    raise RefusedFile(f"{what}: a {k} of {len(v)} characters, more than {MAX_NAME}")
                stack.append((v, k, depth + 1))
        elif isinstance(x, (list, tuple)):
            if key == "layers":
                layers += len(x)
            stack.extend((v, key if key != "layers" else "", depth + 1) for v in x)
        elif isinstance(x, (int, float)) and not isinstance(x, bool):
            if key in _UNITS and not abs(x) <= MAX_UNITS:
                raise RefusedFile(f"{what}: {key}={x!r}, more than {MAX_UNITS}")
            if key in _PIECES and not abs(x) <= MAX_LAYERS:
                raise RefusedFile(f"{what}: {key}={x!r}, more than {MAX_LAYERS}")
            if (
                isinstance(x, int)
                and abs(x) > MAX_EXTENT
                and key not in ("seed", "decay_steps", "value", "shared_object_id")
            ):
                raise RefusedFile(f"{what}: {key}={x!r}, more than {MAX_EXTENT}")
    if layers > MAX_LAYERS:
        raise RefusedFile(f"{what}: {layers} layers or calls, more than {MAX_LAYERS}")
    if objects > MAX_OBJECTS:
        raise RefusedFile(f"{what}: {objects} objects, more than {MAX_OBJECTS}")


def open_archive(source: Any, what: str) -> zipfile.ZipFile:
    """A ZIP whose members are few, named plainly, stored or deflated, and do not expand beyond reason."""
    try:
        archive = zipfile.ZipFile(source)
        infos = archive.infolist()
    except FileNotFoundError:
        raise
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise RefusedFile(f"{what}: not a readable archive ({error})") from None
    size = len(source.getvalue()) if isinstance(source, io.BytesIO) else os.path.getsize(source)
    try:
        _check_members(infos, size, what)
    except RefusedFile:
        archive.close()
        raise
    return archive


def _check_members(infos: list[zipfile.ZipInfo], size: int, what: str) -> None:
    if len(infos) > MAX_MEMBERS:
        raise RefusedFile(f"{what}: {len(infos)} members, more than {MAX_MEMBERS}")
    if sum(i.file_size for i in infos) > max(size * MAX_RATIO, RATIO_FLOOR):
        raise RefusedFile(f"{what}: its members expand to more than {MAX_RATIO} times the file")
    names = [i.filename for i in infos]
    if len(set(names)) != len(names) or any(_leaves(info.orig_filename) for info in infos):
        raise RefusedFile(f"{what}: member names repeat or leave the archive")
    for info in infos:
        if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise RefusedFile(f"{what}: member {info.filename!r} is encrypted or packed in an unusual way")
        if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise RefusedFile(f"{what}: refused, member {info.filename!r} is a link or a device")
        if info.compress_type == zipfile.ZIP_STORED and info.file_size != info.compress_size:
            raise RefusedFile(f"{what}: member {info.filename!r} is stored, but of two sizes")
    end = 0
    for info in sorted(infos, key=lambda i: i.header_offset):
        if info.header_offset < end:
            raise RefusedFile(f"{what}: member {info.filename!r} overlaps another")
        end = info.header_offset + _LOCAL_HEADER + info.compress_size
    if end > size:
        raise RefusedFile(f"{what}: its members do not fit into it")


_LOCAL_HEADER = 30  # bytes before a member's name and data, at least


def _leaves(name: str) -> bool:
    """Whether a member's name is no plain relative path on every system."""
    drive = len(name) > 1 and name[1] == ":"
    return name.startswith("/") or drive or "\\" in name or "\0" in name or ".." in name.split("/")


def regular_file(path: str) -> None:
    """Refuses what is no plain file: folders, and devices and pipes, which may never end."""
    if os.path.isdir(path):
        raise IsADirectoryError(f"expected a file; {path!r} is a folder")
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise RefusedFile(f"{path}: refused, it is no plain file")


def read_member(archive: zipfile.ZipFile, name: str, what: str) -> bytes:
    """The bytes of a member, with its checksum checked."""
    try:
        info = archive.getinfo(name)
        data = archive.read(info)
    except KeyError:
        raise RefusedFile(f"{what}: holds no {name}") from None
    except (zipfile.BadZipFile, OSError, RuntimeError, ValueError, EOFError, zlib.error, NotImplementedError) as error:
        raise RefusedFile(f"{what}: member {name} is damaged ({error})") from None
    return data
