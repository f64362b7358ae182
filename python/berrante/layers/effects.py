"""Layers that blur, erase, shear and jitter images at random, after keras.layers; colours.py has their base."""

from __future__ import annotations

from typing import Any

import numpy as np

from berrante import ops, random
from berrante.layers.colors import RandomColor, RandomHue, RandomSaturation, each
from berrante.layers.images import RandomAffine, RandomBrightness, RandomContrast
from berrante.ops.warp import matrices


class RandomErasing(RandomColor):
    """Fills a rectangle of each image with noise or fill_value, with a probability drawn from `factor`.

    Args:
        scale: the bounds of the rectangle's share of each side, squared.
        fill_value: a number, or three for the channels; None for normal noise times the range's upper end.
    """

    fields = ("data_format", "factor", "scale", "fill_value", "value_range", "seed")

    def __init__(
        self, factor: Any = 1.0, scale: Any = (0.02, 0.33), fill_value: Any = None, value_range: Any = (0, 255),
        seed: int | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(**kwargs)
        self._set(factor, value_range, seed)
        self.scale = self._bounds("scale", scale, 0.0, 1.0)
        many = isinstance(fill_value, (list, tuple)) and len(fill_value) == 3
        if not (many or fill_value is None or isinstance(fill_value, (int, float))):
            raise ValueError(
                f"{self._label()} The `fill_value` argument should be a number or three of them; received {fill_value!r}"
            )
        self.fill_value = fill_value

    def draw(self, n: int, shape: tuple[int, ...], seed: Any) -> dict[str, Any]:
        chance = self._drawn((n,), seed)
        sides = ops.sqrt(self._drawn((n, 2), seed, self.scale))
        inside: Any = True
        for i, axis in ((0, 2), (1, 1)):
            length = ops.multiply(sides[:, i], float(shape[axis]))
            start = ops.multiply(self._drawn((n,), seed, (0.0, 1.0)), ops.subtract(float(shape[axis]), length))
            at = np.arange(shape[axis], dtype=np.float32).reshape([-1 if j == axis else 1 for j in range(4)])
            within = ops.logical_and(ops.greater_equal(at, each(start)), ops.less(at, each(ops.add(start, length))))
            inside = ops.logical_and(inside, within)
        if self.fill_value is None:
            fill = ops.multiply(random.normal(shape, seed=seed), float(self.value_range[1]))
        else:
            fill = ops.broadcast_to(np.asarray(self.fill_value, np.float32), shape)
        masks, fill = ops.broadcast_to(inside, shape), ops.clip(fill, *map(float, self.value_range))
        if self.data_format == "channels_first":  # a transformation is in the images' own layout
            masks, fill = ops.moveaxis(masks, -1, 1), ops.moveaxis(fill, -1, 1)
        chosen = ops.less(self._drawn((n,), seed, (0.0, 1.0)), chance)
        return {"apply_erasing": chosen, "batch_masks": masks, "fill_value": fill}

    def recolor(self, images: Any, apply_erasing: Any, batch_masks: Any, fill_value: Any) -> Any:
        if self.data_format == "channels_first":
            batch_masks, fill_value = ops.moveaxis(batch_masks, 1, -1), ops.moveaxis(fill_value, 1, -1)
        return ops.where(ops.logical_and(each(apply_erasing), batch_masks), fill_value, images)


class RandomGaussianBlur(RandomColor):
    """Blurs images by a normal kernel, with a probability drawn from `factor`.

    Args:
        kernel_size: its height and width in pixels, odd.
        sigma: the bounds of the deviation, which is drawn for the whole batch.
    """

    fields = ("data_format", "factor", "kernel_size", "sigma", "value_range", "seed")

    def __init__(
        self, factor: Any = 1.0, kernel_size: Any = 3, sigma: Any = 1.0, value_range: Any = (0, 255),
        seed: int | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(**kwargs)
        self._set(factor, value_range, seed)
        sizes = (kernel_size, kernel_size) if isinstance(kernel_size, (int, float)) else kernel_size
        if not isinstance(sizes, (list, tuple)) or len(sizes) != 2 or any(s % 2 == 0 for s in sizes):
            raise ValueError(f"{self._label()} kernel_size must be one or two odd numbers; received {kernel_size!r}")
        self.kernel_size = tuple(int(s) for s in sizes)
        self.sigma = self._bounds("sigma", sigma, 0.0, 1.0)

    def draw(self, n: int, shape: tuple[int, ...], seed: Any) -> dict[str, Any]:
        chance = self._drawn((n,), seed)
        return {
            "should_apply_blur": ops.less(self._drawn((n,), seed, (0.0, 1.0)), chance),
            "blur_factor": ops.add(self._drawn((2,), seed, self.sigma), 1e-6),
        }

    def recolor(self, images: Any, should_apply_blur: Any, blur_factor: Any) -> Any:
        deviations = ops.convert_to_tensor(blur_factor)
        y = ops.image.gaussian_blur(images, self.kernel_size, (deviations[0], deviations[1]), "channels_last")
        return ops.clip(ops.where(each(should_apply_blur), y, images), *map(float, self.value_range))


class RandomColorJitter(RandomColor):
    """Brightness, contrast, saturation and hue, each changed at random if its factor is given, in this order."""

    fields = (
        "data_format", "value_range", "brightness_factor", "contrast_factor", "saturation_factor", "hue_factor", "seed",
    )  # fmt: skip

    def __init__(
        self, value_range: Any = (0, 255), brightness_factor: Any = None, contrast_factor: Any = None,
        saturation_factor: Any = None, hue_factor: Any = None, seed: int | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(**kwargs)
        self._set_range(value_range)
        self.brightness_factor, self.contrast_factor = brightness_factor, contrast_factor
        self.saturation_factor, self.hue_factor = saturation_factor, hue_factor
        self._set_seed(seed)
        kinds = (
            (RandomBrightness, brightness_factor), (RandomContrast, contrast_factor),
            (RandomSaturation, saturation_factor), (RandomHue, hue_factor),
        )  # fmt: skip
        self._steps = [
            kind(factor, value_range=value_range, seed=seed, data_format=self.data_format)
            for kind, factor in kinds
            if factor is not None
        ]
        for step in self._steps:
            self._track(step)

    def call(self, inputs: Any, training: bool = True) -> Any:
        images = inputs["images"] if isinstance(inputs, dict) else inputs
        images = ops.cast(images, "float32")
        for step in self._steps:
            images = step(images, training=training)
        return {**inputs, "images": images} if isinstance(inputs, dict) else images


class RandomShear(RandomAffine):
    """Shears images along both axes by parts of their sides within the factors."""

    fields = (
        "data_format", "x_factor", "y_factor", "fill_mode", "interpolation", "seed", "fill_value",
    )  # fmt: skip

    def __init__(
        self, x_factor: Any = 0.0, y_factor: Any = 0.0, interpolation: str = "bilinear", fill_mode: str = "reflect",
        fill_value: float = 0.0, data_format: str | None = None, seed: int | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(data_format, **kwargs)
        self.x_factor = self._bounds("x_factor", x_factor, 0.0, 1.0)
        self.y_factor = self._bounds("y_factor", y_factor, 0.0, 1.0)
        self._set_reading(fill_mode, interpolation, seed, fill_value)

    def matrix(self, images: Any) -> Any:
        sign = ops.where(ops.greater(self._uniform(images, (0.0, 1.0)), 0.5), -1.0, 1.0)  # the same for both axes
        y, x = (ops.multiply(self._uniform(images, bounds), sign) for bounds in (self.y_factor, self.x_factor))
        one, zero = ops.ones_like(x), ops.zeros_like(x)
        return matrices(one, x, zero, y, one, zero)
