"""The base of optimizers, after keras.optimizers.Optimizer.

An optimizer moves the variables that it trains into one flat storage, and its slots likewise, so that an update is one
elementwise expression over flat vectors and becomes a single fused kernel. Where variables must be treated on their own
(rules that need norms, weight decay exclusions, variables that lie elsewhere), the same expression runs for each variable.

A rule declares its hyperparameters in `fields` and its slots in `slots`; the constructor's signature follows from them.
"""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from berrante import ops
from berrante.graph.primitives import concat, reshape
from berrante.graph.variable import Variable, flatten_variables
from berrante.optimizers.state import OptimizerState, start_rate

# What every optimizer takes after its own hyperparameters, in Keras' order.
COMMON: dict[str, Any] = {
    "weight_decay": None, "clipnorm": None, "clipvalue": None, "global_clipnorm": None, "use_ema": False,
    "ema_momentum": 0.99, "ema_overwrite_frequency": None, "loss_scale_factor": None,
    "gradient_accumulation_steps": None, "name": None,
}  # fmt: skip


class Optimizer(OptimizerState):
    """Updates variables from gradients.

    Args:
        learning_rate: a number, a schedule, or a function without arguments.
        weight_decay: decoupled; each step also subtracts learning_rate * weight_decay * variable.
        clipnorm: the largest norm of each variable's gradient; global_clipnorm: of all together.
        clipvalue: the largest absolute element of gradients.
        use_ema, ema_momentum: averages of the variables, which replace them at the end of fit.
        ema_overwrite_frequency: also after every so many steps.
        loss_scale_factor: losses are multiplied by it before differentiation, gradients divided by it.
        gradient_accumulation_steps: one update from the mean of so many gradients.
        name: by default the class's name.

    Own optimizers follow Keras' protocol: `build(variables)` makes slots with `add_variable_from_reference`, and
    `update_step(gradient, variable, learning_rate)` assigns the variable.
    """

    # A rule's hyperparameters with their defaults, and its slots: those of one group lie side by side, variable by variable.
    fields: ClassVar[dict[str, Any]] = {}
    slots: tuple[tuple[str, ...], ...] = ()
    # Whether the rule treats every element alike, so that it may run over all variables at once.
    elementwise = True
    default_learning_rate: float | None = None

    weight_decay: float | None
    clipnorm: float | None
    clipvalue: float | None
    global_clipnorm: float | None
    use_ema: bool
    ema_momentum: float
    ema_overwrite_frequency: int | None
    loss_scale_factor: float | None
    gradient_accumulation_steps: int | None
    name: str

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "fields" in cls.__dict__ and "__init__" not in cls.__dict__:
            cls.__signature__ = cls._signature()  # type: ignore[attr-defined]

    @classmethod
    def _parameters(cls) -> dict[str, Any]:
        """Names and defaults in order."""
        common = {k: v for k, v in COMMON.items() if k not in cls.fields}
        return {"learning_rate": cls.default_learning_rate, **cls.fields, **common}

    @classmethod
    def _signature(cls) -> inspect.Signature:
        kind, empty = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.empty
        listed = [
            inspect.Parameter(name, kind, default=empty if name == "learning_rate" and default is None else default)
            for name, default in cls._parameters().items()
        ]
        return inspect.Signature([*listed, inspect.Parameter("kwargs", inspect.Parameter.VAR_KEYWORD)])

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        parameters = self._parameters()
        if len(args) > len(parameters):
            raise TypeError(
                f"{type(self).__name__}: expected at most {len(parameters)} arguments; received {len(args)}"
            )
        given = dict(zip(parameters, args))
        if "lr" in kwargs:
            kwargs["learning_rate"] = kwargs.pop("lr")
        if kwargs.pop("decay", None):
            warnings.warn("Argument `decay` is no longer supported and will be ignored.", stacklevel=3)
        unknown = [name for name in kwargs if name not in parameters]
        if unknown:
            raise ValueError(
                f"{type(self).__name__}: Argument(s) not recognized: {', '.join(unknown)}; expected "
                f"{', '.join(parameters)}"
            )
        twice = [name for name in kwargs if name in given]
        if twice:
            raise TypeError(f"{type(self).__name__}: received {twice[0]} twice")
        values = {**parameters, **given, **kwargs}
        rate = values.pop("learning_rate")
        if rate is None:
            raise TypeError(f"{type(self).__name__}: expected a learning_rate")
        self._check(values)
        for name, value in values.items():
            setattr(self, name, value)
        self._setup_state(values["name"], rate)

    def _check(self, values: dict[str, Any]) -> None:
        """Raises ValueError for common arguments that make no sense; rules check their own as well."""
        clips = {k: values.get(k) for k in ("clipnorm", "clipvalue", "global_clipnorm")}
        if sum(v is not None for v in clips.values()) > 1:
            raise ValueError(
                f"{type(self).__name__}: Only one of `clipnorm`, `clipvalue` and `global_clipnorm` can be set. Received: "
                + ", ".join(f"{k}={v}" for k, v in clips.items())
            )
        every, momentum = values["ema_overwrite_frequency"], values["ema_momentum"]
        if values["use_ema"]:
            if not 0 <= momentum <= 1:
                raise ValueError(f"`ema_momentum` must be in the range [0, 1]. Received: ema_momentum={momentum}")
            if every and (not isinstance(every, int) or every < 1):
                raise ValueError(
                    "`ema_overwrite_frequency` must be an integer >= 1 or None. Received: "
                    f"ema_overwrite_frequency={every}"
                )
        steps = values["gradient_accumulation_steps"]
        if steps and not steps >= 2:
            raise ValueError(
                f"`gradient_accumulation_steps` must be an integer >= 2. Received: gradient_accumulation_steps={steps}"
            )

    # --- updates ----------------------------------------------------------------------------------------------------

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Any, Variable]]) -> Any:
        """apply for pairs of gradient and variable."""
        pairs = list(grads_and_vars)
        self.apply([g for g, _ in pairs], [v for _, v in pairs])
        return self._iterations

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Variable] | None = None) -> None:
        """One update. A gradient of None leaves its variable alone, with a warning; if all are None, that is an error."""
        if len(grads) == 0:
            return
        if trainable_variables is None and not self.built:
            raise ValueError(
                f"{type(self).__name__}: apply(grads) without variables needs build(trainable_variables) first"
            )
        variables = self._trainable if trainable_variables is None else list(trainable_variables)
        if len(grads) != len(variables):
            raise ValueError(f"{type(self).__name__}: received {len(grads)} gradients for {len(variables)} variables")
        if not self.built:
            self.build(variables)
            self._take_waiting()
        self._check_known(variables)
        pairs = self._with_gradients(grads, variables)
        scale = self.loss_scale_factor
        gs = [ops.cast(g, "float32") for g, _ in pairs]
        gs = gs if scale is None else [ops.divide(g, float(scale)) for g in gs]
        # Accumulated gradients are clipped as a mean, in the update itself.
        gs = gs if self.gradient_accumulation_steps else self._clip_gradients(gs)
        whole = len(pairs) == len(variables) and variables == self._trainable and self._flatten()
        self._update_all(gs, [v for _, v in pairs], self._rate(), whole)
        for _, v in pairs:
            if v.constraint is not None:
                v.assign(v.constraint(v.value))
        self._iterations.assign(ops.add(self._iterations.value, 1))

    def _with_gradients(self, grads: Sequence[Any], variables: list[Variable]) -> list[tuple[Any, Variable]]:
        missing = [v.path for g, v in zip(grads, variables, strict=True) if g is None]
        if len(missing) == len(grads):
            raise ValueError(
                f"No gradients provided for any variable: {', '.join(missing)}; does the loss depend on them?"
            )
        if missing:
            warnings.warn(
                f"Gradients do not exist for variables {missing} when minimizing the loss. If using `model.compile()`, "
                "did you forget to provide a `loss` argument?",
                stacklevel=3,
            )
        return [(g, v) for g, v in zip(grads, variables, strict=True) if g is not None]

    def _update_all(self, gs: list[Any], variables: list[Variable], lr: Any, whole: bool) -> None:
        steps = self.gradient_accumulation_steps
        due: Any = None
        if steps:
            due = ops.equal(ops.mod(ops.add(self._iterations.value, 1), steps), 0)
            sums = [ops.add(g, self._slot("gradient_accumulator", v).value) for g, v in zip(gs, variables, strict=True)]
            gs = self._clip_gradients([ops.divide(s, float(steps)) for s in sums])
            for v, s in zip(variables, sums, strict=True):
                self._slot("gradient_accumulator", v).assign(ops.where(due, 0.0, s))
        if whole:
            assert self._flat is not None
            flat = concat([reshape(g, (g.size,)) for g in gs])
            self._update_one(flat, self._flat, dict(self._flat_slots), lr, due)
        else:
            for g, v in zip(gs, variables, strict=True):
                self._update_one(g, v, self._slots_of(v), lr, due)
        self._finish(due)

    def _update_one(self, g: Any, v: Variable, slots: dict[str, Any], lr: Any, due: Any) -> None:
        state = [s for name, s in slots.items() if name not in ("average", "gradient_accumulator")]
        before = [] if due is None else [(s, ops.multiply(s.value, 1.0)) for s in (v, *state)]
        decay = self._decay_of(v)
        if decay is not None:
            v.assign(ops.subtract(v.value, ops.multiply(ops.multiply(v.value, float(decay)), lr)))
        if self._takes_slots:
            self.update_step(g, v, slots, lr)  # type: ignore[call-arg]
        else:
            self.update_step(g, v, lr)
        for s, old in before:  # steps that only accumulate
            s.assign(ops.where(due, s.value, old))
        if self.use_ema:
            self._average(v, slots["average"])

    def _average(self, v: Variable, average: Any) -> None:
        """The first step starts the average at the variable."""
        count = self._updates()
        m = ops.where(ops.equal(count, 0), 0.0, float(self.ema_momentum))
        average.assign(ops.add(ops.multiply(average.value, m), ops.multiply(v.value, ops.subtract(1.0, m))))
        if self.ema_overwrite_frequency:
            due = ops.equal(ops.mod(ops.add(count, 1), self.ema_overwrite_frequency), 0)
            v.assign(ops.where(due, average.value, v.value))

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        raise NotImplementedError(f"{type(self).__name__} must define update_step()")

    def _finish(self, due: Any) -> None:
        """Once a step, after all variables; `due` is None or says whether this step updated."""

    def _clip_gradients(self, grads: list[Any]) -> list[Any]:
        """Gradients no larger than the optimizer's arguments allow."""
        if self.clipnorm is not None and self.clipnorm > 0:
            limit = float(self.clipnorm)
            norms = [ops.maximum(ops.sqrt(ops.sum(ops.square(g))), limit) for g in grads]
            return [ops.divide(ops.multiply(g, limit), norm) for g, norm in zip(grads, norms, strict=True)]
        if self.global_clipnorm is not None and self.global_clipnorm > 0:
            limit = float(self.global_clipnorm)
            norm = ops.sqrt(ops.sum(ops.stack([ops.sum(ops.square(g)) for g in grads])))
            # Of infinite gradients come NaN, as in Keras.
            scale = ops.add(ops.divide(limit, ops.maximum(norm, limit)), ops.subtract(norm, norm))
            return [ops.multiply(g, scale) for g in grads]
        if self.clipvalue is not None and self.clipvalue > 0:
            return [ops.clip(g, -float(self.clipvalue), float(self.clipvalue)) for g in grads]
        return grads

    # --- weight decay -----------------------------------------------------------------------------------------------

    def exclude_from_weight_decay(self, var_list: Any = None, var_names: Any = None) -> None:
        """Variables that weight_decay leaves alone, by themselves or by regular expressions found in their names."""
        if self.built:
            raise ValueError("`exclude_from_weight_decay()` can only be configured before the optimizer is built.")
        self._no_decay = set(var_list or ())
        self._no_decay_names = [re.compile(name) for name in var_names or ()]

    def _decay_of(self, v: Variable) -> float | None:
        if v in self._no_decay or any(pattern.search(v.name) for pattern in self._no_decay_names):
            return None
        return self.weight_decay

    # --- flat storages ----------------------------------------------------------------------------------------------

    def _flatten(self) -> bool:
        """Moves parameters and slots into flat storages, where nothing needs them apart; says whether that holds."""
        apart = self._no_decay or self._no_decay_names or not (self.elementwise and self._takes_slots)
        if apart or not self._trainable:
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

    # --- config -----------------------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        from berrante.saving.registry import serialize_keras_object

        rate: Any = self._learning_rate.array.item()
        if self._schedule is not None:
            rate = serialize_keras_object(self._schedule)
        config = {"name": self.name, "learning_rate": rate}
        config.update({field: getattr(self, field) for field in (*COMMON, *self.fields) if field != "name"})
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        return cls(
            **{**config, "learning_rate": start_rate(config, custom_objects)} if "learning_rate" in config else config
        )


Optimizer.__signature__ = Optimizer._signature()  # type: ignore[attr-defined]


class Rule(Optimizer):
    """A built-in update rule: it takes its slots by name, and 0.001 is its learning rate unless it says otherwise."""

    default_learning_rate = 0.001
