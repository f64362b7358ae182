"""Tracing: running ordinary Python over symbolic tensors to record a program.

Inside `with tracing() as graph:` variables read as symbolic tensors and assignments are recorded instead of done.
Each thread traces on its own.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from berrante.graph.formats import ROUNDING, rounded
from berrante.graph.tensor import DTYPES, Tensor, TensorSpec

if TYPE_CHECKING:
    from berrante.graph.variable import FlatVariable, Variable


class Graph:
    """What a trace recorded: inputs, the variables it read, and the last value assigned to each variable."""

    def __init__(self) -> None:
        self.inputs: list[Tensor] = []
        self.leaves: dict[Variable, Tensor] = {}
        self.updates: dict[Variable, Tensor] = {}
        self.placeholders: dict[int, Any] = {}  # values of placeholders that depend on no input, by id
        self._parts: dict[FlatVariable, tuple[Tensor, ...]] = {}

    def add_input(self, spec: TensorSpec) -> Tensor:
        tensor = Tensor(spec, graph=self)
        self.inputs.append(tensor)
        return tensor

    def leaf(self, variable: Variable) -> Tensor:
        """The variable's value from before the program."""
        tensor = self.leaves.get(variable)
        if tensor is None:
            tensor = self.leaves[variable] = Tensor(variable.spec, graph=self)
        return tensor

    def read(self, variable: Variable) -> Tensor:
        from berrante.graph.variable import FlatVariable

        if isinstance(variable, FlatVariable) and not self._is_fresh(variable):
            from berrante.graph.primitives import concat, reshape

            return concat([reshape(self.read(member), (member.size,)) for member in variable.members])
        value = self.updates.get(variable)
        return self.leaf(variable) if value is None else value

    def _is_fresh(self, flat: FlatVariable) -> bool:
        """Whether no member was assigned on its own since the flat variable was."""
        parts = self._parts.get(flat, ())
        current = tuple(self.updates.get(member) for member in flat.members)
        return all(a is b for a, b in zip(current, parts, strict=True)) if parts else all(x is None for x in current)

    def assign(self, variable: Variable, value: Tensor) -> None:
        from berrante.graph.variable import FlatVariable

        if isinstance(variable, FlatVariable):
            from berrante.graph.primitives import reshape, slice_flat

            # Members read their part of the new value from now on; the flat update alone writes memory.
            offset = 0
            for member in variable.members:
                part = slice_flat(value, offset, member.size)
                self.updates[member] = reshape(part, member.shape)
                offset += member.size
            self._parts[variable] = tuple(self.updates[member] for member in variable.members)
        self.updates[variable] = value


class _State(threading.local):
    def __init__(self) -> None:
        self.graph: Graph | None = None
        self.tapes: list[Any] = []
        self.autocast: str | None = None  # the 16-bit dtype in which float32 variables are read


state = _State()


def current() -> Graph | None:
    """The graph that this thread is tracing, or None."""
    return state.graph


@contextmanager
def tracing() -> Iterator[Graph]:
    """Records operations into a new graph instead of running them."""
    outer, state.graph = state.graph, Graph()
    try:
        yield state.graph
    finally:
        state.graph = outer


@contextmanager
def suspended() -> Iterator[None]:
    """Runs operations at once even inside a trace: for initial values."""
    outer, state.graph = state.graph, None
    try:
        yield
    finally:
        state.graph = outer


def read(variable: Variable) -> Tensor:
    """The variable's value at this point: symbolic inside a trace."""
    graph = state.graph
    if graph is not None:
        value = graph.read(variable)
        for tape in state.tapes:
            tape.saw(variable, value, graph)
        return value
    for tape in state.tapes:
        leaf = tape.leaf(variable)
        if leaf is not None:
            for other in state.tapes:  # several tapes at once: one tensor stands for the variable in all of them
                other.adopt(variable, leaf)
            return leaf
    return Tensor(variable.spec, value=variable.array)


@contextmanager
def autocast(dtype: str | None) -> Iterator[None]:
    """Inside, float32 variables that allow it read as tensors of this 16-bit dtype (None: as they are)."""
    outer, state.autocast = state.autocast, dtype
    try:
        yield
    finally:
        state.autocast = outer


def assign(variable: Variable, value: Any) -> None:
    """Records an assignment in the current trace."""
    from berrante.graph.op import as_tensor
    from berrante.graph.primitives import cast

    graph = state.graph
    assert graph is not None
    tensor = as_tensor(value)
    if tensor.shape != variable.shape:
        raise ValueError(
            f'variable "{variable.name}": expected a value of shape {variable.shape}; received {tensor.shape}'
        )
    graph.assign(variable, cast(tensor, variable.dtype))


def constant(value: Any, dtype: str) -> Tensor:
    """A concrete tensor of a given dtype."""
    array = np.ascontiguousarray(value, dtype=DTYPES[dtype]).reshape(np.shape(value))
    if dtype in ROUNDING:
        array = rounded(array, dtype)
    return Tensor(TensorSpec(array.shape, dtype), value=array)
