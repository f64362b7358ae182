"""Passes without kernels: every value is computed before it is read, and no two live buffers overlap."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from berrante.graph import rules
from berrante.graph.passes.fuse import fuse
from berrante.graph.passes.ir import MapStep, Plan
from berrante.graph.passes.lower import lower
from berrante.graph.passes.memory import assign_arena, bytes_of, concat_in_place, lifetimes, root
from berrante.graph.primitives import concat, reduce, reshape
from berrante.graph.program import _updates, optimize
from berrante.graph.tensor import Tensor, TensorSpec
from berrante.graph.trace import Graph, tracing
from berrante.graph.variable import Variable, flatten_variables


def traced(function: Callable[..., object], *shapes: tuple[int, ...]) -> tuple[Graph, list[Tensor]]:
    with tracing() as graph:
        result = function(*(graph.add_input(TensorSpec(shape)) for shape in shapes))
    outputs = [] if result is None else list(result) if isinstance(result, (list, tuple)) else [result]
    return graph, outputs  # type: ignore[return-value]


def planned(function: Callable[..., object], *shapes: tuple[int, ...]) -> Plan:
    graph, outputs = traced(function, *shapes)
    plan, lowering = lower(graph, outputs)
    optimize(plan, _updates(graph, lowering))
    check(plan)
    return plan


def check(plan: Plan) -> None:
    written = {root(ref.buffer)[0] for ref in plan.inputs}
    for step in plan.steps:
        for ref in step.inputs:
            buffer = root(ref.buffer)[0]
            assert buffer in written or buffer.kind in ("variable", "constant"), f"{step.kernel} reads before a write"
        written.update(root(ref.buffer)[0] for ref in step.outputs)
    places, size = assign_arena(plan)
    spans = lifetimes(plan)
    assert set(places) == set(spans)
    live = list(spans.items())
    for i, (a, (a_first, a_last)) in enumerate(live):
        assert 0 <= places[a] and places[a] + bytes_of(a) <= size
        for b, (b_first, b_last) in live[i + 1 :]:
            apart = places[a] + bytes_of(a) <= places[b] or places[b] + bytes_of(b) <= places[a]
            if apart or a_last < b_first or b_last < a_first:
                continue
            # Only a map may write over an input that dies there.
            at = max(a_first, b_first)
            assert at == min(a_last, b_last) and isinstance(plan.steps[at], MapStep), "live buffers overlap"


def test_a_chain_becomes_one_map() -> None:
    plan = planned(lambda a, b: rules.multiply(rules.add(a, b), rules.negative(a)), (4, 5), (4, 5))
    assert [step.kernel for step in plan.steps] == ["map"]


def test_broadcast_operands_stay_inputs_of_one_map() -> None:
    plan = planned(lambda a, b: rules.add(rules.multiply(a, b), 1.0), (4, 5), (5,))
    (step,) = plan.steps
    assert isinstance(step, MapStep)
    assert len(step.inputs) == 2 and step.constants == [1.0]


def test_a_map_does_not_cross_a_reduction_that_it_needs() -> None:
    plan = planned(
        lambda a: rules.subtract(rules.multiply(a, 2.0), reduce(rules.multiply(a, 2.0), (0,), "sum")), (4, 5)
    )
    assert [step.kernel for step in plan.steps] == ["map", "reduce", "map"]


def test_equal_nodes_are_computed_once() -> None:
    plan = planned(lambda a: rules.add(reduce(a, (0,), "sum"), reduce(a, (0,), "sum")), (4, 5))
    assert [step.kernel for step in plan.steps] == ["reduce", "map"]


def test_what_nobody_needs_is_dropped() -> None:
    def function(a: Tensor) -> Tensor:
        rules.add(a, 1.0)
        return rules.negative(a)

    assert len(planned(function, (3,)).steps) == 1


def test_update_in_place_when_the_old_value_is_dead() -> None:
    w = Variable(np.zeros((3, 4), np.float32))

    def function() -> None:
        w.assign(rules.add(w.value, 1.0))

    plan = planned(function)
    (step,) = plan.steps
    assert step.outputs[0].buffer.array is w.storage.array


def test_update_waits_while_the_old_value_is_needed() -> None:
    w = Variable(np.zeros((3, 4), np.float32))

    def function() -> Tensor:
        old = w.value
        w.assign(rules.add(old, 1.0))
        return reduce(old, (0,), "sum")

    plan = planned(function)
    writers = [i for i, s in enumerate(plan.steps) if s.outputs[0].buffer.array is w.storage.array]
    readers = [i for i, s in enumerate(plan.steps) if s.kernel == "reduce"]
    assert len(writers) == 1 and readers[0] < writers[0]


def test_an_old_value_that_is_an_output_is_copied_first() -> None:
    w = Variable(np.zeros((3,), np.float32))

    def function() -> Tensor:
        old = w.value
        w.assign(rules.add(old, 1.0))
        return old

    plan = planned(function)
    assert plan.outputs[0].buffer.array is not w.storage.array
    assert len(plan.steps) == 2


def test_gradients_are_written_straight_into_the_flat_vector() -> None:
    a, b = Variable(np.zeros((3, 4), np.float32)), Variable(np.zeros((4,), np.float32))
    flat = flatten_variables([a, b])

    def function(x: Tensor) -> None:
        grads = [rules.multiply(x, 2.0), reduce(x, (0,), "sum")]
        g = concat([reshape(grad, (grad.size,)) for grad in grads])
        flat.assign(rules.subtract(flat.value, rules.multiply(g, 0.1)))

    plan = planned(function, (3, 4))
    assert "concat" not in [step.kernel for step in plan.steps]
    (update,) = [s for s in plan.steps if s.outputs[0].buffer.array is flat.storage.array]
    assert update is plan.steps[-1]


def test_members_read_their_part_of_a_flat_update_and_may_follow_it() -> None:
    a, b = Variable(np.zeros((2, 2), np.float32)), Variable(np.zeros((3,), np.float32))
    flat = flatten_variables([a, b])

    def function() -> Tensor:
        flat.assign(rules.add(flat.value, 1.0))
        b.assign(rules.multiply(b.value, 2.0))
        return reduce(flat.value, (0,), "sum")

    plan = planned(function)
    kernels = [step.kernel for step in plan.steps]
    assert kernels.count("concat") == 1  # the flat variable is put together again after a member changed


@pytest.mark.parametrize("parts", [(2, 3), (1, 1, 1), (4,)])
def test_concat_of_inputs_still_copies(parts: tuple[int, ...]) -> None:
    plan = planned(lambda *xs: concat(list(xs)), *[(n,) for n in parts])
    assert [s.kernel for s in plan.steps] == (["concat"] if len(parts) > 1 else [])


def test_random_graphs_keep_the_invariants() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        w = Variable(np.zeros((4, 6), np.float32))

        def function(x: Tensor, y: Tensor, w: Variable = w) -> list[Tensor]:
            values = [x, y, w.value]
            for _ in range(rng.integers(1, 25)):
                a, b = (values[i] for i in rng.integers(len(values), size=2))
                kind = rng.integers(6)
                if kind == 0 and a.shape == (4, 6):
                    values.append(reshape(reduce(a, (0,), "sum"), (1, 6)))
                elif kind == 1:
                    values.append(rules.negative(a))
                elif kind == 2 and a.shape == b.shape == (4, 6):
                    values.append(reshape(concat([a, b]), (2, 4, 6)))
                    values.append(reduce(values[-1], (0,), "max"))
                elif kind == 3 and a.shape == (4, 6):
                    w.assign(a)
                    values.append(w.value)
                elif len(a.shape) == len(b.shape) == 2:
                    values.append(rules.add(a, b))
            return [values[i] for i in rng.integers(len(values), size=2)]

        planned(function, (4, 6), (1, 6))


def test_fusion_respects_the_limits_of_the_kernel() -> None:
    def function(x: Tensor) -> Tensor:
        for i in range(200):
            x = rules.multiply(rules.add(x, float(i)), 1.5)
        return x

    graph, outputs = traced(function, (8,))
    plan, _ = lower(graph, outputs)
    fuse(plan)
    assert len(plan.steps) > 1
    assert all(len(step.code) <= 64 for step in plan.steps if isinstance(step, MapStep))


def test_concat_in_place_leaves_shared_parts_alone() -> None:
    def function(x: Tensor) -> list[Tensor]:
        a = rules.negative(x)
        return [concat([a, a]), a]

    graph, outputs = traced(function, (5,))
    plan, _ = lower(graph, outputs)
    concat_in_place(plan)
    assert "concat" in [s.kernel for s in plan.steps]
