"""The `.keras` archive: a ZIP, stored, of metadata.json, config.json and model.weights.h5.

Loading builds the model from config.json under a budget: its variables may hold no more elements than the weights file
declares (each dataset of which is backed by bytes), so a small file cannot ask for much memory.
"""

from __future__ import annotations

import datetime
import io
import json
import zipfile
from typing import Any

from berrante.graph.variable import element_budget
from berrante.layers.layer import Layer
from berrante.saving.guard import (
    RefusedFile,
    check_config,
    open_archive,
    read_json,
    read_member,
    write_bytes,
)
from berrante.saving.hdf5 import declared_elements, hdf5_bytes, open_hdf5
from berrante.saving.registry import deserialize_keras_object, serialize_keras_object
from berrante.saving.weights import carry_out, collect, write_group

# The version of Keras whose layout this is.
LAYOUT_VERSION = "3.15.1"
_WEIGHTS = "model.weights.h5"
# Room for what files do not hold: random generators, metrics.
_SLACK = 1 << 22


def to_bytes(model: Any, include_optimizer: bool = True) -> bytes:
    """The archive of a model (or a layer), in memory."""
    config = serialize_keras_object(model)
    metadata = {
        "keras_version": LAYOUT_VERSION,
        "date_saved": datetime.datetime.now().strftime("%Y-%m-%d@%H:%M:%S"),
    }
    weights = hdf5_bytes(lambda file: write_group(model, file, include_optimizer))
    archived = io.BytesIO()
    with zipfile.ZipFile(archived, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("metadata.json", json.dumps(metadata))
        archive.writestr("config.json", json.dumps(config))
        archive.writestr(_WEIGHTS, weights)
    return archived.getvalue()


def write_model(model: Any, path: Any, include_optimizer: bool = True) -> None:
    """Writes a model (a path, or a file open for writing bytes); one that is not built has no weights yet."""
    data = to_bytes(model, include_optimizer)
    if hasattr(path, "write"):
        path.write(data)
    else:
        write_bytes(path, data)


def read_weights_member(source: Any, what: str) -> bytes:
    """The HDF5 file inside an archive."""
    with open_archive(source, what) as archive:
        return read_member(archive, _WEIGHTS, what)


def read_model(source: Any, compile: bool = True, kind: Any = Layer, what: str | None = None) -> Any:
    """The model of an archive (a path or BytesIO), compiled as it was if asked."""
    what = what or str(source)
    with open_archive(source, what) as archive:
        names = archive.namelist()
        if "config.json" not in names or _WEIGHTS not in names:
            raise RefusedFile(f"{what}: expected config.json and {_WEIGHTS}; it holds {', '.join(names[:5])}")
        config = read_json(read_member(archive, "config.json", what), "config.json")
        weights = read_member(archive, _WEIGHTS, what)
    if not isinstance(config, dict):
        raise RefusedFile(f"{what}: config.json holds no model")
    check_config(config, "config.json")
    compiled = config.pop("compile_config", None)
    with open_hdf5(weights, what) as file:
        budget = 5 * declared_elements(file, what) + _SLACK
        with element_budget(budget):
            model: Any = deserialize_keras_object(config)
            if not isinstance(model, kind):
                raise RefusedFile(f"{what}: config.json describes a {type(model).__name__}, not a {kind.__name__}")
            if compile and compiled:
                model.compile_from_config(compiled)
        plan = collect(model, file, include_optimizer=compile)
    carry_out(model, plan)
    return model
