"""Extracting tar and zip archives that nobody vouches for: all of it or nothing, and nothing outside the folder.

The members are written, one after the other, into a fresh folder beside the target, which becomes the target only when
every member has been checked and read. A member is refused, and with it the archive, if it is anything but a plain file or
a folder (so no link can lead anywhere), if its name is absolute or climbs, or if the archive expands beyond all reason.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any

from berrante.saving.guard import RefusedFile

MAX_MEMBERS = 2_000_000
MAX_RATIO = 100  # bytes that come out of each byte of the archive
FREE_BYTES = 64 << 20  # so much may come out of any archive
_MAX_HEADER = 1 << 20
_OPEN = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\x00": lzma.open}


class _Budget:
    """Counts members and bytes against what the archive may expand to."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.bytes = max(FREE_BYTES, MAX_RATIO * os.path.getsize(path))
        self.members = MAX_MEMBERS

    def take(self, name: str, size: int) -> None:
        self.members -= 1
        self.bytes -= size
        if size < 0 or self.bytes < 0 or self.members < 0:
            raise RefusedFile(f"{self.path}: {name!r} makes the archive expand beyond all reason")


class _Reader:
    """A tar file's decompressed bytes, without reads as long as only a forged header asks for."""

    def __init__(self, file: IO[bytes], path: str) -> None:
        self.file, self.path = file, path

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _MAX_HEADER:
            raise RefusedFile(f"{self.path}: a header of {size} bytes")
        return self.file.read(size)

    def seek(self, position: int, whence: int = 0) -> int:
        return self.file.seek(position, whence)

    def tell(self) -> int:
        return self.file.tell()

    def close(self) -> None:
        self.file.close()


def _safe_name(path: str, name: str) -> PurePosixPath:
    """The member's relative path, or a refusal."""
    parts = PurePosixPath(name).parts
    odd = "\\" in name or ":" in name if os.name == "nt" else False
    if not name or name.startswith("/") or ".." in parts or "\x00" in name or odd:
        raise RefusedFile(f"{path}: the member {name!r} would be written outside the folder")
    return PurePosixPath(*parts)


def _tar_members(path: str, budget: _Budget) -> Iterator[tuple[str, IO[bytes] | None]]:
    with open(path, "rb") as file:
        start = file.read(6)
    opener: Any = next((f for magic, f in _OPEN.items() if start.startswith(magic)), open)
    with opener(path, "rb") as plain, tarfile.open(fileobj=_Reader(plain, path), mode="r:") as archive:  # type: ignore[call-overload]
        for member in archive:
            if not (member.isreg() or member.isdir()) or member.issparse():
                raise RefusedFile(f"{path}: the member {member.name!r} is neither a plain file nor a folder")
            budget.take(member.name, member.size)
            yield member.name, archive.extractfile(member) if member.isreg() else None


def _zip_members(path: str, budget: _Budget) -> Iterator[tuple[str, IO[bytes] | None]]:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            kind = stat.S_IFMT(member.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise RefusedFile(f"{path}: the member {member.filename!r} is neither a plain file nor a folder")
            if member.compress_type == zipfile.ZIP_STORED and member.file_size != member.compress_size:
                raise RefusedFile(f"{path}: the archive's member {member.filename!r} is stored, but of two sizes")
            budget.take(member.filename, member.file_size)
            if member.is_dir():
                yield member.orig_filename, None
            else:
                with archive.open(member) as file:
                    yield member.orig_filename, file  # with what follows a NUL


def _write(path: str, members: Iterator[tuple[str, IO[bytes] | None]], folder: str) -> None:
    for name, file in members:
        target = Path(folder, _safe_name(path, name))
        if file is None:
            target.mkdir(parents=True, exist_ok=True)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(target, "wb") as out:
            shutil.copyfileobj(file, out, 1 << 16)


def _settle(new: str, target: str) -> None:
    """Renames the folder to the target; into one that is there already its files move one by one."""
    if not os.path.lexists(target):
        os.replace(new, target)
        return
    root = os.path.realpath(target)
    for folder, _, names in os.walk(new):
        place = os.path.join(root, os.path.relpath(folder, new))
        if os.path.commonpath([os.path.realpath(place), root]) != root:
            raise RefusedFile(f"{target}: a link in the folder leads to {os.path.realpath(place)}")
        os.makedirs(place, exist_ok=True)
        for name in names:
            os.replace(os.path.join(folder, name), os.path.join(place, name))


def extract_archive(file_path: Any, path: Any = ".", archive_format: Any = "auto") -> bool:
    """Extracts a tar (plain, gzip, bzip2, xz) or zip archive into a folder; False if it is neither.

    archive_format: "auto", "tar", "zip", a list of these, or None (nothing is extracted). A damaged or suspicious archive
    raises RefusedFile and leaves the folder as it was.
    """
    source, target = os.fspath(file_path), os.fspath(path)
    formats = ["tar", "zip"] if archive_format == "auto" else archive_format or []
    formats = [formats] if isinstance(formats, str) else list(formats)
    if not set(formats) <= {"tar", "zip"}:
        raise ValueError(f'archive_format: expected "auto", "tar", "zip" or None; received {archive_format!r}')
    if not os.path.isfile(source):
        raise FileNotFoundError(f"{source}: no such archive")
    is_zip = zipfile.is_zipfile(source)
    if "zip" in formats and is_zip:
        members = _zip_members
    elif "tar" in formats and not is_zip and tarfile.is_tarfile(source):
        members = _tar_members
    else:
        return False
    os.makedirs(os.path.dirname(os.path.abspath(target)), exist_ok=True)
    new = tempfile.mkdtemp(dir=os.path.dirname(os.path.abspath(target)), prefix=".extracting-")
    try:
        try:
            _write(source, members(source, _Budget(source)), new)
        except (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError) as error:
            raise RefusedFile(f"{source}: a damaged or encrypted archive ({error})") from error
        except (NotADirectoryError, IsADirectoryError, FileExistsError, gzip.BadGzipFile, NotImplementedError) as error:
            raise RefusedFile(f"{source}: contradicts itself ({error})") from error
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(new, 0o777 & ~mask)
        _settle(new, target)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return True
