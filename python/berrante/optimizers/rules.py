"""The update rules, after keras.optimizers (Keras 3): each is one elementwise expression."""

from __future__ import annotations

from typing import Any

import numpy as np

from berrante import ops
from berrante.graph.variable import Variable
from berrante.optimizers.optimizer import Optimizer

Slots = dict[str, Variable]


def _mix(old: Any, new: Any, rate: float) -> Any:
    """old + (new - old) * (1 - rate)."""
    return ops.add(old, ops.multiply(ops.subtract(new, old), 1.0 - rate))


def _move(v: Variable, step: Any) -> None:
    v.assign(ops.subtract(v.value, step))


class SGD(Optimizer):
    """variable -= learning_rate * gradient, with momentum and Nesterov's variant."""

    fields = ("momentum", "nesterov")
    default_learning_rate = 0.01

    def __init__(self, learning_rate: Any = 0.01, momentum: float = 0.0, nesterov: bool = False, **kwargs: Any) -> None:
        kwargs.setdefault("name", "SGD")
        super().__init__(learning_rate, **kwargs)
        if not 0.0 <= momentum <= 1.0:
            raise ValueError(f"SGD: expected momentum from 0 to 1; received {momentum}")
        self.momentum, self.nesterov = momentum, nesterov
        self.slots = ("momentum",) if momentum else ()

    def update_step(self, g: Any, v: Variable, slots: Slots, lr: Any) -> None:
        if not self.momentum:
            return _move(v, ops.multiply(g, lr))
        m = slots["momentum"]
        step = ops.multiply(g, lr)
        m.assign(ops.subtract(ops.multiply(m.value, self.momentum), step))
        if self.nesterov:
            v.assign(ops.subtract(ops.add(v.value, ops.multiply(m.value, self.momentum)), step))
        else:
            v.assign(ops.add(v.value, m.value))


