"""Contraction of micro-operations: which are taken together, and that the values stay those of the formulas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from berrante import ops
from berrante.graph.passes.ir import MapStep
from berrante.graph.program import Program
from berrante.graph.tensor import TensorSpec

CASES: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "multiply_add_f": (lambda a, b, c: ops.add(ops.multiply(a, b), c), lambda a, b, c: a * b + c),
    "subtract_product_f": (lambda a, b, c: ops.subtract(c, ops.multiply(a, b)), lambda a, b, c: c - a * b),
    "blend_f": (
        lambda a, b, c: ops.add(a, ops.multiply(ops.subtract(b, a), c)),
        lambda a, b, c: a + (b - a) * c,
    ),
    "root_ratio_f": (
        lambda a, b, c: ops.divide(a, ops.add(c, ops.sqrt(b))),
        lambda a, b, c: a / (np.sqrt(b) + c),
    ),
}


def code_of(program: Program) -> list[str]:
    return [micro for s in program.plan.steps if isinstance(s, MapStep) for micro, _, _ in s.code]


@pytest.mark.parametrize("name", list(CASES))
@pytest.mark.parametrize("n", [1, 16, 1037])
def test_a_formula_becomes_one_micro_operation(name: str, n: int) -> None:
    function, expected = CASES[name]
    program = Program(function, [TensorSpec((n,))] * 3)
    assert code_of(program) == [name]
    a, b, c = (np.random.default_rng(i).uniform(0.5, 2.0, n).astype(np.float32) for i in range(3))
    np.testing.assert_allclose(
        program(a, b, c), expected(*(x.astype(np.float64) for x in (a, b, c))), rtol=1e-6, atol=1e-6
    )


def test_what_is_read_twice_is_kept() -> None:
    def function(a: Any, b: Any) -> Any:
        product = ops.multiply(a, b)
        return ops.add(product, a), product

    program = Program(function, [TensorSpec((9,))] * 2)
    assert sorted(code_of(program)) == ["add_f", "mul_f"]
    a, b = np.arange(9, dtype=np.float32), np.full(9, 3, np.float32)
    total, product = program(a, b)
    np.testing.assert_array_equal(total, 4 * a)
    np.testing.assert_array_equal(product, 3 * a)


def test_a_product_added_to_itself() -> None:
    program = Program(lambda a, b: ops.add(*[ops.multiply(a, b)] * 2), [TensorSpec((5,))] * 2)
    a, b = np.arange(5, dtype=np.float32), np.full(5, 3, np.float32)
    np.testing.assert_array_equal(program(a, b), 6 * a)
