"""JAX's side of the GPU race: the whole training step jitted, NHWC, Adam by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from gpu_networks import Layers, Network, data, shapes
from jax import lax

_DIMS = ("NHWC", "HWIO", "NHWC")


def _init(layers: Layers, shape: tuple[int, ...], key: Any) -> list[Any]:
    parameters: list[Any] = []
    for layer, before in zip(layers, shapes(layers, shape)):
        kind, *args = layer
        key, own = jax.random.split(key)
        if kind == "dense":
            parameters.append((jax.random.normal(own, (before[-1], args[0])) / before[-1] ** 0.5, jnp.zeros(args[0])))
        elif kind in ("conv", "up_conv", "down_conv"):
            k = args[1] if kind == "conv" else 4
            fan = k * k * before[-1]
            parameters.append((jax.random.normal(own, (k, k, before[-1], args[0])) / fan**0.5, jnp.zeros(args[0])))
        elif kind == "norm":
            parameters.append((jnp.ones(before[-1]), jnp.zeros(before[-1])))
        else:
            parameters.append(())
    return parameters


def _forward(layers: Layers, parameters: list[Any], x: Any, key: Any) -> Any:
    if layers[-1] in (("act", "softmax"), ("act", "sigmoid")):
        layers = layers[:-1]
    saved = []
    for (kind, *args), p in zip(layers, parameters):
        if kind == "dense":
            x = x @ p[0].astype(x.dtype) + p[1].astype(x.dtype)
        elif kind in ("conv", "down_conv"):
            stride, padding = ((1, 1), args[2].upper()) if kind == "conv" else ((2, 2), "SAME")
            x = lax.conv_general_dilated(x, p[0].astype(x.dtype), stride, padding, dimension_numbers=_DIMS)
            x = x + p[1].astype(x.dtype)
        elif kind == "up_conv":
            x = lax.conv_transpose(x, p[0].astype(x.dtype), (2, 2), "SAME", dimension_numbers=_DIMS) + p[1].astype(
                x.dtype
            )
        elif kind == "norm":
            axes = tuple(range(x.ndim - 1))
            mean, variance = x.mean(axes), x.var(axes)
            x = ((x - mean) * lax.rsqrt(variance + 1e-3) * p[0] + p[1]).astype(x.dtype)
        elif kind == "pool":
            window = (1, 2, 2, 1)
            if args[0] == "max":
                x = lax.reduce_window(x, -jnp.inf, lax.max, window, window, "VALID")
            else:
                x = lax.reduce_window(x, 0.0, lax.add, window, window, "VALID") / 4
        elif kind == "up":
            x = jnp.repeat(jnp.repeat(x, 2, 1), 2, 2)
        elif kind == "act":
            act: Any = {"relu": jax.nn.relu, "tanh": jnp.tanh, "leaky_relu": lambda v: jax.nn.leaky_relu(v, 0.2)}[
                args[0]
            ]
            x = act(x)
        elif kind == "dropout":
            key, own = jax.random.split(key)
            x = jnp.where(jax.random.uniform(own, x.shape) >= args[0], x / (1 - args[0]), 0).astype(x.dtype)
        elif kind == "flatten":
            x = x.reshape(len(x), -1)
        elif kind == "reshape":
            x = x.reshape(len(x), *args)
        elif kind == "push":
            saved.append(x)
        elif kind == "join":
            x = jnp.concatenate([x, saved.pop()], -1)
    return x.astype(jnp.float32)


def _binary(logits: Any, target: Any) -> Any:
    return (jnp.maximum(logits, 0) - logits * target + jnp.log1p(jnp.exp(-jnp.abs(logits)))).mean()


def _loss(kind: str, logits: Any, y: Any) -> Any:
    return -(jax.nn.log_softmax(logits) * y).sum(-1).mean() if kind == "cross_entropy" else _binary(logits, y)


def _adam(parameters: Any, grads: Any, state: Any) -> tuple[Any, Any]:
    m, v, t = state
    t = t + 1
    m = jax.tree.map(lambda a, g: 0.9 * a + 0.1 * g, m, grads)
    v = jax.tree.map(lambda a, g: 0.999 * a + 0.001 * g * g, v, grads)
    rate = 1e-3 * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
    return jax.tree.map(lambda p, a, b: p - rate * a / (jnp.sqrt(b) + 1e-7), parameters, m, v), (m, v, t)


def _zeros(parameters: Any) -> Any:
    return jax.tree.map(jnp.zeros_like, parameters), jax.tree.map(jnp.zeros_like, parameters), jnp.zeros(())


def steps(network: Network, precision: str) -> Callable[[int], None]:
    jax.config.update("jax_default_matmul_precision", "highest" if precision == "fp32" else "tensorfloat32")
    dtype = jnp.bfloat16 if precision == "bf16" else jnp.float32
    x, y = (jnp.asarray(a) for a in data(network))
    key = jax.random.key(0)
    first = _init(network.layers, network.input_shape, key)
    if network.loss == "gan":
        critic = _init(network.critic, (64, 64, 3), key)

        def step(state: Any, key: Any) -> Any:
            g, c, g_adam, c_adam = state
            fake = jnp.tanh(_forward(network.layers[:-1], g, x.astype(dtype), key))

            def c_loss(c: Any) -> Any:
                real, made = (_forward(network.critic, c, images.astype(dtype), key) for images in (y, fake))
                return _binary(real, 1.0) + _binary(made, 0.0)

            c, c_adam = _adam(c, jax.grad(c_loss)(c), c_adam)

            def g_loss(g: Any) -> Any:
                made = jnp.tanh(_forward(network.layers[:-1], g, x.astype(dtype), key))
                return _binary(_forward(network.critic, c, made.astype(dtype), key), 1.0)

            g, g_adam = _adam(g, jax.grad(g_loss)(g), g_adam)
            return g, c, g_adam, c_adam

        state: Any = (first, critic, _zeros(first), _zeros(critic))
    else:

        def step(state: Any, key: Any) -> Any:
            p, adam = state
            grads = jax.grad(lambda p: _loss(network.loss, _forward(network.layers, p, x.astype(dtype), key), y))(p)
            return _adam(p, grads, adam)

        state = (first, _zeros(first))
    jitted = jax.jit(step, donate_argnums=0)

    def run(n: int) -> None:
        nonlocal state
        for _ in range(n):
            state = jitted(state, key)
        jax.block_until_ready(state)

    return run
