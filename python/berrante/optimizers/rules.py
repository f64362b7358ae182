"""The update rules, after keras.optimizers (Keras 3): each is one elementwise expression."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from berrante import ops
from berrante.graph.variable import Variable
from berrante.optimizers.optimizer import Rule

Slots = dict[str, Variable]


def _mix(old: Any, new: Any, rate: float) -> Any:
    """old + (new - old) * (1 - rate)."""
    return ops.add(old, ops.multiply(ops.subtract(new, old), 1.0 - rate))


def _move(v: Variable, step: Any) -> None:
    v.assign(ops.subtract(v.value, step))


class SGD(Rule):
    """variable -= learning_rate * gradient, with momentum and Nesterov's variant."""

    fields: ClassVar[dict[str, Any]] = {"momentum": 0.0, "nesterov": False}
    default_learning_rate = 0.01
    momentum: float
    nesterov: bool

    def _check(self, values: dict[str, Any]) -> None:
        super()._check(values)
        momentum = values["momentum"]
        if not isinstance(momentum, (int, float)) or not 0.0 <= momentum <= 1.0:
            raise ValueError("`momentum` must be a float between [0, 1].")
        self.slots = (("momentum",),) if momentum else ()

    def update_step(self, g: Any, v: Variable, slots: Slots, lr: Any) -> None:  # type: ignore[override]
        if not self.momentum:
            return _move(v, ops.multiply(g, lr))
        m = slots["momentum"]
        step = ops.multiply(g, lr)
        m.assign(ops.subtract(ops.multiply(m.value, self.momentum), step))
        if self.nesterov:
            v.assign(ops.subtract(ops.add(v.value, ops.multiply(m.value, self.momentum)), step))
        else:
            v.assign(ops.add(v.value, m.value))


_ADAM: dict[str, Any] = {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}