class Adam(Optimizer):
    """Adaptive moments (Kingma and Ba, 2015); bias correction is part of the rate, epsilon stands outside the root."""

    fields = ("beta_1", "beta_2", "epsilon", "amsgrad")
    slots: tuple[str, ...] = ("momentum", "velocity")

    def __init__(
        self, learning_rate: Any = 0.001, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7,
        amsgrad: bool = False, **kwargs: Any,
    ) -> None:  # fmt: skip
        kwargs.setdefault("name", "adam")
        super().__init__(learning_rate, **kwargs)
        self.beta_1, self.beta_2, self.epsilon, self.amsgrad = beta_1, beta_2, epsilon, amsgrad
        if amsgrad:
            self.slots = ("momentum", "velocity", "velocity_hat")

    def _order(self, interleaved: list[Variable]) -> list[Variable]:
        if not self.amsgrad or not self._slots:
            return interleaved
        pairs = [v for m, n in zip(self._slots["momentum"], self._slots["velocity"], strict=True) for v in (m, n)]
        return [*pairs, *self._slots["velocity_hat"], *self._slots.get("average", [])]

    def update_step(self, g: Any, v: Variable, slots: Slots, lr: Any) -> None:
        t = ops.cast(ops.add(self.iterations.value, 1), "float32")
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

    def __init__(self, learning_rate: Any = 0.001, weight_decay: float = 0.004, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("name", "adamw")
        super().__init__(learning_rate, *args, weight_decay=weight_decay, **kwargs)


class RMSprop(Optimizer):
    """Gradients divided by the root of their running mean square (Hinton); optionally centred and with momentum."""

    fields = ("rho", "momentum", "epsilon", "centered")

    def __init__(
        self, learning_rate: Any = 0.001, rho: float = 0.9, momentum: float = 0.0, epsilon: float = 1e-7,
        centered: bool = False, **kwargs: Any,
    ) -> None:  # fmt: skip
        kwargs.setdefault("name", "rmsprop")
        super().__init__(learning_rate, **kwargs)
        self.rho, self.momentum, self.epsilon, self.centered = rho, momentum, epsilon, centered
        self.slots = (
            "velocity",
            *(("momentum",) if momentum > 0 else ()),
            *(("average_gradient",) if centered else ()),
        )

    def _order(self, interleaved: list[Variable]) -> list[Variable]:
        return [v for vs in self._slots.values() for v in vs]

    def update_step(self, g: Any, v: Variable, slots: Slots, lr: Any) -> None:
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


class Adagrad(Optimizer):
    """Gradients divided by the root of the sum of their squares (Duchi et al., 2011)."""

    fields = ("initial_accumulator_value", "epsilon")
    slots = ("accumulator",)

    def __init__(self, learning_rate: Any = 0.001, initial_accumulator_value: float = 0.1, epsilon: float = 1e-7,
                 **kwargs: Any) -> None:  # fmt: skip
        kwargs.setdefault("name", "adagrad")
        super().__init__(learning_rate, **kwargs)
        self.initial_accumulator_value, self.epsilon = initial_accumulator_value, epsilon

    def _slot_start(self, slot: str, variable: Variable) -> np.ndarray:
        return np.full(variable.shape, self.initial_accumulator_value, np.float32)

    def update_step(self, g: Any, v: Variable, slots: Slots, lr: Any) -> None:
        a = slots["accumulator"]
        a.assign(ops.add(a.value, ops.square(g)))
        _move(v, ops.divide(ops.multiply(g, lr), ops.sqrt(ops.add(a.value, self.epsilon))))


class Adadelta(Optimizer):
    """Steps in units of the running mean of past steps (Zeiler, 2012)."""

    fields = ("rho", "epsilon")
    slots = ("accumulated_grad", "accumulated_delta_var")

    def __init__(self, learning_rate: Any = 0.001, rho: float = 0.95, epsilon: float = 1e-7, **kwargs: Any) -> None:
        kwargs.setdefault("name", "adadelta")
        super().__init__(learning_rate, **kwargs)
        self.rho, self.epsilon = rho, epsilon

    def _order(self, interleaved: list[Variable]) -> list[Variable]:
        return [v for vs in self._slots.values() for v in vs]

    def update_step(self, g: Any, v: Variable, slots: Slots, lr: Any) -> None:
        grad, delta = slots["accumulated_grad"], slots["accumulated_delta_var"]
        rms = lambda x: ops.sqrt(ops.add(x, self.epsilon))
        grad.assign(ops.add(ops.multiply(grad.value, self.rho), ops.multiply(ops.square(g), 1.0 - self.rho)))
        step = ops.divide(ops.multiply(g, rms(delta.value)), rms(grad.value))
        delta.assign(ops.add(ops.multiply(delta.value, self.rho), ops.multiply(ops.square(step), 1.0 - self.rho)))
        _move(v, ops.multiply(step, lr))


class Adamax(Optimizer):
    """Adam with the largest gradient seen instead of the mean square (Kingma and Ba, 2015)."""

    fields = ("beta_1", "beta_2", "epsilon")
    slots = ("momentum", "norm")

    def __init__(self, learning_rate: Any = 0.001, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7,
                 **kwargs: Any) -> None:  # fmt: skip
        kwargs.setdefault("name", "adamax")
        super().__init__(learning_rate, **kwargs)
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon

    def update_step(self, g: Any, v: Variable, slots: Slots, lr: Any) -> None:
        t = ops.cast(ops.add(self.iterations.value, 1), "float32")
        m, u = slots["momentum"], slots["norm"]
        m.assign(_mix(m.value, g, self.beta_1))
        u.assign(ops.maximum(ops.multiply(u.value, self.beta_2), ops.absolute(g)))
        rate = ops.divide(lr, ops.subtract(1.0, ops.power(self.beta_1, t)))
        _move(v, ops.divide(ops.multiply(m.value, rate), ops.add(u.value, self.epsilon)))


class Nadam(Optimizer):
    """Adam with Nesterov's momentum (Dozat, 2016)."""

    fields = ("beta_1", "beta_2", "epsilon")
    slots = ("momentum", "velocity")

    def __init__(self, learning_rate: Any = 0.001, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7,
                 **kwargs: Any) -> None:  # fmt: skip
        kwargs.setdefault("name", "nadam")
        super().__init__(learning_rate, **kwargs)
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon
        self._u_product = Variable(np.float32(1.0), trainable=False, name="u_product")
        self._next_product: Any = None

    def update_step(self, g: Any, v: Variable, slots: Slots, lr: Any) -> None:
        t = ops.cast(ops.add(self.iterations.value, 1), "float32")

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

    def _finish(self) -> None:
        if self._next_product is not None:
            self._u_product.assign(self._next_product)
            self._next_product = None

    def _scalars(self) -> list[Variable]:
        return [self._u_product]


class Lion(Optimizer):
    """The sign of an interpolated momentum (Chen et al., 2023)."""

    fields = ("beta_1", "beta_2")
    slots = ("momentum",)

    def __init__(self, learning_rate: Any = 0.001, beta_1: float = 0.9, beta_2: float = 0.99, **kwargs: Any) -> None:
        kwargs.setdefault("name", "lion")
        super().__init__(learning_rate, **kwargs)
        self.beta_1, self.beta_2 = beta_1, beta_2

    def update_step(self, g: Any, v: Variable, slots: Slots, lr: Any) -> None:
        m = slots["momentum"]
        direction = ops.sign(ops.add(ops.multiply(m.value, self.beta_1), ops.multiply(g, 1.0 - self.beta_1)))
        _move(v, ops.multiply(direction, lr))
        m.assign(ops.add(ops.multiply(m.value, self.beta_2), ops.multiply(g, 1.0 - self.beta_2)))
