"""The arithmetic that gradient rules are written in."""

from __future__ import annotations

from berrante.graph.elementwise import Elementwise, single, typed
from berrante.graph.tensor import Node, Tensor


def _grad_multiply(node: Node, dy: Tensor) -> list[Tensor]:
    a, b = node.inputs
    return [multiply(dy, b), multiply(dy, a)]


def _grad_divide(node: Node, dy: Tensor) -> list[Tensor]:
    b = node.inputs[1]
    return [divide(dy, b), negative(divide(multiply(dy, node.outputs[0]), b))]


add = Elementwise("add", typed("add"), lambda node, dy: [dy, dy])
subtract = Elementwise("subtract", typed("sub"), lambda node, dy: [dy, negative(dy)])
multiply = Elementwise("multiply", typed("mul"), _grad_multiply)
divide = Elementwise("divide", single("div_f"), _grad_divide, compute="float32")
negative: Elementwise = Elementwise("negative", typed("neg"), lambda node, dy: [negative(dy)])
equal = Elementwise("equal", typed("eq"), result="bool")
