"""Sums over rows inside the map that computes what is summed, where nothing else reads it: it is never stored.

A batch normalisation's gradient needs the sums of dy and of dy * x over everything but the channels, a bias the sum of dy.
"""

from __future__ import annotations

import math

from berrante.graph.passes.ir import Buffer, MapStep, Plan, Step
from berrante.graph.primitives import REDUCTIONS

_LONGEST_ROW = 2048  # a task keeps that many sums
_FEWEST_ROWS = 64


def sum_in_maps(plan: Plan) -> None:
    """Runs the pass in place."""
    readers = plan.readers()
    gone: set[int] = set()
    for step in plan.steps:
        if not isinstance(step, MapStep):
            continue
        sums = [0] * len(step.outputs)
        for k, ref in enumerate(step.outputs):
            reading = readers.get(ref.buffer, [])
            if len(reading) != 1 or reading[0] >= len(plan.steps) or not ref.is_whole or not _may_vanish(ref.buffer):
                continue
            reader = plan.steps[reading[0]]
            if _sums_rows(reader, ref.buffer, math.prod(step.shape)):
                sums[k] = reader.outputs[0].spec.size
                step.outputs[k] = reader.outputs[0]
                gone.add(reading[0])
        if any(sums):
            step.kernel = "map_sums"
            step.attrs = {"sums": sums}
    plan.steps = [step for i, step in enumerate(plan.steps) if i not in gone]


def _may_vanish(buffer: Buffer) -> bool:
    return buffer.kind == "temp" and buffer.array is None and buffer.parent is None and buffer.dtype == "float32"


def _sums_rows(step: Step, buffer: Buffer, size: int) -> bool:
    """Whether the step sums the whole buffer over all but its last dimension into memory that is nobody else's."""
    if step.kernel != "reduce" or step.attrs["kind"] != REDUCTIONS["sum"]:
        return False
    source, result = step.inputs[0], step.outputs[0]
    outer, rows, row = source.spec.shape
    return (
        source.buffer is buffer
        and source.is_whole
        and outer == 1
        and rows >= _FEWEST_ROWS
        and row <= _LONGEST_ROW
        and rows * row == size
        and result.buffer.array is None
    )
