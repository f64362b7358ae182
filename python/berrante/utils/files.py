"""get_file: files from URLs in Keras' cache folder, checked by hash, extracted by utils.archives; after keras.utils.

The folder is Keras' own, so both share what either has downloaded. A download goes to a temporary name and becomes the
file only when it is complete and its hash is right.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import urllib.error
import urllib.parse
import urllib.request
import warnings
from typing import Any

from berrante.utils.progbar import Progbar

_TIMEOUT = 60  # seconds without a byte


def keras_home() -> str:
    """Keras' folder: $KERAS_HOME, or ~/.keras."""
    return os.environ.get("KERAS_HOME") or os.path.join(os.path.expanduser("~"), ".keras")


def hash_file(fpath: Any, algorithm: str = "sha256", chunk_size: int = 1 << 16) -> str:
    """The sha256 or md5 of a file, in hexadecimal."""
    hasher = hashlib.sha256() if algorithm == "sha256" else hashlib.md5(usedforsecurity=False)
    with open(fpath, "rb") as file:
        while chunk := file.read(chunk_size):
            hasher.update(chunk)
    return hasher.hexdigest()


def validate_file(fpath: Any, file_hash: str, algorithm: str = "auto", chunk_size: int = 1 << 16) -> bool:
    """Whether a file has that hash; "auto" takes 64 digits for sha256 and others for md5."""
    if algorithm not in ("auto", "md5", "sha256"):
        raise ValueError(f'hash_algorithm: expected "auto", "md5" or "sha256"; received {algorithm!r}')
    sha = algorithm == "sha256" or (algorithm == "auto" and len(file_hash) == 64)
    return hash_file(fpath, "sha256" if sha else "md5", chunk_size) == file_hash.lower()


def cache_folder(cache_dir: Any, cache_subdir: Any) -> str:
    """The folder for downloads, made if need be; in the temporary folder where the home cannot be written to."""
    base = os.path.expanduser(os.fspath(keras_home() if cache_dir is None else cache_dir))
    folder = os.path.join(base, os.fspath(cache_subdir))
    try:
        os.makedirs(folder, exist_ok=True)
        return folder
    except OSError:
        folder = os.path.join(tempfile.gettempdir(), ".keras", os.fspath(cache_subdir))
        os.makedirs(folder, exist_ok=True)
        return folder


def _file_name(fname: Any, origin: str) -> str:
    name = os.fspath(fname) if fname else os.path.basename(urllib.parse.urlsplit(origin).path)
    if not name:
        raise ValueError(f"Can't parse the file name from the origin provided: '{origin}'. Please specify `fname`.")
    if os.sep in name or "/" in name or name in (".", "..") or "\x00" in name:
        raise ValueError(
            "Paths are no longer accepted as the `fname` argument. To specify the file's parent directory, use the "
            f"`cache_dir` argument. Received: fname={name}"
        )
    return name


def _download(origin: str, target: str, file_hash: str | None, algorithm: str) -> None:
    print(f"Downloading data from {origin}")
    handle, temporary = tempfile.mkstemp(dir=os.path.dirname(target), prefix=".downloading-")
    try:
        try:
            with os.fdopen(handle, "wb") as out, urllib.request.urlopen(origin, timeout=_TIMEOUT) as source:
                size = int(source.headers.get("Content-Length") or 0) or None
                bar, seen = Progbar(size, unit_name="byte"), 0
                while chunk := source.read(1 << 16):
                    out.write(chunk)
                    seen += len(chunk)
                    bar.update(seen)
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            expected = f" ({'sha256' if len(file_hash) == 64 else 'md5'} {file_hash})" if file_hash else ""
            raise OSError(
                f"URL fetch failure on {origin}: {reason}. Without a network, put that file{expected} at {target}"
            ) from error
        if size is not None and seen != size:
            raise OSError(f"URL fetch failure on {origin}: {seen} of {size} bytes came")
        if file_hash is not None and not validate_file(temporary, file_hash, algorithm):
            raise ValueError(
                f"Incomplete or corrupted file detected. The {algorithm} file hash of what came from {origin} does not "
                f"match the provided value of {file_hash}."
            )
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)
        os.replace(temporary, target)
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)


def get_file(
    fname: Any = None, origin: str | None = None, untar: bool = False, md5_hash: str | None = None,
    file_hash: str | None = None, cache_subdir: Any = "datasets", hash_algorithm: str = "auto", extract: bool = False,
    archive_format: Any = "auto", cache_dir: Any = None, force_download: bool = False,
) -> str:  # fmt: skip
    """The path of a file from a URL, downloaded unless it is in the cache (cache_dir/cache_subdir/fname) already.

    cache_dir: $KERAS_HOME or ~/.keras if None. file_hash: sha256 or md5 (hash_algorithm "auto" tells by length); a cached
    file with another hash is downloaded again. extract (untar: the same for tar): the result is a folder, fname_extracted
    for "fname.suffix" and fname for a name without a suffix, whose archive is fname_archive. A download that fails raises
    OSError and says where to put the file by hand; a wrong hash raises ValueError; a suspicious archive is refused whole.
    """
    if origin is None:
        raise ValueError('Please specify the "origin" argument (URL of the file to download).')
    if md5_hash is not None and file_hash is None:
        file_hash, hash_algorithm = md5_hash, "md5"
    folder = cache_folder(cache_dir, cache_subdir)
    name = _file_name(fname, origin)
    target = extraction = os.path.join(folder, name)
    if extract or untar:
        if fname and "." in name:
            extraction = os.path.join(folder, name[: name.find(".")] + "_extracted")
        else:
            target = os.path.join(folder, f"{name}_archive")
    download = force_download or not os.path.exists(target)
    if not download and file_hash is not None and not validate_file(target, file_hash, hash_algorithm):
        print(
            f"A local file was found, but it seems to be incomplete or outdated because the {hash_algorithm} file hash "
            f"does not match the original value of {file_hash} so we will re-download the data."
        )
        download = True
    if download:
        _download(origin, target, file_hash, hash_algorithm)
    if not (extract or untar):
        return target
    from berrante.utils.archives import extract_archive

    if not extract_archive(target, extraction, "tar" if untar else archive_format):
        warnings.warn(f"Could not extract archive {target}.", stacklevel=2)
    return extraction
