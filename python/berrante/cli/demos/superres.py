"""berrante demo superres: images at four times their size by an SRGAN, first by its generator alone, then with the
adversary, beside bicubic enlargement, on parts of photographs (or digits of MNIST) that training never saw."""

from __future__ import annotations

from typing import Any

import numpy as np

import berrante
from berrante import zoo
from berrante.cli.demos.common import Clock, Options, load, photographs, report
from berrante.generative_callbacks import save_grid
from berrante.generative_metrics import psnr, ssim
from berrante.models import SRGAN

SCALE = 4


def patches(options: Options, size: int = 32) -> tuple[np.ndarray, np.ndarray]:
    """Training and test images. Photographs: grey patches that show something (deviation of 0.06 or more); those of the
    third quarter of each photograph's width are for testing."""
    if options.data == "mnist":
        x, _, x_test, _ = load(options)
        return x, x_test[:400]
    train: list[np.ndarray] = []
    test: list[np.ndarray] = []
    for photograph in photographs():
        grey = photograph @ np.array([0.299, 0.587, 0.114], np.float32)
        half, cut = grey.shape[1] // 2, grey.shape[1] * 3 // 4
        for part, into, step in (
            (grey[:, :half], train, 16),
            (grey[:, cut:], train, 16),
            (grey[:, half:cut], test, size),
        ):
            for top in range(0, part.shape[0] - size + 1, step):
                into += [
                    part[top : top + size, left : left + size] for left in range(0, part.shape[1] - size + 1, step)
                ]
    x, x_test = (np.stack([p for p in a if p.std() >= 0.06])[..., None] for a in (train, test))
    if options.samples is not None:
        x = x[np.random.default_rng(0).permutation(len(x))[: options.samples]]
    return x, x_test


def shrink(x: np.ndarray) -> np.ndarray:
    """Averages over SCALE x SCALE pixels."""
    n, h, w, c = x.shape
    return np.asarray(x.reshape(n, h // SCALE, SCALE, w // SCALE, SCALE, c).mean((2, 4)))


def bicubic(low: np.ndarray) -> np.ndarray:
    """Pillow's bicubic enlargement."""
    from PIL import Image

    h, w = low.shape[1] * SCALE, low.shape[2] * SCALE
    images = [np.asarray(Image.fromarray(a[..., 0], "F").resize((w, h), Image.Resampling.BICUBIC)) for a in low]
    return np.clip(np.stack(images)[..., None], 0, 1)


def quality(x: np.ndarray, made: np.ndarray) -> tuple[float, float]:
    """Mean PSNR and SSIM."""
    return tuple(float(np.mean(np.asarray(f(x, made)))) for f in (psnr, ssim))  # type: ignore[return-value]


def run(options: Options) -> dict[str, float]:
    """Trains, enlarges the test images, prints PSNR and SSIM; gives them."""
    clock = Clock()
    berrante.utils.set_random_seed(options.seed)
    x, x_test = patches(options)
    h, w, c = x.shape[1:]
    low, low_test = shrink(x), shrink(x_test)
    epochs = options.epochs or (30 if options.data != "mnist" else 8)
    made: dict[str, Any] = {"bicubic": bicubic(low_test)}
    generator = zoo.super_resolution((h // SCALE, w // SCALE, c), SCALE, c, 24, 3)
    rate = berrante.optimizers.schedules.CosineDecay(2e-3, epochs * -(-len(x) // 32))
    generator.compile(berrante.optimizers.Adam(rate), "mse")
    generator.fit(low, x, batch_size=32, epochs=epochs, verbose=0)
    made["generator alone"] = np.clip(generator.predict(low_test, verbose=0), 0, 1)
    print(f"{len(x)} images, {epochs} epochs of the generator alone, {clock():.0f} s", flush=True)
    discriminator = zoo.patch_discriminator((h, w, c), 16)
    model = SRGAN(generator, discriminator, SCALE, adversarial_weight=1e-3)
    model.compile(berrante.optimizers.Adam(2e-4), berrante.optimizers.Adam(2e-4), loss="relativistic")
    model.fit(low, x, batch_size=32, epochs=max(1, epochs // 3), verbose=0)
    made["SRGAN"] = np.clip(model.upscale(low_test), 0, 1)
    model.save(options.folder / "srgan.keras")
    figures: dict[str, float] = {}
    for name, images in made.items():
        figures[f"PSNR {name}, dB"], figures[f"SSIM {name}"] = quality(x_test, images)
    order = np.argsort(-x_test.std((1, 2, 3)), kind="stable")[:10]  # those with the most to see
    repeated = np.repeat(np.repeat(low_test, SCALE, 1), SCALE, 2)
    path = options.folder / "superres.png"
    save_grid(path, np.concatenate([a[order] for a in (repeated, *made.values(), x_test)]), 10, 3)
    report(f"super-resolution (rows: low, {', '.join(made)}, the truth)", figures, [path], clock())
    return figures
