"""The base of optimizers, after keras.optimizers.Optimizer.

An optimizer moves the variables that it trains into one flat storage, and its slots likewise, so that an update is one
elementwise expression over flat vectors and becomes a single fused kernel. Where a variable must be treated on its own
(weight decay exclusions, variables that lie elsewhere), the same expression runs for each variable.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from berrante import ops
from berrante.graph.primitives import concat, reshape
from berrante.graph.variable import FlatVariable, Variable, flatten_variables
from berrante.optimizers.schedules import LearningRateSchedule


class Optimizer:
    """Updates variables from gradients.

    Args:
        learning_rate: a number or a schedule.
        weight_decay: decoupled; each step also subtracts learning_rate * weight_decay * variable.
        clipnorm: the largest norm of each variable's gradient; global_clipnorm: of all together.
        clipvalue: the largest absolute element of gradients.
        use_ema, ema_momentum, ema_overwrite_frequency: averages of the variables.
    """

    # Names of the per-variable slots, in Keras' order, and which of them start at other values than 0.
    slots: tuple[str, ...] = ()
    slot_initial: dict[str, str] = {}
    fields: tuple[str, ...] = ()
    default_learning_rate = 0.001

    def __init__(
        self, learning_rate: Any = None, weight_decay: float | None = None, clipnorm: float | None = None,
        clipvalue: float | None = None, global_clipnorm: float | None = None, use_ema: bool = False,
        ema_momentum: float = 0.99, ema_overwrite_frequency: int | None = None, loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None, name: str | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        if "lr" in kwargs:
            learning_rate = kwargs.pop("lr")
        decay = kwargs.pop("decay", None)
        if decay:
            warnings.warn("Optimizer: decay is ignored, as in Keras 3; use a schedule", stacklevel=3)
        if kwargs:
            raise ValueError(f"{type(self).__name__} got unexpected arguments: {', '.join(sorted(kwargs))}")
        if sum(x is not None for x in (clipnorm, clipvalue, global_clipnorm)) > 1:
            raise ValueError(f"{type(self).__name__}: expected at most one of clipnorm, clipvalue and global_clipnorm")
        if gradient_accumulation_steps is not None:
            raise ValueError(f"{type(self).__name__}: gradient_accumulation_steps is not supported")
        self.name = name or type(self).__name__.lower()
        self.weight_decay, self.clipnorm = weight_decay, clipnorm
        self.clipvalue, self.global_clipnorm = clipvalue, global_clipnorm
        self.use_ema, self.ema_momentum, self.ema_overwrite_frequency = use_ema, ema_momentum, ema_overwrite_frequency
        self.loss_scale_factor = loss_scale_factor
        self.gradient_accumulation_steps = gradient_accumulation_steps
        self.iterations = Variable(np.zeros((), np.int32), dtype="int32", trainable=False, name="iteration")
        self._schedule: LearningRateSchedule | None = None
        learning_rate = self.default_learning_rate if learning_rate is None else learning_rate
        if isinstance(learning_rate, dict):
            from berrante.saving.registry import deserialize_keras_object

            learning_rate = deserialize_keras_object(learning_rate)
        if isinstance(learning_rate, LearningRateSchedule):
            self._schedule, start = learning_rate, 0.0
        else:
            start = float(learning_rate)
        self._learning_rate = Variable(np.float32(start), trainable=False, name="learning_rate")
        self.built = False
        self._trainable: list[Variable] = []
        self._slots: dict[str, list[Variable]] = {}
        self._no_decay: set[Variable] = set()
        self._flat: FlatVariable | None = None
        self._flat_slots: dict[str, FlatVariable] = {}

    # --- state ------------------------------------------------------------------------------------------------------

    def build(self, variables: Sequence[Variable]) -> None:
        """Makes the slots for the variables to train."""
        if self.built:
            return
        self._trainable = list(variables)
        names = (*self.slots, *(("average",) if self.use_ema else ()))
        for slot in names:
            self._slots[slot] = []
            for v in self._trainable:
                value = v.numpy() if slot == "average" else self._slot_start(slot, v)
                variable = Variable(value, trainable=False, name=f"{v.name}_{slot}")
                variable.path = f"{self.name}/{v.path.replace('/', '_')}_{slot}"
                self._slots[slot].append(variable)
        self.built = True

    def _slot_start(self, slot: str, variable: Variable) -> np.ndarray:
        return np.zeros(variable.shape, np.float32)

    def _flatten(self) -> bool:
        """Moves parameters and slots into flat storages, where nothing needs them apart; says whether that holds."""
        if self._no_decay or not self._trainable:
            return False
        if self._flat is not None and self._flat.is_current:
            return all(flat.is_current for flat in self._flat_slots.values())
        if self._flat is not None:
            return False  # another optimizer took a variable
        if any(v.dtype != "float32" for v in self._trainable):
            return False
        self._flat = flatten_variables(self._trainable)  # type: ignore[assignment]
        self._flat_slots = {slot: flatten_variables(vs) for slot, vs in self._slots.items()}  # type: ignore[misc]
        return True

    @property
    def variables(self) -> list[Variable]:
        """Iteration, learning rate, then each variable's slots in turn (Keras' order)."""
        interleaved = [vs[i] for i in range(len(self._trainable)) for vs in self._slots.values()]
        return [self.iterations, self._learning_rate, *self._scalars(), *self._order(interleaved)]

    def _scalars(self) -> list[Variable]:
        return []

    def _order(self, interleaved: list[Variable]) -> list[Variable]:
        return interleaved

    @property
    def learning_rate(self) -> Any:
        """The rate that the next step uses."""
        if self._schedule is not None:
            return self._schedule(self.iterations.value)
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        if isinstance(value, LearningRateSchedule):
            self._schedule = value
            return
        if self._schedule is not None:
            raise TypeError(f"{type(self).__name__}: the learning rate is a schedule and cannot be set to a number")
        self._learning_rate.assign(np.float32(np.asarray(value)))

    lr = learning_rate

    def exclude_from_weight_decay(self, var_list: Any = None, var_names: Any = None) -> None:
        """Variables that weight_decay leaves alone, by themselves or by parts of their names."""
        self._excluded_names = list(var_names or ())
        self._no_decay |= set(var_list or ())

    # --- updates ----------------------------------------------------------------------------------------------------

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Any, Variable]]) -> Any:
        """apply for pairs of gradient and variable."""
        pairs = list(grads_and_vars)
        self.apply([g for g, _ in pairs], [v for _, v in pairs])
        return self.iterations

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Variable] | None = None) -> None:
        """One update. A gradient of None leaves its variable alone; if all are None, that is an error."""
        variables = list(trainable_variables) if trainable_variables is not None else self._trainable
        if len(grads) != len(variables):
            raise ValueError(f"{type(self).__name__}: received {len(grads)} gradients for {len(variables)} variables")
        if not self.built:
            self.build(variables)
        index = {v: i for i, v in enumerate(self._trainable)}
        for v in variables:
            if v not in index:
                raise ValueError(f"{type(self).__name__}: variable {v.path!r} is not one of those it was built with")
        missing = [v.path for g, v in zip(grads, variables, strict=True) if g is None]
        if missing:
            if len(missing) == len(grads):
                raise ValueError(f"no gradients for any variable: {', '.join(missing)}; does the loss depend on them?")
            warnings.warn(f"Gradients do not exist for variables {', '.join(missing)}", stacklevel=2)
        pairs = [(g, v) for g, v in zip(grads, variables, strict=True) if g is not None]
        gs = self._clip([ops.cast(g, "float32") for g, _ in pairs])
        lr = self._rate()
        whole = not missing and variables == self._trainable and self._flatten()
        if whole:
            assert self._flat is not None
            flat = concat([reshape(g, (g.size,)) for g in gs])
            self._update_one(flat, self._flat, {k: v for k, v in self._flat_slots.items()}, lr, True)
        else:
            for g, (_, v) in zip(gs, pairs, strict=True):
                slots = {name: vs[index[v]] for name, vs in self._slots.items()}
                self._update_one(g, v, slots, lr, v not in self._no_decay)
        self._finish()
        for _, v in pairs:
            if v.constraint is not None:
                v.assign(v.constraint(v.value))
        self.iterations.assign(ops.add(self.iterations.value, 1))

    def _rate(self) -> Any:
        if self._schedule is None:
            return self._learning_rate.value
        rate = self._schedule(self.iterations.value)
        self._learning_rate.assign(rate)
        return rate

    def _update_one(self, g: Any, v: Variable, slots: dict[str, Any], lr: Any, decay: bool) -> None:
        if self.weight_decay is not None and decay:
            v.assign(ops.subtract(v.value, ops.multiply(ops.multiply(v.value, self.weight_decay), lr)))
        self.update_step(g, v, slots, lr)
        if self.use_ema:
            average = slots["average"]
            m = self.ema_momentum
            # The first step starts the average at the variable.
            first = ops.equal(self.iterations.value, 0)
            m_now = ops.where(first, 0.0, m)
            average.assign(ops.add(ops.multiply(average.value, m_now), ops.multiply(v.value, ops.subtract(1.0, m_now))))
            if self.ema_overwrite_frequency:
                step = ops.add(self.iterations.value, 1)
                due = ops.equal(ops.mod(step, self.ema_overwrite_frequency), 0)
                v.assign(ops.where(due, average.value, v.value))

    def update_step(self, gradient: Any, variable: Variable, slots: dict[str, Variable], learning_rate: Any) -> None:
        raise NotImplementedError(f"{type(self).__name__} must define update_step()")

    def _finish(self) -> None:
        """Once a step, after all variables."""

    def _clip(self, grads: list[Any]) -> list[Any]:
        if self.clipvalue is not None:
            return [ops.clip(g, -self.clipvalue, self.clipvalue) for g in grads]
        if self.clipnorm is not None:
            return [_scaled(g, ops.sqrt(ops.sum(ops.square(g))), self.clipnorm) for g in grads]
        if self.global_clipnorm is not None:
            total = ops.sum(ops.stack([ops.sum(ops.square(g)) for g in grads]))
            return [_scaled(g, ops.sqrt(total), self.global_clipnorm) for g in grads]
        return grads

    def finalize_variable_values(self, var_list: Any = None) -> None:
        """At the end of training with use_ema: the averages become the variables."""
        if self.use_ema and self.built:
            for v, average in zip(self._trainable, self._slots["average"], strict=True):
                v.assign(average.array)

    # --- config -----------------------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        from berrante.saving.registry import serialize_keras_object

        rate: Any = self._learning_rate.array.item()
        if self._schedule is not None:
            rate = serialize_keras_object(self._schedule)
        config: dict[str, Any] = {
            "name": self.name, "learning_rate": rate, "weight_decay": self.weight_decay, "clipnorm": self.clipnorm,
            "global_clipnorm": self.global_clipnorm, "clipvalue": self.clipvalue, "use_ema": self.use_ema,
            "ema_momentum": self.ema_momentum, "ema_overwrite_frequency": self.ema_overwrite_frequency,
            "loss_scale_factor": self.loss_scale_factor,
            "gradient_accumulation_steps": self.gradient_accumulation_steps,
        }  # fmt: skip
        for field in self.fields:
            config[field] = getattr(self, field)
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        return cls(**config)


def _scaled(g: Any, norm: Any, limit: float) -> Any:
    return ops.where(ops.greater(norm, limit), ops.multiply(g, ops.divide(limit, norm)), g)
