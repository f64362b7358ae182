"""Saving and loading of models and weights, through one guarded loader.

Files are recognised by content when they are read: a `.keras` archive (a ZIP of configuration and weights), HDF5 weights
in Keras 3's layout, or HDF5 models and weights of Keras 1, Keras 2, TF-Keras and Keras 3's `.h5`. The suffix decides only
what is written: `.keras` and `.weights.h5` are Keras 3's formats, any other name means HDF5 as Keras 2 wrote it. They are
written to a temporary name in the same folder and renamed, so a failed save leaves the old file as it was.
"""

from __future__ import annotations

import io
import os
from functools import partial
from typing import Any

from berrante.saving.registry import (
    CustomObjectScope,
    custom_object_scope,
    deserialize_keras_object,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
    serialize_keras_object,
)


class MissingFile(FileNotFoundError, ValueError):
    """There is no such file (a ValueError in Keras 3, an OSError in Keras 2)."""


# What TensorFlow's Keras 2 took as well.
_OLD_ARGUMENTS = {"signatures", "options", "save_traces"}


def _refuse_unknown(arguments: dict[str, Any]) -> None:
    unknown = sorted(set(arguments) - _OLD_ARGUMENTS)
    if unknown:
        raise ValueError(f"The following argument(s) are not supported: {unknown}")


def _is_file(x: Any) -> bool:
    """Whether it is an open file (of bytes, or an h5py file or group) and not a name."""
    return not isinstance(x, (str, bytes, os.PathLike)) and (
        hasattr(x, "attrs") or hasattr(x, "read") or hasattr(x, "write")
    )


def _existing(filepath: Any) -> str:
    path = _path(filepath, True)
    if not os.path.exists(path):
        known = path.endswith((".keras", ".h5", ".hdf5"))
        raise MissingFile(
            f"{'File not found' if known else 'File not found, or File format not supported'}: filepath={path!r}. Please "
            "ensure the file is an accessible `.keras` archive or HDF5 file."
        )
    return path


def _path(filepath: Any, overwrite: bool) -> str:
    path = os.fspath(filepath)
    if isinstance(path, bytes):
        path = os.fsdecode(path)
    if os.path.isdir(path):
        raise IsADirectoryError(f"expected a file name; {path!r} is a folder")
    if not overwrite and os.path.exists(path):
        raise FileExistsError(f"{path!r} exists; pass overwrite=True to replace it")
    return str(path)


def save_model(
    model: Any, filepath: Any, overwrite: bool = True, include_optimizer: bool = True, save_format: str | None = None,
    **kwargs: Any,
) -> None:  # fmt: skip
    """Writes architecture, weights, compile arguments and optimizer state.

    Args:
        filepath: `*.keras` for Keras 3's archive; any other name for legacy HDF5, as Keras 2 wrote it. Also a file open for
            writing bytes, which gets an archive, or an h5py file or group.
        overwrite: False refuses to replace a file.
        include_optimizer: whether to write the optimizer and its state.
        save_format: "keras" or "h5" decides instead of the name.
    """
    from berrante.saving import keras_v3, legacy_h5

    _refuse_unknown(kwargs)
    if save_format not in (None, "keras", "h5", "hdf5"):
        raise ValueError(
            f"The `save_format` argument is deprecated in Keras 3; expected keras or h5; received {save_format!r}"
        )
    if _is_file(filepath):
        (legacy_h5 if hasattr(filepath, "attrs") else keras_v3).write_model(model, filepath, include_optimizer)
        return
    path = _path(filepath, overwrite)
    archive = path.endswith(".keras") if save_format is None else save_format == "keras"
    (keras_v3 if archive else legacy_h5).write_model(model, path, include_optimizer)


