"""Steps with memory to the flat instruction list that the executor takes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from berrante.graph.passes.ir import Buffer, Loop, MapStep, Plan, Ref, Register, Step
from berrante.graph.passes.memory import assign_arena, root
from berrante.graph.tensor import DTYPES
from berrante.runtime.kernels import DTYPE_CODES, MICRO_OPS, SCHEMA


class Emitter:
    """Writes addresses. Space 0 is the arena; every storage array gets a space of its own."""

    def __init__(self, places: dict[Buffer, int]) -> None:
        self.places = places
        self.storages: list[np.ndarray] = []
        self._spaces: dict[int, int] = {}

    def tensor(self, ref: Ref) -> tuple[int, int, int, tuple[int, ...]]:
        buffer, offset = root(ref.buffer)
        offset += ref.offset
        itemsize = DTYPES[ref.spec.dtype].itemsize
        code = DTYPE_CODES[ref.spec.dtype]
        if buffer.array is None:
            return 0, self.places[buffer] + offset * itemsize, code, ref.spec.shape
        space = self._spaces.get(id(buffer.array))
        if space is None:
            self.storages.append(buffer.array)
            space = self._spaces[id(buffer.array)] = len(self.storages)
        return space, (buffer.offset + offset) * itemsize, code, ref.spec.shape

    def instruction(self, step: Step) -> tuple[Any, ...]:
        if isinstance(step, Loop):
            return self._loop(step)
        return step.kernel, [self.tensor(r) for r in step.inputs], [self.tensor(r) for r in step.outputs], _attrs(step)

    def _loop(self, loop: Loop) -> tuple[int, int, list[Any]]:
        """The body with places in the loop's region (space -1), and with the bytes from slab to slab."""
        places, size = assign_arena(Plan(loop.body, [], []), loop.own)

        def tensor(ref: Ref) -> tuple[Any, ...]:
            itemsize = DTYPES[ref.spec.dtype].itemsize
            if ref.buffer in loop.own:
                return -1, places[ref.buffer] + ref.offset * itemsize, DTYPE_CODES[ref.spec.dtype], ref.spec.shape, 0
            stride = ref.buffer.size // loop.slabs * itemsize if ref.buffer in loop.sliding else 0
            return *self.tensor(ref), stride

        body = [
            (step.kernel, [tensor(r) for r in step.inputs], [tensor(r) for r in step.outputs], _attrs(step))
            for step in loop.body
        ]
        return loop.slabs, size, body


def _attrs(step: Step) -> dict[str, Any]:
    return map_attrs(step) if isinstance(step, MapStep) else {k: step.attrs[k] for k in SCHEMA[step.kernel]}


def emit(plan: Plan, places: dict[Buffer, int]) -> tuple[list[Any], list[np.ndarray], list[Any], list[Any]]:
    """Instructions, storages, inputs and outputs for `_cpu.Program`."""
    emitter = Emitter(places)
    instructions = [emitter.instruction(step) for step in plan.steps]
    inputs = [emitter.tensor(ref) for ref in plan.inputs]
    outputs = [emitter.tensor(ref) for ref in plan.outputs]
    return instructions, emitter.storages, inputs, outputs


def _strides(shape: tuple[int, ...], target: tuple[int, ...]) -> list[int]:
    """Element strides of a dense tensor broadcast to `target`; 0 where it is repeated."""
    padded = (1,) * (len(target) - len(shape)) + shape
    strides, step = [0] * len(target), 1
    for i in reversed(range(len(target))):
        strides[i] = 0 if padded[i] == 1 else step
        step *= padded[i]
    return strides


def collapse(shape: tuple[int, ...], inputs: list[list[int]]) -> tuple[list[int], list[list[int]]]:
    """Merges adjacent dimensions that every input walks in one stride, and drops those of extent 1."""
    extents: list[int] = []
    strides: list[list[int]] = [[] for _ in inputs]
    for i, n in enumerate(shape):
        if n == 1:
            continue
        if extents and all(s[-1] == x[i] * n for s, x in zip(strides, inputs, strict=True)):
            extents[-1] *= n
            for s, x in zip(strides, inputs, strict=True):
                s[-1] = x[i]
        else:
            extents.append(n)
            for s, x in zip(strides, inputs, strict=True):
                s.append(x[i])
    if not extents:
        return [1], [[0] for _ in inputs]
    return extents, strides


def map_attrs(step: MapStep) -> dict[str, Any]:
    """The map kernel's attributes (csrc/core/micro.def)."""
    size = math.prod(step.shape)
    walks = []
    for ref in step.inputs:
        # A dense operand may come in another shape of the same size (a reshape between two fused maps).
        shape = step.shape if ref.spec.size == size else ref.spec.shape
        walks.append(_strides(shape, step.shape) if ref.spec.size != 1 else [0] * len(step.shape))
    extents, strides = collapse(step.shape, walks)
    n_in, n_const = len(step.inputs), len(step.constants)
    place = _reuse_temporaries(step)
    first = {"in": 0, "const": n_in, "temp": n_in + n_const}

    def number(register: Register) -> int:
        kind, k = register
        return first[kind] + (place[k] if kind == "temp" else k)

    code: list[int] = []
    for micro, target, operands in step.code:
        numbers = [number(r) for r in (target, *operands)]
        code += [MICRO_OPS[micro], *numbers, *([-1] * (4 - len(numbers)))]
    attrs = {
        "shape": extents,
        "strides": [s for walk in strides for s in walk],
        "code": code,
        "constants": step.constants,
        "outputs": [number(r) for r in step.results],
    }
    if step.kernel == "map_sums":
        attrs["sums"] = step.attrs["sums"]
    return attrs


def _reuse_temporaries(step: MapStep) -> dict[int, int]:
    """A tile buffer for each temporary, shared by those that are never alive together."""
    last: dict[int, int] = {}
    for i, (_, written, operands) in enumerate(step.code):
        for kind, k in (written, *operands):
            if kind == "temp":
                last[k] = i
    for kind, k in step.results:
        if kind == "temp":
            last[k] = len(step.code)
    place: dict[int, int] = {}
    free: list[int] = []
    used = 0
    for i, (_, (_, target), operands) in enumerate(step.code):
        # An operand that dies here may be overwritten: micro-operations go element by element.
        for kind, operand in dict.fromkeys(operands):
            if kind == "temp" and last[operand] == i:
                free.append(place[operand])
        if free:
            place[target] = free.pop()
        else:
            place[target] = used
            used += 1
        if last[target] == i:
            free.append(place[target])
    return place
