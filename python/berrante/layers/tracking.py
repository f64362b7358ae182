"""How layers find their state: what is assigned to an attribute, and what is put into a list or dict there later.

Lists and dicts that a user's class assigns become lists and dicts that tell their layer what they get and lose, as in Keras,
so that `self.blocks = []; self.blocks.append(Dense(3))` makes a sublayer. They are lists and dicts in every other way.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from berrante.graph.tape import flatten
from berrante.graph.variable import Variable
from berrante.random import SeedGenerator

# The machinery's own lists and dicts.
OWN = frozenset(
    (
        "_layers", "_variables", "_seed_generators", "_metrics", "_losses", "_nodes", "_call_arguments", "_build_shapes",
        "_compile_arguments", "_compiled_trainable", "_objectives", "_reductions", "_stack", "_programs", "_initial",
    )
)  # fmt: skip


def _home(layer: Any, value: Any) -> list[Any] | None:
    """The layer's list for a value of this kind; None for what is no state."""
    if hasattr(value, "_collect_trainable"):
        return layer._layers
    if isinstance(value, Variable):
        return layer._variables
    if isinstance(value, SeedGenerator):
        return layer._seed_generators
    if hasattr(value, "update_state") and hasattr(value, "result"):
        return layer._metrics
    return None


def track(layer: Any, value: Any) -> None:
    """The layer takes notice of a sublayer, variable, random generator or metric; once."""
    home = _home(layer, value)
    if home is not None and not any(value is other for other in home):
        home.append(value)


def untrack(layer: Any, value: Any) -> None:
    """The layer forgets it."""
    home = _home(layer, value)
    if home is not None:
        home[:] = [other for other in home if other is not value]


def wrapped(layer: Any, value: Any) -> Any:
    """A list or dict that reports to the layer (also those inside); other values as they are, tracked."""
    if type(value) is list:
        return TrackedList(value, layer)
    if type(value) is dict:
        return TrackedDict(value, layer)
    for item in flatten(value):
        track(layer, item)
    return value


class TrackedList(list[Any]):
    """A list of a layer's."""

    def __init__(self, values: Iterable[Any] = (), layer: Any = None) -> None:
        self._layer = layer
        super().__init__(self._taken(v) for v in values)

    def _taken(self, value: Any) -> Any:
        return value if self._layer is None else wrapped(self._layer, value)

    def _lost(self, values: Iterable[Any]) -> None:
        if self._layer is not None:
            for value in flatten(list(values)):
                untrack(self._layer, value)

    def append(self, value: Any) -> None:
        super().append(self._taken(value))

    def insert(self, index: Any, value: Any) -> None:
        super().insert(index, self._taken(value))

    def extend(self, values: Iterable[Any]) -> None:
        super().extend([self._taken(v) for v in values])

    def __iadd__(self, values: Iterable[Any]) -> TrackedList:  # type: ignore[override, misc]
        self.extend(values)
        return self

    def __setitem__(self, index: Any, value: Any) -> None:
        self._lost(self[index] if isinstance(index, slice) else [self[index]])
        super().__setitem__(index, [self._taken(v) for v in value] if isinstance(index, slice) else self._taken(value))

    def __delitem__(self, index: Any) -> None:
        self._lost(self[index] if isinstance(index, slice) else [self[index]])
        super().__delitem__(index)

    def pop(self, index: Any = -1) -> Any:
        value = super().pop(index)
        self._lost([value])
        return value

    def remove(self, value: Any) -> None:
        super().remove(value)
        self._lost([value])

    def clear(self) -> None:
        self._lost(self)
        super().clear()

    def __reduce__(self) -> Any:
        return list, (list(self),)


class TrackedDict(dict[Any, Any]):
    """A dict of a layer's."""

    def __init__(self, values: Any = (), layer: Any = None) -> None:
        self._layer = layer
        super().__init__({k: self._taken(v) for k, v in dict(values).items()})

    def _taken(self, value: Any) -> Any:
        return value if self._layer is None else wrapped(self._layer, value)

    def _lost(self, key: Any) -> None:
        if self._layer is not None and key in self:
            for value in flatten(self[key]):
                untrack(self._layer, value)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._lost(key)
        super().__setitem__(key, self._taken(value))

    def update(self, *args: Any, **kwargs: Any) -> None:
        for key, value in dict(*args, **kwargs).items():
            self[key] = value

    def setdefault(self, key: Any, default: Any = None) -> Any:
        if key not in self:
            self[key] = default
        return self[key]

    def __delitem__(self, key: Any) -> None:
        self._lost(key)
        super().__delitem__(key)

    def pop(self, key: Any, *default: Any) -> Any:
        self._lost(key)
        return super().pop(key, *default)

    def popitem(self) -> Any:
        key, value = super().popitem()
        if self._layer is not None:
            for item in flatten(value):
                untrack(self._layer, item)
        return key, value

    def clear(self) -> None:
        for key in self:
            self._lost(key)
        super().clear()

    def __reduce__(self) -> Any:
        return dict, (dict(self),)
