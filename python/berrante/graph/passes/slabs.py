"""Slabs: what happens to samples in the lanes between two full batches, one block of samples after the other.

Where samples lie in the vector lanes (layout.py), convolutions, pooling, maps and the parts of sums treat each block of
samples on its own. This pass gathers such steps into loops: each thread takes blocks through all steps of a loop, without
waiting for the others in between, and what only the loop needs exists for one block at a time, in cache. A weight
gradient or a sum over samples leaves one partial result a block, which a step after the loop adds in order, so the values
do not depend on who computes which block.

A step joins the loop being gathered if nothing it reads needs that loop's end; steps in between move before the loop if
they need nothing from it, and after it otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from berrante.graph.passes.ir import Buffer, Loop, MapStep, Plan, Ref, Step
from berrante.graph.tensor import TensorSpec

# Kernels over images in the lanes, and which of their inputs are images.
_IMAGES = {
    "conv2d_lanes": (0,),
    "conv2d_lanes_input_grad": (0,),
    "conv2d_lanes_weight_grad": (0, 1),
    "pool2d": (0,),
    "pool2d_grad": (0, 1),
    "pool2d_pick": (0, 1),
    "resize2d": (0,),
    "resize2d_grad": (0,),
}
_SUMS = ("conv2d_lanes_weight_grad", "reduce")
_PLACED = {"coordinate", "uniform", "normal", "bits"}  # micro-operations that depend on where an element lies


class Split(NamedTuple):
    """How a step falls into slabs."""

    slabs: int
    sliding: frozenset[int]  # inputs that do; the others are the same for all slabs
    sums: bool  # the result is a sum over the slabs


def form_loops(plan: Plan) -> None:
    """Runs the pass in place."""
    splits = _splits(plan.steps)
    if len(splits) < 2:
        return
    steps: list[Step] = []
    rest = plan.steps
    needed = _Readers(plan)
    while True:
        before, members, after = _gather(rest, splits)
        steps += before
        if not members:
            break
        steps += _loop(members, splits, needed) if len(members) > 1 else members
        rest = after
    plan.steps = steps


# --- what can be split ------------------------------------------------------------------------------------------------


def _splits(steps: Iterable[Step]) -> dict[Step, Split]:
    """The steps that fall into slabs, followed from the conversions into the lanes on."""
    slabs: dict[Buffer, int] = {}  # buffers that are slabs, one after the other
    splits = {}
    for step in steps:
        split = _split(step, slabs)
        if split is not None and split.slabs > 1:
            splits[step] = split
        if step.kernel == "to_lanes":
            slabs[step.outputs[0].buffer] = step.outputs[0].spec.shape[0]
        elif split is not None and not split.sums:
            slabs |= {ref.buffer: split.slabs for ref in step.outputs}
    return splits


def _split(step: Step, slabs: dict[Buffer, int]) -> Split | None:
    if step.kernel in ("to_lanes", "from_lanes"):
        whole, image = (step.inputs[0], step.outputs[0])[:: 1 if step.kernel == "to_lanes" else -1]
        count, lanes = image.spec.shape[0], image.spec.shape[2]
        even = whole.spec.shape[0] == count * lanes and whole.is_whole and image.is_whole
        return Split(count, frozenset({0}), False) if even else None
    counts = {slabs[ref.buffer] for ref in step.inputs if ref.buffer in slabs and ref.is_whole}
    if len(counts) != 1:
        return None
    (count,) = counts
    slides = frozenset(i for i, ref in enumerate(step.inputs) if ref.is_whole and ref.buffer in slabs)
    if any(ref.buffer in slabs and i not in slides for i, ref in enumerate(step.inputs)):
        return None
    if step.kernel in _IMAGES:
        images = frozenset(_IMAGES[step.kernel])
        return Split(count, images, step.kernel in _SUMS) if slides == images else None
    if step.kernel == "reduce":
        outer, rows, _ = step.inputs[0].spec.shape
        return Split(count, slides, True) if outer == 1 and rows % count == 0 and step.attrs["kind"] == 0 else None
    return _split_map(step, count, slides) if isinstance(step, MapStep) else None


def _split_map(step: MapStep, count: int, slides: frozenset[int]) -> Split | None:
    if step.shape[0] != count or any(micro in _PLACED for micro, _, _ in step.code):
        return None
    for i, ref in enumerate(step.inputs):
        padded = (1,) * (len(step.shape) - len(ref.spec.shape)) + ref.spec.shape
        if i not in slides and ref.spec.size != 1 and padded[0] != 1:
            return None
        if i in slides and padded != step.shape and not (step.is_flat and ref.spec.size == step.outputs[0].spec.size):
            return None
    return Split(count, slides, False)


# --- which steps belong together --------------------------------------------------------------------------------------


def _gather(steps: list[Step], splits: dict[Step, Split]) -> tuple[list[Step], list[Step], list[Step]]:
    """The first loop's steps, and what goes before it and after it."""
    before: list[Step] = []
    members: list[Step] = []
    after: list[Step] = []
    inside: set[Buffer] = set()  # slabs that members write
    late: set[Buffer] = set()  # what exists after the loop only
    slabs = 0
    for step in steps:
        split = splits.get(step)
        reads = {ref.buffer for ref in step.inputs}
        writes = {ref.buffer for ref in step.outputs}
        if split is not None and split.slabs == (slabs or split.slabs) and not reads & late:
            slabs = split.slabs
            members.append(step)
            (late if split.sums else inside).update(writes)
        elif reads & (late | inside):
            after.append(step)
            late |= writes
        else:
            before.append(step)
    return before, members, after


