"""What the generative models need of the core: several updates in one program, random states in files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import berrante
from berrante import layers as L
from berrante import ops
from berrante.graph.program import Program
from berrante.graph.tensor import TensorSpec

RNG = np.random.default_rng(0)


def regression(seed: int) -> tuple[Any, Any]:
    berrante.utils.set_random_seed(seed)
    model = berrante.Sequential([L.Input((3,)), L.Dense(5, activation="tanh"), L.Dense(1)])
    return model, berrante.optimizers.SGD(0.1)


def update(model: Any, optimizer: Any, x: Any, y: Any) -> Any:
    with berrante.GradientTape() as tape:
        loss = ops.mean(ops.square(model(x, training=True) - y))
    optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
    return loss


def test_two_updates_in_one_program_equal_two_programs() -> None:
    # The second gradient must be taken at the first update's weights, and not through it.
    x, y = RNG.normal(size=(6, 3)).astype("float32"), RNG.normal(size=(6, 1)).astype("float32")
    specs = [TensorSpec((6, 3), "float32"), TensorSpec((6, 1), "float32")]
    results = []
    for steps in (1, 2):
        model, optimizer = regression(4)
        optimizer.build(model.trainable_variables)
        optimizer._flatten()
        program = Program(lambda a, b: [update(model, optimizer, a, b) for _ in range(steps)], specs)  # noqa: B023
        losses = [float(v) for _ in range(2 // steps) for v in program(x, y)]
        results.append((losses, model.get_weights()))
    np.testing.assert_allclose(results[0][0], results[1][0], rtol=1e-6)
    assert results[0][0][1] < results[0][0][0]
    for a, b in zip(results[0][1], results[1][1]):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)


def test_eager_updates_agree_with_traced_ones() -> None:
    x, y = RNG.normal(size=(6, 3)).astype("float32"), RNG.normal(size=(6, 1)).astype("float32")
    (a, oa), (b, ob) = regression(4), regression(4)
    for _ in range(2):
        update(a, oa, ops.convert_to_tensor(x), ops.convert_to_tensor(y))
    specs = [TensorSpec((6, 3), "float32"), TensorSpec((6, 1), "float32")]
    ob.build(b.trainable_variables)
    ob._flatten()
    Program(lambda p, q: [update(b, ob, p, q) for _ in range(2)], specs)(x, y)
    for v, w in zip(a.get_weights(), b.get_weights()):
        np.testing.assert_allclose(v, w, rtol=1e-5, atol=1e-6)


def test_a_file_keeps_the_states_of_random_generators(tmp_path: Path) -> None:
    model = berrante.Sequential([L.Input((8,)), L.Dropout(0.5), L.Dense(4)])
    model.compile("sgd", "mse")
    x, y = RNG.normal(size=(16, 8)).astype("float32"), RNG.normal(size=(16, 4)).astype("float32")
    model.fit(x, y, epochs=2, verbose=0, shuffle=False)
    model.save(tmp_path / "m.keras")
    again = berrante.models.load_model(tmp_path / "m.keras")
    for m in (model, again):
        m.fit(x, y, epochs=2, verbose=0, shuffle=False)
    for v, w in zip(model.get_weights(), again.get_weights()):
        np.testing.assert_array_equal(v, w)


def test_gradients_do_not_flow_through_assignments() -> None:
    # A variable that the program itself updated is a fresh source: as when the update was another program.
    v = berrante.Variable(np.float32(2.0))

    def step(x: Any) -> Any:
        v.assign(v.value * x)
        with berrante.GradientTape() as tape:
            y = v.value * v.value * x
        return [y, tape.gradient(y, x), tape.gradient(y, v)]

    y, dx, dv = Program(step, [TensorSpec((), "float32")])(np.float32(3.0))
    assert (float(y), float(dx), float(dv)) == (108.0, 36.0, 36.0)


def test_repeats_of_each_kind() -> None:
    x = np.arange(6).reshape(2, 3)
    for repeats, axis in ((2, None), ([3], 1), ([1, 0, 2], 1), ([2, 1], 0)):
        np.testing.assert_array_equal(np.asarray(ops.repeat(x, repeats, axis=axis)), np.repeat(x, repeats, axis=axis))
