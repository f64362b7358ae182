"""Losses, after keras.losses: functions (one value a sample) and classes with a reduction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from berrante.losses.classes import (
    BinaryCrossentropy,
    BinaryFocalCrossentropy,
    CategoricalCrossentropy,
    CategoricalFocalCrossentropy,
    CategoricalGeneralizedCrossEntropy,
    CategoricalHinge,
    Circle,
    CosineSimilarity,
    Dice,
    Hinge,
    Huber,
    KLDivergence,
    LogCosh,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
    SparseCategoricalCrossentropy,
    SquaredHinge,
    Tversky,
)
from berrante.losses.crossentropy import (
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    categorical_generalized_cross_entropy,
    sparse_categorical_crossentropy,
)
from berrante.losses.functions import (
    categorical_hinge,
    cosine_similarity,
    hinge,
    huber,
    kl_divergence,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    poisson,
    squared_hinge,
)
from berrante.losses.loss import Loss, LossFunctionWrapper
from berrante.losses.overlap import circle, dice, tversky

ALL: tuple[type[Loss], ...] = (
    MeanSquaredError, MeanAbsoluteError, MeanAbsolutePercentageError, MeanSquaredLogarithmicError, CosineSimilarity,
    Huber, LogCosh, Hinge, SquaredHinge, CategoricalHinge, KLDivergence, Poisson, BinaryCrossentropy,
    BinaryFocalCrossentropy, CategoricalCrossentropy, CategoricalFocalCrossentropy, CategoricalGeneralizedCrossEntropy,
    SparseCategoricalCrossentropy, Dice, Tversky, Circle, LossFunctionWrapper,
)  # fmt: skip
FUNCTIONS: dict[str, Callable[..., Any]] = {
    f.__name__: f
    for f in (
        mean_squared_error, mean_absolute_error, mean_absolute_percentage_error, mean_squared_logarithmic_error,
        cosine_similarity, huber, log_cosh, hinge, squared_hinge, categorical_hinge, kl_divergence, poisson,
        binary_crossentropy, binary_focal_crossentropy, categorical_crossentropy, categorical_focal_crossentropy,
        categorical_generalized_cross_entropy, sparse_categorical_crossentropy, dice, tversky, circle,
    )
}  # fmt: skip
# Short names, and those of Keras 2.
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
bce = BCE = binary_crossentropy
kld = KLD = kl_divergence
logcosh = log_cosh


def get(identifier: Any) -> Any:
    """A loss from a name (a function), a class's name or a class (an instance), a config, a function or an instance.

    None stays None; what is unknown is a ValueError.
    """
    if identifier is None:
        return None
    if isinstance(identifier, str):
        function = FUNCTIONS.get(ALIASES.get(identifier.lower(), identifier))
        if function is not None:
            return function
        for cls in ALL[:-1]:
            if identifier == cls.__name__:
                return cls()
    if isinstance(identifier, (str, dict)):
        from berrante.saving.registry import deserialize_named

        return get(deserialize_named(identifier, "loss"))
    if isinstance(identifier, type):
        return identifier()
    if callable(identifier):
        return identifier
    raise ValueError(f"expected a loss (a name, a Loss or a function); received {identifier!r}")


def serialize(loss: Any) -> Any:
    """The loss's config."""
    from berrante.saving.registry import serialize_keras_object

    return serialize_keras_object(loss)


def deserialize(name: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The loss of a config or a name."""
    from berrante.saving.registry import custom_object_scope, deserialize_keras_object

    if isinstance(name, str):
        with custom_object_scope(custom_objects or {}):
            return get(name)
    return deserialize_keras_object(name, custom_objects)
