"""Linear algebra with the names of keras.ops.linalg.

Inverses, solutions, determinants, Cholesky factors and triangular solutions are unrolled eliminations over our own
operations: differentiable, for traced tensors too, and meant for small matrices. Decompositions (qr, svd, eigh ...) are
NumPy's, of concrete tensors, without gradients.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from berrante.graph import primitives as p
from berrante.graph.op import as_tensor
from berrante.graph.primitives import cast
from berrante.graph.tensor import Tensor
from berrante.ops import elementwise as e
from berrante.ops import linalg, reduction
from berrante.ops.arithmetic import concrete
from berrante.ops.creation import eye
from berrante.ops.public import public
from berrante.ops.shape import concatenate, diagonal, expand_dims, squeeze, swapaxes, take_along_axis

_numpy: Any = np.linalg  # its stubs want literals


def _square(name: str, x: Any) -> Tensor:
    x = cast(x, "float32")
    if len(x.shape) < 2 or x.shape[-1] != x.shape[-2]:
        raise ValueError(f"[{name}] expected square matrices; received shape {x.shape}")
    return x


def _block(x: Tensor, rows: tuple[int, int], columns: tuple[int, int]) -> Tensor:
    lead = len(x.shape) - 2
    start = (0,) * lead + (rows[0], columns[0])
    return p.slice_(x, start, (*x.shape[:lead], rows[1] - rows[0], columns[1] - columns[0]))


def _eliminate(a: Tensor, b: Tensor) -> tuple[Tensor, list[Tensor], Tensor]:
    """Gauss-Jordan with partial pivoting on [..., n, n | m]: the solution, the pivots, and the sign of the row order."""
    n, m = a.shape[-1], b.shape[-1]
    ab = concatenate([a, b], -1)
    lead, width = ab.shape[:-2], n + m
    order = np.arange(n, dtype=np.int32)
    pivots, sign = [], p.broadcast_to(1.0, (*lead, 1, 1))
    for k in range(n):
        column = e.absolute(_block(ab, (k, n), (k, k + 1)))
        best = e.add(reduction.argmax(column, -2, keepdims=True), k)
        rows = order.reshape((1,) * len(lead) + (n, 1))
        swapped = e.where(np.asarray(rows == k), best, e.where(e.equal(rows, best), k, rows))
        ab = take_along_axis(ab, p.broadcast_to(swapped, (*lead, n, width)), -2)
        sign = e.multiply(sign, e.where(e.equal(best, k), 1.0, -1.0))
        pivot = _block(ab, (k, k + 1), (k, k + 1))
        pivots.append(pivot)
        row = e.divide(_block(ab, (k, k + 1), (0, width)), pivot)
        others = e.where(np.asarray(rows == k), 0.0, _block(ab, (0, n), (k, k + 1)))
        ab = e.subtract(e.where(np.asarray(rows == k), row, ab), e.multiply(others, row))
    return _block(ab, (0, n), (n, width)), pivots, sign


@public
def inv(x: Any) -> Tensor:
    """The inverse of square matrices."""
    x = _square("inv", x)
    unit = p.broadcast_to(eye(x.shape[-1]), x.shape)
    return _eliminate(x, unit)[0]


@public
def solve(a: Any, b: Any) -> Tensor:
    """The solution x of a @ x = b, for vectors or matrices b."""
    a, b = _square("solve", a), cast(b, "float32")
    vector = len(b.shape) == len(a.shape) - 1
    b = expand_dims(b, -1) if vector else b
    if b.shape[-2] != a.shape[-1]:
        raise ValueError(f"[solve] a of shape {a.shape} does not fit b of shape {b.shape}")
    y = _eliminate(a, p.broadcast_to(b, (*a.shape[:-2], *b.shape[-2:])))[0]
    return squeeze(y, -1) if vector else y


def _determinant(x: Tensor) -> Tensor:
    empty = p.slice_(x, (0,) * len(x.shape), (*x.shape[:-1], 0))
    _, pivots, sign = _eliminate(x, empty)
    product = sign
    for pivot in pivots:
        product = e.multiply(product, pivot)
    return p.reshape(product, x.shape[:-2])


@public
def det(x: Any) -> Tensor:
    """The determinant of square matrices; 0 for singular ones."""
    y = _determinant(_square("det", x))
    return e.where(e.isnan(y), 0.0, y)


@public
def slogdet(x: Any) -> tuple[Tensor, Tensor]:
    """The sign and the logarithm of the absolute value of the determinant."""
    x = _square("slogdet", x)
    empty = p.slice_(x, (0,) * len(x.shape), (*x.shape[:-1], 0))
    _, pivots, sign = _eliminate(x, empty)
    total: Any = 0.0
    for pivot in pivots:
        sign, total = e.multiply(sign, e.sign(pivot)), e.add(total, e.log(e.absolute(pivot)))
    return p.reshape(sign, x.shape[:-2]), p.reshape(total, x.shape[:-2])


@public
def logdet(x: Any) -> Tensor:
    """The logarithm of the determinant of positive definite matrices."""
    factor = cholesky(x)
    return e.multiply(reduction.sum(e.log(diagonal(factor, 0, -2, -1)), -1), 2.0)


@public
def cholesky(x: Any, upper: bool = False) -> Tensor:
    """The lower (or upper) triangular factor of positive definite matrices; NaN for others, an error where x has values."""
    x = _square("cholesky", x)
    if x.value is not None:
        try:
            np.linalg.cholesky(x.numpy().astype(np.float64))
        except np.linalg.LinAlgError:
            raise ValueError("[cholesky] expected positive definite matrices") from None
    n, columns = x.shape[-1], []
    # The mean of both triangles: the gradient of a symmetric matrix is symmetric, too.
    rest = e.multiply(e.add(x, swapaxes(x, -1, -2)), 0.5)
    for k in range(n):
        root = e.sqrt(_block(rest, (k, k + 1), (k, k + 1)))
        column = e.divide(_block(rest, (0, n), (k, k + 1)), root)
        column = e.where((np.arange(n) >= k).reshape(n, 1), column, 0.0)
        columns.append(column)
        rest = e.subtract(rest, e.multiply(column, swapaxes(column, -1, -2)))
    factor = concatenate(columns, -1)
    return swapaxes(factor, -1, -2) if upper else factor


@public
def cholesky_inverse(x: Any, upper: bool = False) -> Tensor:
    """The inverse of the matrix whose Cholesky factor is x."""
    x = _square("cholesky_inverse", x)
    lower = swapaxes(x, -1, -2) if upper else x
    inverse = solve_triangular(lower, p.broadcast_to(eye(x.shape[-1]), x.shape), lower=True)
    return linalg.matmul(swapaxes(inverse, -1, -2), inverse)


@public
def solve_triangular(a: Any, b: Any, lower: bool = False) -> Tensor:
    """The solution x of a @ x = b for triangular a; the other triangle is not read."""
    a, b = _square("solve_triangular", a), cast(b, "float32")
    vector = len(b.shape) == len(a.shape) - 1
    b = expand_dims(b, -1) if vector else b
    n = a.shape[-1]
    rows: dict[int, Tensor] = {}
    for i in range(n) if lower else reversed(range(n)):
        total = _block(b, (i, i + 1), (0, b.shape[-1]))
        for j, known in rows.items():
            total = e.subtract(total, e.multiply(_block(a, (i, i + 1), (j, j + 1)), known))
        rows[i] = e.divide(total, _block(a, (i, i + 1), (i, i + 1)))
    y = concatenate([rows[i] for i in range(n)], -2)
    return squeeze(y, -1) if vector else y


# --- by NumPy -------------------------------------------------------------------------------------------------------


def _tensors(*arrays: Any) -> Any:
    made = tuple(as_tensor(np.ascontiguousarray(a)) for a in arrays)
    return made[0] if len(made) == 1 else made


def qr(x: Any, mode: str = "reduced") -> tuple[Tensor, Tensor]:
    """Orthogonal and upper triangular factors. Of concrete tensors."""
    if mode not in ("reduced", "complete"):
        raise ValueError(f"[qr] expected mode reduced or complete; received {mode!r}")
    return _tensors(*_numpy.qr(concrete("qr", x)[0], mode))


def svd(x: Any, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    """Singular vectors and values (u, s, vh), or values alone. Of concrete tensors."""
    found = _numpy.svd(concrete("svd", x)[0], full_matrices, compute_uv)
    return _tensors(*found) if compute_uv else _tensors(found)


def eigh(x: Any) -> tuple[Tensor, Tensor]:
    """Eigenvalues, ascending, and vectors of symmetric matrices. Of concrete tensors."""
    return _tensors(*np.linalg.eigh(concrete("eigh", _square("eigh", x))[0]))


def eig(x: Any) -> tuple[Tensor, Tensor]:
    """Eigenvalues and vectors, which must be real. Of concrete tensors."""
    values, vectors = np.linalg.eig(concrete("eig", _square("eig", x))[0])
    if np.iscomplexobj(values):
        raise ValueError("[eig] the eigenvalues are complex, which is not supported")
    return _tensors(values, vectors)


def lstsq(a: Any, b: Any, rcond: float | None = None) -> Tensor:
    """The least-squares solution of a @ x = b. Of concrete tensors."""
    return _tensors(_numpy.lstsq(*concrete("lstsq", a, b), rcond=rcond)[0])


def pinv(x: Any, rcond: float | None = None) -> Tensor:
    """The pseudo-inverse. Of concrete tensors."""
    (values,) = concrete("pinv", x)
    limit = max(values.shape[-2:]) * np.finfo(np.float32).eps if rcond is None else rcond
    return _tensors(np.linalg.pinv(values, limit))


def matrix_rank(x: Any, tol: float | None = None) -> Tensor:
    """The number of singular values above a tolerance. Of concrete tensors."""
    return cast(np.asarray(np.linalg.matrix_rank(concrete("matrix_rank", x)[0], tol)), "int32")


__all__ = [
    "cholesky", "cholesky_inverse", "det", "eig", "eigh", "inv", "logdet", "lstsq", "matrix_rank", "pinv", "qr",
    "slogdet", "solve", "solve_triangular", "svd",
]  # fmt: skip
