"""What GAN, autoencoder and training-loop scripts use of `import tensorflow as tf`, in terms of berrante.

Functions run at once; `tf.function` changes nothing. Names that are not here raise AttributeError with their name.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from berrante import ops
from berrante.compat.tensorflow import config, data, image, linalg, math, nn, random
from berrante.compat.tensorflow.math import (
    abs,
    add,
    argmax,
    argmin,
    cos,
    cumsum,
    divide,
    equal,
    exp,
    floor,
    greater,
    greater_equal,
    less,
    less_equal,
    log,
    logical_and,
    logical_not,
    logical_or,
    maximum,
    minimum,
    multiply,
    negative,
    not_equal,
    pow,
    reduce_all,
    reduce_any,
    reduce_max,
    reduce_mean,
    reduce_min,
    reduce_prod,
    reduce_sum,
    round,
    sigmoid,
    sign,
    sin,
    sqrt,
    square,
    subtract,
    tanh,
)
from berrante.compat.tensorflow.v1 import (
    ConfigProto,
    GPUOptions,
    Session,
    get_default_graph,
    placeholder,
    set_random_seed,
)
from berrante.graph.op import as_tensor
from berrante.graph.tape import GradientTape
from berrante.graph.tensor import Tensor, standard_dtype
from berrante.graph.variable import Variable
from berrante.ops import (
    einsum,
    expand_dims,
    matmul,
    one_hot,
    ones_like,
    repeat,
    reshape,
    squeeze,
    stack,
    stop_gradient,
    tensordot,
    tile,
    where,
    zeros_like,
)

__version__ = "2.16.1"
float16 = float32 = float64 = "float32"
int8 = int16 = int32 = int64 = "int32"
uint8, bool = "uint8", "bool"
newaxis = None
AUTO_REUSE = None


class TensorSpec:
    """The shape and element type of a data set's elements."""

    def __init__(self, shape: Any = None, dtype: Any = "float32", name: str | None = None) -> None:
        self.shape, self.dtype, self.name = shape, dtype, name


def function(func: Any = None, **kwargs: Any) -> Any:
    """A decorator that leaves the function as it is."""
    return func if func is not None else lambda f: f


def constant(value: Any, dtype: Any = None, shape: Any = None, name: Any = None) -> Tensor:
    """A tensor of a value."""
    array = np.asarray(value)
    if shape is not None:
        array = np.broadcast_to(array, tuple(shape)) if array.size == 1 else array.reshape(tuple(shape))
    return as_tensor(array) if dtype is None else ops.cast(array, standard_dtype(dtype))


def convert_to_tensor(value: Any, dtype: Any = None, **kwargs: Any) -> Any:
    """A tensor of a value."""
    return ops.convert_to_tensor(value, None if dtype is None else standard_dtype(dtype))


def cast(x: Any, dtype: Any, name: Any = None) -> Any:
    """x in another element type."""
    return ops.cast(x, standard_dtype(dtype))


def shape(x: Any, out_type: Any = None, name: Any = None) -> Any:
    """The shape, as a tensor of concrete numbers."""
    from berrante.compat.backend.symbolic import shape as of

    return of(x)


def concat(values: Any, axis: int, name: Any = None) -> Any:
    """Tensors one after the other."""
    return ops.concatenate(values, axis)


def zeros(shape: Any, dtype: Any = "float32", name: Any = None) -> Any:
    """Zeros."""
    return ops.zeros(tuple(int(n) for n in _many(shape)), standard_dtype(dtype))


def ones(shape: Any, dtype: Any = "float32", name: Any = None) -> Any:
    """Ones."""
    return ops.ones(tuple(int(n) for n in _many(shape)), standard_dtype(dtype))


def fill(dims: Any, value: Any, name: Any = None) -> Any:
    """One value everywhere."""
    return ops.full(tuple(int(n) for n in _many(dims)), value)


def range(start: Any, limit: Any = None, delta: Any = 1, dtype: Any = None, name: Any = None) -> Any:
    """Evenly spaced numbers."""
    array = np.arange(start) if limit is None else np.arange(start, limit, delta)
    return as_tensor(array) if dtype is None else ops.cast(array, standard_dtype(dtype))


def transpose(a: Any, perm: Any = None, name: Any = None) -> Any:
    """Dimensions in another order."""
    return ops.transpose(a, None if perm is None else tuple(perm))


def clip_by_value(t: Any, clip_value_min: Any, clip_value_max: Any, name: Any = None) -> Any:
    """t within bounds."""
    return ops.clip(t, clip_value_min, clip_value_max)


def gather(params: Any, indices: Any, axis: int = 0, name: Any = None) -> Any:
    """Rows (along an axis) at positions."""
    return ops.take(params, indices, axis)


def split(value: Any, num_or_size_splits: Any, axis: int = 0, name: Any = None) -> Any:
    """Equal parts, or parts of given sizes."""
    if isinstance(num_or_size_splits, int):
        return ops.split(value, num_or_size_splits, axis)
    return ops.split(value, np.cumsum(num_or_size_splits)[:-1].tolist(), axis)


def pad(tensor: Any, paddings: Any, mode: str = "CONSTANT", constant_values: float = 0, name: Any = None) -> Any:
    """Zeros (or a value) around."""
    return ops.pad(tensor, [tuple(int(n) for n in p) for p in paddings], mode.lower(), constant_values)


def identity(input: Any, name: Any = None) -> Any:
    """The input."""
    return ops.copy(input)


def print(*args: Any, **kwargs: Any) -> None:
    """Prints values."""
    import builtins

    builtins.print(*args)


def _many(shape: Any) -> Any:
    return shape if hasattr(shape, "__iter__") else [shape]


def executing_eagerly() -> Any:
    """True."""
    return 1 == 1


def is_tensor(x: Any) -> Any:
    """Whether x is a tensor."""
    return isinstance(x, (Tensor, Variable))
