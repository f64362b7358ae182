"""Nodes to steps: only what outputs and updates need, equal nodes once, views resolved to aliases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from berrante.graph.elementwise import Elementwise, MicroBuilder
from berrante.graph.formats import ROUNDING, is_float
from berrante.graph.op import Alias, KernelCall
from berrante.graph.passes.ir import Buffer, MapStep, Plan, Ref, Register, Step
from berrante.graph.tensor import Node, Tensor, TensorSpec
from berrante.graph.trace import Graph


class MapBuilder(MicroBuilder):
    """Builds the micro-program of one elementwise node."""

    def __init__(self, step: MapStep) -> None:
        self.step = step
        self.integer_constants: set[int] = set()

    def emit(self, micro: str, *operands: Register) -> Register:
        if micro == "select":
            # A select moves bits; a constant of an integer tensor must be made an integer first.
            operands = tuple(
                self.emit("to_i", r) if r[0] == "const" and r[1] in self.integer_constants else r for r in operands
            )
        register = ("temp", self.step.temps)
        self.step.temps += 1
        self.step.code.append((micro, register, operands))
        return register

    def constant(self, value: float, dtype: str = "float32") -> Register:
        self.step.constants.append(float(value))
        if not is_float(dtype):
            self.integer_constants.add(len(self.step.constants) - 1)
        return ("const", len(self.step.constants) - 1)


# Micro-operations and kernels that give values of the type that their operands have: nothing to round.
_EXACT_MICROS = frozenset({"max_f", "min_f", "neg_f", "abs_f", "sign_f", "select"})
_EXACT_KERNELS = frozenset({"transpose", "concat", "slice", "gather"})


def _stored(spec: TensorSpec) -> TensorSpec:
    """As the tensor lies in memory (graph/formats.py)."""
    return spec._replace(dtype="float32") if spec.dtype in ROUNDING else spec


def _buffer(spec: TensorSpec, kind: str = "temp", array: Any = None, offset: int = 0) -> Buffer:
    buffer = Buffer(spec.size, _stored(spec).dtype, kind, array, offset)
    buffer.format = spec.dtype
    return buffer


class Lowering:
    """Turns the needed part of a graph into steps."""

    def __init__(self, graph: Graph) -> None:
        self.refs: dict[Tensor, Ref] = {}
        self.steps: list[Step] = []
        self._known: dict[Any, Node] = {}
        self.inputs: list[Ref] = []
        for tensor in graph.inputs:
            ref = Ref(_buffer(tensor.spec, "input"), 0, _stored(tensor.spec))
            self.refs[tensor] = ref
            self.inputs.append(ref)
        for variable, tensor in graph.leaves.items():
            buffer = Buffer(variable.size, variable.dtype, "variable", variable.storage.array, variable.offset)
            self.refs[tensor] = Ref(buffer, 0, tensor.spec)

    def ref(self, tensor: Tensor) -> Ref:
        known = self.refs.get(tensor)
        if known is None:
            if tensor.value is None:
                raise AssertionError(f"{tensor!r} has no producer in this program")
            buffer = _buffer(tensor.spec, "constant", tensor.value.reshape(-1))
            known = self.refs[tensor] = Ref(buffer, 0, _stored(tensor.spec))
        return known

    def run(self, targets: Sequence[Tensor]) -> None:
        """Lowers everything that the targets depend on, oldest first."""
        needed: set[Node] = set()
        stack = [t.node for t in targets if t.value is None and t.node is not None]
        while stack:
            node = stack.pop()
            if node not in needed:
                needed.add(node)
                stack.extend(t.node for t in node.inputs if t.value is None and t.node is not None)
        for node in sorted(needed, key=lambda n: n.position):
            self._lower(node)

    def _identity(self, node: Node) -> Any:
        """Equal for nodes that compute the same: same operation and attributes on the same memory."""
        try:
            operands = tuple((r.buffer, r.offset, r.spec) for r in map(self.ref, node.inputs))
            key = (node.op.name, operands, tuple(sorted(node.attrs.items())), node.outputs[0].dtype)
            hash(key)
        except TypeError:
            return None
        return key

    def _lower(self, node: Node) -> None:
        key = self._identity(node)
        twin = self._known.get(key) if key is not None else None
        if twin is not None:
            for mine, theirs in zip(node.outputs, twin.outputs, strict=True):
                self.refs[mine] = self.refs[theirs]
            return
        if key is not None:
            self._known[key] = node
        if isinstance(node.op, Elementwise):
            self._lower_map(node)
            return
        lowered = node.op.lower(node)
        if isinstance(lowered, Alias):
            source = self.ref(lowered.source)
            spec = _stored(node.outputs[0].spec)
            self.refs[node.outputs[0]] = Ref(source.buffer, source.offset + lowered.offset, spec)
            return
        inputs = [self.ref(t)._replace(spec=_stored(TensorSpec(tuple(shape), t.dtype))) for t, shape in lowered.inputs]
        outputs, roundings = [], []
        for tensor, shape in zip(node.outputs, lowered.outputs, strict=True):
            result = Ref(_buffer(tensor.spec), 0, _stored(tensor.spec))
            self.refs[tensor] = result
            if tensor.dtype in ROUNDING and not (lowered.kernel in _EXACT_KERNELS or _picks(lowered)):
                raw = Ref(Buffer(tensor.size, "float32"), 0, result.spec)
                roundings.append(rounding(raw, result, tensor.dtype))
                result = raw
            outputs.append(result._replace(spec=_stored(TensorSpec(tuple(shape), tensor.dtype))))
        self.steps.append(Step(lowered.kernel, inputs, outputs, dict(lowered.attrs)))
        self.steps += roundings

    def _lower_map(self, node: Node) -> None:
        output = node.outputs[0]
        result = Ref(_buffer(output.spec), 0, _stored(output.spec))
        step = MapStep([], [result], shape=output.shape)
        builder = MapBuilder(step)
        registers: list[Register] = []
        for tensor in node.inputs:
            if tensor.value is not None and tensor.value.size == 1:
                registers.append(builder.constant(tensor.value.item(), tensor.dtype))
                continue
            ref = self.ref(tensor)
            if ref in step.inputs:
                registers.append(("in", step.inputs.index(ref)))
            else:
                step.inputs.append(ref)
                registers.append(("in", len(step.inputs) - 1))
        register = node.op.micro(builder, node, *registers)  # type: ignore[attr-defined]
        if register[0] == "const" and not is_float(output.dtype):
            register = builder.emit("to_i", register)
        if output.dtype in ROUNDING and not _is_exact(node, step, register):
            register = builder.emit(ROUNDING[output.dtype], register)
        step.results.append(register)
        self.refs[output] = result
        self.steps.append(step)


def _is_exact(node: Node, step: MapStep, register: Register) -> bool:
    """Whether the register holds values of the output's type without being rounded."""
    kind = node.outputs[0].dtype
    if any(t.dtype != kind for t in node.inputs if is_float(t.dtype)):
        return False
    made = next((micro for micro, target, _ in step.code if target == register), None)
    if made is None:
        return all(is_float(t.dtype) for t in node.inputs)
    return made in _EXACT_MICROS and len(step.code) == 1


def _picks(call: KernelCall) -> bool:
    """Whether the kernel gives elements of its operand: the largest, the smallest."""
    return (call.kernel == "reduce" and call.attrs["kind"] in (2, 3)) or (
        call.kernel in ("pool2d", "pool2d_pick") and call.attrs["kind"] == 0
    )


def rounding(source: Ref, result: Ref, dtype: str) -> MapStep:
    """The step that rounds a tensor to a 16-bit type."""
    step = MapStep([source], [result], shape=source.spec.shape)
    step.results.append(MapBuilder(step).emit(ROUNDING[dtype], ("in", 0)))
    return step


def lower(graph: Graph, outputs: Sequence[Tensor]) -> tuple[Plan, Lowering]:
    """The plan for a graph's outputs and updates."""
    lowering = Lowering(graph)
    lowering.run([*outputs, *graph.updates.values()])
    return Plan(lowering.steps, lowering.inputs, [lowering.ref(t) for t in outputs]), lowering
