"""What an optimizer keeps: its variables in Keras' order, the learning rate or schedule, slots, saving and loading."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from berrante import initializers, ops
from berrante.graph import trace
from berrante.graph.variable import FlatVariable, Variable
from berrante.optimizers.schedules import LearningRateSchedule


def start_rate(config: dict[str, Any], custom_objects: Any = None) -> Any:
    """The learning rate of a config: a number, or the schedule that was serialised."""
    rate = config["learning_rate"]
    if not isinstance(rate, dict):
        return rate
    from berrante.saving.registry import deserialize_keras_object

    return deserialize_keras_object(rate, custom_objects)


class OptimizerState:
    """The stateful half of Optimizer."""

    slots: tuple[tuple[str, ...], ...]
    use_ema: bool
    gradient_accumulation_steps: int | None
    name: str

    def _setup_state(self, name: str | None, learning_rate: Any) -> None:
        from berrante.layers.layer import snake_case, unique_name

        self.name = name or unique_name(snake_case(type(self).__name__))
        self.built = False
        self._variables: list[Variable] = []
        self._trainable: list[Variable] = []
        self._slots: dict[str, list[Variable]] = {}
        self._index: dict[Variable, int] = {}
        self._no_decay: set[Variable] = set()
        self._no_decay_names: list[Any] = []
        self._flat: FlatVariable | None = None
        self._waiting: list[np.ndarray] | None = None  # a copy's values until it is built
        self._flat_slots: dict[str, FlatVariable] = {}
        # Own optimizers define Keras' update_step(gradient, variable, learning_rate); rules take their slots, too.
        self._takes_slots = len(inspect.signature(self.update_step).parameters) > 3  # type: ignore[attr-defined]
        self._iterations = self._add("iteration", np.zeros((), np.int32))
        self._schedule: Any = None
        if isinstance(learning_rate, dict):
            learning_rate = start_rate({"learning_rate": learning_rate})
        start = 0.0
        if callable(learning_rate) and not isinstance(learning_rate, Variable):
            self._schedule = learning_rate
        else:
            try:
                start = float(np.asarray(learning_rate))
            except (TypeError, ValueError):
                raise ValueError(
                    f"{type(self).__name__}: Argument `learning_rate` should be float, or an instance of "
                    f"LearningRateSchedule, or a callable. Received instead: learning_rate={learning_rate!r}"
                ) from None
        self._learning_rate = self._add("learning_rate", np.float32(start))
        if self._schedule is not None:
            self._variables.remove(self._learning_rate)

    def _add(self, name: str, value: Any) -> Variable:
        with trace.suspended():
            variable = Variable(value, trainable=False, name=name)
        variable.path = f"{self.name}/{name}"
        self._variables.append(variable)
        return variable

    # --- slots ------------------------------------------------------------------------------------------------------

    def build(self, variables: Sequence[Variable]) -> None:
        """Makes the slots for the variables to train."""
        if self.built:
            return
        self._trainable = list(variables)
        self._index = {v: i for i, v in enumerate(self._trainable)}
        groups: list[tuple[str, ...]] = [("average",)] if self.use_ema else []
        groups += [("gradient_accumulator",)] if self.gradient_accumulation_steps else []
        for group in (*groups, *self.slots):
            for name in group:
                self._slots[name] = []
            for v in self._trainable:
                for name in group:
                    self._slots[name].append(self._add(_slot_name(v, name), self._slot_start(name, v)))
        self.built = True
        self._take_waiting()

    def _slot_start(self, slot: str, variable: Variable) -> np.ndarray:
        """A slot's first value for a variable."""
        return np.zeros(variable.shape, np.float32)

    def _slot(self, name: str, variable: Variable) -> Variable:
        return self._slots[name][self._index[variable]]

    def _slots_of(self, variable: Variable) -> dict[str, Variable]:
        return {name: vs[self._index[variable]] for name, vs in self._slots.items()}

    def _check_known(self, variables: Sequence[Variable]) -> None:
        for v in variables:
            if v not in self._index:
                raise ValueError(
                    f"{type(self).__name__}: Unknown variable: {v.path!r}. This optimizer can only be called for the "
                    "variables it was originally built with."
                )

    # --- for own optimizers, with Keras' names --------------------------------------------------------------------------

    def add_variable(
        self, shape: Any, initializer: Any = "zeros", dtype: Any = None, aggregation: str = "none", layout: Any = None,
        name: str | None = None,
    ) -> Variable:  # fmt: skip
        """A piece of state that is saved with the optimizer."""
        return self._add(name or "variable", initializers.get(initializer)(tuple(shape), dtype=dtype or "float32"))

    def add_variable_from_reference(
        self, reference_variable: Variable, name: str | None = None, initializer: Any = "zeros"
    ) -> Variable:
        """A slot of a variable's shape."""
        return self.add_variable(
            reference_variable.shape, initializer, name=_slot_name(reference_variable, name or "var")
        )

    def add_optimizer_variables(
        self, trainable_variables: Sequence[Variable], name: Any, initializer: Any = "zeros"
    ) -> Any:
        """A slot (or, for a list of names, several) for each variable: a list, or one list a name."""
        names = [name] if isinstance(name, str) else list(name)
        given = list(initializer) if isinstance(initializer, (list, tuple)) else [initializer] * len(names)
        if len(names) != len(given):
            raise ValueError(
                f"The number of provided names must match the number of provided initializers. Received name={name!r}, "
                f"initializer={initializer!r}"
            )
        made: tuple[list[Variable], ...] = tuple([] for _ in names)
        for v in trainable_variables:
            for slot, start, found in zip(names, given, made, strict=True):
                found.append(self.add_variable_from_reference(v, slot, start))
        return made[0] if isinstance(name, str) else made

    def _get_variable_index(self, variable: Variable) -> int:
        return self._index[variable]

    def assign(self, variable: Variable, value: Any) -> None:
        variable.assign(value)

    def assign_add(self, variable: Variable, value: Any) -> None:
        variable.assign(ops.add(variable.value, value))

    def assign_sub(self, variable: Variable, value: Any) -> None:
        variable.assign(ops.subtract(variable.value, value))

    # --- learning rate and steps ------------------------------------------------------------------------------------

    @property
    def variables(self) -> list[Variable]:
        """Iteration, learning rate (unless it is a schedule), then the slots, in Keras' order."""
        return list(self._variables)

    @property
    def iterations(self) -> Any:
        """How many updates there were."""
        return self._updates() if self.gradient_accumulation_steps else self._iterations

    def _updates(self) -> Any:
        count = self._iterations.value
        steps = self.gradient_accumulation_steps
        return ops.cast(ops.floor_divide(count, steps), "int32") if steps else count

    def _next_step(self) -> Any:
        """The number of the update that is being made, from 1, as float32."""
        return ops.cast(ops.add(self._updates(), 1), "float32")

    @property
    def learning_rate(self) -> Any:
        """The rate that the next step uses."""
        return self._learning_rate if self._schedule is None else self._scheduled()

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        if callable(value) and not isinstance(value, Variable):
            self._schedule = value
            self._variables = [v for v in self._variables if v is not self._learning_rate]
            return
        if isinstance(self._schedule, LearningRateSchedule):
            raise TypeError(
                "This optimizer was created with a `LearningRateSchedule` object as its `learning_rate` constructor "
                "argument, hence its learning rate is not settable."
            )
        self._learning_rate.assign(np.float32(np.asarray(value)))

    lr = learning_rate

    def _scheduled(self) -> Any:
        schedule = self._schedule
        return schedule(self._iterations.value) if isinstance(schedule, LearningRateSchedule) else schedule()

    def _rate(self) -> Any:
        """The rate as a tensor, for the update that is being made."""
        return self._learning_rate.value if self._schedule is None else ops.cast(self._scheduled(), "float32")

    def scale_loss(self, loss: Any) -> Any:
        """The loss times loss_scale_factor, if there is one."""
        scale = getattr(self, "loss_scale_factor", None)
        return loss if scale is None else ops.multiply(loss, float(scale))

    # --- averages, saving -------------------------------------------------------------------------------------------

    @property
    def _model_variables_moving_average(self) -> list[Variable]:
        if not self.use_ema:
            raise AttributeError(f"{type(self).__name__} keeps no averages: use_ema is False")
        return self._slots.get("average", [])

    def finalize_variable_values(self, var_list: Any) -> None:
        """At the end of training with use_ema: the averages become the variables."""
        if self.use_ema and self.built:
            for v, average in zip(self._trainable, self._slots["average"], strict=True):
                v.assign(average.numpy())

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Replaces the values of `variables`; ValueError if the optimizer is not built or a shape does not fit."""
        if not self.built:
            raise ValueError(
                "You are calling `set_weights()` on an optimizer that has not yet been built. Please call "
                "`optimizer.build(trainable_variables)` first."
            )
        for v, w in zip(self._variables, weights):
            if tuple(v.shape) != np.shape(w):
                raise ValueError(f"Optimizer variable {v.path!r} has shape {v.shape}; received shape {np.shape(w)}")
        for v, w in zip(self._variables, weights):
            v.assign(np.asarray(w))

    def save_own_variables(self, store: Any) -> None:
        """The values by position into a mapping."""
        for i, v in enumerate(self.variables):
            store[str(i)] = v.numpy()

    def load_own_variables(self, store: Any) -> None:
        """The values of `save_own_variables`; a mapping of another size is left alone, with a warning."""
        if len(store.keys()) != len(self.variables):
            warnings.warn(
                f"Skipping variable loading for optimizer {self.name!r}: it has {len(self.variables)} variables, the "
                f"saved one {len(store.keys())}",
                stacklevel=2,
            )
            return
        for i, v in enumerate(self.variables):
            v.assign(np.asarray(store[str(i)]))

    def _take_waiting(self) -> None:
        """A copy's values, once all its variables are there: some optimizers add theirs after the slots."""
        if self._waiting is not None and len(self._waiting) == len(self.variables):
            for v, value in zip(self.variables, self._waiting, strict=True):
                v.assign(value)
            self._waiting = None

    def __reduce__(self) -> Any:
        """Through config and values; slots get theirs when the copy is built."""
        return _restored, (type(self), self.get_config(), [v.numpy() for v in self.variables])  # type: ignore[attr-defined]

    def stateless_apply(self, optimizer_variables: Any, grads: Any, trainable_variables: Any) -> tuple[list, list]:
        """apply on given values of both kinds of variables; gives their new values and leaves the own ones alone."""
        own = [*self._trainable, *self.variables]
        values = [*trainable_variables, *optimizer_variables]
        if not self.built or len(own) != len(values):
            raise ValueError(
                f"{type(self).__name__}.stateless_apply: expected a built optimizer, {len(self._trainable)} trainable "
                f"and {len(self.variables)} optimizer variables; received {len(trainable_variables)} and "
                f"{len(optimizer_variables)}"
            )
        before = [v.numpy() for v in own]
        try:
            for v, value in zip(own, values, strict=True):
                v.assign(value)
            self.apply(grads, self._trainable)  # type: ignore[attr-defined]
            after = [ops.convert_to_tensor(v.numpy()) for v in own]
        finally:
            for v, value in zip(own, before, strict=True):
                v.assign(value)
        return after[: len(self._trainable)], after[len(self._trainable) :]


def _restored(cls: Any, config: dict[str, Any], values: list[np.ndarray]) -> Any:
    """A copy of an optimizer."""
    optimizer = cls.from_config(config)
    for v, value in zip(optimizer._variables, values, strict=False):  # iteration, learning rate
        v.assign(value)
    optimizer._waiting = values
    return optimizer


def _slot_name(variable: Variable, slot: str) -> str:
    return f"{variable.path.replace('/', '_')}_{slot}"
