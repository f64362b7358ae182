"""Metrics: running values over batches, after keras.metrics. update_state is traced; result reads what accumulated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from berrante import losses, ops
from berrante.graph import trace
from berrante.graph.variable import Variable
from berrante.losses import squeeze_or_expand, weight_losses


class Metric:
    """State that `update_state` accumulates, `result` reads and `reset_state` sets back to its initial values."""

    def __init__(self, dtype: Any = None, name: str | None = None) -> None:
        from berrante.layers.layer import snake_case

        self.name = name or snake_case(type(self).__name__)
        self.dtype = "float32"
        self._variables: list[Variable] = []
        self._initial: list[np.ndarray] = []

    def add_variable(
        self, shape: Any = (), initializer: Any = "zeros", dtype: Any = None, name: str | None = None
    ) -> Variable:
        """A piece of state."""
        from berrante import initializers

        variable = Variable(initializers.get(initializer), tuple(shape), dtype or "float32", False, name or "state")
        variable.path = f"{self.name}/{variable.name}"
        self._variables.append(variable)
        self._initial.append(variable.numpy())
        return variable

    def add_weight(
        self, shape: Any = (), initializer: Any = "zeros", dtype: Any = None, name: str | None = None
    ) -> Variable:
        if isinstance(shape, str):  # Keras 2: name first
            shape, name = (), shape
        return self.add_variable(shape, initializer, dtype, name)

    @property
    def variables(self) -> list[Variable]:
        return list(self._variables)

    def reset_state(self) -> None:
        """Back to the initial values, at once."""
        for variable, value in zip(self._variables, self._initial, strict=True):
            variable.array[...] = value

    reset_states = reset_state

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError(f"{type(self).__name__} must define update_state()")

    def result(self) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must define result()")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.update_state(*args, **kwargs)
        return self.result()

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "dtype": self.dtype}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"


class Mean(Metric):
    """The (weighted) mean of all values seen."""

    def __init__(self, name: str | None = "mean", dtype: Any = None) -> None:
        super().__init__(dtype, name)
        self.total = self.add_variable(name="total")
        self.count = self.add_variable(name="count")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        values = ops.cast(values, "float32")
        total: Any
        count: Any
        if sample_weight is None:
            total, count = ops.sum(values), float(values.size)
        else:
            total = ops.sum(weight_losses(values, sample_weight))
            count = ops.sum(weight_losses(ops.ones_like(values), sample_weight))
        self.total.assign(ops.add(self.total.value, total))
        self.count.assign(ops.add(self.count.value, count))

    def result(self) -> Any:
        if trace.current() is None:
            count = self.count.array.item()
            return self.total.array.item() / count if count else 0.0
        count = self.count.value
        return ops.divide(self.total.value, ops.where(ops.equal(count, 0.0), 1.0, count))


class Sum(Metric):
    """The (weighted) sum of all values seen."""

    def __init__(self, name: str | None = "sum", dtype: Any = None) -> None:
        super().__init__(dtype, name)
        self.total = self.add_variable(name="total")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        weighted = weight_losses(ops.cast(values, "float32"), sample_weight)
        self.total.assign(ops.add(self.total.value, ops.sum(weighted)))

    def result(self) -> Any:
        return self.total.array.item() if trace.current() is None else self.total.value


class MeanMetricWrapper(Mean):
    """The mean of a function of (y_true, y_pred)."""

    def __init__(self, fn: Callable[..., Any], name: str | None = None, dtype: Any = None, **kwargs: Any) -> None:
        super().__init__(name or getattr(fn, "__name__", "metric"), dtype)
        self._fn, self._fn_kwargs = fn, kwargs

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        super().update_state(
            self._fn(ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred), **self._fn_kwargs), sample_weight
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self._fn_kwargs}


# --- accuracies -----------------------------------------------------------------------------------------------------


def accuracy(y_true: Any, y_pred: Any) -> Any:
    """Whether labels are equal."""
    y_true, y_pred = squeeze_or_expand(ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred))
    return ops.cast(ops.equal(ops.cast(y_true, "float32"), ops.cast(y_pred, "float32")), "float32")


def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Any:
    """Whether the prediction lies on its label's side of a threshold."""
    y_true, y_pred = squeeze_or_expand(ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred))
    hit = ops.cast(ops.greater(ops.cast(y_pred, "float32"), threshold), "float32")
    return ops.cast(ops.equal(ops.cast(y_true, "float32"), hit), "float32")


def categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """Whether the largest prediction is at the label's largest element."""
    return ops.cast(ops.equal(ops.argmax(y_true, -1), ops.argmax(y_pred, -1)), "float32")


def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """Whether the largest prediction is the integer label's."""
    y_true = ops.cast(y_true, "int32")
    if len(y_true.shape) == len(y_pred.shape) and y_true.shape[-1] == 1:
        y_true = ops.squeeze(y_true, -1)
    return ops.cast(ops.equal(y_true, ops.argmax(y_pred, -1)), "float32")


def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Any:
    """Whether the label is among the k largest predictions."""
    return sparse_top_k_categorical_accuracy(ops.argmax(y_true, -1), y_pred, k)


def sparse_top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5, from_sorted_ids: bool = False) -> Any:
    """Whether the integer label is among the k largest predictions."""
    y_true = ops.cast(y_true, "int32")
    if len(y_true.shape) == len(y_pred.shape) and y_true.shape[-1] == 1:
        y_true = ops.squeeze(y_true, -1)
    return ops.cast(ops.in_top_k(y_true, y_pred, k), "float32")


def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """The cosine between vectors."""
    return ops.negative(losses.cosine_similarity(y_true, y_pred, axis))


_CLASS_OF: dict[str, type[Metric]] = {}


def _class(name: str, fn: Callable[..., Any], metric_name: str, **defaults: Any) -> Any:
    class Wrapped(MeanMetricWrapper):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            # Keras' order: own parameters come before or after the name, by class; keywords are unambiguous.
            given = {"name": metric_name, "dtype": None} | dict(zip([*_order], args)) | kwargs
            unknown = set(given) - set(defaults) - {"name", "dtype"}
            if unknown:
                raise TypeError(f"{type(self).__name__} got unexpected arguments {sorted(unknown)}")
            own = {k: given.get(k, v) for k, v in defaults.items()}
            super().__init__(fn, given["name"], given["dtype"], **own)

    _order = ["k", "name", "dtype"] if "k" in defaults else ["name", "dtype", *defaults]
    Wrapped.__name__ = Wrapped.__qualname__ = name
    Wrapped.__doc__ = fn.__doc__
    _CLASS_OF.setdefault(fn.__name__, Wrapped)
    return Wrapped


Accuracy = _class("Accuracy", accuracy, "accuracy")
BinaryAccuracy = _class("BinaryAccuracy", binary_accuracy, "binary_accuracy", threshold=0.5)
CategoricalAccuracy = _class("CategoricalAccuracy", categorical_accuracy, "categorical_accuracy")
SparseCategoricalAccuracy = _class(
    "SparseCategoricalAccuracy", sparse_categorical_accuracy, "sparse_categorical_accuracy"
)
TopKCategoricalAccuracy = _class(
    "TopKCategoricalAccuracy", top_k_categorical_accuracy, "top_k_categorical_accuracy", k=5
)
SparseTopKCategoricalAccuracy = _class(
    "SparseTopKCategoricalAccuracy", sparse_top_k_categorical_accuracy, "sparse_top_k_categorical_accuracy", k=5
)
MeanSquaredError = _class("MeanSquaredError", losses.mean_squared_error, "mean_squared_error")
MeanAbsoluteError = _class("MeanAbsoluteError", losses.mean_absolute_error, "mean_absolute_error")
MeanAbsolutePercentageError = _class(
    "MeanAbsolutePercentageError", losses.mean_absolute_percentage_error, "mean_absolute_percentage_error"
)
MeanSquaredLogarithmicError = _class(
    "MeanSquaredLogarithmicError", losses.mean_squared_logarithmic_error, "mean_squared_logarithmic_error"
)
CosineSimilarity = _class("CosineSimilarity", cosine_similarity, "cosine_similarity", axis=-1)
LogCoshError = _class("LogCoshError", losses.log_cosh, "logcosh")
Poisson = _class("Poisson", losses.poisson, "poisson")
KLDivergence = _class("KLDivergence", losses.kl_divergence, "kl_divergence")
Hinge = _class("Hinge", losses.hinge, "hinge")
SquaredHinge = _class("SquaredHinge", losses.squared_hinge, "squared_hinge")
CategoricalHinge = _class("CategoricalHinge", losses.categorical_hinge, "categorical_hinge")
BinaryCrossentropy = _class(
    "BinaryCrossentropy", losses.binary_crossentropy, "binary_crossentropy", from_logits=False, label_smoothing=0.0
)
CategoricalCrossentropy = _class(
    "CategoricalCrossentropy", losses.categorical_crossentropy, "categorical_crossentropy", from_logits=False,
    label_smoothing=0.0, axis=-1,
)  # fmt: skip
SparseCategoricalCrossentropy = _class(
    "SparseCategoricalCrossentropy", losses.sparse_categorical_crossentropy, "sparse_categorical_crossentropy",
    from_logits=False, ignore_class=None, axis=-1,
)  # fmt: skip


