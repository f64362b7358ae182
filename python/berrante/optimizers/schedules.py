"""Learning rates as functions of the step, after keras.optimizers.schedules."""

from __future__ import annotations

import math
from typing import Any

from berrante import ops


class LearningRateSchedule:
    """`schedule(step)` gives the learning rate; written in operations, so that programs compute it."""

    fields: tuple[str, ...] = ()

    def __call__(self, step: Any) -> Any:
        raise NotImplementedError(
            f"Learning rate schedule '{type(self).__name__}' must override `__call__(self, step)`."
        )

    def get_config(self) -> dict[str, Any]:
        if not self.fields:
            raise NotImplementedError(
                f"Learning rate schedule '{type(self).__name__}' must override `get_config()` in order to be serializable."
            )
        return {field: getattr(self, field) for field in self.fields}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        return cls(**config)

    def _check_steps(self, name: str, steps: float) -> None:
        if steps <= 0:
            raise ValueError(f"{type(self).__name__}: Argument `{name}` must be > 0. Received: {name}={steps}")


def _progress(step: Any, decay_steps: float, staircase: bool = False) -> Any:
    p = ops.divide(ops.cast(step, "float32"), float(decay_steps))
    return ops.floor(p) if staircase else p


class ExponentialDecay(LearningRateSchedule):
    """initial * rate^(step / decay_steps)."""

    fields = ("initial_learning_rate", "decay_steps", "decay_rate", "staircase", "name")

    def __init__(self, initial_learning_rate: float, decay_steps: int, decay_rate: float, staircase: bool = False,
                 name: str = "ExponentialDecay") -> None:  # fmt: skip
        self.initial_learning_rate, self.decay_steps, self.decay_rate = initial_learning_rate, decay_steps, decay_rate
        self.staircase, self.name = staircase, name
        self._check_steps("decay_steps", decay_steps)

    def __call__(self, step: Any) -> Any:
        p = _progress(step, self.decay_steps, self.staircase)
        return ops.multiply(ops.exp(ops.multiply(p, math.log(self.decay_rate))), self.initial_learning_rate)


class InverseTimeDecay(LearningRateSchedule):
    """initial / (1 + rate * step / decay_steps)."""

    fields = ("initial_learning_rate", "decay_steps", "decay_rate", "staircase", "name")

    def __init__(self, initial_learning_rate: float, decay_steps: int, decay_rate: float, staircase: bool = False,
                 name: str = "InverseTimeDecay") -> None:  # fmt: skip
        self.initial_learning_rate, self.decay_steps, self.decay_rate = initial_learning_rate, decay_steps, decay_rate
        self.staircase, self.name = staircase, name
        self._check_steps("decay_steps", decay_steps)

    def __call__(self, step: Any) -> Any:
        p = _progress(step, self.decay_steps, self.staircase)
        return ops.divide(self.initial_learning_rate, ops.add(ops.multiply(p, self.decay_rate), 1.0))


class PolynomialDecay(LearningRateSchedule):
    """From initial to end along a power of the remaining time."""

    fields = ("initial_learning_rate", "decay_steps", "end_learning_rate", "power", "cycle", "name")

    def __init__(self, initial_learning_rate: float, decay_steps: int, end_learning_rate: float = 1e-4,
                 power: float = 1.0, cycle: bool = False, name: str = "PolynomialDecay") -> None:  # fmt: skip
        self.initial_learning_rate, self.decay_steps = initial_learning_rate, decay_steps
        self.end_learning_rate, self.power, self.cycle, self.name = end_learning_rate, power, cycle, name
        self._check_steps("decay_steps", decay_steps)

    def __call__(self, step: Any) -> Any:
        step = ops.cast(step, "float32")
        total: Any = float(self.decay_steps)
        if self.cycle:
            cycles = ops.where(ops.equal(step, 0.0), 1.0, ops.ceil(ops.divide(step, total)))
            total = ops.multiply(cycles, total)
        else:
            step = ops.minimum(step, total)
        left = ops.power(ops.subtract(1.0, ops.divide(step, total)), float(self.power))
        return ops.add(ops.multiply(left, self.initial_learning_rate - self.end_learning_rate), self.end_learning_rate)


