"""Saving and loading of models and weights, through one guarded loader.

Files are recognised by content when they are read: a `.keras` archive (a ZIP of configuration and weights) or HDF5
weights in Keras 3's layout. They are written to a temporary name in the same folder and renamed, so a failed save
leaves the old file as it was.
"""

from __future__ import annotations

import os
from typing import Any

from berrante.saving.registry import (
    CustomObjectScope,
    custom_object_scope,
    deserialize_keras_object,
    get_custom_objects,
    register_keras_serializable,
    serialize_keras_object,
)


def _path(filepath: Any, overwrite: bool) -> str:
    path = os.fspath(filepath)
    if not overwrite and os.path.exists(path):
        raise FileExistsError(f"{path!r} exists; pass overwrite=True to replace it")
    if os.path.isdir(path):
        raise IsADirectoryError(f"expected a file name; {path!r} is a folder")
    return path


def save_model(model: Any, filepath: Any, overwrite: bool = True, include_optimizer: bool = True, **_: Any) -> None:
    """Writes architecture, weights, compile arguments and optimizer state as a `.keras` archive, under any name."""
    from berrante.saving.keras_v3 import write_model

    write_model(model, _path(filepath, overwrite), include_optimizer)


def load_model(filepath: Any, custom_objects: Any = None, compile: bool = True, safe_mode: bool = True) -> Any:
    """The model of a `.keras` archive. Only built-in and registered classes are made; safe_mode cannot be turned off."""
    from berrante.saving.keras_v3 import read_model

    with custom_object_scope(custom_objects or {}):
        return read_model(os.fspath(filepath), compile)


def save_weights(model: Any, filepath: Any, overwrite: bool = True) -> None:
    """Writes all weights in the layout of Keras 3's `.weights.h5`, under any name."""
    from berrante.saving.weights import write_weights

    write_weights(model, _path(filepath, overwrite))


def load_weights(model: Any, filepath: Any, **_: Any) -> None:
    """Reads weights from a `.weights.h5` file or a `.keras` archive; nothing changes if the file does not fit."""
    from berrante.saving.weights import read_weights

    read_weights(model, os.fspath(filepath))
