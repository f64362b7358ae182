"""Layout: convolutions of few channels, and what lies between them, with samples in the vector lanes.

A convolution whose result has few channels leaves most lanes of a vector empty when they run over channels. Laid out as
[block][H][W][C][lanes], lane l of block b being sample b * lanes + l, every vector is full. This pass moves such
convolutions there (the `conv2d_lanes` kernels), and with them pooling, resizing, elementwise maps and channel sums whose
images are there already, as they only see more channels. `to_lanes` and `from_lanes` stand at the borders.

Where the batch is no multiple of the lanes, the last block has lanes without a sample. Their values are finite but mean
nothing, so sums over samples move only where those lanes are known to hold zeros, which is followed through the steps.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from berrante.graph.passes.ir import Buffer, MapStep, Plan, Ref, Register, Step
from berrante.graph.tensor import TensorSpec
from berrante.runtime import kernels

# Channels of a result below which a convolution moves whatever the conversions cost, and up to which it follows images
# that are in the lanes already.
_FEW_CHANNELS, _SOME_CHANNELS = 16, 32
_SHORT_SUM = 32

_CONVOLUTIONS = {
    "conv2d": "conv2d_lanes",
    "conv2d_input_grad": "conv2d_lanes_input_grad",
    "conv2d_weight_grad": "conv2d_lanes_weight_grad",
}
_CHANNELWISE = ("pool2d", "pool2d_grad", "pool2d_pick", "resize2d", "resize2d_grad")
# Kernels of that list whose result is zero where the input of this number is.
_ZERO_FROM = {"pool2d": 0, "pool2d_grad": 1, "pool2d_pick": 1, "resize2d": 0, "resize2d_grad": 0}

_PLACED = {"coordinate", "uniform", "normal", "bits"}  # these depend on where an element lies
# Finite for finite operands, so that lanes without a sample stay finite; and those among them that keep zero.
_ZERO_KEEPING = {"neg_f", "abs_f", "sign_f", "square_f", "tanh_f", "sqrt_f", "erf_f", "to_f", "to_i"}
_FINITE = _ZERO_KEEPING - {"sqrt_f"} | {
    "add_f", "sub_f", "mul_f", "max_f", "min_f", "sigmoid_f", "eq_f", "ne_f", "lt_f", "le_f", "select", "softplus_f",
    "crossentropy_f", "crossentropy_slope_f",
}  # fmt: skip


class Image(NamedTuple):
    """The lanes' version of a buffer of N samples of `size` elements each."""

    ref: Ref  # [ceil(N / lanes), size, lanes]
    samples: int
    size: int
    zero: bool  # whether lanes without a sample hold zeros (also: there are none)


def move_to_lanes(plan: Plan) -> None:
    """Runs the pass in place."""
    lanes = kernels.lanes()
    if any(_wants_lanes(step, lanes, _FEW_CHANNELS - 1) for step in plan.steps):
        _Mover(plan, lanes).run()


def _images(step: Step) -> list[Ref]:
    """The operands and results of a convolution that are images."""
    if step.kernel == "conv2d_weight_grad":
        return step.inputs
    return [step.inputs[0], step.outputs[0]]


def _wants_lanes(step: Step, lanes: int, most: int) -> bool:
    """Whether this is a convolution that can run in the lanes, with at most so many channels in its result."""
    if step.kernel not in _CONVOLUTIONS or step.attrs["groups"] != 1:
        return False
    if step.kernel == "conv2d_input_grad" and (step.attrs["stride_h"] != 1 or step.attrs["stride_w"] != 1):
        return False
    if not all(ref.is_whole and ref.spec.shape[0] >= lanes for ref in _images(step)):
        return False
    # Where each sum is short (few channels in the input), more filters do not repay what surrounds it.
    short = step.kernel == "conv2d" and math.prod(step.inputs[1].spec.shape[:3]) < _SHORT_SUM
    return step.outputs[0].spec.shape[3] <= (_SOME_CHANNELS if short else most)


