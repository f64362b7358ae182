"""What compile() makes of losses and metrics: per output, weighted, named as Keras names them.

The outputs' names are known for functional models; where they are not (the outputs of a subclass's call), losses are named
by themselves and metrics by their own names.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from berrante import losses, metrics, ops
from berrante.graph.tape import flatten
from berrante.layers.layer import snake_case


def outputs_of(structure: Any) -> tuple[list[Any], list[str] | None]:
    """The outputs as a list, and their names where they come in a dict."""
    if isinstance(structure, dict):
        return list(structure.values()), list(structure)
    return (flatten(structure), None) if isinstance(structure, (list, tuple)) else ([structure], None)


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


def _by_shape(kind: str) -> Callable[..., Any]:
    return lambda y_true, y_pred: accuracy_for(y_true, y_pred, kind)(y_true, y_pred)


def _name_of(spec: Any) -> str:
    if isinstance(spec, str):
        return spec
    return getattr(spec, "name", None) or getattr(spec, "__name__", None) or snake_case(type(spec).__name__)


def resolve_metric(spec: Any) -> Any:
    """A Metric from an entry of compile's metrics; None stays None. A name in the entry is the metric's name in logs."""
    if spec is None:
        return None
    if isinstance(spec, str) and spec.lower() in ("accuracy", "acc"):
        metric: Any = metrics.MeanMetricWrapper(_by_shape("accuracy"), spec)
        metric._direction = "up"
    elif isinstance(spec, str) and spec.lower() in ("crossentropy", "ce"):
        metric = metrics.MeanMetricWrapper(_by_shape("crossentropy"), spec)
        metric._direction = "down"
    else:
        found = metrics.get(spec)
        metric = found if isinstance(found, metrics.Metric) else metrics.MeanMetricWrapper(found)
        metric.name = spec if isinstance(spec, str) else _name_of(found)
    return metric


def resolve_loss(spec: Any) -> Any:
    """A Loss from an entry of compile's loss; None stays None."""
    if spec is None or isinstance(spec, losses.Loss):
        return spec
    if isinstance(spec, str) and spec.lower() in ("crossentropy", "ce"):
        return losses.LossFunctionWrapper(_by_shape("crossentropy"), name=spec)
    found = losses.get(spec)
    return found if isinstance(found, losses.Loss) else losses.LossFunctionWrapper(found, name=_name_of(spec))


def check_kinds(loss_weights: Any, metric_specs: Any, weighted_specs: Any) -> None:
    """Raises ValueError for arguments of compile that are of no use, whatever the outputs."""
    if loss_weights is not None and not isinstance(loss_weights, (list, tuple, dict, float, int)):
        raise ValueError(
            "loss_weights: expected a number (one output) or a list, tuple or dict (several); received "
            f"{loss_weights!r} of type {type(loss_weights).__name__}"
        )
    for what, specs in (("metrics", metric_specs), ("weighted_metrics", weighted_specs)):
        if specs and not isinstance(specs, (list, tuple, dict)):
            raise ValueError(
                f"Expected `{what}` argument to be a list, tuple, or dict. Received instead: {what}={specs!r} of type "
                f"{type(specs)}"
            )


class _OutputLoss(NamedTuple):
    """One term of the loss: of an output, or of all in their nesting (None)."""

    output: int | None
    loss: Any
    weight: float | None
    tracker: Any


class _OutputMetric(NamedTuple):
    """One metric of an output."""

    output: int
    metric: Any
    weighted: bool


def _listed(spec: Any) -> list[Any]:
    """The losses of one output: one, or several in a list."""
    return flatten(spec) if isinstance(spec, (list, tuple, dict)) else [spec]


