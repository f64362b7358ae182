"""Callbacks that show what a generative model makes (PNG grids by epoch, a GIF of the training), and one that warns when
an adversarial training goes wrong."""

from __future__ import annotations

import math
import os
import warnings
from typing import Any

import numpy as np

from berrante.callbacks import Callback


def to_bytes(images: np.ndarray) -> np.ndarray:
    """Images in [0, 1], [-1, 1] (if any element lies below 0) or [0, 255] (if any lies far above 1) as uint8."""
    images = np.asarray(images, np.float32)
    if not images.size or images.max() > 2.0:
        scaled = images
    elif images.min() < 0.0:
        scaled = (images + 1.0) * 127.5
    else:
        scaled = images * 255.0
    return np.clip(np.nan_to_num(np.rint(scaled)), 0, 255).astype(np.uint8)


def image_grid(images: np.ndarray, columns: int | None = None, gap: int = 1) -> np.ndarray:
    """Images [N, H, W, 1 or 3] side by side, as uint8 [rows, columns, 1 or 3] with white gaps."""
    images = np.asarray(images)
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or images.shape[-1] not in (1, 3):
        raise ValueError(f"image_grid: expected images (N, H, W, 1 or 3); received shape {images.shape}")
    n, h, w, c = images.shape
    columns = columns or math.ceil(math.sqrt(n))
    rows = -(-n // columns)
    grid = np.full((rows * (h + gap) + gap, columns * (w + gap) + gap, c), 255, np.uint8)
    for k, image in enumerate(to_bytes(images)):
        top, left = (k // columns) * (h + gap) + gap, (k % columns) * (w + gap) + gap
        grid[top : top + h, left : left + w] = image
    return grid


def save_grid(path: Any, images: np.ndarray, columns: int | None = None, zoom: int = 1, gap: int = 1) -> np.ndarray:
    """Writes image_grid as a PNG, each pixel `zoom` times as large; gives the grid."""
    from PIL import Image

    grid = np.repeat(np.repeat(image_grid(images, columns, gap), zoom, axis=0), zoom, axis=1)
    folder = os.path.dirname(os.fspath(path))
    if folder:
        os.makedirs(folder, exist_ok=True)
    Image.fromarray(grid[..., 0] if grid.shape[-1] == 1 else grid).save(path)
    return grid


def save_gif(path: Any, frames: list[np.ndarray], milliseconds: int = 200) -> None:
    """Writes grids of equal size as a GIF that repeats."""
    from PIL import Image

    if not frames:
        raise ValueError("save_gif: expected at least one frame; received none")
    pictures = [Image.fromarray(f[..., 0] if f.shape[-1] == 1 else f) for f in frames]
    folder = os.path.dirname(os.fspath(path))
    if folder:
        os.makedirs(folder, exist_ok=True)
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=milliseconds, loop=0)


class _Grid(Callback):
    """A picture every so many epochs, and all of them as a GIF at the end."""

    def __init__(self, path: Any, every: int, columns: int | None, zoom: int, gif: Any) -> None:
        super().__init__()
        if every < 1:
            raise ValueError(f"{type(self).__name__} every: expected a positive integer; received {every}")
        self.path, self.every, self.columns, self.zoom, self.gif = path, every, columns, zoom, gif
        self.frames: list[np.ndarray] = []

    def images(self) -> np.ndarray:
        raise NotImplementedError

    def on_train_begin(self, logs: Any = None) -> None:
        self.frames = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if (epoch + 1) % self.every:
            return
        path = os.fspath(self.path).format(epoch=epoch + 1, **(logs or {}))
        grid = save_grid(path, self.images(), self.columns, self.zoom)
        if self.gif is not None:
            self.frames.append(grid)

    def on_train_end(self, logs: Any = None) -> None:
        if self.gif is not None and self.frames:
            save_gif(self.gif, self.frames)


class SampleGrid(_Grid):
    """Samples from the same noise after each epoch: one sees them become.

    Args:
        path: of the PNGs; may hold {epoch} and logs. n: samples.
        z, labels, captions: what to make them of; by default noise from `seed`, and all classes in turn.
        every: epochs between pictures. columns: of the grid. zoom: of a pixel. gif: a path for all pictures in turn.
    """

    def __init__(
        self, path: Any = "samples/epoch_{epoch:04d}.png", n: int = 16, z: Any = None, labels: Any = None,
        captions: Any = None, seed: int = 0, every: int = 1, columns: int | None = None, zoom: int = 2, gif: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(path, every, columns, zoom, gif)
        self.n, self.z, self.labels, self.captions, self.seed = n, z, labels, captions, seed

    def images(self) -> np.ndarray:
        model = self.model
        if self.captions is not None:
            return np.asarray(model.generate(self.captions, z=self.z, seed=self.seed))
        make = getattr(model, "generate", None) or getattr(model, "sample", None)
        if make is None:
            raise TypeError(f"SampleGrid: expected a model with generate() or sample(); received {model!r}")
        classes = getattr(model, "num_classes", None)
        labels = self.labels if self.labels is not None or classes is None else np.arange(self.n) % classes
        options = {} if labels is None else {"labels": labels}
        if self.z is not None:
            if hasattr(model, "generate"):
                return np.asarray(model.generate(z=self.z, **options))
            return np.asarray(model.decode(self.z, **options))
        return np.asarray(make(self.n, seed=self.seed, **options))


class ReconstructionGrid(_Grid):
    """Samples above what an autoencoder makes of them, after each epoch. x: samples [N, H, W, C], one column each."""

    def __init__(
        self, x: Any, path: Any = "reconstructions/epoch_{epoch:04d}.png", labels: Any = None, every: int = 1,
        zoom: int = 2, gif: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(path, every, len(x), zoom, gif)
        self.x, self.labels = np.asarray(x, np.float32), labels

    def images(self) -> np.ndarray:
        options = {} if self.labels is None else {"labels": self.labels}
        return np.concatenate([self.x, self.model.reconstruct(self.x, **options)])


class LatentTraversal(_Grid):
    """One row a latent dimension, which runs from -span to span while the others stay at those of `base` (zeros)."""

    def __init__(
        self, path: Any = "traversals/epoch_{epoch:04d}.png", dims: Any = None, steps: int = 9, span: float = 2.5,
        base: Any = None, every: int = 1, zoom: int = 2, gif: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(path, every, steps, zoom, gif)
        self.dims, self.steps, self.span, self.base = dims, steps, span, base

    def images(self) -> np.ndarray:
        size = self.model.latent_dim
        dims = list(range(min(size, 10))) if self.dims is None else list(self.dims)
        base = np.zeros(size, np.float32) if self.base is None else np.asarray(self.base, np.float32).reshape(size)
        codes = np.tile(base, (len(dims) * self.steps, 1))
        for row, dim in enumerate(dims):
            codes[row * self.steps : (row + 1) * self.steps, dim] = np.linspace(-self.span, self.span, self.steps)
        model = self.model
        return np.asarray(model.generate(z=codes) if hasattr(model, "generate") else model.decode(codes))


def diversity(images: np.ndarray) -> float:
    """The mean squared distance between pairs of samples, per element."""
    flat = np.asarray(images, np.float64).reshape(len(images), -1)
    return float(2.0 * flat.var(axis=0).mean() * len(flat) / max(len(flat) - 1, 1))


class WatchGAN(Callback):
    """Warns, with advice, of an adversarial training that goes wrong. GAN.fit adds one by itself.

    Args:
        patience: epochs in a row with a sign of trouble before a warning.
        collapse: samples with less than this share of the real ones' diversity have collapsed.
        start_from_step: updates of the generator before samples are looked at.
        stop: end training when losses are not finite.
    """

    def __init__(self, patience: int = 3, collapse: float = 0.1, start_from_step: int = 500, stop: bool = True) -> None:
        super().__init__()
        self.patience, self.collapse, self.start_from_step, self.stop = patience, collapse, start_from_step, stop

    def on_train_begin(self, logs: Any = None) -> None:
        self._counts = {"wins": 0, "collapsed": 0}

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs = logs or {}
        label = f"[{self.model.name}] epoch {epoch + 1}:"
        losses = [logs.get(k) for k in ("d_loss", "g_loss")]
        if any(v is not None and not math.isfinite(v) for v in losses):
            warnings.warn(
                f"{label} training has diverged (d_loss {losses[0]}, g_loss {losses[1]}). Lower the learning rates, clip "
                "gradients (clipnorm=1.0), or choose loss='wgan_gp' or 'hinge' with spectral normalisation",
                stacklevel=2,
            )
            self.model.stop_training = self.model.stop_training or self.stop
            return
        if self._for("wins", self._discriminator_wins(logs)):
            warnings.warn(
                f"{label} the discriminator is always right (d_real {logs['d_real']:.3f}, d_fake {logs['d_fake']:.3f}), and "
                "the generator learns little. Lower d_optimizer's learning rate, add Dropout to the discriminator, set "
                "label_smoothing=0.1, or choose loss='wgan_gp' or 'hinge'",
                stacklevel=2,
            )
        share = self._diversity_share()
        if self._for("collapsed", share is not None and share < self.collapse):
            warnings.warn(
                f"{label} the generator has collapsed: its samples have {share:.1%} of the real ones' diversity. Choose "
                "loss='wgan_gp' or 'hinge', give the discriminator BatchNormalization, or raise n_critic",
                stacklevel=2,
            )

    def _for(self, what: str, sign: bool) -> bool:
        """Whether a sign has just held for `patience` epochs in a row."""
        self._counts[what] = self._counts[what] + 1 if sign else 0
        return self._counts[what] == self.patience

    def _discriminator_wins(self, logs: dict[str, Any]) -> bool:
        game = getattr(self.model, "game", None)
        probabilities = game is not None and (game.likely or not self.model._logits)
        real, fake = logs.get("d_real"), logs.get("d_fake")
        return bool(probabilities and real is not None and fake is not None and real > 0.99 and fake < 0.01)

    def _diversity_share(self) -> float | None:
        real = getattr(self.model, "_some_real", None)
        early = self.model._progress() < self.start_from_step
        if early or real is None or not hasattr(self.model, "noise") or len(real) < 16:
            return None
        classes = getattr(self.model, "num_classes", None)
        options = {} if classes is None else {"labels": np.arange(len(real)) % classes}
        spread = diversity(real)
        return diversity(self.model.generate(len(real), seed=0, **options)) / spread if spread > 0 else None
