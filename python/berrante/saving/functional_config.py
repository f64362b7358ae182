"""Functional models to Keras 3's config (layers with inbound nodes) and back."""

from __future__ import annotations

import inspect
import itertools
from collections import deque
from typing import Any

from berrante.graph.keras_tensor import KerasTensor, OpCall, has_keras_tensor
from berrante.graph.tape import flatten, map_structure
from berrante.layers.input import InputLayer
from berrante.layers.layer import Layer
from berrante.models.model import Model
from berrante.saving.guard import MAX_LAYERS
from berrante.saving.legacy_config import modern_call
from berrante.saving.operation_config import Operation, is_operation, operation_node
from berrante.saving.registry import deserialize_keras_object, serialize_keras_object


def functional_config(model: Any) -> dict[str, Any]:
    """Name, layers with their calls, and which tensors are inputs and outputs."""
    graph = model._graph
    index: dict[int, int] = {}  # node -> its number among the calls of its layer inside this model
    calls: dict[int, list[Any]] = {}
    for node in graph.nodes:
        own = calls.setdefault(id(node.operation), [])
        index[id(node)] = len(own)
        own.append(node)
    names = _operation_names(graph)

    def history(t: KerasTensor) -> list[Any]:
        assert t.node is not None
        return [names.get(id(t.node)) or t.node.operation.name, index[id(t.node)], t.index]

    def argument(x: Any) -> Any:
        if isinstance(x, KerasTensor):
            config = {"shape": list(x.shape), "dtype": x.dtype, "keras_history": history(x)}
            return {"class_name": "__keras_tensor__", "config": config}
        return serialize_keras_object(x)

    def arguments(x: Any) -> Any:
        return map_structure(argument, x) if has_keras_tensor(x) else argument(x)

    layers = []
    for layer in graph.layers:
        node = serialize_keras_object(layer)
        node["name"] = layer.name
        node["inbound_nodes"] = [
            {"args": [arguments(a) for a in call.args], "kwargs": {k: arguments(v) for k, v in call.kwargs.items()}}
            for call in calls[id(layer)]
            if call.inputs
        ]
        layers.append(node)
    for node in graph.nodes:
        if isinstance(node.operation, OpCall):
            try:
                layers.append(operation_node(names[id(node)], node, arguments))
            except ValueError as error:
                raise ValueError(f'[model "{model.name}"] {error}') from error
    return {
        "name": model.name,
        "trainable": model._trainable,
        "layers": layers,
        "input_layers": map_structure(history, graph.inputs_structure),
        "output_layers": map_structure(history, graph.outputs_structure),
    }


def _operation_names(graph: Any) -> dict[int, str]:
    """A name of its own for each call of an operation: the function's, with a number where it is taken."""
    taken = {layer.name for layer in graph.layers}
    names: dict[int, str] = {}
    for node in graph.nodes:
        if isinstance(node.operation, OpCall):
            plain = node.operation.name
            name = next(n for k in itertools.count() if (n := f"{plain}_{k}" if k else plain) not in taken)
            taken.add(name)
            names[id(node)] = name
    return names


def _is_history(x: Any) -> bool:
    return isinstance(x, (list, tuple)) and len(x) == 3 and isinstance(x[0], str) and isinstance(x[1], int)


