"""One table of small calls for every kernel of csrc/ops.def, each with a float64 (or exact) reference."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np

from berrante import _cpu
from berrante.runtime import kernels
from references import convolve, pool, resize_bilinear

Array = np.ndarray[Any, Any]


@dataclass
class Case:
    kernel: str
    name: str
    inputs: list[Array]
    expected: list[Array]  # float64 stands for float32
    attrs: dict[str, Any] = field(default_factory=dict)
    tolerance: float = 2e-5  # 0: exact
    in_lanes: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())  # inputs and outputs with samples in the vector lanes

    def __str__(self) -> str:
        return f"{self.kernel}-{self.name}"

    def for_isa(self, isa: str) -> Case:
        """The case with its samples laid out for an instruction set."""
        n = _cpu.lanes(isa)
        inputs, expected = (
            [to_lanes(x, n) if i in chosen else x for i, x in enumerate(arrays)]
            for arrays, chosen in zip((self.inputs, self.expected), self.in_lanes, strict=True)
        )
        return Case(self.kernel, self.name, inputs, expected, self.attrs, self.tolerance)


def to_lanes(x: Array, lanes: int) -> Array:
    """[N, ...] as [ceil(N / lanes), ..., lanes], zeros for the samples that are missing."""
    padded = np.concatenate([x, np.zeros((-len(x) % lanes, *x.shape[1:]), x.dtype)])
    return np.moveaxis(padded.reshape(-1, lanes, *x.shape[1:]), 1, -1).copy()


def _normal(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype(np.float32)


def _adjoint(function: Any, shape: tuple[int, ...], dy: Array) -> Array:
    """J^T dy of a linear function, one unit vector at a time."""
    result = np.zeros(shape)
    for at in np.ndindex(*shape):
        unit = np.zeros(shape)
        unit[at] = 1.0
        result[at] = np.sum(function(unit) * dy)
    return result


def _softmax(x: Array) -> Array:
    e = np.exp(x.astype(np.float64) - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def _map() -> Iterator[Case]:
    x, row, code = _normal(3, 700), _normal(700), kernels.MICRO_OPS
    program = [code["mul_f"], 3, 0, 2, -1, code["add_f"], 4, 3, 1, -1, code["tanh_f"], 5, 4, -1, -1]
    attrs = {"shape": [3, 700], "strides": [700, 1, 0, 1], "code": program, "constants": [0.5], "outputs": [5, 4]}
    inner = x.astype(np.float64) * 0.5 + row
    yield Case("map", "broadcast", [x, row], [np.tanh(inner), inner], attrs)


def _map_sums() -> Iterator[Case]:
    """x * y + x is stored, x * y summed over rows, x - y too."""
    micro = kernels.MICRO_OPS
    for rows, columns in ((1, 5), (700, 13), (90, 600), (30_000, 1)):
        x, y = _normal(rows, columns), _normal(rows, columns)
        code = [micro["mul_f"], 2, 0, 1, -1, micro["add_f"], 3, 2, 0, -1, micro["sub_f"], 4, 0, 1, -1]
        attrs = {
            "shape": [rows * columns], "strides": [1, 1], "code": code, "constants": [], "outputs": [3, 2, 4],
            "sums": [0, columns, columns],
        }  # fmt: skip
        wide = x.astype(np.float64) * y
        expected = [wide + x, wide.sum(0), (x.astype(np.float64) - y).sum(0)]
        yield Case("map_sums", f"{rows}x{columns}", [x, y], expected, attrs)


def _reductions() -> Iterator[Case]:
    for shape in ((3, 1, 1), (2, 7, 5), (3, 300, 1), (1, 1000, 70), (2, 40000, 1), (1, 5000, 33), (1, 0, 3)):
        x = _normal(*shape)
        for kind, function in enumerate((np.sum, np.mean, np.max, np.min)):
            if shape[1] == 0 and kind > 0:
                continue
            y = function(x.astype(np.float64), axis=1)
            yield Case("reduce", f"{function.__name__}-{shape}", [x], [y], {"kind": kind}, 1e-4)
        if 0 < shape[1]:
            for kind, arg in ((2, np.argmax), (3, np.argmin)):
                y = arg(x, axis=1).astype(np.int32)
                yield Case("arg_reduce", f"{arg.__name__}-{shape}", [x], [y], {"kind": kind}, 0)
            high = x + 1000  # the variance of data far from zero
            yield Case(
                "moments", str(shape), [high], [high.mean(1, np.float64), high.var(1, dtype=np.float64)], {}, 1e-3
            )
    yield Case("reduce", "product", [_normal(2, 7, 5)], [_normal(2, 7, 5).prod(1, np.float64)], {"kind": 4})
    whole = np.arange(-30, 30, dtype=np.int32).reshape(2, 10, 3)
    yield Case("reduce", "int", [whole], [whole.sum(1, dtype=np.int32)], {"kind": 0}, 0)
    with_nan = np.array([[[1.0], [np.nan], [3.0], [np.nan]]], np.float32)
    yield Case("arg_reduce", "nan", [with_nan], [np.array([[1]], np.int32)], {"kind": 2}, 0)
    yield Case("reduce", "nan", [with_nan], [np.array([[np.nan]])], {"kind": 2})


def _order() -> Iterator[Case]:
    for shape, exclusive, reverse in product(((2, 5, 3), (1, 100, 70)), (0, 1), (0, 1)):
        x = _normal(*shape)
        y = x.astype(np.float64)[:, ::-1] if reverse else x.astype(np.float64)
        total = np.cumsum(y, 1) - (y if exclusive else 0)
        total = total[:, ::-1] if reverse else total
        attrs = {"exclusive": exclusive, "reverse": reverse}
        yield Case("cumsum", f"{shape}-{exclusive}{reverse}", [x], [total], attrs)
    for n in (0, 1, 15, 16, 17, 100, 1000):
        x = np.random.default_rng(n).integers(0, 50, (3, n)).astype(np.float32)
        if n == 17:
            x[1, 4] = x[2, 16] = np.nan
        for descending in (0, 1):
            order = np.argsort(-x if descending else x, axis=1, kind="stable").astype(np.int32)
            values = np.take_along_axis(x, order, 1)
            yield Case("sort", f"{n}-{descending}", [x], [values, order], {"descending": descending}, 0)


def _softmaxes() -> Iterator[Case]:
    for m, n in ((3, 1), (5, 10), (2, 1000), (70, 33)):
        x = _normal(m, n) * 5
        p, target = _softmax(x), _softmax(_normal(m, n, seed=1)).astype(np.float32)
        labels = np.arange(m, dtype=np.int32) % n
        yield Case("softmax", f"{m}x{n}", [x], [p])
        yield Case("log_softmax", f"{m}x{n}", [x], [np.log(p)])
        for clip in (0.0, 1e-3):
            log_p = np.log(np.clip(p, clip, 1 - clip)) if clip else np.log(p)
            name, attrs = f"{m}x{n}-{clip}", {"clip": clip}
            yield Case("softmax_cross_entropy", name, [x, target], [-(target * log_p).sum(1), p], attrs)
            picked = -log_p[np.arange(m), labels]
            yield Case("softmax_cross_entropy", f"labels-{name}", [x, labels], [picked, p], attrs)
    large = np.array([[1e30, -1e30, 0], [-np.inf, 0, 0]], np.float32)
    yield Case("softmax", "extreme", [large], [np.array([[1, 0, 0], [0, 0.5, 0.5]])])
    outside = np.array([3, -1], np.int32)
    yield Case(
        "softmax_cross_entropy",
        "labels outside",
        [np.zeros((2, 3), np.float32), outside],
        [np.full(2, np.nan), np.full((2, 3), 1 / 3)],
        {"clip": 0.0},
    )


def _products() -> Iterator[Case]:
    sizes = ((1, 1, 1), (3, 17, 5), (6, 16, 256), (13, 33, 300), (100, 70, 65), (2, 40, 0))
    sizes += ((1, 203, 33), (2, 150, 20), (3, 70, 37), (50, 300, 20), (20, 40, 17))
    for (m, n, k), ta, tb in product(sizes, (0, 1), (0, 1)):
        a, b = _normal(2, m, k), _normal(1, k, n, seed=1)
        bias = _normal(n)
        y = np.maximum(a.astype(np.float64) @ b + bias, 0)
        given = [a.swapaxes(1, 2).copy() if ta else a, b.swapaxes(1, 2).copy() if tb else b, bias]
        attrs = {"transpose_a": ta, "transpose_b": tb, "activation": 1}
        yield Case("matmul", f"{m}x{n}x{k}-{ta}{tb}", given, [y], attrs, 1e-4)


# h, w, c, k, kernel, stride, padding, dilation, groups
_CONVOLUTIONS = [
    (5, 6, 3, 4, 3, 1, "valid", 1, 1),
    (7, 6, 1, 6, 5, 1, "same", 1, 1),
    (8, 7, 6, 17, 3, 2, "same", 1, 1),
    (9, 9, 4, 8, 3, 1, "valid", 2, 2),
    (6, 6, 5, 5, 3, 1, "same", 1, 5),
    (9, 14, 16, 16, 3, 1, "same", 1, 16),
    (7, 8, 32, 32, 3, 2, "valid", 1, 32),
    (9, 9, 6, 18, 5, 2, "same", 1, 6),
    (20, 5, 4, 8, 2, 3, "valid", 1, 4),
    (9, 8, 19, 19, 3, 1, "valid", 2, 19),
    (4, 4, 20, 33, 1, 1, "valid", 1, 1),
    (6, 5, 8, 10, 2, 3, "valid", 1, 1),
]


def _convolutions(n: int = 2, shapes: Any = _CONVOLUTIONS) -> Iterator[Case]:
    for h, w, c, k, size, s, padding, d, groups in shapes:
        x, weights = _normal(n, h, w, c), _normal(size, size, c // groups, k, seed=1)
        y = convolve(x.astype(np.float64), weights.astype(np.float64), s, padding, d, groups)
        extent = (size - 1) * d + 1
        top, left = ((max((-(-n // s) - 1) * s + extent - n, 0) // 2 if padding == "same" else 0) for n in (h, w))
        attrs: dict[str, Any] = {"stride_h": s, "stride_w": s, "pad_top": top, "pad_left": left}
        attrs |= {"dilation_h": d, "dilation_w": d, "groups": groups}
        name = f"{h}x{w}x{c}-{k}-{size}-{s}-{padding}-{d}-{groups}"
        bias, back = _normal(k, seed=2), _normal(c, seed=3)
        yield Case("conv2d", name, [x, weights, bias], [np.tanh(y + bias)], attrs | {"activation": 3})
        dy = _normal(*y.shape, seed=4)

        # Both adjoints by batches of unit vectors: one image of ones and zeros per input element or per weight.
        units = np.eye(h * w * c).reshape(-1, h, w, c)
        back_to_x = np.tensordot(
            dy, convolve(units, weights.astype(np.float64), s, padding, d, groups), ((1, 2, 3),) * 2
        )
        dx = back_to_x.reshape(x.shape) + back
        yield Case("conv2d_input_grad", name, [dy, weights, back], [dx], attrs | {"activation": 0}, 1e-4)
        dw = np.zeros(weights.shape)
        for at in np.ndindex(*weights.shape[:3]):
            unit = np.zeros(weights.shape)
            unit[at] = 1.0
            dw[at] = np.sum(convolve(x.astype(np.float64), unit, s, padding, d, groups) * dy, axis=(0, 1, 2))
        yield Case("conv2d_weight_grad", name, [x, dy], [dw], attrs, 1e-4)


_WINOGRAD_CONVOLUTIONS = [
    (4, 4, 16, 16, 3, 1, "same", 1, 1),
    (7, 9, 16, 32, 3, 1, "valid", 1, 1),
    (6, 5, 32, 16, 3, 1, "same", 1, 1),
    (9, 3, 48, 80, 3, 1, "same", 1, 1),
    (8, 6, 16, 32, 4, 2, "same", 1, 1),
    (10, 5, 16, 16, 4, 2, "valid", 1, 1),
    (9, 7, 16, 48, 3, 2, "same", 1, 1),
    (11, 4, 32, 16, 3, 2, "same", 1, 1),
    (7, 9, 48, 32, 4, 2, "same", 1, 1),
]


def _winograd() -> Iterator[Case]:
    """Whole vectors of channels for every instruction set, whole and broken tiles, more filters than one block."""
    for case in _convolutions(2, _WINOGRAD_CONVOLUTIONS):
        attrs: dict[str, Any] = {side: case.attrs[side] for side in ("pad_top", "pad_left")}
        attrs["stride"] = case.attrs["stride_h"]
        if case.kernel == "conv2d_weight_grad":
            yield Case("conv2d_winograd_weight_grad", case.name, case.inputs, case.expected, attrs, 1e-4)
            continue
        attrs |= {"adjoint": int(case.kernel == "conv2d_input_grad"), "activation": case.attrs["activation"]}
        yield Case("conv2d_winograd", case.kernel + case.name, case.inputs, case.expected, attrs, 1e-4)


# Input gradients go image by image from 8 images on, where the filters fill vectors and the channels do not.
_FEW_CHANNELS = [
    (9, 8, 1, 16, 4, 2, "same", 1, 1),
    (6, 7, 3, 20, 3, 1, "same", 1, 1),
    (11, 5, 1, 16, 3, 1, "valid", 2, 1),
    (12, 11, 2, 17, 5, 2, "valid", 1, 1),
]


def _few_channels() -> Iterator[Case]:
    for case in _convolutions(8, _FEW_CHANNELS):
        if case.kernel == "conv2d_input_grad":
            case.attrs["activation"], case.expected = 3, [np.tanh(case.expected[0])]
            yield case


_LANE_CONVOLUTIONS = [
    (6, 9, 1, 6, 5, 1, "same", 1, 1),
    (14, 11, 3, 10, 5, 1, "valid", 1, 1),
    (7, 6, 6, 16, 3, 2, "same", 1, 1),
    (9, 9, 4, 7, 3, 1, "same", 2, 1),
    (5, 3, 16, 1, 3, 1, "same", 1, 1),
    (5, 4, 2, 13, 1, 1, "valid", 1, 1),
    (4, 5, 8, 2, 2, 2, "valid", 1, 1),
    *((4, 4, k, k, 3, 1, "same", 1, 1) for k in range(3, 13)),
]


def _lanes() -> Iterator[Case]:
    """The convolutions with samples in the vector lanes, on whole blocks of samples of every instruction set."""
    for case in _convolutions(16, _LANE_CONVOLUTIONS):
        kind = case.kernel.removeprefix("conv2d")
        if kind == "_input_grad" and case.attrs["stride_h"] > 1:
            continue
        images = ((0, 1), ()) if kind == "_weight_grad" else ((0,), (0,))
        yield Case(f"conv2d_lanes{kind}", case.name, case.inputs, case.expected, case.attrs, case.tolerance, images)
    for n, m in ((1, 1), (3, 40), (16, 16), (35, 37), (33, 8)):
        x = _normal(n, m)
        yield Case("to_lanes", f"{n}x{m}", [x], [x], {}, 0, ((), (0,)))
        yield Case("from_lanes", f"{n}x{m}", [x], [x], {}, 0, ((0,), ()))


_POOLINGS = [(4, 6, 3, 2, 2, "valid"), (5, 7, 9, 3, 2, "same"), (6, 6, 70, 3, 1, "valid"), (3, 3, 1, 3, 3, "valid")]


def _poolings() -> Iterator[Case]:
    for h, w, c, size, s, padding in _POOLINGS:
        x = _normal(2, h, w, c)
        top, left = ((max((-(-n // s) - 1) * s + size - n, 0) // 2 if padding == "same" else 0) for n in (h, w))
        attrs = {"window_h": size, "window_w": size, "stride_h": s, "stride_w": s, "pad_top": top, "pad_left": left}
        for kind, word in enumerate(("max", "average", "median")):
            y = pool(x.astype(np.float64), word, size, s, padding)
            name, every = f"{word}-{h}x{w}x{c}-{size}-{s}-{padding}", attrs | {"kind": kind}
            yield Case("pool2d", name, [x], [y], every)
            yield Case("pool2d_pick", name, [x, x], [y], every)
            dy = _normal(*y.shape, seed=1)
            gap = 1e-7  # nudges too small to change an order
            dx = np.zeros(x.shape)
            for i, j in np.ndindex(h, w):  # every image and channel at once: they do not meet
                up, down = x.astype(np.float64), x.astype(np.float64)
                up[:, i, j] += gap
                down[:, i, j] -= gap
                rise = pool(up, word, size, s, padding) - pool(down, word, size, s, padding)
                dx[:, i, j] = np.sum(rise * dy, axis=(1, 2)) / (2 * gap)
            yield Case("pool2d_grad", name, [x, dy], [dx], every, 1e-4)
    ties = np.zeros((1, 2, 2, 1), np.float32)
    first = np.array([1.0, 0, 0, 0]).reshape(1, 2, 2, 1)
    attrs = {"window_h": 2, "window_w": 2, "stride_h": 2, "stride_w": 2, "pad_top": 0, "pad_left": 0, "kind": 0}
    yield Case("pool2d_grad", "ties", [ties, np.ones((1, 1, 1, 1), np.float32)], [first], attrs)


def _resizes() -> Iterator[Case]:
    for h, w, oh, ow, c in ((3, 4, 6, 8, 5), (5, 5, 3, 7, 1), (1, 2, 4, 4, 20)):
        x, dy = _normal(2, h, w, c), _normal(2, oh, ow, c, seed=1)
        rows, columns = ((np.arange(m) + 0.5) * n // m for n, m in ((h, oh), (w, ow)))

        def nearest(u: Array, at: Any = (rows, columns)) -> Array:
            return u[:, at[0].astype(int)][:, :, at[1].astype(int)]

        def bilinear(u: Array, to: Any = (oh, ow)) -> Array:
            return resize_bilinear(u, *to)

        for kind, function in enumerate((nearest, bilinear)):
            name = f"{function.__name__}-{h}x{w}-{oh}x{ow}x{c}"
            yield Case("resize2d", name, [x], [function(x.astype(np.float64))], {"kind": kind})
            yield Case("resize2d_grad", name, [dy], [_adjoint(function, x.shape, dy)], {"kind": kind})


def _movements() -> Iterator[Case]:
    for dtype in (np.float32, np.int32, np.uint8):
        for shape, perm in (
            ((5,), (0,)), ((4, 5), (1, 0)), ((70, 33), (1, 0)), ((2, 3, 4), (2, 0, 1)), ((2, 19, 18, 3), (0, 3, 1, 2)),
            ((2, 3, 19, 18), (0, 2, 3, 1)), ((3, 1, 4, 2), (3, 1, 0, 2)), ((2, 3, 2, 2, 3, 2), (5, 0, 3, 1, 4, 2)), ((0, 4), (1, 0)),
        ):  # fmt: skip
            x = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
            name = f"{np.dtype(dtype).name}-{shape}-{perm}"
            yield Case("transpose", name, [x], [x.transpose(perm).copy()], {"perm": perm}, 0)
        x = np.arange(7 * 6 * 5).reshape(7, 6, 5).astype(dtype)
        for a, b, c in product(
            (slice(None), slice(6, None, -2)), (slice(1, 5), slice(4, 0, -1)), (slice(None), slice(0, 5, 3))
        ):
            y = x[a, b, c].copy()
            ranges = [s.indices(n) for s, n in zip((a, b, c), x.shape, strict=True)]
            attrs = {"start": [r[0] for r in ranges], "step": [r[2] for r in ranges]}
            yield Case("slice", f"{np.dtype(dtype).name}-{a}-{b}-{c}", [x], [y], attrs, 0)
        for low, high, interior in (
            ((0, 0, 0), (0, 0, 0), (0, 0, 0)), ((0, 2, 0), (0, 1, 0), (0, 0, 0)), ((1, 0, 3), (0, 2, 1), (0, 0, 0)),
            ((0, 1, 0), (1, 0, 0), (0, 2, 1)), ((-2, 0, 1), (0, -1, -3), (0, 0, 0)), ((-1, 2, -3), (0, 0, 1), (2, 1, 1)),
            ((-9, 0, 0), (12, 0, 0), (0, 0, 0)),
        ):  # fmt: skip
            grown = np.full([(n - 1) * (i + 1) + 1 for n, i in zip(x.shape, interior, strict=True)], 7, dtype)
            grown[tuple(slice(None, None, i + 1) for i in interior)] = x
            padded = np.pad(grown, [(max(p, 0), max(q, 0)) for p, q in zip(low, high, strict=True)], constant_values=7)
            ends = (slice(max(-p, 0), n - max(-q, 0)) for p, q, n in zip(low, high, padded.shape, strict=True))
            attrs = {"low": low, "interior": interior, "value": 7.0}
            y = padded[tuple(ends)].copy()
            yield Case("pad", f"{np.dtype(dtype).name}-{low}-{high}-{interior}", [x], [y], attrs, 0)
        parts = [np.arange(2 * n * 3).reshape(2, n, 3).astype(dtype) for n in (4, 0, 1)]
        yield Case("concat", np.dtype(dtype).name, parts, [np.concatenate(parts, 1)], {}, 0)
        at = np.array([6, 0, 0, 3], np.int32)
        flat = x.reshape(1, 7, 30)
        yield Case("gather", np.dtype(dtype).name, [flat, at], [flat[:, at]], {}, 0)
    x = _normal(2, 4, 3)
    at = np.array([1, 4, -1], np.int32)
    y = np.full((2, 3, 3), np.nan)
    y[:, 0] = x[:, 1]
    yield Case("gather", "outside", [x, at], [y], {})
    for n, b in ((4, 3), (3000, 20)):
        at = np.random.default_rng(0).integers(-1, n + 1, 50).astype(np.int32)
        updates, table = _normal(2, 50, b), np.zeros((2, n, b))
        for i, q in enumerate(at):
            if 0 <= q < n:
                table[:, q] += updates[:, i]
        yield Case("scatter_add", f"{n}x{b}", [at, updates], [table], {})


CASES = [
    case
    for cases in (
        _map,
        _map_sums,
        _reductions,
        _order,
        _softmaxes,
        _products,
        _convolutions,
        _few_channels,
        _lanes,
        _winograd,
        _poolings,
        _resizes,
        _movements,
    )
    for case in cases()
]
