"""berrante demo: LeNet-5, with its input of 32 x 32 as in 1998, learns real handwritten digits."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np


def lenet5() -> Any:
    """LeNet-5 (LeCun et al., 1998): convolutions of 6 and 16 kernels, tanh, dense 120, 84 and 10.

    Pooling takes the maximum, where the original had averages with a learnt factor: plain averages stay near 97% on
    8,000 MNIST images, maxima reach 98.6%.
    """
    from berrante import Input, Sequential, layers

    return Sequential(
        [
            Input((32, 32, 1)),
            layers.Conv2D(6, 5, activation="tanh"),
            layers.MaxPooling2D(),
            layers.Conv2D(16, 5, activation="tanh"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(120, activation="tanh"),
            layers.Dense(84, activation="tanh"),
            layers.Dense(10, activation="softmax"),
        ],
        name="lenet5",
    )


def load(data: str, path: str | None) -> Any:
    """Training and test images as float32 [N, 32, 32, 1] in [0, 1], with labels."""
    if data == "digits":
        from berrante.datasets import digits

        (x, y), (x_test, y_test) = digits.load_data()
        enlarge = lambda a: np.repeat(np.repeat(a, 4, axis=1), 4, axis=2)
        return enlarge(x), y, enlarge(x_test), y_test
    from berrante.datasets import mnist

    (x, y), (x_test, y_test) = mnist.load_data(path or "mnist.npz")
    frame = lambda a: np.pad(a.astype(np.float32) / 255.0, ((0, 0), (2, 2), (2, 2)))[..., None]
    return frame(x), y.astype(np.int32), frame(x_test), y_test.astype(np.int32)


def picture(model: Any, x: np.ndarray, y: np.ndarray, path: Path) -> None:
    """A grid of test images with what the network says."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    guesses = model.predict(x[:32]).argmax(-1)
    figure, axes = plt.subplots(4, 8, figsize=(9, 5.2))
    for axis, image, guess, truth in zip(axes.flat, x, guesses, y):
        axis.imshow(image[..., 0], cmap="gray_r")
        axis.set_title(f"{guess}", color="green" if guess == truth else "red", fontsize=11)
        axis.axis("off")
    figure.suptitle("LeNet-5 on images it has not seen")
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)


def run_demo(data: str, path: str | None, epochs: int | None, out: str, seed: int) -> int:
    """Trains, measures, saves; says where everything is."""
    import berrante

    berrante.utils.set_random_seed(seed)
    x, y, x_test, y_test = load(data, path)
    epochs = epochs or (20 if data == "digits" else 10)
    print(f"LeNet-5 on {len(x)} real handwritten digits ({data}), {len(x_test)} held out, {epochs} epochs")
    model = lenet5()
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.summary()
    start = time.perf_counter()
    history = model.fit(x, y, batch_size=32, epochs=epochs, validation_data=(x_test, y_test))
    seconds = time.perf_counter() - start
    _, accuracy = model.evaluate(x_test, y_test, verbose=0)
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    model.save(folder / "lenet5.keras")
    history.plot(str(folder / "training.png"))
    picture(model, x_test, y_test, folder / "predictions.png")
    print(f"test accuracy   {accuracy:.2%}")
    print(f"training speed  {len(x) * epochs / seconds:,.0f} images per second ({seconds:.1f} s)")
    print(f"model           {folder / 'lenet5.keras'}")
    print(f"training curve  {folder / 'training.png'}")
    print(f"predictions     {folder / 'predictions.png'}")
    return 0
