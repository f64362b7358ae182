"""Products and convolutions inside programs on a device: weights that lie anywhere in a flat buffer, the setting of precision."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import berrante
from berrante import ops
from berrante.config import matmul_precision, set_matmul_precision
from berrante.graph.program import Program
from berrante.graph.tensor import TensorSpec
from berrante.graph.variable import Variable, flatten_variables
from cuda.modules import REAL, needs_emulator

DEVICES = [
    pytest.param("emulated", marks=needs_emulator),
    pytest.param("cuda", marks=pytest.mark.skipif(REAL is None or not REAL.devices(), reason="no CUDA device")),
]


@pytest.fixture
def precision() -> Iterator[Any]:
    before = matmul_precision()
    yield set_matmul_precision
    set_matmul_precision(before)


def normal(*shape: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(list(shape)).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("first", range(4))
def test_weights_lie_anywhere_in_a_flat_buffer(device: str, first: int, precision: Any) -> None:
    """The kernels copy 16 bytes at a time only where that fits; results are the same to the bit."""
    precision("tf32")
    w, kernel = normal(64, 40), normal(3, 3, 8, 40)
    x, images = normal(50, 64), normal(2, 9, 9, 8)
    results = []
    for ahead in (0, first):
        members = [Variable(np.ones(ahead, np.float32))] * (ahead > 0) + [Variable(w), Variable(kernel)]
        flatten_variables(members)
        weights, filters = members[-2:]

        def step(x: Any, images: Any, weights: Any = weights, filters: Any = filters) -> Any:
            return ops.matmul(x, weights.value), ops.conv(images, filters.value, strides=2, padding="same")

        with berrante.device(device):
            program = Program(step, [TensorSpec(x.shape), TensorSpec(images.shape)])
            program(x, images)
            results.append(program(x, images))  # replayed
    for got, expected in zip(results[1], results[0], strict=True):
        np.testing.assert_array_equal(got, expected)
    np.testing.assert_allclose(results[0][0], x.astype(np.float64) @ w, atol=0.02)


@pytest.mark.parametrize("device", DEVICES)
def test_the_setting_reaches_the_kernels(device: str, precision: Any) -> None:
    a, b = normal(64, 96), normal(96, 64)
    expected = a.astype(np.float64) @ b
    errors = {}
    for name in ("float32", "tf32", "float16", "bfloat16"):
        precision(name)
        with berrante.device(device):
            got = Program(ops.matmul, [TensorSpec(a.shape), TensorSpec(b.shape)])(a, b)
        errors[name] = np.abs(got - expected).max()
    assert errors["float32"] < 2e-5 < errors["tf32"] < 2e-2 < errors["bfloat16"] < 0.3
    assert 2e-5 < errors["float16"] < 2e-2
