"""Weights in Keras 3's HDF5 layout: a folder per object that holds state, named by the attribute through which it is found.

`layers/<class>[_n]/vars/<i>` for the layers of sequential and functional models, `<attribute>/vars/<i>` for other
attributes, `<attribute>/<class>[_n]/...` and `.../container/...` for lists and dicts, and `optimizer/vars/<i>`. The counts
are per class and in order; names of layers do not matter. States of random generators are kept beside them.
Reading is all or nothing: every dataset is found, checked and read before the first variable changes.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from berrante.graph.variable import Variable
from berrante.layers.layer import Layer, snake_case
from berrante.optimizers.optimizer import Optimizer
from berrante.random import SeedGenerator
from berrante.saving.guard import Mismatch, RefusedFile, write_bytes
from berrante.saving.hdf5 import checked, child, has, hdf5_bytes, keys, read_dataset, values

# What loading will do once everything has been read: assignments, then hooks of the user's own classes.
Plan = list[Callable[[], Any]]
_SAVEABLE = (Layer, SeedGenerator, Optimizer)
_CONTAINER = (list, tuple, dict)


@functools.cache
def _own_attributes() -> frozenset[str]:
    """Attributes of the machinery of layers and models, which are not looked into."""
    from berrante.models import Model

    bare = Model.__new__(Model)
    bare._setup()
    return frozenset(vars(bare)) | {"_stack", "_build_shapes", "activity_regularizer", "_initial", "layers"}


def _children(obj: Any) -> Iterator[tuple[str, Any]]:
    """The attributes that may hold state: layers first for sequential and functional models, private ones last."""
    from berrante.models import Model

    if isinstance(obj, (SeedGenerator, Optimizer)):
        return
    found: dict[str, Any] = {k: v for k, v in vars(obj).items() if k not in _own_attributes()}
    if isinstance(obj, Model):
        found.update(obj._optimizers())
        if obj._graph is not None or hasattr(obj, "_stack"):
            yield "layers", obj.layers
        else:
            found["layers"] = obj.layers
    for name in sorted(found, key=lambda n: f"~{n}" if n.startswith("_") else n):
        if isinstance(found[name], (*_SAVEABLE, *_CONTAINER)):
            yield name, found[name]


def _folder(obj: Any, used: dict[str, int]) -> str:
    name = "functional" if type(obj).__name__ == "Model" else snake_case(type(obj).__name__)
    n = used.get(name, -1) + 1
    used[name] = n
    return f"{name}_{n}" if n else name


def saveables(root: Any) -> Iterator[tuple[str, Any]]:
    """All objects with state, each once, with their folders."""
    seen: dict[int, Any] = {}  # keeps what it has seen alive: an id belongs to one object only while that lives

    def visit(obj: Any, path: str) -> Iterator[tuple[str, Any]]:
        if id(obj) in seen:
            return
        seen[id(obj)] = obj
        yield path, obj
        for name, value in _children(obj):
            yield from (visit if isinstance(value, _SAVEABLE) else members)(value, f"{path}/{name}" if path else name)

    def members(container: Any, path: str) -> Iterator[tuple[str, Any]]:
        if id(container) in seen:
            return
        seen[id(container)] = container
        used: dict[str, int] = {}
        for item in container.values() if isinstance(container, dict) else container:
            if isinstance(item, _SAVEABLE):
                yield from visit(item, f"{path}/{_folder(item, used)}")
            elif isinstance(item, _CONTAINER):
                n = used["container"] = used.get("container", -1) + 1
                yield from members(item, f"{path}/container_{n}" if n else f"{path}/container")

    return visit(root, "")


def own_variables(obj: Any) -> list[Variable]:
    """The state of one object without that of others inside it: trainable weights first."""
    if isinstance(obj, SeedGenerator):
        return [obj.state]
    if isinstance(obj, Optimizer):
        return obj.variables if obj.built else []
    return sorted(obj._variables, key=lambda v: not v.trainable)


def _hook(obj: Any, name: str) -> Any:
    """save_own_variables or load_own_variables of a user's class."""
    own = getattr(type(obj), name, None)
    return None if own is None or own is getattr(Layer, name, None) else getattr(obj, name)


# --- writing --------------------------------------------------------------------------------------------------------


