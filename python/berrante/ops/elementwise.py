"""Elementwise operations, with the names and semantics of keras.ops.

Operands broadcast as in NumPy. Python numbers take the dtype of the tensors they meet. Operations on integers give integers
where the mathematics does; division, roots and transcendental functions give float32.
"""

from __future__ import annotations

import math
from typing import Any

from berrante.graph import rules
from berrante.graph.elementwise import Elementwise, MicroBuilder, single, typed
from berrante.graph.formats import is_float
from berrante.graph.primitives import cast as _cast
from berrante.graph.primitives import floating
from berrante.graph.tensor import Node, Tensor
from berrante.ops.public import public

# --- primitives -----------------------------------------------------------------------------------------------------

_add, _subtract, _multiply, _divide = rules.add, rules.subtract, rules.multiply, rules.divide
_negative, _equal = rules.negative, rules.equal


def _unary(name: str, micro: str, grad: Any) -> Elementwise:
    return Elementwise(name, single(micro), grad, compute="float32")


def _x(node: Node) -> Tensor:
    return node.inputs[0]


def _y(node: Node) -> Tensor:
    return node.outputs[0]


def _one_minus_square(x: Tensor) -> Tensor:
    return _subtract(1.0, _square(x))


def _masked(condition: Tensor, dy: Tensor) -> Tensor:
    return _select(condition, dy, 0.0)


def _grad_extreme(node: Node, dy: Tensor) -> list[Tensor]:
    # Equal operands share the gradient, as in JAX.
    a, y = node.inputs[0], node.outputs[0]
    b = node.inputs[1]
    to_a = _select(_equal(a, b), 0.5, _cast(_equal(a, y), a.dtype))
    return [_multiply(dy, to_a), _multiply(dy, _subtract(1.0, to_a))]


def _grad_power(node: Node, dy: Tensor) -> list[Tensor]:
    a, b = node.inputs
    y = node.outputs[0]
    positive = _less(0.0, a)
    log_a = _select(positive, _log(_select(positive, a, 1.0)), 0.0)
    da = _multiply(dy, _multiply(b, _power(a, _subtract(b, 1.0))))
    return [_select(_equal(b, 0.0), 0.0, da), _multiply(dy, _multiply(y, log_a))]


_select: Elementwise = Elementwise(
    "select",
    single("select"),
    lambda node, dy: [None, _select(_x(node), dy, 0.0), _select(_x(node), 0.0, dy)],
    mixed=True,
)


def _square_micro(b: MicroBuilder, node: Node, x: Any) -> Any:
    return b.emit("square_f", x) if is_float(node.inputs[0].dtype) else b.emit("mul_i", x, x)


