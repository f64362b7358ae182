"""The state of optimizers in legacy HDF5 files, in the order of whichever Keras wrote it.

Keras 2 lists all first moments, then all second ones (and placeholders of shape (1,) for amsgrad); TF-Keras <= 2.10 the
same under names such as `Adam/dense/kernel/m:0`; TF-Keras 2.11 on takes turns, `Adam/m/dense/kernel:0`; Keras 3 writes
its own order. So slots are told by names where names tell them, and by order and shapes otherwise. Before anything is
read, all shapes are compared with those of the variables that the optimizer trains.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from berrante.graph.variable import Variable
from berrante.saving.guard import Mismatch, RefusedFile
from berrante.saving.hdf5 import checked, child, names_attribute, values

_ITERATIONS = {"iterations", "iteration", "iter"}
_RATES = {"learning_rate", "lr"}
_PRODUCTS = {"momentum_cache", "m_schedule", "u_product", "_u_product"}
# A slot's names in files -> ours, per optimizer where they differ.
_SLOTS = {
    "m": "momentum", "v": "velocity", "vhat": "velocity_hat", "rms": "velocity", "mg": "average_gradient",
    "momentum": "momentum", "velocity": "velocity", "velocity_hat": "velocity_hat",
    "average_gradient": "average_gradient", "accumulator": "accumulator", "accum_grad": "accumulated_grad",
    "accum_var": "accumulated_delta_var", "accumulated_grad": "accumulated_grad",
    "accumulated_delta_var": "accumulated_delta_var", "u": "norm", "norm": "norm", "linear": "linear", "average": "average",
}  # fmt: skip


def _slot(name: str, optimizer: Any, known: set[str]) -> str | None:
    """The slot that a dataset's name tells; None if it tells none."""
    parts = name.split(":")[0].split("/")
    for part in (parts[-1], parts[1] if len(parts) > 2 else parts[-1], parts[0] if len(parts) > 1 else parts[-1]):
        stem = part.rsplit("_", 1)[0] if part.rsplit("_", 1)[-1].isdigit() else part
        slot = _SLOTS.get(stem)
        if slot == "velocity" and type(optimizer).__name__ == "Adamax":
            slot = "norm"
        if slot in known:
            return slot
    for ending in sorted(known, key=len, reverse=True):
        if parts[-1].endswith(f"_{ending}"):
            return ending
    return None


def collect(optimizer: Any, file: Any, order: list[Variable]) -> list[tuple[Variable, np.ndarray]]:
    """The optimizer's variables with their values. `order`: the trained variables as the file's layers list them."""
    group = child(file, "optimizer_weights", "group")
    names = names_attribute(group, "weight_names")
    if names is None:
        raise RefusedFile(f"{group.name}: weight_names is missing")
    datasets = {name: checked(child(group, name, "dataset"), f"optimizer, {name}") for name in names}
    found: list[tuple[Variable, str]] = []
    rest: list[str] = []
    product = getattr(optimizer, "_u_product", None)
    for name in names:
        leaf = name.split(":")[0].split("/")[-1]
        if leaf in _ITERATIONS:
            found.append((optimizer._iterations, name))
        elif leaf in _RATES:
            found.append((optimizer._learning_rate, name))
        elif leaf in _PRODUCTS:
            if product is not None:
                found.append((product, name))
        else:
            rest.append(name)
    found += _slots(optimizer, rest, datasets, order)
    for variable, name in found:
        if tuple(datasets[name].shape) != variable.shape:
            raise Mismatch(f"optimizer, {name}: expected shape {variable.shape}; the file has {datasets[name].shape}")
    pairs = [(v, values(datasets[name], f"optimizer, {name}")) for v, name in found]
    if product is not None and not any(v is product for v, _ in pairs):
        steps = next((int(value) for v, value in pairs if v is optimizer._iterations), 0)
        pairs.append((product, _momentum_product(optimizer.beta_1, steps)))
    return pairs


def _momentum_product(beta_1: float, steps: int) -> np.ndarray:
    """What Nadam's running product of momenta is after so many steps; most files leave it out."""
    t = np.arange(1, min(max(steps, 0), 1 << 20) + 1, dtype=np.float64)
    return np.float32(np.prod(beta_1 * (1.0 - 0.5 * 0.96**t)))  # type: ignore[return-value]


def _slots(optimizer: Any, names: list[str], datasets: dict[str, Any], order: list[Variable]) -> Any:
    slots: dict[str, list[Variable]] = optimizer._slots
    place = {v: i for i, v in enumerate(optimizer._trainable)}
    order = [v for v in order if v in place]
    n = len(order)
    if not names:
        return []
    if not slots:
        return _own(optimizer, names, datasets)
    if n == 0 or n != len(place):
        raise Mismatch(f"optimizer: expected state for {len(place)} variables; the file's layers have {n}")
    told = [_slot(name, optimizer, set(slots)) for name in names]
    if all(t is not None for t in told):
        by_slot: dict[str, list[str]] = {slot: [] for slot in slots}
        for name, slot in zip(names, told, strict=True):
            by_slot[str(slot)].append(name)
        groups = {slot: found for slot, found in by_slot.items() if found}
        if all(len(found) == n for found in groups.values()) and _fits(groups, datasets, slots, place, order):
            return _paired(groups, slots, place, order)
    # By order: equal runs, one a slot; amsgrad's placeholders do not count.
    while (
        len(names) > n
        and all(tuple(datasets[name].shape) == (1,) for name in names[-n:])
        and len(names) > n * len(slots)
    ):
        names = names[:-n]
    if len(names) == n * len(slots):
        runs = {slot: names[i * n : (i + 1) * n] for i, slot in enumerate(slots)}
        if _fits(runs, datasets, slots, place, order):
            return _paired(runs, slots, place, order)
        turns = {slot: names[i :: len(slots)] for i, slot in enumerate(slots)}
        if _fits(turns, datasets, slots, place, order):
            return _paired(turns, slots, place, order)
    raise Mismatch(
        f"optimizer: expected {len(slots)} values ({', '.join(slots)}) for each of {n} variables; the file has "
        f"{len(names)} values of other shapes"
    )


def _own(optimizer: Any, names: list[str], datasets: dict[str, Any]) -> list[tuple[Variable, str]]:
    """Of an optimizer that adds its variables one by one (Muon, the user's own), by order; of one that needs none, none."""
    apart = {optimizer._iterations, optimizer._learning_rate, getattr(optimizer, "_u_product", None)}
    own = [v for v in optimizer.variables if v not in apart]
    if not own:
        return []  # momentum 0
    if [v.shape for v in own] != [tuple(datasets[name].shape) for name in names]:
        raise Mismatch(f"optimizer: expected {len(own)} variables; the file has {len(names)}, or of other shapes")
    return list(zip(own, names, strict=True))


def _fits(
    groups: dict[str, list[str]], datasets: dict[str, Any], slots: Any, place: Any, order: list[Variable]
) -> bool:
    """Whether the datasets have the slots' shapes, which are not always those of the variables."""
    return all(tuple(datasets[name].shape) == slot.shape for slot, name in _paired(groups, slots, place, order))


def _paired(groups: dict[str, list[str]], slots: Any, place: Any, order: list[Variable]) -> list[tuple[Variable, str]]:
    return [
        (slots[slot][place[v]], name) for slot, names in groups.items() for name, v in zip(names, order, strict=True)
    ]
