"""Further elementwise functions of keras.ops, each a formula over the primitives of `elementwise`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from berrante.graph import primitives as p
from berrante.graph.formats import is_float
from berrante.graph.op import as_tensor
from berrante.graph.primitives import cast, floating
from berrante.graph.tensor import Tensor
from berrante.ops import elementwise as e
from berrante.ops.creation import _constant
from berrante.ops.public import public
from berrante.ops.shape import take


def concrete(name: str, *xs: Any) -> list[np.ndarray]:
    """Values of operands for functions that NumPy computes at once; TypeError where one is symbolic."""
    tensors = [as_tensor(x) for x in xs]
    if any(t.is_symbolic for t in tensors):
        raise TypeError(f"[{name}] needs values: it is not available inside traced functions and functional models")
    return [t.numpy() for t in tensors]


@public
def fabs(x: Any) -> Tensor:
    """|x| as float32."""
    return e.absolute(floating(x))


@public
def cbrt(x: Any) -> Tensor:
    """The cube root, of negative numbers too."""
    x = floating(x)
    return e.multiply(e.sign(x), e.power(e.absolute(x), 1.0 / 3.0))


@public
def exp2(x: Any) -> Tensor:
    """2 to the x."""
    return e.exp(e.multiply(floating(x), math.log(2.0)))


@public
def erfc(x: Any) -> Tensor:
    """1 - erf(x)."""
    return e.subtract(1.0, e.erf(x))


@public
def erfinv(x: Any) -> Tensor:
    """The inverse of erf on (-1, 1), by Giles' polynomials (2012)."""
    x = floating(x)
    w = e.negative(e.log(e.multiply(e.subtract(1.0, x), e.add(x, 1.0))))
    near = (2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087, -0.00125372503,
            -0.00417768164, 0.246640727, 1.50140941)  # fmt: skip
    far = (-0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773, -0.0076224613,
           0.00943887047, 1.00167406, 2.83297682)  # fmt: skip
    small = _polynomial(near, e.subtract(w, 2.5))
    large = _polynomial(far, e.subtract(e.sqrt(e.maximum(w, 5.0)), 3.0))
    y = e.multiply(e.where(e.less(w, 5.0), small, large), x)
    return e.where(e.greater_equal(e.absolute(x), 1.0), e.multiply(e.sign(x), float("inf")), y)


def _polynomial(coefficients: tuple[float, ...], x: Any) -> Tensor:
    y: Any = coefficients[0]
    for c in coefficients[1:]:
        y = e.add(e.multiply(x, y), c)
    result: Tensor = y
    return result


@public
def rad2deg(x: Any) -> Tensor:
    """Radians to degrees."""
    return e.multiply(floating(x), 180.0 / math.pi)


@public
def hypot(x1: Any, x2: Any) -> Tensor:
    """sqrt(x1 * x1 + x2 * x2) without overflow."""
    a, b = e.absolute(floating(x1)), e.absolute(floating(x2))
    large, small = e.maximum(a, b), e.minimum(a, b)
    ratio = e.divide(small, e.where(e.equal(large, 0.0), 1.0, large))
    return e.multiply(large, e.sqrt(e.add(e.square(ratio), 1.0)))


@public
def heaviside(x1: Any, x2: Any) -> Tensor:
    """0 below 0, 1 above 0, x2 at 0."""
    x1 = floating(x1)
    return e.where(e.equal(x1, 0.0), floating(x2), floating(e.greater(x1, 0.0)))


@public
def fmax(x1: Any, x2: Any) -> Tensor:
    """The larger of two; NaN only if both are."""
    a, b = as_tensor(x1), as_tensor(x2)
    return e.where(e.isnan(a), b, e.where(e.isnan(b), a, e.maximum(a, b)))


@public
def fmin(x1: Any, x2: Any) -> Tensor:
    """The smaller of two; NaN only if both are."""
    a, b = as_tensor(x1), as_tensor(x2)
    return e.where(e.isnan(a), b, e.where(e.isnan(b), a, e.minimum(a, b)))


@public
def fmod(x1: Any, x2: Any) -> Tensor:
    """The remainder with the sign of x1."""
    a, b = as_tensor(x1), as_tensor(x2)
    r = e.mod(e.absolute(a), e.absolute(b))
    return e.where(e.less(a, 0), e.negative(r), r)


@public
def ldexp(x1: Any, x2: Any) -> Tensor:
    """x1 * 2 to the x2."""
    return e.multiply(floating(x1), exp2(x2))


@public
def logaddexp2(x1: Any, x2: Any) -> Tensor:
    """log2(2 to the x1 + 2 to the x2) without overflow."""
    scale = math.log(2.0)
    a, b = (e.multiply(floating(x), scale) for x in (x1, x2))
    return e.multiply(e.logaddexp(a, b), 1.0 / scale)


@public
def sinc(x: Any) -> Tensor:
    """sin(pi x) / (pi x), 1 at 0."""
    x = e.multiply(floating(x), math.pi)
    zero = e.equal(x, 0.0)
    safe = e.where(zero, 1.0, x)
    return e.where(zero, 1.0, e.divide(e.sin(safe), safe))