_square = Elementwise("square", _square_micro, lambda node, dy: [_multiply(dy, _multiply(_x(node), 2.0))])
_maximum = Elementwise("maximum", typed("max"), _grad_extreme)
_minimum = Elementwise("minimum", typed("min"), _grad_extreme)
# max(x, c) with a constant c: the derivative is 1 above c only, and 0 at c (relu at 0).
_power = Elementwise("power", single("pow_f"), _grad_power, compute="float32")
_mod = Elementwise(
    "mod",
    typed("mod"),
    lambda node, dy: [dy, _negative(_multiply(dy, _floor(_divide(node.inputs[0], node.inputs[1]))))],
)
_floor_divide = Elementwise("floor_divide", typed("floordiv"))
_arctan2 = Elementwise(
    "arctan2",
    single("atan2_f"),
    lambda node, dy: [
        _divide(_multiply(dy, node.inputs[1]), _add(_square(node.inputs[0]), _square(node.inputs[1]))),
        _negative(_divide(_multiply(dy, node.inputs[0]), _add(_square(node.inputs[0]), _square(node.inputs[1])))),
    ],
    compute="float32",
)
_abs = Elementwise("abs", typed("abs"), lambda node, dy: [_multiply(dy, _sign(_x(node)))])
_sign: Elementwise = Elementwise("sign", typed("sign"))
_sqrt = _unary("sqrt", "sqrt_f", lambda node, dy: [_divide(_multiply(dy, 0.5), _y(node))])
_rsqrt = _unary(
    "rsqrt", "rsqrt_f", lambda node, dy: [_multiply(_multiply(dy, -0.5), _multiply(_y(node), _square(_y(node))))]
)
_reciprocal = _unary("reciprocal", "reciprocal_f", lambda node, dy: [_negative(_multiply(dy, _square(_y(node))))])
_exp = _unary("exp", "exp_f", lambda node, dy: [_multiply(dy, _y(node))])
_expm1 = _unary("expm1", "expm1_f", lambda node, dy: [_multiply(dy, _add(_y(node), 1.0))])
_log = _unary("log", "log_f", lambda node, dy: [_divide(dy, _x(node))])
_log1p = _unary("log1p", "log1p_f", lambda node, dy: [_divide(dy, _add(_x(node), 1.0))])
_tanh = _unary("tanh", "tanh_f", lambda node, dy: [_multiply(dy, _one_minus_square(_y(node)))])
_sigmoid = _unary(
    "sigmoid", "sigmoid_f", lambda node, dy: [_multiply(dy, _multiply(_y(node), _subtract(1.0, _y(node))))]
)
_softplus = _unary("softplus", "softplus_f", lambda node, dy: [_multiply(dy, _sigmoid(_x(node)))])
_erf = _unary(
    "erf",
    "erf_f",
    lambda node, dy: [_multiply(dy, _multiply(_exp(_negative(_square(_x(node)))), 2.0 / math.sqrt(math.pi)))],
)
_floor: Elementwise = _unary("floor", "floor_f", None)
_ceil = _unary("ceil", "ceil_f", None)
_round = _unary("round", "round_f", None)
_trunc = _unary("trunc", "trunc_f", None)
_sin = _unary("sin", "sin_f", lambda node, dy: [_multiply(dy, _cos(_x(node)))])
_cos: Elementwise = _unary("cos", "cos_f", lambda node, dy: [_negative(_multiply(dy, _sin(_x(node))))])
_tan = _unary("tan", "tan_f", lambda node, dy: [_multiply(dy, _add(_square(_y(node)), 1.0))])
_arcsin = _unary("arcsin", "asin_f", lambda node, dy: [_multiply(dy, _rsqrt(_one_minus_square(_x(node))))])
_arccos = _unary("arccos", "acos_f", lambda node, dy: [_negative(_multiply(dy, _rsqrt(_one_minus_square(_x(node)))))])
_arctan = _unary("arctan", "atan_f", lambda node, dy: [_divide(dy, _add(_square(_x(node)), 1.0))])
_sinh = _unary("sinh", "sinh_f", lambda node, dy: [_multiply(dy, _cosh(_x(node)))])
_cosh: Elementwise = _unary("cosh", "cosh_f", lambda node, dy: [_multiply(dy, _sinh(_x(node)))])
_arcsinh = _unary("arcsinh", "asinh_f", lambda node, dy: [_multiply(dy, _rsqrt(_add(_square(_x(node)), 1.0)))])
_arccosh = _unary("arccosh", "acosh_f", lambda node, dy: [_multiply(dy, _rsqrt(_subtract(_square(_x(node)), 1.0)))])
_arctanh = _unary("arctanh", "atanh_f", lambda node, dy: [_divide(dy, _one_minus_square(_x(node)))])
_not_equal = Elementwise("not_equal", typed("ne"), result="bool")
_less = Elementwise("less", typed("lt"), result="bool")
_less_equal = Elementwise("less_equal", typed("le"), result="bool")
_isnan = Elementwise("isnan", single("isnan_f"), result="bool", compute="float32")
_isfinite = Elementwise("isfinite", single("isfinite_f"), result="bool", compute="float32")
_and = Elementwise("bitwise_and", single("and_i"))
_or = Elementwise("bitwise_or", single("or_i"))
_xor = Elementwise("bitwise_xor", single("xor_i"))


def _relu_micro(b: MicroBuilder, node: Node, x: Any) -> Any:
    return b.emit("max_f", x, b.constant(0.0))


# Its own operation, because its derivative at 0 is 0 and follows from the output alone.
_relu = Elementwise("relu", _relu_micro, lambda node, dy: [_masked(_less(0.0, _y(node)), dy)], compute="float32")


def _float(x: Any) -> Tensor:
    return floating(x)


# --- public functions -----------------------------------------------------------------------------------------------


def _two(name: str, op: Elementwise, doc: str) -> Any:
    def function(x1: Any, x2: Any) -> Tensor:
        result: Tensor = op(x1, x2)
        return result

    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return public(function)


