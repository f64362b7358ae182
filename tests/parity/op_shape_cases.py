"""Reshaping, joining, taking, scattering, slicing."""

from __future__ import annotations

from typing import Any

import numpy as np

from parity.harness import Case
from parity.layer_cases import maybe, pick, shape, values, whole
from parity.op_draws import Kinds, Rng, apart, op_case, ranged, registrar

KINDS: Kinds = {}
simple = registrar(KINDS)


@simple("reshaping")
def _reshaping(rng: Rng) -> Case:
    s = shape(rng, 2, 4, 4)
    x = values(rng, s)
    r = len(s)
    name, kwargs = pick(
        rng,
        ("transpose", {}), ("transpose", {"axes": tuple(int(i) for i in rng.permutation(r))}), ("reshape", {"newshape": (-1,)}),
        ("swapaxes", {"axis1": 0, "axis2": -1}), ("moveaxis", {"source": 0, "destination": -1}), ("flip", {"axis": pick(rng, None, 0, -1)}),
        ("roll", {"shift": whole(rng, -3, 3), "axis": pick(rng, None, 0, -1)}), ("repeat", {"repeats": whole(rng, 1, 3), "axis": pick(rng, None, 0, -1)}),
        ("tile", {"repeats": tuple(whole(rng, 1, 3) for _ in range(r))}), ("expand_dims", {"axis": pick(rng, 0, -1, (0, 2))}), ("ravel", {}),
        ("broadcast_to", {"shape": (2, *s)}), ("squeeze", {}), ("diagonal", {"offset": whole(rng, -1, 1)}), ("trace", {}), ("tril", {"k": whole(rng, -1, 1)}),
        ("triu", {"k": whole(rng, -1, 1)}), ("fliplr", {}), ("flipud", {}), ("rot90", {"k": whole(rng, -2, 5)}), ("diff", {"axis": pick(rng, 0, -1)}),
        ("clip", {"x_min": -0.5, "x_max": 0.7}), ("nan_to_num", {}), ("copy", {}), ("stop_gradient", {}), ("zeros_like", {}), ("ones_like", {}), ("full_like", {"fill_value": 2.0}),
        ("diagflat", {"k": 1}), ("unstack", {"axis": pick(rng, 0, -1)}), ("corrcoef", {}) if r == 2 else ("ravel", {}),
    )  # fmt: skip
    return op_case(name, [x], kwargs, gradient=name not in ("corrcoef",), rtol=1e-3)


@simple("split")
def _split(rng: Rng) -> Case:
    n = whole(rng, 1, 3)
    x = values(rng, (n * whole(rng, 1, 3), 6))
    name = pick(rng, "split", "array_split", "vsplit", "hsplit")
    argument: Any = (
        n if name in ("split", "vsplit") else pick(rng, 2, 3, [1, 4]) if name == "hsplit" else pick(rng, 2, 3)
    )
    return op_case(name, [x], {}, (argument,))


@simple("joining")
def _joining(rng: Rng) -> Case:
    s = shape(rng, 1, 4)
    name = pick(rng, "stack", "concatenate", "hstack", "vstack", "dstack")
    kwargs = {"axis": pick(rng, 0, -1)} if name in ("stack", "concatenate") else {}
    return op_case(name, [values(rng, s) for _ in range(whole(rng, 1, 3))], kwargs, listed=True)


@simple("pad")
def _pad(rng: Rng) -> Case:
    s = tuple(whole(rng, 3, 5) for _ in range(whole(rng, 1, 3)))
    width = tuple((whole(rng, 0, 2), whole(rng, 0, 2)) for _ in s)
    mode = pick(rng, "constant", "reflect", "symmetric", "edge")
    return op_case("pad", [values(rng, s)], {"pad_width": width, "mode": mode}, backends=("jax",))


@simple("take")
def _take(rng: Rng) -> Case:
    s = shape(rng, 1, 3)
    axis = pick(rng, None, 0, -1)
    n = int(np.prod(s)) if axis is None else s[axis]
    i = rng.integers(-n, n, shape(rng, 0, 2)).astype(np.int32)
    return op_case("take", [values(rng, s), i], {"axis": axis}, backends=("jax",))


