"""Quantiles, norms, moments, sorting."""

from __future__ import annotations

import numpy as np

from parity.harness import Case
from parity.layer_cases import maybe, pick, shape, values, whole
from parity.op_draws import Kinds, Rng, apart, op_case, ranged, registrar

KINDS: Kinds = {}
simple = registrar(KINDS)


@simple("quantile")
def _quantile(rng: Rng) -> Case:
    s = shape(rng, 1, 3)
    q = pick(rng, float(rng.random()), [0.25, 0.5, 0.9])
    name = pick(rng, "quantile", "nanquantile", "percentile", "nanpercentile")
    q = np.asarray(q, np.float32) * (100 if "percentile" in name else 1)
    kwargs = {
        "axis": pick(rng, None, -1, 0),
        "keepdims": maybe(rng),
        "method": pick(rng, "linear", "lower", "higher", "midpoint", "nearest"),
    }
    return op_case(name, [apart(rng, s)], kwargs, (q,), gradient=False, backends=("jax",))


@simple("norm")
def _norm(rng: Rng) -> Case:
    s = shape(rng, 1, 3)
    axis = pick(rng, None, -1, (0, -1) if len(s) > 1 else -1)
    matrix = isinstance(axis, tuple) or (axis is None and len(s) == 2)
    order = pick(rng, None, 1, np.inf, -np.inf, "fro" if matrix else 2, "nuc" if matrix else 3, 2)
    concrete = matrix and order in ("nuc", 2)
    return op_case(
        "norm",
        [apart(rng, s)],
        {"ord": order, "axis": axis, "keepdims": maybe(rng)},
        gradient=not concrete,
        traced=not concrete,
        backends=("jax",),
        rtol=1e-3,
    )


@simple("normalize")
def _normalize(rng: Rng) -> Case:
    return op_case(
        "normalize", [values(rng, shape(rng, 1, 3))], {"axis": pick(rng, -1, 0), "order": whole(rng, 1, 3)}, rtol=1e-3
    )


@simple("moments")
def _moments(rng: Rng) -> Case:
    s = shape(rng, 1, 4)
    axes = sorted(int(i) for i in rng.permutation(len(s))[: whole(rng, 1, len(s))])
    return op_case("moments", [values(rng, s)], {"axes": axes, "keepdims": maybe(rng)}, rtol=1e-3)


@simple("average")
def _average(rng: Rng) -> Case:
    s = shape(rng, 1, 3)
    axis = pick(rng, None, -1)
    weights = ranged(rng, pick(rng, s, s[-1:]) if axis is not None else s, 0.1, 1)
    x = values(rng, s)
    return Case(
        f"average({s}, {axis}, {weights.shape})",
        lambda peer: peer.function(lambda a, w: peer.k.ops.average(a, axis=axis, weights=w), [x, weights]),
        rtol=1e-3,
    )


@simple("sort")
def _sort(rng: Rng) -> Case:
    s = shape(rng, 1, 3)
    name = pick(rng, "sort", "argsort")
    return op_case(name, [apart(rng, s)], {"axis": pick(rng, -1, 0)}, gradient=name == "sort")


@simple("top_k")
def _top_k(rng: Rng) -> Case:
    x = apart(rng, shape(rng, 1, 3))
    return op_case("top_k", [x], {"k": whole(rng, 1, x.shape[-1])})


@simple("in_top_k")
def _in_top_k(rng: Rng) -> Case:
    n, c = whole(rng, 1, 5), whole(rng, 2, 6)
    return op_case(
        "in_top_k",
        [rng.integers(0, c, n).astype(np.int32), apart(rng, (n, c))],
        {"k": whole(rng, 1, c)},
        gradient=False,
    )
