"""berrante demo superres: images at four times their size by an SRGAN, first by its generator alone, then with the
adversary, beside bicubic enlargement, on digits and on parts of photographs that training never saw."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import berrante
from berrante import zoo
from berrante.cli.demos.common import Clock, Options, load, photographs, report
from berrante.generative_callbacks import save_grid
from berrante.generative_metrics import psnr, ssim
from berrante.models import SRGAN

SCALE, SIZE = 4, 48
GREY = np.array([0.299, 0.587, 0.114], np.float32)


class Recipe(NamedTuple):
    """How a generator learns: its residual blocks, the first learning rate, the loss."""

    epochs: int
    blocks: int = 4
    rate: float = 1e-3
    loss: Any = "mae"


def root_mean_square(y_true: Any, y_pred: Any) -> Any:
    """Each image's root of its mean squared error, which is what a mean of PSNRs rewards."""
    from berrante import ops

    return ops.sqrt(ops.add(ops.mean(ops.square(ops.subtract(y_true, y_pred)), axis=[1, 2, 3]), 1e-6))


def crops(photographs: list[np.ndarray], n: int, rng: np.random.Generator) -> np.ndarray:
    """n random squares [n, SIZE, SIZE, 1] that show something, as random mixtures of the colours, turned and mirrored."""
    area = np.array([p.shape[0] * p.shape[1] for p in photographs], np.float64)
    found: list[np.ndarray] = []
    while len(found) < n:
        photograph = photographs[rng.choice(len(photographs), p=area / area.sum())]
        top, left = (rng.integers(extent - SIZE + 1) for extent in photograph.shape[:2])
        crop = photograph[top : top + SIZE, left : left + SIZE] @ rng.dirichlet((1, 1, 1)).astype(np.float32)
        crop = np.rot90(crop, int(rng.integers(4)))
        if crop.std() >= 0.04:
            found.append(crop[:, ::-1] if rng.random() < 0.5 else crop)
    return np.stack(found)[..., None]


def tiles(photographs: list[np.ndarray], most: int = 400) -> np.ndarray:
    """Grey squares of a grid over photographs that show something (a deviation of 0.06 or more)."""
    found = [
        part
        for grey in (p @ GREY for p in photographs)
        for top in range(0, grey.shape[0] - SIZE + 1, SIZE)
        for left in range(0, grey.shape[1] - SIZE + 1, SIZE)
        if (part := grey[top : top + SIZE, left : left + SIZE]).std() >= 0.06
    ]
    chosen = np.random.default_rng(0).permutation(len(found))[:most]
    return np.stack([found[i] for i in chosen])[..., None]


