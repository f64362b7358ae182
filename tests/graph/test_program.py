"""Programs end to end: values, updates, gradients, tapes, and the errors of symbolic tensors."""

from __future__ import annotations

import numpy as np
import pytest

from berrante.graph import rules
from berrante.graph.gradients import gradients
from berrante.graph.primitives import broadcast_to, cast, concat, pad_to, reduce, reshape, slice_, stop_gradient
from berrante.graph.program import Program
from berrante.graph.tape import GradientTape
from berrante.graph.tensor import Tensor, TensorSpec
from berrante.graph.trace import tracing
from berrante.graph.variable import Variable, flatten_variables


def random(*shape: int) -> np.ndarray:
    return np.random.default_rng(len(shape)).normal(size=shape).astype(np.float32)


def test_nested_outputs_come_back_in_their_nesting() -> None:
    program = Program(
        lambda x: {"a": rules.negative(x), "b": (x, None, [reduce(x, (0,), "sum")])}, [TensorSpec((2, 3))]
    )
    x = random(2, 3)
    result = program(x)
    np.testing.assert_array_equal(result["a"], -x)
    np.testing.assert_array_equal(result["b"][0], x)
    assert result["b"][1] is None
    np.testing.assert_allclose(result["b"][2][0], x.sum(0), rtol=1e-6)


def test_inputs_are_checked() -> None:
    program = Program(rules.negative, [TensorSpec((2, 3))])
    with pytest.raises(ValueError, match=r"expected shape \(2, 3\); received \(2, 4\)"):
        program(random(2, 4))


def test_swapping_two_variables() -> None:
    a, b = Variable(np.array([1.0, 2.0])), Variable(np.array([3.0, 4.0]))

    def function() -> None:
        x, y = a.value, b.value
        a.assign(y)
        b.assign(x)

    Program(function, [])()
    np.testing.assert_array_equal(a.array, [3, 4])
    np.testing.assert_array_equal(b.array, [1, 2])


def test_old_and_new_values_in_one_program() -> None:
    w = Variable(np.array([1.0, 2.0]))

    def function(x: Tensor) -> list[Tensor]:
        before = w.value
        w.assign(rules.add(w.value, x))
        return [before, w.value, reduce(before, (0,), "sum")]

    old, new, total = Program(function, [TensorSpec((2,))])(np.array([10, 20], np.float32))
    np.testing.assert_array_equal(old, [1, 2])
    np.testing.assert_array_equal(new, [11, 22])
    assert total == 3
    np.testing.assert_array_equal(w.array, [11, 22])


def test_flat_update_members_and_constraint() -> None:
    a, b = Variable(np.ones((2, 2))), Variable(np.ones(3))
    flat = flatten_variables([a, b])

    def function() -> Tensor:
        flat.assign(rules.add(flat.value, 1.0))
        b.assign(rules.multiply(b.value, 2.0))
        return reduce(flat.value, (0,), "sum")

    program = Program(function, [])
    assert program() == 4 * 2 + 3 * 4
    np.testing.assert_array_equal(a.array, np.full((2, 2), 2.0))
    np.testing.assert_array_equal(b.array, np.full(3, 4.0))


def test_a_moved_variable_makes_its_programs_stale() -> None:
    a = Variable(np.ones(3))
    program = Program(lambda: rules.negative(a.value), [])
    flatten_variables([a])
    assert program.stale


