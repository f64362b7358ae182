"""Winograd: 3x3 convolutions of many channels with a quarter of the multiplications, where that repays the transforms.

The kernels are `conv2d_winograd` and `conv2d_winograd_weight_grad` (csrc/cpu/winograd.h has the method). Their sums round
otherwise than direct ones do: errors are within about twice those of a direct float32 sum. `set_winograd(False)`, or
BERRANTE_WINOGRAD=0 in the environment, keeps all convolutions direct.
"""

from __future__ import annotations

import os

from berrante.graph.passes.ir import Plan, Step
from berrante.runtime import kernels

_enabled = os.environ.get("BERRANTE_WINOGRAD", "1") != "0"

_FEWEST_CHANNELS = 16
# The work per pair of channel and filter, in multiply-adds of a direct convolution: a tile's products with its share of
# the transforms (measured, 36 at best), and the filters' transform.
_TILE_WORK, _FILTER_WORK = 54, 1500


def winograd() -> bool:
    """Whether programs compiled from now on may use Winograd's algorithm for 3x3 convolutions."""
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
    if filters.spec.shape[:2] != (3, 3) or attrs["groups"] != 1:
        return
    if any(attrs[f"{name}_{side}"] != 1 for name in ("stride", "dilation") for side in "hw"):
        return
    n, height, width, _ = result.spec.shape
    channels = (image.spec.shape[3], result.spec.shape[3])
    if min(channels) < _FEWEST_CHANNELS or any(c % kernels.lanes() for c in channels):
        return
    tiles = n * -(-height // 4) * -(-width // 4)
    if tiles * _TILE_WORK + _FILTER_WORK > n * height * width * 9:
        return
    pads = attrs["pad_top"], attrs["pad_left"]
    if step.kernel == "conv2d_input_grad":
        pads = 2 - pads[0], 2 - pads[1]
    step.attrs = {"pad_top": pads[0], "pad_left": pads[1]}
    if step.kernel == "conv2d_weight_grad":
        step.kernel = "conv2d_winograd_weight_grad"
        return
    step.attrs |= {"adjoint": int(step.kernel == "conv2d_input_grad"), "activation": attrs["activation"]}
    step.kernel = "conv2d_winograd"
