"""Where data set files are: at the path that is given, or in Keras' cache folder, or else at their URL.

A file that is there is read whatever its hash: the readers here run nothing in it. What is downloaded must have Keras' hash.
"""

from __future__ import annotations

import os
from typing import Any

from berrante.utils.archives import extract_archive
from berrante.utils.files import cache_folder, get_file

BASE = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"


def data_file(path: Any, origin: str, file_hash: str | None = None, cache_subdir: str = "datasets") -> str:
    """A file's path. An existing path, or one with folders, is taken as it is; a bare name belongs in the cache."""
    path = os.path.expanduser(os.fspath(path))
    if os.path.isfile(path) and os.path.basename(path) != path:
        return path
    if os.path.basename(path) != path:
        raise FileNotFoundError(f"{path}: not there; give a bare file name to have it downloaded from {origin}")
    cached = os.path.join(cache_folder(None, cache_subdir), path)
    return cached if os.path.isfile(cached) else get_file(path, origin, file_hash=file_hash, cache_subdir=cache_subdir)


def data_folder(inner: str, archive: str, witness: str, origin: str, file_hash: str) -> str:
    """The folder `inner` of an archive, which holds the file `witness`.

    Looked for where Keras 3 extracts it (<inner>-target/<inner>), then where Keras 2 does (<inner>); then as an archive
    under any of the names that Keras 2, Keras 3 and the origin give it.
    """
    cache = cache_folder(None, "datasets")
    target = os.path.join(cache, f"{inner}-target")
    for folder in (os.path.join(target, inner), os.path.join(cache, inner)):
        if os.path.isfile(os.path.join(folder, witness)):
            return folder
    for name in (f"{inner}-target_archive", f"{inner}.tar.gz", archive):
        packed = os.path.join(cache, name)
        if os.path.isfile(packed) and extract_archive(packed, target, "tar"):
            break
    else:
        get_file(f"{inner}-target", origin, extract=True, file_hash=file_hash)
    folder = os.path.join(target, inner)
    if not os.path.isfile(os.path.join(folder, witness)):
        raise FileNotFoundError(f"{folder}: expected {witness} from the archive {archive}")
    return folder
