"""What the demos share: options, real images, a classifier of them, pictures and printed figures."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass
class Options:
    """data: "digits" (8 x 8, from scikit-learn) or "mnist"; path: of MNIST or of other data; samples: the first so many alone."""

    data: str = "digits"
    path: str | None = None
    epochs: int | None = None
    out: str = "berrante-demo"
    seed: int = 0
    samples: int | None = None

    @property
    def folder(self) -> Path:
        folder = Path(self.out)
        folder.mkdir(parents=True, exist_ok=True)
        return folder


Images = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def load(options: Options) -> Images:
    """Training images and labels, test images and labels; float32 [N, H, W, 1] in [0, 1]."""
    if options.data == "digits":
        from berrante.datasets import digits

        (x, y), (x_test, y_test) = digits.load_data()
    else:
        from berrante.datasets import mnist

        (x, y), (x_test, y_test) = mnist.load_data(options.path or "mnist.npz")
        x, x_test = (a.astype(np.float32)[..., None] / 255.0 for a in (x, x_test))
        y, y_test = y.astype(np.int32), y_test.astype(np.int32)
    n = options.samples
    return x[:n], y[:n], x_test[:n], y_test[:n]


def classifier_of(x: np.ndarray, y: np.ndarray, epochs: int = 8) -> Any:
    """A small classifier, trained on real images."""
    from berrante.zoo.classifiers import feature_classifier

    model = feature_classifier(x.shape[1:], 10)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, batch_size=32, epochs=epochs if len(x) > 4000 else 2 * epochs, verbose=0)
    return model


def photographs() -> list[np.ndarray]:
    """Two real colour photographs that come with scikit-learn, float32 [H, W, 3] in [0, 1]."""
    from sklearn.datasets import load_sample_image

    return [load_sample_image(name).astype(np.float32) / 255.0 for name in ("china.jpg", "flower.jpg")]


class Clock:
    """Seconds by part, printed with the figures."""

    def __init__(self) -> None:
        self.start = time.perf_counter()

    def __call__(self) -> float:
        return time.perf_counter() - self.start


def report(title: str, figures: dict[str, float], pictures: list[Path], seconds: float) -> None:
    """Prints figures, where the pictures are, and the seconds by the clock and of the processor."""
    print(f"\n{title}")
    width = max(map(len, figures), default=0)
    for name, value in figures.items():
        print(f"  {name:<{width}}  {value:.4g}")
    for picture in pictures:
        print(f"  picture  {picture}")
    print(f"  {seconds:.0f} s, {time.process_time():.0f} s of processor time")
