"""Model: a layer with training methods; a subclass with `call`, or a functional graph from inputs to outputs."""

from __future__ import annotations

from typing import Any

from berrante.graph.keras_tensor import KerasTensor
from berrante.graph.tape import flatten, map_structure
from berrante.layers.configuration import definer, is_users, map_shapes
from berrante.layers.layer import Layer
from berrante.models.functional import FunctionGraph, paths_of
from berrante.models.trainer import Trainer


class Model(Trainer, Layer):
    """Groups layers into something that trains.

    `Model(inputs, outputs)` makes a functional model of the calls between Inputs and outputs. A subclass defines `call`
    (and may override train_step, test_step, predict_step).
    """

    _graph: FunctionGraph | None
    _composed = True

    def __init__(
        self, *args: Any, inputs: Any = None, outputs: Any = None, name: str | None = None, **kwargs: Any
    ) -> None:
        self._setup()
        if args:
            inputs = args[0]
            outputs = args[1] if len(args) > 1 else outputs
            name = args[2] if len(args) > 2 else name
        if "input" in kwargs:  # Keras 1
            inputs = kwargs.pop("input")
        if "output" in kwargs:
            outputs = kwargs.pop("output")
        if inputs is not None and type(self) is Model and name is None:
            from berrante.layers.layer import unique_name

            name = unique_name("functional")
        Layer.__init__(self, name=name, **kwargs)
        if (inputs is None) != (outputs is None):
            raise ValueError(f'[model "{self.name}"] expected both inputs and outputs; received only one')
        if inputs is not None:
            self._set_graph(FunctionGraph(inputs, outputs, own_inputs=True))

    def _setup(self) -> None:
        fresh = "_layers" not in self.__dict__
        super()._setup()
        if fresh:
            self._setup_trainer()
            object.__setattr__(self, "_graph", None)

    def _set_graph(self, graph: FunctionGraph) -> None:
        object.__setattr__(self, "_graph", graph)
        object.__setattr__(self, "_layers", list(graph.layers))
        self.built = True
        names = [layer.name for layer in graph.layers]
        repeated = {n for n in names if names.count(n) > 1}
        if repeated:
            raise ValueError(
                f'[model "{self.name}"] layer names must be unique; repeated: {", ".join(sorted(repeated))}'
            )

    # --- structure --------------------------------------------------------------------------------------------------

    @property
    def layers(self) -> list[Layer]:
        """The layers, Inputs included for functional models."""
        return list(self._layers)

    @layers.setter
    def layers(self, _: Any) -> None:
        raise AttributeError("`Model.layers` attribute is reserved and should not be used. Please use another name.")

    @property
    def operations(self) -> list[Any]:
        """The layers of a functional model and the operations between them."""
        return list(self._graph.operations) if self._graph is not None else []

    _operations = operations

    @property
    def inputs(self) -> list[KerasTensor]:
        return list(self._graph.inputs) if self._graph is not None else []

    @property
    def outputs(self) -> list[KerasTensor]:
        return list(self._graph.outputs) if self._graph is not None else []

    @property
    def input(self) -> Any:
        return self._graph.inputs_structure if self._graph is not None else super().input

    @property
    def output(self) -> Any:
        return self._graph.outputs_structure if self._graph is not None else super().output

    @property
    def input_shape(self) -> Any:
        return map_structure(lambda t: t.shape, self.input)

    @property
    def output_shape(self) -> Any:
        return map_structure(lambda t: t.shape, self.output)

    @property
    def output_names(self) -> list[str]:
        return self._known_output_names() or []

    @property
    def input_names(self) -> list[str]:
        return [t.name for t in self.inputs]

    def _known_output_names(self) -> list[str] | None:
        if self._graph is None:
            return None
        if isinstance(self._graph.outputs_structure, dict):
            return list(self._graph.outputs_structure)
        names = []
        for tensor in self._graph.outputs:
            assert tensor.node is not None
            name = tensor.node.operation.name
            names.append(name if name not in names else f"{name}_{tensor.index}")
        return names

    def _output_kind(self) -> type:
        return list if self._graph is None else type(self._graph.outputs_structure)

    def _output_shape(self) -> Any:
        return self._graph.outputs[0].shape if self._graph is not None and len(self._graph.outputs) == 1 else None

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """A layer by name or position."""
        if index is not None:
            if not -len(self._layers) <= index < len(self._layers):
                raise ValueError(f'[model "{self.name}"] has {len(self._layers)} layers; received index {index}')
            return self.layers[index]
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise ValueError(
            f'[model "{self.name}"] has no layer {name!r}; it has {", ".join(x.name for x in self.layers)}'
        )

    # --- calls ------------------------------------------------------------------------------------------------------

    def build(self, input_shape: Any = None) -> None:
        """Builds the layers for an input shape (with the batch)."""
        if self._graph is None and input_shape is not None and type(self).call is not Model.call and not self._building:
            x = map_shapes(lambda shape: KerasTensor(shape), input_shape)
            object.__setattr__(self, "_building", True)
            try:
                self.compute_output_spec_of(x)
            finally:
                object.__setattr__(self, "_building", False)
        self.built = True

    def compute_output_spec_of(self, x: Any) -> Any:
        from berrante.graph.keras_tensor import infer_outputs

        return infer_outputs(self._run, (x,), {})

    def _casts_integers(self) -> bool:
        return False

    def _has_call(self) -> bool:
        """False for models of parts, such as a GAN, that define train_step alone."""
        return self._graph is not None or type(self).call is not Model.call

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        if self._graph is None:
            raise NotImplementedError(f"{type(self).__name__} must define call(), or be made from inputs and outputs")
        outputs = self._graph.run(self._input_values(inputs), training)
        return outputs[0] if isinstance(outputs, list) and len(outputs) == 1 else outputs

    def _input_values(self, inputs: Any) -> list[Any]:
        """One value per Input, by name or in order, of the rank that the Input has."""
        graph = self._graph
        assert graph is not None
        values = self._leaves_of(inputs, graph.inputs_structure)
        if len(values) != len(graph.inputs):
            raise ValueError(f"expects {len(graph.inputs)} input(s), but it received {len(values)} input tensors")
        return [self._fit_rank(v, t) for v, t in zip(values, graph.inputs, strict=True)]

    def _leaves_of(self, inputs: Any, structure: Any) -> list[Any]:
        """The inputs in the order of the model's; a warning where they come in another nesting."""
        nested = isinstance(structure, dict)
        if isinstance(inputs, dict):
            expected = list(structure) if nested else self.input_names
            if any(n not in inputs for n in expected):
                raise ValueError(
                    f"expects named input(s) with keys: {', '.join(map(str, expected))}; received {', '.join(map(str, inputs))}"
                )
            if len(inputs) > len(expected):
                self._warn_of_structure(inputs)
            if not nested:
                return [inputs[n] for n in expected]
            return [leaf for n in expected for leaf in self._leaves_of(inputs[n], structure[n])]
        if nested:
            if len(structure) > 1 and not isinstance(inputs, (list, tuple)):
                raise ValueError(
                    f"expects named input(s) with keys: {', '.join(map(str, structure))}; received {inputs!r}"
                )
            self._warn_of_structure(inputs)
        return flatten(inputs)

    def _warn_of_structure(self, inputs: Any) -> None:
        import warnings

        assert self._graph is not None
        expected = map_structure(lambda t: t.name, self._graph.inputs_structure)
        warnings.warn(
            "The structure of `inputs` doesn't match the expected structure.\n"
            f"Expected: {expected}\nReceived: inputs={map_structure(lambda _: '*', inputs)}",
            stacklevel=3,
        )

    def _fit_rank(self, value: Any, tensor: KerasTensor) -> Any:
        from berrante import ops

        if value is None:
            if getattr(getattr(tensor.node, "operation", None), "optional", False):
                return None
            raise ValueError(f'input "{tensor.name}" is not optional: expected a value; received None')
        shape, expected = tuple(value.shape), tensor.shape
        if len(shape) == len(expected) - 1 and expected[-1] == 1:
            value = ops.expand_dims(value, -1)
        elif len(shape) == len(expected) + 1 and shape[-1] == 1:
            value = ops.squeeze(value, -1)
        shape = tuple(value.shape)
        fits = len(shape) == len(expected) and all(
            a is None or b is None or a == b for a, b in zip(shape[1:], expected[1:], strict=True)
        )
        if not fits:
            assert self._graph is not None
            path = paths_of(self._graph.inputs_structure)[[t is tensor for t in self._graph.inputs].index(True)]
            raise ValueError(
                f"Invalid shape for the input with name '{tensor.name}' and path '{path}': expected shape={expected}, "
                f"found shape={shape}"
            )
        return ops.cast(value, tensor.dtype) if getattr(value, "dtype", None) != tensor.dtype else value

    # --- saving and showing -----------------------------------------------------------------------------------------

    def save(self, filepath: Any, overwrite: bool = True, **kwargs: Any) -> None:
        """Writes architecture, weights, and compile and optimizer state to a file."""
        from berrante.saving import save_model

        save_model(self, filepath, overwrite, **kwargs)

    def save_weights(self, filepath: Any, overwrite: bool = True, **kwargs: Any) -> None:
        """Writes the weights to a file."""
        from berrante.saving import save_weights

        save_weights(self, filepath, overwrite, **kwargs)

    def load_weights(self, filepath: Any, **kwargs: Any) -> None:
        """Reads the weights from a file; if it does not fit, nothing changes."""
        from berrante.saving import load_weights

        load_weights(self, filepath, **kwargs)

    def get_state_tree(self, value_format: str = "backend_tensor") -> dict[str, Any]:
        """All variables as nested dicts: by part (trainable_variables, ...), then by path; arrays or tensors."""
        from berrante.models.state_tree import get_state_tree

        return get_state_tree(self, value_format)

    def set_state_tree(self, state_tree: dict[str, Any]) -> None:
        """Assigns values as get_state_tree gives them; what the tree leaves out stays."""
        from berrante.models.state_tree import set_state_tree

        set_state_tree(self, state_tree)

    def summary(self, *args: Any, **kwargs: Any) -> None:
        """Prints the layers, their output shapes and parameters; arguments as utils.print_summary's."""
        from berrante.utils.summary import print_summary

        print_summary(self, *args, **kwargs)

    def to_json(self, **kwargs: Any) -> str:
        """The architecture as JSON."""
        import json

        from berrante.saving.registry import serialize_keras_object

        return json.dumps(serialize_keras_object(self), **kwargs)

    def get_config(self) -> dict[str, Any]:
        if self._graph is None or is_users(definer(type(self), "__init__")):
            return super().get_config()
        from berrante.saving.functional_config import functional_config

        return functional_config(self)

    @classmethod
    def _takes_layers(cls, config: dict[str, Any]) -> bool:
        """Whether from_config makes the layers of this config itself."""
        return "layers" in config and "input_layers" in config

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        from berrante.saving.functional_config import functional_from_config
        from berrante.saving.registry import custom_object_scope, guarded

        if not cls._takes_layers(config):
            return cls(**config)
        with custom_object_scope(custom_objects or {}), guarded(config):
            return functional_from_config(cls, config)

    def get_compile_config(self) -> dict[str, Any] | None:
        """The arguments of compile(), serialised."""
        if not self.compiled:
            return None
        from berrante.saving.registry import serialize_keras_object

        return {k: serialize_keras_object(v) for k, v in self._compile_arguments.items()}

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles with serialised arguments and makes the optimizer's slots."""
        from berrante.saving.registry import deserialize_keras_object

        arguments = {k: deserialize_keras_object(v) for k, v in config.items()}
        self.compile(**arguments)
        if self.built and self.optimizer is not None:
            self.optimizer.build(self._train_variables())
