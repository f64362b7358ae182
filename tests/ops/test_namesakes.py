"""Functions of keras.ops that are composed of others, against NumPy in float64, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import berrante
from berrante import ops
from berrante.graph.program import Program
from berrante.graph.tensor import TensorSpec

RNG = np.random.default_rng(11)
A, B = RNG.normal(size=(3, 4)), RNG.normal(size=(3, 4))
SQUARE = RNG.normal(size=(2, 3, 3)) + 3 * np.eye(3)
SPD = SQUARE @ SQUARE.transpose(0, 2, 1)
HOLES = np.where(RNG.random((3, 4)) < 0.3, np.nan, A)

CASES: list[tuple[str, Callable[..., Any], Callable[..., Any], list[Any]]] = [
    ("cbrt", ops.cbrt, np.cbrt, [A]),
    ("exp2", ops.exp2, np.exp2, [A]),
    ("erfinv", lambda x: ops.erf(ops.erfinv(x)), lambda x: x, [RNG.uniform(-0.99, 0.99, 9)]),
    ("hypot", ops.hypot, np.hypot, [A, B]),
    ("heaviside", ops.heaviside, np.heaviside, [np.array([-1.0, 0.0, 2.0]), np.array(0.5)]),
    ("fmax", ops.fmax, np.fmax, [HOLES, B]),
    ("fmod", ops.fmod, np.fmod, [A, B]),
    ("ldexp", ops.ldexp, lambda x, y: x * 2.0**y, [A, B]),
    ("logaddexp2", ops.logaddexp2, np.logaddexp2, [A, B]),
    ("sinc", ops.sinc, np.sinc, [np.append(A, 0.0)]),
    ("signbit", ops.signbit, np.signbit, [np.array([-0.0, 0.0, -2.0, 3.0])]),
    ("left_shift", ops.left_shift, np.left_shift, [np.array([3, 5]), np.array([2, 4])]),
    ("right_shift", ops.right_shift, np.right_shift, [np.array([13, -5]), np.array([2, 1])]),
    ("vstack", lambda a, b: ops.vstack([a, b]), lambda a, b: np.vstack([a, b]), [A, B]),
    ("dstack", lambda a, b: ops.dstack([a, b]), lambda a, b: np.dstack([a, b]), [A, B]),
    ("hstack", lambda a, b: ops.hstack([a, b]), lambda a, b: np.hstack([a, b]), [A, B]),
    ("rot90", lambda x: ops.rot90(x, 3), lambda x: np.rot90(x, 3), [A]),
    ("kron", ops.kron, np.kron, [A, SQUARE]),
    ("cross", ops.cross, np.cross, [SQUARE[0], SQUARE[1]]),
    ("diff", lambda x: ops.diff(x, 2, 0), lambda x: np.diff(x, 2, 0), [A]),
    ("vander", ops.vander, np.vander, [A[0]]),
    ("trapezoid", ops.trapezoid, lambda y: ((y[..., 1:] + y[..., :-1]) / 2).sum(-1), [A]),
    ("quantile", lambda x: ops.quantile(x, [0.2, 0.7], 1), lambda x: np.quantile(x, [0.2, 0.7], 1), [A]),
    ("nanquantile", lambda x: ops.nanquantile(x, 0.4), lambda x: np.nanquantile(x, 0.4), [HOLES]),
    ("nanvar", lambda x: ops.nanvar(x, 0), lambda x: np.nanvar(x, 0), [HOLES]),
    ("nanmax", lambda x: ops.nanmax(x, 1), lambda x: np.nanmax(x, 1), [HOLES]),
    ("corrcoef", ops.corrcoef, np.corrcoef, [A]),
    ("correlate", lambda a, b: ops.correlate(a, b, "same"), lambda a, b: np.correlate(a, b, "same"), [A[0], B[0, :3]]),
    ("bincount", ops.bincount, np.bincount, [np.array([1, 4, 1, 0])]),
    ("searchsorted", ops.searchsorted, np.searchsorted, [np.sort(A[0]), B]),
    ("digitize", ops.digitize, np.digitize, [B, np.sort(A[0])]),
    ("isin", ops.isin, np.isin, [np.array([1, 2, 3]), np.array([3, 5])]),
    ("inv", ops.inv, np.linalg.inv, [SQUARE]),
    ("solve", ops.solve, lambda a, b: np.linalg.solve(a, b), [SQUARE, RNG.normal(size=(2, 3, 2))]),
    ("det", ops.det, np.linalg.det, [SQUARE]),
    ("det needs pivots", ops.det, np.linalg.det, [np.array([[0.0, 2.0], [3.0, 1.0]])]),
    ("logdet", ops.logdet, lambda x: np.linalg.slogdet(x)[1], [SPD]),
    ("cholesky", ops.cholesky, np.linalg.cholesky, [SPD]),
    ("triangular", lambda a, b: ops.solve_triangular(ops.tril(a), b, lower=True), lambda a, b: np.linalg.solve(np.tril(a), b), [SQUARE, SQUARE]),
    ("norm", lambda x: ops.norm(x, 1, (0, 1)), lambda x: np.linalg.norm(x, 1, (0, 1)), [A]),
    ("einsum", lambda a, b: ops.einsum("...ij,jk->...ik", a, b), lambda a, b: np.einsum("...ij,jk->...ik", a, b), [SQUARE, SQUARE[0]]),
    ("einsum diagonal", lambda a: ops.einsum("bii->b", a), lambda a: np.einsum("bii->b", a), [SQUARE]),
    ("segment_sum", lambda x: ops.segment_sum(x, np.array([0, 2, 0]), 3), lambda x: np.stack([x[0] + x[2], 0 * x[0], x[1]]), [A]),
    ("segment_max", lambda x: ops.segment_max(x, np.array([0, 1, 0]), 2), lambda x: np.stack([np.maximum(x[0], x[2]), x[1]]), [A]),
    ("scatter", lambda v: ops.scatter(np.array([[1], [3], [1]]), v, (4, 4)), lambda v: np.stack([0 * v[0], v[0] + v[2], 0 * v[0], v[1]]), [A]),
    ("sparsemax", lambda x: ops.sum(ops.sparsemax(x, 0), 0), lambda x: np.ones(4), [A]),
    ("depth_to_space", lambda x: ops.space_to_depth(ops.depth_to_space(x, 2), 2), lambda x: x, [RNG.normal(size=(1, 2, 3, 8))]),
    ("map", lambda x: ops.map(lambda r: ops.sum(r), x), lambda x: x.sum(1), [A]),
    ("associative_scan", lambda x: ops.associative_scan(ops.add, x), lambda x: x.cumsum(0), [A]),
    ("scan", lambda x: ops.scan(lambda c, r: (c + r, c), np.zeros(4, np.float32), x)[0], lambda x: x.sum(0), [A]),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda c: c[0])
def test_at_once_and_traced(case: Any) -> None:
    _, function, reference, arrays = case
    given = [np.asarray(a, np.float32 if np.asarray(a).dtype.kind == "f" else np.int32) for a in arrays]
    want = reference(*(a.astype(np.float64) if a.dtype.kind == "f" else a for a in given))
    np.testing.assert_allclose(np.asarray(function(*given)), want, rtol=1e-4, atol=1e-4)
    if case[0] == "bincount":  # its shape needs values
        return
    specs = [TensorSpec(a.shape, "float32" if a.dtype.kind == "f" else "int32") for a in given]
    traced = Program(lambda *xs: [function(*xs)], specs)(*given)[0]
    np.testing.assert_allclose(traced, want, rtol=1e-4, atol=1e-4)


def test_scatter_update_takes_the_last_of_repeated_places() -> None:
    y = ops.scatter_update(np.zeros(3, np.float32), np.array([[1], [1], [2]]), np.array([4.0, 5.0, 6.0], np.float32))
    np.testing.assert_array_equal(y, [0, 5, 6])


def test_switch_of_a_symbolic_index() -> None:
    program = Program(lambda i: [ops.switch(i, [lambda: 1.0, lambda: 2.0, lambda: 3.0])], [TensorSpec((), "int32")])
    assert [float(program(np.asarray(i, np.int32))[0]) for i in (-1, 0, 1, 2, 7)] == [1, 1, 2, 3, 3]


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: ops.inv(np.zeros((2, 3))), ValueError),
        (lambda: ops.cholesky(-np.eye(2)), ValueError),
        (lambda: ops.quantile(np.ones(3), 0.5, method="middle"), ValueError),
        (lambda: ops.cross(np.ones(4), np.ones(4)), ValueError),
        (lambda: ops.scan(3, 0, np.ones(3)), TypeError),
        (lambda: ops.array_split(np.ones(3), [1]), TypeError),
        (lambda: ops.depth_to_space(np.ones((1, 2, 2, 3)), 2), ValueError),
        (lambda: ops.where(np.ones(2), 1.0), ValueError),
        (lambda: ops.norm(np.ones((2, 2, 2)), 3), ValueError),
        (lambda: Program(lambda x: [ops.unique(x)], [TensorSpec((3,), "float32")]), TypeError),
    ],
)  # fmt: skip
def test_refused(call: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        call()


def test_the_gradient_of_a_symmetric_matrix_is_symmetric() -> None:
    """That of logdet is the inverse, of both triangles, as in Keras."""
    with berrante.GradientTape() as tape:
        x = berrante.Variable(SPD)
        total = ops.sum(ops.logdet(x))
    np.testing.assert_allclose(tape.gradient(total, [x])[0], np.linalg.inv(SPD), rtol=1e-4, atol=1e-5)


def test_namespaces() -> None:
    assert ops.numpy.sum is ops.sum
    assert ops.nn.glu is ops.glu
    assert ops.linalg.det is ops.det
    with pytest.raises(AttributeError):
        ops.numpy.nothing  # noqa: B018
