"""get_updates: how Keras 2's optimizers say what a step does, and how scripts' own optimizers are written.

A script's `get_updates(loss, params)` runs while a training step is traced, where `get_gradients` gives the gradients that
the step has; its list is assigned at its end (compat.backend.updates). Outside a step, get_updates gives one object that
K.function takes among its updates: the whole step of the optimizer.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from berrante.compat.backend.updates import assign_all, recorded
from berrante.graph import trace
from berrante.graph.op import as_tensor
from berrante.graph.variable import Variable


class OptimizerStep:
    """The step of an optimizer on a loss of placeholders, as K.function takes it among its updates."""

    def __init__(self, optimizer: Any, loss: Any, params: list[Variable]) -> None:
        self.optimizer, self.loss, self.params = optimizer, loss, params

    def gradients_for_step(self) -> list[Any]:
        """What `run` wants to know the values of."""
        from berrante.compat.backend.symbolic import gradients

        found: list[Any] = gradients(self.loss, self.params)
        return found

    def run(self, gradients: list[Any]) -> None:
        """Updates the variables."""
        self.optimizer.apply(gradients, self.params)


def _loss_and_params(*args: Any, **kwargs: Any) -> tuple[Any, list[Variable]]:
    """The arguments of get_updates in either order: (loss, params), or (params, constraints, loss) of Keras 1."""
    if args and isinstance(args[0], (list, tuple)):
        named = dict(zip(("params", "constraints", "loss"), args), **kwargs)
    else:
        named = dict(zip(("loss", "params"), args), **kwargs)
    if named.get("params") is None:
        raise TypeError(f"get_updates: expected loss and params; received {', '.join(named) or 'nothing'}")
    return named.get("loss"), list(named["params"])


class OwnUpdates:
    """The half of Keras 2's Optimizer that knows get_updates."""

    _loss: Any = None
    _given: dict[Variable, Any] | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = cls.__dict__.get("get_updates")
        if own is not None and cls.__module__ != __name__:
            cls.get_updates = _postponed(own)  # type: ignore[method-assign]

    def get_updates(self, *args: Any, **kwargs: Any) -> list[Any]:
        """The optimizer's step on a loss, for K.function's updates; within a step it happens at once."""
        loss, params = _loss_and_params(*args, **kwargs)
        if self._given is None:
            return [OptimizerStep(self, loss, params)]
        self._apply_rule([self._given[v] for v in params], params)  # type: ignore[attr-defined]
        return []

    def get_gradients(self, loss: Any, params: Any) -> list[Any]:
        """The (clipped) gradients of a loss."""
        if self._given is not None and all(v in self._given for v in params):
            found = [self._given[v] for v in params]
            missing = [v.path for v, g in zip(params, found) if g is None]
            if missing:
                raise ValueError(f"The loss has no gradient for {', '.join(missing)}: does it depend on them?")
        else:
            from berrante.compat.backend.symbolic import gradients

            found = gradients(loss, list(params))
        clipped: list[Any] = self._clip_gradients(found)  # type: ignore[attr-defined]
        return clipped

    def scale_loss(self, loss: Any) -> Any:
        self._loss = loss
        return super().scale_loss(loss)  # type: ignore[misc]

    def build(self, variables: Any) -> None:
        """Makes the slots; those of a script's get_updates by running it once on gradients of zero, without effect."""
        fresh = not self.built  # type: ignore[attr-defined]
        super().build(variables)  # type: ignore[misc]
        if fresh and _is_own(type(self)):
            self._given = {v: as_tensor(np.zeros(v.shape, np.float32)) for v in variables}
            with trace.suspended():
                try:
                    self.get_updates(as_tensor(np.float32(0.0)), list(variables))
                finally:
                    self._given = None

    def apply(self, grads: Any, trainable_variables: Any = None) -> None:
        """One update, by the script's own get_updates where there is one."""
        if not _is_own(type(self)):
            self._apply_rule(grads, trainable_variables)
            return
        variables = list(self._trainable if trainable_variables is None else trainable_variables)  # type: ignore[attr-defined]
        if not self.built:  # type: ignore[attr-defined]
            self.build(variables)
        self._given = dict(zip(variables, grads, strict=True))
        try:
            assign_all(self.get_updates(self._loss, variables))
        finally:
            self._given = self._loss = None

    def _apply_rule(self, grads: Any, variables: Any) -> None:
        super().apply(grads, variables)  # type: ignore[misc]

    def _keep(self, made: list[Variable]) -> None:
        """Variables that get_updates made are saved with the optimizer."""
        known: list[Variable] = self._variables  # type: ignore[attr-defined]
        known.extend(v for v in made if v not in known)


def _is_own(cls: type) -> bool:
    return cls.get_updates is not OwnUpdates.get_updates  # type: ignore[attr-defined]


def _postponed(own: Callable[..., Any]) -> Callable[..., Any]:
    """A script's get_updates: postponed outside of a step, recorded within one."""
    names = list(inspect.signature(own).parameters)

    @functools.wraps(own)
    def get_updates(self: Any, *args: Any, **kwargs: Any) -> Any:
        loss, params = _loss_and_params(*args, **kwargs)
        if self._given is None:
            return [OptimizerStep(self, loss, params)]
        given = {"loss": loss, "params": params, "constraints": {}}
        made = self.__dict__.setdefault("_made", {}).setdefault(own.__qualname__, [])
        with recorded(made):
            updates = own(self, **{k: v for k, v in given.items() if k in names})
        self._keep(made)
        return updates

    return get_updates
