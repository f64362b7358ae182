"""berrante demo segment: objects cut out by U-Net and SegNet, with and without an adversary. By default real digits lie on
real photographs; --path names a folder of photographs with masks: train/images, train/masks, test/images, test/masks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import berrante
from berrante import zoo
from berrante.cli.demos.common import Clock, Options, load, photographs, report
from berrante.generative_callbacks import save_grid
from berrante.models import Pix2Pix

Pair = tuple[np.ndarray, np.ndarray]


def folder_pairs(folder: Path, size: int) -> Pair:
    """Photographs [N, size, size, 3] and masks [N, size, size, 1], matched by name."""
    from PIL import Image

    images = sorted(p for p in (folder / "images").iterdir() if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
    masks = {p.stem: p for p in (folder / "masks").iterdir()}
    images = [p for p in images if p.stem in masks]
    if not images:
        raise FileNotFoundError(f"{folder}: expected images/NAME.jpg with masks/NAME.png; found none that match")
    x = [np.asarray(Image.open(p).convert("RGB").resize((size, size), Image.Resampling.BOX)) for p in images]
    y = [np.asarray(_mask(masks[p.stem]).resize((size, size), Image.Resampling.BOX)) for p in images]
    return np.stack(x).astype(np.float32) / 255.0, (np.stack(y)[..., None] > 127).astype(np.float32)


def _mask(path: Path) -> Any:
    """A mask of 0 and 255 from one of 0 and any other number, such as 1; noise of JPEG does not count."""
    from PIL import Image

    values = np.asarray(Image.open(path).convert("L"))
    return Image.fromarray(np.where(values >= max(1, values.max() // 2), 255, 0).astype(np.uint8))


def composed_pairs(options: Options, train: bool, count: int, size: int = 32) -> Pair:
    """Digits, at three times their size, in random colours on patches of photographs; other digits and patches for testing."""
    x, _, x_test, _ = load(Options())
    digits = np.repeat(np.repeat(x if train else x_test, 3, 1), 3, 2)
    rng = np.random.default_rng(options.seed + (0 if train else 1))
    images, masks = np.zeros((count, size, size, 3), np.float32), np.zeros((count, size, size, 1), np.float32)
    scenes = [p[:, : p.shape[1] // 2] if train else p[:, p.shape[1] // 2 :] for p in photographs()]
    for image, mask in zip(images, masks, strict=True):
        scene = scenes[rng.integers(len(scenes))]
        top, left = (rng.integers(n - size) for n in scene.shape[:2])
        digit = digits[rng.integers(len(digits))]
        r, c = rng.integers(size - digit.shape[0] + 1, size=2)
        window = (slice(r, r + digit.shape[0]), slice(c, c + digit.shape[1]))
        image[...] = scene[top : top + size, left : left + size]
        image[window] = image[window] * (1 - digit) + digit * rng.random(3)
        mask[window] = digit > 0.4
    return images, masks


def overlap(masks: np.ndarray, made: np.ndarray) -> dict[str, float]:
    """Mean IoU over object and background (as Keras' MeanIoU), the object's IoU over all pixels, the mean Dice by image."""
    from berrante.generative_metrics import dice

    a, b = masks > 0.5, made > 0.5
    inside, outside = ((p & q).sum() / max((p | q).sum(), 1) for p, q in ((a, b), (~a, ~b)))
    mean_dice = float(np.mean(np.asarray(dice(masks, made))))
    return {"mean IoU": float(inside + outside) / 2, "object IoU": float(inside), "Dice": mean_dice}


def augmented(x: np.ndarray, y: np.ndarray, times: int, rng: np.random.Generator) -> Pair:
    """Flips, quarter turns and changes of brightness."""
    parts = [(x, y)]
    for _ in range(times - 1):
        k, flip = int(rng.integers(4)), rng.random() < 0.5
        both = [np.rot90(a, k, (1, 2))[:, :, ::-1] if flip else np.rot90(a, k, (1, 2)) for a in (x, y)]
        gain = rng.uniform(0.8, 1.2, (len(x), 1, 1, 3)).astype(np.float32)
        parts.append((np.clip(both[0] * gain, 0, 1), both[1]))
    return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])


def _loss(y_true: Any, y_pred: Any) -> Any:
    """Cross-entropy and soft Dice."""
    from berrante import ops
    from berrante.generative_metrics import dice

    return ops.add(
        ops.mean(ops.binary_crossentropy(y_true, y_pred)), ops.subtract(1.0, ops.mean(dice(y_true, y_pred, None)))
    )


def networks(shape: Any, filters: int) -> dict[str, Any]:
    """The four ways: name -> (model, whether it is adversarial)."""
    adam = lambda rate: berrante.optimizers.Adam(rate)
    found: dict[str, Any] = {}
    for name, build in (("U-Net", zoo.unet), ("SegNet", zoo.segnet)):
        found[name] = build(shape, filters=filters)
        found[name].compile(adam(2e-3), _loss)
    judge = zoo.patch_discriminator((*shape[:2], shape[2] + 1), 8)
    found["U-Net with adversary"] = Pix2Pix(zoo.unet(shape, filters=filters), judge, 1.0, 0.05, reconstruction=_loss)
    found["U-Net with adversary"].compile(adam(2e-3), adam(2e-4), label_smoothing=0.1)
    return found


def run(options: Options) -> dict[str, float]:
    """Trains the networks on the same images, prints the overlap on held-out ones; gives it."""
    clock = Clock()
    if options.path and options.data != "mnist":
        size = 64
        (x, y), (x_test, y_test) = (folder_pairs(Path(options.path) / part, size) for part in ("train", "test"))
        train = augmented(x, y, 8, np.random.default_rng(options.seed))
    else:
        x, y = train = composed_pairs(options, True, options.samples or 1200)
        x_test, y_test = composed_pairs(options, False, 200)
    epochs = options.epochs or 8
    print(
        f"{len(x)} images to train on, {len(x_test)} held out, {100 * y_test.mean():.1f}% of their pixels are the objects"
    )
    figures: dict[str, float] = {}
    n = 8
    rows = [x_test[:n], np.repeat(y_test[:n], 3, -1)]
    berrante.utils.set_random_seed(options.seed)
    names = []
    for name, model in networks(x.shape[1:], 12).items():
        model.fit(*train, batch_size=16, epochs=epochs, verbose=0)
        made = model.predict(x_test, verbose=0)
        figures |= {f"{name}: {k}": v for k, v in overlap(y_test, made).items()}
        rows.append(np.repeat(made[:n], 3, -1))
        names.append(name)
        model.save(
            options.folder / f"{name.lower().replace(' ', '-')}.keras"
        ) if name != "U-Net with adversary" else None
        print(f"{name}: {clock():.0f} s", flush=True)
    rows.append(np.where(rows[2] > 0.5, x_test[:n], 1.0))
    path = options.folder / "segmentation.png"
    save_grid(path, np.concatenate(rows), n, 2)
    report(f"object extraction (rows: image, truth, {', '.join(names)}, cut out by U-Net)", figures, [path], clock())
    return figures
