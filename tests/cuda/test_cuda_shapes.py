"""CUDA kernels against the CPU's over shapes that reach every form of a kernel: long rows, shares of a sum, several
tiles of a sort, wide and narrow planes, NaN and infinity, nothing at all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from berrante import _cpu
from berrante.runtime import kernels
from cuda.modules import EMULATED, KERNELS, RUNNING

Array = np.ndarray[Any, Any]
ORDERS = ("forward", "reverse", "shuffled")


def numbers(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype(np.float32)


def compare(
    module: Any, kernel: str, inputs: list[Array], shapes: list[tuple[Any, ...]], attrs: Any, tolerance: float = 0.0
) -> list[Array]:
    """Outputs of the CPU's kernel and of the CUDA one in every order of threads; `shapes`: (dtype, *shape) each."""
    if kernel not in KERNELS:
        pytest.skip(f"{kernel} has no CUDA form")
    expected = [np.empty(shape, dtype) for dtype, *shape in shapes]
    _cpu.run_kernel(kernel, inputs, expected, attrs)
    first: list[Array] = []
    for order in ORDERS if module is EMULATED else ORDERS[:2]:
        if module is EMULATED:
            module.set_emulator(order=order)
        outputs = [np.empty_like(y) for y in expected]
        for y in outputs:
            y.reshape(-1).view(np.uint8)[...] = 0xFF
        try:
            module.run_kernel(kernel, inputs, outputs, attrs)
        finally:
            if module is EMULATED:
                module.set_emulator()
        first = first or outputs
        for y, same, of_cpu in zip(outputs, first, expected, strict=True):
            np.testing.assert_array_equal(y, same)
            if tolerance == 0:
                np.testing.assert_array_equal(y, of_cpu)
            else:
                finite = np.abs(of_cpu[np.isfinite(of_cpu)])
                scale = max(1.0, float(finite.max(initial=0.0)))
                np.testing.assert_allclose(y, of_cpu, rtol=tolerance, atol=tolerance * scale)
    return first


@pytest.mark.parametrize("module", RUNNING)
@pytest.mark.parametrize("shape", [(5, 16, 1), (3, 2049, 1), (1, 30001, 1), (1, 3000, 4), (2, 700, 130), (0, 3, 2)])
@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_reductions(module: Any, shape: tuple[int, ...], dtype: Any) -> None:
    x = (numbers(*shape) * 3).astype(dtype)
    a, _, b = shape
    for kind in (0, 1, 2, 3):
        compare(module, "reduce", [x], [(dtype, a, b)], {"kind": kind}, 1e-4 if dtype is np.float32 else 0.0)
    for kind in (2, 3):
        compare(module, "arg_reduce", [x], [(np.int32, a, b)], {"kind": kind})
    if dtype is np.float32:
        compare(module, "moments", [x + 100], [(dtype, a, b)] * 2, {}, 1e-4)


@pytest.mark.parametrize("module", RUNNING)
def test_extremes_with_nan_and_ties(module: Any) -> None:
    x = np.random.default_rng(0).integers(0, 5, (4, 5000, 1)).astype(np.float32)
    x[1, 4321] = x[1, 4500] = x[2, 7] = np.nan
    for kind in (2, 3):
        compare(module, "reduce", [x], [(np.float32, 4, 1)], {"kind": kind})
        compare(module, "arg_reduce", [x], [(np.int32, 4, 1)], {"kind": kind})
        turned = np.ascontiguousarray(x.reshape(4, 1250, 4))
        compare(module, "arg_reduce", [turned], [(np.int32, 4, 4)], {"kind": kind})


@pytest.mark.parametrize("module", RUNNING)
@pytest.mark.parametrize("n", [0, 7, 32, 100, 256, 511, 1024, 1025, 11264, 11270])
def test_softmax(module: Any, n: int) -> None:
    x, target = numbers(3, n) * 4, np.abs(numbers(3, n, seed=1))
    if n > 3:
        x[1, 2], x[2, 1] = np.nan, np.inf
    row, loss = (np.float32, 3, n), (np.float32, 3)
    for kernel in ("softmax", "log_softmax"):
        compare(module, kernel, [x], [row], {}, 1e-5)
    labels = np.array([n - 1, 0, n], np.int32)
    for clip in (0.0, 1e-7):
        compare(module, "softmax_cross_entropy", [x, target], [loss, row], {"clip": clip}, 1e-5)
        compare(module, "softmax_cross_entropy", [x, labels], [loss, row], {"clip": clip}, 1e-5)


