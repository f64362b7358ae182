"""Fusion: bias and activation into the kernels before them, and chains of elementwise operations into one map.

A map is merged with the map that produces one of its inputs when both walk the same elements and one of them can move
to the other's place: the consumer up, if all its inputs exist there already, or the producer down, if nobody between
needs it. Values that others still need stay outputs of the merged map.
"""

from __future__ import annotations

from berrante.graph.formats import ROUNDING
from berrante.graph.passes.ir import Buffer, MapStep, Plan, Ref, Register, Step
from berrante.graph.passes.lower import rounding

MAX_INPUTS = 16
MAX_OUTPUTS = 8
MAX_CODE = 64

# Kernels that add a bias over their last dimension and apply an activation as they store, and how many inputs they
# have without the bias.
_EPILOGUES = {"matmul": 2, "conv2d": 2, "conv2d_input_grad": 2}
_ACTIVATIONS = {"relu": 1, "sigmoid": 2, "tanh": 3}


def fuse(plan: Plan) -> None:
    """Runs both fusions in place."""
    fuse_epilogues(plan)
    fuse_maps(plan)


# --- epilogues ------------------------------------------------------------------------------------------------------


def _is_rounding(step: Step) -> bool:
    """Whether the step rounds one tensor to a 16-bit type and does nothing else."""
    return isinstance(step, MapStep) and len(step.code) == 1 and step.code[0][0] in ROUNDING.values()


def _unrounded(step: MapStep) -> list[str]:
    """The step's micro-operations, without a rounding at the end."""
    micros = [micro for micro, _, _ in step.code]
    return micros[:-1] if len(micros) > 1 and micros[-1] in ROUNDING.values() else micros


def _bias_of(step: MapStep, y: Ref) -> Ref | None:
    """The bias that this map adds to y, if that is all it does (but for rounding the sum)."""
    if _unrounded(step) != ["add_f"] or len(step.inputs) != 2 or len(step.results) != 1:
        return None
    bias = step.inputs[1] if step.inputs[0].buffer is y.buffer else step.inputs[0]
    channels = y.spec.shape[-1]
    if step.shape[-1:] != (channels,) or bias.spec.size != channels or bias.spec.shape[-1:] != (channels,):
        return None
    return bias


def _activation_of(step: MapStep) -> int | None:
    if len(_unrounded(step)) != 1 or len(step.inputs) != 1 or _is_rounding(step):
        return None
    micro, _, operands = step.code[0]
    if micro == "tanh_f":
        return _ACTIVATIONS["tanh"]
    if micro == "sigmoid_f":
        return _ACTIVATIONS["sigmoid"]
    if micro == "max_f" and len(step.constants) == 1 and step.constants[0] == 0.0 and operands[0][0] == "in":
        return _ACTIVATIONS["relu"]
    return None


def _only_reader(plan: Plan, readers: dict[Buffer, list[int]], y: Ref) -> tuple[int, MapStep | None]:
    """The map that alone reads a tensor, and where it stands."""
    users = readers.get(y.buffer, [])
    if len(users) != 1 or users[0] >= len(plan.steps):
        return -1, None
    step = plan.steps[users[0]]
    return users[0], step if isinstance(step, MapStep) else None


def fuse_epilogues(plan: Plan) -> None:
    readers = plan.readers()
    removed: set[int] = set()
    producer = plan.producers()
    for i, step in enumerate(plan.steps):
        if step.kernel not in _EPILOGUES:
            continue
        # At most a bias and then an activation, each the only reader of what comes before it. In 16 bits each is preceded
        # by a rounding, which moves behind: sum, bias and activation are rounded once.
        for _ in range(2):
            y = step.outputs[0]
            place, follower = _only_reader(plan, readers, y)
            rounds = place if follower is not None and _is_rounding(follower) else None
            if rounds is not None and follower is not None:
                y = follower.outputs[0]._replace(spec=y.spec)
                place, follower = _only_reader(plan, readers, y)
            if follower is None or follower.outputs[0].spec.size != y.spec.size or step.attrs["activation"] != 0:
                break
            if rounds is None and len(follower.code) > 1:
                break
            bias = _bias_of(follower, y) if len(step.inputs) == _EPILOGUES[step.kernel] else None
            activation = _activation_of(follower)
            if bias is not None and producer.get(bias.buffer, -1) < i:
                channels = y.spec.shape[-1]
                step.inputs.append(bias._replace(spec=bias.spec._replace(shape=(channels,))))
                readers.setdefault(bias.buffer, []).append(i)
            elif activation is not None:
                step.attrs["activation"] = activation
            else:
                break
            result = follower.outputs[0]
            removed.add(place)
            if rounds is None:
                step.outputs = [Ref(result.buffer, 0, y.spec)]
                producer[result.buffer] = i
            else:
                raw = step.outputs[0]._replace(spec=y.spec)
                plan.steps[rounds] = rounding(raw, result._replace(spec=y.spec), result.buffer.format)
                producer[result.buffer] = rounds
    plan.steps = [step for i, step in enumerate(plan.steps) if i not in removed]


