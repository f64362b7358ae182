"""Metrics, after keras.metrics: running values over batches, and the functions that some are means of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from berrante import losses
from berrante.losses import (
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    categorical_hinge,
    hinge,
    huber,
    kl_divergence,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    poisson,
    sparse_categorical_crossentropy,
    squared_hinge,
)
from berrante.metrics.accuracy import (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
    accuracy,
    binary_accuracy,
    categorical_accuracy,
    sparse_categorical_accuracy,
    sparse_top_k_categorical_accuracy,
    top_k_categorical_accuracy,
)
from berrante.metrics.auc import AUC
from berrante.metrics.confusion import (
    FalseNegatives,
    FalsePositives,
    Precision,
    PrecisionAtRecall,
    Recall,
    RecallAtPrecision,
    SensitivityAtSpecificity,
    SpecificityAtSensitivity,
    TrueNegatives,
    TruePositives,
)
from berrante.metrics.fscore import F1Score, FBetaScore
from berrante.metrics.iou import BinaryIoU, IoU, MeanIoU, OneHotIoU, OneHotMeanIoU
from berrante.metrics.metric import Metric
from berrante.metrics.reduction import Mean, MeanMetricWrapper, Sum
from berrante.metrics.regression import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    CategoricalHinge,
    ConcordanceCorrelation,
    CosineSimilarity,
    Hinge,
    KLDivergence,
    LogCoshError,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    PearsonCorrelation,
    Poisson,
    R2Score,
    RootMeanSquaredError,
    SparseCategoricalCrossentropy,
    SquaredHinge,
    concordance_correlation,
    cosine_similarity,
    pearson_correlation,
)

ALL: tuple[type[Metric], ...] = (
    Mean, Sum, MeanMetricWrapper, MeanSquaredError, RootMeanSquaredError, MeanAbsoluteError,
    MeanAbsolutePercentageError, MeanSquaredLogarithmicError, CosineSimilarity, LogCoshError, R2Score, AUC,
    FalseNegatives, FalsePositives, Precision, PrecisionAtRecall, Recall, RecallAtPrecision, SensitivityAtSpecificity,
    SpecificityAtSensitivity, TrueNegatives, TruePositives, ConcordanceCorrelation, PearsonCorrelation, Hinge,
    SquaredHinge, CategoricalHinge, KLDivergence, Poisson, BinaryCrossentropy, CategoricalCrossentropy,
    SparseCategoricalCrossentropy, Accuracy, BinaryAccuracy, CategoricalAccuracy, SparseCategoricalAccuracy,
    TopKCategoricalAccuracy, SparseTopKCategoricalAccuracy, F1Score, FBetaScore, IoU, BinaryIoU, MeanIoU, OneHotIoU,
    OneHotMeanIoU,
)  # fmt: skip
FUNCTIONS: dict[str, Callable[..., Any]] = {
    f.__name__: f
    for f in (
        accuracy, binary_accuracy, categorical_accuracy, sparse_categorical_accuracy, top_k_categorical_accuracy,
        sparse_top_k_categorical_accuracy, cosine_similarity, pearson_correlation, concordance_correlation,
    )
}  # fmt: skip
# Names that are not a class's in snake case: short ones, and those of Keras 2.
_ALIASES: dict[str, type[Metric]] = {
    "bce": BinaryCrossentropy, "mse": MeanSquaredError, "mae": MeanAbsoluteError, "mape": MeanAbsolutePercentageError,
    "msle": MeanSquaredLogarithmicError, "acc": Accuracy, "kld": KLDivergence,
    "kullback_leibler_divergence": KLDivergence, "cosine_proximity": CosineSimilarity, "logcosh": LogCoshError,
    "rmse": RootMeanSquaredError,
}  # fmt: skip
mse = MSE = mean_squared_error
mae = MAE = mean_absolute_error
mape = MAPE = mean_absolute_percentage_error
msle = MSLE = mean_squared_logarithmic_error
bce = BCE = binary_crossentropy
kld = KLD = kl_divergence


def _by_name(name: str) -> type[Metric] | None:
    from berrante.layers.layer import snake_case

    for cls in ALL:
        if name in (cls.__name__, snake_case(cls.__name__)):
            return cls
    return _ALIASES.get(name.lower())


def get(identifier: Any) -> Any:
    """A metric from a name, a class, a config, an instance or a function (which stays one); None stays None."""
    if identifier is None:
        return None
    if isinstance(identifier, str):
        cls = _by_name(identifier)
        if cls is not None:
            return cls()
        if identifier in losses.FUNCTIONS or identifier in FUNCTIONS:
            return MeanMetricWrapper({**losses.FUNCTIONS, **FUNCTIONS}[identifier], identifier)
    if isinstance(identifier, (str, dict)):
        from berrante.saving.registry import deserialize_named

        return get(deserialize_named(identifier, "metric"))
    if isinstance(identifier, type):
        return identifier()
    if callable(identifier):
        return identifier
    raise ValueError(f"expected a metric (a name, a Metric or a function); received {identifier!r}")


def serialize(metric: Any) -> Any:
    """The metric's config."""
    from berrante.saving.registry import serialize_keras_object

    return serialize_keras_object(metric)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The metric of a config or a name."""
    from berrante.saving.registry import custom_object_scope, deserialize_keras_object

    if isinstance(config, str):
        with custom_object_scope(custom_objects or {}):
            return get(config)
    return deserialize_keras_object(config, custom_objects)


def __getattr__(name: str) -> Any:
    if name in ("PSNR", "SSIM", "DiceScore", "FID", "KID", "InceptionScore", "PrecisionRecall"):
        from berrante import generative_metrics  # loaded when first asked for

        return getattr(generative_metrics, name)
    raise AttributeError(f"module 'berrante.metrics' has no attribute {name!r}")