def load_model(filepath: Any, custom_objects: Any = None, compile: bool = True, safe_mode: bool = True) -> Any:
    """The model of a file of any Keras, whatever its name.

    Only built-in classes, registered ones and those of custom_objects are made, and no code is ever read: safe_mode cannot
    be turned off. Files that are damaged or unsafe are a ValueError.
    """
    from berrante.saving import keras_v3, legacy_h5
    from berrante.saving.hdf5 import kind_of

    with custom_object_scope(custom_objects or {}):
        if _is_file(filepath):
            if hasattr(filepath, "attrs"):
                return legacy_h5.read_model(filepath, compile)
            return keras_v3.read_model(io.BytesIO(filepath.read()), compile, _model_class(), "file")
        path = _existing(filepath)
        if kind_of(path) == "hdf5":
            return legacy_h5.read_model(path, compile)
        return keras_v3.read_model(path, compile, _model_class())


def _model_class() -> type:
    from berrante.models import Model

    return Model


def save_weights(
    model: Any, filepath: Any, overwrite: bool = True, save_format: str | None = None, objects_to_skip: Any = None
) -> None:
    """Writes all weights: `*.weights.h5` in Keras 3's layout, any other name as Keras 2 wrote them.

    objects_to_skip: layers (and other objects with state) whose own weights are left out (`*.weights.h5` only).
    """
    from berrante.saving import legacy_h5, weights

    path = _path(filepath, overwrite)
    if not model.built:
        raise ValueError(
            f'[model "{model.name}"] has no weights yet. You are saving a model that has not yet been built. Build it or '
            "call it on data first"
        )
    if path.endswith(".weights.h5") or save_format == "keras":
        weights.write_weights(model, path, objects_to_skip or ())
    elif objects_to_skip is not None:
        raise ValueError(f"objects_to_skip only supports saving '.weights.h5' files; received {path!r}")
    else:
        legacy_h5.write_weights(model, path)


def load_weights(
    model: Any, filepath: Any, skip_mismatch: bool = False, by_name: bool = False, reshape: bool = False,
    objects_to_skip: Any = None, **kwargs: Any,
) -> None:  # fmt: skip
    """Reads weights from a file of any kind; nothing changes if it does not fit.

    Args:
        skip_mismatch: layers whose weights have other numbers or shapes are left alone, with a warning.
        by_name: layers are matched by name, and others left alone (legacy HDF5 only).
        reshape: weights of another shape but as many elements are taken, too (legacy HDF5 only).
        objects_to_skip: layers (and other objects with state) that keep their own weights (`*.weights.h5` only).

    The file is a path, or an open h5py file or group.
    """
    from berrante.saving import keras_v3, legacy_weights, weights
    from berrante.saving.hdf5 import kind_of, open_hdf5

    if kwargs:
        raise ValueError(f"Invalid keyword arguments: {', '.join(sorted(kwargs))} (load_weights does not know them)")
    if not model.built:
        raise ValueError(
            f'[model "{model.name}"] has no weights yet. '
            "You are loading weights into a model that has not yet been built. "
            "Build it or call it on data first"
        )

    def planned(file: Any, path: str) -> weights.Plan:
        if objects_to_skip is not None and (legacy_weights.is_legacy(file) or path.endswith(".keras")):
            raise ValueError(f"{path}: objects_to_skip only supports loading '.weights.h5' files.")
        if legacy_weights.is_legacy(file):
            pairs = legacy_weights.collect(model, file, by_name, skip_mismatch, reshape)
            return [partial(v.assign, value) for v, value in pairs]
        if by_name:
            raise ValueError(
                f"{path}: by_name only supports loading legacy '.h5' or '.hdf5' files; this one does not keep layers' names"
            )
        return weights.collect(model, file, skip_mismatch=skip_mismatch, skip=objects_to_skip or ())

    if _is_file(filepath):
        plan = planned(filepath, str(getattr(filepath, "filename", "file")))
    else:
        path = _existing(filepath)
        source: Any = path if kind_of(path) == "hdf5" else keras_v3.read_weights_member(path, path)
        with open_hdf5(source, path) as file:
            plan = planned(file, path)
    weights.carry_out(model, plan)
