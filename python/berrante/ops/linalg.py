"""Products of matrices and tensors, with the names and semantics of keras.ops."""

from __future__ import annotations

from math import prod
from typing import Any

from berrante.graph import primitives as p
from berrante.graph.op import Op, as_tensor
from berrante.graph.primitives import floating
from berrante.graph.tensor import Node, Tensor, TensorSpec
from berrante.ops import elementwise as e
from berrante.ops.public import public
from berrante.ops.reduction import normalize_axis, sum
from berrante.ops.shape import expand_dims, transpose

# The primitive: [Ba, M, K] x [Bb, K, N] -> [B, M, N], either operand transposed, Ba and Bb equal or 1.


def _infer(a: Tensor, b: Tensor, transpose_a: int, transpose_b: int, activation: int) -> TensorSpec:
    k_a, m = (a.shape[1], a.shape[2]) if transpose_a else (a.shape[2], a.shape[1])
    k_b, n = (b.shape[2], b.shape[1]) if transpose_b else (b.shape[1], b.shape[2])
    batches = {a.shape[0], b.shape[0]} - {1}
    if k_a != k_b or len(batches) > 1:
        raise ValueError(f"[matmul] inner extents must agree; received {a.shape} and {b.shape}")
    return TensorSpec((batches.pop() if batches else 1, m, n))


def _product(a: Tensor, b: Tensor, transpose_a: bool = False, transpose_b: bool = False) -> Tensor:
    result: Tensor = _matmul(a, b, transpose_a=int(transpose_a), transpose_b=int(transpose_b), activation=0)
    return result


def _grad(node: Node, dy: Tensor) -> list[Tensor]:
    (a, b), ta, tb = node.inputs, node.attrs["transpose_a"], node.attrs["transpose_b"]
    da = _product(b, dy, tb, True) if ta else _product(dy, b, False, not tb)
    db = _product(dy, a, True, ta) if tb else _product(a, dy, not ta, False)
    return [p.reshape(p.unbroadcast(g, x.shape), x.shape) for g, x in zip((da, db), (a, b), strict=True)]


_matmul = Op("matmul", _infer, _grad)


def product_2d(x: Tensor, w: Tensor) -> Tensor:
    """[M, K] x [K, N] -> [M, N]."""
    y = _product(p.reshape(x, (1, *x.shape)), p.reshape(w, (1, *w.shape)))
    return p.reshape(y, y.shape[1:])


@public
def matmul(x1: Any, x2: Any) -> Tensor:
    """The matrix product, batched and broadcast as numpy.matmul."""
    a, b = floating(x1), floating(x2)
    if not a.shape or not b.shape:
        raise ValueError(f"[matmul] expected at least 1-D operands; received shapes {a.shape} and {b.shape}")
    row, column = len(a.shape) == 1, len(b.shape) == 1
    if row:
        a = expand_dims(a, 0)
    if column:
        b = expand_dims(b, -1)
    if a.shape[-1] != b.shape[-2]:
        raise ValueError(f"[matmul] inner extents must agree; received shapes {a.shape} and {b.shape}")
    m, k, n = a.shape[-2], a.shape[-1], b.shape[-1]
    if len(b.shape) == 2:  # one matrix for all rows
        y = p.reshape(product_2d(p.reshape(a, (prod(a.shape[:-1]), k)), b), (*a.shape[:-1], n))
    else:
        lead = _broadcast_lead(a.shape[:-2], b.shape[:-2])
        a3 = _to_batches(a, lead, (m, k))
        b3 = _to_batches(b, lead, (k, n))
        y = p.reshape(_product(a3, b3), (*lead, m, n))
    if row:
        y = p.reshape(y, (*y.shape[:-2], n))
    return p.reshape(y, y.shape[:-1]) if column else y


