"""Functional models to Keras 3's config (layers with inbound nodes) and back."""

from __future__ import annotations

from typing import Any

from berrante.graph.keras_tensor import KerasTensor, OpCall
from berrante.graph.tape import map_structure
from berrante.layers.input import InputLayer
from berrante.layers.layer import Layer
from berrante.saving.registry import deserialize_keras_object, serialize_keras_object

_MAX_LAYERS = 10_000


def functional_config(model: Any) -> dict[str, Any]:
    """Name, layers with their calls, and which tensors are inputs and outputs."""
    graph = model._graph
    index: dict[int, int] = {}  # node -> its number among the calls of its layer inside this model
    calls: dict[int, list[Any]] = {}
    for node in graph.nodes:
        if isinstance(node.operation, OpCall):
            raise ValueError(
                f'[model "{model.name}"] holds the operation {node.operation.name!r}, which has no config; put it into a '
                "Layer to save the model"
            )
        own = calls.setdefault(id(node.operation), [])
        index[id(node)] = len(own)
        own.append(node)

    def history(t: KerasTensor) -> list[Any]:
        assert t.node is not None
        return [t.node.operation.name, index[id(t.node)], t.index]

    def argument(x: Any) -> Any:
        if isinstance(x, KerasTensor):
            config = {"shape": list(x.shape), "dtype": x.dtype, "keras_history": history(x)}
            return {"class_name": "__keras_tensor__", "config": config}
        return serialize_keras_object(x)

    layers = []
    for layer in graph.layers:
        node = serialize_keras_object(layer)
        node["name"] = layer.name
        node["inbound_nodes"] = [
            {
                "args": [map_structure(argument, a) for a in call.args],
                "kwargs": {k: map_structure(argument, v) for k, v in call.kwargs.items()},
            }
            for call in calls[id(layer)]
            if call.inputs
        ]
        layers.append(node)
    return {
        "name": model.name,
        "trainable": model._trainable,
        "layers": layers,
        "input_layers": map_structure(history, graph.inputs_structure),
        "output_layers": map_structure(history, graph.outputs_structure),
    }


def _is_history(x: Any) -> bool:
    return isinstance(x, (list, tuple)) and len(x) == 3 and isinstance(x[0], str) and isinstance(x[1], int)


def functional_from_config(cls: Any, config: dict[str, Any], custom_objects: Any = None) -> Any:
    """The model of a config."""
    if len(config["layers"]) > _MAX_LAYERS:
        raise ValueError(f"the config holds more than {_MAX_LAYERS} layers")
    layers: dict[str, Layer] = {}
    waiting: list[tuple[str, dict[str, Any]]] = []
    tensors: dict[tuple[str, int, int], KerasTensor] = {}
    counts: dict[str, int] = {}
    for node in config["layers"]:
        layer = deserialize_keras_object(
            {k: v for k, v in node.items() if k not in ("inbound_nodes", "build_config")}, custom_objects
        )
        if not isinstance(layer, Layer):
            raise ValueError(f"expected a layer; the config names {node.get('class_name')!r}")
        name = node.get("name", layer.name)
        layers[name] = layer
        if isinstance(layer, InputLayer):
            tensors[name, 0, 0] = layer.output
            continue
        counts[name] = 0
        waiting.extend((name, call) for call in node.get("inbound_nodes", []))

    def resolve(x: Any) -> Any:
        if isinstance(x, dict) and x.get("class_name") == "__keras_tensor__":
            return tensors[tuple(x["config"]["keras_history"])]  # type: ignore[index]
        if isinstance(x, dict) and "class_name" in x:
            return deserialize_keras_object(x)
        if isinstance(x, dict):
            return {k: resolve(v) for k, v in x.items()}
        if isinstance(x, list):
            return [resolve(v) for v in x]
        return x

    while waiting:
        later: list[tuple[str, Any]] = []
        for name, call in waiting:
            first = next(i for i, (n, _) in enumerate(waiting) if n == name)
            try:
                if waiting[first][1] is not call and any(n == name for n, _ in later):
                    raise KeyError(name)  # calls of one layer keep their order
                args, kwargs = resolve(list(call["args"])), resolve(dict(call.get("kwargs", {})))
            except KeyError:
                later.append((name, call))
                continue
            made = layers[name](*args, **kwargs)
            outputs = (
                made if isinstance(made, (list, tuple)) else list(made.values()) if isinstance(made, dict) else [made]
            )
            for i, tensor in enumerate(outputs):
                tensors[name, counts[name], i] = tensor
            counts[name] += 1
        if len(later) == len(waiting):
            raise ValueError(
                f"the config's layers do not form a graph: {', '.join(n for n, _ in later[:5])} wait forever"
            )
        waiting = later

    def ends(x: Any) -> Any:
        if _is_history(x):
            key = (x[0], x[1], x[2])
            if key not in tensors:
                raise ValueError(f"the config's input or output {x} does not exist")
            return tensors[key]
        return {k: ends(v) for k, v in x.items()} if isinstance(x, dict) else [ends(v) for v in x]

    model = cls(ends(config["input_layers"]), ends(config["output_layers"]), name=config.get("name"))
    if config.get("trainable") is False:
        model.trainable = False
    return model
