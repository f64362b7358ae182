"""Random calls of berrante.ops functions that have a namesake in keras.ops: values and gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from parity.harness import Case
from parity.layer_cases import maybe, pick, shape, values, whole

Rng = np.random.Generator
BOTH = ("jax", "torch")


def op_case(
    name: str, arrays: list[Any], kwargs: dict[str, Any] | None = None, args: tuple[Any, ...] = (),
    gradient: bool = True, traced: bool = True, listed: bool = False, **options: Any,
) -> Case:  # fmt: skip
    """The case of one function: tensors first (as one list where listed), then fixed arguments."""
    kwargs = kwargs or {}

    def run(peer: Any) -> dict[str, Any]:
        function: Any = peer.k.ops
        for part in name.split("."):
            function = getattr(function, part)

        def call(*xs: Any) -> Any:
            return function(list(xs), *args, **kwargs) if listed else function(*xs, *args, **kwargs)

        return peer.function(call, arrays, gradient=gradient, traced=traced)

    shapes = [f"{x.shape} {x.dtype}" for x in arrays]
    return Case(f"{name}({', '.join(shapes)}, {args}, {kwargs})", run, **options)


def ranged(rng: Rng, s: tuple[int, ...], low: float, high: float) -> np.ndarray:
    return rng.uniform(low, high, s).astype(np.float32)


def apart(rng: Rng, s: tuple[int, ...]) -> np.ndarray:
    """Different values in random order: order and extremes are clear."""
    return (rng.permutation(int(np.prod(s))).reshape(s) / 3.0 - 2.1).astype(np.float32)


KINDS: dict[str, Callable[[Rng], Case]] = {}


# Keras on JAX refuses integers for these; we take them as float32.
FLOATS = {"sigmoid", "rsqrt", "erf", "softplus", "tanh", "log1p", "expm1"}


def unary(names: str, low: float, high: float, gradient: bool = True, integers: bool = True) -> None:
    for name in names.split():

        def draw(rng: Rng, name: str = name) -> Case:
            x = ranged(rng, shape(rng, 0, 3), low, high)
            if integers and name not in FLOATS and maybe(rng, 0.15):
                x = x.astype(np.int32)
            return op_case(name, [x], gradient=gradient, atol=1e-4 if name == "erfinv" else 2e-5)

        KINDS[name] = draw


unary(
    "abs absolute negative square sign sin cos tan arctan sinh cosh arcsinh exp expm1 sigmoid tanh softplus erf",
    -1.4,
    1.4,
)
unary("sqrt rsqrt log log1p log2 log10 reciprocal", 0.2, 3.0)
unary("arcsin arccos arctanh erfinv", -0.9, 0.9, integers=False)
unary("arccosh", 1.2, 4.0, integers=False)
unary(
    "relu relu6 elu selu celu gelu silu softsign hard_sigmoid hard_silu hard_tanh log_sigmoid tanh_shrink soft_shrink hard_shrink leaky_relu",
    -5,
    5,
    integers=False,
)
unary("sparse_plus sparse_sigmoid squareplus", -3, 3, integers=False)
unary("floor ceil round trunc", -3, 3, gradient=False, integers=False)
unary("exp2 cbrt fabs deg2rad rad2deg erfc sinc", 0.1, 3.0, integers=False)
unary("isnan isfinite isinf isposinf isneginf signbit logical_not isreal real conj", -2, 2, gradient=False)


def binary(names: str, low: float = -2.0, high: float = 2.0, gradient: bool = True, integers: bool = True) -> None:
    for name in names.split():

        def draw(rng: Rng, name: str = name) -> Case:
            s = shape(rng, 0, 3)
            other = tuple(1 if maybe(rng, 0.2) else n for n in s)[whole(rng, 0, min(1, len(s))) :]
            a, b = ranged(rng, s, low, high), ranged(rng, other, low, high)
            if integers and maybe(rng, 0.2):
                a, b = rng.integers(1, 6, s).astype(np.int32), rng.integers(1, 6, other).astype(np.int32)
            return op_case(name, [a, b], gradient=gradient and a.dtype == np.float32)

        KINDS[name] = draw


binary("add subtract multiply divide maximum minimum fmax fmin arctan2 hypot logaddexp logaddexp2 divide_no_nan")
binary("power", 0.3, 2.0)
binary("mod fmod floor_divide", 0.3, 3.0, gradient=False)
binary(
    "equal not_equal less less_equal greater greater_equal logical_and logical_or logical_xor isclose allclose heaviside",
    gradient=False,
)
binary("outer", integers=False)


def integer_binary(names: str) -> None:
    for name in names.split():

        def draw(rng: Rng, name: str = name) -> Case:
            s = shape(rng, 1, 3)
            low = 0 if "shift" in name else -9
            a, b = rng.integers(low, 9, s).astype(np.int32), rng.integers(low, 9, s).astype(np.int32)
            return op_case(name, [a, b], gradient=False, traced=name not in ("gcd", "lcm"))

        KINDS[name] = draw


integer_binary(
    "ldexp bitwise_and bitwise_or bitwise_xor bitwise_left_shift bitwise_right_shift left_shift right_shift gcd lcm"
)
KINDS["bitwise_not"] = lambda rng: op_case(
    "bitwise_not", [rng.integers(-9, 9, shape(rng)).astype(np.int32)], gradient=False
)


def axes_of(rng: Rng, rank: int) -> Any:
    several = tuple(int(i) for i in rng.permutation(rank)[: whole(rng, 1, rank)])
    return pick(rng, None, whole(rng, -rank, rank - 1), several)


def reduction(names: str, gradient: bool = True, several: bool = True, nan: bool = False, bools: bool = False) -> None:
    for name in names.split():

        def draw(rng: Rng, name: str = name) -> Case:
            s = shape(rng, 1, 4)
            x = apart(rng, s)
            if nan:
                x[rng.random(s) < 0.2] = np.nan
            if bools:
                x = rng.integers(0, 2, s).astype(np.int32)
            axis = axes_of(rng, len(s)) if several else pick(rng, None, whole(rng, -len(s), len(s) - 1))
            kwargs = {"axis": axis, "keepdims": maybe(rng, 0.4)}
            if name in ("count_nonzero", "cumsum", "cumprod", "nancumsum", "nancumprod"):
                kwargs.pop("keepdims")
            return op_case(
                name,
                [x],
                kwargs,
                gradient=gradient and not bools,
                rtol=1e-3,
                backends=("jax",) if nan or axis is None or name in ("std", "median", "count_nonzero") else BOTH,
            )

        KINDS[name] = draw


reduction("sum mean max min amax amin var std logsumexp ptp median")
reduction("prod")
reduction("any all count_nonzero", bools=True)
reduction("argmax argmin", gradient=False, several=False)
reduction("cumsum cumprod", several=False)
reduction("nansum nanmean nanvar nanstd nanmax nanmin nanprod nanmedian", gradient=False, nan=True)
reduction("nanargmax nanargmin", gradient=False, several=False, nan=True)
reduction("nancumsum nancumprod", gradient=False, several=False, nan=True)


def simple(name: str) -> Callable[[Callable[[Rng], Case]], Callable[[Rng], Case]]:
    def register(draw: Callable[[Rng], Case]) -> Callable[[Rng], Case]:
        KINDS[name] = draw
        return draw

    return register


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


@simple("softmax")
def _softmax(rng: Rng) -> Case:
    s = shape(rng, 2, 3)
    # Not sparsemax: Keras' does not sum to 1 (tests/ops checks ours).
    name = pick(rng, "softmax", "log_softmax")
    return op_case(name, [values(rng, s)], {"axis": pick(rng, -1, 1, 0)}, rtol=1e-3)


@simple("crossentropy")
def _crossentropy(rng: Rng) -> Case:
    n, c = whole(rng, 1, 4), whole(rng, 2, 5)
    logits, from_logits = values(rng, (n, c)), maybe(rng)
    p = (np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)).astype(np.float32)
    name = pick(rng, "binary_crossentropy", "categorical_crossentropy", "sparse_categorical_crossentropy")
    t = rng.random((n, c)).astype(np.float32)
    t = rng.integers(0, c, n).astype(np.int32) if name.startswith("sparse") else t / t.sum(-1, keepdims=True)
    target = t

    def run(peer: Any) -> dict[str, Any]:
        return peer.function(
            lambda y: getattr(peer.k.ops, name)(target, y, from_logits=from_logits), [logits if from_logits else p]
        )

    return Case(f"{name}({target.shape}, {from_logits})", run, rtol=1e-3)


@simple("attention")
def _attention(rng: Rng) -> Case:
    n, t, s, heads, h = (whole(rng, 1, 3) for _ in range(5))
    q, k, v = values(rng, (n, t, heads, h)), values(rng, (n, s, heads, h)), values(rng, (n, s, heads, h))
    return op_case(
        "dot_product_attention",
        [q, k, v],
        {"is_causal": maybe(rng), "scale": pick(rng, None, 0.3)},
        rtol=1e-3,
        backends=("jax",),
    )


@simple("gates")
def _gates(rng: Rng) -> Case:
    s = (whole(rng, 1, 3), 4, 2 * whole(rng, 1, 3))
    name, arrays, kwargs = pick(
        rng, ("glu", [values(rng, s)], {"axis": pick(rng, -1, 1)}), ("threshold", [values(rng, s)], {"threshold": 0.2, "default_value": -1.0}),
        ("psnr", [values(rng, s), values(rng, s)], {"max_val": 2.0}), ("layer_normalization", [values(rng, s)], {}), ("rms_normalization", [values(rng, s)], {}),
        ("cdist", [values(rng, (3, 2)), values(rng, (4, 2))], {}),
    )  # fmt: skip
    return op_case(name, arrays, kwargs, rtol=1e-3, backends=("jax",))


@simple("depth")
def _depth(rng: Rng) -> Case:
    b, fmt = whole(rng, 1, 3), pick(rng, "channels_last", "channels_first")
    c, h, w = b * b * whole(rng, 1, 2), b * whole(rng, 1, 2), b * whole(rng, 1, 2)
    x = values(rng, (2, c, h, w) if fmt == "channels_first" else (2, h, w, c))
    return op_case(
        pick(rng, "depth_to_space", "space_to_depth"), [x], {"block_size": b, "data_format": fmt}, backends=("jax",)
    )


@simple("control")
def _control(rng: Rng) -> Case:
    x, i = values(rng, (3, 2)), whole(rng, -1, 3)
    kind = whole(rng, 0, 5)

    def run(peer: Any) -> dict[str, Any]:
        o = peer.k.ops
        body = [
            lambda a: o.map(lambda r: r * 2.0, a),
            lambda a: o.scan(lambda c, r: (c + r, c * r), o.zeros((2,)), a),
            lambda a: o.associative_scan(lambda u, v: u + v, a),
            lambda a: o.switch(i, [lambda r: r, lambda r: r * 2.0, lambda r: r + 1.0], a),
            lambda a: o.select([a > 0.5, a > 0.0], [a, a * 2.0], -1.0),
            lambda a: o.fori_loop(0, 3, lambda j, c: c * a, a),
        ][kind]
        return peer.function(body, [x])

    return Case(f"control {kind} {i}", run, backends=("jax",))
