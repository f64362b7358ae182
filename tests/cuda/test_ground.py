"""What all CUDA kernels stand on: fragments, copies and reductions, and that the emulator finds what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from cuda.modules import EMULATED, REAL, RUNNING, needs_emulator

ORDERS = ("forward", "reverse", "shuffled")


@pytest.fixture
def emulator() -> Iterator[Any]:
    yield EMULATED
    EMULATED.set_emulator()


def product(name: str) -> tuple[np.ndarray, np.ndarray]:
    depth = 8 if name == "mma_tf32" else 16
    rng = np.random.default_rng(depth)
    return rng.normal(size=(16, depth)).astype(np.float32), rng.normal(size=(depth, 8)).astype(np.float32)


def rounded(x: np.ndarray, bits: int) -> np.ndarray:
    """Float32 with so many bits of mantissa, to nearest."""
    mantissa, exponent = np.frexp(x.astype(np.float64))
    return np.ldexp(np.round(np.ldexp(mantissa, bits + 1)), exponent - bits - 1)


@pytest.mark.parametrize("module", RUNNING)
@pytest.mark.parametrize(("name", "bits"), [("mma_tf32", 10), ("mma_bf16", 7), ("mma_f16", 10), ("ldmatrix", 7)])
def test_tensor_core(module: Any, name: str, bits: int) -> None:
    a, b = product(name)
    got = module.self_test(name, a, b, 128).reshape(16, 8)
    np.testing.assert_allclose(got, rounded(a, bits) @ rounded(b, bits), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("module", RUNNING)
def test_f16_rounds_like_numpy(module: Any) -> None:
    # One product with 1 each: column k of the result is a's element as float16.
    values = np.array([0, 1e-8, 3e-8, 6e-8, 5.96e-8, 1e-5, 6.1e-5, 1.0009, 1.00049, 2049, 2051, 65504, 65519, -7e-6])
    for x in values.astype(np.float32):
        a, b = np.zeros((16, 16), np.float32), np.zeros((16, 8), np.float32)
        a[0, 0], b[0, 0] = x, 1.0
        assert module.self_test("mma_f16", a, b, 128)[0] == np.float16(x)


@pytest.mark.parametrize("module", RUNNING)
def test_asynchronous_copies(module: Any) -> None:
    x = np.random.default_rng(0).normal(size=1024).astype(np.float32)
    np.testing.assert_array_equal(module.self_test("copy_async", x, x, 1024), x[::-1])


@pytest.mark.parametrize("module", RUNNING)
def test_block_sum(module: Any) -> None:
    x = np.random.default_rng(0).integers(-50, 50, 1024).astype(np.float32)
    np.testing.assert_array_equal(module.self_test("block_sum", x, x, 4), x.reshape(4, 256).sum(axis=1))


@needs_emulator
@pytest.mark.parametrize("order", ORDERS)
def test_the_order_of_threads_does_not_matter_where_barriers_are_right(emulator: Any, order: str) -> None:
    x = np.random.default_rng(0).normal(size=1024).astype(np.float32)
    sizes = {"copy_async": 1024, "block_sum": 4}
    expected = {name: emulator.self_test(name, x, x, size) for name, size in sizes.items()}
    emulator.set_emulator(order=order)
    for name, size in sizes.items():
        np.testing.assert_array_equal(emulator.self_test(name, x, x, size), expected[name])


@needs_emulator
@pytest.mark.parametrize("order", ORDERS)
def test_a_missing_barrier_shows(emulator: Any, order: str) -> None:
    emulator.set_emulator(order=order)
    x = np.arange(256.0)
    assert np.isnan(emulator.self_test("racing", x, x, 256)).sum() == 128


@needs_emulator
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("divergent", r"thread 0 waits for ever at the barrier of self_test.cu:\d+; 32 of 64 threads have ended"),
        ("overrun", "a write beyond the 64 bytes of dynamic shared memory"),
        ("too_large", "a launch asks for a block of 2048 x 1 x 1 threads"),
    ],
)
def test_mistakes_are_found(emulator: Any, name: str, message: str) -> None:
    x = np.zeros(16)
    with pytest.raises(RuntimeError, match=message):
        emulator.self_test(name, x, x, 16)
    np.testing.assert_array_equal(emulator.self_test("block_sum", np.ones(1024), x, 4), 256.0)  # and it goes on


@needs_emulator
def test_launches_are_recorded(emulator: Any) -> None:
    emulator.take_launches()
    emulator.self_test("block_sum", np.ones(1024), np.zeros(1), 4)
    assert emulator.take_launches() == [((4, 1, 1), (256, 1, 1), 0)]


@pytest.mark.skipif(REAL is None or not REAL.devices() or EMULATED is None, reason="needs a device and the emulator")
@pytest.mark.parametrize("name", ["mma_tf32", "mma_bf16", "mma_f16", "ldmatrix", "copy_async", "block_sum"])
def test_the_emulator_is_like_the_device(name: str) -> None:
    a, b = product(name) if name not in ("copy_async", "block_sum") else (np.arange(1024.0), np.zeros(1))
    size = {"copy_async": 1024, "block_sum": 4}.get(name, 128)
    np.testing.assert_allclose(
        EMULATED.self_test(name, a, b, size), REAL.self_test(name, a, b, size), rtol=1e-6, atol=1e-5
    )
