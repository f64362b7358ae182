"""Operations: a name, shape inference, a gradient rule and a lowering to one kernel.

Calling an `Op` applies it: on concrete tensors it runs at once; with a symbolic operand it is recorded. A gradient rule
is ordinary code over operations, so it can be traced, run and differentiated again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from berrante.graph import trace
from berrante.graph.formats import is_float
from berrante.graph.tensor import DTYPES, Node, Tensor, TensorSpec, standard_dtype
from berrante.runtime.device_arrays import is_on_device, to_host

Specs = TensorSpec | tuple[TensorSpec, ...]
Infer = Callable[..., Specs]
# rule(node, *dy) -> one gradient (or None) per input; a dy is None where nothing depends on that output.
GradientRule = Callable[..., Sequence[Tensor | None]]


class KernelCall:
    """A kernel with the shapes that it expects. Inputs are the node's own unless others are named."""

    __slots__ = ("attrs", "inputs", "kernel", "outputs")

    def __init__(
        self, kernel: str, inputs: list[tuple[Tensor, tuple[int, ...]]], outputs: list[tuple[int, ...]],
        attrs: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        self.kernel = kernel
        self.inputs = inputs
        self.outputs = outputs
        self.attrs: dict[str, Any] = {} if attrs is None else attrs


class Alias(NamedTuple):
    """The output is a dense part of an input's memory, from an element offset."""

    source: Tensor
    offset: int = 0


Lowering = Callable[[Node], KernelCall | Alias]

REGISTRY: dict[str, Op] = {}


class Op:
    """A primitive operation.

    Args:
        name: unique; the kernel's name unless `lower` says otherwise.
        infer: `(*tensors, **attrs) -> TensorSpec` or a tuple of them; raises ValueError for operands that do not fit.
        grad: the gradient rule; None means that no gradient flows.
        lower: the kernel call for a node; by default the kernel of the same name with the operands' own shapes.
    """

    def __init__(
        self, name: str, infer: Infer, grad: GradientRule | None = None, lower: Lowering | None = None
    ) -> None:
        if name in REGISTRY:
            raise ValueError(f"there is already an operation named {name!r}")
        REGISTRY[name] = self
        self.name = name
        self.infer = infer
        self.grad = grad
        self._lower = lower

    def lower(self, node: Node) -> KernelCall | Alias:
        if self._lower is not None:
            return self._lower(node)
        return KernelCall(self.name, [(t, t.shape) for t in node.inputs], [t.shape for t in node.outputs], node.attrs)

    def prepare(self, inputs: Sequence[Any]) -> tuple[Tensor, ...]:
        """Operands as tensors."""
        return tuple(as_tensor(x) for x in inputs)

    def _typed(self, specs: Specs, inputs: tuple[Tensor, ...], attrs: dict[str, Any]) -> Specs:
        """The outputs' specs: 16-bit floats where all operands that are floats are of that one type, else float32."""
        floats = {t.dtype for t in inputs if is_float(t.dtype)}
        if floats <= {"float32"} or "dtype" in attrs:
            return specs
        kind = floats.pop() if len(floats) == 1 else "float32"
        if isinstance(specs, TensorSpec):
            return specs._replace(dtype=kind) if is_float(specs.dtype) else specs
        return tuple(s._replace(dtype=kind) if is_float(s.dtype) else s for s in specs)

    def __call__(self, *inputs: Any, **attrs: Any) -> Any:
        tensors = self.prepare(inputs)
        specs = self._typed(self.infer(*tensors, **attrs), tensors, attrs)
        single = isinstance(specs, TensorSpec)
        spec_tuple: tuple[TensorSpec, ...] = (specs,) if isinstance(specs, TensorSpec) else specs
        graph = None
        for tensor in tensors:
            if tensor.value is None:
                graph = tensor.graph
                if graph is not trace.state.graph:
                    raise ValueError(
                        f"[{self.name}] received a symbolic tensor of shape {tensor.shape} outside the trace that made "
                        "it; return values from the traced function instead of keeping its tensors"
                    )
        node = Node(self, tensors, attrs)
        if graph is not None:
            node.outputs = tuple(Tensor(spec, None, node, graph) for spec in spec_tuple)
        else:
            from berrante.graph.eager import evaluate

            # Inside a trace concrete operands are constants, and this is constant folding.
            arrays = evaluate(node, spec_tuple)
            keep = node if trace.state.tapes and any(t.node is not None or _watched(t) for t in tensors) else None
            node.outputs = tuple(Tensor(s, a, keep) for s, a in zip(spec_tuple, arrays, strict=True))
        return node.outputs[0] if single else node.outputs

    def __repr__(self) -> str:
        return f"<Op {self.name}>"


def _watched(tensor: Tensor) -> bool:
    return any(tape.watches(tensor) for tape in trace.state.tapes)


def as_tensor(x: Any, dtype: str | None = None) -> Tensor:
    """Tensors as they are, variables by their value, anything else through NumPy (float64 becomes float32)."""
    if isinstance(x, Tensor):
        return x
    value = getattr(x, "value", None)
    if isinstance(value, Tensor):
        return value
    try:
        array = np.asarray(x)
    except TypeError:  # CuPy's arrays and PyTorch's on a device refuse
        if not is_on_device(x):
            raise
        array = to_host(x)
    if array.dtype.kind not in "fiub" and array.dtype.name != "bfloat16":
        what = f"an array of dtype {array.dtype}" if isinstance(x, np.ndarray) else repr(x)
        raise TypeError(f"expected real numbers or a tensor; received {what}")
    return trace.constant(array, dtype or standard_dtype(array.dtype))


def check_rank(op: str, x: Tensor, *ranks: int) -> None:
    if len(x.shape) not in ranks:
        expected = " or ".join(f"{r}-D" for r in ranks)
        raise ValueError(f"[{op}] expected {expected} input; received shape {x.shape}")


def check_dtype(op: str, x: Tensor, *dtypes: str) -> None:
    if x.dtype not in dtypes:
        raise ValueError(f"[{op}] expected dtype {' or '.join(dtypes)}; received {x.dtype}")


def empty(spec: TensorSpec) -> np.ndarray:
    return np.empty(spec.shape, DTYPES[spec.dtype])
