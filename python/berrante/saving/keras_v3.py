"""The `.keras` archive: a ZIP, stored, of metadata.json, config.json and model.weights.h5."""

from __future__ import annotations

import datetime
import io
import json
import zipfile
from typing import Any

from berrante.saving.guard import RefusedFile, open_archive, open_hdf5, read_json, write_atomically
from berrante.saving.registry import deserialize_keras_object, serialize_keras_object
from berrante.saving.weights import assign_all, collect, write_group

# The version of Keras whose layout this is.
_LAYOUT_VERSION = "3.15.1"


def write_model(model: Any, path: str, include_optimizer: bool = True) -> None:
    """Writes a built model."""
    if not model.built:
        raise ValueError(
            f'[model "{model.name}"] is not built: call it on data, or give it an input shape, before saving'
        )
    import h5py

    config = serialize_keras_object(model)
    metadata = {
        "keras_version": _LAYOUT_VERSION,
        "date_saved": datetime.datetime.now().strftime("%Y-%m-%d@%H:%M:%S"),
    }
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        write_group(model, file, model._optimizers() if include_optimizer else None)

    def write(temporary: str) -> None:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr("metadata.json", json.dumps(metadata))
            archive.writestr("config.json", json.dumps(config))
            archive.writestr("model.weights.h5", memory.getvalue())

    write_atomically(path, write)


def read_model(path: str, compile: bool = True) -> Any:
    """The model of an archive, compiled as it was if asked."""
    from berrante.models import Model

    if not zipfile.is_zipfile(path):
        with open(path, "rb") as file:
            start = file.read(8)
        kind = "an HDF5 file, not a .keras archive" if start == b"\x89HDF\r\n\x1a\n" else "not a .keras archive"
        raise RefusedFile(f"{path}: {kind}")
    with open_archive(path) as archive:
        names = archive.namelist()
        if "config.json" not in names or "model.weights.h5" not in names:
            raise RefusedFile(f"{path}: expected config.json and model.weights.h5; it holds {', '.join(names[:5])}")
        config = read_json(archive.read("config.json"), "config.json")
        weights = archive.read("model.weights.h5")
    if not isinstance(config, dict):
        raise RefusedFile(f"{path}: config.json holds no model")
    compiled = config.pop("compile_config", None)
    model = deserialize_keras_object(config)
    if not isinstance(model, Model):
        raise RefusedFile(f"{path}: config.json describes a {type(model).__name__}, not a model")
    if compile and compiled:
        model.compile_from_config(compiled)
    with open_hdf5(weights) as file:
        values = collect(model, file, model._optimizers() if compile else None)
    assign_all(values)
    return model
