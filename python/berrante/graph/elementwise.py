"""Elementwise operations: broadcasting, dtype promotion, and the micro-program that each stands for.

Every elementwise operation lowers to a few micro-operations of the `map` kernel (csrc/core/micro.def). Chains of them
are fused into one map later (passes/fuse.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from berrante.graph.formats import is_float
from berrante.graph.op import GradientRule, Op, as_tensor
from berrante.graph.tensor import Node, Tensor, TensorSpec
from berrante.graph.trace import constant

_RANK = {"bool": 0, "uint8": 1, "int32": 2, "float16": 3, "bfloat16": 3, "float32": 4}


class BroadcastError(ValueError):
    """Shapes that do not broadcast; `extents` are two that do not fit."""

    extents: tuple[int, int] = (0, 0)


def broadcast_shapes(op: str, *shapes: tuple[int, ...]) -> tuple[int, ...]:
    """NumPy's broadcasting; raises ValueError that names the operation and the shapes."""
    result = shapes[0]
    for shape in shapes[1:]:
        if shape == result:
            continue
        rank = max(len(shape), len(result))
        a = (1,) * (rank - len(result)) + result
        b = (1,) * (rank - len(shape)) + shape
        unlike = [(m, n) for m, n in zip(a, b, strict=True) if m != n and m != 1 and n != 1]
        if unlike:
            error = BroadcastError(f"[{op}] shapes do not broadcast: received {' and '.join(map(str, shapes))}")
            error.extents = unlike[0]
            raise error
        result = tuple(n if m == 1 else m for m, n in zip(a, b, strict=True))
    return result


def promote(*dtypes: str) -> str:
    """The widest of bool, uint8, int32, float16 or bfloat16, float32; both 16-bit floats together give float32."""
    if "float16" in dtypes and "bfloat16" in dtypes:
        return "float32"
    return max(dtypes, key=_RANK.__getitem__)


class MicroBuilder:
    """Collects micro-operations. Registers are named by the builder's user; see `passes.fuse.MapProgram`."""

    def emit(self, micro: str, *operands: Any) -> Any:
        raise NotImplementedError

    def constant(self, value: float) -> Any:
        raise NotImplementedError


# micro(builder, node, *registers) -> register
Micro = Callable[..., Any]


class Elementwise(Op):
    """An operation that acts on each element, its operands broadcast against each other.

    Args:
        micro: emits the micro-program: `(builder, node, *registers) -> register`.
        grad: `(node, dy) -> one gradient per input`, in the broadcast shape; reduction to the operand's shape follows.
        compute: the dtype that operands are promoted to, or None for the promotion of all of them.
        result: the output's dtype, or None for the operands' common one.
        mixed: operands keep their own dtypes (select).
    """

    def __init__(
        self,
        name: str,
        micro: Micro,
        grad: GradientRule | None = None,
        compute: str | None = None,
        result: str | None = None,
        mixed: bool = False,
    ) -> None:
        super().__init__(name, self._infer, None if grad is None else self._gradient)
        self.micro = micro
        self._rule = grad
        self._compute = compute
        self._result = result
        self._mixed = mixed

    def prepare(self, inputs: Sequence[Any]) -> tuple[Tensor, ...]:
        # Python scalars are weak: they take the dtype of the tensors they meet.
        tensors = [x if isinstance(x, (bool, int, float)) else as_tensor(x) for x in inputs]
        if self._mixed:
            strong = [t.dtype for t in tensors[1:] if isinstance(t, Tensor)]
        else:
            strong = [t.dtype for t in tensors if isinstance(t, Tensor)]
        weak = ["float32" if isinstance(x, float) else "bool" if isinstance(x, bool) else "int32"
                for x in tensors if not isinstance(x, Tensor)]  # fmt: skip
        dtype = promote(*strong) if strong else promote(*weak)
        if "float32" in weak and not is_float(dtype):
            dtype = "float32"
        elif "int32" in weak and dtype == "bool":
            dtype = "int32"
        if self._compute is not None and not self._mixed and not is_float(dtype):
            dtype = promote(dtype, self._compute)
        result: list[Tensor] = []
        for i, x in enumerate(tensors):
            if not isinstance(x, Tensor):
                kind = "bool" if self._mixed and i == 0 else dtype
                result.append(constant(x, kind))
            elif x.dtype == dtype or (self._mixed and i == 0):
                result.append(x)
            else:
                from berrante.graph.primitives import cast

                result.append(cast(x, dtype))
        return tuple(result)

    def _infer(self, *inputs: Tensor, **attrs: Any) -> TensorSpec:
        shapes = [t.shape for t in inputs]
        if "shape" in attrs:
            shapes.append(attrs["shape"])
        dtype = attrs.get("dtype") or self._result or inputs[-1].dtype
        return TensorSpec(broadcast_shapes(self.name, *shapes), dtype)

    def _gradient(self, node: Node, dy: Tensor) -> list[Tensor | None]:
        from berrante.graph.primitives import unbroadcast

        assert self._rule is not None
        grads = self._rule(node, dy)
        return [None if g is None else unbroadcast(g, t.shape) for g, t in zip(grads, node.inputs, strict=True)]


def typed(name: str) -> Micro:
    """The micro-program of one micro-operation with a float and an int form: `add` is add_f or add_i."""

    def micro(builder: MicroBuilder, node: Node, *registers: Any) -> Any:
        return builder.emit(name + ("_f" if is_float(node.inputs[0].dtype) else "_i"), *registers)

    return micro


def single(name: str) -> Micro:
    """The micro-program of one micro-operation."""

    def micro(builder: MicroBuilder, node: Node, *registers: Any) -> Any:
        return builder.emit(name, *registers)

    return micro
