"""Losses and metrics that compile() makes in Keras 2: its reduction, its accuracy, its keys."""

from __future__ import annotations

import warnings
from typing import Any

from berrante import losses as core_losses
from berrante.compat.differences import LOG_ALIASES
from berrante.compat.keras2 import losses, metrics
from berrante.models.compiling import CompiledObjectives, _per_output


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

    def __init__(self, loss: Any, loss_weights: Any, metric_specs: Any, weighted_specs: Any, names: list[str]) -> None:
        if isinstance(loss, dict):
            for name in names:
                if name not in loss:
                    warnings.warn(f'Output "{name}" missing from loss dictionary: it is not trained on', stacklevel=2)
        chosen = [_loss(spec) for spec in _per_output("loss", loss, names, False)]
        functions = [getattr(fn, "fn", fn) for fn in chosen]
        prepared = []
        for weighted, specs in ((False, metric_specs), (True, weighted_specs)):
            rows = []
            for fn, spec in zip(functions, _spread(specs, names), strict=True):
                entries = spec if isinstance(spec, (list, tuple)) else [spec]
                rows.append([metrics.for_output(e, fn, weighted) for e in entries if e is not None])
            prepared.append(rows if len(names) > 1 else rows[0])
        super().__init__(chosen if len(names) > 1 else chosen[0], loss_weights, prepared[0], prepared[1], names)

    def results(self) -> dict[str, Any]:
        return Logs(super().results())


def _spread(specs: Any, names: list[str]) -> list[Any]:
    """The metrics of each output: a list is for every output, a dict by name."""
    if specs is None:
        return [None] * len(names)
    if isinstance(specs, dict):
        unknown = [k for k in specs if k not in names]
        if unknown:
            raise ValueError(f"Unknown entry in metrics dictionary: {unknown[0]!r}; outputs are {', '.join(names)}")
        return [specs.get(name) for name in names]
    if isinstance(specs, (list, tuple)):
        nested = len(specs) == len(names) > 1 and any(isinstance(s, (list, tuple)) for s in specs)
        return list(specs) if nested else [specs] * len(names)
    raise TypeError(f"metrics: expected a list or a dict; received {specs!r}")
