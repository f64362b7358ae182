"""Functional models: the graph of calls between Inputs and outputs, replayed on tensors."""

from __future__ import annotations

from typing import Any

from berrante.graph.keras_tensor import FunctionalNode, KerasTensor
from berrante.graph.tape import flatten, map_structure
from berrante.layers.input import InputLayer
from berrante.layers.layer import Layer


class FunctionGraph:
    """The nodes between inputs and outputs, in an order in which they can run."""

    def __init__(self, inputs: Any, outputs: Any) -> None:
        self.inputs_structure, self.outputs_structure = inputs, outputs
        self.inputs: list[KerasTensor] = flatten(inputs)
        self.outputs: list[KerasTensor] = flatten(outputs)
        for tensor in [*self.inputs, *self.outputs]:
            if not isinstance(tensor, KerasTensor):
                raise ValueError(f"expected the results of Input() and of layers called on them; received {tensor!r}")
        self.nodes = self._order()
        self.operations = self._operations()
        self.layers: list[Layer] = [x for x in self.operations if isinstance(x, Layer)]

    def _order(self) -> list[FunctionalNode]:
        known = {id(t) for t in self.inputs}
        order: list[FunctionalNode] = []
        done: set[int] = set()
        stack: list[tuple[Any, bool]] = [(t, False) for t in reversed(self.outputs)]
        while stack:
            tensor, expanded = stack.pop()
            node = tensor.node
            if node is None or id(node) in done:
                continue
            if expanded or id(tensor) in known:
                done.add(id(node))
                if isinstance(node.operation, InputLayer) and id(tensor) not in known:
                    raise ValueError(f'output depends on Input "{tensor.name}", which is not among the inputs')
                order.append(node)
                continue
            stack.append((tensor, True))
            stack.extend((t, False) for t in reversed(node.inputs))
        # Inputs that nothing uses still belong to the model.
        for tensor in self.inputs:
            if tensor.node is not None and id(tensor.node) not in done:
                order.insert(0, tensor.node)
        return order

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
        found: dict[int, tuple[int, int, Any]] = {}
        for index, node in enumerate(self.nodes):
            operation = node.operation
            d = max(depth.values()) if isinstance(operation, InputLayer) else depth[id(node)]
            before = found.get(id(operation))
            found[id(operation)] = (max(d, before[0] if before else 0), before[1] if before else index, operation)
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
