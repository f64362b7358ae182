"""Weights in the HDF5 layout of Keras 1 and 2, TF-Keras and Keras 3's `.h5`: a group per layer, with its weights' names.

Layers are matched by order (those without weights do not count) or by name. Keras 1's kernels are turned into today's
axes, and kernels of the Theano backend are flipped, before they are compared with the model's shapes.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from berrante.graph.variable import Variable
from berrante.layers.layer import Layer
from berrante.saving.guard import Mismatch, RefusedFile
from berrante.saving.hdf5 import (
    Shape,
    attribute,
    checked,
    child,
    has,
    has_attribute,
    names_attribute,
    text_attribute,
    values,
)

_TOP = "top_level_model_weights"
# Attributes longer than this are split.
_HEADER_LIMIT = 64_512
Pairs = list[tuple[Variable, np.ndarray]]


def legacy_order(layer: Layer) -> list[Variable]:
    """A layer's weights as these files order them: those that train, then the others."""
    return [*layer.trainable_weights, *layer.non_trainable_weights]


def member_layers(model: Any) -> list[Layer]:
    """The layers that files list."""
    return list(model.layers) if hasattr(model, "layers") else [model]


def is_legacy(file: Any) -> bool:
    """Whether an open file holds weights (or a whole model) in this layout."""
    return any(has_attribute(file, n) for n in ("layer_names", "layer_names0", "nb_layers")) or has(
        file, "model_weights"
    )


def weights_group(file: Any) -> Any:
    """The group that lists the layers: the root, or model_weights in a whole model."""
    listed = has_attribute(file, "layer_names") or has_attribute(file, "layer_names0")
    if not listed and has(file, "model_weights"):
        return child(file, "model_weights", "group")
    return file


# --- Keras 1 and Theano ---------------------------------------------------------------------------------------------


class Source:
    """Which Keras wrote a group, on which backend."""

    def __init__(self, group: Any) -> None:
        self.version = text_attribute(group, "keras_version") or "1"
        self.backend = text_attribute(group, "backend")

    @property
    def is_keras_1(self) -> bool:
        return self.version.split(".")[0] in ("0", "1")


def _owners(layer: Layer) -> dict[Variable, Layer]:
    """Each weight's own layer, inside nested models and wrappers too."""
    return {v: owner for owner in layer._flatten_layers() for v in owner._variables}


def _candidates(variable: Variable, owner: Layer | None, stored: Shape, source: Source) -> list[tuple[str, Any]]:
    """How the stored kernel may have to be turned: (what for, function on shapes and arrays alike via transpose)."""
    kind = type(owner).__name__ if owner is not None else ""
    is_kernel = variable.name == "kernel" and kind in ("Conv1D", "Conv2D", "Conv2DTranspose", "Conv3D")
    if not is_kernel:
        return []
    first = getattr(owner, "data_format", "") == "channels_first"
    turns: list[tuple[str, Any]] = []
    if source.is_keras_1 and len(stored) == 4:
        if kind == "Conv1D":
            turns = [("drop", (0, 1, 2, 3)), ("drop", (2, 3, 1, 0))]
        elif kind == "Conv2D" and first:
            turns = [("turn", (2, 3, 1, 0))]
        elif kind == "Conv2DTranspose":
            turns = [("turn", (2, 3, 0, 1) if first else (0, 1, 3, 2))]
    elif len(stored) == 4 and stored != variable.shape:
        turns = [("turn", (3, 2, 0, 1)), ("turn", (2, 3, 1, 0))]
    return turns


def _turned(shape_or_array: Any, turn: tuple[str, Any]) -> Any:
    kind, axes = turn
    if isinstance(shape_or_array, np.ndarray):
        array = np.transpose(shape_or_array, axes)
        return array[:, 0] if kind == "drop" else array
    shape = tuple(shape_or_array[a] for a in axes)
    if kind == "drop":
        return (shape[0], *shape[2:]) if shape[1] == 1 else None
    return shape


def _read(
    dataset: Any, variable: Variable, owner: Layer | None, source: Source, what: str, reshape: bool = False
) -> np.ndarray:
    """A stored weight in the variable's shape; its shape is compared before it is read."""
    stored = tuple(dataset.shape or ())
    if reshape and stored != variable.shape and int(np.prod(stored, dtype=np.int64)) == variable.size:
        return values(checked(dataset, what), what).reshape(variable.shape)
    turns = _candidates(variable, owner, stored, source)
    turn = next((t for t in turns if _turned(stored, t) == variable.shape), None)
    if turn is None and stored != variable.shape:
        raise Mismatch(f"{what}: the weight has shape {variable.shape}, but the saved weight has shape {stored}")
    array = values(checked(dataset, what), what)
    if turn is not None:
        array = _turned(array, turn)
    convolves = type(owner).__name__ in ("Conv1D", "Conv2D", "Conv2DTranspose", "Conv3D") and variable.name == "kernel"
    if source.backend == "theano" and convolves:
        array = array[tuple(slice(None, None, -1) for _ in range(array.ndim - 2))]
    return array


# --- reading --------------------------------------------------------------------------------------------------------


def _leaf(name: str) -> str:
    """`dense_1/kernel` of `model/dense_1/dense_1/kernel:0`."""
    return "/".join(name.split(":")[0].split("/")[-2:])


def _in_order(own: list[Variable], names: list[str], what: str) -> list[tuple[Variable, str]]:
    """Variables with the names of their datasets: by the ends of the names where these tell, by order otherwise."""
    if len(names) != len(own):
        raise Mismatch(f"{what}: expects {len(own)} weights, but the saved layer has {len(names)} elements")
    by_leaf = {_leaf(n): n for n in names}
    leaves = [_leaf(v.path) for v in own]
    if len(by_leaf) == len(names) and set(leaves) == set(by_leaf):
        return [(v, by_leaf[leaf]) for v, leaf in zip(own, leaves, strict=True)]
    return list(zip(own, names, strict=True))


