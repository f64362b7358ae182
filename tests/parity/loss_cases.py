"""Random losses: functions and classes with their arguments, on targets and predictions of random shapes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from parity.harness import Case
from parity.layer_cases import maybe, pick, whole

Rng = np.random.Generator


def probabilities(rng: Rng, shape: tuple[int, ...], axis: int = -1) -> np.ndarray:
    x = np.exp(rng.normal(size=shape)).astype(np.float32)
    return x / x.sum(axis, keepdims=True)


def sample_shape(rng: Rng) -> tuple[int, ...]:
    return (whole(rng, 1, 6),) if maybe(rng, 0.6) else (whole(rng, 1, 4), whole(rng, 1, 4))


def one_hot(rng: Rng, shape: tuple[int, ...], classes: int) -> np.ndarray:
    return np.eye(classes, dtype=np.float32)[rng.integers(0, classes, shape)]


def numbers(rng: Rng, kwargs: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Real targets and predictions, sometimes of ranks that differ by a last dimension of 1."""
    shape = (*sample_shape(rng), whole(rng, 1, 5))
    y, p = rng.normal(size=shape).astype(np.float32), rng.normal(size=shape).astype(np.float32)
    if shape[-1] == 1 and len(shape) > 1 and maybe(rng):
        y = y[..., 0]
    return y, p


