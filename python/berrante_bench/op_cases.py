"""Single operations as tasks: what they are called with, and how much arithmetic and memory traffic that is.

Images are [N, H, W, C] and filters [KH, KW, C / groups, K] here; a contender brings them into its own layout before the clock
starts. Modes: "forward"; "both", the result and the gradients in all operands; "gradients", these alone.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from math import prod
from typing import Any

import numpy as np

Shape = tuple[int, ...]


@dataclass(frozen=True)
class OpCase:
    """One operation on operands of given shapes."""

    op: str
    shapes: tuple[Shape, ...]
    attrs: dict[str, Any] = field(default_factory=dict)
    mode: str = "forward"
    wrt: tuple[int, ...] = ()  # the operands whose gradients are wanted; none named: all

    def task(self) -> dict[str, Any]:
        return {"kind": "op", **asdict(self)}

    def label(self) -> str:
        sizes = " ".join("x".join(map(str, s)) for s in self.shapes)
        return " ".join([self.op, sizes, *_notes(self.attrs)])

    def output(self) -> Shape:
        """The result's shape."""
        return _OUTPUT.get(self.op, lambda c: c.shapes[0])(self)

    def flops(self) -> float:
        """Floating-point operations by the definition; a multiply-add is two. Elementwise operations count as one."""
        forward = float(_FLOPS.get(self.op, lambda c: prod(c.output()))(self))
        backward = len([i for i in self.wrt if i < 2]) or 2
        products = self.op in _FLOPS
        times = {"forward": 1, "both": 1 + backward, "gradients": backward}[self.mode]
        return forward * (times if products else 1)

    def bytes(self) -> float:
        """The least traffic: operands read once, results written once."""
        if self.op in _TRAFFIC:
            return 4.0 * _TRAFFIC[self.op](self)
        sizes, out = [prod(s) for s in self.shapes], prod(self.output())
        gradients = sum(sizes[i] for i in self.wrt or range(len(sizes)))
        read = sum(sizes) - (gradients if len(self.wrt) == 1 and self.op in _FLOPS else 0)
        forward, backward = sum(sizes) + out, read + out + gradients
        return 4.0 * {"forward": forward, "both": forward + backward, "gradients": backward}[self.mode]


def _notes(attrs: dict[str, Any]) -> list[str]:
    """The attributes that are not as usual."""
    return [k if v is True else f"{k}={v}".replace(" ", "") for k, v in attrs.items() if v is True or v not in (0, 1)]


def operands(task: dict[str, Any]) -> list[np.ndarray]:
    """The task's operands, the same for every contender: small numbers, or row numbers for gather's second."""
    rng = np.random.default_rng(0)
    arrays = [rng.uniform(-1, 1, shape).astype(np.float32) for shape in task["shapes"]]
    if task["op"] == "gather":
        arrays[1] = rng.integers(0, len(arrays[0]), task["shapes"][1]).astype(np.int32)
    if task["op"] == "cross_entropy":
        arrays[1] = np.eye(task["shapes"][1][1], dtype=np.float32)[
            rng.integers(0, task["shapes"][1][1], len(arrays[0]))
        ]
    if task["op"] == "adam":
        arrays[3] = np.abs(arrays[3])
    return arrays


def window(n: int, k: int, stride: int, dilation: int, padding: str) -> int:
    """Output extent of a window."""
    return -(-n // stride) if padding == "same" else (n - (k - 1) * dilation - 1) // stride + 1


def _conv_output(c: OpCase) -> Shape:
    (n, h, w, _), (kh, kw, _, k) = c.shapes[:2]
    s, d, p = c.attrs["stride"], c.attrs["dilation"], c.attrs["padding"]
    return n, window(h, kh, s, d, p), window(w, kw, s, d, p), k


def _transposed_output(c: OpCase) -> Shape:
    (n, h, w, _), (_, _, k, _) = c.shapes[:2]
    return n, h * c.attrs["stride"], w * c.attrs["stride"], k


def _pool_output(c: OpCase) -> Shape:
    n, h, w, channels = c.shapes[0]
    size, stride = c.attrs["size"], c.attrs["stride"]
    return n, (h - size) // stride + 1, (w - size) // stride + 1, channels


def _matmul_output(c: OpCase) -> Shape:
    a, b = c.shapes[:2]
    m = a[-1] if c.attrs.get("transpose_a") else a[-2]
    n = b[-2] if c.attrs.get("transpose_b") else b[-1]
    return (*a[:-2], m, n)


_OUTPUT = {
    "conv2d": _conv_output,
    "conv2d_transpose": _transposed_output,
    "max_pool": _pool_output,
    "average_pool": _pool_output,
    "matmul": _matmul_output,
    "dense": lambda c: (c.shapes[0][0], c.shapes[1][1]),
    "sum_rows": lambda c: (c.shapes[0][0],),
    "sum_columns": lambda c: (c.shapes[0][1],),
    "transpose": lambda c: tuple(c.shapes[0][i] for i in c.attrs["axes"]),
    "concatenate": lambda c: (*c.shapes[0][:-1], sum(s[-1] for s in c.shapes)),
    "gather": lambda c: (c.shapes[1][0], *c.shapes[0][1:]),
    "upsample": lambda c: (c.shapes[0][0], 2 * c.shapes[0][1], 2 * c.shapes[0][2], c.shapes[0][3]),
}
_OUTPUT |= {
    "sum": lambda c: (),
    "random_uniform": lambda c: c.attrs["shape"],
    "random_normal": lambda c: c.attrs["shape"],
    "cross_entropy": lambda c: (c.shapes[0][0],),
}
# Elements moved, where it is not just the operands and the result.
_TRAFFIC = {
    "adam": lambda c: 7 * prod(c.shapes[0]),
    "gather": lambda c: 2 * prod(c.output()) + prod(c.shapes[1]),
    "batch_norm": lambda c: (3 if c.mode == "forward" else 8) * prod(c.shapes[0]),
}
_FLOPS = {
    "conv2d": lambda c: 2 * prod(_conv_output(c)) * prod(c.shapes[1][:3]),
    "conv2d_transpose": lambda c: 2 * prod(c.shapes[0][:3]) * prod(c.shapes[1]),
    "matmul": lambda c: 2 * prod(_matmul_output(c)) * (c.shapes[0][-2] if c.attrs.get("transpose_a") else c.shapes[0][-1]),
    "dense": lambda c: 2 * prod(c.shapes[0]) * c.shapes[1][1],
}  # fmt: skip
