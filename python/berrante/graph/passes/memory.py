"""Memory: concatenations in place, and one arena whose space is reused as lifetimes end.

A buffer lives from the step that writes it to the last that reads it. Steps are walked in order with a list of free
ranges (first fit, 64-byte units); a map may write over an input that dies with it. No two live buffers overlap, which
tests check without kernels.
"""

from __future__ import annotations

from berrante.graph.passes.ir import Buffer, MapStep, Plan, Ref
from berrante.graph.tensor import DTYPES

ALIGNMENT = 64


def concat_in_place(plan: Plan) -> None:
    """Lets the producers of a concatenation along the outermost dimension write straight into its output."""
    producers = plan.producers()
    steps = []
    for step in plan.steps:
        steps.append(step)
        if step.kernel != "concat" or step.inputs[0].spec.shape[0] != 1:
            continue
        whole = step.outputs[0].buffer
        if whole.parent is not None or whole.array is not None:
            continue
        offset = 0
        kept: list[Ref] = []
        for ref in step.inputs:
            part = ref.buffer
            free = part.kind == "temp" and part.parent is None and part in producers and ref.is_whole
            free = free and part is not whole and not any(part is other.buffer for other in kept)
            kept.append(ref)
            if free and not _is_parent(plan, part):
                part.parent, part.parent_offset = whole, offset
            offset += ref.spec.size
        if all(r.buffer.parent is whole for r in step.inputs) and len({r.buffer for r in step.inputs}) == len(
            step.inputs
        ):
            steps.pop()  # nothing left to copy
        else:
            for ref in step.inputs:
                if ref.buffer.parent is whole:
                    ref.buffer.parent = None
    plan.steps = steps


def _is_parent(plan: Plan, buffer: Buffer) -> bool:
    return any(ref.buffer.parent is buffer for step in plan.steps for ref in step.inputs)


def root(buffer: Buffer) -> tuple[Buffer, int]:
    """The buffer that a part lies in, and where (elements)."""
    offset = 0
    while buffer.parent is not None:
        offset += buffer.parent_offset
        buffer = buffer.parent
    return buffer, offset


def lifetimes(plan: Plan, among: set[Buffer] | None = None) -> dict[Buffer, tuple[int, int]]:
    """First and last step of every arena buffer (or those `among` them). Inputs live from the start; outputs to the end."""
    end = len(plan.steps)
    spans: dict[Buffer, tuple[int, int]] = {}

    def touch(ref: Ref, at: int) -> None:
        buffer, _ = root(ref.buffer)
        if buffer.array is None and (among is None or buffer in among):
            first, last = spans.get(buffer, (at, at))
            spans[buffer] = (min(first, at), max(last, at))

    for ref in plan.inputs:
        touch(ref, -1)
    for i, step in enumerate(plan.steps):
        for ref in (*step.inputs, *step.outputs):
            touch(ref, i)
    for ref in plan.outputs:
        touch(ref, end)
    return spans


class _FreeList:
    def __init__(self) -> None:
        self.free: list[list[int]] = []  # [start, end), sorted
        self.size = 0

    def take(self, size: int) -> int:
        for i, (start, end) in enumerate(self.free):
            if end - start >= size:
                if end - start == size:
                    del self.free[i]
                else:
                    self.free[i][0] += size
                return start
        start = self.size
        if self.free and self.free[-1][1] == self.size:
            start = self.free.pop()[0]
        self.size = start + size
        return start

    def give(self, start: int, size: int) -> None:
        end = start + size
        i = 0
        while i < len(self.free) and self.free[i][0] < start:
            i += 1
        self.free.insert(i, [start, end])
        if i + 1 < len(self.free) and self.free[i + 1][0] == end:
            self.free[i][1] = self.free.pop(i + 1)[1]
        if i > 0 and self.free[i - 1][1] == start:
            self.free[i - 1][1] = self.free.pop(i)[1]


def bytes_of(buffer: Buffer) -> int:
    size = buffer.size * DTYPES[buffer.dtype].itemsize
    return max(ALIGNMENT, -(-size // ALIGNMENT) * ALIGNMENT)


def assign_arena(plan: Plan, among: set[Buffer] | None = None) -> tuple[dict[Buffer, int], int]:
    """Byte offsets of all root buffers (or those `among` them) in the arena, and the arena's size.

    Inputs keep their memory for the whole program: a batch can be run again without loading it.
    """
    spans = lifetimes(plan, among)
    places: dict[Buffer, int] = {}
    free = _FreeList()
    begins: dict[int, list[Buffer]] = {}
    ends: dict[int, list[Buffer]] = {}
    for buffer, (first, last) in spans.items():
        begins.setdefault(first, []).append(buffer)
        if buffer.kind != "input":
            ends.setdefault(last, []).append(buffer)
    for at in range(-1, len(plan.steps) + 1):
        dying = ends.get(at, [])
        taken: set[Buffer] = set()
        for buffer in begins.get(at, []):
            heir = _overwritable(plan, at, buffer, dying, taken) if at >= 0 and at < len(plan.steps) else None
            if heir is not None:
                places[buffer] = places[heir]
                taken.add(heir)
            else:
                places[buffer] = free.take(bytes_of(buffer))
        for buffer in dying:
            if buffer not in taken:
                free.give(places[buffer], bytes_of(buffer))
    return places, free.size


def _overwritable(plan: Plan, at: int, buffer: Buffer, dying: list[Buffer], taken: set[Buffer]) -> Buffer | None:
    """An input of this map that dies here and whose elements line up with the output."""
    step = plan.steps[at]
    if not isinstance(step, MapStep):
        return None
    if not any(ref.buffer is buffer and ref.is_whole for ref in step.outputs):
        return None
    for ref in step.inputs:
        candidate = ref.buffer
        if (
            candidate in dying
            and candidate not in taken
            and candidate.kind == "temp"
            and ref.is_whole
            and candidate.size == buffer.size
            and candidate.dtype == buffer.dtype
            and sum(other.buffer is candidate for other in step.inputs) == 1
        ):
            return candidate
    return None
