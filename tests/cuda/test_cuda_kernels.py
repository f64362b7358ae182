"""CUDA kernels against the CPU tests' references, and every micro-operation against the CPU's: emulated, and on a device."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from berrante import _cpu
from cuda.modules import BUILT, EMULATED, KERNELS, REAL, RUNNING, needs_emulator
from native.kernel_cases import CASES, Case

# Layouts with samples in vector lanes and transformed convolutions are chosen by passes for the CPU alone.
CPU_ONLY = {name for name in _cpu.schema() if "lanes" in name or "winograd" in name or name == "map_sums"}
PRECISIONS = {"tf32": 0, "full": 1, "bf16": 2, "f16": 3}


def test_the_modules_import_without_a_driver() -> None:
    modules = [m for m in (EMULATED, REAL) if m is not None]
    if not modules:
        pytest.skip("no CUDA module was built")
    for module in modules:
        assert isinstance(module.devices(), list)
        assert set(module.kernels()) == KERNELS
    assert set(_cpu.schema()) >= KERNELS
    assert not KERNELS & CPU_ONLY


def run(module: Any, case: Case, precision: int = PRECISIONS["full"]) -> list[np.ndarray]:
    outputs = [np.empty(y.shape, np.float32 if y.dtype == np.float64 else y.dtype) for y in case.expected]
    for y in outputs:
        y.view(np.uint8)[...] = 0xFF  # what is not written shows
    inputs = [x.copy() for x in case.inputs]
    module.run_kernel(case.kernel, inputs, outputs, case.attrs, precision)
    for x, given in zip(inputs, case.inputs, strict=True):
        np.testing.assert_array_equal(x, given, "changed an input")
    return outputs


@pytest.mark.parametrize("module", RUNNING)
@pytest.mark.parametrize("case", [c for c in CASES if c.kernel in KERNELS], ids=str)
def test_kernel(module: Any, case: Case) -> None:
    got = run(module, case)
    for y, expected in zip(got, case.expected, strict=True):
        if case.tolerance == 0:
            np.testing.assert_array_equal(y, expected)
        else:
            scale = max(1.0, float(np.nanmax(np.abs(expected), initial=0.0)))
            np.testing.assert_allclose(y, expected, rtol=case.tolerance, atol=case.tolerance * scale)
    if module is EMULATED:
        try:
            for order in ("reverse", "shuffled"):
                module.set_emulator(order=order)
                for y, other in zip(got, run(module, case), strict=True):
                    np.testing.assert_array_equal(y, other, f"the {order} order of threads changed the result")
        finally:
            module.set_emulator()
    else:
        for y, other in zip(got, run(module, case), strict=True):
            np.testing.assert_array_equal(y, other, "the same call twice")


@pytest.mark.parametrize("module", BUILT)
def test_errors_need_no_device(module: Any) -> None:
    x, y = np.zeros(4, np.float32), np.zeros(5, np.float32)
    attrs = {"shape": [5], "strides": [1], "code": [], "constants": [], "outputs": [0]}
    with pytest.raises(ValueError, match=r"\[map\] an input's strides leave it"):
        module.plan_kernel("map", [x], [y], attrs)


@pytest.mark.parametrize("module", BUILT)
@pytest.mark.parametrize("case", [c for c in CASES if c.kernel in KERNELS], ids=str)
@pytest.mark.parametrize("precision", PRECISIONS.values(), ids=PRECISIONS)
def test_plans_need_no_device(module: Any, case: Case, precision: int) -> None:
    outputs = [np.empty(y.shape, np.float32 if y.dtype == np.float64 else y.dtype) for y in case.expected]
    assert module.plan_kernel(case.kernel, case.inputs, outputs, case.attrs, precision) >= 0


@needs_emulator
@pytest.mark.parametrize("kernel", sorted(KERNELS & {"matmul", "conv2d", "conv2d_input_grad", "conv2d_weight_grad"}))
@pytest.mark.parametrize("precision", ["tf32", "bf16", "f16"])
def test_products_with_rounded_factors(kernel: str, precision: str) -> None:
    # Errors of rounding the factors to 10 or 7 bits, beside those of a sum of products of that size.
    step = {"tf32": 2.0**-10, "bf16": 2.0**-7, "f16": 2.0**-10}[precision]
    for case in (c for c in CASES if c.kernel == kernel):
        (y,), (expected,) = run(EMULATED, case, PRECISIONS[precision]), case.expected
        scale = max(1.0, float(np.nanmax(np.abs(expected), initial=0.0)))
        np.testing.assert_allclose(y, expected, rtol=0, atol=4 * step * scale, err_msg=str(case))


@pytest.mark.parametrize("module", RUNNING)
@pytest.mark.parametrize("name", sorted(_cpu.micro_ops()))
def test_micro_operation(module: Any, name: str) -> None:
    code, arity, to, of = _cpu.micro_ops()[name]
    rng, n = np.random.default_rng(0), 1000
    dtype = np.float32 if of == "f" else np.int32
    inputs = [
        np.ascontiguousarray(rng.uniform(-3, 3, n) if of == "f" else rng.integers(-9, 9, n), dtype) for _ in range(3)
    ]
    constants: list[float] = []
    registers = [0, 1, 2]
    if name == "select":
        inputs[0] = rng.integers(0, 2, n).astype(np.int32)
    if name in ("coordinate", "uniform", "normal", "bits"):
        constants, registers = [3, 7], [3, 4, -1]
    target = 3 + len(constants)
    attrs = {
        "shape": [n],
        "strides": [1] * 3,
        "code": [code, target, *(registers[:arity] + [-1] * (3 - arity))],
        "constants": constants,
        "outputs": [target],
    }
    results = []
    for call in (_cpu.run_kernel, module.run_kernel):
        y = np.empty(n, np.float32 if to == "f" else np.int32)
        call("map", inputs, [y], attrs)
        results.append(y)
    np.testing.assert_allclose(results[1], results[0], rtol=2e-6, atol=2e-6)