def positive(rng: Rng, kwargs: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    y, p = numbers(rng, kwargs)
    return np.abs(y), np.abs(p)


def signed(rng: Rng, kwargs: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    y, p = numbers(rng, kwargs)
    return (np.sign(y) if maybe(rng) else (y > 0).astype(np.float32)), p


def categorical(rng: Rng, kwargs: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    shape, classes = sample_shape(rng), whole(rng, 2, 5)
    y = one_hot(rng, shape, classes) if maybe(rng) else probabilities(rng, (*shape, classes))
    p = rng.normal(size=y.shape).astype(np.float32) if kwargs.get("from_logits") else probabilities(rng, y.shape)
    if maybe(rng, 0.2):
        p = np.round(p, 0).astype(np.float32) + (0 if kwargs.get("from_logits") else np.float32(0.0))
        p[..., 0] += 1.0
    if kwargs.get("axis") == 1:
        y, p = np.moveaxis(y, -1, 1), np.moveaxis(p, -1, 1)
    return y, p


def hinged(rng: Rng, kwargs: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Away from the hinge's edge, whose gradient each backend of Keras chooses."""
    y, p = categorical(rng, kwargs)
    return y, p * np.float32(0.9)


def binary(rng: Rng, kwargs: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    shape = (*sample_shape(rng), whole(rng, 1, 4))
    y = rng.integers(0, 2, shape).astype(pick(rng, np.float32, np.int32))
    p = rng.normal(size=shape) if kwargs.get("from_logits") else rng.random(shape).round(whole(rng, 0, 3))
    if shape[-1] == 1 and maybe(rng):
        y = y[..., 0]
    return y, p.astype(np.float32)


def sparse(rng: Rng, kwargs: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    shape, classes = sample_shape(rng), whole(rng, 2, 5)
    y = rng.integers(0, classes, shape)
    p = probabilities(rng, (*shape, classes))
    if kwargs.get("from_logits"):
        p = rng.normal(size=p.shape).astype(np.float32)
    if kwargs.get("ignore_class") is not None and maybe(rng):
        y[..., 0] = kwargs["ignore_class"]
    if maybe(rng, 0.3):
        y = y[..., None]
    return y.astype(pick(rng, np.int32, np.float32, np.int64)), p


def labels(rng: Rng, kwargs: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    p = probabilities(rng, (*sample_shape(rng), whole(rng, 2, 5)))
    return rng.integers(0, p.shape[-1], p.shape[:-1]).astype(np.int32), p


def embeddings(rng: Rng, kwargs: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    n = whole(rng, 2, 7)
    p = rng.normal(size=(n, 3)).astype(np.float32)
    return rng.integers(0, 3, n).astype(np.int32), p / np.linalg.norm(p, axis=1, keepdims=True)


def _smoothing(rng: Rng) -> dict[str, Any]:
    return {"label_smoothing": float(pick(rng, 0.0, 0.1, 0.3))}


def _crossentropy(rng: Rng) -> dict[str, Any]:
    return {"from_logits": maybe(rng), **_smoothing(rng)}


def _focal(rng: Rng) -> dict[str, Any]:
    return {"alpha": float(rng.random()), "gamma": float(pick(rng, 0.5, 2.0, 3.0)), **_crossentropy(rng)}


TABLE: dict[str, tuple[Any, Callable[[Rng], dict[str, Any]]]] = {
    "MeanSquaredError": (numbers, lambda rng: {}),
    "MeanAbsoluteError": (numbers, lambda rng: {}),
    "MeanAbsolutePercentageError": (numbers, lambda rng: {}),
    "MeanSquaredLogarithmicError": (numbers, lambda rng: {}),
    "CosineSimilarity": (numbers, lambda rng: {"axis": pick(rng, -1, 0, 1)}),
    "Huber": (numbers, lambda rng: {"delta": float(rng.random() + 0.1)}),
    "LogCosh": (numbers, lambda rng: {}),
    "Poisson": (positive, lambda rng: {}),
    "KLDivergence": (categorical, lambda rng: {}),
    "Hinge": (signed, lambda rng: {}),
    "SquaredHinge": (signed, lambda rng: {}),
    "CategoricalHinge": (hinged, lambda rng: {}),
    "BinaryCrossentropy": (binary, lambda rng: {**_crossentropy(rng), "axis": pick(rng, -1, 0)}),
    "BinaryFocalCrossentropy": (binary, lambda rng: {**_focal(rng), "apply_class_balancing": maybe(rng)}),
    "CategoricalCrossentropy": (categorical, lambda rng: {**_crossentropy(rng), "axis": pick(rng, -1, -1, 1)}),
    "CategoricalFocalCrossentropy": (categorical, _focal),
    "SparseCategoricalCrossentropy": (
        sparse, lambda rng: {"from_logits": maybe(rng), "ignore_class": pick(rng, None, 0, 1, -1)}
    ),
    "CategoricalGeneralizedCrossEntropy": (labels, lambda rng: {"q": float(rng.random() * 0.8 + 0.1)}),
    "Dice": (binary, lambda rng: {"axis": pick(rng, None, -1, (0, 1))}),
    "Tversky": (
        binary, lambda rng: {"alpha": float(rng.random()), "beta": float(rng.random()), "axis": pick(rng, None, -1)}
    ),
    "Circle": (embeddings, lambda rng: {"gamma": 8.0, "margin": 0.4, "remove_diagonal": maybe(rng)}),
}  # fmt: skip
REDUCTIONS = ("sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none", None)


def weights_for(rng: Rng, values: tuple[int, ...]) -> np.ndarray | None:
    """Sample weights that Keras can multiply with values of a shape: for each, or for their last dimensions alike."""
    if not values or maybe(rng, 0.5):
        return None
    shape = pick(rng, values, values, (*values[:-1], 1) if len(values) > 1 else (*values, 1))
    return (rng.random(shape) * pick(rng, 1.0, 2.0)).astype(np.float32) * rng.integers(0, 2, shape).astype(np.float32)


def loss(name: str) -> Callable[[Rng], Case]:
    def draw(rng: Rng) -> Case:
        make, arguments = TABLE[name]
        kwargs = arguments(rng)
        y, p = make(rng, kwargs)
        if kwargs.get("axis") in (1, (0, 1)) and y.ndim < 2:
            kwargs["axis"] = -1
        reduction = pick(rng, *REDUCTIONS)
        weights = (
            weights_for(rng, p.shape[:-1])
            if kwargs.get("axis", -1) == -1 and (y.ndim == p.ndim or make is sparse)
            else None
        )
        config = {**kwargs, "reduction": reduction}

        def run(peer: Any) -> dict[str, Any]:
            built = getattr(peer.k.losses, name)(**config)
            result = peer.function(lambda q: built(y, q, weights), [p])
            if name not in DROPPED:
                again = type(built).from_config(built.get_config())
                result["from_config"] = peer.k.ops.convert_to_numpy(again(y, peer.k.ops.convert_to_tensor(p), weights))
            return {**result, "name": built.name, "reduction": built.reduction}

        shown = None if weights is None else weights.shape
        return Case(f"{name}({config}) on y {y.shape} {y.dtype}, p {p.shape}, weights {shown}", run, rtol=5e-4)

    return draw


def function(name: str) -> Callable[[Rng], Case]:
    """The function of a class, one value a sample."""

    def draw(rng: Rng) -> Case:
        make, arguments = TABLE[name]
        kwargs = arguments(rng)
        y, p = make(rng, kwargs)
        if y.ndim != p.ndim and name != "SparseCategoricalCrossentropy":
            y = y.reshape(p.shape) if y.size == p.size else y
        if kwargs.get("axis") in (1, (0, 1)) and y.ndim < 2:
            kwargs["axis"] = -1

        def run(peer: Any) -> dict[str, Any]:
            fn = getattr(peer.k.losses, name)().fn
            return peer.function(lambda q: fn(peer.k.ops.convert_to_tensor(y), q, **kwargs), [p])

        return Case(f"{name}'s function with {kwargs} on y {y.shape} {y.dtype}, p {p.shape}", run, rtol=5e-4)

    return draw


# Keras' configs drop delta and axis; ours do not.
DROPPED = ("Huber", "CosineSimilarity")
NO_FUNCTION = ("CategoricalGeneralizedCrossEntropy", "Circle")
KINDS = {name: loss(name) for name in TABLE}
KINDS.update({f"{name}.fn": function(name) for name in TABLE if name not in NO_FUNCTION})
