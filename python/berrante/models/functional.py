"""Functional models: the graph of calls between Inputs and outputs, replayed on tensors."""

from __future__ import annotations

from typing import Any

from berrante.graph.keras_tensor import FunctionalNode, KerasTensor
from berrante.graph.tape import flatten, map_structure
from berrante.layers.input import InputLayer
from berrante.layers.layer import Layer


def paths_of(structure: Any, prefix: str = "") -> list[str]:
    """Where each leaf of a nesting stands, as `0.name`, in flatten's order; an empty path for a leaf alone."""
    if isinstance(structure, dict):
        items: list[tuple[Any, Any]] = list(structure.items())
    elif isinstance(structure, (list, tuple)):
        items = list(enumerate(structure))
    else:
        return [prefix]
    return [path for key, value in items for path in paths_of(value, f"{prefix}.{key}" if prefix else str(key))]


def _is_placeholder(tensor: KerasTensor) -> bool:
    return tensor.node is not None and isinstance(tensor.node.operation, InputLayer)


class FunctionGraph:
    """The nodes between inputs and outputs, in an order in which they can run.

    Inputs may be tensors in the middle of another model; with `own_inputs`, the part from there on gets Inputs and nodes
    of its own.
    """

    def __init__(self, inputs: Any, outputs: Any, own_inputs: bool = False) -> None:
        for what, structure in (("inputs", inputs), ("outputs", outputs)):
            for tensor in flatten(structure):
                if not isinstance(tensor, KerasTensor):
                    raise ValueError(
                        f"All `{what}` values must be KerasTensors: expected the results of Input() and of layers called on "
                        f"them; received {tensor!r}"
                    )
        self.inputs_structure, self.outputs_structure = inputs, outputs
        self.inputs: list[KerasTensor] = flatten(inputs)
        self.outputs: list[KerasTensor] = flatten(outputs)
        if len({id(t) for t in self.inputs}) != len(self.inputs):
            raise ValueError("The list of inputs passed to the model contains the same input multiple times")
        if own_inputs and not all(_is_placeholder(t) for t in self.inputs):
            self._begin_anew()
        self.nodes = self._order()
        self.operations = self._operations()
        self.layers: list[Layer] = [x for x in self.operations if isinstance(x, Layer)]

    def _begin_anew(self) -> None:
        """Puts Inputs in the place of inputs that are none, and copies the nodes that depend on them."""
        copies: dict[int, KerasTensor] = {}
        for t in self.inputs:
            copies[id(t)] = t if _is_placeholder(t) else InputLayer(batch_shape=t.shape, dtype=t.dtype).output

        def fill(x: Any) -> Any:
            return copies.get(id(x), x) if isinstance(x, KerasTensor) else x

        def copy(t: KerasTensor) -> KerasTensor:
            copies[id(t)] = KerasTensor(t.shape, t.dtype, t.name)
            copies[id(t)]._keras_mask = t._keras_mask
            return copies[id(t)]

        for node in self._order():
            done = all(id(t) in copies for t in node.outputs)
            if not done and any(copies.get(id(t), t) is not t for t in node.inputs):
                made = map_structure(copy, node.structure)
                FunctionalNode(node.operation, map_structure(fill, node.args), map_structure(fill, node.kwargs), made)
        self.inputs_structure, self.outputs_structure = (
            map_structure(fill, self.inputs_structure),
            map_structure(fill, self.outputs_structure),
        )
        self.inputs, self.outputs = flatten(self.inputs_structure), flatten(self.outputs_structure)

    def _order(self) -> list[FunctionalNode]:
        known = {id(t) for t in self.inputs}
        order: list[FunctionalNode] = []
        done: set[int] = set()
        for tensor, path in zip(self.outputs, paths_of(self.outputs_structure), strict=True):
            self._add_nodes(tensor, path, known, done, order)
        # Inputs that nothing uses still belong to the model.
        for tensor in self.inputs:
            if tensor.node is not None and id(tensor.node) not in done:
                order.insert(0, tensor.node)
        return order

    def _add_nodes(
        self, output: KerasTensor, path: str, known: set[int], done: set[int], order: list[FunctionalNode]
    ) -> None:
        """The nodes that an output needs, each after those that it needs itself."""
        stack: list[tuple[Any, bool]] = [(output, False)]
        while stack:
            tensor, expanded = stack.pop()
            node = tensor.node
            if node is None or id(node) in done:
                continue
            if expanded or id(tensor) in known:
                done.add(id(node))
                if isinstance(node.operation, InputLayer) and id(tensor) not in known:
                    raise ValueError(
                        f'Output with path `{path}` is not connected to `inputs`: it depends on Input "{tensor.name}", '
                        "which is not among them"
                    )
                order.append(node)
                continue
            stack.append((tensor, True))
            stack.extend((t, False) for t in reversed(node.inputs))

    def _operations(self) -> list[Any]:
        """Layers and calls of operations by decreasing distance from the outputs, as Keras lists them."""
        depth: dict[int, int] = {}
        for node in reversed(self.nodes):
            own = depth.setdefault(id(node), 0)
            if any(node.outputs[i] is t for i in range(len(node.outputs)) for t in self.inputs):
                continue
            for tensor in node.inputs:
                if tensor.node is not None:
                    depth[id(tensor.node)] = max(depth.get(id(tensor.node), 0), own + 1)
        # The distance of each layer or operation, by its id.
        self.depths: dict[int, int] = {}
        found: dict[int, tuple[int, int, Any]] = {}
        for index, node in enumerate(self.nodes):
            operation = node.operation
            d = max(depth.values()) if isinstance(operation, InputLayer) else depth[id(node)]
            before = found.get(id(operation))
            found[id(operation)] = (max(d, before[0] if before else 0), before[1] if before else index, operation)
        self.depths = {key: d for key, (d, _, _) in found.items()}
        return [operation for _, _, operation in sorted(found.values(), key=lambda item: (-item[0], item[1]))]

    def run(self, values: list[Any], training: Any) -> Any:
        """The outputs for input tensors."""
        return self.run_known(values, training)[0]

    def run_known(self, values: list[Any], training: Any) -> tuple[Any, dict[int, Any]]:
        """The outputs for input tensors, and the values of all placeholders on the way by their id."""
        known: dict[int, Any] = {id(t): v for t, v in zip(self.inputs, values, strict=True)}

        def fill(x: Any) -> Any:
            return known[id(x)] if isinstance(x, KerasTensor) else x

        for node in self.nodes:
            if all(id(t) in known for t in node.outputs):
                continue
            args, kwargs = map_structure(fill, node.args), map_structure(fill, node.kwargs)
            operation = node.operation
            if isinstance(operation, Layer) and "training" in operation._arguments() and "training" not in kwargs:
                kwargs = {**kwargs, "training": training}
            for tensor, value in zip(node.outputs, flatten(operation(*args, **kwargs)), strict=True):
                known[id(tensor)] = value
        return map_structure(lambda t: known[id(t)], self.outputs_structure), known
