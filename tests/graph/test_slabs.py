"""Slabs: loops over blocks of samples give what their steps give one after the other, whoever computes which block."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import berrante
from berrante import _cpu, ops
from berrante.graph import program as program_module
from berrante.graph.gradients import gradients
from berrante.graph.passes.ir import Loop, Plan
from berrante.graph.passes.memory import assign_arena, bytes_of, lifetimes
from berrante.graph.program import Program
from berrante.graph.tensor import TensorSpec
from berrante.runtime import kernels

pytestmark = pytest.mark.usefixtures("on_cpu")

LANES = kernels.lanes()


def network(x: Any, w1: Any, b1: Any, w2: Any) -> Any:
    y = ops.max_pool(ops.tanh(ops.add(ops.conv(x, w1, padding="same"), b1)), 2)
    return ops.relu(ops.conv(y, w2, padding="same"))


def compiled(n: int, monkeypatch: pytest.MonkeyPatch, loops: bool = True) -> Program:
    """Two convolutions, their gradients, and a dense layer in between that needs the whole batch."""
    shapes = ((n, 8, 8, 2), (3, 3, 2, 5), (5,), (3, 3, 5, 6), (6 * 16, 3))

    def step(x: Any, w1: Any, b1: Any, w2: Any, dense: Any) -> Any:
        y = network(x, w1, b1, w2)
        loss = ops.sum(ops.square(ops.matmul(ops.reshape(y, (n, -1)), dense)))
        return [y, *gradients([loss], [x, w1, b1, w2, dense])]

    with monkeypatch.context() as patch:
        if not loops:
            patch.setattr(program_module, "form_loops", lambda plan: None)
        return Program(step, [TensorSpec(s) for s in shapes])


def loops_of(program: Program) -> list[Loop]:
    return [step for step in program.plan.steps if isinstance(step, Loop)]


def arrays_for(program: Program) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    return [rng.normal(size=spec.shape).astype(np.float32) for spec in program.specs]


@pytest.mark.parametrize("n", [2 * LANES, 5 * LANES, 3 * LANES + 1])
def test_loops_change_nothing(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    looped, plain = (compiled(n, monkeypatch, flag) for flag in (True, False))
    assert len(loops_of(looped)) == 2 and not loops_of(plain)
    arrays = arrays_for(looped)
    for mine, expected in zip(looped(*arrays), plain(*arrays), strict=True):
        np.testing.assert_allclose(mine, expected, rtol=1e-4, atol=1e-5 * float(np.abs(expected).max()))


def test_the_same_bits_for_any_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """5 slabs on 1 to 7 workers: whole slabs each, slabs left over, and fewer slabs than workers."""
    program = compiled(5 * LANES, monkeypatch)
    arrays = arrays_for(program)
    threads = berrante.num_threads()
    try:
        results = []
        for workers in (1, 2, 3, 5, 7):
            berrante.set_num_threads(workers)
            results.append(program(*arrays))
    finally:
        berrante.set_num_threads(threads)
    for result in results[1:]:
        for a, b in zip(result, results[0], strict=True):
            np.testing.assert_array_equal(a, b)


def test_what_only_the_loop_needs_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    forward, backward = loops_of(compiled(4 * LANES, monkeypatch))
    first = [step.kernel for step in forward.body]
    assert first[0] == "to_lanes" and first.count("conv2d_lanes") == 2 and first[-1] == "from_lanes"
    assert {"conv2d_lanes_weight_grad", "conv2d_lanes_input_grad", "pool2d_grad"} <= {s.kernel for s in backward.body}
    pooled = next(step for step in forward.body if step.kernel == "pool2d")
    assert pooled.inputs[0].spec.shape[0] == 1 and forward.slabs == 4
    assert backward.own and all(buffer.size % LANES == 0 for buffer in backward.own)
    for loop in (forward, backward):
        places, size = assign_arena(Plan(loop.body, [], []), loop.own)
        spans = lifetimes(Plan(loop.body, [], []), loop.own)
        assert set(places) == loop.own
        alive = list(spans.items())
        for i, (a, (a_first, a_last)) in enumerate(alive):
            assert places[a] + bytes_of(a) <= size
            for b, (b_first, b_last) in alive[i + 1 :]:
                apart = places[a] + bytes_of(a) <= places[b] or places[b] + bytes_of(b) <= places[a]
                assert apart or a_last <= b_first or b_last <= a_first


def test_statistics_over_the_batch_end_a_loop() -> None:
    """A map that needs a sum over all samples cannot join the loop that computes it."""

    def step(x: Any, w: Any) -> Any:
        y = ops.conv(x, w, padding="same")
        centred = ops.subtract(y, ops.multiply(ops.sum(y, axis=(0, 1, 2)), 1 / (4 * LANES * 36)))
        return ops.max_pool(ops.square(centred), 2)

    program = Program(step, [TensorSpec((4 * LANES, 6, 6, 3)), TensorSpec((3, 3, 3, 4))])
    assert len(loops_of(program)) == 2
    rng = np.random.default_rng(0)
    x, w = (rng.normal(size=spec.shape).astype(np.float32) for spec in program.specs)
    y = np.asarray(ops.conv(x, w, padding="same"))
    centred = np.square(y - y.mean((0, 1, 2)))
    expected = centred.reshape(4 * LANES, 3, 2, 3, 2, 4).max((2, 4))
    np.testing.assert_allclose(program(x, w), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        ((0, 0, 0, (64,), 256), "leaves its space"),  # the third slab would end beyond the arena
        ((0, 0, 0, (64,), -256), "stride"),
        ((-1, 64, 0, (64,), 0), "region"),
        ((0, 0, 0, (64,), 2**62), "stride"),
    ],
)
def test_a_loop_that_leaves_its_memory_is_refused(tensor: tuple[Any, ...], message: str) -> None:
    attrs = {"shape": [64], "strides": [1], "code": [], "constants": [], "outputs": [0]}
    inside = (-1, 0, 0, (64,), 0)
    for operands in (([tensor], [inside]), ([inside], [tensor])):
        with pytest.raises(ValueError, match=message):
            _cpu.Program([(3, 256, [("map", *operands, attrs)])], 512, [], [], [])
