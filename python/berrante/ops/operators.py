"""Python's operators and NumPy-like methods on tensors, variables and placeholders."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from berrante.graph import primitives as p
from berrante.graph.keras_tensor import KerasTensor
from berrante.graph.op import as_tensor
from berrante.graph.tensor import Tensor
from berrante.graph.variable import Variable
from berrante.ops import elementwise as e
from berrante.ops import linalg, reduction
from berrante.ops import shape as s
from berrante.ops.core import cast
from berrante.ops.public import public


def _index_arrays(index: Any) -> bool:
    return isinstance(index, (list, np.ndarray)) or (isinstance(index, (Tensor, Variable)) and len(index.shape) > 0)


@public
def getitem(x: Any, index: Any) -> Tensor:
    """x[index] for integers, slices, ..., None, one array of positions, or concrete boolean masks."""
    x = as_tensor(x)
    items = list(index) if isinstance(index, tuple) else [index]
    masks = [i for i in items if _index_arrays(i) and np.dtype(getattr(i, "dtype", np.asarray(i).dtype)) == bool]
    if masks:
        if len(items) != 1:
            raise IndexError("a boolean mask must be the only index")
        where = np.nonzero(np.asarray(masks[0]))
        flat = np.ravel_multi_index(where, np.asarray(masks[0]).shape)
        rank = np.asarray(masks[0]).ndim
        if np.asarray(masks[0]).shape != x.shape[:rank]:
            raise IndexError(f"a mask of shape {np.asarray(masks[0]).shape} does not fit shape {x.shape}")
        return s.take(p.reshape(x, (-1, *x.shape[rank:])), flat.astype(np.int32), 0)
    used = sum(i is not None and i is not Ellipsis for i in items)
    if used > len(x.shape):
        raise IndexError(f"too many indices for shape {x.shape}: {index!r}")
    if not any(i is Ellipsis for i in items):
        items.append(Ellipsis)
    at = next(k for k, i in enumerate(items) if i is Ellipsis)
    items[at : at + 1] = [slice(None)] * (len(x.shape) - used)
    start, size, step, shape, arrays = [], [], [], [], []
    axis = 0
    for item in items:
        if item is None:
            shape.append(1)
            continue
        n = x.shape[axis]
        if isinstance(item, slice):
            first, last, stride = item.indices(n)
            count = len(range(first, last, stride))
            start.append(first if count else 0)
            size.append(count)
            step.append(stride if count else 1)
            shape.append(count)
        elif _index_arrays(item):
            arrays.append((len(shape), item))
            start.append(0)
            size.append(n)
            step.append(1)
            shape.append(n)
        else:
            if isinstance(item, (Tensor, Variable)) and as_tensor(item).is_symbolic:
                arrays.append((len(shape), item))
                start.append(0)
                size.append(n)
                step.append(1)
                shape.append(n)
            else:
                i = int(item)
                if not -n <= i < n:
                    raise IndexError(f"index {i} is outside axis {axis} of shape {x.shape}")
                start.append(i % n)
                size.append(1)
                step.append(1)
        axis += 1
    y = p.slice_(x, start, size, step)
    y = p.reshape(y, shape)
    if len(arrays) > 1:
        raise IndexError("at most one array of positions is supported; use take or take_along_axis")
    for place, positions in arrays:
        y = s.take(y, positions, place)
    return y


def _iterate(x: Any) -> Iterator[Any]:
    if not x.shape:
        raise TypeError("cannot iterate over a tensor of rank 0")
    return (getitem(x, i) for i in range(x.shape[0]))


def _astype(x: Any, dtype: Any) -> Any:
    return cast(x, dtype)


def _reshape(x: Any, *shape: Any) -> Any:
    return s.reshape(x, shape[0] if len(shape) == 1 else shape)


def _power(x: Any, y: Any) -> Any:
    return e.power(x, y)


def _reflected(function: Any) -> Any:
    return lambda x, y: function(y, x)


def _compared(function: Any) -> Any:
    """== or != with numbers and arrays; with anything else Python's own, which compares identities."""
    known = (Tensor, Variable, KerasTensor, np.ndarray, np.generic, bool, int, float, list, tuple)
    return lambda x, y: function(x, y) if isinstance(y, known) else NotImplemented


_METHODS = {
    "__add__": e.add, "__radd__": _reflected(e.add), "__sub__": e.subtract, "__rsub__": _reflected(e.subtract),
    "__mul__": e.multiply, "__rmul__": _reflected(e.multiply), "__truediv__": e.divide,
    "__rtruediv__": _reflected(e.divide), "__floordiv__": e.floor_divide, "__rfloordiv__": _reflected(e.floor_divide),
    "__mod__": e.mod, "__rmod__": _reflected(e.mod), "__pow__": _power, "__rpow__": _reflected(_power),
    "__matmul__": linalg.matmul, "__rmatmul__": _reflected(linalg.matmul), "__neg__": e.negative,
    "__pos__": lambda x: x, "__abs__": e.absolute, "__invert__": e.logical_not, "__and__": e.logical_and,
    "__or__": e.logical_or, "__xor__": e.logical_xor, "__lt__": e.less, "__le__": e.less_equal, "__gt__": e.greater,
    "__ge__": e.greater_equal, "__eq__": _compared(e.equal), "__ne__": _compared(e.not_equal), "__getitem__": getitem,
    "astype": _astype, "reshape": _reshape, "sum": reduction.sum, "mean": reduction.mean, "max": reduction.max,
    "min": reduction.min, "transpose": s.transpose, "T": property(s.transpose),
}  # fmt: skip


def install() -> None:
    """Puts the methods on the three classes. Tensors compare element by element and hash by identity."""
    for cls in (Tensor, Variable, KerasTensor):
        methods = _METHODS if cls is KerasTensor else {**_METHODS, "__iter__": _iterate}
        for name, method in methods.items():
            # Variables are found in lists, which need equality by identity; KerasTensors have no values to compare.
            if name in ("__eq__", "__ne__") and cls is not Tensor:
                continue
            setattr(cls, name, method)


install()
