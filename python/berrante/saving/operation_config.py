"""Operations of functional models (`x + y`, `ops.mean(x)`) to Keras 3's nodes and back.

Keras writes such a call as a node of class `Mean`, its tensors among the call's arguments and all else in the config. The
class is the function's name in capitals; only functions of `berrante.ops` are ever called, looked up in a fixed table.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from berrante.graph.keras_tensor import KerasTensor, has_keras_tensor
from berrante.graph.tape import flatten

# Parameters that Keras passes to an operation's call; all others belong to its config.
_TENSORS = {
    "x", "x1", "x2", "y", "xs", "inputs", "a", "b", "condition", "indices", "values", "updates", "start_indices", "target",
    "output", "targets", "predictions", "kernel", "depthwise_kernel", "pointwise_kernel", "mean", "variance", "offset", "scale",
    "images", "image", "array", "weights", "data", "segment_ids", "sorted_sequence", "operands", "key", "index",
}  # fmt: skip
# The files of keras.src.ops that hold the classes; what stands in none of these lists is in numpy.
_MODULES = {
    "core": "cast scatter scatter_update slice slice_update stop_gradient",
    "math": "erf erfinv extract_sequences in_top_k logdet logsumexp qr rsqrt segment_max segment_sum top_k",
    "nn": "binary_crossentropy categorical_crossentropy celu depthwise_conv elu gelu glu hard_shrink hard_sigmoid hard_silu "
    "hard_tanh leaky_relu log_sigmoid log_softmax moments multi_hot normalize one_hot relu relu6 rms_normalization selu "
    "separable_conv sigmoid silu soft_shrink softmax softplus softsign sparse_categorical_crossentropy sparse_plus sparsemax "
    "squareplus tanh_shrink threshold",
    "linalg": "cholesky det eig eigh inv lstsq lu_factor norm solve solve_triangular svd",
}
_CLASS_NAMES = {"getitem": "GetItem"}
_OTHER_NAMES = {"TrueDivide": "Divide"}  # Keras' own for the same operation


def _functions() -> list[Callable[..., Any]]:
    from berrante import ops
    from berrante.ops import image

    found = [getattr(module, name) for module in (ops, image) for name in dir(module) if not name.startswith("_")]
    return [f for f in found if callable(f) and hasattr(f, "__wrapped__")]


def _class_name(function: Callable[..., Any]) -> str:
    name = function.__name__
    return _CLASS_NAMES.get(name) or "".join(part[:1].upper() + part[1:] for part in name.split("_"))


@functools.cache
def operations() -> dict[str, Callable[..., Any]]:
    """Class name -> function, for all of berrante.ops and indexing."""
    from berrante.ops import convert_to_tensor
    from berrante.ops.operators import getitem

    functions: list[Callable[..., Any]] = [*_functions(), getitem, convert_to_tensor]
    return {_class_name(f): f for f in functions}


def _module(function: Callable[..., Any]) -> str:
    for module, names in _MODULES.items():
        if function.__name__ in names.split():
            return f"keras.src.ops.{module}"
    family = function.__module__.rpartition(".")[2]
    kind = {"nn": "nn", "gates": "nn", "conv": "nn", "pooling": "nn", "image": "image"}.get(family, "numpy")
    return f"keras.src.ops.{kind}"


def operation_node(name: str, node: Any, serialize: Callable[[Any], Any]) -> dict[str, Any]:
    """The config of one call of an operation; raises ValueError for a function that is none of berrante.ops."""
    function: Any = node.operation.function
    class_name = _class_name(function)
    known = operations().get(class_name)
    if known is None or known is not function:
        raise ValueError(
            f"the operation {function.__name__!r} has no config: expected a function of berrante.ops. Put it into a Layer "
            "to save the model"
        )
    parameters = inspect.signature(function).parameters
    bound = inspect.signature(function).bind(*node.args, **node.kwargs)
    tensors: list[Any] = []
    config: dict[str, Any] = {"name": name}
    for parameter, value in bound.arguments.items():
        if parameters[parameter].default is value:
            continue
        if parameter in _TENSORS or any(isinstance(leaf, KerasTensor) for leaf in flatten([value])):
            tensors.extend(value if parameter == "operands" else [value])
        else:
            config[parameter] = value
    return {
        "module": _module(function),
        "class_name": class_name,
        "config": {k: serialize(v) for k, v in config.items()},
        "registered_name": class_name,
        "name": name,
        "inbound_nodes": [{"args": [serialize(t) for t in tensors], "kwargs": {}}],
    }


def is_operation(node: dict[str, Any]) -> bool:
    """Whether a config's node is an operation rather than a layer.

    Keras' `.h5` files name no modules: there, layers alone say whether they are trainable.
    """
    if "module" in node:
        return str(node["module"]).startswith(("keras.src.ops.", "keras.ops"))
    config = node.get("config")
    bare = isinstance(config, dict) and "name" in config and not {"trainable", "batch_shape", "layers"} & set(config)
    calls = node.get("inbound_nodes")
    modern = isinstance(calls, list) and calls and all(isinstance(c, dict) and "args" in c for c in calls)
    return (
        bool(bare and modern) and _OTHER_NAMES.get(str(node.get("class_name")), node.get("class_name")) in operations()
    )


class Operation:
    """A node's operation with its config, to be called with the node's arguments."""

    def __init__(self, node: dict[str, Any], resolve: Callable[[Any], Any]) -> None:
        class_name = str(node.get("class_name"))
        found = operations().get(_OTHER_NAMES.get(class_name, class_name))
        if found is None:
            raise ValueError(f"expected an operation of berrante.ops; the config names {class_name[:100]!r}")
        self.function = found
        self.parameters = inspect.signature(found).parameters
        config = dict(node.get("config") or {})
        self.name = str(node.get("name") or config.get("name"))
        self.config = {k: resolve(v) for k, v in config.items() if k in self.parameters}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not has_keras_tensor([args, kwargs, self.config]):  # it would be computed now, whatever its size
            raise ValueError(f"operation {self.name!r}: expected tensors of the model among its arguments")
        if "operands" in self.parameters:  # einsum: its own parameter comes first, then any number of tensors
            return self.function(*self.config.values(), *args, **kwargs)
        rest = iter(args)
        values: dict[str, Any] = {}
        for name in self.parameters:
            if name in kwargs or name in self.config:
                values[name] = kwargs.get(name, self.config.get(name))
                continue
            value = next(rest, self)  # self: there are no more
            if value is not self:
                values[name] = tuple(value) if name == "index" and isinstance(value, list) else value
        return self.function(**values)
