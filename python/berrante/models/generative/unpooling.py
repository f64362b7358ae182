"""The inverse of max pooling: elements go back to where the maxima were (Badrinarayanan et al., 2015)."""

from __future__ import annotations

from typing import Any

from berrante import ops
from berrante.layers.layer import Layer


class MaxUnpooling2D(Layer):
    """[y, x]: y [N, H, W, C], each element at the place of the (first) maximum of its window of x; 0 elsewhere.

    x [N, H * rows, W * columns, C] is what was pooled. Gradients flow to y alone, from where its elements went.

    Args:
        pool_size: (rows, columns) of the windows, which lie side by side.
    """

    fields = ("pool_size",)

    def __init__(self, pool_size: Any = (2, 2), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        size = (pool_size, pool_size) if isinstance(pool_size, int) else tuple(pool_size)
        if len(size) != 2 or min(size) < 1:
            raise ValueError(f"{self._label()} pool_size: expected two positive integers; received {pool_size!r}")
        self.pool_size = size

    def call(self, inputs: Any) -> Any:
        y, x = inputs
        (h, w, c), (p, q) = y.shape[1:], self.pool_size
        if tuple(x.shape[1:]) != (h * p, w * q, c):
            raise ValueError(
                f"expected x of shape (N, {h * p}, {w * q}, {c}), as y is {tuple(y.shape)}; received {x.shape}"
            )
        windows = ops.transpose(ops.reshape(ops.stop_gradient(x), (-1, h, p, w, q, c)), (0, 1, 3, 5, 2, 4))
        places = ops.one_hot(ops.argmax(ops.reshape(windows, (-1, h, w, c, p * q)), axis=-1), p * q)
        spread = ops.reshape(ops.multiply(ops.expand_dims(y, -1), places), (-1, h, w, c, p, q))
        return ops.reshape(ops.transpose(spread, (0, 1, 4, 2, 5, 3)), (-1, h * p, w * q, c))
