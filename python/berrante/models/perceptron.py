"""The perceptron: McCulloch and Pitts' neuron (1943) with Rosenblatt's learning rule (1957)."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np


class Perceptron:
    """A neuron that fires where w . x + bias >= 0, taught by its mistakes.

    Each misclassified sample moves the weights by learning_rate * (target - output) * input. For classes that a line
    (a plane, ...) separates the rule converges; for others, such as XOR, it cannot, and fit says so.

    Args:
        learning_rate: the size of a correction.
        max_epochs: passes over the samples before giving up.
        shuffle: a new order of the samples in each pass.
        seed: of the order and of the initial weights; None starts from zeros.

    Attributes:
        weights, bias: after fit. converged_: whether a pass made no mistake. errors_: mistakes of each pass.
    """

    def __init__(
        self, learning_rate: float = 1.0, max_epochs: int = 1000, shuffle: bool = False, seed: int | None = None
    ) -> None:
        if learning_rate <= 0:
            raise ValueError(f"Perceptron: expected learning_rate above 0; received {learning_rate}")
        if max_epochs < 1:
            raise ValueError(f"Perceptron: expected max_epochs of at least 1; received {max_epochs}")
        self.learning_rate, self.max_epochs, self.shuffle, self.seed = learning_rate, max_epochs, shuffle, seed
        self.weights: np.ndarray | None = None
        self.bias = 0.0
        self.converged_ = False
        self.errors_: list[int] = []

    def fit(self, x: Any, y: Any) -> Perceptron:
        """Learns from x [N, K] and targets y [N] of 0 and 1. Warns if no pass was free of mistakes."""
        x, y = np.asarray(x, np.float64), np.asarray(y).reshape(-1)
        if x.ndim != 2 or len(x) == 0 or len(x) != len(y):
            raise ValueError(f"Perceptron: expected x (N, K) and N targets; received x {x.shape} and {len(y)} targets")
        if not np.isfinite(x).all():
            raise ValueError("Perceptron: expected finite inputs; received NaN or infinity")
        if not np.isin(y, (0, 1)).all():
            raise ValueError(f"Perceptron: expected targets 0 and 1; received {np.unique(y)[:5]}")
        rng = np.random.default_rng(self.seed)
        self.weights = np.zeros(x.shape[1]) if self.seed is None else rng.normal(0, 0.1, x.shape[1])
        self.bias, self.errors_, self.converged_ = 0.0, [], False
        for _ in range(self.max_epochs):
            errors = 0
            for i in rng.permutation(len(x)) if self.shuffle else range(len(x)):
                delta = float(y[i]) - float(x[i] @ self.weights + self.bias >= 0)
                if delta:
                    errors += 1
                    self.weights += self.learning_rate * delta * x[i]
                    self.bias += self.learning_rate * delta
            self.errors_.append(errors)
            if not errors:
                self.converged_ = True
                return self
        warnings.warn(
            f"Perceptron: no pass of {self.max_epochs} was free of mistakes; the classes are probably not linearly "
            "separable (as in XOR), and then no single neuron can separate them",
            stacklevel=2,
        )
        return self

    def decision_function(self, x: Any) -> np.ndarray:
        """w . x + bias for x [N, K]."""
        if self.weights is None:
            raise RuntimeError("Perceptron: call fit() first")
        x = np.asarray(x, np.float64)
        if x.ndim != 2 or x.shape[1] != len(self.weights):
            raise ValueError(f"Perceptron: expected x (N, {len(self.weights)}); received {x.shape}")
        result: np.ndarray = x @ self.weights + self.bias
        return result

    def predict(self, x: Any) -> np.ndarray:
        """1 where the neuron fires, else 0."""
        return (self.decision_function(x) >= 0).astype(np.int32)

    def score(self, x: Any, y: Any) -> float:
        """The fraction of right answers."""
        return float(np.mean(self.predict(x) == np.asarray(y).reshape(-1)))
