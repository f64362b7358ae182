"""Rarer activations, attention and picture quality, with the names of keras.ops.nn."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from berrante.graph.op import as_tensor
from berrante.graph.primitives import cast, floating
from berrante.graph.tensor import Tensor
from berrante.ops import elementwise as e
from berrante.ops import reduction
from berrante.ops.creation import arange
from berrante.ops.linalg import einsum
from berrante.ops.nn import sigmoid, softmax
from berrante.ops.public import public
from berrante.ops.shape import moveaxis, repeat, split


@public
def glu(x: Any, axis: int = -1) -> Tensor:
    """The first half of an axis times the sigmoid of the second."""
    x = floating(x)
    if x.shape[axis] % 2:
        raise ValueError(f"[glu] expected an even extent at axis {axis}; received shape {x.shape}")
    a, b = split(x, 2, axis)
    return e.multiply(a, sigmoid(b))


@public
def sparse_plus(x: Any) -> Tensor:
    """0 below -1, (x + 1)^2 / 4 up to 1, x above."""
    x = floating(x)
    return e.where(e.less_equal(x, -1.0), 0.0, e.where(e.less(x, 1.0), e.multiply(e.square(e.add(x, 1.0)), 0.25), x))


@public
def sparse_sigmoid(x: Any) -> Tensor:
    """0 below -1, (x + 1) / 2 up to 1, 1 above."""
    x = floating(x)
    inside = e.multiply(e.add(x, 1.0), 0.5)
    return e.where(e.less_equal(x, -1.0), 0.0, e.where(e.greater_equal(x, 1.0), 1.0, inside))


@public
def squareplus(x: Any, b: float = 4) -> Tensor:
    """(x + sqrt(x * x + b)) / 2."""
    x = floating(x)
    return e.multiply(e.add(x, e.sqrt(e.add(e.square(x), float(b)))), 0.5)


@public
def sparsemax(x: Any, axis: int = -1) -> Tensor:
    """The nearest point of the probability simplex (Martins and Astudillo, 2016): softmax with true zeros."""
    z = moveaxis(floating(x), axis, -1)
    ordered = e.negative(reduction.sort(e.negative(z), -1))
    total = reduction.cumsum(ordered, -1)
    rank = arange(1, z.shape[-1] + 1, dtype="float32")
    support = e.greater(e.add(e.multiply(rank, ordered), 1.0), total)
    count = reduction.sum(floating(support), -1, keepdims=True)
    inside = reduction.sum(e.where(support, ordered, 0.0), -1, keepdims=True)
    y = e.maximum(e.subtract(z, e.divide(e.subtract(inside, 1.0), count)), 0.0)
    return moveaxis(y, -1, axis)


@public
def dot_product_attention(
    query: Any, key: Any, value: Any, bias: Any = None, mask: Any = None, scale: float | None = None,
    is_causal: bool = False, flash_attention: bool | None = None, attn_logits_soft_cap: float | None = None,
) -> Tensor:  # fmt: skip
    """softmax(query . key * scale + bias) . value, over [N, T, heads, H]; masked positions get no share."""
    q, k, v = (floating(x) for x in (query, key, value))
    for name, x in (("query", q), ("key", k), ("value", v)):
        if len(x.shape) != 4:
            raise ValueError(f"[dot_product_attention] expected 4-D {name}; received shape {x.shape}")
    repeats = q.shape[2] // k.shape[2]
    if repeats > 1:  # several query heads share one key head
        k, v = repeat(k, repeats, 2), repeat(v, repeats, 2)
    logits = e.multiply(einsum("btnh,bsnh->bnts", q, k), 1.0 / math.sqrt(q.shape[-1]) if scale is None else scale)
    if attn_logits_soft_cap is not None:
        from berrante.ops.nn import tanh

        logits = e.multiply(tanh(e.divide(logits, float(attn_logits_soft_cap))), float(attn_logits_soft_cap))
    if bias is not None:
        logits = e.add(logits, bias)
    if mask is not None:
        logits = e.where(cast(mask, "bool"), logits, -0.7 * 3.4e38)
    if is_causal:
        t, n = logits.shape[-2:]
        logits = e.where(np.tri(t, n, dtype=bool), logits, -0.7 * 3.4e38)
    return einsum("bnts,bsnh->btnh", softmax(logits), v)


@public
def psnr(x1: Any, x2: Any, max_val: float) -> Tensor:
    """The peak signal-to-noise ratio in decibels."""
    a, b = floating(x1), floating(x2)
    if a.shape != b.shape:
        raise ValueError(f"[psnr] expected equal shapes; received {a.shape} and {b.shape}")
    mse = reduction.mean(e.square(e.subtract(a, b)))
    return e.subtract(20.0 * math.log10(float(as_tensor(max_val))), e.multiply(e.log10(mse), 10.0))


__all__ = ["dot_product_attention", "glu", "psnr", "sparse_plus", "sparse_sigmoid", "sparsemax", "squareplus"]