# --- maps -----------------------------------------------------------------------------------------------------------


class _Fuser:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.steps: list[Step | None] = list(plan.steps)
        self.producer = plan.producers()
        self.readers = {buffer: set(positions) for buffer, positions in plan.readers().items()}

    def run(self) -> None:
        for i in range(len(self.steps)):
            at = i
            while isinstance(self.steps[at], MapStep):
                merged = self._merge_with_a_producer(at)
                if merged is None:
                    break
                at = merged
        self.plan.steps = [step for step in self.steps if step is not None]

    def _merge_with_a_producer(self, at: int) -> int | None:
        consumer = self.steps[at]
        assert isinstance(consumer, MapStep)
        for ref in consumer.inputs:
            place = self.producer.get(ref.buffer)
            producer = self.steps[place] if place is not None else None
            if place is None or not isinstance(producer, MapStep) or not ref.is_whole:
                continue
            if not _same_elements(producer, consumer):
                continue
            target = self._meeting_place(place, at, producer, consumer)
            if target is None:
                continue
            merged = self._merge(producer, consumer, {place, at})
            if merged is None:
                continue
            self._replace(place, at, target, merged)
            return target
        return None

    def _meeting_place(self, first: int, second: int, producer: MapStep, consumer: MapStep) -> int | None:
        if all(self.producer.get(ref.buffer, -1) <= first for ref in consumer.inputs):
            return first
        waiting = (p for ref in producer.outputs for p in self.readers.get(ref.buffer, ()))
        if all(p >= second for p in waiting):
            return second
        return None

    def _merge(self, producer: MapStep, consumer: MapStep, places: set[int]) -> MapStep | None:
        shape = consumer.shape if producer.is_flat else producer.shape
        merged = MapStep(list(producer.inputs), [], shape=shape)
        merged.constants = producer.constants + consumer.constants
        merged.code = list(producer.code)
        merged.temps = producer.temps + consumer.temps
        made: dict[Buffer, Register] = {
            ref.buffer: register for ref, register in zip(producer.outputs, producer.results, strict=True)
        }
        rename: dict[Register, Register] = {}
        for k, ref in enumerate(consumer.inputs):
            if ref.buffer in made:
                if not ref.is_whole:
                    return None
                rename["in", k] = made[ref.buffer]
            elif ref in merged.inputs:
                rename["in", k] = ("in", merged.inputs.index(ref))
            else:
                merged.inputs.append(ref)
                rename["in", k] = ("in", len(merged.inputs) - 1)

        def renamed(register: Register) -> Register:
            kind, k = register
            if kind == "const":
                return (kind, k + len(producer.constants))
            return (kind, k + producer.temps) if kind == "temp" else rename[register]

        for micro, target, operands in consumer.code:
            merged.code.append((micro, renamed(target), tuple(renamed(r) for r in operands)))
        for ref, register in zip(producer.outputs, producer.results, strict=True):
            if not self.readers.get(ref.buffer, set()) <= places:
                merged.outputs.append(ref)
                merged.results.append(register)
        for ref, register in zip(consumer.outputs, consumer.results, strict=True):
            merged.outputs.append(ref)
            merged.results.append(renamed(register))
        if len(merged.inputs) > MAX_INPUTS or len(merged.outputs) > MAX_OUTPUTS or len(merged.code) > MAX_CODE:
            return None
        return merged

    def _replace(self, first: int, second: int, target: int, merged: MapStep) -> None:
        self.steps[first] = self.steps[second] = None
        self.steps[target] = merged
        for positions in self.readers.values():
            if first in positions or second in positions:
                positions -= {first, second}
        for ref in merged.inputs:
            self.readers.setdefault(ref.buffer, set()).add(target)
        for ref in merged.outputs:
            self.producer[ref.buffer] = target


def _same_elements(a: MapStep, b: MapStep) -> bool:
    if a.shape == b.shape:
        return True
    return a.outputs[0].spec.size == b.outputs[0].spec.size and (a.is_flat or b.is_flat)


def fuse_maps(plan: Plan) -> None:
    _Fuser(plan).run()
