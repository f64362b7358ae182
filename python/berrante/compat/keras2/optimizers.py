"""keras.optimizers of Keras 2: its constructors and defaults, `decay`, global clipping, and the rules that differ."""

from __future__ import annotations

from typing import Any

import numpy as np

from berrante import ops
from berrante import optimizers as core
from berrante.compat.differences import OPTIMIZERS
from berrante.compat.keras2.own_updates import OwnUpdates
from berrante.config import epsilon as default_epsilon
from berrante.graph.variable import Variable
from berrante.layers.layer import snake_case
from berrante.optimizers.schedules import InverseTimeDecay, LearningRateSchedule

Slots = dict[str, Variable]
_rates: dict[str, float] = {}


def use_rates(rates: dict[str, float]) -> None:
    """Other default learning rates, by class name: those of tf.keras 2 where a script imports tensorflow.keras only."""
    _rates.clear()
    _rates.update(rates)


class Optimizer(OwnUpdates, core.Optimizer):  # type: ignore[misc]
    """The base: `lr` and `decay`, clipping by the norm of all gradients, get_weights and set_weights."""

    decay: Any = 0.0
    _own_weights: list[Variable] | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        table = OPTIMIZERS.get(_core_name(type(self)))
        if table is None:  # a user's own class, or one that Keras 2 did not have
            clips: dict[str, Any] = {k: kwargs.pop(k) for k in ("clipnorm", "clipvalue") if k in kwargs}
            if type(self).__mro__[1] is Optimizer or type(self) is Optimizer:
                if kwargs:
                    raise TypeError(f"Unexpected keyword argument passed to optimizer: {sorted(kwargs)[0]}")
                super().__init__(0.01)
            else:
                super().__init__(*args, **kwargs)
            self._set_clips(clips)
            return
        given = dict(zip(table, args))
        known = {*table, "learning_rate", "clipnorm", "clipvalue", "name", "epsilon"}
        unknown = [k for k in kwargs if k not in known]
        if unknown:
            raise TypeError(f"Unexpected keyword argument passed to optimizer: {unknown[0]}")
        values = {**table, "lr": _rates.get(_core_name(type(self)), table["lr"]), **given, **kwargs}
        rate = values.pop("learning_rate", None)
        lr = values.pop("lr")
        decay, schedule_decay = values.pop("decay", 0.0), values.pop("schedule_decay", None)
        clips = {str(k): values.pop(k) for k in ("clipnorm", "clipvalue") if k in values}
        if "epsilon" in values and values["epsilon"] is None:
            values["epsilon"] = default_epsilon()
        if isinstance(self, core.Adagrad):
            values["initial_accumulator_value"] = 0.0
        super().__init__(lr if rate is None else rate, **values)
        self.decay = Variable(np.float32(decay), trainable=False, name="decay")
        self.initial_decay = float(decay)
        if schedule_decay is not None:
            self.schedule_decay = float(schedule_decay)
        self._set_clips(clips)

    def _set_clips(self, clips: dict[str, Any]) -> None:
        for name, value in clips.items():
            setattr(self, name, value)

    @property
    def learning_rate(self) -> Any:
        """The rate as a variable."""
        return self._schedule(self.iterations.value) if self._schedule is not None else self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        if isinstance(value, LearningRateSchedule):
            self._schedule = value
        elif isinstance(value, Variable):
            self._variables = [value if v is self._learning_rate else v for v in self._variables]
            self._learning_rate = value
        else:
            self._learning_rate.assign(np.float32(np.asarray(value)))

    lr = learning_rate

    def _rate(self) -> Any:
        rate = super()._rate()
        if not getattr(self, "initial_decay", 0.0):
            return rate
        t = ops.cast(self.iterations.value, "float32")
        return ops.divide(rate, ops.add(1.0, ops.multiply(self.decay.value, t)))

    def _clip_gradients(self, grads: list[Any]) -> list[Any]:
        if self.clipnorm is not None and self.clipnorm > 0:
            norm = ops.sqrt(ops.sum(ops.stack([ops.sum(ops.square(g)) for g in grads])))
            over = ops.greater_equal(norm, self.clipnorm)
            factor = ops.where(over, ops.divide(self.clipnorm, ops.where(over, norm, 1.0)), 1.0)
            grads = [ops.multiply(g, factor) for g in grads]
        if self.clipvalue is not None and self.clipvalue > 0:
            grads = [ops.clip(g, -self.clipvalue, self.clipvalue) for g in grads]
        return grads

    def _check_known(self, variables: Any) -> None:
        """An optimizer may go on to another model in Keras 2: it starts anew there."""
        if any(v not in self._index for v in variables):
            for v in [v for vs in self._slots.values() for v in vs]:
                self._variables.remove(v)
            self._slots, self._flat, self._flat_slots, self.built = {}, None, {}, False
            self.build(variables)

    @property
    def iterations(self) -> Any:
        """How many updates there were."""
        return self._iterations

    @iterations.setter
    def iterations(self, variable: Variable) -> None:
        self._variables = [variable if v is self._iterations else v for v in self._variables]
        self._iterations = variable

    @property
    def weights(self) -> list[Variable]:
        """The iteration and the slots, unless a script's own optimizer says what they are."""
        if self._own_weights is not None:
            return list(self._own_weights)
        return [self.iterations, *(v for vs in self._slots.values() for v in vs)]

    @weights.setter
    def weights(self, variables: Any) -> None:
        self._own_weights = list(variables)

    def get_weights(self) -> list[np.ndarray]:
        """The values of `weights`."""
        return [v.numpy() for v in self.weights]

    def set_weights(self, weights: Any) -> None:
        """Replaces `weights`; ValueError if a shape does not fit."""
        own = self.weights
        if len(own) != len(weights) or any(v.shape != np.shape(w) for v, w in zip(own, weights)):
            raise ValueError(f"{type(self).__name__}: expected {[v.shape for v in own]}; received other shapes")
        for v, w in zip(own, weights, strict=True):
            v.assign(np.asarray(w))

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """The optimizer of a config; where a file's `decay` was read as a schedule, it is decay again."""
        rate = config.get("learning_rate")
        if isinstance(rate, dict):
            from berrante.saving.registry import deserialize_keras_object

            rate = deserialize_keras_object(rate, custom_objects)
        if isinstance(rate, InverseTimeDecay) and rate.decay_steps == 1 and not rate.staircase:
            rest = {k: v for k, v in config.items() if k not in ("learning_rate", "decay")}
            config = {"lr": rate.initial_learning_rate, "decay": rate.decay_rate, **rest}
        return cls(**config)

    def get_config(self) -> dict[str, Any]:
        table = OPTIMIZERS.get(_core_name(type(self)))
        if table is None:
            return {k: v for k, v in (("clipnorm", self.clipnorm), ("clipvalue", self.clipvalue)) if v is not None}
        config: dict[str, Any] = {}
        for name in table:
            if name == "lr":
                config[name] = float(self._learning_rate.array)
            elif name == "decay":
                config[name] = float(self.decay.array)
            else:
                config[name] = getattr(self, name)
        for name in ("clipnorm", "clipvalue"):
            if getattr(self, name) is not None:
                config[name] = getattr(self, name)
        return config


