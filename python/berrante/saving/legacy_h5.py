"""Whole models in legacy HDF5: configs as attributes, model_weights, optimizer_weights. Read of any Keras, written for all.

What is written is what Keras 3 writes as `.h5`, but losses and metrics by names that every Keras reads back, and inputs
by the argument (batch_input_shape) and layers by the forms that Keras 2 knows too.
"""

from __future__ import annotations

import json
import os
import warnings
from typing import Any

from berrante.graph.variable import element_budget
from berrante.saving import legacy_optimizer, legacy_weights
from berrante.saving.guard import Mismatch, RefusedFile, check_config, read_json, write_bytes
from berrante.saving.hdf5 import declared_elements, has, has_attribute, hdf5_bytes, open_hdf5, text_attribute
from berrante.saving.legacy_training import compile_arguments, training_config
from berrante.saving.legacy_write import model_config
from berrante.saving.registry import deserialize_keras_object

# The version of Keras whose layout this is.
LAYOUT_VERSION = "3.15.1"
_SLACK = 1 << 22


def is_whole_model(file: Any) -> bool:
    return has_attribute(file, "model_config")


def read_model(path: Any, compile: bool = True) -> Any:
    """The model of a file (a path, or an open h5py file), compiled with its optimizer's state if it was saved compiled."""
    if not isinstance(path, str):
        return _read(path, str(getattr(path, "filename", "file")), compile)
    with open_hdf5(path, path) as file:
        return _read(file, path, compile)


def _read(file: Any, path: str, compile: bool) -> Any:
    from berrante.models import Model

    text = text_attribute(file, "model_config")
    if text is None:
        raise RefusedFile(f"{path}: holds weights only; build the model and use load_weights")
    config = read_json(text, "model_config")
    if not isinstance(config, dict) or "class_name" not in config or "config" not in config:
        raise RefusedFile(f"{path}: model_config describes no model")
    check_config(config, "model_config")
    with element_budget(5 * declared_elements(file, path) + _SLACK):
        model = deserialize_keras_object(config)
        if not isinstance(model, Model):
            raise RefusedFile(f"{path}: model_config describes a {type(model).__name__}, not a model")
        training = text_attribute(file, "training_config") if compile else None
        if training is not None:
            settings = read_json(training, "training_config")
            check_config(settings, "training_config")
            model.compile(**compile_arguments(settings))
        elif compile:
            warnings.warn(f"{path}: the model was saved without training configuration; compile it", stacklevel=4)
    pairs = legacy_weights.collect(model, file)
    if training is not None and has(file, "optimizer_weights"):
        if model.built:
            model.optimizer.build(model._train_variables())
        pairs += _optimizer_pairs(model, file)
    for v, value in pairs:
        v.assign(value)
    return model


def _optimizer_pairs(model: Any, file: Any) -> Any:
    """The state of the optimizer; a warning where it is that of other variables."""
    stored = legacy_weights.names_attribute(legacy_weights.weights_group(file), "layer_names") or []
    known = {layer.name: layer for layer in legacy_weights.member_layers(model)}
    layers = [known[n] for n in stored] if set(stored) == set(known) else list(known.values())
    order = list(dict.fromkeys([*(v for layer in layers for v in layer.trainable_weights), *model._train_variables()]))
    try:
        return legacy_optimizer.collect(model.optimizer, file, order)
    except Mismatch as error:
        warnings.warn(f"the optimizer starts afresh: {error}", stacklevel=5)
        return []


def write_model(model: Any, path: Any, include_optimizer: bool = True) -> None:
    """Writes a built model to a path (whose folder is made), or into an open h5py file or group."""
    if not model.built:
        raise ValueError(
            f'[model "{model.name}"] is not built: call it on data, or give it an input shape, before saving'
        )
    config = json.dumps(model_config(model))
    training = json.dumps(training_config(model)) if include_optimizer and model.compiled else None

    def fill(file: Any) -> None:
        file.attrs["keras_version"] = LAYOUT_VERSION.encode()
        file.attrs["backend"] = b"tensorflow"
        file.attrs["model_config"] = config.encode()
        legacy_weights.write_group(model, file.create_group("model_weights"), LAYOUT_VERSION)
        if training is None:
            return
        file.attrs["training_config"] = training.encode()
        if model.optimizer.built:
            own = model.optimizer.variables
            names = [_optimizer_name(model.optimizer, v) for v in own]
            legacy_weights.write_values(file.create_group("optimizer_weights"), own, names)

    if not isinstance(path, str):
        fill(path)
        return
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    write_bytes(path, hdf5_bytes(fill))


def _optimizer_name(optimizer: Any, variable: Any) -> str:
    path = variable.path
    return path if "/" in path else f"{optimizer.name}/{path}"


def write_weights(model: Any, path: str) -> None:
    """Writes the weights of a built model."""
    write_bytes(path, hdf5_bytes(lambda file: legacy_weights.write_group(model, file, LAYOUT_VERSION)))