@simple("take_along_axis")
def _along(rng: Rng) -> Case:
    s = shape(rng, 1, 3)
    i = rng.integers(0, s[-1], (*s[:-1], whole(rng, 1, 4))).astype(np.int32)
    return op_case("take_along_axis", [values(rng, s), i], {"axis": -1})


@simple("one_hot")
def _one_hot(rng: Rng) -> Case:
    i = rng.integers(-1, 5, shape(rng, 1, 3)).astype(np.int32)
    name = pick(rng, "one_hot", "multi_hot")
    return op_case(
        name, [np.abs(i)], {"num_classes": 5, "axis": pick(rng, -1, 0) if name == "one_hot" else -1}, gradient=False
    )


@simple("where")
def _where(rng: Rng) -> Case:
    s = shape(rng, 1, 3)
    return op_case("where", [rng.integers(0, 2, s).astype(bool), values(rng, s), values(rng, s[-1:])])


@simple("searching")
def _searching(rng: Rng) -> Case:
    edges = np.sort(apart(rng, (whole(rng, 1, 6),)))
    v = np.concatenate([edges, ranged(rng, (4,), -3, 3)]).astype(np.float32)
    name, arrays, kwargs = pick(
        rng, ("searchsorted", [edges, v], {"side": pick(rng, "left", "right")}), ("digitize", [v, edges], {}),
        ("isin", [np.round(v), np.round(edges)], {"invert": maybe(rng)}),
    )  # fmt: skip
    return op_case(name, arrays, kwargs, gradient=False)


@simple("counting")
def _counting(rng: Rng) -> Case:
    x = rng.integers(0, 5, whole(rng, 1, 9)).astype(np.int32)
    name, arrays, kwargs = pick(
        rng, ("bincount", [x], {"minlength": whole(rng, 0, 8)}), ("unique", [x], {}), ("nonzero", [x - 1], {}),
        ("histogram", [x.astype(np.float32)], {"bins": whole(rng, 1, 5)}),
    )  # fmt: skip
    return op_case(name, arrays, kwargs, gradient=False, traced=False, backends=("jax",))


@simple("scatter")
def _scatter(rng: Rng) -> Case:
    s = shape(rng, 1, 3)
    k = whole(rng, 1, len(s))
    positions = rng.permutation(int(np.prod(s[:k])))[: whole(rng, 1, int(np.prod(s[:k])))]
    i = np.stack(np.unravel_index(positions, s[:k]), -1).astype(np.int32)
    u = values(rng, (len(i), *s[k:]))
    if maybe(rng):
        return Case(
            f"scatter({i.tolist()}, {s})", lambda peer: peer.function(lambda a, b: peer.k.ops.scatter(a, b, s), [i, u])
        )
    how = pick(rng, None, "add", "max", "min", "mul")
    return op_case("scatter_update", [values(rng, s), i, u], {"reduction": how}, gradient=how in (None, "add"))


@simple("segments")
def _segments(rng: Rng) -> Case:
    n, m = whole(rng, 1, 6), whole(rng, 1, 4)
    ids = np.sort(rng.integers(0, m, n)).astype(np.int32)
    x = apart(rng, (n, *shape(rng, 0, 2)))
    name = pick(rng, "segment_sum", "segment_max", "segment_min", "segment_prod")
    return op_case(name, [x, ids], {"num_segments": m}, gradient=name == "segment_sum", backends=("jax",))


@simple("slicing")
def _slicing(rng: Rng) -> Case:
    s = tuple(whole(rng, 2, 5) for _ in range(whole(rng, 1, 3)))
    start = tuple(whole(rng, 0, n - 1) for n in s)
    size = tuple(whole(rng, 1, n - a) for n, a in zip(s, start, strict=True))
    if maybe(rng):
        return op_case("slice", [values(rng, s)], {"start_indices": start, "shape": size}, backends=("jax",))
    u = values(rng, size)
    return Case(
        f"slice_update({s}, {start}, {size})",
        lambda peer: peer.function(
            lambda a, b: peer.k.ops.slice_update(a, start, b), [values(np.random.default_rng(0), s), u]
        ),
        backends=("jax",),
    )
