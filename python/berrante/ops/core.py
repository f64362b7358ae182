"""Conversion, casting and control flow, with the names of keras.ops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from berrante.graph import primitives as p
from berrante.graph import trace
from berrante.graph.keras_tensor import KerasTensor
from berrante.graph.op import as_tensor
from berrante.graph.tape import flatten, map_structure
from berrante.graph.tensor import Tensor
from berrante.graph.variable import Variable
from berrante.ops.elementwise import where
from berrante.ops.public import public


def convert_to_tensor(x: Any, dtype: Any = None, sparse: Any = None, ragged: Any = None) -> Any:
    """x as a tensor, of a dtype if one is given."""
    if isinstance(x, KerasTensor):
        return x
    t = as_tensor(x)
    return p.cast(t, dtype) if dtype is not None else t


def array(x: Any, dtype: Any = None) -> Any:
    """x as a tensor, of a dtype if one is given."""
    return convert_to_tensor(x, dtype)


def dtype(x: Any) -> str:
    """The name of x's dtype."""
    return str(x.dtype) if isinstance(x, (Tensor, Variable, KerasTensor)) else as_tensor(x).dtype


@public
def get_item(x: Any, key: Any) -> Tensor:
    """x[key]."""
    return as_tensor(x)[key]  # type: ignore[index]


@public
def allclose(x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Tensor:
    """Whether all elements are close, as `isclose` says."""
    from berrante.ops.elementwise import isclose
    from berrante.ops.reduction import all

    return all(isclose(x1, x2, rtol, atol, equal_nan))


def convert_to_numpy(x: Any) -> np.ndarray:
    """x as a NumPy array; an error for symbolic tensors."""
    return np.asarray(as_tensor(x).numpy())


@public
def cast(x: Any, dtype: Any) -> Tensor:
    """x with another dtype; floats lose their fraction on the way to integers."""
    return p.cast(x, dtype)


@public
def copy(x: Any) -> Tensor:
    """The same values in memory of their own."""
    return p.copy(x)


@public
def stop_gradient(variable: Any) -> Tensor:
    """x, through which no gradient flows."""
    result: Tensor = p.stop_gradient(variable)
    return result


def shape(x: Any) -> tuple[int | None, ...]:
    """The shape as a tuple; None for unknown extents of placeholders."""
    return tuple(x.shape) if hasattr(x, "shape") else as_tensor(x).shape


def ndim(x: Any) -> int:
    """The number of dimensions."""
    return len(shape(x))


def size(x: Any) -> int:
    """The number of elements."""
    return as_tensor(x).size


def is_tensor(x: Any) -> bool:
    """Whether x is a tensor, a variable or a placeholder."""
    return isinstance(x, (Tensor, Variable, KerasTensor))


def cond(pred: Any, true_fn: Callable[[], Any], false_fn: Callable[[], Any]) -> Any:
    """One of two functions' results.

    A concrete predicate calls that function alone; a symbolic one traces both (whose assignments then both happen) and
    selects their results.
    """
    t = as_tensor(pred)
    if not t.is_symbolic:
        return true_fn() if bool(t) else false_fn()
    yes, no = true_fn(), false_fn()
    results = iter([where(t, a, b) for a, b in zip(flatten(yes), flatten(no), strict=True)])
    return map_structure(lambda _: next(results), yes)


def while_loop(
    cond: Callable[..., Any], body: Callable[..., Any], loop_vars: Any, maximum_iterations: int | None = None
) -> Any:
    """Repeats body while cond holds; cond must be concrete."""
    state = loop_vars
    single = not isinstance(state, (list, tuple))
    done = 0
    while maximum_iterations is None or done < maximum_iterations:
        args = (state,) if single else tuple(state)
        if not bool(as_tensor(cond(*args))):
            break
        state = body(*args)
        done += 1
    return state


def fori_loop(lower: int, upper: int, body_fun: Callable[..., Any], init_val: Any) -> Any:
    """body_fun(i, value) for i from lower up to, not including, upper."""
    value = init_val
    for i in range(int(lower), int(upper)):
        value = body_fun(i, value)
    return value


def vectorized_map(function: Callable[..., Any], elements: Any) -> Any:
    """The function on each row, stacked."""
    from berrante.ops.shape import stack

    return stack([function(x) for x in as_tensor(elements)], 0)  # type: ignore[attr-defined]


def in_trace() -> bool:
    """Whether a program is being traced."""
    return trace.current() is not None
