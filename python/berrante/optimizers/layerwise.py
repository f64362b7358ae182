"""Update rules that look at a whole variable: at its norm (Lamb), at its rows and columns (Adafactor), at its spectrum
(Muon); and schedule-free AdamW, whose average starts at the variable itself. After keras.optimizers (Keras 3)."""

from __future__ import annotations

import re
from typing import Any, ClassVar

import numpy as np

from berrante import ops
from berrante.graph.variable import Variable
from berrante.optimizers.optimizer import Rule
from berrante.optimizers.rules import Slots, _mix, _move


def _norm(x: Any) -> Any:
    return ops.sqrt(ops.sum(ops.square(x)))


def _rms(x: Any) -> Any:
    return ops.sqrt(ops.mean(ops.square(x)))


class Lamb(Rule):
    """Adam whose step on a variable is scaled to the variable's own norm (You et al., 2019)."""

    fields: ClassVar[dict[str, Any]] = {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}
    slots = (("momentum", "velocity"),)
    elementwise = False
    beta_1: float
    beta_2: float
    epsilon: float

    def update_step(self, g: Any, v: Variable, slots: Slots, lr: Any) -> None:  # type: ignore[override]
        t = self._next_step()
        m, n = slots["momentum"], slots["velocity"]
        m.assign(_mix(m.value, g, self.beta_1))
        n.assign(_mix(n.value, ops.square(g), self.beta_2))
        m_hat, n_hat = (
            ops.divide(s.value, ops.subtract(1.0, ops.power(b, t))) for s, b in ((m, self.beta_1), (n, self.beta_2))
        )
        update = ops.divide(m_hat, ops.add(ops.sqrt(n_hat), self.epsilon))
        size, step = _norm(v.value), _norm(update)
        scaled = ops.logical_and(ops.greater(size, 0.0), ops.greater(step, 0.0))
        ratio = ops.where(scaled, ops.divide(size, ops.where(scaled, step, 1.0)), 1.0)
        _move(v, ops.multiply(update, ops.multiply(ratio, lr)))


class Adafactor(Rule):
    """Second moments of matrices kept as means of rows and of columns (Shazeer and Stern, 2018)."""

    fields: ClassVar[dict[str, Any]] = {
        "beta_2_decay": -0.8, "epsilon_1": 1e-30, "epsilon_2": 1e-3, "clip_threshold": 1.0, "relative_step": True,
    }  # fmt: skip
    slots = (("r", "c", "velocity"),)
    elementwise = False
    beta_2_decay: float
    epsilon_1: float
    epsilon_2: float
    clip_threshold: float
    relative_step: bool

    def _slot_start(self, slot: str, variable: Variable) -> np.ndarray:
        shape = variable.shape
        if slot in ("r", "c"):
            if len(shape) < 2:
                shape = ()
            else:
                shape = shape[:-1] if slot == "r" else (*shape[:-2], shape[-1])
        return np.zeros(shape, np.float32)

    def update_step(self, g: Any, v: Variable, slots: Slots, lr: Any) -> None:  # type: ignore[override]
        t = self._next_step()
        root = ops.rsqrt(t)
        if self.relative_step and self._schedule is None:
            lr = ops.minimum(lr, root)
        rate = ops.multiply(ops.maximum(_rms(v.value), self.epsilon_2), ops.minimum(lr, root))
        square = ops.add(ops.square(g), self.epsilon_1)
        keep = ops.subtract(1.0, ops.power(t, self.beta_2_decay))

        def blend(old: Any, new: Any) -> Any:
            return ops.add(ops.multiply(old, keep), ops.multiply(new, ops.subtract(1.0, keep)))

        r, c, n = slots["r"], slots["c"], slots["velocity"]
        if len(v.shape) >= 2:
            r.assign(blend(r.value, ops.mean(square, axis=-1)))
            c.assign(blend(c.value, ops.mean(square, axis=-2)))
            share = ops.divide(r.value, ops.mean(r.value, axis=-1, keepdims=True))
            n.assign(ops.multiply(ops.expand_dims(share, -1), ops.expand_dims(c.value, -2)))
        else:
            n.assign(blend(n.value, square))
        u = ops.divide(g, ops.sqrt(n.value))
        clipped = ops.divide(u, ops.maximum(ops.divide(_rms(u), self.clip_threshold), 1.0))
        _move(v, ops.multiply(clipped, rate))