@public
def divide_no_nan(x1: Any, x2: Any) -> Tensor:
    """x1 / x2, and 0 where x2 is 0."""
    x2 = floating(x2)
    zero = e.equal(x2, 0.0)
    return e.where(zero, 0.0, e.divide(x1, e.where(zero, 1.0, x2)))


@public
def signbit(x: Any) -> Tensor:
    """Whether the sign is set (of -0.0 too)."""
    x = as_tensor(x)
    if not is_float(x.dtype):
        return e.less(x, 0)
    return e.logical_or(e.less(x, 0.0), e.less(e.divide(1.0, e.where(e.equal(x, 0.0), x, 1.0)), 0.0))


@public
def isposinf(x: Any) -> Tensor:
    """Whether x is infinity."""
    return e.equal(floating(x), float("inf"))


@public
def isneginf(x: Any) -> Tensor:
    """Whether x is minus infinity."""
    return e.equal(floating(x), float("-inf"))


@public
def isreal(x: Any) -> Tensor:
    """True: all numbers here are real."""
    return e.equal(e.multiply(cast(as_tensor(x), "int32"), 0), 0)


@public
def real(x: Any) -> Tensor:
    """x itself: all numbers here are real."""
    return as_tensor(x)


conj = conjugate = real


@public
def imag(x: Any) -> Tensor:
    """0: all numbers here are real."""
    return p.broadcast_to(cast(0, as_tensor(x).dtype), as_tensor(x).shape)


@public
def angle(x: Any) -> Tensor:
    """The angle in the complex plane: 0 or, for negative numbers, pi."""
    return e.where(e.less(x, 0), math.pi, 0.0)


@public
def saturate_cast(x: Any, dtype: Any) -> Tensor:
    """x with another dtype, limited to what it can hold."""
    from berrante.graph.tensor import DTYPES, standard_dtype

    kind = standard_dtype(dtype)
    if kind == "uint8":
        x = e.clip(x, 0, 255)
    elif kind == "int32" and is_float(as_tensor(x).dtype):
        limits = np.iinfo(DTYPES["int32"])
        low, high = e.less(x, float(limits.min)), e.greater_equal(x, float(limits.max))
        inside = cast(e.where(e.logical_or(low, high), 0.0, x), "int32")
        return e.where(low, limits.min, e.where(high, limits.max, inside))
    return cast(x, kind)


# --- bits -----------------------------------------------------------------------------------------------------------

_POWERS = np.left_shift(1, np.arange(31)).astype(np.int32)


def _power_of_two(y: Any) -> Tensor:
    return take(_constant(_POWERS, "int32"), e.clip(cast(y, "int32"), 0, 30))


@public
def bitwise_left_shift(x: Any, y: Any) -> Tensor:
    """x * 2 to the y, of integers."""
    return e.multiply(cast(x, "int32"), _power_of_two(y))


@public
def bitwise_right_shift(x: Any, y: Any) -> Tensor:
    """floor(x / 2 to the y), of integers."""
    return e.floor_divide(cast(x, "int32"), _power_of_two(y))


left_shift, right_shift = bitwise_left_shift, bitwise_right_shift


@public
def bitwise_not(x: Any) -> Tensor:
    """All bits inverted."""
    x = as_tensor(x)
    return e.logical_not(x) if x.dtype == "bool" else e.subtract(e.negative(cast(x, "int32")), 1)


bitwise_invert = bitwise_not


def _by_numpy(name: str, function: Callable[..., Any], doc: str) -> Any:
    """A function of concrete operands that NumPy computes; no gradient flows."""

    def call(*xs: Any) -> Tensor:
        return as_tensor(function(*concrete(name, *xs)))

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"{doc} Of concrete tensors; no gradient flows."
    return call


gcd = _by_numpy("gcd", np.gcd, "The greatest common divisor.")
lcm = _by_numpy("lcm", np.lcm, "The least common multiple.")
nextafter = _by_numpy("nextafter", np.nextafter, "The next float from x1 towards x2.")
i0 = _by_numpy("i0", np.i0, "The modified Bessel function of order 0.")


def _window(name: str, function: Callable[[int], np.ndarray]) -> Any:
    def window(x: Any) -> Tensor:
        return _constant(function(int(as_tensor(x))), "float32")

    window.__name__ = window.__qualname__ = name
    window.__doc__ = f"The {name} window of x points."
    return window


bartlett, blackman = _window("bartlett", np.bartlett), _window("blackman", np.blackman)
hamming, hanning = _window("hamming", np.hamming), _window("hanning", np.hanning)


def kaiser(x: Any, beta: float) -> Tensor:
    """The Kaiser window of x points."""
    return _constant(np.kaiser(int(as_tensor(x)), float(beta)), "float32")


__all__ = [
    "angle", "bartlett", "bitwise_invert", "bitwise_left_shift", "bitwise_not", "bitwise_right_shift", "blackman",
    "cbrt", "conj", "conjugate", "divide_no_nan", "erfc", "erfinv", "exp2", "fabs", "fmax", "fmin", "fmod", "gcd",
    "hamming", "hanning", "heaviside", "hypot", "i0", "imag", "isneginf", "isposinf", "isreal", "kaiser", "lcm",
    "ldexp", "left_shift", "logaddexp2", "nextafter", "rad2deg", "real", "right_shift", "saturate_cast", "signbit",
    "sinc",
]  # fmt: skip
