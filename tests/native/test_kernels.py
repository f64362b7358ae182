"""Every kernel against its reference, on every instruction set of this machine, with guarded memory and any division."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from berrante import _cpu
from berrante.runtime import kernels
from native.kernel_cases import CASES, Array, Case

GUARD = 64


def guarded(shape: tuple[int, ...], dtype: Any) -> tuple[Array, Array]:
    """An array inside a larger one of a pattern that no kernel may read (NaN) or write."""
    size = int(np.prod(shape))
    whole = np.full(size + 2 * GUARD, np.nan if dtype == np.float32 else 113, dtype)
    return whole[GUARD : GUARD + size].reshape(shape), whole


def call(case: Case, isa: str, workers: int) -> list[Array]:
    inputs = []
    for x in case.inputs:
        inside, _ = guarded(x.shape, x.dtype)
        inside[...] = x
        inputs.append(inside)
    outputs, wholes = [], []
    for y in case.expected:
        inside, whole = guarded(y.shape, np.float32 if y.dtype == np.float64 else y.dtype)
        outputs.append(inside)
        wholes.append(whole)
    _cpu.run_kernel(case.kernel, inputs, outputs, case.attrs, isa, workers)
    for whole in wholes:
        for guard in (whole[:GUARD], whole[len(whole) - GUARD :]):
            assert np.all(np.isnan(guard)) if whole.dtype == np.float32 else np.all(guard == 113), "wrote outside"
    for x, given in zip(inputs, case.inputs, strict=True):
        np.testing.assert_array_equal(x, given, "changed an input")
    return outputs


@pytest.mark.parametrize("isa", _cpu.isas())
@pytest.mark.parametrize("case", CASES, ids=str)
def test_kernel(case: Case, isa: str) -> None:
    case = case.for_isa(isa)
    got = call(case, isa, workers=1)
    for y, expected in zip(got, case.expected, strict=True):
        if case.tolerance == 0:
            np.testing.assert_array_equal(y, expected)
        else:
            scale = max(1.0, float(np.nanmax(np.abs(expected), initial=0.0)))
            np.testing.assert_allclose(y, expected, rtol=case.tolerance, atol=case.tolerance * scale)
    for other in (2, 7):
        for a, b in zip(got, call(case, isa, workers=other), strict=True):
            np.testing.assert_array_equal(a, b, "the division into tasks changed the result")


def test_every_kernel_has_cases() -> None:
    assert {case.kernel for case in CASES} == set(kernels.SCHEMA)


@pytest.mark.parametrize("kernel", sorted(kernels.SCHEMA))
def test_wrong_shapes_are_refused(kernel: str) -> None:
    case = next(c for c in CASES if c.kernel == kernel).for_isa(kernels.isa())
    if kernel == "map":
        attrs, outputs = case.attrs | {"strides": [700, 1]}, [np.empty(y.shape, np.float32) for y in case.expected]
    else:
        attrs = case.attrs
        outputs = [
            np.empty((*y.shape[:-1], y.shape[-1] + 1), np.float32 if y.dtype == np.float64 else y.dtype)
            for y in case.expected
        ]
        if kernel == "pad":  # any extents are a padding; ranks are not
            outputs = [y[0] for y in outputs]
        if kernel == "slice":
            attrs = attrs | {"start": [99] * 3}
    with pytest.raises(ValueError, match=kernel):
        _cpu.run_kernel(kernel, case.inputs, outputs, attrs)


def test_unknown_kernels_and_attributes() -> None:
    x = np.zeros((1, 1), np.float32)
    with pytest.raises(ValueError, match="no_such"):
        _cpu.run_kernel("no_such", [x], [x], {})
    with pytest.raises(ValueError, match="clip"):
        _cpu.run_kernel("softmax_cross_entropy", [x, x], [x[0], x], {})
    with pytest.raises(ValueError, match="instruction set"):
        _cpu.run_kernel("softmax", [x], [x.copy()], {}, "sse9")