class RootMeanSquaredError(Mean):
    """The square root of the mean squared error."""

    def __init__(self, name: str | None = "root_mean_squared_error", dtype: Any = None) -> None:
        super().__init__(name, dtype)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        super().update_state(losses.mean_squared_error(y_true, y_pred), sample_weight)

    def result(self) -> Any:
        mean = super().result()
        return float(np.sqrt(mean)) if isinstance(mean, float) else ops.sqrt(mean)


# --- counts of hits and misses --------------------------------------------------------------------------------------


class _Confusion(Metric):
    """Counts of true and false positives and negatives at thresholds (a prediction above one is positive)."""

    counts: tuple[str, ...] = ()

    def __init__(self, thresholds: Any = None, name: str | None = None, dtype: Any = None, top_k: int | None = None,
                 class_id: int | None = None) -> None:  # fmt: skip
        super().__init__(dtype, name)
        self.thresholds = thresholds
        self.top_k, self.class_id = top_k, class_id
        values = [0.5 if top_k is None else float("-inf")] if thresholds is None else thresholds
        self._values = np.atleast_1d(np.asarray(values, np.float32))
        self._scalar = thresholds is None or np.ndim(thresholds) == 0
        for count in self.counts:
            setattr(self, count, self.add_variable((len(self._values),), name=count))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_true, y_pred = ops.cast(y_true, "float32"), ops.cast(y_pred, "float32")
        y_true, y_pred = squeeze_or_expand(y_true, y_pred)
        if self.top_k is not None:
            kth = ops.min(ops.top_k(y_pred, self.top_k)[0], axis=-1, keepdims=True)
            y_pred = ops.where(ops.greater_equal(y_pred, kth), y_pred, float("-inf"))
        if self.class_id is not None:
            y_true, y_pred = y_true[..., self.class_id], y_pred[..., self.class_id]
        weights = weight_losses(ops.ones_like(y_true), sample_weight)
        true = ops.cast(ops.cast(y_true, "bool"), "float32")
        flat = [ops.reshape(x, (1, -1)) for x in (true, y_pred, weights)]
        positive = ops.cast(ops.greater(flat[1], ops.reshape(self._values, (-1, 1))), "float32")
        truth = {"true": flat[0], "false": ops.subtract(1.0, flat[0])}
        guess = {"positives": positive, "negatives": ops.subtract(1.0, positive)}
        for count in self.counts:
            kind, side = count.split("_")
            right = truth["true" if (kind == "true") == (side == "positives") else "false"]
            hits = ops.sum(ops.multiply(ops.multiply(right, guess[side]), flat[2]), axis=-1)
            variable = getattr(self, count)
            variable.assign(ops.add(variable.value, hits))

    def _read(self, count: str) -> np.ndarray:
        array: np.ndarray = getattr(self, count).array.astype(np.float64)
        return array

    def _ratio(self, a: np.ndarray, b: np.ndarray) -> Any:
        ratio = np.divide(a, b, out=np.zeros_like(a), where=b != 0)
        return float(ratio[0]) if self._scalar else ratio

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "thresholds": self.thresholds, "top_k": self.top_k, "class_id": self.class_id}


class Precision(_Confusion):
    """True positives among all positives predicted."""

    counts = ("true_positives", "false_positives")

    def __init__(
        self,
        thresholds: Any = None,
        top_k: Any = None,
        class_id: Any = None,
        name: Any = "precision",
        dtype: Any = None,
    ) -> None:
        super().__init__(thresholds, name, dtype, top_k, class_id)

    def result(self) -> Any:
        tp = self._read("true_positives")
        return self._ratio(tp, tp + self._read("false_positives"))


