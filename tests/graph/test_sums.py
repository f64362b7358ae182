"""Sums over rows inside maps: which are taken, and that they are right and the same for any number of threads."""

from __future__ import annotations

import numpy as np
import pytest

from berrante import ops
from berrante.graph.program import Program
from berrante.graph.tensor import Tensor, TensorSpec
from berrante.runtime import kernels

pytestmark = pytest.mark.usefixtures("on_cpu")
RNG = np.random.default_rng(0)


def kernels_of(program: Program) -> list[str]:
    return [step.kernel for step in program.plan.steps]


@pytest.mark.parametrize("columns", [1, 3, 7, 10, 16, 33, 64, 100, 600, 2048])
@pytest.mark.parametrize("rows", [64, 257, 5000])
def test_sums_of_products(rows: int, columns: int) -> None:
    def function(x: Tensor, y: Tensor) -> list[Tensor]:
        product = ops.multiply(x, y)
        kept = ops.add(x, 1.0)
        return [ops.sum(product, axis=0), kept, ops.sum(ops.square(kept), axis=0)]

    x, y = (RNG.normal(size=(rows, columns)).astype(np.float32) for _ in range(2))
    program = Program(function, [TensorSpec((rows, columns))] * 2)
    if columns > 1:
        assert "map_sums" in kernels_of(program) and "reduce" not in kernels_of(program)
    first, kept, second = program(x, y)
    wide, other = x.astype(np.float64), y.astype(np.float64)
    np.testing.assert_allclose(first, (wide * other).sum(0), rtol=1e-4, atol=1e-4 * np.sqrt(rows))
    np.testing.assert_array_equal(kept, x + np.float32(1))
    np.testing.assert_allclose(second, ((wide + 1) ** 2).sum(0), rtol=1e-5)
    before = kernels.num_threads()
    try:
        kernels.set_num_threads(3)
        for a, b in zip(program(x, y), (first, kept, second), strict=True):
            np.testing.assert_array_equal(a, b)
    finally:
        kernels.set_num_threads(before)


def test_what_is_not_summed_in_a_map() -> None:
    """What others read, or is asked for, is stored; rows that are summed over columns, and means, are left alone."""

    def function(x: Tensor) -> list[Tensor]:
        y = ops.multiply(x, x)
        return [ops.sum(y, axis=0), ops.sum(y, axis=1), ops.max(ops.add(x, 1.0), axis=0), y]

    program = Program(function, [TensorSpec((300, 20))])
    assert "map_sums" not in kernels_of(program)
    x = RNG.normal(size=(300, 20)).astype(np.float32)
    for got, expected in zip(program(x), [(x * x).sum(0), (x * x).sum(1), (x + 1).max(0), x * x], strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_a_batch_normalisation_stores_no_products() -> None:
    import berrante as keras

    layers = keras.layers
    model = keras.Sequential(
        [keras.Input((8, 8, 32)), layers.Conv2D(64, 1), layers.BatchNormalization(), layers.ReLU(), layers.Conv2D(2, 1)]
    )
    model.compile("sgd", "mse")
    x = RNG.normal(size=(16, 8, 8, 32)).astype(np.float32)
    model.fit(x, x[..., :2], batch_size=16, verbose=0)
    plans = [p.plan for p in model._programs.values() if hasattr(p, "plan")]
    assert any(step.kernel == "map_sums" for plan in plans for step in plan.steps)