@pytest.mark.parametrize("module", RUNNING)
@pytest.mark.parametrize(("m", "n"), [(2, 2), (3, 2048), (2, 5000), (1, 9000), (0, 4)])
@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_sort(module: Any, m: int, n: int, dtype: Any) -> None:
    x = np.random.default_rng(n).integers(-200, 200, (m, n)).astype(dtype)
    if dtype is np.float32 and x.size > 20:
        x[0, ::7] *= -0.0
        x[0, 3], x[0, 11], x[0, 12], x[0, 15] = np.nan, np.inf, -np.inf, np.nan
    elif x.size > 20:
        x[0, 3], x[0, 4] = 2**31 - 1, -(2**31)
    for descending in (0, 1):
        compare(module, "sort", [x], [(dtype, m, n), (np.int32, m, n)], {"descending": descending})


@pytest.mark.parametrize("module", RUNNING)
@pytest.mark.parametrize("shape", [(2, 1, 1), (3, 130, 1), (1, 5000, 1), (2, 1000, 3), (1, 0, 5)])
def test_cumsum(module: Any, shape: tuple[int, ...]) -> None:
    for dtype in (np.float32, np.int32):
        x = (numbers(*shape) * 9).astype(dtype)
        if dtype is np.float32 and shape[1] > 100:
            x[0, shape[1] // 2] = np.inf
        for exclusive, reverse in ((0, 0), (1, 0), (0, 1), (1, 1)):
            attrs = {"exclusive": exclusive, "reverse": reverse}
            compare(module, "cumsum", [x], [(dtype, *shape)], attrs, 1e-5 if dtype is np.float32 else 0.0)


@pytest.mark.parametrize("module", RUNNING)
@pytest.mark.parametrize("shape", [(2, 7, 5, 4), (1, 6, 9, 3)])
@pytest.mark.parametrize(
    ("window", "stride", "pad"), [((2, 2), (2, 2), (0, 0)), ((3, 2), (1, 3), (1, 0)), ((4, 5), (2, 1), (2, 3))]
)
def test_pooling(module: Any, shape: tuple[int, ...], window: Any, stride: Any, pad: Any) -> None:
    x = np.random.default_rng(0).integers(0, 4, shape).astype(np.float32)  # ties
    n, h, w, c = shape
    oh, ow = ((size + 2 * p - k) // s + 1 for size, p, k, s in zip((h, w), pad, window, stride, strict=True))
    attrs = {"window_h": window[0], "window_w": window[1], "stride_h": stride[0], "stride_w": stride[1]}
    attrs |= {"pad_top": pad[0], "pad_left": pad[1]}
    dy, v, y = numbers(n, oh, ow, c), numbers(*shape, seed=1), (np.float32, n, oh, ow, c)
    for kind in (0, 1, 2):
        every = attrs | {"kind": kind}
        compare(module, "pool2d", [x], [y], every, 1e-6)
        compare(module, "pool2d_grad", [x, dy], [(np.float32, *shape)], every, 1e-5)
        if kind != 1:
            compare(module, "pool2d_pick", [x, v], [y], every, 1e-6)
    x[0, 1, 1] = np.nan
    compare(module, "pool2d", [x], [y], attrs | {"kind": 0})
    compare(module, "pool2d_grad", [x, dy], [(np.float32, *shape)], attrs | {"kind": 0}, 1e-5)


@pytest.mark.parametrize("module", RUNNING)
@pytest.mark.parametrize(
    ("h", "w", "oh", "ow", "c"), [(5, 7, 10, 14, 4), (9, 8, 4, 3, 1), (1, 1, 6, 5, 8), (6, 5, 7, 17, 3)]
)
def test_resizing(module: Any, h: int, w: int, oh: int, ow: int, c: int) -> None:
    x, dy = numbers(2, h, w, c), numbers(2, oh, ow, c, seed=1)
    for kind in (0, 1):
        compare(module, "resize2d", [x], [(np.float32, 2, oh, ow, c)], {"kind": kind}, 1e-5)
        compare(module, "resize2d_grad", [dy], [(np.float32, 2, h, w, c)], {"kind": kind}, 1e-5)


@pytest.mark.parametrize("module", RUNNING)
@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_movement(module: Any, dtype: Any) -> None:
    for shape, perm in (
        ((33, 65), (1, 0)), ((2, 40, 3, 16), (0, 2, 1, 3)), ((3, 9, 70), (2, 1, 0)), ((50, 3), (1, 0)), ((4, 16), (0, 1)),
        ((), ()), ((2, 8, 5, 12), (1, 3, 0, 2)),
    ):  # fmt: skip
        x = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
        compare(module, "transpose", [x], [(dtype, *(shape[p] for p in perm))], {"perm": perm})
    x = np.arange(6 * 5 * 32).reshape(6, 5, 32).astype(dtype)
    compare(module, "slice", [x], [(dtype, 3, 2, 32)], {"start": [0, 3, 0], "step": [2, -2, 1]})
    compare(module, "slice", [x], [(dtype, 6, 5, 16)], {"start": [0, 0, 16], "step": [1, 1, 1]})
    compare(module, "slice", [x], [(dtype, 6, 5, 8)], {"start": [0, 0, 31], "step": [1, 1, -3]})
    parts = [np.ascontiguousarray(x[:, :k]) for k in (2, 0, 1, 5)]
    compare(module, "concat", parts, [(dtype, 6, 8, 32)], {})
    for low, interior, out in (((1, 2, 0), (1, 0, 0), (14, 8, 32)), ((-1, 0, -3), (0, 1, 2), (5, 9, 90))):
        compare(module, "pad", [x], [(dtype, *out)], {"low": low, "interior": interior, "value": 9.0})
    compare(
        module, "pad", [np.zeros((0, 3), dtype)], [(dtype, 4, 3)], {"low": (1, 0), "interior": (0, 0), "value": 2.0}
    )
    at = np.array([5, 0, -1, 6, 2, 2], np.int32)
    for b in (1, 4, 31, 32):
        rows = np.arange(2 * 6 * b).reshape(2, 6, b).astype(dtype)
        compare(module, "gather", [rows, at], [(dtype, 2, 6, b)], {})


@pytest.mark.parametrize("module", RUNNING)
@pytest.mark.parametrize(("m", "n", "b"), [(0, 5, 4), (60, 3, 4), (5000, 300, 1), (5000, 2, 3), (3, 70000, 1)])
def test_scatter_add_keeps_the_order_of_updates(module: Any, m: int, n: int, b: int) -> None:
    at = np.random.default_rng(m).integers(-2, n + 2, m).astype(np.int32)
    compare(module, "scatter_add", [at, numbers(2, m, b) * 1000], [(np.float32, 2, n, b)], {})  # to the bit


@pytest.mark.parametrize("module", RUNNING)
@pytest.mark.parametrize("shape", [(3, 5, 8), (2, 3, 7), (1, 1, 1), (1, 1, 1026), (4, 0, 3), (2, 3000, 4)])
def test_maps_with_every_reach_of_an_input(module: Any, shape: tuple[int, ...]) -> None:
    """Dense, one element, along rows, along columns, over the middle; bytes; more registers than a large block has."""
    code, (a, m, b) = kernels.MICRO_OPS, shape
    rng = np.random.default_rng(0)
    layouts = [
        (shape, (m * b, b, 1)),
        ((1,), (0, 0, 0)),
        ((b,), (0, 0, 1)),
        ((a, m, 1), (m, 1, 0)),
        ((a, b), (b, 0, 1)),
    ]
    inputs = [rng.integers(-9, 9, of).astype(np.int32) for of, _ in layouts]
    inputs += [rng.integers(0, 2, of).astype(np.uint8) for of in (shape, (b,), (a, m, 1))]
    strides = [s for _, s in layouts] + [(m * b, b, 1), (0, 0, 1), (m, 1, 0)]
    n = len(inputs)  # register n is the constant
    program, last = [], n
    for k in range(n):
        program += [code["mul_i" if k % 2 else "add_i"], n + 1 + k, last, k, -1]
        last = n + 1 + k
    program += [code["add_i"], 60, n + 1, n + 2, -1, code["lt_i"], 61, 0, 1, -1, code["coordinate"], 62, n, n, -1]
    for k in range(12):  # all wait for the end
        program += [code["add_i"], 63 + k, last, 62 + k, -1]
    for k in range(12):
        program += [code["xor_i"], 80, 63 + k, 80 if k else 60, -1]
    attrs = {"shape": shape, "strides": [x for s in strides for x in s], "code": program, "constants": [3.0]}
    outputs = [(np.int32, *shape), (np.bool_, *shape), (np.int32, *shape), (np.int32, *shape)]
    compare(module, "map", inputs, outputs, attrs | {"outputs": [last, 61, 80, 62]})


@pytest.mark.parametrize("module", RUNNING)
def test_random_numbers_are_the_cpu_s(module: Any) -> None:
    code = kernels.MICRO_OPS
    program = [x for k, name in enumerate(("uniform", "normal", "bits")) for x in (code[name], 2 + k, 0, 1, -1)]
    attrs = {"shape": [1030], "strides": [], "code": program, "constants": [123456.0, -7.0], "outputs": [2, 4, 3]}
    compare(module, "map", [], [(np.float32, 1030), (np.int32, 1030)], attrs | {"outputs": [2, 4]})
    compare(module, "map", [], [(np.float32, 1030)], attrs | {"outputs": [3]}, 2e-6)