class Recall(_Confusion):
    """True positives among all positives there are."""

    counts = ("true_positives", "false_negatives")

    def __init__(
        self, thresholds: Any = None, top_k: Any = None, class_id: Any = None, name: Any = "recall", dtype: Any = None
    ) -> None:
        super().__init__(thresholds, name, dtype, top_k, class_id)

    def result(self) -> Any:
        tp = self._read("true_positives")
        return self._ratio(tp, tp + self._read("false_negatives"))


class AUC(_Confusion):
    """The area under the ROC (or PR) curve by the trapezoidal rule over num_thresholds thresholds."""

    counts = ("true_positives", "true_negatives", "false_positives", "false_negatives")

    def __init__(
        self, num_thresholds: int = 200, curve: str = "ROC", summation_method: str = "interpolation",
        name: str | None = "auc", dtype: Any = None, thresholds: Any = None, from_logits: bool = False,
    ) -> None:  # fmt: skip
        if curve not in ("ROC", "PR"):
            raise ValueError(f"AUC: expected curve ROC or PR; received {curve!r}")
        if thresholds is None:
            inner = [(i + 1) / (num_thresholds - 1) for i in range(num_thresholds - 2)]
        else:
            inner = sorted(thresholds)
        super().__init__([-EPSILON, *inner, 1.0 + EPSILON], name, dtype)
        self.curve, self.num_thresholds, self.from_logits = curve, len(inner) + 2, from_logits
        self.summation_method = summation_method

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        super().update_state(y_true, ops.sigmoid(y_pred) if self.from_logits else y_pred, sample_weight)

    def result(self) -> Any:
        tp, tn, fp, fn = (self._read(c) for c in self.counts)
        divide = lambda a, b: np.divide(a, b, out=np.zeros_like(a), where=b != 0)
        if self.curve == "ROC":
            x, y = divide(fp, fp + tn), divide(tp, tp + fn)
            return float(np.sum((x[:-1] - x[1:]) * (y[:-1] + y[1:]) / 2.0))
        # Davis and Goadrich (2006): true positives interpolate, precision follows.
        dtp, p = tp[:-1] - tp[1:], tp + fp
        slope = divide(dtp, np.maximum(p[:-1] - p[1:], 0))
        intercept = tp[1:] - slope * p[1:]
        both = (p[:-1] > 0) & (p[1:] > 0)
        ratio = np.where(both, np.divide(p[:-1], np.maximum(p[1:], 0), out=np.ones_like(dtp), where=p[1:] > 0), 1.0)
        increment = divide(slope * (dtp + intercept * np.log(ratio)), np.maximum(tp[1:] + fn[1:], 0))
        return float(np.sum(increment))

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name, "dtype": self.dtype, "num_thresholds": self.num_thresholds, "curve": self.curve,
            "summation_method": self.summation_method, "from_logits": self.from_logits,
        }  # fmt: skip


EPSILON = 1e-7
ALL = (*_CLASS_OF.values(), Mean, Sum, RootMeanSquaredError, Precision, Recall, AUC)
mse = MSE = losses.mean_squared_error
mae = MAE = losses.mean_absolute_error
_ALIASES = {**losses.ALIASES, "acc": "accuracy", "cosine_proximity": "cosine_similarity"}
_ALIASES.pop("huber_loss", None)
_NAMED: dict[str, type[Metric]] = {
    "auc": AUC, "precision": Precision, "recall": Recall, "mean": Mean, "root_mean_squared_error": RootMeanSquaredError,
    "rmse": RootMeanSquaredError,
}  # fmt: skip


def get(identifier: Any) -> Any:
    """A metric from a name, a class name, a config, a class, an instance or a function; None stays None."""
    if identifier is None or isinstance(identifier, Metric):
        return identifier
    if isinstance(identifier, str):
        name = _ALIASES.get(identifier.lower(), identifier)
        for fn_name, cls in {**_CLASS_OF, **_NAMED}.items():
            if name in (fn_name, cls.__name__):
                return cls(name=identifier) if name == fn_name else cls()
    if isinstance(identifier, (str, dict)):
        from berrante.saving.registry import deserialize_named

        return get(deserialize_named(identifier, "metric"))
    if isinstance(identifier, type):
        return identifier()
    if callable(identifier):
        return MeanMetricWrapper(identifier)
    raise ValueError(f"expected a metric (a name, a Metric or a function); received {identifier!r}")