def _core_name(cls: type) -> str:
    for base in cls.__mro__:
        if base.__module__.startswith("berrante.optimizers"):
            return base.__name__
    return cls.__name__


def _root_then_epsilon(g: Any, lr: Any, spread: Any, epsilon: float) -> Any:
    """lr * g / (sqrt(spread) + epsilon), where Keras 3 has sqrt(spread + epsilon)."""
    return ops.divide(ops.multiply(g, lr), ops.add(ops.sqrt(spread), epsilon))


class SGD(Optimizer, core.SGD):
    """Gradient descent with momentum and Nesterov's variant; the momentum may be changed while it trains."""


class RMSprop(Optimizer, core.RMSprop):
    """Gradients divided by the root of their running mean square."""

    def update_step(self, g: Any, v: Variable, slots: Slots, lr: Any) -> None:  # type: ignore[override]
        n = slots["velocity"]
        n.assign(ops.add(ops.multiply(n.value, self.rho), ops.multiply(ops.square(g), 1.0 - self.rho)))
        v.assign(ops.subtract(v.value, _root_then_epsilon(g, lr, n.value, self.epsilon)))


class Adagrad(Optimizer, core.Adagrad):
    """Gradients divided by the root of the sum of their squares."""

    def update_step(self, g: Any, v: Variable, slots: Slots, lr: Any) -> None:  # type: ignore[override]
        a = slots["accumulator"]
        a.assign(ops.add(a.value, ops.square(g)))
        v.assign(ops.subtract(v.value, _root_then_epsilon(g, lr, a.value, self.epsilon)))


