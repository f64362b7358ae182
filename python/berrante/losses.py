"""Losses: functions (one value a sample) and classes with a reduction, after keras.losses."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from berrante import ops

EPSILON = 1e-7


def squeeze_or_expand(y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    """Where ranks differ by a last dimension of 1, drops it."""
    a, b = len(y_true.shape), len(y_pred.shape)
    if a == b + 1 and y_true.shape[-1] == 1:
        y_true = ops.squeeze(y_true, -1)
    elif b == a + 1 and y_pred.shape[-1] == 1:
        y_pred = ops.squeeze(y_pred, -1)
    return y_true, y_pred


def _pair(y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    y_true, y_pred = ops.cast(y_true, "float32"), ops.cast(y_pred, "float32")
    return squeeze_or_expand(y_true, y_pred)


def _last_mean(x: Any) -> Any:
    return ops.mean(x, axis=-1) if len(x.shape) else x


def mean_squared_error(y_true: Any, y_pred: Any) -> Any:
    """mean((true - pred)^2) over the last axis."""
    y_true, y_pred = _pair(y_true, y_pred)
    return _last_mean(ops.square(ops.subtract(y_true, y_pred)))


def mean_absolute_error(y_true: Any, y_pred: Any) -> Any:
    """mean(|true - pred|) over the last axis."""
    y_true, y_pred = _pair(y_true, y_pred)
    return _last_mean(ops.absolute(ops.subtract(y_true, y_pred)))


def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> Any:
    """100 * mean(|true - pred| / max(|true|, 1e-7))."""
    y_true, y_pred = _pair(y_true, y_pred)
    ratio = ops.divide(ops.subtract(y_true, y_pred), ops.maximum(ops.absolute(y_true), EPSILON))
    return ops.multiply(_last_mean(ops.absolute(ratio)), 100.0)


def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> Any:
    """mean((log(true + 1) - log(pred + 1))^2)."""
    y_true, y_pred = _pair(y_true, y_pred)
    a, b = (ops.log(ops.add(ops.maximum(y, EPSILON), 1.0)) for y in (y_true, y_pred))
    return _last_mean(ops.square(ops.subtract(a, b)))


def categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Any:
    """-sum(true * log(pred)) over classes."""
    y_true, y_pred = ops.cast(y_true, "float32"), ops.cast(y_pred, "float32")
    if label_smoothing:
        classes = y_true.shape[axis]
        y_true = ops.add(ops.multiply(y_true, 1.0 - label_smoothing), label_smoothing / classes)
    return ops.categorical_crossentropy(y_true, y_pred, from_logits, axis)


def sparse_categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, ignore_class: int | None = None, axis: int = -1
) -> Any:
    """-log(pred[true]) for integer classes."""
    y_pred = ops.cast(y_pred, "float32")
    labels = ops.cast(y_true, "int32")
    if len(labels.shape) == len(y_pred.shape) and labels.shape[-1] == 1:
        labels = ops.squeeze(labels, -1)
    if ignore_class is None:
        return ops.sparse_categorical_crossentropy(labels, y_pred, from_logits, axis)
    valid = ops.not_equal(labels, ignore_class)
    loss = ops.sparse_categorical_crossentropy(ops.where(valid, labels, 0), y_pred, from_logits, axis)
    return ops.where(valid, loss, 0.0)


def binary_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Any:
    """The mean over the last axis of -(t log p + (1 - t) log(1 - p))."""
    y_true, y_pred = _pair(y_true, y_pred)
    if label_smoothing:
        y_true = ops.add(ops.multiply(y_true, 1.0 - label_smoothing), 0.5 * label_smoothing)
    loss = ops.binary_crossentropy(y_true, y_pred, from_logits)
    return ops.mean(loss, axis=axis) if len(loss.shape) else loss


def _signed(y_true: Any) -> Any:
    """Labels 0 and 1 as -1 and 1; others as they are."""
    binary = ops.all(ops.logical_or(ops.equal(y_true, 0.0), ops.equal(y_true, 1.0)))
    return ops.where(binary, ops.subtract(ops.multiply(y_true, 2.0), 1.0), y_true)


def hinge(y_true: Any, y_pred: Any) -> Any:
    """mean(max(1 - true * pred, 0)); labels 0 count as -1."""
    y_true, y_pred = _pair(y_true, y_pred)
    return _last_mean(ops.relu(ops.subtract(1.0, ops.multiply(_signed(y_true), y_pred))))


def squared_hinge(y_true: Any, y_pred: Any) -> Any:
    """mean(max(1 - true * pred, 0)^2); labels 0 count as -1."""
    y_true, y_pred = _pair(y_true, y_pred)
    return _last_mean(ops.square(ops.relu(ops.subtract(1.0, ops.multiply(_signed(y_true), y_pred)))))


def categorical_hinge(y_true: Any, y_pred: Any) -> Any:
    """max(best wrong - right + 1, 0)."""
    y_true, y_pred = _pair(y_true, y_pred)
    right = ops.sum(ops.multiply(y_true, y_pred), axis=-1)
    wrong = ops.max(ops.multiply(ops.subtract(1.0, y_true), y_pred), axis=-1)
    return ops.relu(ops.add(ops.subtract(wrong, right), 1.0))


def kl_divergence(y_true: Any, y_pred: Any) -> Any:
    """sum(true * log(true / pred)), both clipped to [1e-7, 1]."""
    y_true, y_pred = (ops.clip(y, EPSILON, 1.0) for y in _pair(y_true, y_pred))
    return ops.sum(ops.multiply(y_true, ops.log(ops.divide(y_true, y_pred))), axis=-1)


def poisson(y_true: Any, y_pred: Any) -> Any:
    """mean(pred - true * log(pred + 1e-7))."""
    y_true, y_pred = _pair(y_true, y_pred)
    return _last_mean(ops.subtract(y_pred, ops.multiply(y_true, ops.log(ops.add(y_pred, EPSILON)))))


def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """-sum of the products of unit vectors: -1 for the same direction."""
    y_true, y_pred = _pair(y_true, y_pred)

    def unit(y: Any) -> Any:
        square = ops.sum(ops.square(y), axis=axis, keepdims=True)
        return ops.multiply(y, ops.rsqrt(ops.maximum(square, 1e-12)))

    return ops.negative(ops.sum(ops.multiply(unit(y_true), unit(y_pred)), axis=axis))


def log_cosh(y_true: Any, y_pred: Any) -> Any:
    """mean(log(cosh(pred - true)))."""
    y_true, y_pred = _pair(y_true, y_pred)
    x = ops.subtract(y_pred, y_true)
    return _last_mean(ops.subtract(ops.add(x, ops.softplus(ops.multiply(x, -2.0))), math.log(2.0)))


def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> Any:
    """Squared within delta, linear beyond."""
    y_true, y_pred = _pair(y_true, y_pred)
    error = ops.absolute(ops.subtract(y_pred, y_true))
    inside = ops.multiply(ops.square(error), 0.5)
    outside = ops.subtract(ops.multiply(error, delta), 0.5 * delta * delta)
    return _last_mean(ops.where(ops.less_equal(error, delta), inside, outside))


def binary_focal_crossentropy(
    y_true: Any, y_pred: Any, apply_class_balancing: bool = False, alpha: float = 0.25, gamma: float = 2.0,
    from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1,
) -> Any:  # fmt: skip
    """Binary crossentropy weighted by (1 - p of the right class)^gamma (Lin et al., 2017)."""
    y_true, y_pred = _pair(y_true, y_pred)
    if label_smoothing:
        y_true = ops.add(ops.multiply(y_true, 1.0 - label_smoothing), 0.5 * label_smoothing)
    p = ops.sigmoid(y_pred) if from_logits else y_pred
    bce = ops.binary_crossentropy(y_true, p)
    right = ops.add(ops.multiply(y_true, p), ops.multiply(ops.subtract(1.0, y_true), ops.subtract(1.0, p)))
    loss = ops.multiply(ops.power(ops.subtract(1.0, right), gamma), bce)
    if apply_class_balancing:
        weight = ops.add(ops.multiply(y_true, alpha), ops.multiply(ops.subtract(1.0, y_true), 1.0 - alpha))
        loss = ops.multiply(weight, loss)
    return ops.mean(loss, axis=axis)


# --- classes --------------------------------------------------------------------------------------------------------

REDUCTIONS = ("sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none", None)


def weight_losses(losses: Any, sample_weight: Any) -> Any:
    """losses * weights, the weights broadcast over the losses' last dimensions."""
    if sample_weight is None:
        return losses
    w = ops.cast(sample_weight, "float32")
    if len(w.shape) == len(losses.shape) + 1 and w.shape[-1] == 1:
        w = ops.squeeze(w, -1)
    if len(w.shape) < len(losses.shape):
        w = ops.reshape(w, (*w.shape, *(1,) * (len(losses.shape) - len(w.shape))))
    return ops.multiply(losses, w)


