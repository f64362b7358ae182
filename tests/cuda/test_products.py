"""CUDA's products and convolutions beyond the common cases: split sums, broken tiles, every alignment, steps that share factors."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from cuda.modules import EMULATED, KERNELS, RUNNING, needs_emulator

Array = np.ndarray[Any, Any]
PRECISIONS = {"tf32": 0, "full": 1, "bf16": 2, "f16": 3}
# Relative to the sum of the products' sizes.
TOLERANCE = {"tf32": 1e-3, "full": 2e-6, "bf16": 8e-3, "f16": 1e-3}

pytestmark = pytest.mark.skipif("matmul" not in KERNELS, reason="no CUDA module was built")


def normal(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype(np.float32)


def run(
    module: Any, name: str, inputs: list[Array], shape: tuple[int, ...], attrs: dict[str, Any], precision: str
) -> Array:
    y = np.full(shape, np.nan, np.float32)
    module.run_kernel(name, inputs, [y], attrs, PRECISIONS[precision])
    return y


def compare(got: Array, expected: Array, sizes: Array, precision: str) -> None:
    """Errors against the sums of absolute products that rounding is relative to."""
    assert not np.isnan(got).any()
    worst = np.max(np.abs(got - expected) / (sizes + 1e-3), initial=0.0)
    assert worst < TOLERANCE[precision], worst


MATRICES = [
    (1, 1, 1, 1), (1, 1, 4100, 7), (1, 7, 10, 3000), (2, 33, 17, 31), (1, 64, 64, 64), (1, 65, 130, 36),
    (3, 20, 40, 1025), (1, 128, 128, 96), (1, 130, 260, 70), (1, 200, 10, 784), (1, 16, 64, 2048),
    (32, 130, 100, 40), (5, 0, 4, 3), (2, 4, 5, 0), (0, 4, 4, 4),
]  # fmt: skip


@pytest.mark.parametrize("module", RUNNING)
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("extents", MATRICES, ids=str)
def test_matmul(module: Any, precision: str, extents: tuple[int, ...]) -> None:
    batch, m, n, k = extents
    large = batch * m * n > 400000  # tiles of 128 x 128
    a, b = normal(batch, m, k), normal(batch, k, n, seed=1)
    expected = a.astype(np.float64) @ b
    sizes = np.abs(a.astype(np.float64)) @ np.abs(b)
    for ta, tb in [(0, 1)] if large and precision != "tf32" else product((0, 1), (0, 1)):
        given = [a.swapaxes(1, 2).copy() if ta else a, b.swapaxes(1, 2).copy() if tb else b]
        attrs = {"transpose_a": ta, "transpose_b": tb, "activation": 0}
        compare(run(module, "matmul", given, expected.shape, attrs, precision), expected, sizes, precision)


@pytest.mark.parametrize("module", RUNNING)
@pytest.mark.parametrize("activation", range(4))
@pytest.mark.parametrize("k", [40, 2000])  # whole and split sums
def test_bias_and_activation(module: Any, activation: int, k: int) -> None:
    a, b, bias = normal(1, 40, k) / np.float32(k**0.5), normal(1, k, 50, seed=1), normal(50)
    sums = (a.astype(np.float64) @ b) + bias
    function = [lambda x: x, lambda x: np.maximum(x, 0), lambda x: 1 / (1 + np.exp(-x)), np.tanh][activation]
    attrs = {"transpose_a": 0, "transpose_b": 0, "activation": activation}
    got = run(module, "matmul", [a, b, bias], sums.shape, attrs, "full")
    np.testing.assert_allclose(got, function(sums), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("module", RUNNING)
def test_relu_keeps_nan(module: Any) -> None:
    a = np.array([[[np.nan], [-1.0], [2.0]]], np.float32)
    y = np.empty((1, 3, 1), np.float32)
    attrs = {"transpose_a": 0, "transpose_b": 0, "activation": 1}
    module.run_kernel("matmul", [a, np.ones((1, 1, 1), np.float32)], [y], attrs, 1)
    np.testing.assert_array_equal(y.ravel(), [np.nan, 0.0, 2.0])


# n, h, w, c, k, (kernel), (stride), (pad_top, pad_left), (out), (dilation), groups. Pads may be negative (a crop), and the
# output's extent need not follow from them.
CONVOLUTIONS = [
    (2, 9, 8, 3, 5, (3, 2), (1, 1), (1, 0), (9, 8), (1, 1), 1),
    (1, 12, 12, 32, 48, (3, 3), (1, 1), (1, 1), (12, 12), (1, 1), 1),
    (2, 11, 10, 8, 36, (3, 3), (2, 2), (1, 1), (6, 5), (1, 1), 1),
    (2, 9, 11, 4, 8, (3, 3), (2, 3), (2, 2), (5, 4), (2, 2), 1),
    (1, 13, 13, 8, 8, (3, 3), (4, 4), (3, 3), (4, 4), (2, 6), 1),
    (3, 7, 7, 24, 32, (1, 1), (3, 3), (0, 0), (3, 3), (1, 1), 1),
    (2, 8, 8, 32, 64, (2, 2), (2, 2), (0, 0), (4, 4), (1, 1), 2),
    (2, 8, 9, 6, 12, (3, 3), (2, 1), (1, 1), (4, 9), (1, 2), 6),
    (1, 6, 6, 4, 4, (5, 5), (1, 1), (-1, -2), (2, 2), (1, 1), 1),
    (1, 5, 5, 2, 3, (2, 2), (3, 3), (0, 0), (4, 5), (1, 1), 1),
    (16, 14, 14, 4, 20, (3, 3), (1, 1), (1, 1), (14, 14), (1, 1), 1),
    (0, 4, 4, 3, 3, (3, 3), (1, 1), (1, 1), (4, 4), (1, 1), 1),
    # Tiles of 128 x 128, in both directions of the images and in the weights.
    (2, 66, 64, 96, 100, (1, 1), (1, 1), (0, 0), (66, 64), (1, 1), 1),
    (1, 4, 4, 128, 1024, (3, 3), (1, 1), (1, 1), (4, 4), (1, 1), 1),
]


def patches(x: Array, kernel: Any, stride: Any, pad: Any, out: Any, dilation: Any) -> Array:
    """[n, oh, ow, kh, kw, c], zeros outside, in float64."""
    n, h, w, c = x.shape
    result = np.zeros((n, *out, *kernel, c))
    for i, j, kh, kw in np.ndindex(*out, *kernel):
        row = i * stride[0] - pad[0] + kh * dilation[0]
        column = j * stride[1] - pad[1] + kw * dilation[1]
        if 0 <= row < h and 0 <= column < w:
            result[:, i, j, kh, kw] = x[:, row, column]
    return result


def scatter(columns: Array, shape: Any, stride: Any, pad: Any, dilation: Any) -> Array:
    """The adjoint of `patches`."""
    x = np.zeros(shape)
    for i, j, kh, kw in np.ndindex(*columns.shape[1:5]):
        row = i * stride[0] - pad[0] + kh * dilation[0]
        column = j * stride[1] - pad[1] + kw * dilation[1]
        if 0 <= row < shape[1] and 0 <= column < shape[2]:
            x[:, row, column] += columns[:, i, j, kh, kw]
    return x


def references(x: Array, w: Array, dy: Array, geometry: Any, groups: int) -> tuple[Array, Array, Array]:
    stride, pad, out, dilation = geometry
    kernel, cg, kg = w.shape[:2], w.shape[2], w.shape[3] // groups
    columns = patches(x, kernel, stride, pad, out, dilation)
    y, dx, dw = np.zeros(dy.shape), np.zeros(x.shape), np.zeros(w.shape)
    for group in range(groups):
        c, k = slice(group * cg, (group + 1) * cg), slice(group * kg, (group + 1) * kg)
        y[..., k] = np.tensordot(columns[..., c], w[..., k], 3)
        dw[..., k] = np.tensordot(columns[..., c], dy[..., k], ((0, 1, 2),) * 2)
        back = np.tensordot(dy[..., k], w[..., k], ((3,), (3,)))
        dx[..., c] = scatter(back, x[..., c].shape, stride, pad, dilation)
    return y, dx, dw


@pytest.mark.parametrize("module", RUNNING)
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("case", CONVOLUTIONS, ids=str)
def test_convolutions(module: Any, precision: str, case: Any) -> None:
    n, h, w, c, k, kernel, stride, pad, out, dilation, groups = case
    if c * k > 9000 and precision != "tf32":
        pytest.skip("slow, and no different from smaller tiles")
    x, weights = normal(n, h, w, c), normal(*kernel, c // groups, k, seed=1)
    dy, bias, back = normal(n, *out, k, seed=2), normal(k, seed=3), normal(c, seed=4)
    geometry = (stride, pad, out, dilation)
    attrs: dict[str, Any] = {"groups": groups}
    for name, value in (("stride", stride), ("dilation", dilation)):
        attrs |= {f"{name}_h": value[0], f"{name}_w": value[1]}
    attrs |= {"pad_top": pad[0], "pad_left": pad[1]}
    activated = attrs | {"activation": 0}
    expected = references(x, weights, dy, geometry, groups)
    sizes = references(*(np.abs(t) for t in (x, weights, dy)), geometry, groups)
    compare(
        run(module, "conv2d", [x, weights, bias], dy.shape, activated, precision),
        expected[0] + bias,
        sizes[0],
        precision,
    )
    got = run(module, "conv2d_input_grad", [dy, weights, back], x.shape, activated, precision)
    compare(got, expected[1] + back, sizes[1], precision)
    got = run(module, "conv2d_weight_grad", [x, dy], weights.shape, attrs, precision)
    compare(got, expected[2], sizes[2], precision)


@needs_emulator
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(("batch", "m", "n", "k"), [(1, 70, 90, 300), (64, 128, 96, 70), (1, 10, 80, 600)])
def test_the_order_of_threads_does_not_matter(precision: str, batch: int, m: int, n: int, k: int) -> None:
    if batch > 1 and precision != "tf32":
        pytest.skip("slow, and no different")
    a, b = normal(batch, m, k), normal(1, k, n, seed=1)
    for ta in (0,) if batch > 1 else (0, 1):
        results = []
        attrs = {"transpose_a": ta, "transpose_b": ta, "activation": 0}
        given = [a.swapaxes(1, 2).copy(), b.swapaxes(1, 2).copy()] if ta else [a, b]
        try:
            for order in ("forward", "reverse", "shuffled"):
                EMULATED.set_emulator(order=order)
                results.append(run(EMULATED, "matmul", given, (batch, m, n), attrs, precision))
        finally:
            EMULATED.set_emulator()
        np.testing.assert_array_equal(results[1], results[0])
        np.testing.assert_array_equal(results[2], results[0])


@pytest.mark.parametrize("module", RUNNING)
def test_full_precision_of_extreme_numbers(module: Any) -> None:
    a = np.zeros((1, 32, 32), np.float32)
    a[0, :, 0] = np.geomspace(1e-30, 1e38, 32, dtype=np.float32)
    a[0, 3, 0], a[0, 4, 0] = np.inf, np.nan
    b = np.zeros((1, 32, 32), np.float32)
    b[0, 0] = 1.0
    attrs = {"transpose_a": 0, "transpose_b": 0, "activation": 0}
    got = run(module, "matmul", [a, b], (1, 32, 32), attrs, "full")
    assert not np.isfinite(got[0, 3:5, 0]).any()
    got[0, 3:5, 0] = a[0, 3:5, 0]
    np.testing.assert_allclose(got[0, :, 0], a[0, :, 0], rtol=1e-6)


@pytest.mark.parametrize("module", RUNNING)
def test_what_does_not_fit_is_refused(module: Any) -> None:
    a, b, y = (np.zeros(s, np.float32) for s in ((1, 2, 3), (1, 4, 5), (1, 2, 5)))
    attrs = {"transpose_a": 0, "transpose_b": 0, "activation": 0}
    with pytest.raises(ValueError, match=r"\[matmul\] the operands' extents do not fit"):
        module.plan_kernel("matmul", [a, b], [y], attrs)
    x, w, y = (np.zeros(s, np.float32) for s in ((1, 4, 4, 3), (3, 3, 2, 5), (1, 4, 4, 5)))
    attrs = dict.fromkeys(("stride_h", "stride_w", "dilation_h", "dilation_w", "groups"), 1)
    attrs |= dict.fromkeys(("pad_top", "pad_left", "activation"), 0)
    with pytest.raises(ValueError, match=r"\[conv2d\] channels, filters or batches do not fit"):
        module.plan_kernel("conv2d", [x, w], [y], attrs)


@pytest.fixture
def hopper() -> Any:
    EMULATED.set_emulator(compute=90)
    yield EMULATED
    EMULATED.set_emulator()


def took_wgmma(module: Any) -> bool:
    """Whether the last launches were of two multiplying warpgroups and one that feeds them, with their stages."""
    shapes = [(block, shared) for _, block, shared in module.take_launches()]
    return any(block[0] == 384 and shared > 128 << 10 for block, shared in shapes)


ON_HOPPER = [("tf32", ta, tb) for ta, tb in product((0, 1), (0, 1))]
ON_HOPPER += [("bf16", 0, 0), ("bf16", 1, 1), ("f16", 1, 0), ("full", 0, 0)]


@needs_emulator
@pytest.mark.parametrize("precision, ta, tb", ON_HOPPER)
@pytest.mark.parametrize("extents", [(64, 128, 128, 36), (17, 130, 133, 67)], ids=str)
def test_large_products_on_hopper(hopper: Any, precision: str, ta: int, tb: int, extents: Any) -> None:
    batch, m, n, k = extents
    a, b, bias = normal(batch, m, k), normal(batch, k, n, seed=1), normal(n)
    given = [a.swapaxes(1, 2).copy() if ta else a, b.swapaxes(1, 2).copy() if tb else b, bias]
    attrs = {"transpose_a": ta, "transpose_b": tb, "activation": 1}
    expected = np.maximum(a.astype(np.float64) @ b + bias, 0)
    sizes = np.abs(a.astype(np.float64)) @ np.abs(b) + np.abs(bias)
    hopper.take_launches()
    compare(run(hopper, "matmul", given, expected.shape, attrs, precision), expected, sizes, precision)
    assert took_wgmma(hopper) == (precision != "full")


@needs_emulator
@pytest.mark.parametrize("order", ["reverse", "shuffled"])
def test_hoppers_stages_are_ordered(order: str) -> None:
    a, b = normal(64, 128, 200), normal(64, 200, 128, seed=1)
    attrs = {"transpose_a": 0, "transpose_b": 0, "activation": 0}
    results = []
    for chosen in ("forward", order):
        EMULATED.set_emulator(order=chosen, compute=90)
        results.append(run(EMULATED, "matmul", [a, b], (64, 128, 128), attrs, "bf16"))
    EMULATED.set_emulator()
    np.testing.assert_array_equal(*results)


@needs_emulator
@pytest.mark.parametrize("kernel", ["conv2d", "conv2d_input_grad", "conv2d_weight_grad"])
def test_convolutions_on_hopper(hopper: Any, kernel: str) -> None:
    """Against the same kernel on sm_80, whose convolutions are tested above."""
    # 64 tiles of 128 x 128 at least, and a depth of 36.
    n, h, c, k, taps = {
        "conv2d": (2, 68, 4, 128, 3), "conv2d_input_grad": (2, 68, 128, 4, 3), "conv2d_weight_grad": (1, 6, 112, 1024, 3),
    }[kernel]  # fmt: skip
    x, w, y = normal(n, h, h, c), normal(taps, taps, c, k), normal(n, h, h, k)
    attrs = {name: 1 for name in ("stride_h", "stride_w", "dilation_h", "dilation_w", "groups")}
    attrs |= {"pad_top": taps // 2, "pad_left": taps // 2}
    given, shape = {
        "conv2d": ([x, w], y.shape), "conv2d_input_grad": ([y, w], x.shape), "conv2d_weight_grad": ([x, y], w.shape),
    }[kernel]  # fmt: skip
    attrs |= {} if kernel == "conv2d_weight_grad" else {"activation": 0}
    hopper.take_launches()
    found = run(hopper, kernel, given, shape, attrs, "f16")
    assert took_wgmma(hopper)
    hopper.set_emulator(compute=80)
    other = run(hopper, kernel, given, shape, attrs, "f16")
    np.testing.assert_allclose(found, other, rtol=1e-4, atol=1e-3)