class Adam(Rule):
    """Adaptive moments (Kingma and Ba, 2015); bias correction is part of the rate, epsilon stands outside the root."""

    fields: ClassVar[dict[str, Any]] = {**_ADAM, "amsgrad": False}
    beta_1: float
    beta_2: float
    epsilon: float
    amsgrad: bool

    def _check(self, values: dict[str, Any]) -> None:
        super()._check(values)
        hat: tuple[tuple[str, ...], ...] = (("velocity_hat",),) if values["amsgrad"] else ()
        self.slots = (("momentum", "velocity"), *hat)

    def update_step(self, g: Any, v: Variable, slots: Slots, lr: Any) -> None:  # type: ignore[override]
        t = self._next_step()
        bias_1, bias_2 = (ops.subtract(1.0, ops.power(b, t)) for b in (self.beta_1, self.beta_2))
        rate = ops.divide(ops.multiply(lr, ops.sqrt(bias_2)), bias_1)
        m, n = slots["momentum"], slots["velocity"]
        m.assign(_mix(m.value, g, self.beta_1))
        n.assign(_mix(n.value, ops.square(g), self.beta_2))
        second = n.value
        if self.amsgrad:
            hat = slots["velocity_hat"]
            hat.assign(ops.maximum(hat.value, second))
            second = hat.value
        _move(v, ops.divide(ops.multiply(m.value, rate), ops.add(ops.sqrt(second), self.epsilon)))


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019)."""

    fields: ClassVar[dict[str, Any]] = {"weight_decay": 0.004, **_ADAM, "amsgrad": False}

    def _check(self, values: dict[str, Any]) -> None:
        super()._check(values)
        if values["weight_decay"] is None:
            raise ValueError("Argument `weight_decay` must be a float. Received: weight_decay=None")


class RMSprop(Rule):
    """Gradients divided by the root of their running mean square (Hinton); optionally centred and with momentum."""

    fields: ClassVar[dict[str, Any]] = {"rho": 0.9, "momentum": 0.0, "epsilon": 1e-7, "centered": False}
    rho: float
    momentum: float
    epsilon: float
    centered: bool

    def _check(self, values: dict[str, Any]) -> None:
        super()._check(values)
        names = ["velocity", *["momentum"] * (values["momentum"] > 0), *["average_gradient"] * bool(values["centered"])]
        self.slots = tuple((name,) for name in names)

    def update_step(self, g: Any, v: Variable, slots: Slots, lr: Any) -> None:  # type: ignore[override]
        n = slots["velocity"]
        n.assign(ops.add(ops.multiply(n.value, self.rho), ops.multiply(ops.square(g), 1.0 - self.rho)))
        spread = n.value
        if self.centered:
            a = slots["average_gradient"]
            a.assign(ops.add(ops.multiply(a.value, self.rho), ops.multiply(g, 1.0 - self.rho)))
            spread = ops.subtract(spread, ops.square(a.value))
        step = ops.divide(ops.multiply(g, lr), ops.sqrt(ops.add(spread, self.epsilon)))
        if self.momentum > 0:
            m = slots["momentum"]
            m.assign(ops.add(ops.multiply(m.value, self.momentum), step))
            step = m.value
        _move(v, step)


class Adagrad(Rule):
    """Gradients divided by the root of the sum of their squares (Duchi et al., 2011)."""

    fields: ClassVar[dict[str, Any]] = {"initial_accumulator_value": 0.1, "epsilon": 1e-7}
    slots = (("accumulator",),)
    initial_accumulator_value: float
    epsilon: float

    def _slot_start(self, slot: str, variable: Variable) -> np.ndarray:
        start = super()._slot_start(slot, variable)
        return start + np.float32(self.initial_accumulator_value) if slot == "accumulator" else start

    def update_step(self, g: Any, v: Variable, slots: Slots, lr: Any) -> None:  # type: ignore[override]
        a = slots["accumulator"]
        a.assign(ops.add(a.value, ops.square(g)))
        _move(v, ops.divide(ops.multiply(g, lr), ops.sqrt(ops.add(a.value, self.epsilon))))


class Adadelta(Rule):
    """Steps in units of the running mean of past steps (Zeiler, 2012)."""

    fields: ClassVar[dict[str, Any]] = {"rho": 0.95, "epsilon": 1e-7}
    slots = (("accumulated_grad", "accumulated_delta_var"),)
    rho: float
    epsilon: float

    def update_step(self, g: Any, v: Variable, slots: Slots, lr: Any) -> None:  # type: ignore[override]
        grad, delta = slots["accumulated_grad"], slots["accumulated_delta_var"]
        rms = lambda x: ops.sqrt(ops.add(x, self.epsilon))
        grad.assign(ops.add(ops.multiply(grad.value, self.rho), ops.multiply(ops.square(g), 1.0 - self.rho)))
        step = ops.divide(ops.multiply(g, rms(delta.value)), rms(grad.value))
        delta.assign(ops.add(ops.multiply(delta.value, self.rho), ops.multiply(ops.square(step), 1.0 - self.rho)))
        _move(v, ops.multiply(step, lr))


class Adamax(Rule):
    """Adam with the largest gradient seen instead of the mean square (Kingma and Ba, 2015)."""

    fields: ClassVar[dict[str, Any]] = dict(_ADAM)
    slots = (("momentum", "norm"),)
    beta_1: float
    beta_2: float
    epsilon: float

    def update_step(self, g: Any, v: Variable, slots: Slots, lr: Any) -> None:  # type: ignore[override]
        m, u = slots["momentum"], slots["norm"]
        m.assign(_mix(m.value, g, self.beta_1))
        u.assign(ops.maximum(ops.multiply(u.value, self.beta_2), ops.absolute(g)))
        rate = ops.divide(lr, ops.subtract(1.0, ops.power(self.beta_1, self._next_step())))
        _move(v, ops.divide(ops.multiply(m.value, rate), ops.add(u.value, self.epsilon)))


class Nadam(Rule):
    """Adam with Nesterov's momentum (Dozat, 2016)."""

    fields: ClassVar[dict[str, Any]] = dict(_ADAM)
    slots = (("momentum", "velocity"),)
    beta_1: float
    beta_2: float
    epsilon: float
    _next_product: Any = None

    def build(self, variables: Any) -> None:
        if not self.built:
            super().build(variables)
            self._u_product = self._add("u_product", np.float32(1.0))

    def update_step(self, g: Any, v: Variable, slots: Slots, lr: Any) -> None:  # type: ignore[override]
        t = self._next_step()

        def share(step: Any) -> Any:  # beta_1 * (1 - 0.5 * 0.96^step)
            return ops.multiply(ops.subtract(1.0, ops.multiply(ops.power(0.96, step), 0.5)), self.beta_1)

        u, u_next = share(t), share(ops.add(t, 1.0))
        product = ops.multiply(self._u_product.value, u)
        product_next = ops.multiply(product, u_next)
        self._next_product = product
        m, n = slots["momentum"], slots["velocity"]
        m.assign(_mix(m.value, g, self.beta_1))
        n.assign(_mix(n.value, ops.square(g), self.beta_2))
        m_hat = ops.add(
            ops.divide(ops.multiply(m.value, u_next), ops.subtract(1.0, product_next)),
            ops.divide(ops.multiply(g, ops.subtract(1.0, u)), ops.subtract(1.0, product)),
        )
        n_hat = ops.divide(n.value, ops.subtract(1.0, ops.power(self.beta_2, t)))
        _move(v, ops.divide(ops.multiply(m_hat, lr), ops.add(ops.sqrt(n_hat), self.epsilon)))

    def _finish(self, due: Any) -> None:
        product, self._next_product = self._next_product, None
        if product is not None:
            old = self._u_product
            old.assign(product if due is None else ops.where(due, product, old.value))