class Loss:
    """call(y_true, y_pred) gives a value a sample; calling the loss weighs and reduces them.

    reduction: sum_over_batch_size (the sum divided by the number of elements), sum, mean_with_sample_weight (divided by
    the weights' sum), or none.
    """

    def __init__(
        self, name: str | None = None, reduction: str | None = "sum_over_batch_size", dtype: Any = None
    ) -> None:
        reduction = {"auto": "sum_over_batch_size"}.get(reduction, reduction) if reduction else reduction
        if reduction not in REDUCTIONS:
            raise ValueError(f"expected reduction {', '.join(map(str, REDUCTIONS))}; received {reduction!r}")
        from berrante.layers.layer import snake_case

        self.name = name or snake_case(type(self).__name__)
        self.reduction = reduction
        self.dtype = "float32"

    def call(self, y_true: Any, y_pred: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must define call()")

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        losses = ops.convert_to_tensor(self.call(ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)))
        weighted = weight_losses(losses, sample_weight)
        if self.reduction in ("none", None):
            return weighted
        total = ops.sum(weighted)
        if self.reduction == "sum":
            return total
        if self.reduction == "mean_with_sample_weight" and sample_weight is not None:
            count = ops.sum(weight_losses(ops.ones_like(losses), sample_weight))
            return ops.where(
                ops.equal(count, 0.0), 0.0, ops.divide(total, ops.where(ops.equal(count, 0.0), 1.0, count))
            )
        return ops.multiply(total, 1.0 / max(weighted.size, 1))

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "reduction": self.reduction}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        return cls(**config)