class _Readers:
    """Who reads each buffer."""

    def __init__(self, plan: Plan) -> None:
        self.steps: dict[Buffer, set[Step]] = {}
        for step in plan.steps:
            for ref in step.inputs:
                self.steps.setdefault(ref.buffer, set()).add(step)
        self.outputs = {ref.buffer for ref in plan.outputs}

    def only(self, buffer: Buffer, members: set[Step]) -> bool:
        return buffer.kind == "temp" and buffer not in self.outputs and self.steps.get(buffer, set()) <= members


# --- the loop ---------------------------------------------------------------------------------------------------------


def _loop(members: list[Step], splits: dict[Step, Split], needed: _Readers) -> list[Step]:
    """The loop, and the sums of its partial results."""
    slabs = splits[members[0]].slabs
    loop = Loop([], [], slabs, [])
    inside = set(members)
    place: dict[Buffer, Buffer] = {}  # a buffer of the loop's own for one slab instead of all
    outer: dict[Buffer, Ref] = {}  # inputs from outside
    finals: list[Step] = []

    def slab_of(ref: Ref) -> Ref:
        shape = ref.spec.shape
        # The slabs are the outermost extent, or (in a sum) a factor of the second.
        cut = (shape[0], shape[1] // slabs, *shape[2:]) if shape[0] == 1 else (shape[0] // slabs, *shape[1:])
        return Ref(place.get(ref.buffer, ref.buffer), 0, TensorSpec(cut, ref.spec.dtype))

    for step in members:
        split = splits[step]
        inputs = []
        for i, ref in enumerate(step.inputs):
            if ref.buffer not in place and not any(ref.buffer is r.buffer for r in loop.outputs):
                outer.setdefault(ref.buffer, ref)
            if i in split.sliding:
                if ref.buffer not in place:
                    loop.sliding.add(ref.buffer)
                inputs.append(slab_of(ref))
            else:
                inputs.append(ref)
        if split.sums:
            outputs = [_partial(loop, step.outputs[0], step, finals)]
        else:
            for ref in step.outputs:
                if needed.only(ref.buffer, inside):
                    place[ref.buffer] = Buffer(ref.buffer.size // slabs, ref.buffer.dtype)
                    loop.own.add(place[ref.buffer])
                else:
                    loop.sliding.add(ref.buffer)
                    loop.outputs.append(ref)
            outputs = [slab_of(ref) for ref in step.outputs]
        loop.body.append(_body_step(step, inputs, outputs))
    loop.inputs = list(outer.values())
    return [loop, *finals]


def _body_step(step: Step, inputs: list[Ref], outputs: list[Ref]) -> Step:
    if not isinstance(step, MapStep):
        return Step(step.kernel, inputs, outputs, step.attrs)
    return step.moved(inputs, outputs, (1, *step.shape[1:]))


def _partial(loop: Loop, result: Ref, step: Step, finals: list[Step]) -> Ref:
    """Where the slab's part of a sum goes; `finals` gets the step that adds the parts."""
    size = result.spec.size
    parts = Buffer(loop.slabs * size, "float32")
    loop.sliding.add(parts)
    loop.outputs.append(Ref(parts, 0, TensorSpec((loop.slabs, size), "float32")))
    total = result._replace(spec=TensorSpec((1, size), "float32"))
    finals.append(Step("reduce", [Ref(parts, 0, TensorSpec((1, loop.slabs, size), "float32"))], [total], {"kind": 0}))
    return Ref(parts, 0, result.spec)
