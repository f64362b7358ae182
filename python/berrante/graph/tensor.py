"""Tensors: what operations take and give.

A `Tensor` is either *concrete* (it holds a NumPy array) or *symbolic* (it stands for a value of the program that is
being traced). Both have a fixed shape and dtype. `Node` records the operation that made a tensor: always for symbolic
tensors, and for concrete ones while a `GradientTape` watches.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from berrante.graph.formats import ROUNDING, is_float, outside

if TYPE_CHECKING:
    from berrante.graph.op import Op
    from berrante.graph.trace import Graph

DTYPES: dict[str, np.dtype] = {
    "float32": np.dtype(np.float32),
    "float16": np.dtype(np.float32),  # in memory (formats.py)
    "bfloat16": np.dtype(np.float32),
    "int32": np.dtype(np.int32),
    "uint8": np.dtype(np.uint8),
    "bool": np.dtype(np.bool_),
}

# NumPy kinds and sizes that have no kernels of their own are taken as the nearest that has.
_NEAREST = {"f": "float32", "i": "int32", "u": "int32", "b": "bool"}

_positions = itertools.count()


def standard_dtype(dtype: Any) -> str:
    """The name of the tensors' dtype for any real dtype: float64 gives float32, int64 gives int32."""
    if isinstance(dtype, str) and dtype in DTYPES:
        return dtype
    if dtype is float:
        return "float32"
    try:
        numpy_dtype = np.dtype(dtype)
    except TypeError:
        raise ValueError(f"expected a real dtype; received {dtype!r}") from None
    if numpy_dtype.name in ROUNDING:
        return numpy_dtype.name
    if numpy_dtype.kind == "u" and numpy_dtype.itemsize == 1:
        return "uint8"
    if numpy_dtype.kind not in _NEAREST:
        raise ValueError(f"expected a real dtype; received {dtype!r}")
    return _NEAREST[numpy_dtype.kind]


class TensorSpec(NamedTuple):
    """A shape and a dtype."""

    shape: tuple[int, ...]
    dtype: str = "float32"

    @property
    def size(self) -> int:
        size = 1
        for extent in self.shape:
            size *= extent
        return size


class Node:
    """One application of an operation. `position` orders nodes by creation."""

    __slots__ = ("attrs", "inputs", "op", "outputs", "position")

    def __init__(self, op: Op, inputs: tuple[Tensor, ...], attrs: dict[str, Any]) -> None:
        self.op = op
        self.inputs = inputs
        self.attrs = attrs
        self.outputs: tuple[Tensor, ...] = ()
        self.position = next(_positions)

    def __repr__(self) -> str:
        return f"<Node {self.op.name} {[t.shape for t in self.inputs]} -> {[t.shape for t in self.outputs]}>"


class Tensor:
    """An array of the kernels' dtypes, concrete or symbolic.

    Concrete tensors convert to NumPy (`numpy()`, `np.asarray`), to `float`, `int` and `bool`. Symbolic ones have no
    value yet: asking for one is an error that says where. Arithmetic operators are those of `berrante.ops`.
    """

    __slots__ = ("__weakref__", "_keras_mask", "dtype", "graph", "node", "shape", "value")

    _keras_mask: Any  # set by layers that mask time steps
    # NumPy must leave `array + tensor` to Tensor.__radd__.
    __array_priority__ = 100
    __array_ufunc__ = None

    def __init__(
        self,
        spec: TensorSpec,
        value: np.ndarray | None = None,
        node: Node | None = None,
        graph: Graph | None = None,
    ) -> None:
        self.shape, self.dtype = spec
        self.value = value
        self.node = node
        self.graph = graph

    @property
    def spec(self) -> TensorSpec:
        return TensorSpec(self.shape, self.dtype)

    @property
    def is_symbolic(self) -> bool:
        return self.value is None

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return self.spec.size

    def _concrete(self, what: str) -> np.ndarray:
        if self.value is None:
            from berrante.graph.where import user_frame

            raise TypeError(
                f"{what} needs the value of a tensor of shape {self.shape}, but it is symbolic: the function that made "
                f"it is being traced into a program and has no values yet{user_frame()}. Use berrante.ops (where, cond, "
                "...) on it, or compile the model with run_eagerly=True."
            )
        return self.value

    def numpy(self) -> np.ndarray:
        """The value as a NumPy array; bfloat16 as float32 where the package ml_dtypes is not installed."""
        return outside(self._concrete("numpy()"), self.dtype)  # type: ignore[no-any-return]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        value = outside(self._concrete("Conversion to a NumPy array"), self.dtype)
        if dtype is not None and np.dtype(dtype) != value.dtype:
            return value.astype(dtype)
        return value.copy() if copy else value

    def item(self) -> Any:
        return self._concrete("item()").item()

    def tolist(self) -> Any:
        return self._concrete("tolist()").tolist()

    def __float__(self) -> float:
        return float(self._concrete("float()").item())

    def __int__(self) -> int:
        return int(self._concrete("int()").item())

    def __index__(self) -> int:
        if is_float(self.dtype):
            raise TypeError(f"a {self.dtype} tensor of shape {self.shape} cannot be an index")
        return int(self._concrete("Use as an index").item())

    def __bool__(self) -> bool:
        return bool(self._concrete("Python control flow (if, while, and, or, not)"))

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a tensor of rank 0")
        return self.shape[0]

    def __format__(self, spec: str) -> str:
        return format(self.value.item() if self.value is not None and self.value.ndim == 0 else str(self), spec)

    def __repr__(self) -> str:
        if self.value is None:
            return f"<symbolic Tensor shape={self.shape} dtype={self.dtype}>"
        return f"<Tensor shape={self.shape} dtype={self.dtype} {self.numpy()!r}>"

    __hash__ = object.__hash__