class Muon(Rule):
    """Momentum made orthogonal by Newton-Schulz iterations, for matrices (Jordan, 2024); AdamW for the other variables.

    exclude_layers: regular expressions of paths that AdamW updates, too; exclude_embeddings: embeddings likewise.
    """

    fields: ClassVar[dict[str, Any]] = {
        "adam_beta_1": 0.9, "adam_beta_2": 0.999, "adam_weight_decay": 0.004, "epsilon": 1e-7, "weight_decay": 0.004,
        "clipnorm": None, "clipvalue": None, "global_clipnorm": None, "use_ema": False, "ema_momentum": 0.99,
        "ema_overwrite_frequency": None, "loss_scale_factor": None, "gradient_accumulation_steps": None, "name": None,
        "exclude_layers": None, "exclude_embeddings": True, "muon_a": 3.4445, "muon_b": -4.7750, "muon_c": 2.0315,
        "adam_lr_ratio": 1, "momentum": 0.95, "ns_steps": 5, "nesterov": True, "rms_rate": 0.2,
    }  # fmt: skip
    elementwise = False
    adam_beta_1: float
    adam_beta_2: float
    adam_weight_decay: float | None
    epsilon: float
    exclude_layers: Any
    exclude_embeddings: bool
    muon_a: float
    muon_b: float
    muon_c: float
    adam_lr_ratio: float
    momentum: float
    ns_steps: int
    nesterov: bool
    rms_rate: float | None

    def _check(self, values: dict[str, Any]) -> None:
        super()._check(values)
        values["exclude_layers"] = values["exclude_layers"] or []

    def _uses_adam(self, v: Variable) -> bool:
        embedding = self.exclude_embeddings and "embedding" in v.path.lower()
        return len(v.shape) != 2 or embedding or any(re.search(word, v.path) for word in self.exclude_layers)

    def build(self, variables: Any) -> None:
        if self.built:
            return
        super().build(variables)
        self._momenta: list[Variable] = []
        self._velocities: list[Variable | None] = []
        for v in self._trainable:
            self._momenta.append(self.add_variable_from_reference(v, "momentum"))
            adam = self._uses_adam(v)
            self._velocities.append(self.add_variable_from_reference(v, "velocity") if adam else None)

    def _slots_of(self, variable: Variable) -> dict[str, Variable]:
        i = self._index[variable]
        own = {"momentum": self._momenta[i], "velocity": self._velocities[i]}
        return {**super()._slots_of(variable), **{k: v for k, v in own.items() if v is not None}}

    def _decay_of(self, v: Variable) -> float | None:
        decay = super()._decay_of(v)
        excluded = v in self._no_decay or any(pattern.search(v.name) for pattern in self._no_decay_names)
        return self.adam_weight_decay if self._uses_adam(v) and not excluded else decay

    def update_step(self, g: Any, v: Variable, slots: Slots, lr: Any) -> None:  # type: ignore[override]
        m = slots["momentum"]
        if "velocity" in slots:
            t = self._next_step()
            bias_1, bias_2 = (ops.subtract(1.0, ops.power(b, t)) for b in (self.adam_beta_1, self.adam_beta_2))
            rate = ops.divide(ops.multiply(ops.multiply(lr, self.adam_lr_ratio), ops.sqrt(bias_2)), bias_1)
            n = slots["velocity"]
            m.assign(_mix(m.value, g, self.adam_beta_1))
            n.assign(_mix(n.value, ops.square(g), self.adam_beta_2))
            return _move(v, ops.divide(ops.multiply(m.value, rate), ops.add(ops.sqrt(n.value), self.epsilon)))
        m.assign(ops.add(ops.multiply(m.value, self.momentum), g))
        ahead = ops.add(g, ops.multiply(m.value, self.momentum)) if self.nesterov else m.value
        scale = 1.0 if self.rms_rate is None else float(np.sqrt(max(v.shape))) * self.rms_rate
        _move(v, ops.multiply(self._orthogonal(ahead), ops.multiply(lr, scale)))

    def _orthogonal(self, x: Any) -> Any:
        """x's polar factor, nearly: a quintic in x that drives its singular values towards 1."""
        tall = x.shape[0] > x.shape[1]
        x = ops.transpose(x) if tall else x
        x = ops.divide(x, ops.add(_norm(x), 1e-7))
        for _ in range(self.ns_steps):
            a = ops.matmul(x, ops.transpose(x))
            b = ops.add(ops.multiply(a, self.muon_b), ops.multiply(ops.matmul(a, a), self.muon_c))
            x = ops.add(ops.multiply(x, self.muon_a), ops.matmul(b, x))
        return ops.transpose(x) if tall else x


class ScheduleFreeAdamW(Rule):
    """AdamW on an average of its iterates instead of a decaying rate (Defazio et al., 2024)."""

    fields: ClassVar[dict[str, Any]] = {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8, "warmup_steps": 0}
    slots = (("momentum", "velocity"),)
    default_learning_rate = 0.0025
    beta_1: float
    beta_2: float
    epsilon: float
    warmup_steps: int

    def _slot_start(self, slot: str, variable: Variable) -> np.ndarray:
        return variable.numpy() if slot == "momentum" else super()._slot_start(slot, variable)

    def update_step(self, g: Any, v: Variable, slots: Slots, lr: Any) -> None:  # type: ignore[override]
        t = self._next_step()
        if self.warmup_steps > 0:
            lr = ops.multiply(lr, ops.minimum(ops.divide(t, float(self.warmup_steps)), 1.0))
        z, n = slots["momentum"], slots["velocity"]
        z_old = ops.multiply(z.value, 1.0)
        n.assign(_mix(n.value, ops.square(g), self.beta_2))
        spread = ops.divide(n.value, ops.subtract(1.0, ops.power(self.beta_2, t)))
        z.assign(ops.subtract(z_old, ops.divide(ops.multiply(g, lr), ops.add(ops.sqrt(spread), self.epsilon))))
        weight = ops.reciprocal(t)
        rest = 1.0 - self.beta_1
        x_old = ops.divide(ops.subtract(v.value, ops.multiply(z_old, rest)), self.beta_1)
        x = ops.add(ops.multiply(x_old, ops.subtract(1.0, weight)), ops.multiply(z.value, weight))
        v.assign(ops.add(ops.multiply(z.value, rest), ops.multiply(x, self.beta_1)))
