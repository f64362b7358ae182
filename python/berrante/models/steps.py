"""One step of training, testing and prediction: what the trainer traces, and what subclasses override."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

from berrante import ops
from berrante.data import unpack
from berrante.graph.tape import GradientTape, flatten, map_structure
from berrante.graph.variable import Variable
from berrante.models.compiling import CompiledObjectives, outputs_of

Step = TypeVar("Step", bound=Callable[..., Any])


def _batch_size(x: Any) -> int:
    return int(next(leaf for leaf in flatten(x) if leaf is not None).shape[0])


def tracked(step: Step) -> Step:
    """Marks a step of a built-in model: all its logs are metrics, so many steps may run in one call of the core."""
    step.tracked = True  # type: ignore[attr-defined]
    return step


def _nested(leaves: list[Any], structure: Any) -> Any:
    rest = iter(leaves)
    return map_structure(lambda _: next(rest), structure)


class Steps:
    """train_step, test_step, predict_step and what they are made of."""

    name: str
    optimizer: Any
    _objectives: Any
    _loss_tracker: Any
    _compile_arguments: Any

    def _make_objectives(self, names: list[str | None]) -> None:
        raise NotImplementedError

    def _train_variables(self) -> list[Variable]:
        raise NotImplementedError

    @property
    def metrics(self) -> list[Any]:
        raise NotImplementedError

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """The compiled losses and those that layers added. Overridable."""
        predictions, keys = outputs_of(y_pred)
        total = None
        if self._compile_arguments is not None and self._compile_arguments["loss"] is not None:
            objectives = self._objectives_for(predictions, keys)
            objectives.nest = lambda leaves: _nested(leaves, y_pred)
            total = objectives.total_loss(objectives.targets(y), predictions, objectives.weights(sample_weight))
        for loss in self.losses:  # type: ignore[attr-defined]
            loss = ops.sum(ops.cast(loss, "float32"))
            total = loss if total is None else ops.add(total, loss)
        return ops.zeros(()) if total is None else total

    def _loss_of(self, x: Any, y: Any, y_pred: Any, sample_weight: Any, training: bool) -> Any:
        """compute_loss, which subclasses may write without `training`."""
        if "training" in inspect.signature(self.compute_loss).parameters:
            return self.compute_loss(x, y, y_pred, sample_weight, training=training)
        return self.compute_loss(x, y, y_pred, sample_weight)

    def _objectives_for(self, predictions: list[Any], keys: list[str] | None) -> CompiledObjectives:
        if self._objectives is None or len(self._objectives.names) != len(predictions):
            self._make_objectives(list(keys) if keys is not None else [None] * len(predictions))
        return self._objectives

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        """Updates the compiled metrics; gives all results. Overridable."""
        predictions, keys = outputs_of(y_pred)
        if self._compile_arguments is not None:
            objectives = self._objectives_for(predictions, keys)
            if objectives.metrics:
                objectives.update(objectives.targets(y), predictions, objectives.weights(sample_weight))
        return self.get_metrics_result()

    def get_metrics_result(self) -> dict[str, Any]:
        """The results of all metrics by name."""
        logs = {"loss": self._loss_tracker.result()} if self._loss_tracker is not None else {}
        compiled: list[Any] = []
        if self._objectives is not None:
            logs.update(self._objectives.results())
            compiled = self._objectives.all_metrics
        for metric in self.metrics:
            if metric is not self._loss_tracker and not any(metric is m for m in compiled):
                value = metric.result()
                logs.update(value if isinstance(value, dict) else {metric.name: value})
        return logs

    def train_step(self, data: Any) -> dict[str, Any]:
        """One update from (x, y, sample_weight). Overridable: write it with berrante.ops and GradientTape."""
        x, y, sample_weight = unpack(data)
        with GradientTape() as tape:
            y_pred = self(x, training=True)  # type: ignore[operator]
            loss = self._loss_of(x, y, y_pred, sample_weight, training=True)
            scaled = loss if self.optimizer is None else self.optimizer.scale_loss(loss)
        self._loss_tracker.update_state(loss, sample_weight=float(_batch_size(x)))
        variables = self._train_variables()
        if variables:
            self.optimizer.apply(tape.gradient(scaled, variables), variables)
        else:
            warnings.warn(f'[model "{self.name}"] has no trainable weights: there is nothing to train', stacklevel=2)
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def test_step(self, data: Any) -> dict[str, Any]:
        """Loss and metrics of (x, y, sample_weight). Overridable."""
        x, y, sample_weight = unpack(data)
        y_pred = self(x, training=False)  # type: ignore[operator]
        loss = self._loss_of(x, y, y_pred, sample_weight, training=False)
        self._loss_tracker.update_state(loss, sample_weight=float(_batch_size(x)))
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def predict_step(self, data: Any) -> Any:
        """Predictions for (x,). Overridable."""
        x, _, _ = unpack(data) if isinstance(data, tuple) else (data, None, None)
        return self(x, training=False)  # type: ignore[operator]
