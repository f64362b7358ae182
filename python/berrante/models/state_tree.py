"""A model's variables as nested dicts, by their paths: what get_state_tree gives and set_state_tree takes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from berrante.graph.variable import Variable

PARTS = ("trainable_variables", "non_trainable_variables", "optimizer_variables", "metrics_variables")


def _variables(model: Any, part: str) -> list[Variable]:
    if part == "optimizer_variables":
        return list(model.optimizer.variables) if model.optimizer is not None else []
    return list(getattr(model, part))


def nested(variables: Iterable[Variable], as_arrays: bool) -> dict[str, Any]:
    """`{"dense": {"kernel": value}}` for a variable whose path is dense/kernel; ValueError for a path that occurs twice."""
    tree: dict[str, Any] = {}
    for v in variables:
        *folders, name = v.path.split("/")
        place = tree
        for folder in folders:
            place = place.setdefault(folder, {})
        if name in place:
            raise ValueError(
                f"The following variable path is found twice in the model: '{v.path}'. `get_state_tree()` can only be called "
                "when all variable paths are unique. Make sure to give unique names to your layers (and other objects)."
            )
        place[name] = v.numpy() if as_arrays else v.value
    return tree


def get_state_tree(model: Any, value_format: str = "backend_tensor") -> dict[str, Any]:
    """All variables, by part and path."""
    if value_format not in ("backend_tensor", "numpy_array"):
        raise ValueError(f"value_format: expected backend_tensor or numpy_array; received {value_format!r}")
    return {part: nested(_variables(model, part), value_format == "numpy_array") for part in PARTS}


def set_state_tree(model: Any, state_tree: dict[str, Any]) -> None:
    """Assigns the values of a state tree; parts and variables that it leaves out stay as they are."""
    for part, tree in state_tree.items():
        if part not in PARTS:
            raise ValueError(f"set_state_tree: expected the parts {', '.join(PARTS)}; received {part!r}")
        known = {v.path: v for v in _variables(model, part)}
        _assign(known, tree, "")


def _assign(known: dict[str, Variable], tree: dict[str, Any], prefix: str) -> None:
    for key, value in tree.items():
        path = f"{prefix}{key}"
        if isinstance(value, dict):
            _assign(known, value, f"{path}/")
        elif path in known:
            known[path].assign(value)
