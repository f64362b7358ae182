"""Operations against float64 NumPy references, and their gradients against finite differences of those references."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from berrante import ops
from berrante.graph.gradients import gradients
from berrante.graph.op import REGISTRY
from berrante.graph.program import Program
from berrante.graph.tensor import Tensor, TensorSpec
from references import convolve, pool, resize_bilinear

RNG = np.random.default_rng(7)


def normal(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape)


def positive(*shape: int) -> np.ndarray:
    return RNG.uniform(0.2, 3.0, size=shape)


def unit(*shape: int) -> np.ndarray:
    return RNG.uniform(-0.9, 0.9, size=shape)


def distinct(*shape: int) -> np.ndarray:
    """Values far enough apart that finite differences do not change their order."""
    return RNG.permutation(int(np.prod(shape))).reshape(shape) / 4.0 - 3.0


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-x))


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def erf(x: np.ndarray) -> np.ndarray:
    from math import erf as one

    return np.vectorize(one)(x)


Case = tuple[str, Callable[..., Any], Callable[..., Any], list[np.ndarray]]
SIZES = [1, 3, 8, 17, 33]

CASES: list[Case] = [
    ("add", ops.add, np.add, [normal(3, 17), normal(17)]),
    ("subtract", ops.subtract, np.subtract, [normal(5, 1), normal(1, 9)]),
    ("multiply", ops.multiply, np.multiply, [normal(2, 3, 5), normal(3, 1)]),
    ("divide", ops.divide, np.divide, [normal(4, 7), positive(4, 7)]),
    ("negative", ops.negative, np.negative, [normal(33)]),
    ("maximum", ops.maximum, np.maximum, [distinct(4, 5), distinct(4, 5) + 0.1]),
    ("minimum", ops.minimum, np.minimum, [distinct(4, 5), distinct(4, 5) + 0.1]),
    ("power", ops.power, np.power, [positive(3, 5), normal(3, 5)]),
    ("arctan2", ops.arctan2, np.arctan2, [positive(9), positive(9)]),
    ("abs", ops.absolute, np.abs, [distinct(9) + 0.1]),
    ("square", ops.square, np.square, [normal(9)]),
    ("sqrt", ops.sqrt, np.sqrt, [positive(19)]),
    ("rsqrt", ops.rsqrt, lambda x: 1 / np.sqrt(x), [positive(19)]),
    ("reciprocal", ops.reciprocal, lambda x: 1 / x, [positive(19)]),
    ("exp", ops.exp, np.exp, [normal(19)]),
    ("expm1", ops.expm1, np.expm1, [normal(19)]),
    ("log", ops.log, np.log, [positive(19)]),
    ("log1p", ops.log1p, np.log1p, [positive(19)]),
    ("tanh", ops.tanh, np.tanh, [2 * normal(19)]),
    ("sigmoid", ops.sigmoid, sigmoid, [2 * normal(19)]),
    ("softplus", ops.softplus, lambda x: np.log1p(np.exp(x)), [2 * normal(19)]),
    ("erf", ops.erf, erf, [normal(19)]),
    ("sin", ops.sin, np.sin, [normal(9)]),
    ("cos", ops.cos, np.cos, [normal(9)]),
    ("tan", ops.tan, np.tan, [unit(9)]),
    ("arcsin", ops.arcsin, np.arcsin, [unit(9)]),
    ("arccos", ops.arccos, np.arccos, [unit(9)]),
    ("arctan", ops.arctan, np.arctan, [normal(9)]),
    ("sinh", ops.sinh, np.sinh, [normal(9)]),
    ("cosh", ops.cosh, np.cosh, [normal(9)]),
    ("arcsinh", ops.arcsinh, np.arcsinh, [normal(9)]),
    ("arccosh", ops.arccosh, np.arccosh, [1.5 + positive(9)]),
    ("arctanh", ops.arctanh, np.arctanh, [unit(9)]),
    ("relu", ops.relu, lambda x: np.maximum(x, 0), [distinct(19) + 0.1]),
    ("select", lambda a, b: ops.where(np.array([True, False, True]), a, b), lambda a, b: np.where([1, 0, 1], a, b), [normal(2, 3), normal(3)]),
    ("mod", lambda a: ops.mod(a, 0.7), lambda a: np.mod(a, 0.7), [positive(9)]),
    ("custom_gradient", ops.custom_gradient(lambda x: (ops.square(x), lambda upstream: upstream * 2.0 * x)), np.square, [normal(9)]),
    ("copy", ops.copy, lambda x: x, [normal(4)]),
    ("broadcast_to", lambda x: ops.broadcast_to(x, (4, 3, 5)), lambda x: np.broadcast_to(x, (4, 3, 5)), [normal(3, 1)]),
    ("reshape", lambda x: ops.reshape(x, (3, -1)), lambda x: x.reshape(3, -1), [normal(2, 3, 4)]),
    ("transpose", lambda x: ops.transpose(x, (2, 0, 1)), lambda x: x.transpose(2, 0, 1), [normal(2, 3, 4)]),
    ("concat", lambda a, b: ops.concatenate([a, b], 1), lambda a, b: np.concatenate([a, b], 1), [normal(2, 3), normal(2, 4)]),
    ("slice", lambda x: ops.convert_to_tensor(x)[1:, ::-2], lambda x: x[1:, ::-2], [normal(3, 5)]),
    ("pad", lambda x: ops.pad(x, ((1, 2), (0, 1)), constant_values=2.0), lambda x: np.pad(x, ((1, 2), (0, 1)), constant_values=2.0), [normal(3, 5)]),
    ("reflect", lambda x: ops.pad(x, ((1, 2), (2, 1)), "reflect"), lambda x: np.pad(x, ((1, 2), (2, 1)), "reflect"), [normal(4, 5)]),
    ("gather", lambda x: ops.take(x, [2, 0, 2], axis=1), lambda x: np.take(x, [2, 0, 2], axis=1), [normal(2, 3, 4)]),
    ("take_along_axis", lambda x: ops.take_along_axis(x, np.array([[2], [0]]), 1), lambda x: np.take_along_axis(x, np.array([[2], [0]]), 1), [normal(2, 3)]),
    ("sum", lambda x: ops.sum(x, axis=(0, 2)), lambda x: x.sum((0, 2)), [normal(3, 4, 5)]),
    ("mean", lambda x: ops.mean(x, axis=1, keepdims=True), lambda x: x.mean(1, keepdims=True), [normal(3, 17)]),
    ("max", lambda x: ops.max(x, axis=0), lambda x: x.max(0), [distinct(5, 4)]),
    ("min", lambda x: ops.min(x, axis=-1), lambda x: x.min(-1), [distinct(5, 4)]),
    ("prod", lambda x: ops.prod(x, axis=1), lambda x: x.prod(1), [positive(3, 4)]),
    ("moments", lambda x: ops.var(x, axis=(0, 1)), lambda x: x.var((0, 1)), [normal(3, 4, 5)]),
    ("cumsum", lambda x: ops.cumsum(x, 1), lambda x: x.cumsum(1), [normal(3, 4, 2)]),
    ("sort", lambda x: ops.sort(x, 1), lambda x: np.sort(x, 1), [distinct(3, 7)]),
    ("median", lambda x: ops.median(x, 1), lambda x: np.median(x, 1), [distinct(3, 6)]),
    ("logsumexp", lambda x: ops.logsumexp(x, 1), lambda x: np.log(np.exp(x).sum(1)), [normal(3, 6)]),
    ("softmax", ops.softmax, softmax, [normal(3, 10)]),
    ("log_softmax", ops.log_softmax, lambda x: np.log(softmax(x)), [normal(3, 10)]),
    ("softmax_cross_entropy", lambda x: ops.sparse_categorical_crossentropy(np.array([1, 0, 4]), ops.softmax(x)), lambda x: -np.log(softmax(x))[np.arange(3), [1, 0, 4]], [normal(3, 5)]),
    ("categorical_crossentropy", lambda x: ops.categorical_crossentropy(np.eye(5)[:3], x, from_logits=True), lambda x: -np.log(softmax(x))[np.arange(3), np.arange(3)], [normal(3, 5)]),
    ("binary_crossentropy", lambda x: ops.binary_crossentropy(np.array([1.0, 0.0, 1.0]), ops.sigmoid(x)), lambda x: -np.log(np.where([1, 0, 1], sigmoid(x), 1 - sigmoid(x))), [normal(3)]),
    ("layer_norm", lambda x: ops.layer_normalization(x, epsilon=1e-3), lambda x: (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-3), [normal(3, 9)]),
    ("matmul_vector", ops.matmul, np.matmul, [normal(1, 3), normal(3, 1)]),
    ("matmul_batched", ops.matmul, np.matmul, [normal(2, 1, 4, 3), normal(5, 3, 6)]),
    ("einsum", lambda a, b: ops.einsum("ijk,lk->jil", a, b), lambda a, b: np.einsum("ijk,lk->jil", a, b), [normal(2, 3, 4), normal(5, 4)]),
    ("tensordot", lambda a, b: ops.tensordot(a, b, ([2], [0])), lambda a, b: np.tensordot(a, b, ([2], [0])), [normal(2, 3, 4), normal(4, 2)]),
    *(("matmul", ops.matmul, np.matmul, [normal(m, k), normal(k, n)]) for m, k, n in [(5, 4, 3), (8, 17, 33), (13, 300, 18)]),
]  # fmt: skip

# channels, filters, groups, kernel, stride, dilation, padding, height, width
CONVOLUTIONS = [
    (1, 1, 1, 1, 1, 1, "valid", 3, 3), (3, 4, 1, 3, 1, 1, "same", 6, 5), (2, 17, 1, 3, 2, 1, "same", 7, 6),
    (4, 6, 2, 3, 1, 1, "valid", 5, 6), (3, 3, 3, 3, 1, 1, "same", 5, 5), (2, 3, 1, 2, 1, 2, "same", 6, 6),
    (5, 2, 1, 5, 3, 1, "same", 8, 7), (33, 3, 1, 1, 2, 1, "valid", 4, 4), (1, 6, 1, 5, 1, 1, "valid", 9, 8),
]  # fmt: skip
for c, k, g, size, s, d, padding, h, w in CONVOLUTIONS:
    CASES.append(
        (
            f"conv2d c{c} k{k} g{g} {size}x{size} s{s} d{d} {padding}",
            lambda x, f, s=s, d=d, g=g, padding=padding: ops.conv(x, f, s, padding, dilation_rate=d, groups=g),
            lambda x, f, s=s, d=d, g=g, padding=padding: convolve(x, f, s, padding, d, g),
            [normal(2, h, w, c), normal(size, size, c // g, k)],
        )
    )
for kind in ("max", "average", "median"):
    for c, size, s, padding in [(1, 2, 2, "valid"), (3, 3, 2, "same"), (8, 2, 1, "valid"), (17, 3, 3, "same")]:
        CASES.append(
            (
                f"pool2d {kind} c{c} {size} s{s} {padding}",
                lambda x, k=kind, n=size, s=s, p=padding: getattr(ops, f"{k}_pool")(x, n, s, p),
                lambda x, k=kind, n=size, s=s, p=padding: pool(x, k, n, s, p),
                [distinct(2, 5, 6, c)],
            )
        )
CASES.append(("resize2d", lambda x: ops.resize(x, (6, 8)), lambda x: resize_bilinear(x, 6, 8), [normal(1, 3, 4, 2)]))
CASES.append(
    (
        "resize2d_nearest",
        lambda x: ops.resize(x, (6, 8), "nearest"),
        lambda x: x.repeat(2, 1).repeat(2, 2),
        [normal(1, 3, 4, 2)],
    )
)


@pytest.mark.parametrize("case", CASES, ids=lambda c: c[0])
def test_forward(case: Case) -> None:
    _, function, reference, arrays = case
    got = function(*(np.asarray(a, np.float32) for a in arrays)).numpy()
    want = reference(*(np.asarray(a, np.float32).astype(np.float64) for a in arrays))
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("case", CASES, ids=lambda c: c[0])
def test_gradient(case: Case) -> None:
    _, function, reference, arrays = case
    if sum(a.size for a in arrays) > 700:
        arrays = arrays[:]  # large cases: a random direction stands for all elements
    weights = np.random.default_rng(1).normal(size=reference(*arrays).shape)

    def loss(*xs: Tensor) -> Any:
        return ops.sum(ops.multiply(function(*xs), weights.astype(np.float32)))

    program = Program(lambda *xs: gradients([loss(*xs)], list(xs)), [TensorSpec(a.shape) for a in arrays])
    got = program(*(a.astype(np.float32) for a in arrays))
    for i, a in enumerate(arrays):
        assert got[i] is not None
        # The slope along random directions.
        for seed in range(3):
            direction = np.random.default_rng(seed).normal(size=a.shape)
            h = 1e-4
            sides = []
            for sign in (1, -1):
                moved = [x.astype(np.float64) for x in arrays]
                moved[i] = moved[i] + sign * h * direction
                sides.append((reference(*moved) * weights).sum())
            slope = (sides[0] - sides[1]) / (2 * h)
            np.testing.assert_allclose((got[i] * direction).sum(), slope, rtol=2e-3, atol=2e-3)


# Covered by name above, or reached only through others' gradients, or without a gradient or value of their own.
INDIRECT = {
    "cast", "stop_gradient", "equal", "not_equal", "less", "less_equal", "isnan", "isfinite", "bitwise_and",
    "bitwise_or", "bitwise_xor", "floor", "ceil", "round", "trunc", "sign", "floor_divide", "arg_reduce", "iota",
    "random_uniform", "random_normal", "random_bits", "dropout", "scatter_add", "conv2d_input_grad",
    "conv2d_weight_grad", "pool2d_grad", "pool2d_pick", "resize2d_grad", "reduce", "binary_crossentropy_slope",
}  # fmt: skip


def test_every_operation_has_a_case() -> None:
    named = {case[0].split()[0] for case in CASES}
    assert not set(REGISTRY) - named - INDIRECT, "operations without a row of cases"


@pytest.mark.parametrize("n", [0, 1, 4, 7, 8, 15, 16, 17, 511, 512, 513, 9000])
def test_comparisons_and_rounding_at_all_sizes(n: int) -> None:
    a, b = RNG.integers(-3, 4, n).astype(np.float32), RNG.integers(-3, 4, n).astype(np.float32)
    for name in ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal"):
        np.testing.assert_array_equal(getattr(ops, name)(a, b).numpy(), getattr(np, name)(a, b))
    x = (a + 0.5 * b).astype(np.float32)
    for ours, theirs in ((ops.floor, np.floor), (ops.ceil, np.ceil), (ops.round, np.round), (ops.sign, np.sign)):
        np.testing.assert_array_equal(ours(x).numpy(), theirs(x))
    np.testing.assert_array_equal(ops.cast(x, "int32").numpy(), x.astype(np.int32))
    ia, ib = a.astype(np.int32), np.where(b == 0, 1, b).astype(np.int32)
    np.testing.assert_array_equal(ops.floor_divide(ia, ib).numpy(), ia // ib)
    np.testing.assert_array_equal(ops.mod(ia, ib).numpy(), ia % ib)


def test_binary_crossentropy_at_the_ends_and_its_derivatives() -> None:
    """Clipped probabilities have no derivative; first and second derivatives by both arguments against finite differences."""
    e = np.float32(1e-7)
    target = np.array([0, 1, 0.3, 1, 0, 0.3, 0.7, 0.5], np.float32)
    output = np.array([0, 0, e, 1, 1, np.float32(1) - e, np.nan, 0.5], np.float32)
    p = np.clip(output.astype(np.float64), 1e-7, np.float32(1 - 1e-7))
    want = -(target * np.log(p) + (1 - target) * np.log1p(-p))
    np.testing.assert_allclose(ops.binary_crossentropy(target, output).numpy(), want, rtol=1e-5, atol=1e-7)

    def slopes(t: Tensor, y: Tensor) -> list[Tensor]:
        first = gradients([ops.binary_crossentropy(t, y)], [t, y])
        return [*first, *gradients([first[1]], [t, y])]

    program = Program(slopes, [TensorSpec((8,)), TensorSpec((8,))])
    ends = np.array([0, 0, e, 1, 1, np.float32(1) - e, 2, -1], np.float32)
    by_target, by_output, *_ = program(target, ends)
    np.testing.assert_array_equal(by_output[[0, 1, 3, 4, 6, 7]], 0)
    half = (np.array([1e-7, 1 - e], np.float64) - target[[2, 5]]) / np.array([1e-7, float(e)]) / 2
    np.testing.assert_allclose(by_output[[2, 5]], half, rtol=0.2)  # one float32 unit of 1 - 1e-7 is a fifth of 1e-7

    y = RNG.uniform(0.1, 0.9, 8)
    t, h = target.astype(np.float64), 1e-5

    def loss(t: np.ndarray, y: np.ndarray) -> np.ndarray:
        return -(t * np.log(y) + (1 - t) * np.log(1 - y))

    def slope(t: np.ndarray, y: np.ndarray) -> np.ndarray:
        return (loss(t, y + h) - loss(t, y - h)) / (2 * h)

    want_all = [
        (loss(t + h, y) - loss(t - h, y)) / (2 * h), slope(t, y),
        (slope(t + h, y) - slope(t - h, y)) / (2 * h), (slope(t, y + h) - slope(t, y - h)) / (2 * h),
    ]  # fmt: skip
    for got, expected in zip(program(target, y.astype(np.float32)), want_all, strict=True):
        np.testing.assert_allclose(got, expected, rtol=2e-3, atol=2e-4)


_MATHEMATICS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "exp": np.exp, "expm1": np.expm1, "log": np.log, "log1p": np.log1p, "tanh": np.tanh,
    "sigmoid": lambda w: 1 / (1 + np.exp(-w)), "softplus": lambda w: np.logaddexp(0, w), "erf": np.vectorize(math.erf, [float]),
}  # fmt: skip


@pytest.mark.parametrize("name", _MATHEMATICS)
def test_vector_mathematics_within_four_units_in_the_last_place(name: str) -> None:
    """Numbers from everywhere, specials among them, and every number of a binade (a part of it where the reference is slow)."""
    everywhere = np.linspace(0, 2**32 - 1, 400_001).astype(np.uint32).view(np.float32)
    binade = np.arange(0x3F000000, 0x3F800000, 16 if name == "erf" else 1, dtype=np.uint32).view(np.float32)
    x = np.concatenate([everywhere, np.float32([0, -0.0, np.inf, -np.inf, np.nan]), binade])
    with np.errstate(all="ignore"):
        want = _MATHEMATICS[name](x.astype(np.float64))
        got = getattr(ops, name)(x).numpy().astype(np.float64)
        want32 = want.astype(np.float32)
    ok = np.isfinite(want32) & (np.abs(want) > 1.2e-38)
    ulp = np.abs(np.spacing(want32[ok]).astype(np.float64))
    assert (np.abs(got[ok] - want[ok]) / ulp).max() <= 4.0
    np.testing.assert_array_equal(np.isnan(got), np.isnan(want32))
    np.testing.assert_array_equal(got[np.isinf(want32)], want32[np.isinf(want32)])


def test_philox_known_answers() -> None:
    from berrante import random

    zero = np.zeros(2, np.int32)
    words = random._draw(random._bits, (4,), zero, "int32").numpy().view(np.uint32)
    assert [hex(w) for w in words] == ["0x6627e8d5", "0xe169c58d", "0xbc57ac4c", "0x9b00dbd8"]


def test_dropout_masks_agree_between_forward_and_backward() -> None:
    from berrante import random

    seed = np.array([5, 9], np.int32)

    def function(x: Tensor) -> list[Any]:
        y = random.dropout(x, 0.4, seed=seed)
        return [y, gradients([ops.sum(y)], [x])[0]]

    x = np.ones(10_000, np.float32)
    y, dx = Program(function, [TensorSpec(x.shape)])(x)
    np.testing.assert_array_equal(y, dx)
    assert abs((y == 0).mean() - 0.4) < 0.02 and set(np.unique(y)) == {np.float32(0), np.float32(1 / 0.6)}


def test_the_slides_convolution() -> None:
    image = np.array([[35, 40, 41, 45, 50], [40, 40, 42, 46, 52], [42, 46, 50, 55, 55], [48, 52, 56, 58, 60], [56, 60, 65, 70, 75]], np.float32)  # fmt: skip
    kernel = np.array([[0, 1, 0], [0, 0, 0], [0, 0, 0]], np.float32)
    y = ops.conv(image.reshape(1, 5, 5, 1), kernel.reshape(3, 3, 1, 1), padding="same").numpy()
    assert y[0, 2, 2, 0] == 42


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(("stride", "size"), [(1, 3), (2, 3), (2, 5), (3, 2)])
def test_transposed_convolution_is_the_adjoint(padding: str, stride: int, size: int) -> None:
    x, w = normal(2, 4, 5, 3).astype(np.float32), normal(size, size, 2, 3).astype(np.float32)
    y = ops.conv_transpose(x, w, stride, padding).numpy()
    back = ops.conv(y, w, stride, padding).numpy()
    other = normal(*y.shape).astype(np.float32)
    if back.shape == x.shape:
        np.testing.assert_allclose(
            (other * y).sum(), (ops.conv(other, w, stride, padding).numpy() * x).sum(), rtol=1e-3
        )


def test_errors_say_what_was_expected() -> None:
    with pytest.raises(ValueError, match=r"\[add\] shapes do not broadcast: received \(3,\) and \(4,\)"):
        ops.add(np.ones(3), np.ones(4))
    with pytest.raises(ValueError, match=r"\[matmul\] inner extents must agree"):
        ops.matmul(np.ones((2, 3)), np.ones((4, 2)))
    with pytest.raises(ValueError, match="does not fit into an input"):
        ops.max_pool(np.ones((1, 2, 2, 1)), 3)
    with pytest.raises(ValueError, match=r"\[reshape\] cannot reshape \(2, 3\)"):
        ops.reshape(np.ones((2, 3)), (4, 2))