@pytest.mark.parametrize(
    ("function", "shapes"),
    [
        (lambda a, b: rules.multiply(rules.add(a, b), rules.negative(b)), [(3, 4), (4,)]),
        (lambda a, b: rules.divide(a, rules.add(rules.multiply(b, b), 1.0)), [(3, 1), (1, 4)]),
        (lambda a: reduce(rules.multiply(a, a), (0, 2), "mean"), [(2, 3, 4)]),
        (lambda a: reduce(a, (1,), "max"), [(3, 5)]),
        (lambda a: slice_(a, (0, 4), (3, 2), (1, -2)), [(3, 5)]),
        (lambda a: pad_to(a, (4, 9), (1, -1), (0, 1)), [(2, 5)]),
        (lambda a, b: concat([a, rules.multiply(b, b)], 1), [(2, 3), (2, 1)]),
        (lambda a: reshape(broadcast_to(reshape(a, (3, 1)), (3, 4)), (12,)), [(3,)]),
    ],
)
def test_gradients_match_finite_differences_traced_and_eager(function, shapes) -> None:  # type: ignore[no-untyped-def]
    arrays = [random(*shape) for shape in shapes]

    def loss(*xs: Tensor) -> Tensor:
        y = function(*xs)
        w = np.linspace(-1, 1, y.size, dtype=np.float32).reshape(y.shape)
        return reduce(rules.multiply(y, w), tuple(range(len(y.shape))), "sum")

    def traced(*xs: Tensor) -> list[Tensor | None]:
        return gradients([loss(*xs)], list(xs))

    symbolic = Program(traced, [TensorSpec(a.shape) for a in arrays])(*arrays)
    with GradientTape() as tape:
        leaves = [Tensor(TensorSpec(a.shape), a) for a in arrays]
        tape.watch(leaves)
        value = loss(*leaves)
    eager = tape.gradient(value, leaves)
    for i, a in enumerate(arrays):
        numeric = np.zeros(a.shape)
        for at in np.ndindex(*a.shape):
            sides = []
            for h in (1e-2, -1e-2):
                moved = [x.copy() for x in arrays]
                moved[i][at] += h
                sides.append(float(loss(*(Tensor(TensorSpec(x.shape), x) for x in moved))))
            numeric[at] = (sides[0] - sides[1]) / 2e-2
        np.testing.assert_allclose(symbolic[i], numeric, atol=2e-3, rtol=1e-2)
        np.testing.assert_allclose(eager[i].numpy(), symbolic[i], atol=1e-6)


def test_second_derivatives() -> None:
    def function(x: Tensor) -> Tensor | None:
        y = rules.multiply(rules.multiply(x, x), x)
        (dx,) = gradients([y], [x])
        assert dx is not None
        return gradients([dx], [x])[0]

    x = random(5)
    np.testing.assert_allclose(Program(function, [TensorSpec((5,))])(x), 6 * x, rtol=1e-5)


def test_no_gradient_through_stop_gradient_or_integers() -> None:
    def function(x: Tensor) -> list[Tensor | None]:
        y = rules.multiply(stop_gradient(x), cast(cast(x, "int32"), "float32"))
        return gradients([y], [x])

    assert Program(function, [TensorSpec((3,))])(random(3)) == [None]


def test_a_variable_under_a_tape_keeps_its_old_value_for_the_gradient() -> None:
    w = Variable(np.array([3.0]))
    with GradientTape() as tape:
        y = rules.multiply(w.value, w.value)
    w.assign([100.0])
    np.testing.assert_array_equal(tape.gradient(y, w).numpy(), [6.0])


def test_python_control_flow_on_a_symbolic_tensor_names_the_line() -> None:
    def function(x: Tensor) -> Tensor:
        if reduce(x, (0,), "sum"):
            return x
        return rules.negative(x)

    with pytest.raises(TypeError, match=r"control flow.*test_program\.py:\d+, in function"):
        Program(function, [TensorSpec((3,))])


def test_a_tensor_that_escaped_its_trace_is_refused() -> None:
    kept = []
    Program(lambda x: kept.append(x) or rules.negative(x), [TensorSpec((3,))])
    with pytest.raises(ValueError, match="outside the trace"):
        rules.add(kept[0], 1.0)
    with tracing(), pytest.raises(ValueError, match="outside the trace"):
        rules.add(kept[0], 1.0)


def test_constants_and_empty_tensors() -> None:
    program = Program(
        lambda x: [broadcast_to(2.0, (2, 2)), rules.add(x, np.zeros((0, 3), np.float32))], [TensorSpec((0, 3))]
    )
    two, nothing = program(np.zeros((0, 3), np.float32))
    np.testing.assert_array_equal(two, np.full((2, 2), 2.0))
    assert nothing.shape == (0, 3)


def test_wrong_assignments_are_refused() -> None:
    w = Variable(np.zeros((2, 3)), name="w")
    with pytest.raises(ValueError, match=r'"w": expected a value of shape \(2, 3\); received \(3,\)'):
        w.assign(np.zeros(3))
    with pytest.raises(ValueError, match=r'"w": expected a value of shape'):
        Program(lambda x: w.assign(x) and None, [TensorSpec((3,))])


def test_two_tapes_share_a_variable() -> None:
    v = Variable(np.float32(3.0))
    with GradientTape() as a, GradientTape() as b:
        y = v.value * v.value
        z = v.value * 2.0
    assert float(a.gradient(y, v)) == 6.0
    assert float(b.gradient(z, v)) == 2.0
