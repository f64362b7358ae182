"""What passes work on: steps (kernel calls) over buffers (places in memory yet to be chosen).

Values are single-assignment: each buffer is written by one step (or holds an input, a constant or a variable's old
value), so the order of steps is bound by data alone until memory is assigned.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from berrante.graph.tensor import TensorSpec


class Buffer:
    """Memory for `size` elements. `array` is the storage it lives in, from `offset`; None means the program's arena."""

    __slots__ = ("array", "dtype", "format", "kind", "offset", "parent", "parent_offset", "size")

    def __init__(
        self, size: int, dtype: str, kind: str = "temp", array: np.ndarray | None = None, offset: int = 0
    ) -> None:
        self.size = size
        self.dtype = dtype
        self.kind = kind  # temp, input, constant, variable
        self.format = dtype  # float16 or bfloat16 where a float32 buffer holds only values of that type
        self.array = array
        self.offset = offset
        self.parent: Buffer | None = None  # a part of another buffer (concatenation in place)
        self.parent_offset = 0

    def overlaps(self, other: Buffer) -> bool:
        """Whether both lie in the same storage and share elements."""
        return (
            self.array is not None
            and self.array is other.array
            and self.offset < other.offset + other.size
            and other.offset < self.offset + self.size
        )


class Ref(NamedTuple):
    """A dense tensor inside a buffer, from an element offset."""

    buffer: Buffer
    offset: int
    spec: TensorSpec

    @property
    def is_whole(self) -> bool:
        return self.offset == 0 and self.spec.size == self.buffer.size


# A register of a map's micro-program: ("in", k), ("const", k) or ("temp", k).
Register = tuple[str, int]


# Plain classes: making dataclasses is a tenth of the package's import.
class Step:
    """One kernel call."""

    __slots__ = ("attrs", "inputs", "kernel", "outputs")

    def __init__(self, kernel: str, inputs: list[Ref], outputs: list[Ref], attrs: dict[str, Any] | None = None) -> None:
        self.kernel = kernel
        self.inputs = inputs
        self.outputs = outputs
        self.attrs: dict[str, Any] = {} if attrs is None else attrs


class MapStep(Step):
    """A map kernel call before its attributes are written: the micro-program with symbolic registers.

    `shape` is the iteration shape; `results` holds the register stored to each output.
    """

    __slots__ = ("code", "constants", "results", "shape", "temps")

    def __init__(self, inputs: list[Ref], outputs: list[Ref], shape: tuple[int, ...] = ()) -> None:
        super().__init__("map", inputs, outputs)
        self.shape = shape
        self.constants: list[float] = []
        self.code: list[tuple[str, Register, tuple[Register, ...]]] = []
        self.results: list[Register] = []
        self.temps = 0

    def moved(self, inputs: list[Ref], outputs: list[Ref], shape: tuple[int, ...]) -> MapStep:
        """The same program over other memory."""
        step = MapStep(inputs, outputs, shape)
        step.constants, step.code, step.results, step.temps = self.constants, self.code, self.results, self.temps
        return step

    @property
    def is_flat(self) -> bool:
        """Whether every input is dense over the iteration space (or a single element), so that its shape is immaterial."""
        size = self.outputs[0].spec.size
        return all(ref.spec.size in (1, size) for ref in self.inputs)


class Loop(Step):
    """Steps that run for one slab of the batch after the other (csrc/program/loop.h).

    The body's tensors are those of one slab. A buffer in `sliding` holds all slabs, one after the other; those in `own` exist
    for one slab at a time; all others are the same for every slab. `inputs` and `outputs` are the whole tensors that come
    from and go to the outside.
    """

    __slots__ = ("body", "own", "slabs", "sliding")

    def __init__(self, inputs: list[Ref], outputs: list[Ref], slabs: int, body: list[Step]) -> None:
        super().__init__("loop", inputs, outputs)
        self.slabs = slabs
        self.body = body
        self.sliding: set[Buffer] = set()
        self.own: set[Buffer] = set()


class Plan:
    """A program under construction."""

    __slots__ = ("inputs", "outputs", "steps")

    def __init__(self, steps: list[Step], inputs: list[Ref], outputs: list[Ref]) -> None:
        self.steps = steps
        self.inputs = inputs
        self.outputs = outputs

    def readers(self) -> dict[Buffer, list[int]]:
        """The positions of the steps that read each buffer; program outputs read at the end."""
        result: dict[Buffer, list[int]] = {}
        for i, step in enumerate(self.steps):
            for ref in step.inputs:
                result.setdefault(ref.buffer, []).append(i)
        for ref in self.outputs:
            result.setdefault(ref.buffer, []).append(len(self.steps))
        return result

    def producers(self) -> dict[Buffer, int]:
        return {ref.buffer: i for i, step in enumerate(self.steps) for ref in step.outputs}

    def all_refs(self) -> Iterator[Ref]:
        for step in self.steps:
            yield from step.inputs
            yield from step.outputs
        yield from self.outputs
