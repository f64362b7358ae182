"""Classifiers: LeNet-5, and a small one of digits whose features serve the generative metrics."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from berrante import initializers, layers
from berrante.models import Model, Sequential


def lenet5(input_shape: Any = (32, 32, 1), classes: int = 10, pooling: str = "max", name: str = "lenet5") -> Any:
    """LeNet-5 (LeCun et al., 1998): convolutions of 6 and 16 kernels of 5 x 5, tanh, dense 120, 84 and `classes`.

    pooling: "max", or "average", which is nearer to the original's averages with a learnt factor.
    """
    if pooling not in ("max", "average"):
        raise ValueError(f"lenet5: expected pooling max or average; received {pooling!r}")
    pool: Any = layers.MaxPooling2D if pooling == "max" else layers.AveragePooling2D
    return Sequential(
        [
            layers.Input(tuple(input_shape)),
            layers.Conv2D(6, 5, activation="tanh"),
            pool(2),
            layers.Conv2D(16, 5, activation="tanh"),
            pool(2),
            layers.Flatten(),
            layers.Dense(120, activation="tanh"),
            layers.Dense(84, activation="tanh"),
            layers.Dense(classes, activation="softmax"),
        ],
        name=name,
    )


def feature_classifier(input_shape: Any, classes: int, seed: int | None = None, name: str = "classifier") -> Any:
    """A small convolutional classifier; the layer "features" gives 64 numbers an image."""
    k = lambda i: initializers.GlorotUniform(seed=None if seed is None else seed + i)
    return Sequential(
        [
            layers.Input(tuple(input_shape)),
            layers.Conv2D(16, 3, padding="same", activation="relu", kernel_initializer=k(0)),
            layers.MaxPooling2D(padding="same"),
            layers.Conv2D(32, 3, padding="same", activation="relu", kernel_initializer=k(1)),
            layers.MaxPooling2D(padding="same"),
            layers.Flatten(),
            layers.Dense(64, activation="relu", name="features", kernel_initializer=k(2)),
            layers.Dense(classes, activation="softmax", kernel_initializer=k(3)),
        ],
        name=name,
    )


def features_of(classifier: Any, layer: str = "features") -> Any:
    """A model from the classifier's input to a layer's output."""
    return Model(classifier.inputs[0], classifier.get_layer(layer).output)


class DigitFeatures:
    """Features or probabilities of images of any size and 1 or 3 channels, in [0, 1] or [-1, 1], brought to 8 x 8 grey."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def __call__(self, images: Any) -> np.ndarray:

        x = np.asarray(images, np.float32)
        x = x[..., None] if x.ndim == 3 else x
        if x.ndim != 4:
            raise ValueError(f"expected images (N, H, W, C); received shape {x.shape}")
        x = x.mean(-1, keepdims=True)
        x = (x + 1.0) / 2.0 if x.min() < -0.01 else x
        x = _areas(_areas(x, 1), 2)
        return np.asarray(self.model.predict(np.clip(x, 0.0, 1.0), batch_size=256, verbose=0))


def _areas(x: np.ndarray, axis: int, parts: int = 8, samples: int = 4) -> np.ndarray:
    """An axis brought to 8 elements: averages over equal parts of it."""
    n = x.shape[axis]
    if n == parts:
        return x
    at = np.minimum((np.arange(parts * samples) + 0.5) * n / (parts * samples), n - 1).astype(np.int64)
    taken = np.take(x, at, axis=axis)
    return taken.reshape(*x.shape[:axis], parts, samples, *x.shape[axis + 1 :]).mean(axis + 1)


@lru_cache(maxsize=1)
def _trained_digits() -> Any:
    from berrante.datasets import digits

    (x, y), _ = digits.load_data(test_fraction=0.1)
    model = feature_classifier((8, 8, 1), 10, seed=17, name="digit_classifier")
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    # With seeds and orders of its own: the caller's random state stays as it is.
    for epoch in range(12):
        order = np.random.default_rng(epoch).permutation(len(x))
        for rows in np.array_split(order, len(x) // 32):
            model.train_on_batch(x[rows], y[rows])
    return model


def digit_classifier(output: str = "probabilities") -> DigitFeatures:
    """The classifier of scikit-learn's digits, trained at the first call (about a second), as a function of images.

    output: "probabilities" [N, 10] or "features" [N, 64].
    """
    if output not in ("probabilities", "features"):
        raise ValueError(f"digit_classifier: expected probabilities or features; received {output!r}")
    model = _trained_digits()
    return DigitFeatures(model if output == "probabilities" else features_of(model))
