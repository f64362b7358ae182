"""Norms of matrices, with the semantics of numpy.linalg.norm."""

from __future__ import annotations

from typing import Any

from berrante.graph import primitives as p
from berrante.graph.tensor import Tensor
from berrante.ops import elementwise as e
from berrante.ops import reduction
from berrante.ops.shape import moveaxis


def matrix_norm(x: Tensor, ord: Any, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    """Norms over two axes (rows, columns): 1, -1, inf, -inf are of sums; 2, -2, nuc of singular values (concrete x)."""
    rows, columns = (a % len(x.shape) for a in axes)
    moved = moveaxis(x, (rows, columns), (-2, -1))
    extreme = reduction.max if ord in (1, 2, float("inf")) else reduction.min
    if ord in (1, -1):
        y = extreme(reduction.sum(e.absolute(moved), -2), -1)
    elif ord in (float("inf"), float("-inf")):
        y = extreme(reduction.sum(e.absolute(moved), -1), -1)
    elif ord in (2, -2, "nuc"):
        from berrante.ops.solving import svd

        values = svd(moved, compute_uv=False)
        y = reduction.sum(values, -1) if ord == "nuc" else extreme(values, -1)
    else:
        raise ValueError(f"[norm] expected ord 1, -1, 2, -2, inf, -inf, fro or nuc for matrices; received {ord!r}")
    if not keepdims:
        return y
    return p.reshape(y, tuple(1 if i in (rows, columns) else n for i, n in enumerate(x.shape)))