def folder_photographs(folder: Path) -> list[np.ndarray]:
    """The photographs of folder/images (or of the folder), float32 [H, W, 3] in [0, 1]."""
    from PIL import Image

    place = folder / "images" if (folder / "images").is_dir() else folder
    files = sorted(p for p in place.iterdir() if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
    images = [np.asarray(Image.open(p).convert("RGB"), np.float32) / 255.0 for p in files]
    images = [p for p in images if min(p.shape[:2]) >= SIZE]
    if not images:
        raise FileNotFoundError(f"{place}: expected photographs of at least {SIZE} x {SIZE} pixels; found none")
    return images


def photograph_sets(options: Options) -> tuple[np.ndarray, np.ndarray]:
    """Training and test images. Of scikit-learn's two photographs the third quarter of the width is for testing."""
    if options.path:
        parts = [folder_photographs(Path(options.path) / part) for part in ("train", "test")]
    else:
        whole = photographs()
        cuts = [(p.shape[1] // 2, p.shape[1] * 3 // 4) for p in whole]
        seen = [part for p, (a, b) in zip(whole, cuts, strict=True) for part in (p[:, :a], p[:, b:])]
        parts = [seen, [p[:, a:b] for p, (a, b) in zip(whole, cuts, strict=True)]]
    count = options.samples or (12000 if options.path else 4000)
    return crops(parts[0], count, np.random.default_rng(options.seed)), tiles(parts[1])


def sets(options: Options) -> Iterator[tuple[str, np.ndarray, np.ndarray, Recipe]]:
    """(what, training images, test images, how)."""
    if options.data == "mnist" or not options.path:
        x, _, x_test, _ = load(options)
        yield "digits", x, x_test[:400], Recipe(options.epochs or (60 if options.data == "digits" else 8))
    if options.data != "mnist":
        many = Recipe(options.epochs or 8, 6, 8e-4, root_mean_square)
        yield "photographs", *photograph_sets(options), many if options.path else Recipe(options.epochs or 10)


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
    """Mean PSNR and SSIM (with a window of 7 on images too small for 11)."""
    window = 11 if min(x.shape[1:3]) >= 11 else 7
    return float(np.mean(np.asarray(psnr(x, made)))), float(np.mean(np.asarray(ssim(x, made, filter_size=window))))


def enlarge(
    x: np.ndarray, x_test: np.ndarray, recipe: Recipe, folder: Path, turned: bool, adversarial_weight: float = 1e-3
) -> dict[str, np.ndarray]:
    """The test images by each method, from their small versions. turned: x has turned and mirrored images, so that the mean
    over such views of a test image helps (a digit upside down is no digit)."""
    low, low_test, (h, w, c) = shrink(x), shrink(x_test), x.shape[1:]
    made: dict[str, Any] = {"bicubic": bicubic(low_test)}
    generator = zoo.super_resolution((h // SCALE, w // SCALE, c), SCALE, c, 48, recipe.blocks)
    rate = berrante.optimizers.schedules.CosineDecay(recipe.rate, recipe.epochs * -(-len(x) // 16))
    generator.compile(berrante.optimizers.Adam(rate), recipe.loss)
    generator.fit(low, x, batch_size=16, epochs=recipe.epochs, verbose=0)
    model = SRGAN(
        generator, zoo.patch_discriminator((h, w, c), 16), SCALE, None, 1.0, adversarial_weight, reconstruction="mae"
    )
    made["generator alone"] = np.clip(model.upscale(low_test), 0, 1)
    if turned:
        made["mean of eight views"] = np.clip(model.upscale(low_test, ensemble=True), 0, 1)
    model.compile(berrante.optimizers.Adam(1e-4), berrante.optimizers.Adam(1e-4), loss="relativistic")
    model.fit(low, x, batch_size=16, epochs=max(1, recipe.epochs // 4), verbose=0)
    made["SRGAN"] = np.clip(model.upscale(low_test), 0, 1)
    model.save(folder / "srgan.keras")
    return made


def run(options: Options) -> dict[str, float]:
    """Trains, enlarges the test images, prints PSNR and SSIM; gives them."""
    clock = Clock()
    figures: dict[str, float] = {}
    pictures = []
    for what, x, x_test, recipe in sets(options):
        berrante.utils.set_random_seed(options.seed)
        print(f"{what}: {len(x)} images to train on, {len(x_test)} held out, {recipe.epochs} epochs", flush=True)
        made = enlarge(x, x_test, recipe, options.folder, turned=what == "photographs")
        for name, images in made.items():
            figures[f"{what}: PSNR {name}, dB"], figures[f"{what}: SSIM {name}"] = quality(x_test, images)
        for name, of in (("generator alone", "gain"), ("mean of eight views", "gain of eight views")):
            if name in made:
                better = figures[f"{what}: PSNR {name}, dB"] - figures[f"{what}: PSNR bicubic, dB"]
                figures[f"{what}: {of} over bicubic, dB"] = better
        order = np.argsort(-x_test.std((1, 2, 3)), kind="stable")[:8]  # those with the most to see
        repeated = np.repeat(np.repeat(shrink(x_test), SCALE, 1), SCALE, 2)
        pictures.append(options.folder / f"superres-{what}.png")
        rows = np.concatenate([a[order] for a in (repeated, *made.values(), x_test)])
        save_grid(pictures[-1], rows, 8, max(1, 96 // x.shape[1]))
        print(f"{what}: {clock():.0f} s", flush=True)
    report(f"super-resolution (rows: low, {', '.join(made)}, the truth)", figures, pictures, clock())
    return figures