class LossFunctionWrapper(Loss):
    """A function of (y_true, y_pred) as a loss."""

    def __init__(
        self, fn: Callable[..., Any], reduction: str | None = "sum_over_batch_size", name: str | None = None,
        dtype: Any = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(name or getattr(fn, "__name__", None), reduction, dtype)
        self.fn, self._fn_kwargs = fn, kwargs

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return self.fn(y_true, y_pred, **self._fn_kwargs)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self._fn_kwargs}


_CLASS_OF: dict[str, type[Loss]] = {}


def _class(name: str, fn: Callable[..., Any], loss_name: str, **defaults: Any) -> Any:
    class Wrapped(LossFunctionWrapper):
        def __init__(
            self, *args: Any, reduction: str | None = "sum_over_batch_size", name: str | None = loss_name,
            dtype: Any = None, **kwargs: Any,
        ) -> None:  # fmt: skip
            unknown = set(kwargs) - set(defaults)
            if unknown or len(args) > len(defaults):
                raise TypeError(f"{type(self).__name__} got unexpected arguments {sorted(unknown) or args}")
            values = defaults | dict(zip(defaults, args)) | kwargs
            super().__init__(fn, reduction, name, dtype, **values)

    Wrapped.__name__ = Wrapped.__qualname__ = name
    Wrapped.__doc__ = fn.__doc__
    _CLASS_OF[fn.__name__] = Wrapped
    return Wrapped


