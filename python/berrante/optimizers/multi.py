"""Several optimizers for one model, each for variables of its own, after keras.optimizers.MultiOptimizer and OptimizerMap."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from typing import Any

import numpy as np

from berrante import ops
from berrante.graph.variable import Variable
from berrante.optimizers.optimizer import Optimizer
from berrante.optimizers.scaling import LossScaleOptimizer


class OptimizerMap(MutableMapping[str, Any]):
    """Optimizers by a variable's path: a key is the whole path, or a regular expression that matches the whole path.

    Args:
        default_optimizer: for variables that no key matches.
        optimizer_map: a dict of optimizers to begin with.
    """

    def __init__(self, default_optimizer: Any, optimizer_map: dict[str, Any] | None = None) -> None:
        if not isinstance(default_optimizer, Optimizer):
            raise TypeError(f"OptimizerMap: default_optimizer must be an Optimizer; received {default_optimizer!r}")
        if optimizer_map is not None and not isinstance(optimizer_map, dict):
            raise TypeError(f"OptimizerMap: optimizer_map must be a dict; received {optimizer_map!r}")
        self.default_optimizer = default_optimizer
        self._optimizer_map: dict[str, Any] = dict(optimizer_map or {})

    def __getitem__(self, key: str) -> Any:
        if key in self._optimizer_map:
            return self._optimizer_map[key]
        matching = [pattern for pattern in self._optimizer_map if re.fullmatch(pattern, key)]
        if len(matching) > 1:
            raise ValueError(f"OptimizerMap: several keys match the variable {key!r}: {', '.join(matching)}")
        return self._optimizer_map[matching[0]] if matching else self.default_optimizer

    def __setitem__(self, key: str, optimizer: Any) -> None:
        if not isinstance(key, str):
            raise ValueError(f"OptimizerMap: a key must be a string; received {key!r}")
        if key in self._optimizer_map:
            raise ValueError(f"OptimizerMap: {key!r} already exists in the map; keys may not be used twice")
        if not isinstance(optimizer, Optimizer):
            raise ValueError(f"OptimizerMap: optimizer must be an Optimizer; received {optimizer!r}")
        for cls in (LossScaleOptimizer, MultiOptimizer):
            if isinstance(optimizer, cls):
                raise ValueError(f"optimizer cannot be {cls.__name__}.")
        self._optimizer_map[key] = optimizer

    def __delitem__(self, key: str) -> None:
        del self._optimizer_map[key]

    def __len__(self) -> int:
        return len(self._optimizer_map)

    def __iter__(self) -> Iterator[str]:
        return iter(self._optimizer_map)

    def __call__(self, variable: Any) -> Any:
        return self[variable.path]

    def get_config(self) -> dict[str, Any]:
        from berrante.saving.registry import serialize_keras_object

        return {
            "default_optimizer": serialize_keras_object(self.default_optimizer),
            "optimizer_map": serialize_keras_object(self._optimizer_map),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> OptimizerMap:
        from berrante.saving.registry import deserialize_keras_object

        return cls(**{k: deserialize_keras_object(v, custom_objects) for k, v in config.items()})


class MultiOptimizer(Optimizer):
    """Hands each variable to the optimizer that a map or a function of the variable chooses.

    Args:
        optimizer_map: an OptimizerMap, or a function of a variable that gives its optimizer.
        loss_scale_factor: replaces that of all the optimizers.
        name: by default the class's name.

    Learning rates are those of the optimizers in `optimizers`; the whole has none.
    """

    def __init__(
        self, optimizer_map: Callable[[Any], Any], loss_scale_factor: float | None = None, name: str | None = None
    ) -> None:
        self.optimizers: list[Any] = []
        super().__init__(learning_rate=0.0, name=name)
        self._optimizer_map = optimizer_map
        self._chosen: dict[Variable, int] = {}
        if isinstance(optimizer_map, OptimizerMap):
            for optimizer in (*optimizer_map._optimizer_map.values(), optimizer_map.default_optimizer):
                self._take(optimizer)
        self.loss_scale_factor = loss_scale_factor  # type: ignore[method-assign]

    def _take(self, optimizer: Any) -> int:
        at = self._index_of(optimizer)
        if at is None:
            at = len(self.optimizers)
            self.optimizers.append(optimizer)
            optimizer.loss_scale_factor = self.loss_scale_factor
        return at

    def _index_of(self, optimizer: Any) -> int | None:
        return next((i for i, other in enumerate(self.optimizers) if other is optimizer), None)

    @property
    def loss_scale_factor(self) -> float | None:  # type: ignore[override]
        return self.__dict__.get("_loss_scale_factor")

    @loss_scale_factor.setter
    def loss_scale_factor(self, value: float | None) -> None:
        self._loss_scale_factor = value
        for optimizer in self.optimizers:
            optimizer.loss_scale_factor = value

    def build(self, variables: Sequence[Variable]) -> None:
        if self.built:
            return
        own: dict[int, list[Variable]] = {}
        for v in variables:
            optimizer = self._optimizer_map(v)
            if not isinstance(optimizer, Optimizer):
                raise ValueError(f"MultiOptimizer: expected an Optimizer for {v.path!r}; received {optimizer!r}")
            for cls in (LossScaleOptimizer, MultiOptimizer):
                if isinstance(optimizer, cls):
                    raise ValueError(f"{cls.__name__} cannot be used inside an MultiOptimizer.")
            self._chosen[v] = self._take(optimizer)
            own.setdefault(self._chosen[v], []).append(v)
        for i, group in own.items():
            self.optimizers[i].build(group)
        super().build(variables)

    def _var_key(self, variable: Variable) -> Variable:
        return variable

    @property
    def _var_to_optimizer_idx(self) -> dict[Variable, int]:
        return self._chosen

    @property
    def variables(self) -> list[Variable]:
        """The own counter and rate, then those of each optimizer."""
        return [*self._variables, *(v for optimizer in self.optimizers for v in optimizer.variables)]

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Variable] | None = None) -> None:
        """One update by each optimizer that has variables here."""
        if len(grads) == 0:
            return
        if trainable_variables is None and not self.built:
            raise ValueError("MultiOptimizer: apply(grads) without variables needs build(trainable_variables) first")
        variables = self._trainable if trainable_variables is None else list(trainable_variables)
        self.build(variables)
        if len(grads) != len(variables):
            raise ValueError(f"MultiOptimizer: received {len(grads)} gradients for {len(variables)} variables")
        self._check_known(variables)
        for i, optimizer in enumerate(self.optimizers):
            pairs = [(g, v) for g, v in zip(grads, variables, strict=True) if self._chosen[v] == i]
            if pairs:
                optimizer.apply([g for g, _ in pairs], [v for _, v in pairs])
        self._iterations.assign(ops.add(self._iterations.value, 1))

    def _flatten(self) -> bool:
        return all([optimizer._flatten() for optimizer in self.optimizers if optimizer.built])

    @property
    def learning_rate(self) -> Any:
        raise AttributeError(
            "Learning rate cannot be accessed on a MultiOptimizer. Access the learning rate on the individual sub-optimizers "
            "instead."
        )

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        raise AttributeError(
            "Learning rate cannot be set on a MultiOptimizer. Set the learning rate on the individual sub-optimizers instead."
        )

    lr = learning_rate

    def finalize_variable_values(self, var_list: Any) -> None:
        for optimizer in self.optimizers:
            if optimizer.built:
                optimizer.finalize_variable_values(var_list)

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Replaces the values of `variables`."""
        if not self.built:
            raise ValueError("You are calling `set_weights()` on an optimizer that has not yet been built.")
        own = self.variables
        for v, w in zip(own, weights):
            if tuple(v.shape) != np.shape(w):
                raise ValueError(f"Optimizer variable {v.path!r} has shape {v.shape}; received shape {np.shape(w)}")
        for v, w in zip(own, weights):
            v.assign(np.asarray(w))

    def get_config(self) -> dict[str, Any]:
        from berrante.saving.registry import serialize_keras_object

        return {
            "optimizer_map": serialize_keras_object(self._optimizer_map),
            "loss_scale_factor": self.loss_scale_factor, "name": self.name,
        }  # fmt: skip

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> MultiOptimizer:
        from berrante.saving.registry import deserialize_keras_object

        chosen = config["optimizer_map"]
        chosen = deserialize_keras_object(chosen, custom_objects) if isinstance(chosen, dict) else chosen
        if not callable(chosen):
            raise ValueError(f"MultiOptimizer: expected an OptimizerMap; received {chosen!r}")
        return cls(**{**config, "optimizer_map": chosen})


def parts_of(optimizer: Any) -> list[Any]:
    """The optimizers that have learning rates: one, or those of a MultiOptimizer."""
    return list(optimizer.optimizers) if isinstance(optimizer, MultiOptimizer) else [optimizer]


def learning_rates(optimizer: Any) -> dict[str, float]:
    """What callbacks log: `learning_rate`, or one for each optimizer of several, with its name."""
    if not isinstance(optimizer, MultiOptimizer):
        return {"learning_rate": float(np.asarray(optimizer.learning_rate))}
    rates: dict[str, float] = {}
    for part in optimizer.optimizers:
        name = f"learning_rate_{part.name}"
        unique = name if name not in rates else f"{name}_{sum(k.startswith(name) for k in rates)}"
        rates[unique] = float(np.asarray(part.learning_rate))
    return rates