class _Mover:
    def __init__(self, plan: Plan, lanes: int) -> None:
        self.plan, self.lanes = plan, lanes
        self.steps: list[Step] = []
        self.images: dict[Buffer, Image] = {}
        self.absent: set[Buffer] = set()  # buffers that exist in the lanes alone

    def run(self) -> None:
        for step in self.plan.steps:
            if not self._move(step):
                for ref in step.inputs:
                    self._bring_back(ref.buffer)
                self.steps.append(step)
        for ref in self.plan.outputs:
            self._bring_back(ref.buffer)
        self.plan.steps = self.steps

    def _move(self, step: Step) -> bool:
        """Adds the step in the lanes, if it belongs there."""
        if _wants_lanes(step, self.lanes, _FEW_CHANNELS - 1) or (
            _wants_lanes(step, self.lanes, _SOME_CHANNELS) and self._here(step)
        ):
            return self._convolution(step)
        if not self._here(step):
            return False
        if step.kernel in _CHANNELWISE:
            return self._channelwise(step)
        if step.kernel == "reduce":
            return self._channel_sum(step)
        return isinstance(step, MapStep) and self._map(step)

    def _here(self, step: Step) -> bool:
        return any(ref.buffer in self.absent for ref in step.inputs)

    # --- borders ------------------------------------------------------------------------------------------------------

    def _exact(self, samples: int) -> bool:
        return samples % self.lanes == 0

    def _lanes_ref(self, buffer: Buffer, shape: tuple[int, ...]) -> Ref:
        """A buffer of the lanes as [blocks, *shape of a sample, lanes]."""
        blocks = buffer.size // (math.prod(shape) * self.lanes)
        return Ref(buffer, 0, TensorSpec((blocks, *shape, self.lanes), "float32"))

    def _enter(self, ref: Ref) -> Image:
        """The lanes' version of a whole operand whose first extent is the samples."""
        image = self.images.get(ref.buffer)
        if image is None:
            samples = ref.spec.shape[0]
            image = self._new(samples, ref.spec.size // samples, True)
            source = Ref(ref.buffer, 0, TensorSpec((samples, image.size), "float32"))
            self.steps.append(Step("to_lanes", [source], [image.ref]))
            self.images[ref.buffer] = image
        return image

    def _new(self, samples: int, size: int, zero: bool) -> Image:
        blocks = -(-samples // self.lanes)
        buffer = Buffer(blocks * size * self.lanes, "float32")
        return Image(self._lanes_ref(buffer, (size,)), samples, size, zero or self._exact(samples))

    def _result(self, ref: Ref, samples: int, zero: bool) -> Image:
        image = self._new(samples, ref.spec.size // samples, zero)
        self.images[ref.buffer] = image
        self.absent.add(ref.buffer)
        return image

    def _bring_back(self, buffer: Buffer) -> None:
        if buffer not in self.absent:
            return
        self.absent.remove(buffer)
        image = self.images[buffer]
        target = Ref(buffer, 0, TensorSpec((image.samples, image.size), "float32"))
        self.steps.append(Step("from_lanes", [image.ref], [target]))

    # --- steps --------------------------------------------------------------------------------------------------------

    def _view(self, image: Image, ref: Ref, wide: bool = False) -> Ref:
        """An image with the extents that the step gives it; `wide` counts the lanes among the channels."""
        view = self._lanes_ref(image.ref.buffer, ref.spec.shape[1:])
        if not wide:
            return view
        *outer, channels, lanes = view.spec.shape
        return view._replace(spec=view.spec._replace(shape=(*outer, channels * lanes)))

    def _convolution(self, step: Step) -> bool:
        x = step.inputs[0]
        if step.kernel == "conv2d_weight_grad":
            dy = step.inputs[1]
            known = self.images.get(dy.buffer)
            if known is not None and not known.zero:
                return False
            inputs = [self._view(self._enter(ref), ref) for ref in (x, dy)]
            outputs = step.outputs
        else:
            for ref in step.inputs[1:]:
                self._bring_back(ref.buffer)
            image = self._enter(x)
            # A bias, or an activation that does not keep zero, fills the lanes that have no sample.
            zero = image.zero and len(step.inputs) == 2 and step.attrs["activation"] != 2
            y = step.outputs[0]
            inputs = [self._view(image, x), *step.inputs[1:]]
            outputs = [self._view(self._result(y, image.samples, zero), y)]
        self.steps.append(Step(_CONVOLUTIONS[step.kernel], inputs, outputs, step.attrs))
        return True

    def _channelwise(self, step: Step) -> bool:
        if not all(ref.is_whole for ref in step.inputs):
            return False
        images = [self._enter(ref) for ref in step.inputs]
        inputs = [self._view(image, ref, wide=True) for image, ref in zip(images, step.inputs, strict=True)]
        y = step.outputs[0]
        result = self._result(y, images[0].samples, images[_ZERO_FROM[step.kernel]].zero)
        self.steps.append(Step(step.kernel, inputs, [self._view(result, y, wide=True)], step.attrs))
        return True

    def _channel_sum(self, step: Step) -> bool:
        """A sum over samples and positions: first of each lane, then over the lanes."""
        x = step.inputs[0]
        outer, _, channels = x.spec.shape
        image = self.images[x.buffer]
        if outer != 1 or step.attrs["kind"] != 0 or not image.zero or not x.is_whole or image.size % channels:
            return False
        lanes = self.lanes
        partial = Buffer(channels * lanes, "float32")
        rows = image.ref.spec.size // (channels * lanes)
        whole = Ref(image.ref.buffer, 0, TensorSpec((1, rows, channels * lanes), "float32"))
        self.steps.append(
            Step("reduce", [whole], [Ref(partial, 0, TensorSpec((1, channels * lanes), "float32"))], step.attrs)
        )
        result = step.outputs[0]._replace(spec=TensorSpec((channels, 1), "float32"))
        sums = Ref(partial, 0, TensorSpec((channels, lanes, 1), "float32"))
        self.steps.append(Step("reduce", [sums], [result], step.attrs))
        return True

    def _map(self, step: MapStep) -> bool:
        micros = {micro for micro, _, _ in step.code}
        known = next(self.images[ref.buffer] for ref in step.inputs if ref.buffer in self.absent)
        samples, total = known.samples, known.samples * known.size
        shape = (samples, known.size) if step.is_flat else step.shape
        if micros & _PLACED or (not self._exact(samples) and not micros <= _FINITE):
            return False
        if math.prod(shape) != total or shape[0] != samples or any(r.spec.dtype != "float32" for r in step.outputs):
            return False
        plan: list[Ref | None] = [self._broadcast(ref, shape) for ref in step.inputs]
        for ref, broadcast in zip(step.inputs, plan, strict=True):
            whole = ref.spec.size == total and ref.is_whole and ref.spec.dtype == "float32"
            if broadcast is None and not (whole and (ref.spec.shape == shape or step.is_flat)):
                return False
        sample = shape[1:]
        inputs, zeros = [], []
        for ref, broadcast in zip(step.inputs, plan, strict=True):
            if broadcast is not None:
                self._bring_back(ref.buffer)
                inputs.append(broadcast)
                zeros.append(False)
            else:
                image = self._enter(ref._replace(spec=ref.spec._replace(shape=(samples, known.size))))
                inputs.append(self._lanes_ref(image.ref.buffer, sample))
                zeros.append(image.zero)
        registers = _zero_registers(step, zeros)
        outputs = []
        for ref, register in zip(step.outputs, step.results, strict=True):
            image = self._result(ref, samples, registers.get(register, False))
            outputs.append(self._lanes_ref(image.ref.buffer, sample))
        self.steps.append(step.moved(inputs, outputs, outputs[0].spec.shape))
        return True

    def _broadcast(self, ref: Ref, shape: tuple[int, ...]) -> Ref | None:
        """An operand that is the same for all samples, to be broadcast over the lanes as well; None for others."""
        if ref.spec.size == 1:
            return ref
        own = (1,) * (len(shape) - len(ref.spec.shape)) + ref.spec.shape
        if len(own) != len(shape) or own[0] != 1:
            return None
        return ref._replace(spec=ref.spec._replace(shape=(*own, 1)))


def _zero_registers(step: MapStep, zeros: list[bool]) -> dict[Register, bool]:
    """Which registers of a map are zero where the inputs marked in `zeros` are (and all others are finite)."""
    zero: dict[Register, bool] = {("in", k): known for k, known in enumerate(zeros)}
    zero |= {("const", k): value == 0.0 for k, value in enumerate(step.constants)}
    for micro, target, operands in step.code:
        known = [zero.get(register, False) for register in operands]
        if micro == "mul_f":
            zero[target] = any(known)
        elif micro == "select":
            zero[target] = known[1] and known[2]
        elif micro in ("add_f", "sub_f", "max_f", "min_f") or micro in _ZERO_KEEPING:
            zero[target] = all(known)
        else:
            zero[target] = False
    return zero