MeanSquaredError = _class("MeanSquaredError", mean_squared_error, "mean_squared_error")
MeanAbsoluteError = _class("MeanAbsoluteError", mean_absolute_error, "mean_absolute_error")
MeanAbsolutePercentageError = _class(
    "MeanAbsolutePercentageError", mean_absolute_percentage_error, "mean_absolute_percentage_error"
)
MeanSquaredLogarithmicError = _class(
    "MeanSquaredLogarithmicError", mean_squared_logarithmic_error, "mean_squared_logarithmic_error"
)
CategoricalCrossentropy = _class(
    "CategoricalCrossentropy", categorical_crossentropy, "categorical_crossentropy", from_logits=False,
    label_smoothing=0.0, axis=-1,
)  # fmt: skip
SparseCategoricalCrossentropy = _class(
    "SparseCategoricalCrossentropy", sparse_categorical_crossentropy, "sparse_categorical_crossentropy",
    from_logits=False, ignore_class=None, axis=-1,
)  # fmt: skip
BinaryCrossentropy = _class(
    "BinaryCrossentropy", binary_crossentropy, "binary_crossentropy", from_logits=False, label_smoothing=0.0, axis=-1
)
BinaryFocalCrossentropy = _class(
    "BinaryFocalCrossentropy", binary_focal_crossentropy, "binary_focal_crossentropy", apply_class_balancing=False,
    alpha=0.25, gamma=2.0, from_logits=False, label_smoothing=0.0, axis=-1,
)  # fmt: skip
Hinge = _class("Hinge", hinge, "hinge")
SquaredHinge = _class("SquaredHinge", squared_hinge, "squared_hinge")
CategoricalHinge = _class("CategoricalHinge", categorical_hinge, "categorical_hinge")
KLDivergence = _class("KLDivergence", kl_divergence, "kl_divergence")
Poisson = _class("Poisson", poisson, "poisson")
CosineSimilarity = _class("CosineSimilarity", cosine_similarity, "cosine_similarity", axis=-1)
LogCosh = _class("LogCosh", log_cosh, "log_cosh")
Huber = _class("Huber", huber, "huber_loss", delta=1.0)

ALL = tuple(_CLASS_OF.values())
FUNCTIONS: dict[str, Callable[..., Any]] = {
    f.__name__: f
    for f in (
        mean_squared_error, mean_absolute_error, mean_absolute_percentage_error, mean_squared_logarithmic_error,
        categorical_crossentropy, sparse_categorical_crossentropy, binary_crossentropy, binary_focal_crossentropy,
        hinge, squared_hinge, categorical_hinge, kl_divergence, poisson, cosine_similarity, log_cosh, huber,
    )
}  # fmt: skip
ALIASES = {
    "mse": "mean_squared_error", "mae": "mean_absolute_error", "mape": "mean_absolute_percentage_error",
    "msle": "mean_squared_logarithmic_error", "bce": "binary_crossentropy", "kld": "kl_divergence",
    "kullback_leibler_divergence": "kl_divergence", "logcosh": "log_cosh", "cosine_proximity": "cosine_similarity",
    "huber_loss": "huber",
}  # fmt: skip
mse = MSE = mean_squared_error
mae = MAE = mean_absolute_error
mape = MAPE = mean_absolute_percentage_error
msle = MSLE = mean_squared_logarithmic_error
bce, kld, KLD, logcosh = binary_crossentropy, kl_divergence, kl_divergence, log_cosh


def get(identifier: Any) -> Any:
    """A loss instance from a name, a class name, a config, a class, an instance or a function; None stays None."""
    if identifier is None:
        return None
    if isinstance(identifier, str):
        name = ALIASES.get(identifier.lower(), identifier)
        for fn_name, cls in _CLASS_OF.items():
            if name in (fn_name, cls.__name__) or name.lower() == fn_name:
                return cls()
    if isinstance(identifier, (str, dict)):
        from berrante.saving.registry import deserialize_named

        return get(deserialize_named(identifier, "loss"))
    if isinstance(identifier, type):
        return identifier()
    if isinstance(identifier, Loss):
        return identifier
    if callable(identifier):
        known = _CLASS_OF.get(getattr(identifier, "__name__", ""))
        if known is not None and FUNCTIONS.get(identifier.__name__) is identifier:
            return known()
        return LossFunctionWrapper(identifier)
    raise ValueError(f"expected a loss (a name, a Loss or a function); received {identifier!r}")


def serialize(loss: Any) -> Any:
    """The loss's config."""
    from berrante.saving.registry import serialize_keras_object

    return serialize_keras_object(loss)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The loss of a config."""
    from berrante.saving.registry import deserialize_keras_object

    return deserialize_keras_object(config, custom_objects)
