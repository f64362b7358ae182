"""Layer as Keras 2 has it: its constructor's arguments, its names, its nodes, its way of declaring weights."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from berrante.compat.backend.state import get_uid
from berrante.compat.differences import LAYER_ARGUMENTS, LAYER_DEFAULTS, LAYER_VALUES
from berrante.compat.keras2 import activations
from berrante.graph.keras_tensor import FunctionalNode, KerasTensor
from berrante.graph.tape import flatten, map_structure
from berrante.graph.tensor import Tensor
from berrante.graph.variable import Variable
from berrante.layers import layer as core

_OWN_WEIGHTS = ("Embedding",)  # take `weights` themselves


class _Frozen(threading.local):
    """How many of the models being called are not trainable."""

    depth = 0


frozen = _Frozen()


def rename_arguments(what: str, table: dict[str, str], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments under today's names, with Keras' warning; TypeError if both names are given."""
    renamed = dict(kwargs)
    for old, new in table.items():
        if old in renamed:
            value = renamed.pop(old)
            if new in renamed:
                raise TypeError(f"{what}: received both {old}= (Keras 1) and {new}=; pass the latter only")
            renamed[new] = LAYER_VALUES.get(new, {}).get(value, value) if isinstance(value, str) else value
            warnings.warn(f"Update your `{what}` call to the Keras 2 API: {new}= instead of {old}=", stacklevel=4)
    return renamed


class Node:
    """A call of a layer, seen as Keras 2 shows it."""

    def __init__(self, node: FunctionalNode, layer: Any) -> None:
        self.outbound_layer = layer
        self.input_tensors = list(node.inputs) or list(node.outputs)
        self.output_tensors = list(node.outputs)
        self.input_shapes = [t.shape for t in self.input_tensors]
        self.output_shapes = [t.shape for t in self.output_tensors]
        producers = [t.node for t in node.inputs if t.node is not None]
        self.inbound_layers = [p.operation for p in producers]
        self.node_indices = [_index(p) for p in producers]
        self.tensor_indices = [t.index for t in node.inputs]
        self.input_masks = [t._keras_mask for t in self.input_tensors]
        self.output_masks = [t._keras_mask for t in self.output_tensors]
        self.arguments = dict(node.kwargs)

    def get_config(self) -> dict[str, Any]:
        """The layers' names and the numbers of their calls and tensors."""
        return {
            "outbound_layer": self.outbound_layer.name,
            "inbound_layers": [layer.name for layer in self.inbound_layers],
            "node_indices": self.node_indices,
            "tensor_indices": self.tensor_indices,
        }


def _index(node: FunctionalNode) -> int:
    nodes = getattr(node.operation, "_nodes", [node])
    return next((i for i, n in enumerate(nodes) if n is node), 0)


