"""tensorflow.nn: activations and losses on logits."""

from __future__ import annotations

from typing import Any

from berrante import ops
from berrante.compat.tensorflow.math import l2_normalize
from berrante.ops import elu, log_softmax, relu, relu6, selu, sigmoid, silu, softmax, softplus, softsign, swish, tanh


def leaky_relu(features: Any, alpha: float = 0.2, name: Any = None) -> Any:
    """x above 0, else alpha * x."""
    return ops.leaky_relu(features, alpha)


def sigmoid_cross_entropy_with_logits(labels: Any = None, logits: Any = None, name: Any = None) -> Any:
    """Binary crossentropy of each element."""
    return ops.binary_crossentropy(ops.cast(labels, "float32"), logits, True)


def softmax_cross_entropy_with_logits(labels: Any, logits: Any, axis: int = -1, name: Any = None) -> Any:
    """Categorical crossentropy of each row."""
    return ops.categorical_crossentropy(ops.cast(labels, "float32"), logits, True, axis)


def sparse_softmax_cross_entropy_with_logits(labels: Any, logits: Any, name: Any = None) -> Any:
    """Categorical crossentropy of each row for integer labels."""
    return ops.sparse_categorical_crossentropy(ops.cast(labels, "int32"), logits, True)


def l2_loss(t: Any, name: Any = None) -> Any:
    """sum(t^2) / 2."""
    return ops.multiply(ops.sum(ops.square(t)), 0.5)