def write_group(root: Any, file: Any, include_optimizer: bool = True, skip: Sequence[Any] = ()) -> None:
    """All weights, states of random generators and of optimizers into an open file; not those of the objects to skip."""
    for path, obj in saveables(root):
        if any(obj is other for other in skip):
            continue
        if isinstance(obj, Optimizer) and not (include_optimizer and obj.built):
            continue
        group = file.require_group(f"{path}/vars" if path else "vars")
        if isinstance(obj, SeedGenerator):
            group.create_dataset("0", data=obj.state.numpy().view(np.uint32))
            continue
        if getattr(obj, "name", None):
            group.attrs["name"] = obj.name
        hook = _hook(obj, "save_own_variables")
        if hook is not None:
            store: dict[str, Any] = {}
            hook(store)
            for key, value in store.items():
                group.create_dataset(str(key), data=np.asarray(value))
            continue
        for i, v in enumerate(own_variables(obj)):
            group.create_dataset(str(i), data=v.numpy())


# --- reading --------------------------------------------------------------------------------------------------------


def _find(file: Any, path: str) -> Any:
    """The group of a path; None where a part of it is missing."""
    group = file
    for part in path.split("/"):
        if not has(group, part):
            return None
        group = child(group, part, "group")
    return group


def _label(obj: Any, path: str) -> str:
    if isinstance(obj, Layer):
        return f'layer "{obj.name}"'
    return path


def collect(
    root: Any, file: Any, include_optimizer: bool = True, skip_mismatch: bool = False, skip: Sequence[Any] = ()
) -> Plan:
    """What to assign, read and checked; nothing is changed yet. Objects to skip keep their values."""
    plan: Plan = []
    for path, obj in saveables(root):
        if any(obj is other for other in skip):
            continue
        if isinstance(obj, Optimizer) and not include_optimizer:
            continue
        try:
            plan += _collect_one(obj, path, file)
        except Mismatch as error:
            if not skip_mismatch and not isinstance(obj, Optimizer):
                raise
            warnings.warn(f"Skipping loading of weights due to mismatch in {error}", stacklevel=3)
    return plan


def _collect_one(obj: Any, path: str, file: Any) -> Plan:
    group = _find(file, f"{path}/vars" if path else "vars")
    label, variables, hook = _label(obj, path), own_variables(obj), _hook(obj, "load_own_variables")
    if isinstance(obj, (SeedGenerator, Optimizer)):
        if group is None or not keys(group) or not variables:
            return []  # written without them, or before training
        if isinstance(obj, SeedGenerator):
            state = read_dataset(group, "0", (2,), label)
            if state.dtype.kind not in "iu":
                raise RefusedFile(f"{label}: expected whole numbers; the file has {state.dtype}")
            state = state.astype(np.uint32).view(np.int32)
            return [functools.partial(obj.state.assign, state)]
    if hook is not None:
        store = {k: values(checked(child(group, k, "dataset"), label), label) for k in keys(group)} if group else {}
        return [functools.partial(hook, store)]
    if not variables and (group is None or not keys(group)):
        return []
    if group is None:
        raise Mismatch(
            f"{label}: expected {len(variables)} weights; the file has none at {path or '/'} (received 0 variables)"
        )
    if len(keys(group)) != len(variables):
        raise Mismatch(f"{label}: expected {len(variables)} weights; the file has {len(keys(group))}")
    return [
        functools.partial(v.assign, read_dataset(group, str(i), v.shape, f"{label}, {v.name}"))
        for i, v in enumerate(variables)
    ]


def carry_out(root: Any, plan: Plan) -> None:
    """Assigns everything. If a hook of the user's class fails, all weights go back to what they were."""
    before = [(v, v.numpy()) for _, obj in saveables(root) for v in own_variables(obj)] if _has_hooks(root) else []
    try:
        for step in plan:
            step()
    except BaseException:
        for v, value in before:
            v.assign(value)
        raise


def _has_hooks(root: Any) -> bool:
    return any(_hook(obj, "load_own_variables") is not None for _, obj in saveables(root))


def write_weights(model: Any, path: str, skip: Sequence[Any] = ()) -> None:
    """Writes the weights of a built model."""
    write_bytes(path, hdf5_bytes(lambda file: write_group(model, file, skip=skip)))
