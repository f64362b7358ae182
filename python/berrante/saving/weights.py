"""Weights in Keras 3's HDF5 layout: `layers/<class>[_n]/vars/<i>`, nested models inside, `optimizer/vars/<i>`.

Reading is all or nothing: every dataset is found, checked and read before the first variable changes.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from typing import Any

import numpy as np

from berrante.graph.variable import Variable
from berrante.layers.layer import Layer, snake_case
from berrante.saving.guard import RefusedFile, child, open_archive, open_hdf5, read_dataset, write_atomically


def _class_names(layers: list[Layer]) -> Iterator[tuple[str, Layer]]:
    """Each layer with its folder: the class in snake case, numbered from the second of its kind on."""
    counts: dict[str, int] = {}
    for layer in layers:
        name = snake_case(type(layer).__name__)
        if type(layer).__name__ == "Model":
            name = "functional"
        n = counts.get(name, 0)
        counts[name] = n + 1
        yield (name if n == 0 else f"{name}_{n}"), layer


def _own_variables(layer: Layer) -> list[Variable]:
    return sorted(layer._variables, key=lambda v: not v.trainable)


def _children(layer: Layer) -> list[tuple[str, Layer]]:
    """Folders below a layer: `layers/...` of models, attribute names of other layers."""
    from berrante.models import Model

    if isinstance(layer, Model):
        members = layer.layers if layer._graph is not None or hasattr(layer, "_stack") else layer._layers
        if layer._graph is not None or hasattr(layer, "_stack"):
            return [(f"layers/{name}", sub) for name, sub in _class_names(list(members))]
    found: list[tuple[str, Layer]] = []
    for name, value in sorted(vars(layer).items()):
        if isinstance(value, Layer) and not name.startswith("_"):
            found.append((name, value))
        elif isinstance(value, (list, tuple)) and not name.startswith("_"):
            subs = [v for v in value if isinstance(v, Layer)]
            found.extend((f"{name}/{folder}", sub) for folder, sub in _class_names(subs))
    return found


def _generators(layer: Layer) -> list[tuple[str, Any]]:
    """The layer's random generators with their folders."""
    return [(f"seed_generator_{i}" if i else "seed_generator", g) for i, g in enumerate(layer._seed_generators)]


def _visit(layer: Layer, path: str = "") -> Iterator[tuple[str, Layer, list[Variable]]]:
    yield path, layer, _own_variables(layer)
    for folder, sub in _children(layer):
        yield from _visit(sub, f"{path}/{folder}" if path else folder)


def write_group(model: Any, file: Any, optimizers: dict[str, Any] | None = None) -> None:
    """All weights, the states of random generators, and those of optimizers (by name) into an open file."""
    seen: set[int] = set()
    for path, layer, variables in _visit(model):
        if id(layer) in seen:
            continue
        seen.add(id(layer))
        group = file.require_group(f"{path}/vars" if path else "vars")
        if path:
            group.attrs["name"] = layer.name
        for i, v in enumerate(variables):
            group.create_dataset(str(i), data=v.numpy())
        for name, generator in _generators(layer):
            state = file.require_group(f"{path}/{name}/vars" if path else f"{name}/vars")
            state.create_dataset("0", data=generator.state.numpy().view(np.uint32))
    for name, optimizer in (optimizers or {}).items():
        if optimizer.built:
            group = file.require_group(f"{name}/vars")
            for i, v in enumerate(optimizer.variables):
                group.create_dataset(str(i), data=v.numpy())


def write_weights(model: Any, path: str) -> None:
    """Writes the weights of a built model."""
    if not model.built:
        raise ValueError(f'[model "{model.name}"] has no weights yet: build it or call it on data before saving')
    import h5py

    def write(temporary: str) -> None:
        with h5py.File(temporary, "w") as file:
            write_group(model, file)

    write_atomically(path, write)


def collect(model: Any, file: Any, optimizers: dict[str, Any] | None = None) -> list[tuple[Variable, np.ndarray]]:
    """Every variable with its value from the file, checked; nothing is changed."""
    values: list[tuple[Variable, np.ndarray]] = []
    seen: set[int] = set()
    for path, layer, variables in _visit(model):
        if id(layer) in seen:
            continue
        seen.add(id(layer))
        if variables:
            group = file
            for part in [*path.split("/"), "vars"] if path else ["vars"]:
                group = child(group, part, "group")
            if len(group) != len(variables):
                raise RefusedFile(f'layer "{layer.name}": expected {len(variables)} weights; the file has {len(group)}')
            for i, v in enumerate(variables):
                values.append((v, read_dataset(group, str(i), v.shape, f'layer "{layer.name}", weight {v.name}')))
        values += _states(layer, path, file)
    for name, optimizer in (optimizers or {}).items():
        if name not in file or len(child(file, name, "group")) == 0:
            continue
        group = child(child(file, name, "group"), "vars", "group")
        own = optimizer.variables
        if len(group) == 0:
            continue
        if len(group) != len(own):
            raise RefusedFile(f"{name}: expected {len(own)} values; the file has {len(group)}")
        values += [(v, read_dataset(group, str(i), v.shape, f"{name}, {v.name}")) for i, v in enumerate(own)]
    return values


def _states(layer: Layer, path: str, file: Any) -> list[tuple[Variable, np.ndarray]]:
    """The states of the layer's random generators, where the file has them."""
    values = []
    for name, generator in _generators(layer):
        group = file
        for part in [*(path.split("/") if path else []), name, "vars"]:
            group = child(group, part, "group") if group is not None and part in group else None
        if group is not None and "0" in group:
            state = read_dataset(group, "0", (2,), f'layer "{layer.name}", {name}')
            values.append((generator.state, state.astype(np.uint32).view(np.int32)))
    return values


def assign_all(values: list[tuple[Variable, np.ndarray]]) -> None:
    for v, value in values:
        v.assign(value)


def read_weights(model: Any, path: str) -> None:
    """Reads the weights of a file into a built model."""
    if not model.built:
        raise ValueError(f'[model "{model.name}"] has no weights yet: build it or call it on data before loading')
    if zipfile.is_zipfile(path):
        with open_archive(path) as archive:
            if "model.weights.h5" not in archive.namelist():
                raise RefusedFile(f"{path}: holds no model.weights.h5")
            source: Any = archive.read("model.weights.h5")
    else:
        source = path
    with open_hdf5(source) as file:
        values = collect(model, file)
    assign_all(values)
