"""Random optimizers: 20 steps on random gradients with random hyperparameters; the variables' trajectory and the state.

Ours run traced into a program, as in `fit`. The learning rate changes on the way, by assignment or by a schedule.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from parity.harness import Case
from parity.layer_cases import maybe, pick, whole

Rng = np.random.Generator
STEPS = 20


def beta(rng: Rng) -> float:
    return float(rng.uniform(0.5, 0.99))


def _adam(rng: Rng) -> dict[str, Any]:
    return {"beta_1": beta(rng), "beta_2": beta(rng), "epsilon": 10.0 ** whole(rng, -7, -2)}


TABLE: dict[str, Callable[[Rng], dict[str, Any]]] = {
    "SGD": lambda rng: {"momentum": pick(rng, 0.0, 0.9, float(rng.random())), "nesterov": maybe(rng)},
    "Adam": lambda rng: {**_adam(rng), "amsgrad": maybe(rng)},
    "AdamW": lambda rng: {**_adam(rng), "amsgrad": maybe(rng), "weight_decay": float(rng.random())},
    "RMSprop": lambda rng: {
        "rho": beta(rng), "momentum": pick(rng, 0.0, 0.7), "epsilon": 1e-4, "centered": maybe(rng)
    },
    "Adagrad": lambda rng: {"initial_accumulator_value": float(rng.random()), "epsilon": 1e-4},
    "Adadelta": lambda rng: {"rho": beta(rng), "epsilon": 1e-4},
    "Adamax": _adam,
    "Nadam": _adam,
    "Lion": lambda rng: {"beta_1": beta(rng), "beta_2": beta(rng)},
    "Ftrl": lambda rng: {
        "learning_rate_power": -float(rng.uniform(0.2, 0.8)), "initial_accumulator_value": float(rng.uniform(0.05, 1)),
        "l1_regularization_strength": pick(rng, 0.0, 0.01), "l2_regularization_strength": pick(rng, 0.0, 0.1),
        "l2_shrinkage_regularization_strength": pick(rng, 0.0, 0.1), "beta": pick(rng, 0.0, 0.1),
    },
    "Lamb": _adam,
    "Adafactor": lambda rng: {"relative_step": maybe(rng), "clip_threshold": pick(rng, 1.0, 0.5)},
    "Muon": lambda rng: {
        "adam_lr_ratio": pick(rng, 1.0, 0.5), "nesterov": maybe(rng), "rms_rate": pick(rng, 0.2, None),
        "exclude_layers": pick(rng, None, ["v1"]), "weight_decay": pick(rng, None, 0.1),
    },
    "ScheduleFreeAdamW": lambda rng: {**_adam(rng), "warmup_steps": pick(rng, 0, 5)},
}  # fmt: skip
SCHEDULES: dict[str, Callable[[Rng], dict[str, Any]]] = {
    "ExponentialDecay": lambda rng: {
        "initial_learning_rate": 0.1, "decay_steps": whole(rng, 1, 9), "decay_rate": 0.7, "staircase": maybe(rng)
    },
    "InverseTimeDecay": lambda rng: {
        "initial_learning_rate": 0.1, "decay_steps": whole(rng, 1, 9), "decay_rate": 0.7, "staircase": maybe(rng)
    },
    "PolynomialDecay": lambda rng: {
        "initial_learning_rate": 0.1, "decay_steps": whole(rng, 1, 9), "power": pick(rng, 1.0, 2.0, 0.5),
        "cycle": maybe(rng),
    },
    "PiecewiseConstantDecay": lambda rng: {"boundaries": [2, 7, 11][: whole(rng, 1, 3)], "values": []},
    "CosineDecay": lambda rng: {
        "initial_learning_rate": 0.1, "decay_steps": whole(rng, 1, 15), "alpha": pick(rng, 0.0, 0.2),
        "warmup_target": pick(rng, None, 0.3), "warmup_steps": 4,
    },
    # With t_mul 1.5 restarts fall on steps, where rounding decides in Keras whether it is one.
    "CosineDecayRestarts": lambda rng: {
        "initial_learning_rate": 0.1, "first_decay_steps": whole(rng, 2, 6), "t_mul": pick(rng, 1.0, 2.0),
        "m_mul": pick(rng, 1.0, 0.8), "alpha": pick(rng, 0.0, 0.1),
    },
}  # fmt: skip


def common(rng: Rng) -> dict[str, Any]:
    kwargs: dict[str, Any] = {}
    if maybe(rng, 0.4):
        kwargs[pick(rng, "clipnorm", "clipvalue", "global_clipnorm")] = float(rng.uniform(0.1, 2))
    if maybe(rng, 0.3):
        kwargs["weight_decay"] = float(rng.uniform(0, 0.3))
    if maybe(rng, 0.3):
        kwargs.update(use_ema=True, ema_momentum=beta(rng), ema_overwrite_frequency=pick(rng, None, 3))
    if maybe(rng, 0.2):
        kwargs["gradient_accumulation_steps"] = whole(rng, 2, 4)
    if maybe(rng, 0.1):
        kwargs["loss_scale_factor"] = 4.0
    return kwargs


def schedule_of(rng: Rng) -> tuple[str, dict[str, Any]]:
    name = pick(rng, *SCHEDULES)
    kwargs = SCHEDULES[name](rng)
    if name == "PiecewiseConstantDecay":
        kwargs["values"] = [float(x) for x in rng.random(len(kwargs["boundaries"]) + 1)]
    return name, kwargs


def optimizer(name: str) -> Callable[[Rng], Case]:
    def draw(rng: Rng) -> Case:
        kwargs = {**common(rng), **TABLE[name](rng)}
        shapes = [tuple(whole(rng, 1, 4) for _ in range(whole(rng, 1, 3))) for _ in range(whole(rng, 1, 3))]
        start = [rng.normal(size=s).astype(np.float32) for s in shapes]
        grads = [[rng.normal(size=s).astype(np.float32) for s in shapes] for _ in range(STEPS)]
        schedule = schedule_of(rng) if maybe(rng, 0.3) else None
        rates = [float(rng.uniform(0.001, 0.1)), float(rng.uniform(0.001, 0.1))]
        excluded = "v0" if maybe(rng, 0.2) and len(shapes) > 1 else None

        def run(peer: Any) -> dict[str, Any]:
            rate = rates[0]
            if schedule is not None:
                rate = getattr(peer.k.optimizers.schedules, schedule[0])(**schedule[1])
            made = getattr(peer.k.optimizers, name)(learning_rate=rate, **kwargs)
            if excluded:
                made.exclude_from_weight_decay(var_names=[excluded])
            variables = [peer.k.Variable(x, name=f"v{i}") for i, x in enumerate(start)]
            result: dict[str, Any] = {}
            step = peer.optimizer_step(made, variables)
            for i, gs in enumerate(grads):
                if i == STEPS // 2 and schedule is None:
                    made.learning_rate = rates[1]
                step(gs)
                if i in (0, 1, 2, STEPS - 1):
                    for k, v in enumerate(variables):
                        result[f"v{k} after {i}"] = np.array(peer.k.ops.convert_to_numpy(v))
            result["shapes"] = [tuple(v.shape) for v in made.variables]
            for k, v in enumerate(made.variables):
                result[f"state{k}"] = np.array(peer.k.ops.convert_to_numpy(v))
            result["rate"] = np.asarray(float(made.learning_rate))
            made.finalize_variable_values(variables)
            result["final"] = np.array(peer.k.ops.convert_to_numpy(variables[0]))
            config = made.get_config()
            result["config"] = sorted(config)
            again = type(made).from_config(config).get_config()
            result["config returns"] = all(np.isclose(again[k], v) for k, v in config.items() if isinstance(v, float))
            return result

        label = f"{name}({kwargs}) rate {schedule or rates} excluded {excluded} shapes {shapes}"
        # On torch Keras overwrites schedule-free AdamW's old state before it reads it.
        backends = ("jax",) if name == "ScheduleFreeAdamW" else ("jax", "torch")
        atol = 1e-4 if name in ("Muon", "Adafactor") else 2e-5
        return Case(label, run, rtol=1e-3, atol=atol, backends=backends)

    return draw


def schedule(rng: Rng) -> Case:
    name, kwargs = schedule_of(rng)

    def run(peer: Any) -> dict[str, Any]:
        made = getattr(peer.k.optimizers.schedules, name)(**kwargs)
        # Between steps: restarts fall on whole ones, where rounding decides.
        late = 0.25 if name == "CosineDecayRestarts" else 0.0
        rates = [float(made(peer.k.ops.convert_to_tensor(i + late))) for i in range(16)]
        return {"rates": np.asarray(rates), "config": made.get_config()}

    return Case(f"{name}({kwargs})", run)


KINDS: dict[str, Callable[[Rng], Case]] = {**{name: optimizer(name) for name in TABLE}, "schedule": schedule}
