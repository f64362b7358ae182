"""What compile() makes of losses and metrics: per output, weighted, named as Keras names them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from berrante import losses, metrics, ops
from berrante.graph.tape import flatten


def outputs_of(structure: Any) -> tuple[list[Any], list[str] | None]:
    """The outputs as a list, and their names where they come in a dict."""
    if isinstance(structure, dict):
        return list(structure.values()), list(structure)
    return (list(structure), None) if isinstance(structure, (list, tuple)) else ([structure], None)


def _per_output(what: str, spec: Any, names: list[str], many: bool) -> list[Any]:
    """A compile argument spread over outputs."""
    if spec is None:
        return [None] * len(names)
    if isinstance(spec, dict):
        unknown = [k for k in spec if k not in names]
        if unknown:
            raise ValueError(f"{what}: expected names of outputs ({', '.join(names)}); received {', '.join(unknown)}")
        return [spec.get(name) for name in names]
    if many:  # metrics: a list is for every output, unless it holds one entry per output
        if isinstance(spec, (list, tuple)) and len(names) > 1:
            if len(spec) == len(names) and any(isinstance(s, (list, tuple)) or s is None for s in spec):
                return list(spec)
            if len(spec) != len(names):
                raise ValueError(f"{what}: expected one entry per output ({len(names)}); received {len(spec)}")
            return list(spec)
        return [spec] * len(names)
    if isinstance(spec, (list, tuple)):
        if len(spec) != len(names):
            raise ValueError(f"{what}: expected one entry per output ({len(names)}); received {len(spec)}")
        return list(spec)
    return [spec] * len(names)


def accuracy_for(y_true: Any, y_pred: Any, kind: str) -> Callable[..., Any]:
    """What 'accuracy' or 'crossentropy' means for an output, by shapes (Keras 3)."""
    binary = y_pred.shape[-1:] == (1,)
    sparse = len(y_true.shape) < len(y_pred.shape) or (y_true.shape[-1:] == (1,) and not binary)
    table: tuple[Callable[..., Any], ...]
    if kind == "accuracy":
        table = (metrics.binary_accuracy, metrics.sparse_categorical_accuracy, metrics.categorical_accuracy)
    else:
        table = (losses.binary_crossentropy, losses.sparse_categorical_crossentropy, losses.categorical_crossentropy)
    return table[0] if binary else table[1] if sparse else table[2]


class _ByShape(metrics.MeanMetricWrapper):
    """'accuracy' before the shapes are known."""

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(lambda a, b: accuracy_for(a, b, kind)(a, b), name)


def _metric(spec: Any) -> Any:
    if isinstance(spec, str) and spec.lower() in ("accuracy", "acc"):
        return _ByShape("accuracy", spec)
    if isinstance(spec, str) and spec.lower() in ("crossentropy", "ce"):
        return _ByShape("crossentropy", spec)
    return metrics.get(spec)


class CompiledObjectives:
    """Losses and metrics for the outputs of a model.

    Built with the outputs' names, when they are known. State lives in the metrics, whose variables the traced step
    updates.
    """

    def __init__(self, loss: Any, loss_weights: Any, metric_specs: Any, weighted_specs: Any, names: list[str]) -> None:
        self.names = names
        self.losses = [losses.get(spec) for spec in _per_output("loss", loss, names, False)]
        weights = _per_output("loss_weights", loss_weights, names, False)
        self.weights = [1.0 if w is None else w for w in weights]
        single = len(names) == 1
        self.loss_trackers = [
            metrics.Mean(name=f"{name}_loss") if fn is not None and not single else None
            for name, fn in zip(names, self.losses, strict=True)
        ]
        self.metrics: list[tuple[int, Any, bool]] = []  # output, metric, weighted
        for weighted, specs in ((False, metric_specs), (True, weighted_specs)):
            for i, spec in enumerate(_per_output("metrics", specs, names, True)):
                for one in spec if isinstance(spec, (list, tuple)) else [spec]:
                    metric = _metric(one)
                    if metric is None:
                        continue
                    self.metrics.append((i, metric, weighted))
        self.all_metrics = [t for t in self.loss_trackers if t is not None] + [m for _, m, _ in self.metrics]

    def key(self, output: int, metric: Any) -> str:
        """The metric's name in logs."""
        return metric.name if len(self.names) == 1 else f"{self.names[output]}_{metric.name}"

    def total_loss(self, ys: list[Any], predictions: list[Any], sample_weights: list[Any]) -> Any:
        """The weighted sum of the losses; None if there are none."""
        total: Any = None
        for i, fn in enumerate(self.losses):
            if fn is None:
                continue
            if ys[i] is None:
                raise ValueError(f'loss of output "{self.names[i]}": expected targets; received y=None')
            value = fn(ys[i], predictions[i], sample_weights[i])
            tracker = self.loss_trackers[i]
            if tracker is not None:
                tracker.update_state(value, sample_weight=float(predictions[i].shape[0]))
            value = ops.multiply(value, float(self.weights[i])) if self.weights[i] != 1.0 else value
            total = value if total is None else ops.add(total, value)
        return total

    def update(self, ys: list[Any], predictions: list[Any], sample_weights: list[Any]) -> None:
        for i, metric, weighted in self.metrics:
            if ys[i] is not None:
                metric.update_state(ys[i], predictions[i], sample_weights[i] if weighted else None)

    def results(self) -> dict[str, Any]:
        logs = {t.name: t.result() for t in self.loss_trackers if t is not None}
        for i, metric, _ in self.metrics:
            value = metric.result()
            if isinstance(value, dict):
                logs.update(value)
            else:
                logs[self.key(i, metric)] = value
        return logs


def targets_for(y: Any, names: list[str], count: int, what: str) -> list[Any]:
    """One target (or weight) per output."""
    if y is None:
        return [None] * count
    if isinstance(y, dict):
        unknown = [k for k in y if k not in names]
        if unknown:
            raise ValueError(f"{what}: expected names of outputs ({', '.join(names)}); received {', '.join(unknown)}")
        return [y.get(name) for name in names]
    leaves = flatten(y)
    if len(leaves) == 1 and count > 1 and what == "sample_weight":
        return leaves * count
    if len(leaves) != count:
        raise ValueError(f"{what}: expected {count} arrays, one per output; received {len(leaves)}")
    return leaves