def _broadcast_lead(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    from berrante.graph.elementwise import broadcast_shapes

    return broadcast_shapes("matmul", a, b) if a or b else ()


def _to_batches(x: Tensor, lead: tuple[int, ...], matrix: tuple[int, int]) -> Tensor:
    if prod(x.shape[:-2]) == 1:
        return p.reshape(x, (1, *matrix))
    return p.reshape(p.broadcast_to(x, (*lead, *matrix)), (prod(lead), *matrix))


@public
def dot(x1: Any, x2: Any) -> Tensor:
    """numpy.dot: the last axis of x1 with the last but one of x2."""
    a, b = as_tensor(x1), as_tensor(x2)
    if not a.shape or not b.shape:
        return e.multiply(a, b)
    return tensordot(a, b, ([len(a.shape) - 1], [max(len(b.shape) - 2, 0)]))


@public
def tensordot(x1: Any, x2: Any, axes: Any = 2) -> Tensor:
    """Contracts axes of x1 with axes of x2."""
    a, b = floating(x1), floating(x2)
    ra, rb = len(a.shape), len(b.shape)
    if isinstance(axes, int):
        axes_a, axes_b = list(range(ra - axes, ra)), list(range(axes))
    else:
        axes_a, axes_b = ([x] if isinstance(x, int) else list(x) for x in axes)
    axes_a = [normalize_axis("tensordot", i, ra) for i in axes_a]
    axes_b = [normalize_axis("tensordot", i, rb) for i in axes_b]
    if [a.shape[i] for i in axes_a] != [b.shape[i] for i in axes_b]:
        raise ValueError(f"[tensordot] contracted extents must agree; received {a.shape} and {b.shape} over {axes}")
    rest_a = [i for i in range(ra) if i not in axes_a]
    rest_b = [i for i in range(rb) if i not in axes_b]
    k = prod(a.shape[i] for i in axes_a)
    left = p.reshape(transpose(a, rest_a + axes_a), (prod(a.shape[i] for i in rest_a), k))
    right = p.reshape(transpose(b, axes_b + rest_b), (k, prod(b.shape[i] for i in rest_b)))
    return p.reshape(product_2d(left, right), [a.shape[i] for i in rest_a] + [b.shape[i] for i in rest_b])


@public
def outer(x1: Any, x2: Any) -> Tensor:
    """All products of two flattened tensors."""
    return e.multiply(p.reshape(x1, (-1, 1)), p.reshape(x2, (1, -1)))


@public
def einsum(subscripts: str, *operands: Any, **_: Any) -> Tensor:
    """Sums of products by index letters, as numpy.einsum: ellipsis and diagonals included. Two operands at a time."""
    tensors = [floating(x) for x in operands]
    terms, output = _einsum_terms(subscripts, tensors)
    pairs = [_diagonals(x, term) for x, term in zip(tensors, terms, strict=True)]
    extents: dict[str, int] = {}
    for x, term in pairs:
        for c, n in zip(term, x.shape, strict=True):
            known = extents.setdefault(c, n)
            if known != n and 1 not in (known, n):
                raise ValueError(f"[einsum] index {c!r} of {subscripts!r} has extents {known} and {n}")
            extents[c] = max(known, n)
    # Extents of 1 broadcast, as those that an ellipsis stands for may.
    pairs = [(p.broadcast_to(x, tuple(extents[c] for c in term)), term) for x, term in pairs]
    x, have = pairs[0]
    for i, (y, term) in enumerate(pairs[1:]):
        later = set(output).union(*(t for _, t in pairs[i + 2 :]))
        x, have = _contract(x, have, y, term, later)
    drop = [i for i, c in enumerate(have) if c not in output]
    x = sum(x, drop) if drop else x
    have = "".join(c for c in have if c in output)
    if sorted(have) != sorted(output):
        raise ValueError(f"[einsum] {subscripts!r} asks for indices that no operand has")
    return transpose(x, [have.index(c) for c in output])


def _einsum_terms(subscripts: str, tensors: list[Tensor]) -> tuple[list[str], str]:
    """The operands' and the output's letters, each ellipsis written out in letters of its own."""
    text = subscripts.replace(" ", "")
    left, arrow, output = text.partition("->")
    terms = left.split(",")
    if len(terms) != len(tensors):
        raise ValueError(f"[einsum] {subscripts!r} does not fit {len(tensors)} operands")
    spare = [c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if c not in text]
    counts = [
        len(x.shape) - len(t.replace("...", "")) if "..." in t else 0 for t, x in zip(terms, tensors, strict=True)
    ]
    dots = "".join(spare[: max([*counts, 0])])
    terms = [t.replace("...", dots[len(dots) - n :] if n > 0 else "") for t, n in zip(terms, counts, strict=True)]
    for term, x in zip(terms, tensors, strict=True):
        if len(term) != len(x.shape) or "." in term:
            raise ValueError(f"[einsum] operand {term!r} of {subscripts!r} does not fit shape {x.shape}")
    if not arrow:
        letters = "".join(terms)
        output = "..." * bool(dots) + "".join(sorted(c for c in set(letters) - set(dots) if letters.count(c) == 1))
    return terms, output.replace("...", dots)


def _diagonals(x: Tensor, term: str) -> tuple[Tensor, str]:
    """An operand whose letters are all different: repeated ones take the diagonal."""
    from berrante.ops.shape import diagonal

    for c in dict.fromkeys(term):
        while term.count(c) > 1:
            i = term.index(c)
            j = term.index(c, i + 1)
            x = diagonal(x, 0, i, j)
            term = "".join(d for k, d in enumerate(term) if k not in (i, j)) + c
    return x, term


def _contract(a: Tensor, ia: str, b: Tensor, ib: str, later: set[str]) -> tuple[Tensor, str]:
    shared = [c for c in ia if c in ib]
    batch = [c for c in shared if c in later]
    inner = [c for c in shared if c not in later]
    free_a, free_b = [c for c in ia if c not in ib], [c for c in ib if c not in ia]
    extents = dict(zip(ia, a.shape, strict=True)) | dict(zip(ib, b.shape, strict=True))
    size = lambda names: prod(extents[c] for c in names)  # noqa: E731
    left = p.reshape(
        transpose(a, [ia.index(c) for c in batch + free_a + inner]), (size(batch), size(free_a), size(inner))
    )
    right = p.reshape(
        transpose(b, [ib.index(c) for c in batch + inner + free_b]), (size(batch), size(inner), size(free_b))
    )
    names = batch + free_a + free_b
    return p.reshape(_product(left, right), tuple(extents[c] for c in names)), "".join(names)


@public
def inner(x1: Any, x2: Any) -> Tensor:
    """Sums of products over the last axes."""
    a, b = as_tensor(x1), as_tensor(x2)
    if not a.shape or not b.shape:
        return e.multiply(a, b)
    return tensordot(a, b, ([-1], [-1]))


@public
def cdist(x: Any, y: Any) -> Tensor:
    """Euclidean distances between rows: [..., M, K] and [..., N, K] -> [..., M, N]."""
    difference = e.subtract(expand_dims(x, -2), expand_dims(y, -3))
    square = sum(e.square(difference), -1)
    zero = e.equal(square, 0.0)
    return e.where(zero, 0.0, e.sqrt(e.where(zero, 1.0, square)))


@public
def vdot(x1: Any, x2: Any) -> Tensor:
    """The sum of products of two flattened tensors."""
    return sum(e.multiply(p.reshape(x1, (-1,)), p.reshape(x2, (-1,))))


def __getattr__(name: str) -> Any:
    # keras.ops.linalg's decompositions live in `solving`, its norm in `reduction`.
    from berrante import ops

    if name.startswith("__") or not hasattr(ops, name):
        raise AttributeError(f"module 'berrante.ops.linalg' has no attribute {name!r}")
    return getattr(ops, name)
