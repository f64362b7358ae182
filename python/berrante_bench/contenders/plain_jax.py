"""JAX without a library of layers: one jitted step with donated state; Adam is optax's where installed, else by hand."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from berrante_bench.contenders import Steps
from berrante_bench.workloads import Layers, Workload, data, of_task

_RATE = {"sgd": 0.01, "adam": 0.001}


def _parameters(w: Workload) -> list[dict[str, Any]]:
    rng, result = np.random.default_rng(0), []
    for (kind, *args), shape in zip(w.layers, w.shapes()):
        weights: dict[str, Any] = {}
        if kind in ("conv", "dense"):
            size = (args[1], args[1], shape[2], args[0]) if kind == "conv" else (shape[-1], args[0])
            weights = {"w": rng.normal(0, 0.05, size).astype(np.float32), "b": np.zeros(args[0], np.float32)}
        if kind == "norm":
            weights = {"scale": np.ones(shape[-1], np.float32), "shift": np.zeros(shape[-1], np.float32)}
        result.append({k: jnp.asarray(v) for k, v in weights.items()})
    return result


def _averages(w: Workload) -> list[Any]:
    """Batch normalisation's moving mean and variance."""
    return [
        (jnp.zeros(shape[-1]), jnp.ones(shape[-1])) if layer[0] == "norm" else None
        for layer, shape in zip(w.layers, w.shapes())
    ]


def _pool(x: Any, kind: str) -> Any:
    window = (1, 2, 2, 1)
    if kind == "max":
        return lax.reduce_window(x, -jnp.inf, lax.max, window, window, "VALID")
    return lax.reduce_window(x, 0.0, lax.add, window, window, "VALID") / 4


def _norm(x: Any, p: Any, averages: Any, training: bool) -> tuple[Any, Any]:
    mean, var = (x.mean((0, 1, 2)), x.var((0, 1, 2))) if training else averages
    y = (x - mean) * (lax.rsqrt(var + 1e-3) * p["scale"]) + p["shift"]
    return y, (0.99 * averages[0] + 0.01 * mean, 0.99 * averages[1] + 0.01 * var)


def _apply(layers: Layers, params: Any, averages: Any, x: Any, key: Any = None) -> tuple[Any, list[Any]]:
    """The network; it trains if there is a key."""
    averages = list(averages)
    for i, (kind, *args) in enumerate(layers):
        p = params[i]
        if kind == "conv":
            form = ("NHWC", "HWIO", "NHWC")
            x = lax.conv_general_dilated(x, p["w"], (1, 1), args[2].upper(), dimension_numbers=form) + p["b"]
        elif kind == "dense":
            x = x @ p["w"] + p["b"]
        elif kind == "pool":
            x = _pool(x, args[0])
        elif kind == "up":
            x = x.repeat(2, 1).repeat(2, 2)
        elif kind == "norm":
            x, averages[i] = _norm(x, p, averages[i], key is not None)
        elif kind == "act":
            x = {"relu": jax.nn.relu, "tanh": jnp.tanh, "sigmoid": jax.nn.sigmoid, "softmax": jax.nn.softmax}[args[0]](
                x
            )
        elif kind == "dropout" and key is not None:
            key, own = jax.random.split(key)
            x = jnp.where(jax.random.bernoulli(own, 1 - args[0], x.shape), x / (1 - args[0]), 0)
        elif kind == "flatten":
            x = x.reshape(len(x), -1)
    return x, averages


def _loss(kind: str, y: Any, t: Any) -> Any:
    if kind == "mse":
        return jnp.square(y - t).mean()
    if kind == "cross_entropy":
        return -(t * jax.nn.log_softmax(y)).sum(-1).mean()
    return (jnp.maximum(y, 0) - y * t + jnp.log1p(jnp.exp(-jnp.abs(y)))).mean()


def _optimizer(name: str) -> tuple[Any, Any]:
    """Functions that make the optimizer's state, and that give new parameters and state."""
    rate = _RATE[name]
    try:
        import optax
    except ImportError:
        return _by_hand(name, rate)
    made = optax.sgd(rate) if name == "sgd" else optax.adam(rate)

    def update(params: Any, grads: Any, state: Any) -> tuple[Any, Any]:
        changes, state = made.update(grads, state, params)
        return optax.apply_updates(params, changes), state

    return made.init, update


def _by_hand(name: str, rate: float) -> tuple[Any, Any]:
    over = jax.tree_util.tree_map

    def init(params: Any) -> Any:
        return (jnp.zeros(()), over(jnp.zeros_like, params), over(jnp.zeros_like, params)) if name == "adam" else ()

    def update(params: Any, grads: Any, state: Any) -> tuple[Any, Any]:
        if name == "sgd":
            return over(lambda p, g: p - rate * g, params, grads), state
        t, m, v = state
        t, m, v = (
            t + 1,
            over(lambda m, g: 0.9 * m + 0.1 * g, m, grads),
            over(lambda v, g: 0.999 * v + 0.001 * g * g, v, grads),
        )
        scale = rate * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        return over(lambda p, m, v: p - scale * m / (jnp.sqrt(v) + 1e-8), params, m, v), (t, m, v)

    return init, update


class _Trainer:
    """The state of a training, and its jitted step, which also converts images."""

    def __init__(self, w: Workload) -> None:
        init, update = _optimizer(w.optimizer)
        params = _parameters(w)
        self.state = (params, _averages(w), init(params), jax.random.key(0))

        def step(state: Any, x: Any, t: Any) -> Any:
            params, averages, slots, key = state
            key, own = jax.random.split(key)
            x = x.astype(jnp.float32) / 255 if x.dtype == jnp.uint8 else x
            t = x if w.loss == "reconstruction" else t

            def loss(params: Any) -> Any:
                y, new = _apply(w.logits, params, averages, x, own)
                return _loss(w.loss, y, t), new

            (_, averages), grads = jax.value_and_grad(loss, has_aux=True)(params)
            params, slots = update(params, grads, slots)
            return params, averages, slots, key

        self.jitted = jax.jit(step, donate_argnums=0)

    def step(self, x: Any, t: Any) -> None:
        self.state = self.jitted(self.state, x, t)

    def wait(self) -> None:
        jax.block_until_ready(self.state)


def train(task: dict[str, Any], option: str) -> Steps:
    """Training steps on one batch."""
    w = of_task(task)
    trainer, (x, t) = _Trainer(w), map(jnp.asarray, data(w))

    def run(steps: int) -> None:
        for _ in range(steps):
            trainer.step(x, t)
        trainer.wait()

    return run


def fit(task: dict[str, Any], option: str) -> Steps:
    """Epochs over uint8 images in memory: shuffled and gathered by NumPy, converted in the step."""
    w, rng = of_task(task), np.random.default_rng(0)
    trainer, (x, t) = _Trainer(w), data(w, task["samples"], images=True)

    def run(epochs: int) -> None:
        for _ in range(epochs):
            order = rng.permutation(len(x))
            for first in range(0, len(x), w.batch):
                rows = order[first : first + w.batch]
                trainer.step(x[rows], t[rows])
        trainer.wait()

    return run


def predict(task: dict[str, Any], option: str) -> Steps:
    """Predictions of one batch."""
    w = of_task(task)
    params, averages = _parameters(w), _averages(w)
    x = jnp.asarray(data(w)[0])
    forward = jax.jit(lambda params, averages, x: _apply(w.layers, params, averages, x)[0])

    def run(steps: int) -> None:
        for _ in range(steps):
            forward(params, averages, x).block_until_ready()

    return run