class Layer(core.Layer):
    """The base of Keras 2's layers."""

    # Keras 2 sums penalties on outputs over the batch, tf.keras 2 takes the mean over its samples (compat.dialect).
    penalties_by_sample = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kind = _core_name(type(self))
        kwargs = rename_arguments(type(self).__name__, LAYER_ARGUMENTS.get(kind, {}), kwargs)
        for name, value in LAYER_DEFAULTS.get(kind, {}).items():
            kwargs.setdefault(name, value)
        args = tuple(activations.of_keras2(a) for a in args)
        kwargs = {k: activations.of_keras2(v) for k, v in kwargs.items()}
        initial = None if kind in _OWN_WEIGHTS else kwargs.pop("weights", None)
        if "input_dtype" in kwargs:
            kwargs["dtype"] = kwargs.pop("input_dtype")
        if kwargs.get("name") is None:
            prefix = core.snake_case(type(self).__name__).lstrip("_")
            kwargs["name"] = f"{prefix}_{get_uid(prefix)}"
        super().__init__(*args, **kwargs)
        object.__setattr__(self, "_initial_weights", initial)
        object.__setattr__(self, "stateful", getattr(self, "stateful", False))

    # --- weights ----------------------------------------------------------------------------------------------------

    def add_weight(self, *args: Any, **kwargs: Any) -> Any:
        """Keras 2's order is name, shape, dtype, initializer, regularizer, trainable, constraint."""
        if args and (isinstance(args[0], str) or args[0] is None):
            order = ("name", "shape", "dtype", "initializer", "regularizer", "trainable", "constraint")
            kwargs = {**dict(zip(order, args)), **kwargs}
            args = ()
        return super().add_weight(*args, **kwargs)

    def _build_for(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        super()._build_for(args, kwargs)
        initial = self.__dict__.get("_initial_weights")
        if initial is not None:
            object.__setattr__(self, "_initial_weights", None)
            self.set_weights([np.asarray(w) for w in initial])

    @property
    def trainable(self) -> bool:
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        object.__setattr__(self, "_trainable", bool(value))  # Keras 2 does not touch the layers inside

    def _collect_trainable(self) -> Iterator[Variable]:
        if self._trainable:
            yield from super()._collect_trainable()

    @property
    def trainable_weights(self) -> list[Variable]:
        return list(dict.fromkeys(self._collect_trainable()))

    @trainable_weights.setter
    def trainable_weights(self, weights: list[Variable]) -> None:
        self._declare(weights, True)

    @property
    def non_trainable_weights(self) -> list[Variable]:
        trainable = set(self.trainable_weights)
        return [v for v in self.weights if v not in trainable]

    @non_trainable_weights.setter
    def non_trainable_weights(self, weights: list[Variable]) -> None:
        self._declare(weights, False)

    def _declare(self, weights: list[Variable], trainable: bool) -> None:
        for variable in weights:
            variable.trainable = trainable
            self._track(variable)

    # --- updates and losses -----------------------------------------------------------------------------------------

    @property
    def updates(self) -> list[Any]:
        """The moving averages and such that a training step changes beside the trainable weights."""
        inside = [u for layer in self._layers for u in getattr(layer, "updates", [])] if self._trainable else []
        return list(dict.fromkeys(inside))

    def _activity_penalty(self, y: Any) -> Any:
        return super()._activity_penalty(y) if Layer.penalties_by_sample else self.activity_regularizer(y)

    def add_update(self, updates: Any, inputs: Any = None) -> None:
        """Pairs of a variable and its new value, assigned at once or in the step that is traced."""
        for update in updates if isinstance(updates, list) else [updates]:
            if isinstance(update, tuple):
                update[0].assign(update[1])
            self._remember("_added_updates", update, inputs)

    def get_updates_for(self, inputs: Any) -> list[Any]:
        """What add_update was given for these inputs (None: for none); without any, all updates."""
        return self._remembered("_added_updates", inputs, self.updates)

    def add_loss(self, loss: Any, inputs: Any = None) -> None:
        super().add_loss(loss)
        for one in loss if isinstance(loss, list) else [loss]:
            self._remember("_added_losses", one, inputs)

    def get_losses_for(self, inputs: Any) -> list[Any]:
        """What add_loss was given for these inputs (None: for none); without any, all losses."""
        return self._remembered("_added_losses", inputs, list(self.losses))

    def _remember(self, what: str, value: Any, inputs: Any) -> None:
        if not isinstance(value, Tensor):  # a value of this very step is not kept
            self.__dict__.setdefault(what, []).append((_ids(inputs), value))

    def _remembered(self, what: str, inputs: Any, otherwise: list[Any]) -> list[Any]:
        added = self.__dict__.get(what)
        return otherwise if added is None else [value for key, value in added if key == _ids(inputs)]

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The output's mask: the input's, and None of a layer that does not support masks."""
        if not self.supports_masking and isinstance(mask, (list, np.ndarray)):
            if isinstance(mask, np.ndarray) or any(m is not None for m in mask):
                raise TypeError(f"Layer {self.name} does not support masking, but was passed an input_mask: {mask}")
            return None
        return super().compute_mask(inputs, mask)

    def reset_states(self) -> None:
        """Nothing, unless the layer keeps states between batches."""

    @property
    def uses_learning_phase(self) -> bool:
        return self._depends_on_training()

    def _depends_on_training(self) -> bool:
        return "training" in self._arguments()

    # --- nodes ------------------------------------------------------------------------------------------------------

    @property
    def _inbound_nodes(self) -> list[Node]:
        return [Node(node, self) for node in self._nodes]

    @property
    def _outbound_nodes(self) -> list[Node]:
        return [Node(taker, taker.operation) for node in self._nodes for taker in node.consumers]

    @_outbound_nodes.setter
    def _outbound_nodes(self, value: Any) -> None:
        """Accepted: scripts empty the list when they take a layer away, which pop() does by itself."""

    inbound_nodes, outbound_nodes = _inbound_nodes, _outbound_nodes

    def _one_node(self, what: str) -> FunctionalNode:
        if not self._nodes:
            raise AttributeError(f"Layer {self.name} has no inbound nodes: it was never called, so there is no {what}")
        if len(self._nodes) > 1:
            raise AttributeError(f"Layer {self.name} has multiple inbound nodes; use get_{what}_at(node_index)")
        return self._nodes[0]

    def _node_at(self, index: int, what: str) -> FunctionalNode:
        if not self._nodes:
            raise RuntimeError(f"The layer {self.name} has never been called and thus has no defined {what}.")
        if not 0 <= index < len(self._nodes):
            raise ValueError(f"Asked to get {what} at node {index}, but the layer has only {len(self._nodes)} nodes")
        return self._nodes[index]

    @property
    def input(self) -> Any:
        return _inputs(self._one_node("input"))

    @property
    def output(self) -> Any:
        return self._one_node("output").structure

    def get_input_at(self, node_index: int) -> Any:
        """The input of the layer's call with this number."""
        return _inputs(self._node_at(node_index, "input"))

    def get_output_at(self, node_index: int) -> Any:
        """The output of the layer's call with this number."""
        return self._node_at(node_index, "output").structure

    def get_input_shape_at(self, node_index: int) -> Any:
        return _shapes(self.get_input_at(node_index))

    def get_output_shape_at(self, node_index: int) -> Any:
        return _shapes(self.get_output_at(node_index))

    def get_input_mask_at(self, node_index: int) -> Any:
        return map_structure(lambda t: getattr(t, "_keras_mask", None), self.get_input_at(node_index))

    def get_output_mask_at(self, node_index: int) -> Any:
        return map_structure(lambda t: getattr(t, "_keras_mask", None), self.get_output_at(node_index))

    @property
    def input_mask(self) -> Any:
        self._one_node("input_mask")
        return self.get_input_mask_at(0)

    @property
    def output_mask(self) -> Any:
        self._one_node("output_mask")
        return self.get_output_mask_at(0)

    @property
    def input_shape(self) -> Any:
        return self._common_shape("input")

    @property
    def output_shape(self) -> Any:
        return self._common_shape("output")

    def _common_shape(self, what: str) -> Any:
        if not self._nodes:
            raise AttributeError(f"The layer {self.name} has never been called and thus has no defined {what} shape.")
        shapes = [_shapes(_inputs(n) if what == "input" else n.structure) for n in self._nodes]
        if any(s != shapes[0] for s in shapes):
            raise AttributeError(f"Layer {self.name} has multiple inbound nodes with different {what} shapes")
        return shapes[0]

    # --- config -----------------------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        shape = self.__dict__.get("batch_input_shape")
        if shape is not None:
            config["batch_input_shape"] = shape
        return config

    def _dtype_config(self) -> Any:
        return self.dtype


def _ids(inputs: Any) -> Any:
    return None if inputs is None else tuple(id(t) for t in flatten(inputs))


def _inputs(node: FunctionalNode) -> Any:
    tensors: list[KerasTensor] = node.inputs or node.outputs
    return tensors[0] if len(tensors) == 1 else list(tensors)


def _shapes(tensors: Any) -> Any:
    return map_structure(lambda t: t.shape, tensors)


def _core_name(cls: type) -> str:
    """The name of the built-in layer that a class is or extends."""
    for base in cls.__mro__:
        if base.__module__.startswith("berrante.layers"):
            return base.__name__
    return cls.__name__
