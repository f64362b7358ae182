"""LossScaleOptimizer, after keras.optimizers: losses times a factor that halves whenever gradients are not finite."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from berrante import ops
from berrante.graph.variable import Variable
from berrante.optimizers.optimizer import COMMON, Optimizer


class LossScaleOptimizer(Optimizer):
    """Another optimizer, whose losses are scaled so that small gradients do not vanish in 16 bits.

    berrante's gradients are float32 and need no scaling; scripts and files that wrap their optimizer in it work as in Keras.

    Args:
        inner_optimizer: does the updates, with gradients divided by the scale; steps whose gradients are not finite are
            left out.
        initial_scale: the first scale.
        dynamic_growth_steps: after so many finite steps in a row the scale doubles.
    """

    inner_optimizer: Optimizer

    def __init__(
        self, inner_optimizer: Optimizer, initial_scale: float = 2.0**15, dynamic_growth_steps: int = 2000,
        name: str | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        if not kwargs.pop("dynamic", True):
            raise ValueError(
                "LossScaleOptimizer: no longer supports `dynamic=False`; set `loss_scale_factor` on the `inner_optimizer`"
            )
        for key, value in kwargs.items():
            if key not in COMMON or value != COMMON[key]:
                raise ValueError(
                    f"LossScaleOptimizer does not support `{key}`; set it on the `inner_optimizer`. Received {key}={value!r}"
                    if key in COMMON
                    else f"LossScaleOptimizer does not support arguments: `{'`, `'.join(kwargs)}`"
                )
        super().__init__(learning_rate=0.0, name=name)
        self.inner_optimizer = inner_optimizer
        self.initial_scale, self.dynamic_growth_steps = initial_scale, dynamic_growth_steps
        inner_optimizer.loss_scale_factor = None  # or gradients would be divided twice

    def build(self, variables: Sequence[Variable]) -> None:
        if self.built:
            return
        self.step_counter = self._add("step_counter", np.zeros((), np.int32))
        self.dynamic_scale = self._add("dynamic_scale", np.float32(self.initial_scale))
        self.inner_optimizer.build(variables)
        super().build(variables)

    @property
    def variables(self) -> list[Variable]:
        return [*self._variables, *self.inner_optimizer.variables]

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Variable] | None = None) -> None:
        """One update of the inner optimizer, unless a gradient is infinite or NaN."""
        inner = self.inner_optimizer
        if not self.built:
            if trainable_variables is None:
                raise ValueError("LossScaleOptimizer: apply(grads) without variables needs build(trainable_variables)")
            self.build(list(trainable_variables))
        variables = self._trainable if trainable_variables is None else list(trainable_variables)
        inner._flatten()  # variables move before their values are read
        finite: Any = True
        for g in grads:
            finite = finite if g is None else ops.logical_and(finite, ops.all(ops.isfinite(g)))
        scale = self.dynamic_scale.value
        state = [*self._trainable, *inner.variables]
        before = [ops.multiply(v.value, 1) for v in state]
        inner.apply([g if g is None else ops.where(finite, ops.divide(g, scale), 0.0) for g in grads], variables)
        for v, old in zip(state, before, strict=True):
            v.assign(ops.where(finite, v.value, old))
        count = self.step_counter.value
        grown = ops.equal(count, self.dynamic_growth_steps - 1)
        factor = ops.where(finite, ops.where(grown, 2.0, 1.0), 0.5)
        self.dynamic_scale.assign(ops.multiply(scale, factor))
        self.step_counter.assign(ops.where(ops.logical_and(finite, ops.logical_not(grown)), ops.add(count, 1), 0))

    def _flatten(self) -> bool:
        return self.inner_optimizer._flatten()

    @property
    def learning_rate(self) -> Any:
        """The inner optimizer's."""
        return self.inner_optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        self.inner_optimizer.learning_rate = value

    lr = learning_rate

    @property
    def iterations(self) -> Any:
        """The inner optimizer's."""
        return self.inner_optimizer.iterations

    def scale_loss(self, loss: Any) -> Any:
        return ops.multiply(loss, self.dynamic_scale.value if self.built else float(self.initial_scale))

    def finalize_variable_values(self, var_list: Any) -> None:
        self.inner_optimizer.finalize_variable_values(var_list)

    def get_config(self) -> dict[str, Any]:
        from berrante.saving.registry import serialize_keras_object

        return {
            "name": self.name, "inner_optimizer": serialize_keras_object(self.inner_optimizer),
            "initial_scale": self.initial_scale, "dynamic_growth_steps": self.dynamic_growth_steps,
        }  # fmt: skip

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> LossScaleOptimizer:
        from berrante.saving.registry import deserialize_keras_object

        inner = config["inner_optimizer"]
        if isinstance(inner, dict):
            inner = deserialize_keras_object(inner, custom_objects)
        if not isinstance(inner, Optimizer):
            raise ValueError(f"LossScaleOptimizer: expected an optimizer as inner_optimizer; received {inner!r}")
        return cls(**{**config, "inner_optimizer": inner})
