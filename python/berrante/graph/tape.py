"""GradientTape: gradients of what ran inside it, in a trace or at once."""

from __future__ import annotations

from typing import Any

from berrante.graph import trace
from berrante.graph.gradients import gradients
from berrante.graph.op import as_tensor
from berrante.graph.tensor import Tensor
from berrante.graph.variable import Variable


def map_structure(function: Any, structure: Any) -> Any:
    """Applies a function to the leaves of nested lists, tuples and dicts."""
    if isinstance(structure, dict):
        return {k: map_structure(function, v) for k, v in structure.items()}
    if isinstance(structure, (list, tuple)):
        values = [map_structure(function, v) for v in structure]
        return type(structure)(*values) if hasattr(structure, "_fields") else type(structure)(values)
    return function(structure)


def flatten(structure: Any) -> list[Any]:
    """The leaves of nested lists, tuples and dicts, in order."""
    if isinstance(structure, dict):
        return [leaf for v in structure.values() for leaf in flatten(v)]
    if isinstance(structure, (list, tuple)):
        return [leaf for v in structure for leaf in flatten(v)]
    return [structure]


class GradientTape:
    """Records operations for differentiation, after TensorFlow's class of the same name.

    Trainable variables are watched by themselves, other tensors after `watch`. A tape may be asked once per `gradient`
    call or, with `persistent=True`, any number of times; both work here alike.

    Example:
        with GradientTape() as tape:
            loss = loss_fn(y, model(x, training=True))
        grads = tape.gradient(loss, model.trainable_variables)
    """

    def __init__(self, persistent: bool = False, watch_accessed_variables: bool = True) -> None:
        self._watched: set[Tensor] = set()
        self._leaves: dict[Variable, Tensor] = {}
        self._accessed = watch_accessed_variables
        self._graph: Any = None

    def __enter__(self) -> GradientTape:
        self._graph = trace.current()
        trace.state.tapes.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        trace.state.tapes.remove(self)

    def watch(self, tensor: Any) -> None:
        """Makes concrete tensors (or a variable) sources of gradients."""
        for leaf in flatten(tensor):
            if isinstance(leaf, Variable):
                if trace.current() is None:
                    self._leaf(leaf)
            else:
                self._watched.add(leaf)

    def watches(self, tensor: Tensor) -> bool:
        return tensor in self._watched

    def _leaf(self, variable: Variable) -> Tensor:
        leaf = self._leaves.get(variable)
        if leaf is None:
            # A copy: assignments write into the variable's memory while the tape still needs the old value.
            leaf = self._leaves[variable] = Tensor(variable.spec, value=variable.numpy())
            self._watched.add(leaf)
        return leaf

    def saw(self, variable: Variable, value: Tensor, graph: Any) -> None:
        """Remembers the value that a trace read: a program may assign the variable before and after."""
        if graph is self._graph:
            self._leaves.setdefault(variable, value)

    def adopt(self, variable: Variable, leaf: Tensor) -> None:
        """Takes another tape's tensor for a variable that this tape watches too and has not read yet."""
        if variable not in self._leaves and self._accessed and variable.trainable:
            self._leaves[variable] = leaf
            self._watched.add(leaf)

    def leaf(self, variable: Variable) -> Tensor | None:
        """The tensor that stands for a variable inside this tape, if it watches it."""
        if variable in self._leaves:
            return self._leaves[variable]
        return self._leaf(variable) if self._accessed and variable.trainable else None

    def gradient(
        self, target: Any, sources: Any, output_gradients: Any = None, unconnected_gradients: str = "none"
    ) -> Any:
        """The gradient of `target` (summed) in each of `sources`, in the same nesting; None where there is none."""

        def source(x: Any) -> Tensor:
            if isinstance(x, Variable):
                leaf = self._leaves.get(x)
                if leaf is not None:
                    return leaf
                graph = trace.current()
                return graph.leaf(x) if graph is not None else Tensor(x.spec, value=x.array)
            return as_tensor(x)

        leaves = [source(x) for x in flatten(sources)]
        weights = None if output_gradients is None else [as_tensor(w) for w in flatten(output_gradients)]
        targets = [as_tensor(t) for t in flatten(target)]
        grads = gradients(targets, leaves, weights, barriers=set(self._leaves.values()))
        if unconnected_gradients == "zero":
            from berrante.graph.gradients import _zeros

            grads = [_zeros(x.spec) if g is None else g for x, g in zip(leaves, grads, strict=True)]
        remaining = iter(grads)
        return map_structure(lambda _: next(remaining), sources)
