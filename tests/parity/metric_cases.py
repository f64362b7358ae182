"""Random metrics: a few batches of random targets, predictions and weights; the result after each and after a reset.

Ours run traced into a program, as in `fit`, and then at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from parity import loss_cases as losses
from parity.harness import Case
from parity.layer_cases import maybe, pick, whole

Rng = np.random.Generator
Batch = tuple[np.ndarray, np.ndarray]


def classes_of(kwargs: dict[str, Any]) -> int:
    return int(kwargs.get("num_classes", 4))


def matrix_numbers(rng: Rng, kwargs: dict[str, Any]) -> Batch:
    shape = (whole(rng, 2, 6), 3)
    return rng.normal(size=shape).astype(np.float32), rng.normal(size=shape).astype(np.float32)


def series(rng: Rng, kwargs: dict[str, Any]) -> Batch:
    shape = (whole(rng, 1, 5), whole(rng, 3, 6))
    return rng.normal(size=shape).astype(np.float32), rng.normal(size=shape).astype(np.float32)


def flags(rng: Rng, kwargs: dict[str, Any]) -> Batch:
    """Binary targets and predictions [N] or [N, C], some of them exactly at thresholds."""
    n = whole(rng, 1, 12)
    wide = any(kwargs.get(k) is not None for k in ("top_k", "class_id")) or kwargs.get("multi_label")
    shape = (n, 4) if wide or maybe(rng, 0.3) else pick(rng, (n,), (n, 1))
    p = rng.random(shape)
    if maybe(rng):
        p = (p * 8).round() / 8
    p = np.maximum(p, 0.125)  # Keras counts exactly 0 as above all of evenly spaced thresholds that begin at 0
    if kwargs.get("from_logits"):
        p = p * 4 - 2
    return rng.integers(0, 2, shape).astype(pick(rng, np.float32, np.int32)), p.astype(np.float32)


def one_hot_rows(rng: Rng, kwargs: dict[str, Any]) -> Batch:
    shape, classes = losses.sample_shape(rng), 6
    p = losses.probabilities(rng, (*shape, classes))
    if maybe(rng, 0.3):
        p = p.round(1)
    return losses.one_hot(rng, shape, classes), p


def label_rows(rng: Rng, kwargs: dict[str, Any]) -> Batch:
    y, p = one_hot_rows(rng, kwargs)
    labels = y.argmax(-1)
    if maybe(rng, 0.3):
        labels = labels[..., None]
    return labels.astype(pick(rng, np.int32, np.float32)), p


def equal_labels(rng: Rng, kwargs: dict[str, Any]) -> Batch:
    shape = losses.sample_shape(rng)
    return rng.integers(0, 3, shape).astype(np.float32), rng.integers(0, 3, shape).astype(np.float32)


def multi_label(rng: Rng, kwargs: dict[str, Any]) -> Batch:
    shape = (whole(rng, 2, 8), 3)
    return rng.integers(0, 2, shape).astype(np.float32), rng.random(shape).astype(np.float32)


def class_maps(rng: Rng, kwargs: dict[str, Any]) -> Batch:
    shape, classes = losses.sample_shape(rng), classes_of(kwargs)
    y, p = (rng.integers(0, classes, shape).astype(np.int32) for _ in range(2))
    if not kwargs.get("sparse_y_true", True):
        y = np.eye(classes, dtype=np.float32)[y]
    if not kwargs.get("sparse_y_pred", True):
        p = losses.probabilities(rng, (*shape, classes))
    return y, p


def one_hot_maps(rng: Rng, kwargs: dict[str, Any]) -> Batch:
    return class_maps(rng, {**kwargs, "sparse_y_true": False, "sparse_y_pred": kwargs.get("sparse_y_pred", False)})


def _nothing(rng: Rng) -> dict[str, Any]:
    return {}


def _thresholds(rng: Rng) -> Any:
    return pick(rng, None, 0.25, [0.1, 0.5, 0.875], [0.0, 0.5, 1.0], [0.0, 0.25, 0.5, 0.75, 1.0])


def _ratio(rng: Rng) -> dict[str, Any]:
    return {"thresholds": _thresholds(rng), "top_k": pick(rng, None, None, 2), "class_id": pick(rng, None, None, 1)}


def _auc(rng: Rng) -> dict[str, Any]:
    many = maybe(rng, 0.3)
    kwargs = {
        "num_thresholds": pick(rng, 3, 20, 200), "curve": pick(rng, "ROC", "PR", "PRGAIN"), "multi_label": many,
        "summation_method": pick(rng, "interpolation", "minoring", "majoring"), "from_logits": maybe(rng, 0.3),
        "thresholds": pick(rng, None, None, [0.2, 0.5, 0.6]),
    }  # fmt: skip
    if many and maybe(rng):
        kwargs.update(num_labels=4, label_weights=[0.1, 0.4, 0.3, 0.7])
    return kwargs


def _at(name: str) -> Callable[[Rng], dict[str, Any]]:
    return lambda rng: {
        name: float(rng.random().__round__(2)),
        "num_thresholds": pick(rng, 1, 5, 200),
        "class_id": pick(rng, None, 2),
    }


def _fbeta(rng: Rng) -> dict[str, Any]:
    return {"average": pick(rng, None, "micro", "macro", "weighted"), "threshold": pick(rng, None, 0.5)}


def _iou(rng: Rng) -> dict[str, Any]:
    return {
        "num_classes": 4, "target_class_ids": pick(rng, [0], [1, 3]), "ignore_class": pick(rng, None, 1),
        "sparse_y_true": maybe(rng, 0.7), "sparse_y_pred": maybe(rng, 0.7), "dtype": pick(rng, None, "float32"),
    }  # fmt: skip


def _less(keys: str, draw: Callable[[Rng], dict[str, Any]]) -> Callable[[Rng], dict[str, Any]]:
    return lambda rng: {k: v for k, v in draw(rng).items() if k not in keys.split()}


TABLE: dict[str, tuple[Any, Callable[[Rng], dict[str, Any]]]] = {
    "MeanSquaredError": (losses.numbers, _nothing), "RootMeanSquaredError": (losses.numbers, _nothing),
    "MeanAbsoluteError": (losses.numbers, _nothing), "MeanAbsolutePercentageError": (losses.numbers, _nothing),
    "MeanSquaredLogarithmicError": (losses.numbers, _nothing), "LogCoshError": (losses.numbers, _nothing),
    "CosineSimilarity": (matrix_numbers, _nothing), "PearsonCorrelation": (series, _nothing),
    "ConcordanceCorrelation": (series, _nothing), "Hinge": (losses.signed, _nothing),
    "SquaredHinge": (losses.signed, _nothing), "CategoricalHinge": (one_hot_rows, _nothing),
    "KLDivergence": (one_hot_rows, _nothing), "Poisson": (losses.positive, _nothing),
    "BinaryCrossentropy": (losses.binary, losses._crossentropy),
    "CategoricalCrossentropy": (losses.categorical, losses._crossentropy),
    "SparseCategoricalCrossentropy": (
        losses.sparse, lambda rng: {"from_logits": maybe(rng), "ignore_class": pick(rng, None, 1)}
    ),
    "Accuracy": (equal_labels, _nothing), "BinaryAccuracy": (flags, lambda rng: {"threshold": pick(rng, 0.25, 0.5)}),
    "CategoricalAccuracy": (one_hot_rows, _nothing), "SparseCategoricalAccuracy": (label_rows, _nothing),
    "TopKCategoricalAccuracy": (one_hot_rows, lambda rng: {"k": whole(rng, 1, 6)}),
    "SparseTopKCategoricalAccuracy": (label_rows, lambda rng: {"k": whole(rng, 1, 6)}),
    "TruePositives": (flags, lambda rng: {"thresholds": _thresholds(rng)}),
    "FalsePositives": (flags, lambda rng: {"thresholds": _thresholds(rng)}),
    "TrueNegatives": (flags, lambda rng: {"thresholds": _thresholds(rng)}),
    "FalseNegatives": (flags, lambda rng: {"thresholds": _thresholds(rng)}),
    "Precision": (flags, _ratio), "Recall": (flags, _ratio), "AUC": (flags, _auc),
    "SensitivityAtSpecificity": (flags, _at("specificity")), "SpecificityAtSensitivity": (flags, _at("sensitivity")),
    "PrecisionAtRecall": (flags, _at("recall")), "RecallAtPrecision": (flags, _at("precision")),
    "F1Score": (multi_label, _fbeta), "FBetaScore": (multi_label, lambda rng: {**_fbeta(rng), "beta": 0.5}),
    "R2Score": (
        matrix_numbers,
        lambda rng: {
            "class_aggregation": pick(rng, None, "uniform_average", "variance_weighted_average"),
            "num_regressors": pick(rng, 0, 0, 2, 100),
        },
    ),
    "IoU": (class_maps, _iou), "MeanIoU": (class_maps, _less("target_class_ids", _iou)),
    "BinaryIoU": (flags, lambda rng: {"threshold": 0.25, "target_class_ids": pick(rng, [0], [1], [0, 1])}),
    "OneHotIoU": (one_hot_maps, _less("sparse_y_true", _iou)),
    "OneHotMeanIoU": (one_hot_maps, _less("sparse_y_true target_class_ids", _iou)),
}  # fmt: skip


def _weights(rng: Rng, name: str, kwargs: dict[str, Any], y: np.ndarray, p: np.ndarray) -> np.ndarray | None:
    if maybe(rng):
        return None
    if "IoU" in name:
        size = y.size // (y.shape[-1] if y.dtype == np.float32 and "Binary" not in name else 1)
        return rng.integers(0, 4, size).astype(np.float32 if kwargs.get("dtype") else np.int32)
    shape = (len(y),) if p.ndim <= 2 or maybe(rng) else p.shape[:-1]
    if (
        kwargs.get("ignore_class") is not None
    ):  # beside a mask of more dimensions Keras takes samples' weights for columns
        shape = p.shape[:-1]
    if name == "Accuracy":
        shape = y.shape
    return rng.random(shape).astype(np.float32).round(2)


def metric(name: str) -> Callable[[Rng], Case]:
    def draw(rng: Rng) -> Case:
        make, arguments = TABLE[name]
        kwargs = arguments(rng)
        batches = []
        for _ in range(whole(rng, 1, 3)):
            y, p = make(rng, kwargs)
            if y.ndim != p.ndim and name not in ("SparseCategoricalCrossentropy",) and y.size == p.size:
                y = y.reshape(p.shape)
            batches.append((y, p, _weights(rng, name, kwargs, y, p)))

        def run(peer: Any) -> dict[str, Any]:
            built = getattr(peer.k.metrics, name)(**kwargs)
            result: dict[str, Any] = {}
            for i, (y, p, w) in enumerate(batches):
                peer.update(built, y, p, w)
                result[f"after{i}"] = np.asarray(peer.k.ops.convert_to_numpy(built.result()))
            # AUC's config gives the number with the two ends as that without, in Keras too.
            again = type(built).from_config(built.get_config())
            peer.update(again, *batches[0])
            result["from_config"] = np.asarray(peer.k.ops.convert_to_numpy(again.result()))
            built.reset_state()
            result["reset"] = [bool(np.any(np.asarray(v))) for v in built.variables]
            result["variables"] = [(v.name, tuple(v.shape)) for v in built.variables]
            return result

        shown = [(y.shape, str(y.dtype), p.shape, None if w is None else w.shape) for y, p, w in batches]
        return Case(f"{name}({kwargs}) on {shown}", run, rtol=5e-4, backends=("jax",))

    return draw


KINDS = {name: metric(name) for name in TABLE}
