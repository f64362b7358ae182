"""keras.models of Keras 2: Model, Sequential and what makes models of files and configs."""

from __future__ import annotations

import json
from typing import Any

from berrante import models as core
from berrante.compat.backend.state import get_uid
from berrante.compat.dialect import depends_on_training
from berrante.compat.keras2.layers import Input, InputLayer, Layer
from berrante.compat.keras2.memory import for_files, for_memory
from berrante.compat.keras2.training import Training
from berrante.graph.keras_tensor import KerasTensor
from berrante.models import load_model


def _single(x: Any) -> Any:
    return x[0] if isinstance(x, (list, tuple)) and len(x) == 1 and isinstance(x[0], KerasTensor) else x


class Model(Training, core.Model):  # type: ignore[misc]
    """Layers between inputs and outputs, trained as in Keras 2."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if kwargs.get("name") is None and len(args) < 3:
            prefix = "model" if type(self) in (Model, Sequential) else type(self).__name__.lower()
            if not isinstance(self, Sequential):
                kwargs["name"] = f"{prefix}_{get_uid(prefix)}"
        # One tensor in a list is one tensor in Keras 2.
        args = tuple(_single(a) for a in args)
        super().__init__(*args, **{k: _single(v) for k, v in kwargs.items()})

    @property
    def input(self) -> Any:
        return core.Model.input.fget(self)  # type: ignore[attr-defined]

    @property
    def output(self) -> Any:
        return core.Model.output.fget(self)  # type: ignore[attr-defined]

    @property
    def input_shape(self) -> Any:
        return core.Model.input_shape.fget(self)  # type: ignore[attr-defined]

    @property
    def output_shape(self) -> Any:
        return core.Model.output_shape.fget(self)  # type: ignore[attr-defined]

    def get_config(self) -> dict[str, Any]:
        with for_memory():
            return core.Model.get_config(self)

    def to_json(self, **kwargs: Any) -> str:
        """The architecture as JSON; ValueError where a layer holds a function without a name."""
        with for_files():
            return core.Model.to_json(self, **kwargs)

    def to_yaml(self, **kwargs: Any) -> str:
        """The architecture as YAML; needs PyYAML."""
        return str(_yaml().safe_dump(json.loads(self.to_json()), **kwargs))

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Writes architecture, weights, and compile and optimizer state to a file."""
        with for_files():
            core.Model.save(self, *args, **kwargs)

    @property
    def updates(self) -> list[Any]:
        """What a training step changes beside the trainable weights; nothing in a frozen model."""
        found = [u for layer in self.layers for u in getattr(layer, "updates", [])] if self._trainable else []
        return list(dict.fromkeys(found))

    @property
    def state_updates(self) -> list[Any]:
        return []

    @property
    def uses_learning_phase(self) -> bool:
        graph = self._graph
        if graph is not None:
            return any(depends_on_training(node) for node in graph.nodes)
        return any(layer._depends_on_training() for layer in self.layers if hasattr(layer, "_depends_on_training"))

    @property
    def _layers_by_depth(self) -> dict[int, list[Any]]:
        """The layers by their distance from the outputs."""
        found: dict[int, list[Any]] = {}
        if self._graph is not None:
            for layer in self._graph.layers:
                found.setdefault(self._graph.depths[id(layer)], []).append(layer)
        return found

    @property
    def _input_layers(self) -> list[Any]:
        return [t.node.operation for t in self._graph.inputs if t.node is not None] if self._graph is not None else []

    @property
    def _output_layers(self) -> list[Any]:
        return [t.node.operation for t in self._graph.outputs if t.node is not None] if self._graph is not None else []

    def _depends_on_training(self) -> bool:
        return self.uses_learning_phase


class Sequential(Model, core.Sequential):  # type: ignore[misc]
    """A stack of layers."""

    def __init__(self, layers: Any = None, name: str | None = None) -> None:
        core.Sequential.__init__(self, None, name=name or f"sequential_{get_uid('sequential')}")
        for layer in layers or []:
            self.add(layer)

    layers = core.Sequential.layers  # type: ignore[assignment]

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        if not self.layers:
            raise ValueError("has no layers: add() some first")
        if self._graph is None:
            if isinstance(inputs, (list, tuple)) and len(inputs) == 1:
                inputs = inputs[0]
            self.build(tuple(inputs.shape))
        return Training.call(self, inputs, training)

    def get_config(self) -> dict[str, Any]:
        with for_memory():
            return core.Sequential.get_config(self)

    def pop(self, rebuild: bool = True) -> Any:
        """Removes the last layer."""
        if not self.layers:
            raise TypeError("There are no layers in the model.")
        return core.Sequential.pop(self, rebuild)

    def add(self, layer: Any, rebuild: bool = True) -> None:
        """Puts a layer on top."""
        if not isinstance(layer, core.Model.__mro__[-2]) and not hasattr(layer, "call"):
            raise TypeError(f"The added layer must be an instance of class Layer. Found: {layer!r}")
        core.Sequential.add(self, layer, rebuild)


def _yaml() -> Any:
    try:
        import yaml
    except ImportError:
        raise ImportError("to_yaml and model_from_yaml need the package PyYAML: pip install pyyaml") from None
    return yaml


def model_from_yaml(yaml_string: str, custom_objects: Any = None) -> Any:
    """The model of to_yaml(), with new weights; only plain YAML is read, never objects."""
    return model_from_config(_yaml().safe_load(yaml_string), custom_objects)


def model_from_json(json_string: str, custom_objects: Any = None) -> Any:
    """The model of to_json(), with new weights."""
    return core.model_from_json(json_string, custom_objects)


def model_from_config(config: Any, custom_objects: Any = None) -> Any:
    """The model of {class_name, config}."""
    if not isinstance(config, dict):
        raise TypeError(
            "`model_from_config` expects a dictionary, not a list. Maybe you meant to use "
            "`Sequential.from_config(config)`?"
        )
    from berrante.saving.registry import deserialize_keras_object

    return deserialize_keras_object(config, custom_objects)


def save_model(
    model: Any, filepath: Any, overwrite: bool = True, include_optimizer: bool = True, **kwargs: Any
) -> None:
    """model.save."""
    model.save(filepath, overwrite=overwrite, include_optimizer=include_optimizer, **kwargs)


def clone_model(model: Any, input_tensors: Any = None, clone_function: Any = None) -> Any:
    """The same architecture with new weights."""
    if input_tensors is not None:
        many = isinstance(input_tensors, (list, tuple))
        tensors = list(input_tensors) if many else [input_tensors]
        input_tensors = [t if isinstance(t, KerasTensor) else Input(tensor=t) for t in tensors]
        input_tensors = input_tensors if many else input_tensors[0]
    return core.clone_model(model, input_tensors, clone_function=clone_function)


__all__ = [
    "Input", "InputLayer", "Layer", "Model", "Sequential", "clone_model", "load_model", "model_from_config",
    "model_from_json", "model_from_yaml", "save_model",
]  # fmt: skip