def _one(name: str, op: Elementwise, doc: str) -> Any:
    def function(x: Any) -> Tensor:
        result: Tensor = op(x)
        return result

    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return public(function)


add = _two("add", _add, "x1 + x2.")
subtract = _two("subtract", _subtract, "x1 - x2.")
multiply = _two("multiply", _multiply, "x1 * x2.")
divide = true_divide = _two("divide", _divide, "x1 / x2 as float32.")
maximum = _two("maximum", _maximum, "The larger of two; NaN if either is.")
minimum = _two("minimum", _minimum, "The smaller of two; NaN if either is.")
mod = _two("mod", _mod, "Floor modulus: the sign of x2.")
floor_divide = _two("floor_divide", _floor_divide, "The floor of x1 / x2.")
arctan2 = _two("arctan2", _arctan2, "The angle of the point (x2, x1).")
equal = _two("equal", _equal, "x1 == x2 as bool.")
not_equal = _two("not_equal", _not_equal, "x1 != x2 as bool.")
less = _two("less", _less, "x1 < x2 as bool.")
less_equal = _two("less_equal", _less_equal, "x1 <= x2 as bool.")

negative = _one("negative", _negative, "-x.")
absolute = _one("absolute", _abs, "|x|.")
abs = absolute
sign = _one("sign", _sign, "-1, 0 or 1.")
square = _one("square", _square, "x * x.")
sqrt = _one("sqrt", _sqrt, "The square root.")
rsqrt = _one("rsqrt", _rsqrt, "1 / sqrt(x).")
reciprocal = _one("reciprocal", _reciprocal, "1 / x.")
exp = _one("exp", _exp, "e to the x.")
expm1 = _one("expm1", _expm1, "exp(x) - 1, exact for small x.")
log = _one("log", _log, "The natural logarithm.")
log1p = _one("log1p", _log1p, "log(1 + x), exact for small x.")
erf = _one("erf", _erf, "The error function.")
floor = _one("floor", _floor, "The largest integer not above x, as float32.")
ceil = _one("ceil", _ceil, "The smallest integer not below x, as float32.")
trunc = _one("trunc", _trunc, "x without its fraction.")
sin = _one("sin", _sin, "The sine of radians.")
cos = _one("cos", _cos, "The cosine of radians.")
tan = _one("tan", _tan, "The tangent of radians.")
arcsin = _one("arcsin", _arcsin, "The inverse sine.")
arccos = _one("arccos", _arccos, "The inverse cosine.")
arctan = _one("arctan", _arctan, "The inverse tangent.")
sinh = _one("sinh", _sinh, "The hyperbolic sine.")
cosh = _one("cosh", _cosh, "The hyperbolic cosine.")
arcsinh = _one("arcsinh", _arcsinh, "The inverse hyperbolic sine.")
arccosh = _one("arccosh", _arccosh, "The inverse hyperbolic cosine.")
arctanh = _one("arctanh", _arctanh, "The inverse hyperbolic tangent.")
isnan = _one("isnan", _isnan, "Whether x is NaN.")
isfinite = _one("isfinite", _isfinite, "Whether x is neither infinite nor NaN.")


@public
def bitwise_and(x: Any, y: Any) -> Tensor:
    """Bits set in both integers."""
    result: Tensor = _and(x, y)
    return result


@public
def bitwise_or(x: Any, y: Any) -> Tensor:
    """Bits set in either integer."""
    result: Tensor = _or(x, y)
    return result


@public
def bitwise_xor(x: Any, y: Any) -> Tensor:
    """Bits set in one of the integers."""
    result: Tensor = _xor(x, y)
    return result


@public
def greater(x1: Any, x2: Any) -> Tensor:
    """x1 > x2 as bool."""
    result: Tensor = _less(x2, x1)
    return result


@public
def greater_equal(x1: Any, x2: Any) -> Tensor:
    """x1 >= x2 as bool."""
    result: Tensor = _less_equal(x2, x1)
    return result


@public
def power(x1: Any, x2: Any) -> Tensor:
    """x1 to the power x2, as float32; small whole exponents become products."""
    if isinstance(x2, (int, float)):
        x = _float(x1)
        if x2 == 2:
            return square(x)
        if x2 == 1:
            return x
        if x2 == 0.5:
            return sqrt(x)
        if x2 == -1:
            return reciprocal(x)
        if x2 == 3:
            return multiply(x, square(x))
    result: Tensor = _power(x1, x2)
    return result


