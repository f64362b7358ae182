"""berrante's single operations: each a program of its own, whose operands and results are variables, as inside a step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from berrante_bench.contenders import Steps
from berrante_bench.op_cases import operands


def op(task: dict[str, Any], option: str) -> Steps:
    """The task's operation, repeated inside one call."""
    from berrante.graph.gradients import gradients
    from berrante.graph.program import Program
    from berrante.graph.tensor import TensorSpec
    from berrante.graph.variable import Variable

    function, mode = _OPS[task["op"]], task["mode"]
    variables = [Variable(a) for a in operands(task)]

    def trace(tick: Any) -> None:
        inputs = [v.value for v in variables]
        y = function(*inputs, **task["attrs"])
        results = list(y) if isinstance(y, tuple) else [y]
        if mode != "forward":
            wanted = [inputs[i] for i in task["wrt"] or range(len(inputs))]
            dy = Variable(np.ones(y.shape, np.float32))
            slopes = gradients([y], wanted, [dy.value])
            results = ([] if mode == "gradients" else results) + [g for g in slopes if g is not None]
        targets = [variables[i] for i in _IN_PLACE.get(task["op"], ())]
        targets = targets or [Variable(np.zeros(r.shape, np.float32)) for r in results]
        for target, result in zip(targets, results, strict=True):
            target.assign(result)

    program = Program(trace, [TensorSpec((1,), "float32")])

    def run(steps: int) -> None:
        program.run_batches([np.zeros(steps, np.float32)], None, 0, steps)

    return run


def _ops() -> Any:
    from berrante import ops

    return ops


def _conv2d(x: Any, w: Any, b: Any, stride: int, dilation: int, padding: str, groups: int) -> Any:
    return _ops().add(_ops().conv(x, w, stride, padding, None, dilation, groups), b)


def _matmul(a: Any, b: Any, transpose_a: bool = False, transpose_b: bool = False) -> Any:
    ops = _ops()
    a = ops.swapaxes(a, -1, -2) if transpose_a else a
    return ops.matmul(a, ops.swapaxes(b, -1, -2) if transpose_b else b)


def _batch_norm(x: Any, scale: Any, offset: Any) -> Any:
    mean, variance = _ops().moments(x, (0, 1, 2))
    return _ops().batch_normalization(x, mean, variance, -1, offset, scale)


def _adam(p: Any, g: Any, m: Any, v: Any) -> tuple[Any, ...]:
    ops = _ops()
    m, v = m + 0.1 * (g - m), v + 0.001 * (ops.square(g) - v)
    return p - 1e-3 * m / (ops.sqrt(v) + 1e-8), m, v


def _random(kind: str, shape: Any) -> Any:
    from berrante import random

    return getattr(random, kind)(shape, seed=random.SeedGenerator(1))


def _dropout(x: Any) -> Any:
    from berrante import random

    return random.dropout(x, 0.5, seed=random.SeedGenerator(1))


# Operands that the results replace.
_IN_PLACE = {"adam": (0, 2, 3)}
_OPS: Mapping[str, Callable[..., Any]] = {
    "conv2d": _conv2d,
    "conv2d_transpose": lambda x, w, stride: _ops().conv_transpose(x, w, stride, "same"),
    "matmul": _matmul,
    "dense": lambda x, w, b: _ops().add(_ops().matmul(x, w), b),
    "max_pool": lambda x, size, stride: _ops().max_pool(x, size, stride),
    "average_pool": lambda x, size, stride: _ops().average_pool(x, size, stride),
    "upsample": lambda x: _ops().upsample(x, (2, 2)),
    "softmax": lambda x: _ops().softmax(x),
    "cross_entropy": lambda x, t: _ops().categorical_crossentropy(t, x, from_logits=True),
    "layer_norm": lambda x, scale, offset: _ops().layer_normalization(x, scale, offset, -1, 1e-5),
    "batch_norm": _batch_norm,
    "chain": lambda x, a, b: _ops().relu(x * a + b),
    "tanh": lambda x: _ops().tanh(x),
    "sigmoid": lambda x: _ops().sigmoid(x),
    "exp": lambda x: _ops().exp(x),
    "gelu": lambda x: _ops().gelu(x, approximate=True),
    "sum": lambda x: _ops().sum(x),
    "sum_rows": lambda x: _ops().sum(x, 1),
    "sum_columns": lambda x: _ops().sum(x, 0),
    "transpose": lambda x, axes: _ops().transpose(x, axes),
    "concatenate": lambda *xs: _ops().concatenate(xs, -1),
    "gather": lambda x, rows: _ops().take(x, rows, 0),
    "random_uniform": lambda shape: _random("uniform", shape),
    "random_normal": lambda shape: _random("normal", shape),
    "dropout": _dropout,
    "adam": _adam,
}
