"""Loss: a value a sample, weighted, masked and reduced, after keras.losses.Loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from berrante import ops
from berrante.graph.tape import map_structure
from berrante.layers.masking import get_mask

REDUCTIONS = ("sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none", None)


def same_rank(a: Any, b: Any) -> tuple[Any, Any]:
    """Where ranks differ by a last dimension of 1, adds it to a vector or drops it (Keras' squeeze_or_expand)."""
    for first, second, swapped in ((a, b, False), (b, a, True)):
        if len(first.shape) == len(second.shape) + 1 and first.shape[-1] == 1:
            if len(second.shape) == 1:
                second = ops.expand_dims(second, -1)
            else:
                first = ops.squeeze(first, -1)
            return (second, first) if swapped else (first, second)
    return a, b


def weigh(values: Any, weights: Any) -> tuple[Any, Any]:
    """values * weights, and the weights as they were multiplied: spread over the values' last dimensions."""
    values, weights = same_rank(values, ops.cast(weights, "float32"))
    missing = len(values.shape) - len(weights.shape)
    if missing > 0 and len(weights.shape) > 0:
        weights = ops.reshape(weights, (*weights.shape, *(1,) * missing))
    return ops.multiply(values, weights), weights


def mask_weights(sample_weight: Any, mask: Any, reduction: str | None) -> Any:
    """Sample weights with 0 where the mask is false; for means over elements, valid ones count for the others."""
    if mask is None:
        return sample_weight
    mask = ops.cast(mask, "float32")
    if reduction in ("mean", "sum_over_batch_size"):
        valid = ops.sum(mask)
        share = ops.divide(float(mask.size), ops.where(ops.equal(valid, 0.0), 1.0, valid))
        mask = ops.multiply(mask, share)
    return mask if sample_weight is None else weigh(mask, sample_weight)[0]


def reduce_weighted(values: Any, sample_weight: Any, mask: Any, reduction: str | None) -> Any:
    """The values weighted, masked and reduced as `reduction` says."""
    weights = mask_weights(sample_weight, mask, reduction)
    if weights is not None:
        values, weights = weigh(values, weights)
    if reduction in ("none", None) or len(values.shape) == 0:
        return values
    total = ops.sum(values)
    if reduction == "sum":
        return total
    if reduction == "mean_with_sample_weight" and weights is not None:
        count = ops.sum(weights)
        empty = ops.equal(count, 0.0)
        return ops.where(empty, 0.0, ops.divide(total, ops.where(empty, 1.0, count)))
    return ops.multiply(total, 1.0 / max(values.size, 1))


class Loss:
    """call(y_true, y_pred) gives a value a sample; calling the loss weighs and reduces them.

    Args:
        name: by default the class's name in snake case.
        reduction: sum_over_batch_size or mean (the sum divided by the number of elements), sum, mean_with_sample_weight
            (divided by the sum of the weights), none or None.
        dtype: accepted; computed in float32.
    """

    def __init__(
        self, name: str | None = None, reduction: str | None = "sum_over_batch_size", dtype: Any = None
    ) -> None:
        if reduction == "auto":  # TensorFlow's Keras 2
            reduction = "sum_over_batch_size"
        if reduction not in REDUCTIONS:
            raise ValueError(
                f"{type(self).__name__}: Invalid value for argument `reduction`. Expected {', '.join(map(str, REDUCTIONS))}. "
                f"Received: reduction={reduction}"
            )
        from berrante.layers.layer import snake_case, unique_name

        self.name = name or unique_name(snake_case(type(self).__name__))
        self.reduction = reduction

    @property
    def dtype(self) -> str:
        return "float32"

    def call(self, y_true: Any, y_pred: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must define call()")

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        mask = get_mask(y_pred)
        y_true, y_pred = (map_structure(lambda x: ops.convert_to_tensor(x, "float32"), y) for y in (y_true, y_pred))
        losses = ops.convert_to_tensor(self.call(y_true, y_pred), "float32")
        own = get_mask(losses)
        if mask is not None and own is not None:
            mask = ops.logical_and(mask, own)
        return reduce_weighted(losses, sample_weight, own if mask is None else mask, self.reduction)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "reduction": self.reduction}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"


class LossFunctionWrapper(Loss):
    """A function of (y_true, y_pred) as a loss; further arguments are the function's."""

    def __init__(
        self, fn: Callable[..., Any], reduction: str | None = "sum_over_batch_size", name: str | None = None,
        dtype: Any = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(name, reduction, dtype)
        self.fn, self._fn_kwargs = fn, kwargs

    def call(self, y_true: Any, y_pred: Any) -> Any:
        if hasattr(y_true, "shape") and hasattr(y_pred, "shape"):
            y_true, y_pred = same_rank(y_true, y_pred)
        return self.fn(y_true, y_pred, **self._fn_kwargs)

    def get_config(self) -> dict[str, Any]:
        fn = {"fn": self.fn} if type(self) is LossFunctionWrapper else {}
        return {**super().get_config(), **fn, **self._fn_kwargs}

    def __repr__(self) -> str:
        return f"<{type(self).__name__}({self.fn}, kwargs={self._fn_kwargs})>"
