"""Small perceptrons in float64, and their losses' gradients by central differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "linear": lambda a: a,
    "tanh": np.tanh,
    "sigmoid": lambda a: 1 / (1 + np.exp(-a)),
}


def dense(x: np.ndarray, weights: list[np.ndarray], activations: list[str]) -> np.ndarray:
    """A stack of dense layers with weights [kernel, bias, kernel, bias, ...]."""
    for i, name in enumerate(activations):
        x = ACTIVATIONS[name](x @ weights[2 * i] + weights[2 * i + 1])
    return x


def numeric_gradient(
    loss: Callable[[list[np.ndarray]], float], weights: list[np.ndarray], h: float = 1e-5
) -> list[Any]:
    """d loss / d weights, element by element."""
    weights = [w.astype(np.float64) for w in weights]
    result = []
    for w in weights:
        g = np.zeros_like(w)
        for index in np.ndindex(w.shape):
            old = w[index]
            w[index] = old + h
            up = loss(weights)
            w[index] = old - h
            down = loss(weights)
            w[index] = old
            g[index] = (up - down) / (2 * h)
        result.append(g)
    return result


def assert_step_descends(
    model: Any, variables: list[Any], loss: Callable[[list[np.ndarray]], float], step: Callable[[], Any]
) -> None:
    """One step of SGD with rate 1 must subtract the loss's gradient at the weights before."""
    before = [v.numpy() for v in variables]
    expected = numeric_gradient(loss, before)
    step()
    for v, old, g in zip(variables, before, expected, strict=True):
        np.testing.assert_allclose(old - v.numpy(), g, rtol=2e-3, atol=2e-4, err_msg=v.path)
