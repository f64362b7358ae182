"""Shapes drawn at random: what the operations give is what NumPy gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from berrante import ops
from references import convolve, pool

settings.register_profile("no clock", deadline=None)
settings.load_profile("no clock")
pytestmark = pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning")
shapes = hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=5)


def values(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(list(shape)).normal(size=shape).astype(np.float32)


def same(got: Any, expected: Any, tolerance: float = 1e-5) -> None:
    got = np.asarray(got)
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)


@given(hnp.mutually_broadcastable_shapes(num_shapes=3, max_dims=4, max_side=5))
def test_broadcasting(drawn: Any) -> None:
    a, b, c = (values(shape) for shape in drawn.input_shapes)
    same(ops.add(ops.multiply(a, b), c), a * b + c)
    same(ops.where(ops.greater(a, b), b, c), np.where(a > b, b, c))


@given(shapes, st.data())
def test_reductions(shape: tuple[int, ...], data: Any) -> None:
    x = values(shape)
    axes = data.draw(st.lists(st.integers(-len(shape), len(shape) - 1), unique_by=lambda a: a % len(shape)))
    axis = tuple(axes) if axes else None
    keepdims = data.draw(st.booleans())
    for name in ("sum", "mean", "max", "min", "std", "var"):
        same(getattr(ops, name)(x, axis=axis, keepdims=keepdims), getattr(np, name)(x, axis=axis, keepdims=keepdims))
    one = data.draw(st.integers(-len(shape), len(shape) - 1))
    same(ops.argmax(x, axis=one), np.argmax(x, axis=one))
    same(ops.sort(x, axis=one), np.sort(x, axis=one))
    same(ops.cumsum(x, axis=one), np.cumsum(x, axis=one))


@given(shapes, st.data())
def test_transpose_and_reshape(shape: tuple[int, ...], data: Any) -> None:
    x = values(shape)
    perm = data.draw(st.permutations(range(len(shape))))
    same(ops.transpose(x, perm), x.transpose(perm), 0)
    same(ops.reshape(ops.transpose(x, perm), (-1, shape[0])), x.transpose(perm).reshape(-1, shape[0]), 0)
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    same(ops.concatenate([x, x + 1], axis=axis), np.concatenate([x, x + 1], axis=axis), 0)
    same(ops.stack([x, x], axis=axis), np.stack([x, x], axis=axis), 0)
    same(ops.flip(x, axis=axis), np.flip(x, axis=axis), 0)


@given(shapes, st.data())
def test_indexing(shape: tuple[int, ...], data: Any) -> None:
    x = values(shape)
    index = data.draw(hnp.basic_indices(shape, allow_newaxis=True, allow_ellipsis=True))
    expected = x[index]
    same(ops.convert_to_tensor(x)[index], np.asarray(expected), 0)


@given(shapes, st.data())
def test_padding(shape: tuple[int, ...], data: Any) -> None:
    x = values(shape)
    widths = data.draw(
        st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=len(shape), max_size=len(shape))
    )
    same(ops.pad(x, widths, constant_values=2.0), np.pad(x, widths, constant_values=2.0), 0)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.integers(1, 3), st.booleans())
def test_products(m: int, n: int, k: int, batch: int, shared: bool) -> None:
    a, b = values((batch, m, k)), values((k, n) if shared else (batch, k, n))
    same(ops.matmul(a, b), a.astype(np.float64) @ b, 1e-4)


@settings(max_examples=60)
@given(
    size=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    channels=st.tuples(st.sampled_from([1, 2, 3, 6, 8, 17]), st.sampled_from([1, 3, 6, 16, 33])),
    kernel=st.integers(1, 5),
    stride=st.integers(1, 3),
    dilation=st.integers(1, 2),
    padding=st.sampled_from(["valid", "same"]),
)
def test_convolutions(
    size: tuple[int, int], channels: tuple[int, int], kernel: int, stride: int, dilation: int, padding: str
) -> None:
    dilation = 1 if stride > 1 else dilation
    x, w = values((2, *size, channels[0])), values((kernel, kernel, *channels))
    if padding == "valid" and min(size) < (kernel - 1) * dilation + 1:
        with pytest.raises(ValueError):
            ops.conv(x, w, strides=stride, padding=padding, dilation_rate=dilation)
        return
    got = ops.conv(x, w, strides=stride, padding=padding, dilation_rate=dilation)
    same(got, convolve(x.astype(np.float64), w.astype(np.float64), stride, padding, dilation), 2e-4)


@settings(max_examples=60)
@given(
    size=st.tuples(st.integers(3, 12), st.integers(3, 12)),
    channels=st.integers(1, 20),
    window=st.integers(1, 3),
    stride=st.integers(1, 4),
    padding=st.sampled_from(["valid", "same"]),
    kind=st.sampled_from(["max", "average", "median"]),
)
def test_poolings(size: tuple[int, int], channels: int, window: int, stride: int, padding: str, kind: str) -> None:
    x = values((2, *size, channels))
    got = getattr(ops, f"{kind}_pool")(x, window, strides=stride, padding=padding)
    same(got, pool(x.astype(np.float64), kind, window, stride, padding))
