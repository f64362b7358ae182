"""clone_model: the same architecture with new weights, layer by layer, so that layers need no registered names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from berrante.graph.keras_tensor import KerasTensor
from berrante.graph.tape import flatten, map_structure
from berrante.layers.input import InputLayer
from berrante.layers.layer import Layer
from berrante.models.model import Model
from berrante.models.sequential import Sequential


def _copy(layer: Layer) -> Any:
    from berrante.saving.registry import live_functions

    if isinstance(layer, Model):
        return clone_model(layer)
    with live_functions():
        return type(layer).from_config(layer.get_config())


def clone_model(
    model: Any, input_tensors: Any = None, call_function: Any = None, clone_function: Any = None,
    recursive: bool = False, **_: Any,
) -> Any:  # fmt: skip
    """The same architecture with new weights, compiled alike if the model is.

    Args:
        model: a Sequential or functional model; ValueError for a subclass that only its own code describes.
        input_tensors: placeholders to build on instead of new Inputs.
        call_function: how a functional model's layers are called: (layer, *args, **kwargs) -> outputs.
        clone_function: gives the copy of a layer; by default from its config.
        recursive: whether both functions are also for the layers of models inside the model.
    """
    copy = clone_function or _copy
    if recursive and (clone_function or call_function):

        def copy(layer: Any) -> Any:
            inner = isinstance(layer, Model) and (isinstance(layer, Sequential) or layer._graph is not None)
            return clone(layer) if inner else (clone_function or _copy)(layer)

    def clone(model: Any, tensors: Any = None) -> Any:
        if isinstance(model, Sequential):
            twin = _clone_sequential(model, tensors, copy)
        else:
            twin = _clone_functional(model, tensors, copy, call_function)
        settings = model.get_compile_config()
        if settings is not None:
            twin.compile_from_config(settings)
        return twin

    if isinstance(model, Model) and not isinstance(model, Sequential) and model._graph is None:
        if clone_function is None:
            return type(model).from_config(model.get_config())
        raise ValueError(
            f"clone_model: expected a Sequential or functional model beside clone_function; received {model!r}"
        )
    if not isinstance(model, Model):
        raise ValueError(f"clone_model: expected a Sequential or functional model; received {model!r}")
    return clone(model, input_tensors)


def _clone_sequential(model: Sequential, input_tensors: Any, copy: Callable[[Any], Any]) -> Any:
    layers = [copy(layer) for layer in model.layers]
    twin = type(model)(name=model.name)
    given = flatten(input_tensors)[0] if input_tensors is not None else None
    if isinstance(given, KerasTensor) and given.node is not None and isinstance(given.node.operation, InputLayer):
        twin.add(given.node.operation)
    elif given is not None:
        twin.add(InputLayer(batch_shape=tuple(given.shape)))
    elif model._stack and isinstance(model._stack[0], InputLayer):
        twin.add(_copy(model._stack[0]))
    for layer in layers:
        twin.add(layer)
    return twin


def _clone_functional(model: Model, input_tensors: Any, copy: Any, call_function: Any) -> Any:
    graph = model._graph
    assert graph is not None
    given = flatten(input_tensors) if input_tensors is not None else None
    if given is not None and (
        len(given) != len(graph.inputs) or isinstance(input_tensors, dict) != isinstance(graph.inputs_structure, dict)
    ):
        raise ValueError(
            "clone_model: `input_tensors` must have the same structure as model.input: expected "
            f"{graph.inputs_structure}; received {input_tensors}"
        )
    known: dict[int, Any] = {}
    for i, old in enumerate(graph.inputs):
        if given is not None:
            known[id(old)] = given[i]
        else:
            made = type(old.node.operation) if old.node is not None else InputLayer
            known[id(old)] = made(batch_shape=old.shape, dtype=old.dtype, name=old.name).output
    twins: dict[int, Any] = {}

    def fill(x: Any) -> Any:
        return known[id(x)] if isinstance(x, KerasTensor) else x

    for node in graph.nodes:
        if all(id(t) in known for t in node.outputs):
            continue
        operation = node.operation
        if isinstance(operation, Layer):
            if id(operation) not in twins:
                twins[id(operation)] = copy(operation)
            operation = twins[id(operation)]
        args, kwargs = map_structure(fill, node.args), map_structure(fill, node.kwargs)
        if call_function is not None and isinstance(operation, Layer):
            outputs = call_function(operation, *args, **kwargs)
        else:
            outputs = operation(*args, **kwargs)
        known.update({id(t): v for t, v in zip(node.outputs, flatten(outputs), strict=True)})
    inputs, outputs = map_structure(fill, graph.inputs_structure), map_structure(fill, graph.outputs_structure)
    cls = type(model) if type(model).__init__ in (Model.__init__,) or type(model).__name__ == "Model" else Model
    return cls(inputs, outputs, name=model.name)