class CompiledObjectives:
    """Losses and metrics for the outputs of a model.

    Args:
        loss, loss_weights, metrics, weighted_metrics: as compile() takes them.
        names: the outputs' names, or None for each whose name is not known.
        kind: the type that holds the outputs (list, tuple, dict ...), if it is known.

    State lives in the metrics, whose variables the traced step updates.
    """

    def __init__(
        self, loss: Any, loss_weights: Any, metric_specs: Any, weighted_specs: Any, names: list[str | None],
        kind: type = list,
    ) -> None:  # fmt: skip
        self.names, self._kind = names, kind
        # The nesting of outputs (or targets) from their list.
        self.nest: Callable[[list[Any]], Any] = list
        self.losses = self._make_losses(loss, loss_weights)
        # Number of classes and ignored class of outputs with integer labels, known once a step was traced.
        self.classes: dict[int, tuple[int, int | None]] = {}
        self.metrics = [
            *self._make_metrics("metrics", metric_specs, False),
            *self._make_metrics("weighted_metrics", weighted_specs, True),
        ]
        trackers = [term.tracker for term in self.losses if term.tracker is not None]
        self.all_metrics = [*dict.fromkeys(entry.metric for entry in self.metrics), *trackers]

    # --- losses -----------------------------------------------------------------------------------------------------

    def _make_losses(self, loss: Any, weights: Any) -> list[_OutputLoss]:
        names = self.names
        pairs = self._places(loss)
        numbers = self._weights(weights, pairs)
        terms = [(i, resolve_loss(spec), w) for (i, spec), w in zip(pairs, numbers, strict=True) if spec is not None]
        several = len(terms) > 1

        def label(i: int | None, fn: Any) -> str:
            if i is None:
                return "_".join(map(str, names)) if None not in names else fn.name
            return names[i] or fn.name

        return [
            _OutputLoss(i, fn, w, metrics.Mean(name=f"{label(i, fn)}_loss") if several else None) for i, fn, w in terms
        ]

    def _places(self, loss: Any) -> list[tuple[int | None, Any]]:
        """Each loss with its output; None for a loss of all outputs at once.

        A list beside outputs of another kind (a tuple, a dict), with something nested in it, holds losses of the whole.
        """
        n = len(self.names)
        if isinstance(loss, dict):
            return [(i, one) for i, spec in enumerate(self._by_name("loss", loss)) for one in _listed(spec)]
        if not isinstance(loss, (list, tuple)):
            return [(i, loss) for i in range(n)]
        nested = any(isinstance(spec, (list, tuple, dict)) for spec in loss)
        if n == 1:
            return [(0, spec) for spec in flatten(loss)]
        if nested and not isinstance(loss, self._kind):
            return [
                pair
                for spec in loss
                for pair in (self._places(spec) if isinstance(spec, (list, tuple, dict)) else [(None, spec)])
            ]
        if len(loss) != n:
            raise ValueError(
                f"loss: expected one entry per output ({n}); received {len(loss)} {'entry' if len(loss) == 1 else 'entries'}"
            )
        return [(i, one) for i, spec in enumerate(loss) for one in _listed(spec)]

    def _weights(self, weights: Any, pairs: list[tuple[int | None, Any]]) -> list[float | None]:
        if weights is None:
            return [None] * len(pairs)
        if isinstance(weights, dict):
            by_output = [flatten(w) for w in self._by_name("loss_weights", weights)]
            return [by_output[i or 0][0] if len(by_output[i or 0]) == 1 else by_output[i or 0].pop(0) for i, _ in pairs]
        numbers = flatten(weights) if isinstance(weights, (list, tuple)) else [weights]
        if len(numbers) != len(pairs):
            raise ValueError(
                f"`loss_weights` must match the number of losses, got {len(pairs)} losses and {len(numbers)} weights."
            )
        return numbers

    def _by_name(self, what: str, spec: dict[str, Any]) -> list[Any]:
        known = [name for name in self.names if name is not None]
        unknown = [key for key in spec if key not in known]
        if unknown:
            raise ValueError(
                f"Invalid `{what}`: expected names of outputs ({', '.join(known)}); received {', '.join(map(str, unknown))}"
            )
        return [spec.get(name) for name in self.names]  # type: ignore[arg-type]

    def total_loss(self, ys: list[Any], predictions: list[Any], sample_weights: list[Any]) -> Any:
        """The weighted sum of the losses; None if there are none."""
        total: Any = None
        for i, fn, weight, tracker in self.losses:
            if i is None:
                value = fn(self.nest(ys), self.nest(predictions), sample_weights[0])
            elif ys[i] is None:
                raise ValueError(f'loss of output "{self.names[i] or i}": expected targets; received y=None')
            else:
                value = fn(ys[i], predictions[i], sample_weights[i])
                if getattr(fn, "fn", None) is losses.sparse_categorical_crossentropy:
                    own = fn._fn_kwargs
                    self.classes[i] = (predictions[i].shape[own.get("axis", -1)], own.get("ignore_class"))
            if tracker is not None:
                tracker.update_state(value, sample_weight=float(flatten(predictions[i or 0])[0].shape[0]))
            if len(value.shape):
                value = ops.mean(value)
            if weight is not None:
                value = ops.multiply(value, float(weight))
            total = value if total is None else ops.add(total, value)
        return total

    # --- metrics ----------------------------------------------------------------------------------------------------

    def _make_metrics(self, what: str, specs: Any, weighted: bool) -> list[_OutputMetric]:
        if not specs:
            return []
        n = len(self.names)
        if isinstance(specs, dict) and n == 1 and self.names[0] not in specs:
            per_output: list[Any] = [flatten(specs)]
        elif isinstance(specs, dict):
            per_output = self._by_name(what, specs)
        elif n == 1:
            per_output = [flatten(specs)]
        elif len(specs) == n:
            per_output = list(specs)
        elif any(isinstance(s, (list, tuple, dict)) for s in specs):
            raise ValueError(f"{what}: expected one entry per output ({n}); received {len(specs)}")
        else:  # Keras 2: a flat list is for every output
            per_output = [list(specs)] * n
        made = []
        for i, spec in enumerate(per_output):
            for one in flatten(spec):
                metric = resolve_metric(one)
                if metric is not None:
                    made.append(_OutputMetric(i, metric, weighted))
        return made

    def update(self, ys: list[Any], predictions: list[Any], sample_weights: list[Any]) -> None:
        """The metrics from a batch; weighted ones with its weights."""
        for i, metric, weighted in self.metrics:
            if ys[i] is None:
                continue
            if weighted:
                metric.update_state(ys[i], predictions[i], sample_weight=sample_weights[i])
            else:
                metric.update_state(ys[i], predictions[i])

    def keys(self) -> list[str]:
        """The metrics' names in logs, in order: of their outputs if there are several, numbered where they repeat."""
        seen: dict[str, int] = {}

        def numbered(name: str) -> str:
            count = seen[name] = seen.get(name, 0) + 1
            return name if count == 1 else f"{name}_{count - 1}"

        result = []
        for i, metric, weighted in self.metrics:
            prefix = f"{self.names[i]}_" if len(self.names) > 1 and self.names[i] is not None else ""
            name = prefix + metric.name
            if weighted and name in seen:
                name = f"{prefix}weighted_{metric.name}"
            result.append(numbered(name))
        return result

    def results(self) -> dict[str, Any]:
        """Metrics, then the losses of outputs, by name."""
        logs: dict[str, Any] = {}
        for key, entry in zip(self.keys(), self.metrics, strict=True):
            value = entry.metric.result()
            logs.update(value if isinstance(value, dict) else {key: value})
        logs.update({term.tracker.name: term.tracker.result() for term in self.losses if term.tracker is not None})
        return logs

    def targets(self, y: Any) -> list[Any]:
        """One target per output; where some outputs have no loss, theirs may be missing."""
        if y is None:
            return [None] * len(self.names)
        if isinstance(y, dict):
            return self._by_name("y", y)
        leaves = flatten(y)
        with_loss = list(dict.fromkeys(term.output for term in self.losses))
        if len(leaves) == len(with_loss) != len(self.names):
            found = dict(zip(with_loss, leaves, strict=True))
            return [found.get(i) for i in range(len(self.names))]
        if len(leaves) != len(self.names):
            raise ValueError(f"y: expected {len(self.names)} arrays, one per output; received {len(leaves)}")
        return leaves

    def weights(self, sample_weight: Any) -> list[Any]:
        """One array of weights (or None) per output; a single one is for all."""
        if sample_weight is None:
            return [None] * len(self.names)
        if isinstance(sample_weight, dict):
            return self._by_name("sample_weight", sample_weight)
        leaves = flatten(sample_weight)
        if len(leaves) == 1:
            return leaves * len(self.names)
        if len(leaves) != len(self.names):
            raise ValueError(
                f"sample_weight: expected {len(self.names)} arrays, one per output; received {len(leaves)}"
            )
        return leaves
