"""Loops and choices over functions, and gradients of one's own, with the names of keras.ops."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from berrante.graph.op import Alias, Op, as_tensor
from berrante.graph.primitives import stop_gradient
from berrante.graph.tape import flatten, map_structure
from berrante.graph.tensor import Node, Tensor
from berrante.ops import elementwise as e
from berrante.ops.public import public
from berrante.ops.shape import stack, unstack


def _rows(xs: Any, axis: int = 0) -> tuple[int, list[list[Tensor]]]:
    """The number of rows, and for each tensor of a nesting its rows."""
    leaves = [as_tensor(x) for x in flatten(xs)]
    counts = {x.shape[axis] for x in leaves}
    if len(counts) != 1:
        raise ValueError(f"expected tensors of one leading extent; received shapes {[x.shape for x in leaves]}")
    return counts.pop(), [unstack(x, axis=axis) for x in leaves]


def _row(xs: Any, rows: list[list[Tensor]], i: int) -> Any:
    parts = iter([column[i] for column in rows])
    return map_structure(lambda _: next(parts), xs)


def _stacked(results: Sequence[Any], axis: int = 0) -> Any:
    """Nestings of one form, stacked leaf by leaf."""
    leaves = iter([stack(list(column), axis) for column in zip(*(flatten(r) for r in results), strict=True)])
    return map_structure(lambda _: next(leaves), results[0])


def map(f: Callable[..., Any], xs: Any) -> Any:
    """The function on each row of xs (or of each tensor of a nesting), stacked."""
    n, rows = _rows(xs)
    return _stacked([f(_row(xs, rows, i)) for i in range(n)])


def scan(
    f: Callable[..., Any], init: Any, xs: Any = None, length: int | None = None, reverse: bool = False,
    unroll: int = 1,
) -> tuple[Any, Any]:  # fmt: skip
    """carry, y = f(carry, row) over rows; gives the last carry and the stacked ys. The loop is unrolled."""
    if not callable(f):
        raise TypeError(f"[scan] expected a function; received {f!r}")
    if xs is None and length is None:
        raise ValueError("[scan] expected xs or length; received neither")
    n, rows = (length or 0, []) if xs is None else _rows(xs)
    if length is not None and length != n:
        raise ValueError(f"[scan] expected length {n}, the rows of xs; received {length}")
    carry, ys = init, []
    order = reversed(range(n)) if reverse else range(n)
    for i in order:
        carry, y = f(carry, None if xs is None else _row(xs, rows, i))
        ys.append(y)
    if reverse:
        ys.reverse()
    return carry, (None if not ys or ys[0] is None else _stacked(ys))


def associative_scan(f: Callable[..., Any], elems: Any, reverse: bool = False, axis: int = 0) -> Any:
    """All running combinations of the parts of an axis, by an associative function."""
    if not callable(f):
        raise TypeError(f"[associative_scan] expected a function; received {f!r}")
    n, rows = _rows(elems, axis)
    parts = [_row(elems, rows, i) for i in range(n)]
    if reverse:
        parts.reverse()
    done = parts[:1]
    for part in parts[1:]:
        done.append(f(done[-1], part))
    if reverse:
        done.reverse()
    return _stacked(done, axis)


def switch(index: Any, branches: Sequence[Callable[..., Any]], *operands: Any) -> Any:
    """The result of the branch that index names, limited to those there are.

    A concrete index calls that branch alone; for a symbolic one all are traced and their results selected.
    """
    i = as_tensor(index)
    if not i.is_symbolic:
        return branches[min(max(int(i), 0), len(branches) - 1)](*operands)
    results = [branch(*operands) for branch in branches]
    chosen = flatten(results[0])
    for k, result in enumerate(results[1:], 1):
        chosen = [e.where(e.greater_equal(i, k), b, a) for a, b in zip(chosen, flatten(result), strict=True)]
    leaves = iter(chosen)
    return map_structure(lambda _: next(leaves), results[0])


@public
def select(condlist: Sequence[Any], choicelist: Sequence[Any], default: Any = 0) -> Tensor:
    """Elements of the first choice whose condition holds, else the default."""
    y = as_tensor(default)
    for condition, choice in reversed(list(zip(condlist, choicelist, strict=True))):
        y = e.where(condition, choice, y)
    return y


# --- a gradient of one's own ----------------------------------------------------------------------------------------


def _own_gradient(node: Node, dy: Tensor) -> list[Tensor | None]:
    grads = node.attrs["rule"](dy)
    grads = list(grads) if isinstance(grads, (list, tuple)) else [grads]
    count = len(node.inputs) - 1
    if len(grads) != count:
        raise ValueError(f"[custom_gradient] expected {count} gradients, one an argument; received {len(grads)}")
    return [None, *(None if g is None else as_tensor(g) for g in grads)]


_custom = Op("custom_gradient", lambda y, *xs, rule: y.spec, _own_gradient, lambda node: Alias(node.inputs[0]))


def custom_gradient(f: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator for functions that give (result, gradient): gradient(upstream) gives one gradient an argument."""

    @functools.wraps(f)
    def call(*args: Any) -> Tensor:
        tensors = [as_tensor(a) for a in args]
        y, gradient = f(*tensors)

        def rule(*upstream: Any) -> Any:
            try:
                return gradient(*upstream)
            except TypeError as positional:
                try:  # Keras also calls it with upstream= alone
                    return gradient(upstream=upstream[0])
                except TypeError:
                    raise positional from None

        result: Tensor = _custom(stop_gradient(as_tensor(y)), *tensors, rule=rule)
        return result

    return call


__all__ = ["associative_scan", "custom_gradient", "map", "scan", "select", "switch"]
