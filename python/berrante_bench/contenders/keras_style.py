"""What berrante and Keras 3 share: the same calls of the same names, on the library that is handed in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from berrante_bench.contenders import Steps
from berrante_bench.workloads import Workload, data

_LOSSES = {"mse": "mse", "cross_entropy": "categorical_crossentropy", "reconstruction": "binary_crossentropy"}


def build(keras: Any, w: Workload, scale: bool = False) -> Any:
    """The compiled model; with `scale` it takes images of 0 to 255."""
    L = keras.layers
    make: dict[str, Callable[..., Any]] = {
        "conv": lambda filters, kernel, padding: L.Conv2D(filters, kernel, padding=padding),
        "pool": lambda kind: L.MaxPooling2D(2) if kind == "max" else L.AveragePooling2D(2),
        "up": L.UpSampling2D, "norm": L.BatchNormalization, "act": L.Activation, "dense": L.Dense,
        "dropout": L.Dropout, "flatten": L.Flatten,
    }  # fmt: skip
    first = [L.Rescaling(1 / 255)] if scale else []
    model = keras.Sequential([keras.Input(w.input_shape), *first, *(make[kind](*args) for kind, *args in w.layers)])
    model.compile(optimizer=w.optimizer, loss=_LOSSES[w.loss])
    return model


def train_steps(keras: Any, w: Workload) -> Steps:
    """Steps of `fit` on one batch that is repeated."""
    model = build(keras, w)
    x, y = data(w)

    def run(steps: int) -> None:
        rows = np.broadcast_to(x, (steps, *x.shape)).reshape(-1, *x.shape[1:])
        targets = np.broadcast_to(y, (steps, *y.shape)).reshape(-1, *y.shape[1:])
        model.fit(rows, targets, batch_size=w.batch, epochs=1, verbose=0, shuffle=False)

    return run


def fit_epochs(keras: Any, w: Workload, samples: int) -> Steps:
    """Epochs of `fit` over uint8 images, shuffled."""
    x, y = data(w, samples, images=True)
    model = build(keras, w, scale=True)
    if w.loss == "reconstruction":
        y = (y / 255).astype(np.float32)

    def run(epochs: int) -> None:
        model.fit(x, y, batch_size=w.batch, epochs=epochs, verbose=0, shuffle=True)

    return run


def predictions(keras: Any, w: Workload) -> Steps:
    """Calls of `predict_on_batch`."""
    model = build(keras, w)
    x, _ = data(w)

    def run(steps: int) -> None:
        for _ in range(steps):
            model.predict_on_batch(x)

    return run
