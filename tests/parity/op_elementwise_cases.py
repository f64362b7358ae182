"""Functions of each element of one tensor or two, and reductions."""

from __future__ import annotations

from typing import Any

import numpy as np

from parity.harness import Case
from parity.layer_cases import maybe, pick, shape, whole
from parity.op_draws import BOTH, Kinds, Rng, apart, op_case, ranged, registrar

KINDS: Kinds = {}
simple = registrar(KINDS)


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
