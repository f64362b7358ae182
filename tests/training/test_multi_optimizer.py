"""Several optimizers for one model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from berrante import Sequential, callbacks, layers, optimizers
from berrante.saving import load_model

X = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)
Y = np.random.default_rng(1).normal(size=(12, 2)).astype(np.float32)


def model(optimizer: Any) -> Any:
    made = Sequential([layers.Input((3,)), layers.Dense(4, name="a", kernel_initializer="ones"),
                       layers.Dense(2, name="b", kernel_initializer="ones")])  # fmt: skip
    made.compile(optimizer, "mse")
    return made


def two(first: float = 0.1, second: float = 0.02) -> Any:
    return optimizers.MultiOptimizer(
        optimizers.OptimizerMap(optimizers.Adam(second), {"a/.*": optimizers.SGD(first, momentum=0.9)})
    )


def test_each_variable_is_updated_by_its_optimizer() -> None:
    both, sgd, adam = model(two()), model(optimizers.SGD(0.1, momentum=0.9)), model(optimizers.Adam(0.02))
    for m in (both, sgd, adam):
        m.fit(X, Y, batch_size=12, epochs=1, shuffle=False, verbose=0)
    np.testing.assert_allclose(both.get_weights()[0], sgd.get_weights()[0], rtol=1e-5)
    np.testing.assert_allclose(both.get_weights()[2], adam.get_weights()[2], rtol=1e-5)
    assert [int(o.iterations) for o in (both.optimizer, *both.optimizer.optimizers)] == [1, 1, 1]


def test_training_goes_on_from_a_file(tmp_path: Path) -> None:
    whole = model(two())
    whole.fit(X, Y, epochs=2, batch_size=4, shuffle=False, verbose=0)
    whole.save(tmp_path / "m.keras")
    again = load_model(tmp_path / "m.keras")
    assert [type(o).__name__ for o in again.optimizer.optimizers] == ["SGD", "Adam"]
    for m in (whole, again):
        m.fit(X, Y, epochs=2, batch_size=4, shuffle=False, verbose=0)
    for a, b in zip(whole.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_callbacks_reach_every_learning_rate() -> None:
    m = model(two(0.1, 0.02))
    history = m.fit(X, Y, epochs=2, verbose=0, callbacks=[callbacks.LearningRateScheduler(lambda _, rate: rate / 2)])
    rates = [float(o.learning_rate) for o in m.optimizer.optimizers]
    np.testing.assert_allclose(rates, [0.025, 0.005])
    names = [o.name for o in m.optimizer.optimizers]
    np.testing.assert_allclose(history.history[f"learning_rate_{names[0]}"], [0.05, 0.025])
    with pytest.raises(AttributeError, match="individual"):
        _ = m.optimizer.learning_rate


def test_maps_refuse_what_does_not_belong() -> None:
    inner = optimizers.SGD(0.1)
    table = optimizers.OptimizerMap(inner)
    table["a/.*"] = inner
    with pytest.raises(ValueError, match="already exists"):
        table["a/.*"] = inner
    with pytest.raises(ValueError, match="cannot be LossScaleOptimizer"):
        table["b"] = optimizers.LossScaleOptimizer(optimizers.SGD())
    table[".*/kernel"] = inner
    with pytest.raises(ValueError, match="several keys"):
        table["a/kernel"]
    with pytest.raises(ValueError, match="cannot be used inside"):
        model(optimizers.MultiOptimizer(lambda _: optimizers.LossScaleOptimizer(optimizers.SGD()))).fit(X, Y, verbose=0)