def _layer_pairs(
    layer: Layer, own: list[Variable], group: Any, names: list[str], source: Source, what: str, reshape: bool = False
) -> Pairs:
    owners = _owners(layer)
    return [
        (v, _read(child(group, name, "dataset"), v, owners.get(v), source, f"{what}, {v.name}", reshape))
        for v, name in _in_order(own, names, what)
    ]


def _weight_names(group: Any, name: str) -> tuple[Any, list[str]]:
    layer_group = child(group, name, "group")
    names = names_attribute(layer_group, "weight_names")
    if names is None:
        raise RefusedFile(f"{layer_group.name}: weight_names is missing")
    return layer_group, names


def collect(model: Any, file: Any, by_name: bool = False, skip_mismatch: bool = False, reshape: bool = False) -> Pairs:
    """Every variable with its value, checked and read; nothing is changed."""
    group = weights_group(file)
    source = Source(group)
    if has_attribute(group, "nb_layers"):
        return _collect_numbered(model, group, source)
    stored = names_attribute(group, "layer_names")
    if stored is None:
        raise RefusedFile(f"{file.filename}: layer_names is missing")
    if len(set(stored)) != len(stored):
        raise RefusedFile(f"{file.filename}: layer_names repeat")
    layers = member_layers(model)
    pairs: Pairs = []
    if by_name:
        known = {layer.name: layer for layer in layers}
        chosen = [(name, known[name]) for name in stored if name in known]
    else:
        weighted = [layer for layer in layers if legacy_order(layer)]
        filled = [name for name in stored if _weight_names(group, name)[1]]
        if len(weighted) != len(filled):
            raise Mismatch(f"cannot load the file's {len(filled)} layers into a model of {len(weighted)} layers.")
        chosen = _matched(weighted, filled)
    for name, layer in chosen:
        layer_group, names = _weight_names(group, name)
        what = f'layer "{layer.name}"' if layer.name == name else f'layer "{layer.name}" ("{name}" in the file)'
        own = legacy_order(layer)
        try:
            pairs += _layer_pairs(layer, own, layer_group, names, source, what, reshape)
        except Mismatch as error:
            if not skip_mismatch:
                raise
            warnings.warn(f"Skipping loading of weights due to mismatch in {error}", stacklevel=4)
    if has(group, _TOP):
        top, names = _weight_names(group, _TOP)
        own = sorted(model._variables, key=lambda v: not v.trainable)
        if names or own:
            pairs += _layer_pairs(model, own, top, names, source, f'model "{model.name}"')
    return pairs


def _matched(layers: list[Layer], names: list[str]) -> list[tuple[str, Layer]]:
    """By order; where the file has the very names of the model in another order, by these."""
    known = {layer.name: layer for layer in layers}
    if set(known) == set(names):
        return [(name, known[name]) for name in names]
    return list(zip(names, layers, strict=True))


def _collect_numbered(model: Any, group: Any, source: Source) -> Pairs:
    """The oldest layout: layer_0/param_0, ... for all layers, those without weights too."""
    layers = member_layers(model)
    count = int(np.asarray(attribute(group, "nb_layers")))
    if count != len(layers):
        raise Mismatch(f"expected {len(layers)} layers; the file has {count}")
    pairs: Pairs = []
    for i, layer in enumerate(layers):
        own = legacy_order(layer)
        layer_group = child(group, f"layer_{i}", "group")
        n = int(np.asarray(attribute(layer_group, "nb_params")))
        if n != len(own):
            raise Mismatch(f'layer "{layer.name}": expected {len(own)} weights; the file has {n}')
        pairs += _layer_pairs(
            layer, own, layer_group, [f"param_{k}" for k in range(n)], source, f'layer "{layer.name}"'
        )
    return pairs


# --- writing --------------------------------------------------------------------------------------------------------


def write_names(group: Any, name: str, names: list[str]) -> None:
    """A list of names as an attribute, in parts where it is too long for one."""
    data = np.asarray([n.encode("utf-8") for n in names])
    if not names or data.nbytes <= _HEADER_LIMIT:
        group.attrs[name] = data
        return
    per_part = max(1, _HEADER_LIMIT // data.itemsize)
    for i, start in enumerate(range(0, len(names), per_part)):
        group.attrs[f"{name}{i}"] = data[start : start + per_part]


def write_values(group: Any, variables: list[Variable], names: list[str]) -> None:
    """Datasets under unique names, listed in weight_names."""
    unique: list[str] = []
    for name in names:
        n, candidate = 1, name
        while candidate in unique:
            candidate, n = f"{name}_{n}", n + 1
        unique.append(candidate)
    write_names(group, "weight_names", unique)
    for v, name in zip(variables, unique, strict=True):
        group.create_dataset(name, data=v.numpy())


def write_group(model: Any, group: Any, version: str) -> None:
    """All weights of a model."""
    layers = member_layers(model)
    write_names(group, "layer_names", [layer.name for layer in layers])
    group.attrs["backend"] = b"tensorflow"  # whose kernels are laid out as ours
    group.attrs["keras_version"] = version.encode()
    for layer in sorted(layers, key=lambda x: x.name):
        own = legacy_order(layer)
        write_values(group.create_group(layer.name), own, [f"{v.path}:0" for v in own])
    own = sorted(model._variables, key=lambda v: not v.trainable)
    write_values(group.create_group(_TOP), own, [v.path for v in own])
