"""Sequential: layers one after the other."""

from __future__ import annotations

from typing import Any

from berrante.graph.keras_tensor import KerasTensor
from berrante.layers.input import InputLayer
from berrante.layers.layer import Layer
from berrante.models.functional import FunctionGraph
from berrante.models.model import Model


def _is_one_shape(shape: Any) -> bool:
    return isinstance(shape, (list, tuple)) and all(n is None or isinstance(n, int) for n in shape)


class Sequential(Model):
    """A stack of layers.

    With a known input shape (an Input first, or `input_shape=` on the first layer) each layer is built as it is added;
    otherwise all are built at the first call.
    """

    _stack: list[Layer]

    def __init__(self, layers: Any = None, trainable: bool = True, name: str | None = None) -> None:
        super().__init__(name=name, trainable=trainable)
        object.__setattr__(self, "_stack", [])
        if layers is not None and not isinstance(layers, (list, tuple)):
            layers = [layers]
        for layer in layers or []:
            self.add(layer)

    def add(self, layer: Any, rebuild: bool = True) -> None:
        """Puts a layer on top."""
        if isinstance(layer, KerasTensor) and layer.node is not None and isinstance(layer.node.operation, InputLayer):
            layer = layer.node.operation
        if not isinstance(layer, Layer):
            raise ValueError(
                f'[sequential "{self.name}"] Only instances of `keras.Layer` can be added to a Sequential model. Received: '
                f"{layer!r} (of type {type(layer)})"
            )
        if any(layer.name == other.name for other in self._stack):
            raise ValueError(
                f'[sequential "{self.name}"] all layers added to a Sequential model should have unique names; there is '
                f"already {layer.name!r}"
            )
        if not self._stack and not isinstance(layer, InputLayer):
            shape = getattr(layer, "batch_input_shape", None)
            if shape is None and isinstance(layer, Model) and layer._graph is not None:
                shape = layer._graph.inputs[0].shape
            if shape is not None:
                dtype = "int32" if not layer._casts_integers() and not isinstance(layer, Model) else "float32"
                self._stack.append(InputLayer(batch_shape=shape, dtype=dtype))
        elif isinstance(layer, InputLayer) and self._stack:
            raise ValueError(
                f'[sequential "{self.name}"] an Input must come first: the model has already been configured to use '
                f"input shape {self._stack[0].batch_shape if isinstance(self._stack[0], InputLayer) else None}"
            )
        self._stack.append(layer)
        try:
            self._rebuild()
        except Exception:
            self._stack.pop()
            raise

    def pop(self, rebuild: bool = True) -> Layer:
        """Removes and returns the last layer."""
        if not self.layers:
            raise ValueError(f'[sequential "{self.name}"] has no layers')
        layer = self._stack.pop()
        if len(self._stack) == 1 and isinstance(self._stack[0], InputLayer):
            object.__setattr__(self, "_graph", None)
        self._rebuild()
        return layer

    def _rebuild(self) -> None:
        object.__setattr__(self, "_layers", list(self._stack))
        object.__setattr__(self, "built", False)
        self._programs.clear()
        if len(self._stack) > 1 and isinstance(self._stack[0], InputLayer):
            tensor = self._stack[0].output
            last = self._graph.outputs[0] if self._graph is not None else None
            if last is not None and last.node is not None:
                if len(self._stack) > 2 and last.node.operation is self._stack[-2]:
                    tensor = self._stack[-1](last)
                    self._connect(tensor)
                    return
            for layer in self._stack[1:]:
                tensor = layer(tensor)
            self._connect(tensor)

    def _connect(self, output: Any) -> None:
        object.__setattr__(self, "_graph", FunctionGraph(self._stack[0].output, output))
        self.built = True

    @property
    def layers(self) -> list[Layer]:
        """The layers without the Input."""
        return [x for x in self._stack if not isinstance(x, InputLayer)]

    @layers.setter
    def layers(self, _: Any) -> None:
        raise AttributeError(
            "`Sequential.layers` attribute is reserved and should not be used. Use `add()` and `pop()` to change the layers "
            "in this model."
        )

    @property
    def _functional(self) -> Model | None:
        """The model as a functional one, once its input shape is known: the same layers."""
        return None if self._graph is None else Model(self._graph.inputs_structure, self._graph.outputs_structure)

    @property
    def inputs(self) -> list[KerasTensor]:
        return super().inputs if self._graph is not None else self._not_yet("inputs")

    @property
    def outputs(self) -> list[KerasTensor]:
        return super().outputs if self._graph is not None else self._not_yet("outputs")

    def _not_yet(self, what: str) -> Any:
        raise AttributeError(
            f'[sequential "{self.name}"] has no {what} yet: give it an input shape, or call it on data'
        )

    def build(self, input_shape: Any = None) -> None:
        """Builds all layers for an input shape (with the batch)."""
        if self._graph is not None and input_shape is not None and self.layers:
            expected, shape = self._graph.inputs[0].shape, tuple(input_shape)
            same = len(shape) == len(expected) and all(
                a is None or b is None or a == b for a, b in zip(shape[1:], expected[1:], strict=True)
            )
            if not same:
                raise ValueError(
                    f'[sequential "{self.name}"] has already been configured to use input shape {expected}; build() received '
                    f"{shape}"
                )
        if self._graph is None and self._stack and _is_one_shape(input_shape):
            shape = (None, *tuple(input_shape)[1:])
            self._stack.insert(0, InputLayer(batch_shape=shape))
            try:
                self._rebuild()
            except Exception:
                self._stack.pop(0)
                object.__setattr__(self, "_layers", list(self._stack))
                raise
        self.built = True

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        if not self.layers:
            raise ValueError("has no layers: add() some first")
        if self._graph is None and isinstance(inputs, (list, tuple, dict)):
            for layer in self.layers:
                inputs = layer(inputs)
            return inputs
        if self._graph is None:
            self.build(tuple(inputs.shape))
        return super().call(inputs, training)

    def get_config(self) -> dict[str, Any]:
        from berrante.saving.registry import serialize_keras_object

        config: dict[str, Any] = {"name": self.name, "trainable": self._trainable, "dtype": self._dtype_config()}
        config["layers"] = [serialize_keras_object(layer) for layer in self._stack]
        if self._graph is not None:
            config["build_input_shape"] = self._graph.inputs[0].shape
        return config

    @classmethod
    def _takes_layers(cls, config: Any) -> bool:
        return isinstance(config, list) or "layers" in config

    @classmethod
    def from_config(cls, config: Any, custom_objects: Any = None) -> Any:
        """The model of a config: a dict, or a list of layers as Keras 1 and 2 wrote it."""
        from berrante.saving.registry import custom_object_scope, deserialize_keras_object, guarded

        if isinstance(config, list):
            config = {"name": None, "layers": config}
        layers = config.get("layers", [])
        if not isinstance(layers, list):
            raise ValueError(f"Sequential: expected a list of layers; received {type(layers).__name__}")
        with custom_object_scope(custom_objects or {}), guarded(config):
            model = cls(name=config.get("name"))
            for layer in layers:
                if isinstance(layer, dict) and "config" not in layer:
                    raise ValueError(
                        f"Sequential: Expected a dictionary containing a 'config' key. Received: {str(layer)[:80]}"
                    )
                model.add(deserialize_keras_object(layer))
            if config.get("build_input_shape") and not model.built:
                model.build(tuple(config["build_input_shape"]))
        if config.get("trainable") is False:
            object.__setattr__(model, "_trainable", False)
        return model
