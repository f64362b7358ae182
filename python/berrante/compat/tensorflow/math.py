"""tensorflow.math, and the reductions that tensorflow itself has too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from berrante import ops
from berrante.ops import (
    absolute as abs,
)
from berrante.ops import (
    add,
    argmax,
    argmin,
    ceil,
    cos,
    cumprod,
    cumsum,
    divide,
    equal,
    erf,
    exp,
    floor,
    greater,
    greater_equal,
    less,
    less_equal,
    log,
    log1p,
    logical_and,
    logical_not,
    logical_or,
    maximum,
    minimum,
    multiply,
    negative,
    not_equal,
    rsqrt,
    sigmoid,
    sign,
    sin,
    softplus,
    sqrt,
    square,
    subtract,
    tanh,
)
from berrante.ops import (
    power as pow,
)
from berrante.ops import (
    round as round,
)


def _reduction(function: Callable[..., Any]) -> Callable[..., Any]:
    def reduce(input_tensor: Any, axis: Any = None, keepdims: bool = False, name: Any = None) -> Any:
        return function(input_tensor, axis=tuple(axis) if isinstance(axis, list) else axis, keepdims=keepdims)

    reduce.__name__ = reduce.__qualname__ = f"reduce_{function.__name__}"
    reduce.__doc__ = function.__doc__
    return reduce


reduce_mean, reduce_sum, reduce_prod = _reduction(ops.mean), _reduction(ops.sum), _reduction(ops.prod)
reduce_max, reduce_min = _reduction(ops.max), _reduction(ops.min)
reduce_std, reduce_variance = _reduction(ops.std), _reduction(ops.var)
reduce_all, reduce_any, reduce_logsumexp = _reduction(ops.all), _reduction(ops.any), _reduction(ops.logsumexp)
xlogy = ops.xlogy if hasattr(ops, "xlogy") else lambda x, y: multiply(x, log(y))


def squared_difference(x: Any, y: Any) -> Any:
    """(x - y)^2."""
    return square(subtract(x, y))


def l2_normalize(x: Any, axis: Any = None, epsilon: float = 1e-12) -> Any:
    """x / sqrt(max(sum(x^2), epsilon))."""
    return multiply(x, rsqrt(maximum(ops.sum(square(x), axis=axis, keepdims=True), epsilon)))
