"""Losses and metrics that compile() makes in Keras 2: its reduction, its accuracy, its keys."""

from __future__ import annotations

import warnings
from typing import Any

from berrante import losses as core_losses
from berrante.compat.differences import LOG_ALIASES
from berrante.compat.keras2 import losses, metrics
from berrante.models.compiling import CompiledObjectives, _OutputMetric


class Logs(dict[str, Any]):
    """Logs whose `acc` answers to `accuracy` too, and the other way round."""

    def _other(self, key: Any) -> Any:
        if not isinstance(key, str):
            return key
        for name, alias in LOG_ALIASES.items():
            if key == name or key.endswith("_" + name):
                return key[: len(key) - len(name)] + alias
        return key

    def __missing__(self, key: Any) -> Any:
        other = self._other(key)
        if dict.__contains__(self, other):
            return self[other]
        raise KeyError(key)

    def __contains__(self, key: Any) -> bool:
        return dict.__contains__(self, key) or dict.__contains__(self, self._other(key))

    def get(self, key: Any, default: Any = None) -> Any:
        return self[key] if key in self else default

    def __or__(self, other: Any) -> Logs:  # type: ignore[override]
        return Logs({**self, **other})


def _loss(spec: Any) -> Any:
    fn = losses.get(spec)
    if fn is None or isinstance(fn, core_losses.Loss):
        return fn
    if isinstance(fn, type) and issubclass(fn, core_losses.Loss):
        return fn()
    return losses.WeightedLoss(fn)


class Objectives(CompiledObjectives):
    """CompiledObjectives with Keras 2's losses and metrics."""

    def _make_losses(self, loss: Any, weights: Any) -> list[Any]:
        n = len(self.names)
        if isinstance(loss, dict):
            for name in self.names:
                if name not in loss:
                    warnings.warn(f'Output "{name}" missing from loss dictionary: it is not trained on', stacklevel=2)
            specs = self._by_name("loss", loss)
        elif isinstance(loss, (list, tuple)):
            if len(loss) != n:
                raise ValueError(f"loss: expected one entry per output ({n}); received {len(loss)}")
            specs = list(loss)
        else:
            specs = [loss] * n
        chosen = [_loss(spec) for spec in specs]
        self._functions = [getattr(fn, "fn", fn) for fn in chosen]
        return super()._make_losses(chosen, weights)

    def _make_metrics(self, what: str, specs: Any, weighted: bool) -> list[_OutputMetric]:
        made = []
        for i, (fn, spec) in enumerate(zip(self._functions, self._spread(specs), strict=True)):
            for entry in spec if isinstance(spec, (list, tuple)) else [spec]:
                metric = metrics.for_output(entry, fn, weighted)
                if metric is not None:
                    made.append(_OutputMetric(i, metric, weighted))
        return made

    def _spread(self, specs: Any) -> list[Any]:
        """The metrics of each output: a list is for every output, a dict by name."""
        n = len(self.names)
        if specs is None:
            return [None] * n
        if isinstance(specs, dict):
            return self._by_name("metrics", specs)
        if isinstance(specs, (list, tuple)):
            nested = len(specs) == n > 1 and any(isinstance(s, (list, tuple)) for s in specs)
            return list(specs) if nested else [specs] * n
        raise TypeError(f"metrics: expected a list or a dict; received {specs!r}")

    def keys(self) -> list[str]:
        """The metrics' names, of their outputs if there are several."""
        several = len(self.names) > 1
        return [f"{self.names[i] or f'output_{i + 1}'}_{m.name}" if several else m.name for i, m, _ in self.metrics]

    def results(self) -> dict[str, Any]:
        """The losses of outputs, then the metrics."""
        logs = Logs({term.tracker.name: term.tracker.result() for term in self.losses if term.tracker is not None})
        for key, entry in zip(self.keys(), self.metrics, strict=True):
            logs[key] = entry.metric.result()
        return logs
