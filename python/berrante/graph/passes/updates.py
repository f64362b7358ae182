"""Variables' new values into their memory, in place where no one still needs the old value there.

The step that computes a new value writes straight into the variable's storage if no later step (and no output) reads an
old value that overlaps it, and if the step itself reads overlapping memory only element by element (a map over exactly
that memory). Otherwise a copy at the end does it.
"""

from __future__ import annotations

from collections.abc import Sequence

from berrante.graph.passes.ir import Buffer, MapStep, Plan, Ref


def copy_step(source: Ref, target: Ref) -> MapStep:
    """A map that copies."""
    step = MapStep([source], [target], shape=source.spec.shape)
    step.results = [("in", 0)]
    return step


def _snapshot_old_values(plan: Plan, updates: list[tuple[Ref, Ref]]) -> list[tuple[Ref, Ref]]:
    """Old values that are outputs or other variables' new values are copied first, before anything is overwritten."""
    targets = [target.buffer for target, _ in updates]
    copies: list[MapStep] = []

    def safe(ref: Ref) -> Ref:
        if ref.buffer.kind != "variable" or not any(ref.buffer.overlaps(target) for target in targets):
            return ref
        fresh = Ref(Buffer(ref.spec.size, ref.spec.dtype), 0, ref.spec)
        copies.append(copy_step(ref, fresh))
        return fresh

    plan.outputs = [safe(ref) for ref in plan.outputs]
    result = []
    for target, source in updates:
        same = source.buffer.overlaps(target.buffer) and (source.buffer.offset + source.offset == target.buffer.offset)
        result.append((target, source if same else safe(source)))
    plan.steps[:0] = copies
    return result


def place_updates(plan: Plan, updates: Sequence[tuple[Ref, Ref]]) -> None:
    """`updates` pairs each variable's memory with its new value; flat variables come before their members."""
    pairs = _snapshot_old_values(plan, list(updates))
    # Every read of memory that lives in storages, by step; grows as buffers are placed there.
    stored_reads = [
        (i, ref) for i, step in enumerate(plan.steps) for ref in step.inputs if ref.buffer.kind == "variable"
    ]
    reads_of: dict[Buffer, list[tuple[int, Ref]]] = {}
    for i, step in enumerate(plan.steps):
        for ref in step.inputs:
            reads_of.setdefault(ref.buffer, []).append((i, ref))
    producer = plan.producers()
    copies: list[MapStep] = []
    for target, source in pairs:
        place = target.buffer
        buffer = source.buffer
        # A flat variable that is copied at the end would overwrite a member written earlier.
        copied = any(place.overlaps(step.outputs[0].buffer) for step in copies)
        if not copied and buffer.array is place.array and buffer.offset + source.offset == place.offset:
            continue
        if not copied and _can_write_in_place(plan, source, place, producer, stored_reads):
            buffer.array, buffer.offset, buffer.kind = place.array, place.offset, "variable"
            stored_reads.extend(reads_of.get(buffer, ()))
        else:
            copies.append(copy_step(source, target))
    plan.steps.extend(copies)


def _can_write_in_place(
    plan: Plan, source: Ref, place: Buffer, producer: dict[Buffer, int], stored_reads: list[tuple[int, Ref]]
) -> bool:
    buffer = source.buffer
    if buffer.kind != "temp" or not source.is_whole or buffer.dtype != place.dtype or buffer not in producer:
        return False
    at = producer[buffer]
    step = plan.steps[at]
    for i, ref in stored_reads:
        if i < at or not _touches(ref, place):
            continue
        exact = ref.buffer.offset + ref.offset == place.offset and ref.spec.size == place.size
        if i > at or not (isinstance(step, MapStep) and exact):
            return False
    return all(not _touches(ref, place) for ref in plan.outputs if ref.buffer.kind == "variable")


def _touches(ref: Ref, place: Buffer) -> bool:
    first = ref.buffer.offset + ref.offset
    return (
        ref.buffer.array is place.array and first < place.offset + place.size and place.offset < first + ref.spec.size
    )
