"""Nodes to steps: only what outputs and updates need, equal nodes once, views resolved to aliases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from berrante.graph.elementwise import Elementwise, MicroBuilder
from berrante.graph.op import Alias
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
        if dtype != "float32":
            self.integer_constants.add(len(self.step.constants) - 1)
        return ("const", len(self.step.constants) - 1)


class Lowering:
    """Turns the needed part of a graph into steps."""

    def __init__(self, graph: Graph) -> None:
        self.refs: dict[Tensor, Ref] = {}
        self.steps: list[Step] = []
        self._known: dict[Any, Node] = {}
        self.inputs: list[Ref] = []
        for tensor in graph.inputs:
            ref = Ref(Buffer(tensor.size, tensor.dtype, "input"), 0, tensor.spec)
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
            buffer = Buffer(tensor.size, tensor.dtype, "constant", tensor.value.reshape(-1))
            known = self.refs[tensor] = Ref(buffer, 0, tensor.spec)
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
            key = (node.op.name, operands, tuple(sorted(node.attrs.items())))
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
            self.refs[node.outputs[0]] = Ref(source.buffer, source.offset + lowered.offset, node.outputs[0].spec)
            return
        inputs = [self.ref(t)._replace(spec=TensorSpec(tuple(shape), t.dtype)) for t, shape in lowered.inputs]
        outputs = []
        for tensor, shape in zip(node.outputs, lowered.outputs, strict=True):
            buffer = Buffer(tensor.size, tensor.dtype)
            self.refs[tensor] = Ref(buffer, 0, tensor.spec)
            outputs.append(Ref(buffer, 0, TensorSpec(tuple(shape), tensor.dtype)))
        self.steps.append(Step(lowered.kernel, inputs, outputs, dict(lowered.attrs)))

    def _lower_map(self, node: Node) -> None:
        output = node.outputs[0]
        result = Ref(Buffer(output.size, output.dtype), 0, output.spec)
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
        if register[0] == "const" and output.dtype != "float32":
            register = builder.emit("to_i", register)
        step.results.append(register)
        self.refs[output] = result
        self.steps.append(step)


def lower(graph: Graph, outputs: Sequence[Tensor]) -> tuple[Plan, Lowering]:
    """The plan for a graph's outputs and updates."""
    lowering = Lowering(graph)
    lowering.run([*outputs, *graph.updates.values()])
    return Plan(lowering.steps, lowering.inputs, [lowering.ref(t) for t in outputs]), lowering