class _Rebuilding:
    """The layers of a config, called again in the order in which their inputs become known."""

    def __init__(self, nodes: Any, outputs: Any) -> None:
        if not isinstance(nodes, list) or not all(isinstance(n, dict) and "class_name" in n for n in nodes):
            raise ValueError("Functional: expected a list of layers, each with its class and config")
        if len(nodes) > MAX_LAYERS:
            raise ValueError(f"Functional: {len(nodes)} layers, more than {MAX_LAYERS}")
        self.layers: dict[str, Layer | Operation] = {}
        self.tensors: dict[tuple[str, int, int], KerasTensor] = {}
        self.counts: dict[str, int] = {}
        self.waiting: dict[str, deque[Any]] = {}
        self.first = _first_calls([*(node.get("inbound_nodes") for node in nodes), outputs])
        for node in nodes:
            self._add(node)

    def _add(self, node: dict[str, Any]) -> None:
        if is_operation(node):
            layer: Any = Operation(node, self.resolve)
        else:
            layer = deserialize_keras_object(
                {k: v for k, v in node.items() if k not in ("inbound_nodes", "build_config")}
            )
        if not isinstance(layer, (Layer, Operation)):
            raise ValueError(f"expected a layer; the config names {node.get('class_name')!r}")
        name = node.get("name") or layer.name
        if not isinstance(name, str) or name in self.layers:
            raise ValueError(f"expected layers with names of their own; received {name!r} twice")
        self.layers[name] = layer
        if isinstance(layer, InputLayer):
            self.tensors[name, 0, 0] = layer.output
            return
        calls = node.get("inbound_nodes") or []
        if not isinstance(calls, list):
            raise ValueError(f'layer "{name}": expected a list of calls; received {type(calls).__name__}')
        # Keras 1 and 2 count the making of a nested model as its first node.
        legacy = any(not isinstance(c, dict) or "args" not in c for c in calls)
        self.counts[name] = 1 if legacy and isinstance(layer, Model) and self.first.get(name, 0) == 1 else 0
        if calls:
            self.waiting[name] = deque(calls)

    def reference(self, history: Any) -> KerasTensor:
        """The tensor of `[layer, node, index]`; a _NotYet if it is not there yet."""
        if not _is_history(history) or not isinstance(history[2], int):
            raise ValueError(f"expected [layer, node, tensor]; received {str(history)[:100]}")
        name, node, index = history
        if name not in self.layers:
            raise ValueError(f"Missing node: {name}. The config refers to this layer and does not hold it")
        tensor = self.tensors.get((name, node, index))
        if tensor is None:
            if name not in self.waiting and self.counts.get(name, 0) <= node:
                raise ValueError(f"the config refers to call {node} of layer {name!r}, which does not happen")
            raise _NotYet(name)
        return tensor

    def resolve(self, x: Any) -> Any:
        if isinstance(x, dict) and x.get("class_name") == "__keras_tensor__":
            return self.reference(x["config"]["keras_history"])
        if isinstance(x, dict) and "class_name" in x:
            return deserialize_keras_object(x)
        if isinstance(x, dict):
            return {k: self.resolve(v) for k, v in x.items()}
        if isinstance(x, list):
            return [self.resolve(v) for v in x]
        return x

    def _arguments(self, call: Any) -> tuple[list[Any], dict[str, Any]]:
        if isinstance(call, dict) and "args" in call:
            return self.resolve(list(call["args"])), self.resolve(dict(call.get("kwargs") or {}))
        return modern_call(call, self.reference)

    def run(self) -> None:
        """Makes all calls; those of one layer in their order."""
        blocked: dict[str, list[str]] = {}  # layer that must be called first -> layers that wait for it
        ready = list(reversed(self.waiting))
        while ready:
            name = ready.pop()
            calls = self.waiting.get(name)
            while calls:
                try:
                    args, kwargs = self._arguments(calls[0])
                except _NotYet as missing:
                    blocked.setdefault(missing.args[0], []).append(name)
                    break
                layer = self.layers[name]
                kwargs = _said(layer, kwargs)
                made = layer(*args, **kwargs)
                for i, tensor in enumerate(flatten(made)):
                    self.tensors[name, self.counts[name], i] = tensor
                self.counts[name] += 1
                calls.popleft()
                ready.extend(blocked.pop(name, []))
            else:
                self.waiting.pop(name, None)
        if self.waiting:
            names = ", ".join(list(self.waiting)[:5])
            raise ValueError(f"the config's layers do not form a graph: {names} wait for each other in a loop")

    def ends(self, x: Any) -> Any:
        """Inputs or outputs of the model, in their structure."""
        if _is_history(x):
            try:
                return self.reference(x)
            except _NotYet:
                raise ValueError(f"the config's input or output {x} does not exist") from None
        if isinstance(x, dict):
            return {k: self.ends(v) for k, v in x.items()}
        if isinstance(x, (list, tuple)):
            return [self.ends(v) for v in x]
        raise ValueError(f"expected the model's inputs or outputs; received {str(x)[:100]}")


def _said(layer: Layer | Operation, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Keywords without those that Keras fills in: None, and `training` as the layer has it by itself."""
    parameters = layer.parameters if isinstance(layer, Operation) else inspect.signature(layer.call).parameters
    usual = parameters["training"].default if "training" in parameters else None
    kwargs = {k: v for k, v in kwargs.items() if v is not None or k in parameters}
    return {k: v for k, v in kwargs.items() if k != "training" or v is not usual}


def _first_calls(structure: Any) -> dict[str, int]:
    """layer -> the first of its calls that anything refers to."""
    first: dict[str, int] = {}
    stack = [structure]
    while stack:
        x = stack.pop()
        if isinstance(x, list) and len(x) in (3, 4) and isinstance(x[0], str) and isinstance(x[1], int):
            first[x[0]] = min(first.get(x[0], x[1]), x[1])
        elif isinstance(x, (list, tuple)):
            stack.extend(x)
        elif isinstance(x, dict):
            stack.extend(x.values())
    return first


class _NotYet(Exception):
    """A call needs the output of a layer that has not been called often enough."""


def functional_from_config(cls: Any, config: dict[str, Any]) -> Any:
    """The model of a config of Keras 1, 2 or 3."""
    graph = _Rebuilding(config["layers"], config["output_layers"])
    graph.run()
    model = cls(graph.ends(config["input_layers"]), graph.ends(config["output_layers"]), name=config.get("name"))
    if config.get("trainable") is False:
        model.trainable = False
    return model
