"""Products, einsum, solvers, and tensors that are made."""

from __future__ import annotations

from typing import Any

import numpy as np

from parity.harness import Case
from parity.layer_cases import maybe, pick, shape, values, whole
from parity.op_draws import Kinds, Rng, op_case, registrar

KINDS: Kinds = {}
simple = registrar(KINDS)


@simple("matmul")
def _matmul(rng: Rng) -> Case:
    m, k, n, b = (whole(rng, 1, 5) for _ in range(4))
    left = pick(rng, (k,), (m, k), (b, m, k), (2, 1, m, k))
    right = pick(rng, (k,), (k, n), (b, k, n), (1, b, k, n))
    return op_case("matmul", [values(rng, left), values(rng, right)])


@simple("dot")
def _dot(rng: Rng) -> Case:
    k = whole(rng, 1, 5)
    left, right = pick(rng, (k,), (3, k), (2, 3, k)), pick(rng, (k,), (k, 4), (2, k, 4))
    name = pick(rng, "dot", "inner", "tensordot")
    if name == "inner":
        right = (*right[: max(0, len(right) - 2)], 4, k) if len(right) > 1 else (k,)
    kwargs = {"axes": ([len(left) - 1], [max(len(right) - 2, 0)])} if name == "tensordot" else {}
    return op_case(name, [values(rng, left), values(rng, right)], kwargs)


@simple("vdot")
def _vdot(rng: Rng) -> Case:
    s = shape(rng, 1, 3)
    return op_case("vdot", [values(rng, s), values(rng, s)], backends=("jax",))


@simple("einsum")
def _einsum(rng: Rng) -> Case:
    text = pick(
        rng,
        "ij,jk->ik",
        "bij,bjk->bik",
        "ijk,lk->jil",
        "ij,ij->",
        "ij->ji",
        "ij,j->i",
        "i,j->ij",
        "bhtd,bhsd->bhts",
        "ij,jk,kl->il",
        "...ij,jk->...ik",
        "ii->i",
    )
    extents: dict[str, int] = {}
    arrays = []
    for term in text.split("->")[0].split(","):
        s = tuple(extents.setdefault(c, whole(rng, 1, 4)) for c in term.replace("...", "xy"))
        arrays.append(values(rng, s))

    def run(peer: Any) -> dict[str, Any]:
        return peer.function(lambda *xs: peer.k.ops.einsum(text, *xs), arrays)

    return Case(f"einsum({text}, {[a.shape for a in arrays]})", run)


@simple("solving")
def _solving(rng: Rng) -> Case:
    n, lead = whole(rng, 1, 4), shape(rng, 0, 1)
    a = values(rng, (*lead, n, n)) + 3 * np.eye(n, dtype=np.float32)
    spd = (a @ np.swapaxes(a, -1, -2)).astype(np.float32)
    b = values(rng, (*lead, n, 2))
    name, arrays, kwargs = pick(
        rng, ("inv", [a], {}), ("det", [a], {}), ("solve", [a, b], {}), ("cholesky", [spd], {}),
        ("slogdet", [a], {}), ("logdet", [spd], {}), ("solve_triangular", [np.tril(a), b], {"lower": True}),
        ("cholesky_inverse", [np.linalg.cholesky(spd.reshape(-1, n, n)[0]).astype(np.float32)], {}), ("pinv", [a], {}), ("matrix_rank", [a], {}),
    )  # fmt: skip
    by_numpy = name in ("pinv", "matrix_rank")
    return op_case(
        name,
        arrays,
        kwargs,
        gradient=not by_numpy and name not in ("cholesky_inverse", "solve_triangular", "cholesky"),
        traced=not by_numpy,
        rtol=2e-3,
        atol=1e-4,
        backends=("jax",),
    )


@simple("products")
def _products(rng: Rng) -> Case:
    s = shape(rng, 1, 2)
    v = values(rng, (4,))
    name, arrays, kwargs = pick(
        rng, ("kron", [values(rng, s), values(rng, shape(rng, 1, 2))], {}), ("cross", [values(rng, (2, 3)), values(rng, (2, 3))], {}),
        ("cross", [values(rng, (2, 2)), values(rng, (2, 2))], {}), ("append", [values(rng, s), values(rng, s)], {"axis": pick(rng, None, 0)}),
        ("vander", [v], {"increasing": maybe(rng)}), ("correlate", [values(rng, (6,)), v], {"mode": pick(rng, "valid", "same", "full")}),
        ("trapezoid", [values(rng, (2, 5))], {"dx": 0.5}), ("trapezoid", [v, np.sort(values(rng, (4,)))], {}),
    )  # fmt: skip
    return op_case(name, arrays, kwargs, gradient=name != "vander", backends=("jax",))


@simple("creation")
def _creation(rng: Rng) -> Case:
    name, args, kwargs = pick(
        rng, ("arange", (whole(rng, 1, 9),), {}), ("arange", (1, 9, 2), {}), ("linspace", (0.0, 2.0), {"num": 5, "endpoint": maybe(rng)}),
        ("logspace", (0.0, 2.0), {"num": 5}), ("eye", (3,), {"k": 1}), ("identity", (3,), {}), ("tri", (3, 4), {"k": 1}), ("zeros", ((2, 3),), {}),
        ("ones", ((2, 3),), {}), ("full", ((2, 3), 1.5), {}), ("hanning", (5,), {}), ("hamming", (5,), {}), ("bartlett", (5,), {}), ("blackman", (5,), {}),
        ("geomspace", (1.0, 8.0), {"num": 4}), ("kaiser", (5, 8.0), {}),
    )  # fmt: skip
    if name in ("hanning", "hamming", "bartlett", "blackman", "kaiser"):
        return Case(
            f"{name}{args}",
            lambda peer: {
                "y": np.asarray(
                    peer.k.ops.convert_to_numpy(getattr(peer.k.ops, name)(np.asarray(args[0], np.int32), *args[1:]))
                )
            },
        )
    return Case(
        f"{name}{args}{kwargs}",
        lambda peer: {"y": np.asarray(peer.k.ops.convert_to_numpy(getattr(peer.k.ops, name)(*args, **kwargs)))},
    )