class Lion(Rule):
    """The sign of an interpolated momentum (Chen et al., 2023)."""

    fields: ClassVar[dict[str, Any]] = {"beta_1": 0.9, "beta_2": 0.99}
    slots = (("momentum",),)
    beta_1: float
    beta_2: float

    def _check(self, values: dict[str, Any]) -> None:
        super()._check(values)
        if not 0 < values["beta_1"] <= 1:
            raise ValueError(
                f"Argument `beta_1` must be in the [0, 1] range. Otherwise, the optimizer degenerates to SignSGD. "
                f"Received: beta_1={values['beta_1']}."
            )

    def update_step(self, g: Any, v: Variable, slots: Slots, lr: Any) -> None:  # type: ignore[override]
        m = slots["momentum"]
        direction = ops.sign(ops.add(ops.multiply(m.value, self.beta_1), ops.multiply(g, 1.0 - self.beta_1)))
        _move(v, ops.multiply(direction, lr))
        m.assign(ops.add(ops.multiply(m.value, self.beta_2), ops.multiply(g, 1.0 - self.beta_2)))


class Ftrl(Rule):
    """Follow the regularised leader (McMahan et al., 2013), with shrinkage."""

    fields: ClassVar[dict[str, Any]] = {
        "learning_rate_power": -0.5, "initial_accumulator_value": 0.1, "l1_regularization_strength": 0.0,
        "l2_regularization_strength": 0.0, "l2_shrinkage_regularization_strength": 0.0, "beta": 0.0,
    }  # fmt: skip
    slots = (("accumulator", "linear"),)
    learning_rate_power: float
    initial_accumulator_value: float
    l1_regularization_strength: float
    l2_regularization_strength: float
    l2_shrinkage_regularization_strength: float
    beta: float

    def _check(self, values: dict[str, Any]) -> None:
        super()._check(values)
        if values["learning_rate_power"] > 0.0:
            power = values["learning_rate_power"]
            raise ValueError(
                f"`learning_rate_power` needs to be negative or zero. Received: learning_rate_power={power}."
            )
        for name in self.fields:
            if name not in ("learning_rate_power", "beta") and values[name] < 0.0:
                raise ValueError(f"`{name}` needs to be positive or zero. Received: {name}={values[name]}.")

    def _slot_start(self, slot: str, variable: Variable) -> np.ndarray:
        start = super()._slot_start(slot, variable)
        return start + np.float32(self.initial_accumulator_value) if slot == "accumulator" else start

    def update_step(self, g: Any, v: Variable, slots: Slots, lr: Any) -> None:  # type: ignore[override]
        accumulator, linear = slots["accumulator"], slots["linear"]
        l1, power = self.l1_regularization_strength, -self.learning_rate_power
        l2 = ops.add(ops.divide(self.beta / 2.0, lr), self.l2_regularization_strength)
        shrunk = ops.add(g, ops.multiply(v.value, 2.0 * self.l2_shrinkage_regularization_strength))
        total = ops.add(accumulator.value, ops.square(g))
        grown = ops.power(total, power)
        change = ops.divide(ops.subtract(grown, ops.power(accumulator.value, power)), lr)
        linear.assign(ops.add(linear.value, ops.subtract(shrunk, ops.multiply(change, v.value))))
        quadratic = ops.add(ops.divide(grown, lr), ops.multiply(l2, 2.0))
        v.assign(ops.divide(ops.subtract(ops.clip(linear.value, -l1, l1), linear.value), quadratic))
        accumulator.assign(total)
