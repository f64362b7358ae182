"""CUDA kernels against the CPU tests' references, and every micro-operation against the CPU's. Skipped without a device."""

from __future__ import annotations

import numpy as np
import pytest

from berrante import _cpu
from native.kernel_cases import CASES, Case

_cuda = pytest.importorskip("berrante._cuda", reason="the CUDA module was not built")
KERNELS = _cuda.kernels()


def test_the_module_imports_without_a_driver() -> None:
    assert isinstance(_cuda.devices(), list)
    assert set(KERNELS) <= set(_cpu.schema())


device = pytest.mark.skipif(not _cuda.devices(), reason="no CUDA device")


@device
@pytest.mark.parametrize("case", [c for c in CASES if c.kernel in KERNELS], ids=str)
def test_kernel(case: Case) -> None:
    outputs = [np.empty(y.shape, np.float32 if y.dtype == np.float64 else y.dtype) for y in case.expected]
    _cuda.run_kernel(case.kernel, case.inputs, outputs, case.attrs)
    for y, expected in zip(outputs, case.expected, strict=True):
        scale = max(1.0, float(np.nanmax(np.abs(expected), initial=0.0)))
        np.testing.assert_allclose(y, expected, rtol=case.tolerance, atol=case.tolerance * scale)


@device
@pytest.mark.parametrize("name", sorted(_cpu.micro_ops()))
def test_micro_operation(name: str) -> None:
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
    for run in (_cpu.run_kernel, _cuda.run_kernel):
        y = np.empty(n, np.float32 if to == "f" else np.int32)
        run("map", inputs, [y], attrs)
        results.append(y)
    np.testing.assert_allclose(results[1], results[0], rtol=2e-6, atol=2e-6)
