"""Winograd: convolutions of many channels with fewer multiplications, where that repays the transforms: a quarter of them
for 3x3 filters with stride 1, two fifths for 4x4 with stride 2.

The kernels are `conv2d_winograd` and `conv2d_winograd_weight_grad` (csrc/cpu/winograd.h has the method). Their sums round
otherwise than direct ones do: errors are within about twice those of a direct float32 sum. `set_winograd(False)`, or
BERRANTE_WINOGRAD=0 in the environment, keeps all convolutions direct.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from berrante.graph.passes.ir import Plan, Step
from berrante.runtime import kernels

_enabled = os.environ.get("BERRANTE_WINOGRAD", "1") != "0"

_FEWEST_CHANNELS = 16


class _Method(NamedTuple):
    """The work per pair of channel and filter, in multiply-adds of a direct convolution: a tile's products with its share
    of the transforms (measured), and the filters' transform."""

    tile: int
    filter: int


# By the filters' extents and the stride. A tile has 36 and 100 products.
_METHODS = {(3, 3, 1): _Method(54, 1500), (4, 4, 2): _Method(150, 2000)}


def winograd() -> bool:
    """Whether programs compiled from now on may use Winograd's algorithms for convolutions."""
    return _enabled


def set_winograd(enabled: bool) -> None:
    """Sets what `winograd()` gives; the default is True. Programs that are compiled already stay as they are."""
    global _enabled
    _enabled = bool(enabled)


def use_winograd(plan: Plan) -> None:
    """Runs the pass in place."""
    if _enabled:
        for step in plan.steps:
            _change(step)


def _change(step: Step) -> None:
    if step.kernel in ("conv2d", "conv2d_input_grad"):
        image, filters, result = step.inputs[0], step.inputs[1], step.outputs[0]
    elif step.kernel == "conv2d_weight_grad":
        image, filters, result = step.inputs[0], step.outputs[0], step.inputs[1]
    else:
        return
    attrs = step.attrs
    taps, stride = filters.spec.shape[:2], attrs["stride_h"]
    method = _METHODS.get((*taps, stride))
    if method is None or stride != attrs["stride_w"] or attrs["groups"] != 1:
        return
    if attrs["dilation_h"] != 1 or attrs["dilation_w"] != 1:
        return
    channels = (image.spec.shape[3], result.spec.shape[3])
    if min(channels) < _FEWEST_CHANNELS or any(c % kernels.lanes() for c in channels):
        return
    adjoint = step.kernel == "conv2d_input_grad"
    n, height, width, _ = result.spec.shape
    outputs = n * height * width
    if adjoint:
        # The phases of the result, of which all have as many elements as the largest.
        outputs = n * image.spec.shape[1] * image.spec.shape[2]
        height, width = (
            -(-(size + attrs[pad] % stride) // stride) for size, pad in ((height, "pad_top"), (width, "pad_left"))
        )
    tiles = n * -(-height // 4) * -(-width // 4)
    if tiles * method.tile + method.filter > outputs * taps[0] * taps[1]:
        return
    step.attrs = {"stride": stride, "pad_top": attrs["pad_top"], "pad_left": attrs["pad_left"]}
    if step.kernel == "conv2d_weight_grad":
        step.kernel = "conv2d_winograd_weight_grad"
        return
    step.attrs |= {"adjoint": int(adjoint), "activation": attrs["activation"]}
    step.kernel = "conv2d_winograd"
