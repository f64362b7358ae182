"""berrante demo text2image: digits drawn from captions such as "the digit seven" or "three and eight", judged by a
classifier trained on real digits. It knows the words of its captions alone."""

from __future__ import annotations

from typing import Any

import numpy as np

import berrante
from berrante import initializers, layers
from berrante.cli.demos.common import Clock, Options, classifier_of, load, report
from berrante.generative_callbacks import save_grid
from berrante.models import Model, TextToImageGAN
from berrante.models.generative import vocabulary_of

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
FORMS_OF_ONE = ("the digit {0}", "a {0}", "number {0}", "draw the digit {0}")
FORMS_OF_TWO = ("{0} and {1}", "the digits {0} and {1}", "a {0} and then a {1}", "draw {0} and {1}")


def caption(left: int, right: int | None, rng: np.random.Generator) -> str:
    """A caption for one or two digits."""
    forms = FORMS_OF_ONE if right is None else FORMS_OF_TWO
    return forms[rng.integers(len(forms))].format(WORDS[left], WORDS[right or 0])


def pairs(x: np.ndarray, y: np.ndarray, n: int, rng: np.random.Generator) -> tuple[list[str], np.ndarray, np.ndarray]:
    """n captions with images of two places [n, H, 2 W, 1], and the digits (-1: the place is empty)."""
    a, b = rng.integers(len(x), size=(2, n))
    single = rng.random(n) < 0.4
    right = np.where(single[:, None, None, None], 0.0, x[b]).astype(np.float32)
    images = np.concatenate([x[a], right], axis=2)
    labels = np.stack([y[a], np.where(single, -1, y[b])], 1)
    captions = [caption(int(i), None if j < 0 else int(j), rng) for i, j in labels]
    return captions, images, labels


def build(shape: Any, vocabulary: list[str], filters: int, latent: int = 32, text: int = 48) -> TextToImageGAN:
    """Generator and discriminator on images of [H, 2 W, 1]."""
    h, w, c = shape
    k = lambda: initializers.RandomNormal(stddev=0.02)
    z, code = layers.Input((latent,)), layers.Input((text,))
    t = layers.Dense(text, activation="relu")(code)
    y = layers.Concatenate()([z, t])
    y = layers.Dense((h // 4) * (w // 4) * 2 * filters, use_bias=False)(y)
    y = layers.Reshape((h // 4, w // 4, 2 * filters))(layers.ReLU()(layers.BatchNormalization(momentum=0.9)(y)))
    y = layers.Conv2DTranspose(filters, 4, 2, padding="same", use_bias=False, kernel_initializer=k())(y)
    y = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(y))
    y = layers.Conv2DTranspose(c, 4, 2, padding="same", activation="tanh", kernel_initializer=k())(y)
    generator = Model([z, code], y, name="generator")
    image, code = layers.Input((h, w, c)), layers.Input((text,))
    y = image
    for n in (filters, 2 * filters):
        y = layers.LeakyReLU(0.2)(layers.Conv2D(n, 4, 2, padding="same", kernel_initializer=k())(y))
    y = layers.LeakyReLU(0.2)(layers.Dense(128)(layers.Dropout(0.2)(layers.Flatten()(y))))
    agree = layers.Dot(axes=1)([y, layers.Dense(128)(code)])
    discriminator = Model([image, code], layers.Add()([layers.Dense(1)(y), agree]), name="discriminator")
    model = TextToImageGAN(generator, discriminator, vocabulary, max_words=7, text_dim=text, ema=0.995)
    model.compile(berrante.optimizers.Adam(5e-4, beta_1=0.5), berrante.optimizers.Adam(5e-4, beta_1=0.5))
    return model


def accuracy(judge: Any, images: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """The share of digits that the classifier reads as the caption has them, and of captions with every place right."""
    left, right = np.split(images, 2, axis=2)
    read = np.stack(
        [judge.predict(np.ascontiguousarray(a), batch_size=256, verbose=0).argmax(1) for a in (left, right)], 1
    )
    empty = labels < 0
    bright = np.stack([left.mean((1, 2, 3)), right.mean((1, 2, 3))], 1)
    right_place = np.where(empty, bright < 0.04, read == labels)
    return float(right_place[~empty].mean()), float(right_place.all(1).mean())


def run(options: Options) -> dict[str, float]:
    """Trains on captions, draws new ones, prints the accuracies; gives them."""
    clock = Clock()
    berrante.utils.set_random_seed(options.seed)
    x, y, x_test, y_test = load(options)
    small = options.data == "digits"
    rng = np.random.default_rng(options.seed)
    judge = classifier_of(x, y)
    epochs = options.epochs or (60 if small else 20)
    captions, images, _ = pairs(x, y, 4 * len(x) if small else len(x), rng)
    model = build(images.shape[1:], vocabulary_of(captions), 24 if small else 32)
    model.fit(captions, images * 2 - 1, batch_size=64, epochs=epochs, verbose=0)
    _, real, labels = pairs(x_test, y_test, 500, rng)
    asked = [caption(int(i), None if j < 0 else int(j), rng) for i, j in labels]
    made = (model.generate(asked, seed=1) + 1) / 2
    digits, whole = accuracy(judge, made, labels)
    figures = {"digits as asked": digits, "captions all right": whole}
    figures["real digits read right (the bound)"] = accuracy(judge, real, labels)[0]
    shown = [f"the digit {w}" for w in WORDS] + [
        f"{a} and {b}" for a, b in zip(WORDS, WORDS[3:] + WORDS[:3], strict=True)
    ]
    path = options.folder / "text2image.png"
    save_grid(path, np.concatenate([model.generate(shown, seed=s) for s in range(4)]), 10, 3)
    model.save(options.folder / "text2image.keras")
    report(f"text to image (rows: {shown[0]} ... nine; {shown[10]} ...)", figures, [path], clock())
    return figures