@public
def round(x: Any, decimals: int = 0) -> Tensor:
    """Rounds half to even, at a number of decimals."""
    scale = 10.0**decimals
    return _round(x) if decimals == 0 else _divide(_round(_multiply(x, scale)), scale)


@public
def where(condition: Any, x1: Any = None, x2: Any = None) -> Any:
    """x1 where the condition holds (is not 0), else x2; without both, the coordinates where it holds."""
    if x1 is None and x2 is None:
        from berrante.ops.statistics import nonzero

        return nonzero(condition)
    if x1 is None or x2 is None:
        raise ValueError("[where] expected both x1 and x2, or neither")
    result: Tensor = _select(_cast(condition, "bool"), x1, x2)
    return result


@public
def clip(x: Any, x_min: Any, x_max: Any) -> Tensor:
    """x limited to [x_min, x_max]; the gradient is 0 outside."""
    result: Tensor = _minimum(_maximum(x, x_min), x_max)
    return result


@public
def isinf(x: Any) -> Tensor:
    """Whether x is infinite."""
    x = _float(x)
    result: Tensor = _and(_equal(_abs(x), float("inf")), True)
    return result


def _bool(x: Any) -> Tensor:
    return _cast(x, "bool")


@public
def logical_and(x1: Any, x2: Any) -> Tensor:
    """Both are not 0."""
    result: Tensor = _and(_bool(x1), _bool(x2))
    return result


@public
def logical_or(x1: Any, x2: Any) -> Tensor:
    """Either is not 0."""
    result: Tensor = _or(_bool(x1), _bool(x2))
    return result


@public
def logical_xor(x1: Any, x2: Any) -> Tensor:
    """Exactly one is not 0."""
    result: Tensor = _xor(_bool(x1), _bool(x2))
    return result


@public
def logical_not(x: Any) -> Tensor:
    """x is 0."""
    result: Tensor = _xor(_bool(x), True)
    return result


@public
def isclose(x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Tensor:
    """|x1 - x2| <= atol + rtol * |x2|, or equal infinities; NaN is close to NaN only with equal_nan."""
    a, b = _float(x1), _float(x2)
    near = _and(_less_equal(_abs(_subtract(a, b)), _add(_multiply(_abs(b), rtol), atol)), _isfinite(b))
    result: Tensor = _or(near, _equal(a, b))
    if equal_nan:
        result = _or(result, _and(_isnan(a), _isnan(b)))
    return result


@public
def log2(x: Any) -> Tensor:
    """The logarithm to base 2."""
    return multiply(log(x), 1.0 / math.log(2.0))


@public
def log10(x: Any) -> Tensor:
    """The logarithm to base 10."""
    return multiply(log(x), 1.0 / math.log(10.0))


@public
def logaddexp(x1: Any, x2: Any) -> Tensor:
    """log(exp(x1) + exp(x2)) without overflow."""
    d = _subtract(x1, x2)
    result: Tensor = _add(_maximum(x1, x2), _softplus(_negative(_abs(d))))
    return result


@public
def nan_to_num(x: Any, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Tensor:
    """x with NaN replaced, and infinities too (by the largest floats unless others are given)."""
    x = _float(x)
    largest = 3.4028234663852886e38
    y = _select(_equal(x, float("inf")), largest if posinf is None else posinf, x)
    y = _select(_equal(x, float("-inf")), -largest if neginf is None else neginf, y)
    result: Tensor = _select(_isnan(x), nan, y)
    return result


def deg2rad(x: Any) -> Tensor:
    """Degrees to radians."""
    return multiply(x, math.pi / 180.0)


__all__ = [
    "abs", "absolute", "add", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh", "bitwise_and",
    "bitwise_or", "bitwise_xor", "ceil", "clip", "cos", "cosh", "deg2rad", "divide", "equal", "erf", "exp", "expm1",
    "floor", "floor_divide", "greater", "greater_equal", "isclose", "isfinite", "isinf", "isnan", "less", "less_equal",
    "log", "log10", "log1p", "log2", "logaddexp", "logical_and", "logical_not", "logical_or", "logical_xor", "maximum",
    "minimum", "mod", "multiply", "nan_to_num", "negative", "not_equal", "power", "reciprocal", "round", "rsqrt",
    "sign", "sin", "sinh", "sqrt", "square", "subtract", "tan", "true_divide", "trunc", "where",
]  # fmt: skip