class PiecewiseConstantDecay(LearningRateSchedule):
    """values[i] up to and including boundaries[i], then the next."""

    fields = ("boundaries", "values", "name")

    def __init__(self, boundaries: Any, values: Any, name: str = "PiecewiseConstant") -> None:
        if len(values) != len(boundaries) + 1:
            raise ValueError(
                f"PiecewiseConstantDecay: expected one value more than boundaries; received {len(values)} values and "
                f"{len(boundaries)} boundaries"
            )
        self.boundaries, self.values, self.name = list(boundaries), list(values), name

    def __call__(self, step: Any) -> Any:
        step = ops.cast(step, "float32")
        rate: Any = ops.convert_to_tensor(float(self.values[-1]))
        for boundary, value in reversed(list(zip(self.boundaries, self.values[:-1], strict=True))):
            rate = ops.where(ops.less_equal(step, float(boundary)), float(value), rate)
        return rate


class CosineDecay(LearningRateSchedule):
    """Half a cosine from initial to alpha * initial, after an optional linear warm-up."""

    fields = ("initial_learning_rate", "decay_steps", "alpha", "name", "warmup_target", "warmup_steps")

    def __init__(self, initial_learning_rate: float, decay_steps: int, alpha: float = 0.0, name: str = "CosineDecay",
                 warmup_target: float | None = None, warmup_steps: int = 0) -> None:  # fmt: skip
        self.initial_learning_rate, self.decay_steps, self.alpha, self.name = (
            initial_learning_rate,
            decay_steps,
            alpha,
            name,
        )
        self.warmup_target, self.warmup_steps = warmup_target, warmup_steps
        self._check_steps("decay_steps", decay_steps)

    def __call__(self, step: Any) -> Any:
        step = ops.cast(step, "float32")
        warm = self.warmup_target is not None
        top = self.warmup_target if self.warmup_target is not None else self.initial_learning_rate
        late = ops.subtract(step, float(self.warmup_steps)) if warm else step
        p = ops.minimum(ops.divide(late, float(self.decay_steps)), 1.0)
        wave = ops.multiply(ops.add(ops.cos(ops.multiply(p, math.pi)), 1.0), 0.5)
        rate = ops.multiply(ops.add(ops.multiply(wave, 1.0 - self.alpha), self.alpha), top)
        if not warm:
            return rate
        rising = ops.add(
            ops.multiply(ops.divide(step, float(max(self.warmup_steps, 1))), top - self.initial_learning_rate),
            self.initial_learning_rate,
        )
        return ops.where(ops.less(step, float(self.warmup_steps)), rising, rate)


class CosineDecayRestarts(LearningRateSchedule):
    """Half cosines one after the other (Loshchilov and Hutter, 2017): each t_mul times as long, m_mul times as high."""

    fields = ("initial_learning_rate", "first_decay_steps", "t_mul", "m_mul", "alpha", "name")

    def __init__(self, initial_learning_rate: float, first_decay_steps: int, t_mul: float = 2.0, m_mul: float = 1.0,
                 alpha: float = 0.0, name: str = "SGDRDecay") -> None:  # fmt: skip
        self.initial_learning_rate, self.first_decay_steps = initial_learning_rate, first_decay_steps
        self.t_mul, self.m_mul, self.alpha, self.name = t_mul, m_mul, alpha, name
        self._check_steps("first_decay_steps", first_decay_steps)

    def __call__(self, step: Any) -> Any:
        done = _progress(step, self.first_decay_steps)
        t = float(self.t_mul)
        if t == 1.0:
            restarts = ops.floor(done)
            done = ops.subtract(done, restarts)
        else:
            ratio = ops.divide(ops.log(ops.subtract(1.0, ops.multiply(done, 1.0 - t))), math.log(t))
            # Where a restart falls on a step, rounding decides in Keras; here it is a restart.
            restarts = ops.floor(ops.add(ratio, 1e-5))
            length = ops.power(t, restarts)
            before = ops.divide(ops.subtract(1.0, length), 1.0 - t)
            done = ops.divide(ops.subtract(done, before), length)
        height = ops.power(float(self.m_mul), restarts)
        wave = ops.multiply(ops.multiply(ops.add(ops.cos(ops.multiply(done, math.pi)), 1.0), 0.5), height)
        return ops.multiply(ops.add(ops.multiply(wave, 1.0 - self.alpha), self.alpha), self.initial_learning_rate)


ALL = (ExponentialDecay, InverseTimeDecay, PolynomialDecay, PiecewiseConstantDecay, CosineDecay, CosineDecayRestarts)


def serialize(learning_rate_schedule: Any) -> Any:
    """The schedule's config."""
    from berrante.saving.registry import serialize_keras_object

    return serialize_keras_object(learning_rate_schedule)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The schedule of a config."""
    from berrante.saving.registry import deserialize_keras_object

    return deserialize_keras_object(config, custom_objects)
