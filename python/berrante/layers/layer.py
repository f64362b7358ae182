"""Layer: weights, a `call`, and the bookkeeping around it, after keras.layers.Layer.

A layer builds its weights at its first call, from the input's shape. Called on tensors it computes (or is traced); called on
functional placeholders it records a node. Sublayers, variables and metrics are found as they are assigned to attributes.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from berrante import constraints as constraints_module
from berrante import dtype_policies, initializers, ops, regularizers
from berrante.graph.elementwise import BroadcastError
from berrante.graph.keras_tensor import FunctionalNode, KerasTensor, infer_outputs
from berrante.graph.op import as_tensor
from berrante.graph.tape import flatten, map_structure
from berrante.graph.tensor import Tensor, standard_dtype
from berrante.graph.variable import Variable, are_filled_later
from berrante.layers import tracking
from berrante.layers.configuration import Configurable, is_users, map_shapes
from berrante.layers.masking import carry_mask, has_mask, masks_of
from berrante.layers.naming import reset_names, snake_case, unique_name
from berrante.layers.spec import InputSpec, check_input
from berrante.layers.typed import Typed
from berrante.random import SeedGenerator

__all__ = ["InputSpec", "Layer", "call_context", "map_shapes", "reset_names", "snake_case", "unique_name"]


class _CallContext(threading.local):
    """What enclosing calls pass down: the training flag, and where losses go."""

    def __init__(self) -> None:
        self.training: bool | None = None
        self.losses: list[Any] | None = None
        self.depth = 0


call_context = _CallContext()


class Layer(Typed):
    """The base of all layers.

    Args:
        activity_regularizer: a penalty on the output.
        trainable: whether optimizers may change the weights.
        dtype: a dtype or dtype policy: `mixed_bfloat16` and `mixed_float16` compute in 16 bits with float32 weights.
        autocast: whether float inputs and weights are taken in the compute dtype.
        name: unique in a model; by default from the class.
        input_shape, batch_input_shape, input_dim: the first layer's input, without (with) the batch.
    """

    # Whether a mask of the input goes on to the output (through compute_mask).
    supports_masking = False
    # Whether layers of the class need no building: berrante's own without a build. A user's build turns that off.
    _stateless = False
    # What _setup makes.
    _layers: list[Layer]
    _variables: list[Variable]
    _seed_generators: list[SeedGenerator]
    _metrics: list[Any]
    _losses: list[Any]
    _nodes: list[FunctionalNode]
    _call_arguments: list[str] | None
    input_spec: Any

    def __init__(
        self, *, activity_regularizer: Any = None, trainable: bool = True, dtype: Any = None, autocast: bool = True,
        name: str | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        self._setup()
        shape = kwargs.pop("input_shape", None)
        batch, dim = kwargs.pop("batch_size", None), kwargs.pop("input_dim", None)
        full = kwargs.pop("batch_input_shape", kwargs.pop("batch_shape", None))
        if dim is not None:
            shape = (dim,)
        if shape is not None:
            full = (batch, *((shape,) if isinstance(shape, int) else tuple(shape)))
        if full is not None:
            self.batch_input_shape = tuple(full)
        if kwargs:
            raise TypeError(f"{type(self).__name__} got unexpected arguments: {', '.join(sorted(kwargs))}")
        if name is not None and not isinstance(name, str):
            raise TypeError(f"{type(self).__name__}: expected name to be a str; received {name!r}")
        self.name = name or unique_name(snake_case(type(self).__name__))
        self._trainable = bool(trainable)
        self._dtype_policy = dtype_policies.get(dtype)
        self.autocast = autocast
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self.built = self.built or (self._stateless and type(self).build is Configurable.build)

    def _setup(self) -> None:
        """State that attribute assignment needs; also runs for subclasses that assign before super().__init__()."""
        if "_layers" in self.__dict__:
            return
        for name in ("_layers", "_variables", "_seed_generators", "_metrics", "_losses", "_nodes"):
            object.__setattr__(self, name, [])
        for name in ("input_spec", "_call_arguments"):
            object.__setattr__(self, name, None)
        for name in ("built", "_building"):
            object.__setattr__(self, name, False)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not is_users(cls):
            cls._stateless = cls.build is Configurable.build and not hasattr(cls, "_optimizers")

    # --- tracking ---------------------------------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        self._setup()
        if isinstance(value, (list, dict)) and is_users(type(self)) and name not in tracking.OWN:
            value = tracking.wrapped(self, value)
        elif isinstance(value, (list, tuple, dict)) and not name.startswith("_"):
            for item in flatten(value):
                tracking.track(self, item)
        else:
            tracking.track(self, value)
        object.__setattr__(self, name, value)

    def _track(self, value: Any) -> None:
        tracking.track(self, value)

    def _untrack_variable(self, variable: Variable) -> None:
        tracking.untrack(self, variable)

    def _flatten_layers(self, include_self: bool = True, recursive: bool = True) -> Iterator[Layer]:
        if include_self:
            yield self
        for layer in self._layers:
            if recursive:
                yield from layer._flatten_layers()
            else:
                yield layer

    # --- weights ----------------------------------------------------------------------------------------------------

    def add_weight(
        self, shape: Any = None, initializer: Any = None, dtype: Any = None, trainable: bool = True,
        autocast: bool = True, regularizer: Any = None, constraint: Any = None, aggregation: str = "none",
        overwrite_with_gradient: bool = False, name: str | None = None,
    ) -> Variable:  # fmt: skip
        """A weight of the layer; the initializer defaults to glorot_uniform (zeros for integers)."""
        if isinstance(shape, str):  # Keras 2's order: name, shape
            raise TypeError(f"{self._label()}: expected add_weight(shape=...); received shape={shape!r}")
        shape = () if shape is None else (shape,) if isinstance(shape, int) else tuple(shape)
        kind = standard_dtype(dtype or "float32")
        chosen = initializers.get(initializer) or ("glorot_uniform" if kind == "float32" else "zeros")
        chosen = "zeros" if are_filled_later() else chosen
        variable = Variable(
            initializers.get(chosen), shape, kind, trainable, name or f"variable{len(self._variables) or ''}"
        )
        variable.path = f"{self.name}/{variable.name}"
        variable.autocast = bool(autocast)
        variable.regularizer = regularizers.get(regularizer)
        variable.constraint = constraints_module.get(constraint)
        self._track(variable)
        return variable

    add_variable = add_weight

    @property
    def trainable(self) -> bool:
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        object.__setattr__(self, "_trainable", bool(value))
        for layer in self._layers:
            layer.trainable = value

    @property
    def variables(self) -> list[Variable]:
        """Weights and the state of random generators."""
        seen: dict[Variable, None] = {}
        for v in self.weights:
            seen[v] = None
        for layer in self._flatten_layers():
            for generator in layer._seed_generators:
                seen[generator.state] = None
        return list(seen)

    @property
    def weights(self) -> list[Variable]:
        """Trainable weights, then the others, each layer's after its own order (nested layers in place)."""
        seen: dict[Variable, None] = {}
        for v in self._own_weights():
            seen[v] = None
        for layer in self._layers:
            for v in layer.weights:
                seen[v] = None
        return list(seen)

    def _collect_trainable(self) -> Iterator[Variable]:
        if self._trainable:
            yield from (v for v in self._variables if v.trainable)
        for layer in self._layers:
            yield from layer._collect_trainable()

    @property
    def trainable_weights(self) -> list[Variable]:
        if not self._trainable:
            return []
        return list(dict.fromkeys(self._collect_trainable()))

    trainable_variables = trainable_weights

    @property
    def non_trainable_weights(self) -> list[Variable]:
        trainable = set(self.trainable_weights)
        return [v for v in self.weights if v not in trainable]

    @property
    def non_trainable_variables(self) -> list[Variable]:
        trainable = set(self.trainable_weights)
        return [v for v in self.variables if v not in trainable]

    def get_weights(self) -> list[np.ndarray]:
        """Copies of the weights as NumPy arrays."""
        return [v.numpy() for v in self.weights]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Replaces all weights; nothing changes if a shape does not fit."""
        own = self.weights
        arrays = [np.asarray(w) for w in weights]
        if len(arrays) != len(own):
            raise ValueError(f"{self._label()}: expected {len(own)} weights; received {len(arrays)}")
        for v, w in zip(own, arrays, strict=True):
            if v.shape != w.shape:
                raise ValueError(f"{self._label()}: expected shape {v.shape} for {v.path}; received {w.shape}")
        for v, w in zip(own, arrays, strict=True):
            v.assign(w)

    def save_own_variables(self, store: Any) -> None:
        """Writes the layer's own weights into a mapping, as "0", "1" ..."""
        for i, v in enumerate(self._own_weights()):
            store[str(i)] = v.numpy()

    def load_own_variables(self, store: Any) -> None:
        """Reads what save_own_variables wrote; a wrong number is a ValueError."""
        own = self._own_weights()
        if len(store.keys()) != len(own):
            raise ValueError(f"{self._label()} expected {len(own)} weights; received {len(store.keys())}")
        for i, v in enumerate(own):
            v.assign(np.asarray(store[str(i)]))

    def _own_weights(self) -> list[Variable]:
        return sorted(self._variables, key=lambda v: not v.trainable)

    def count_params(self) -> int:
        """The number of elements of all weights."""
        if not self.built:
            raise ValueError(f"{self._label()} has no weights yet: build it or call it on data first")
        return sum(v.size for v in self.weights)

    # --- calls ------------------------------------------------------------------------------------------------------

    def call(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"Layer {type(self).__name__} does not have a `call` method implemented.")

    def _arguments(self) -> list[str]:
        """The names of call's arguments, in order."""
        if self._call_arguments is None:
            self._call_arguments = list(inspect.signature(self.call).parameters)
        return self._call_arguments

    def _training_default(self) -> Any:
        """What `call` takes where nobody says whether it is training."""
        default = inspect.signature(self.call).parameters["training"].default
        return False if default is inspect.Parameter.empty else default

    def _label(self) -> str:
        return f'[{snake_case(type(self).__name__)} "{self.name}"]'

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not hasattr(self, "name"):
            raise RuntimeError(f"{type(self).__name__}.__init__ must call super().__init__()")
        args = tuple(map_structure(self._as_input, a) for a in args)
        kwargs = {k: map_structure(self._as_input, v) if k != "training" else v for k, v in kwargs.items()}
        tensors = [x for x in flatten([list(args), kwargs]) if isinstance(x, (Tensor, KerasTensor))]
        self._check_input(args)
        if not self.built and not self._building:
            self._build_for(args, kwargs)
        if any(isinstance(x, KerasTensor) for x in tensors):
            try:
                outputs = infer_outputs(self._run, args, kwargs)
            except (ValueError, TypeError) as error:
                raise self._named(error) from error
            node = FunctionalNode(self, args, kwargs, outputs)
            self._nodes.append(node)
            return node.structure
        try:
            return self._run(*args, **kwargs)
        except (ValueError, TypeError) as error:
            raise self._named(error) from error

    def _named(self, error: Exception) -> Exception:
        text = str(error)
        if text.startswith("[") and '"' in text.split("]")[0]:
            return error
        if type(error) not in (ValueError, TypeError, BroadcastError):
            return error
        named = type(error)(f"{self._label()} {text}")
        named.__dict__.update(error.__dict__)
        return named

    def _run(self, *args: Any, **kwargs: Any) -> Any:
        context = call_context
        outer, outer_losses = context.training, context.losses
        training = kwargs.get("training")
        if training is None:
            training = outer
        if "training" in self._arguments():
            kwargs["training"] = bool(self._training_default() if training is None else training)
        else:
            kwargs.pop("training", None)
        inputs = args[0] if args else next(iter(kwargs.values()), None)
        previous = self._fill_mask(args, kwargs)
        top = context.depth == 0
        if top:
            self._clear_losses()
        context.training = training
        context.depth += 1
        try:
            outputs = self._compute(args, kwargs)
            if self.activity_regularizer is not None:
                self._losses.extend(self._activity_penalty(y) for y in flatten(outputs))
            if previous is not None or self.supports_masking:
                carry_mask(self, inputs, outputs, previous)
            return outputs
        finally:
            context.training, context.losses = outer, outer_losses
            context.depth -= 1

    def _activity_penalty(self, y: Any) -> Any:
        """The mean over the samples."""
        batch = max(1, y.shape[0]) if y.shape else 1
        return ops.divide(self.activity_regularizer(y), float(batch))

    def _fill_mask(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Hands the input's mask to a call that takes one; gives the first input's mask."""
        if kwargs.get("mask") is not None:
            return kwargs["mask"]
        for name, value in (*zip(self._arguments(), args, strict=False), *list(kwargs.items())):
            own = f"{name}_mask"  # query_mask beside query
            if own in self._arguments() and kwargs.get(own) is None and has_mask(value):
                kwargs[own] = masks_of(value)
        if len(args) != 1 or not has_mask(args[0]):
            return None
        mask = masks_of(args[0])
        if "mask" in self._arguments():
            kwargs["mask"] = mask
        return mask

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """The output's mask: by default the input's."""
        return previous_mask

    def _as_input(self, x: Any) -> Any:
        """Arrays and variables as tensors; integers and bytes as float32 where the layer computes in floats."""
        if isinstance(x, (np.ndarray, Variable, np.generic)):
            x = as_tensor(x)
        if isinstance(x, Tensor) and x.dtype == "uint8" and self.autocast and self._casts_integers():
            x = ops.cast(x, "float32")
        return x

    def _casts_integers(self) -> bool:
        return True

    def _check_input(self, args: tuple[Any, ...]) -> None:
        if args and self.input_spec is not None:
            check_input(self.input_spec, args[0], self._label(), getattr(self, "data_format", None))

    def _build_for(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._building = True
        try:
            shapes = self._shapes_by_name(args, kwargs)
            names = list(inspect.signature(self.build).parameters)
            if len(names) > 1 and any(f"{n}_shape" in names for n in self._arguments()):
                self.build(**{name: shape for name, shape in shapes.items() if name in names})
            else:
                first = next(iter(shapes.values()), None)
                self.build(first)
                self._build_shapes = first
        except (ValueError, TypeError) as error:
            raise self._named(error) from error
        finally:
            self._building = False
        self.built = True

    def _shapes_by_name(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """The shapes of a call's tensors, as `<argument>_shape`."""
        named = {**dict(zip(self._arguments(), args, strict=False)), **kwargs}
        if not set(named) >= set(kwargs) or len(named) < len(args) + len(kwargs):  # *args
            named = {str(i): a for i, a in enumerate(args)}
        return {
            f"{name}_shape": map_structure(lambda x: tuple(getattr(x, "shape", ())), a)
            for i, (name, a) in enumerate(named.items())
            if i == 0 or any(isinstance(x, (Tensor, KerasTensor)) for x in flatten(a))
        }

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The output's shape for an input's; None for unknown extents."""
        x = map_shapes(lambda shape: KerasTensor(shape), input_shape)
        return map_structure(lambda y: y.shape, self.compute_output_spec(x))

    def symbolic_call(self, *args: Any, **kwargs: Any) -> Any:
        """The output placeholders for input placeholders."""
        return self.compute_output_spec(*args, **kwargs)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """The output placeholders for input placeholders."""
        if not self.built:
            self._build_for(args, kwargs)
        return infer_outputs(self._run, args, kwargs)

    # --- losses and metrics -----------------------------------------------------------------------------------------

    def add_loss(self, loss: Any) -> None:
        """Adds a scalar to the model's loss; called inside `call`."""
        self._losses.extend(flatten(loss))

    def _clear_losses(self) -> None:
        for layer in self._flatten_layers():
            layer._losses.clear()

    @property
    def losses(self) -> list[Any]:
        """Losses added by the last call, and the penalties on weights."""
        result = [loss for layer in self._flatten_layers() for loss in layer._losses]
        for v in self.trainable_weights:
            if v.regularizer is not None:
                result.append(v.regularizer(v.value))
        return result

    @property
    def metrics(self) -> list[Any]:
        return [m for layer in self._flatten_layers() for m in layer._metrics]

    # --- graph attributes -------------------------------------------------------------------------------------------

    def _node_tensors(self, which: str) -> Any:
        if not self._nodes:
            raise AttributeError(f"{self._label()} has no {which}: it was never called on an Input")
        node = self._nodes[0]
        return (node.inputs[0] if len(node.inputs) == 1 else node.inputs) if which == "input" else node.structure

    @property
    def input(self) -> Any:
        return self._node_tensors("input")

    @property
    def output(self) -> Any:
        return self._node_tensors("output")

    @property
    def metrics_variables(self) -> list[Variable]:
        return [v for metric in self.metrics for v in metric.variables]

    @property
    def path(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"
