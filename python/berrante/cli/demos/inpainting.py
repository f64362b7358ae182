"""berrante demo inpaint: square holes in digits, filled by an Inpainter with and without its adversary, beside the mean
image and the classical fill that makes the hole as smooth as its rim."""

from __future__ import annotations

from typing import Any

import numpy as np

import berrante
from berrante import zoo
from berrante.cli.demos.common import Clock, Options, load, report
from berrante.generative_callbacks import save_grid
from berrante.models import Inpainter


def square_masks(n: int, h: int, w: int, share: float = 0.4, seed: int = 0) -> np.ndarray:
    """One square hole an image, bool [N, H, W]."""
    rng = np.random.default_rng(seed)
    size = max(1, round(share * min(h, w)))
    masks = np.zeros((n, h, w), bool)
    for mask in masks:
        top, left = rng.integers(h - size + 1), rng.integers(w - size + 1)
        mask[top : top + size, left : left + size] = True
    return masks


def harmonic_fill(x: np.ndarray, masks: np.ndarray, rounds: int = 300) -> np.ndarray:
    """Each missing pixel the mean of its neighbours (Laplace's equation), by relaxation."""
    filled = np.where(masks[..., None], x.mean(), x).astype(np.float64)
    for _ in range(rounds):
        padded = np.pad(filled, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
        around = padded[:, :-2, 1:-1] + padded[:, 2:, 1:-1] + padded[:, 1:-1, :-2] + padded[:, 1:-1, 2:]
        filled = np.where(masks[..., None], around / 4, x)
    return filled.astype(np.float32)


def biharmonic_fill(x: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """scikit-image's biharmonic fill."""
    from skimage.restoration import inpaint_biharmonic

    filled = [inpaint_biharmonic(a, m, channel_axis=-1) for a, m in zip(x, masks, strict=True)]
    return np.clip(np.stack(filled), 0, 1).astype(np.float32)


def hole_psnr(x: np.ndarray, filled: np.ndarray, masks: np.ndarray) -> float:
    """The PSNR of the missing pixels alone, over all images."""
    error = ((x - filled) ** 2)[masks]
    return float(-10 * np.log10(error.mean()))


def build(shape: Any, filters: int, adversarial_weight: float) -> Inpainter:
    """An Inpainter for images in [0, 1]."""
    h, w, c = shape
    generator = zoo.resnet_generator((h, w, c + 1), c, filters, blocks=3)
    model = Inpainter(
        generator, zoo.patch_discriminator(shape, filters, depth=1), 10.0, adversarial_weight, hole=(0.2, 0.5), ema=0.99
    )
    model.compile(berrante.optimizers.Adam(1e-3, beta_1=0.5), berrante.optimizers.Adam(2e-4, beta_1=0.5))
    return model


def run(options: Options) -> dict[str, float]:
    """Trains both, fills the test images' holes, prints the PSNR inside the holes; gives it."""
    clock = Clock()
    x, _, x_test, _ = load(options)
    x_test = x_test[:400]
    masks = square_masks(*x_test.shape[:3])
    mean = np.where(masks[..., None], x.mean(0), x_test)
    filled = {"mean image": mean, "harmonic": harmonic_fill(x_test, masks)}
    try:
        filled["biharmonic"] = biharmonic_fill(x_test, masks)
    except ImportError:
        print("scikit-image is not installed: no biharmonic fill")
    small = options.data == "digits"
    epochs = options.epochs or (60 if small else 10)
    for name, weight in (("inpainter, no adversary", 0.0), ("inpainter", 0.05)):
        berrante.utils.set_random_seed(options.seed)
        model = build(x.shape[1:], 32 if small else 16, weight)
        model.fit(x, batch_size=32, epochs=epochs, verbose=0)
        filled[name] = model.inpaint(x_test, masks)
        print(f"{name}: {clock():.0f} s", flush=True)
    model.save(options.folder / "inpainter.keras")
    figures = {f"PSNR {name}, dB": hole_psnr(x_test, image, masks) for name, image in filled.items()}
    n = 12
    rows = [np.where(masks[:n, ..., None], 0.5, x_test[:n]), *(f[:n] for f in filled.values()), x_test[:n]]
    path = options.folder / "inpainting.png"
    save_grid(path, np.concatenate(rows), n, 3)
    report(f"inpainting (rows: with holes, {', '.join(filled)}, the truth)", figures, [path], clock())
    return figures
