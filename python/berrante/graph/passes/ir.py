"""What passes work on: steps (kernel calls) over buffers (places in memory yet to be chosen).

Values are single-assignment: each buffer is written by one step (or holds an input, a constant or a variable's old
value), so the order of steps is bound by data alone until memory is assigned.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from berrante.graph.tensor import TensorSpec


class Buffer:
    """Memory for `size` elements. `array` is the storage it lives in, from `offset`; None means the program's arena."""

    __slots__ = ("array", "dtype", "kind", "offset", "parent", "parent_offset", "size")

    def __init__(
        self, size: int, dtype: str, kind: str = "temp", array: np.ndarray | None = None, offset: int = 0
    ) -> None:
        self.size = size
        self.dtype = dtype
        self.kind = kind  # temp, input, constant, variable
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


@dataclass(slots=True, eq=False)
class Step:
    """One kernel call."""

    kernel: str
    inputs: list[Ref]
    outputs: list[Ref]
    attrs: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class MapStep(Step):
    """A map kernel call before its attributes are written: the micro-program with symbolic registers.

    `shape` is the iteration shape; `results` holds the register stored to each output.
    """

    shape: tuple[int, ...] = ()
    constants: list[float] = field(default_factory=list)
    code: list[tuple[str, Register, tuple[Register, ...]]] = field(default_factory=list)
    results: list[Register] = field(default_factory=list)
    temps: int = 0

    @property
    def is_flat(self) -> bool:
        """Whether every input is dense over the iteration space (or a single element), so that its shape is immaterial."""
        size = self.outputs[0].spec.size
        return all(ref.spec.size in (1, size) for ref in self.inputs)


@dataclass(slots=True)
class Plan:
    """A program under construction."""

    steps: list[Step]
    inputs: list[Ref]
    outputs: list[Ref]

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
