"""Adversarial networks from image to image: Pix2Pix (Isola et al., 2017), super-resolution (Ledig et al., 2017) and
inpainting (Pathak et al., 2016)."""

from __future__ import annotations

from typing import Any

import numpy as np

from berrante import losses, ops, random
from berrante.data import unpack
from berrante.models.generative.adversarial import Adversarial, Batch


class Pix2Pix(Adversarial):
    """Translates images: `fit(x, y)` on pairs, then `translate(x)` (or predict).

    Args:
        generator: from x to y. discriminator: judges [x, y]; with one input, x and y as channels side by side. A map of
            scores (PatchGAN) is as good as one score.
        l1_weight: the weight of the distance to y.
        adversarial_weight: the weight of the adversarial term; 0 leaves it out.
        reconstruction: the distance, "mae" by default; any Keras loss.

    Logs, beside those of a GAN: reconstruction_loss.
    """

    settings: tuple[str, ...] = ("l1_weight", "adversarial_weight", "reconstruction", "ema")

    def __init__(
        self, generator: Any, discriminator: Any, l1_weight: float = 100.0, adversarial_weight: float = 1.0,
        reconstruction: Any = "mae", ema: float | None = None, name: str | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(name=name, **kwargs)
        self._setup_pair(generator, discriminator, ema)
        self._set_weights(l1_weight=l1_weight, adversarial_weight=adversarial_weight)
        self.reconstruction = reconstruction
        object.__setattr__(self, "_distance", losses.get(reconstruction))

    def _set_weights(self, **weights: float) -> None:
        for name, value in weights.items():
            if value < 0:
                raise ValueError(f"{self._label()} {name}: expected a weight of at least 0; received {value}")
            object.__setattr__(self, name, float(value))
        object.__setattr__(self, "_adversarial_weight", weights["adversarial_weight"])

    l1_weight: float
    _distance: Any
    _made: Any
    adversarial_weight: float

    def _term_names(self) -> list[str]:
        return ["reconstruction_loss"]

    def _batch(self, data: Any) -> Batch:
        x, y, _ = unpack(data)
        if y is None:
            raise ValueError(f"{self._label()} y: expected target images, one for each of x; received None: fit(x, y)")
        return Batch(x, y, x, x.shape[0])

    def _generate(self, batch: Batch, training: bool) -> Any:
        fake = super()._generate(batch, training)
        if tuple(fake.shape) != tuple(batch.real.shape):
            raise ValueError(
                f"{self._label()} generator: expected images of the targets' shape {tuple(batch.real.shape)}; "
                f"received {tuple(fake.shape)}"
            )
        return fake

    def _judge(self, samples: Any, batch: Batch, training: bool) -> Any:
        pair: Any = [batch.condition, samples]
        if len(getattr(self.discriminator, "inputs", [])) != 2:
            pair = ops.concatenate(pair, axis=-1)
        return self.discriminator(pair, training=training)

    def _terms(self, batch: Batch, fake: Any) -> dict[str, tuple[float, Any]]:
        return {"reconstruction_loss": (self.l1_weight, ops.mean(self._distance(batch.real, fake)))}

    def _real_of(self, data: Any) -> tuple[str, Any]:
        return "y", data.data[1]

    def translate(self, x: Any, batch_size: int = 32) -> np.ndarray:
        """The images made of x."""
        images: np.ndarray = self._batched(
            "translate", lambda a: self.best_generator(a, training=False), [x], batch_size
        )
        return images


class SRGAN(Pix2Pix):
    """Enlarges images by `scale`: `fit(high)`, or `fit(low, high)`; then `upscale(low)`.

    Args:
        generator: from low [N, h, w, C] to high [N, h * scale, w * scale, C]. discriminator: judges high images.
        feature_extractor: a model whose features of both images are compared; without one, the images are.
        content_weight, adversarial_weight: those of the two terms (Ledig et al.: 1 and 0.001).

    Where only high images are given, low ones are averages over scale x scale pixels.
    """

    parts: tuple[str, ...] = ("generator", "discriminator", "feature_extractor")
    settings = ("scale", "content_weight", "adversarial_weight", "reconstruction", "ema")

    def __init__(
        self, generator: Any, discriminator: Any, scale: int = 4, feature_extractor: Any = None,
        content_weight: float = 1.0, adversarial_weight: float = 1e-3, reconstruction: Any = "mse",
        ema: float | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        if int(scale) != scale or scale < 2:
            raise ValueError(f"SRGAN: expected scale to be a whole number of at least 2; received {scale!r}")
        self.feature_extractor: Any = None
        super().__init__(
            generator,
            discriminator,
            content_weight,
            adversarial_weight,
            reconstruction=reconstruction,
            ema=ema,
            **kwargs,
        )
        self._add_part("feature_extractor", feature_extractor, optional=True)
        self.scale, self.content_weight = int(scale), float(content_weight)

    def _batch(self, data: Any) -> Batch:
        x, y, _ = unpack(data)
        if y is None:
            high, low = x, ops.average_pool(x, self.scale, self.scale)
        else:
            low, high = x, y
        if tuple(high.shape[1:3]) != tuple(n * self.scale for n in low.shape[1:3]):
            raise ValueError(
                f"{self._label()} expected images {self.scale} times as large as {tuple(low.shape[1:3])}; received "
                f"{tuple(high.shape[1:3])}"
            )
        return Batch(low, high, None, low.shape[0])

    def _judge(self, samples: Any, batch: Batch, training: bool) -> Any:
        return self.discriminator(samples, training=training)

    def _terms(self, batch: Batch, fake: Any) -> dict[str, tuple[float, Any]]:
        terms = super()._terms(batch, fake)
        if self.feature_extractor is None:
            return terms
        a, b = (self.feature_extractor(x, training=False) for x in (batch.real, fake))
        return {"reconstruction_loss": (self.l1_weight, ops.mean(ops.square(ops.subtract(a, b))))}

    def _real_of(self, data: Any) -> tuple[str, Any]:
        return ("x", data.data[0]) if data.data[1] is None else ("y", data.data[1])

    def upscale(self, x: Any, batch_size: int = 32, ensemble: bool = False) -> np.ndarray:
        """Images `scale` times as large. ensemble: the mean over an image's views, mirrored and (of squares) turned, each
        turned back (Lim et al., 2017): eight times the work, nearer to the truth where training saw such views too."""
        if not ensemble:
            return self.translate(x, batch_size)
        x = np.asarray(x)
        made: list[np.ndarray] = []
        for turns in range(4) if x.shape[1] == x.shape[2] else (0, 2):
            for mirror in (1, -1):
                view = np.rot90(x, turns, (1, 2))[:, :, ::mirror]
                large = self.translate(np.ascontiguousarray(view), batch_size)
                made.append(np.rot90(large[:, :, ::mirror], -turns, (1, 2)))
        return np.mean(made, axis=0)  # type: ignore[no-any-return]


class Inpainter(Pix2Pix):
    """Fills holes: `fit(x)` on whole images (holes are drawn at random), then `inpaint(x, mask)`.

    Args:
        generator: from the image with holes at 0 and the mask as one more channel [N, H, W, C + 1] to an image.
        discriminator: judges whole images.
        l1_weight, adversarial_weight: of the mean absolute error inside the hole (that outside counts a tenth) and of
            the adversarial term.
        hole: the smallest and largest extent of the rectangular holes, as fractions of the image's.
    """

    settings = ("l1_weight", "adversarial_weight", "hole", "ema")

    def __init__(
        self, generator: Any, discriminator: Any, l1_weight: float = 100.0, adversarial_weight: float = 1.0,
        hole: Any = (0.25, 0.5), ema: float | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(generator, discriminator, l1_weight, adversarial_weight, ema=ema, **kwargs)
        self.hole = [float(h) for h in hole]
        if len(self.hole) != 2 or not 0 < self.hole[0] <= self.hole[1] <= 1:
            raise ValueError(f"{self._label()} hole: expected two fractions in order, up to 1; received {hole}")

    def _random_masks(self, shape: tuple[int, ...]) -> Any:
        """1 inside a rectangle of random place and size, [N, H, W, 1]."""
        n, h, w = shape[:3]
        u: Any = random.uniform((n, 4, 1), seed=self.seed_generator)

        def inside(size: int, extent: Any, place: Any) -> Any:
            length = ops.multiply(ops.add(ops.multiply(extent, self.hole[1] - self.hole[0]), self.hole[0]), float(size))
            start = ops.multiply(place, ops.subtract(float(size), length))
            at = ops.add(ops.reshape(ops.arange(size, dtype="float32"), (1, size)), 0.5)
            within = ops.logical_and(ops.greater(at, start), ops.less(at, ops.add(start, length)))
            return ops.cast(within, "float32")

        rows = ops.reshape(inside(h, u[:, 0], u[:, 1]), (n, h, 1, 1))
        return ops.multiply(rows, ops.reshape(inside(w, u[:, 2], u[:, 3]), (n, 1, w, 1)))

    def _with_hole(self, x: Any, mask: Any) -> Any:
        return ops.concatenate([ops.multiply(x, ops.subtract(1.0, mask)), mask], axis=-1)

    def _compose(self, x: Any, mask: Any, made: Any) -> Any:
        return ops.add(ops.multiply(x, ops.subtract(1.0, mask)), ops.multiply(made, mask))

    def _batch(self, data: Any) -> Batch:
        x, y, _ = unpack(data)
        if y is not None:
            raise ValueError(f"{self._label()} y: expected None, whole images are their own targets; received targets")
        mask = self._random_masks(tuple(x.shape))
        return Batch(self._with_hole(x, mask), x, mask, x.shape[0])

    def _generate(self, batch: Batch, training: bool) -> Any:
        object.__setattr__(self, "_made", self.generator(batch.inputs, training=training))
        return self._compose(batch.real, batch.condition, self._made)

    def _judge(self, samples: Any, batch: Batch, training: bool) -> Any:
        return self.discriminator(samples, training=training)

    def _terms(self, batch: Batch, fake: Any) -> dict[str, tuple[float, Any]]:
        made, mask = self._made, batch.condition
        axes = list(range(1, len(mask.shape)))

        error = ops.mean(ops.absolute(ops.subtract(batch.real, made)), axis=-1, keepdims=True)

        def masked(weights: Any) -> Any:
            area = ops.maximum(ops.sum(weights, axis=axes), 1.0)
            return ops.mean(ops.divide(ops.sum(ops.multiply(error, weights), axis=axes), area))

        outside = masked(ops.subtract(1.0, mask))
        return {"reconstruction_loss": (self.l1_weight, ops.add(masked(mask), ops.multiply(outside, 0.1)))}

    def _real_of(self, data: Any) -> tuple[str, Any]:
        return "x", data.data[0]

    def inpaint(self, x: Any, mask: Any, batch_size: int = 32) -> np.ndarray:
        """x [N, H, W, C] with what lies under the mask (true where it is missing) made new."""
        x = np.asarray(x, np.float32)
        mask = np.asarray(mask)
        mask = mask[..., None] if mask.ndim == x.ndim - 1 else mask
        if mask.shape != (*x.shape[:-1], 1):
            raise ValueError(f"{self._label()} mask: expected shape {x.shape[:-1]}; received {np.shape(mask)}")

        def fill(a: Any, m: Any) -> Any:
            return self._compose(a, m, self.best_generator(self._with_hole(a, m), training=False))

        images: np.ndarray = self._batched("inpaint", fill, [x, (mask != 0).astype(np.float32)], batch_size)
        return images