class Adadelta(Optimizer, core.Adadelta):
    """Steps in units of the running mean of past steps, at a rate of 1."""


class Adam(Optimizer, core.Adam):
    """Adaptive moments."""


class Adamax(Optimizer, core.Adamax):
    """Adam with the largest gradient seen."""


class Nadam(Optimizer, core.Nadam):
    """Adam with Nesterov's momentum, whose schedule decays by 0.96^(t * schedule_decay)."""

    def update_step(self, g: Any, v: Variable, slots: Slots, lr: Any) -> None:  # type: ignore[override]
        t = ops.cast(ops.add(self.iterations.value, 1), "float32")

        def share(step: Any) -> Any:
            power = ops.power(0.96, ops.multiply(step, self.schedule_decay))
            return ops.multiply(ops.subtract(1.0, ops.multiply(power, 0.5)), self.beta_1)

        u, u_next = share(t), share(ops.add(t, 1.0))
        product = ops.multiply(self._u_product.value, u)
        product_next = ops.multiply(product, u_next)
        self._next_product = product
        m, n = slots["momentum"], slots["velocity"]
        m.assign(ops.add(ops.multiply(m.value, self.beta_1), ops.multiply(g, 1.0 - self.beta_1)))
        n.assign(ops.add(ops.multiply(n.value, self.beta_2), ops.multiply(ops.square(g), 1.0 - self.beta_2)))
        g_bar = ops.divide(g, ops.subtract(1.0, product))
        m_bar = ops.divide(m.value, ops.subtract(1.0, product_next))
        n_bar = ops.divide(n.value, ops.subtract(1.0, ops.power(self.beta_2, t)))
        mixed = ops.add(ops.multiply(ops.subtract(1.0, u), g_bar), ops.multiply(u_next, m_bar))
        v.assign(ops.subtract(v.value, _root_then_epsilon(mixed, lr, n_bar, self.epsilon)))


class TFOptimizer(Optimizer):
    """Keras 2's wrapper of TensorFlow's own optimizers, which berrante has not."""

    def __init__(self, optimizer: Any) -> None:
        raise NotImplementedError("TFOptimizer wraps TensorFlow's optimizers; use one of keras.optimizers")


sgd, rmsprop, adagrad, adadelta, adam, adamax, nadam = SGD, RMSprop, Adagrad, Adadelta, Adam, Adamax, Nadam
CLASSES: dict[str, type[Optimizer]] = {
    c.__name__: c for c in (SGD, RMSprop, Adagrad, Adadelta, Adam, Adamax, Nadam)
}  # fmt: skip


def get(identifier: Any) -> Any:
    """An optimizer from a name, a config, a class or an instance."""
    if isinstance(identifier, str):
        for name, cls in CLASSES.items():
            if identifier.lower() == snake_case(name).replace("_", ""):
                return cls()
        raise ValueError(f"Unknown optimizer: {identifier}")
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if isinstance(identifier, core.Optimizer):
        return identifier
    if isinstance(identifier, type) and issubclass(identifier, core.Optimizer):
        return identifier()
    raise ValueError(f"Could not interpret optimizer identifier: {identifier!r}")


def serialize(optimizer: Any) -> dict[str, Any]:
    """{class_name, config} of an optimizer."""
    return {"class_name": type(optimizer).__name__, "config": optimizer.get_config()}


def deserialize(config: dict[str, Any], custom_objects: Any = None) -> Any:
    """The optimizer of {class_name, config}, its name in any case."""
    from berrante.saving.registry import deserialize_keras_object

    known = {name.lower(): name for name in CLASSES}
    name = config["class_name"]
    if name.lower() in known:
        config["class_name"] = name.lower()  # as Keras 2 does
    return deserialize_keras_object({**config, "class_name": known.get(name.lower(), name)}, custom_objects)
