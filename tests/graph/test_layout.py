"""Samples in the vector lanes: the same values and gradients as without, for whole and for broken blocks of samples."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from berrante import ops, random
from berrante.graph import program as program_module
from berrante.graph.gradients import gradients
from berrante.graph.passes.ir import Loop
from berrante.graph.program import Program
from berrante.graph.tensor import TensorSpec
from berrante.runtime import kernels

pytestmark = pytest.mark.usefixtures("on_cpu")

LANES = kernels.lanes()


def network(x: Any, w1: Any, b1: Any, w2: Any, w3: Any, activation: Any) -> Any:
    """Convolutions of few channels with a bias, pooling, a resize, an addition per channel and one per position."""
    y = activation(ops.add(ops.conv(x, w1, padding="same"), b1))
    y = ops.max_pool(y, 2, padding="same")
    y = ops.multiply(activation(ops.conv(y, w2, 2, "same")), ops.reshape(b1, (1, 1, 1, -1)))
    y = ops.image.resize(y, (6, 5), "nearest")
    y = ops.average_pool(ops.conv_transpose(y, w3, 1, "same"), 3, 1)
    return ops.add(y, 0.5)


def kernels_of(program: Program) -> list[str]:
    """All kernels, those of a loop's body in its place."""
    return [s.kernel for step in program.plan.steps for s in (step.body if isinstance(step, Loop) else [step])]


ACTIVATIONS = {
    "relu": ops.relu,
    "tanh": ops.tanh,
    "sigmoid": ops.sigmoid,
    "log": lambda x: ops.log(ops.add(ops.square(x), 0.0)),  # not finite where a lane holds nothing
}


def compiled(n: int, activation: str, in_lanes: bool, monkeypatch: pytest.MonkeyPatch) -> Program:
    specs = [TensorSpec(s) for s in ((n, 9, 8, 2), (3, 3, 2, 6), (6,), (3, 3, 6, 6), (2, 2, 5, 6))]

    def step(*tensors: Any) -> Any:
        y = network(*tensors, ACTIVATIONS[activation])
        loss = ops.sum(ops.square(y))
        return [y, *gradients([loss], list(tensors))]

    with monkeypatch.context() as patch:
        if not in_lanes:
            patch.setattr(program_module, "move_to_lanes", lambda plan: None)
        return Program(step, specs)


@pytest.mark.parametrize("activation", list(ACTIVATIONS))
@pytest.mark.parametrize("n", [LANES, 2 * LANES + 1, 3 * LANES - 1])
def test_lanes_change_nothing(n: int, activation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(n)
    moved, plain = (compiled(n, activation, flag, monkeypatch) for flag in (True, False))
    assert set(kernels_of(moved)) >= {"to_lanes", "from_lanes", "conv2d_lanes"}
    assert not any("lanes" in kernel for kernel in kernels_of(plain))
    arrays = [rng.normal(size=spec.shape).astype(np.float32) for spec in moved.specs]
    for mine, expected in zip(moved(*arrays), plain(*arrays), strict=True):
        np.testing.assert_allclose(mine, expected, rtol=1e-3, atol=1e-4 * max(1.0, float(np.abs(expected).max())))


def test_everything_between_convolutions_stays_in_the_lanes(monkeypatch: pytest.MonkeyPatch) -> None:
    names = kernels_of(compiled(2 * LANES, "relu", True, monkeypatch))
    forward = names[: names.index("from_lanes")]
    assert forward[:5] == ["to_lanes", "conv2d_lanes", "pool2d", "conv2d_lanes", "map"]
    assert "conv2d" not in names and forward.count("pool2d") == 2 and forward.count("resize2d") == 1


def test_wide_and_small_batches_stay_as_they_are() -> None:
    for shape, kernel in (((LANES - 1, 6, 6, 3), (3, 3, 3, 4)), ((4 * LANES, 6, 6, 40), (3, 2, 40, 64))):
        program = Program(lambda x, w: ops.conv(x, w), [TensorSpec(shape), TensorSpec(kernel)])
        assert kernels_of(program) == ["conv2d"]


def test_random_numbers_do_not_depend_on_the_layout() -> None:
    seed = random.SeedGenerator(7)

    def step(x: Any, w: Any) -> Any:
        return ops.multiply(ops.conv(x, w), random.uniform((2 * LANES, 4, 4, 3), seed=seed))

    steps = Program(step, [TensorSpec((2 * LANES, 6, 6, 3)), TensorSpec((3, 3, 3, 3))]).plan.steps
    placed = next(s for s in steps if any(micro == "uniform" for micro, _, _ in getattr(s, "code", [])))
    assert placed.outputs[0].spec.shape == (2 * LANES, 4, 4, 3)
