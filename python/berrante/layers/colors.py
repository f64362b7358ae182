"""Layers that change the colours of images at random, after keras.layers: [N, H, W, C], or one image without N.

Each draws a transformation for every image (`get_random_transformation`) and carries it out (`transform_images`); the two
may be called by hand. Other entries of a dict of data, such as labels, stay as they are. Otherwise than in training all of
it stays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from berrante import ops, random
from berrante.layers.images import RandomImageLayer
from berrante.ops.color import hsv_to_rgb, rgb_to_hsv


def moved(x: Any, before: Any, after: Any) -> Any:
    """x from one range of values to another."""
    if tuple(before) == tuple(after):
        return x
    (a, b), (c, d) = ((float(low), float(high)) for low, high in (before, after))
    return ops.add(ops.multiply(ops.subtract(x, a), (d - c) / (b - a)), c)


class RandomColor(RandomImageLayer):
    """The base: `draw(n, shape)` gives what is drawn for n images, `recolor(images, ...)` uses it on [N, H, W, C]."""

    fields: tuple[str, ...] = ("data_format", "factor", "value_range", "seed")
    factor: Any
    recolor: Callable[..., Any]

    def _set(self, factor: Any, value_range: Any, seed: int | None, low: float = 0.0, high: float = 1.0) -> None:
        self.factor = self._bounds("factor", factor, low, high)
        self._set_range(value_range)
        self._set_seed(seed)

    def _set_range(self, value_range: Any) -> None:
        if not isinstance(value_range, (list, tuple)) or len(value_range) != 2:
            raise ValueError(
                f"{self._label()} The `value_range` argument should be a list of two numbers; received {value_range!r}"
            )
        self.value_range = tuple(sorted(value_range))

    def draw(self, n: int, shape: tuple[int, ...], seed: Any) -> dict[str, Any]:
        """What is drawn for n images of a shape [N, H, W, C]."""
        return {"factor": self._drawn((n,), seed)}

    def _drawn(self, shape: tuple[int, ...], seed: Any, bounds: Any = None) -> Any:
        low, high = bounds or self.factor
        return random.uniform(shape, float(low), float(high), seed=seed)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        """What transform_images takes: drawn for each image; None otherwise than in training."""
        if not training:
            return None
        images = data["images"] if isinstance(data, dict) else data
        shape = tuple(images.shape)
        if len(shape) not in (3, 4):
            raise ValueError(f"{self._label()} Expected the input image to be rank 3 or 4; received shape {shape}")
        shape = shape if len(shape) == 4 else (1, *shape)
        if self.data_format == "channels_first":
            shape = (shape[0], shape[2], shape[3], shape[1])
        return self.draw(shape[0], shape, self.seed_generator if seed is None else seed)

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        """The images changed as a transformation says."""
        self._transformation = transformation
        images = ops.cast(ops.convert_to_tensor(images), "float32")
        return self._apply(images, True) if training and transformation is not None else images

    def transform(self, images: Any, training: bool) -> Any:
        return self.recolor(images, **self._transformation)

    def transform_labels(self, labels: Any, transformation: Any, training: bool = True) -> Any:
        """The labels as they are."""
        return labels

    transform_bounding_boxes = transform_segmentation_masks = transform_labels

    def call(self, inputs: Any, training: bool = True) -> Any:
        drawn = self.get_random_transformation(inputs, training)
        if not isinstance(inputs, dict):
            return self.transform_images(inputs, drawn, training)
        return {**inputs, "images": self.transform_images(inputs["images"], drawn, training)}


def each(factor: Any, rank: int = 4) -> Any:
    """One number an image, so that it broadcasts over images of a rank."""
    factor = ops.convert_to_tensor(factor)
    return ops.reshape(factor, (factor.shape[0], *(1,) * (rank - 1)))


class RandomHue(RandomColor):
    """Turns hues by up to half of `factor` of the circle, either way."""

    def __init__(self, factor: Any, value_range: Any = (0, 255), seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._set(factor, value_range, seed)

    def _bounds(self, name: str, factor: Any, low: float, high: float, symmetric: bool = True) -> Any:
        return super()._bounds(name, factor, low, high, False)

    def draw(self, n: int, shape: tuple[int, ...], seed: Any) -> dict[str, Any]:
        sign = ops.where(ops.greater(self._drawn((n,), seed, (0.0, 1.0)), 0.5), -0.5, 0.5)
        return {"factor": ops.multiply(sign, self._drawn((n,), seed))}

    def recolor(self, images: Any, factor: Any) -> Any:
        hsv: Any = rgb_to_hsv(moved(images, self.value_range, (0, 1)), "channels_last")
        hue = ops.add(hsv[..., 0], each(factor, 3))
        hue = ops.where(ops.greater(hue, 1.0), ops.subtract(hue, 1.0), hue)
        hue = ops.where(ops.less(hue, 0.0), ops.add(hue, 1.0), hue)
        rgb = hsv_to_rgb(ops.stack([hue, hsv[..., 1], hsv[..., 2]], -1), "channels_last")
        return moved(ops.clip(rgb, 0.0, 1.0), (0, 1), self.value_range)


class RandomSaturation(RandomColor):
    """Multiplies saturation by f / (1 - f): a factor f of 0 makes images grey, 0.5 leaves them, 1 saturates them fully."""

    def __init__(self, factor: Any, value_range: Any = (0, 255), seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._set(factor, value_range, seed, -1.0)  # as Keras: a number means either way

    def draw(self, n: int, shape: tuple[int, ...], seed: Any) -> dict[str, Any]:
        f = self._drawn((n,), seed)
        return {"factor": ops.divide(f, ops.add(ops.subtract(1.0, f), 1e-7))}

    def recolor(self, images: Any, factor: Any) -> Any:
        hsv: Any = rgb_to_hsv(images, "channels_last")
        low, high = map(float, self.value_range)
        saturation = ops.clip(ops.multiply(hsv[..., 1], each(factor, 3)), low, high)
        return hsv_to_rgb(ops.stack([hsv[..., 0], saturation, hsv[..., 2]], -1), "channels_last")


class RandomInvert(RandomColor):
    """Negatives, with a probability drawn from `factor`."""

    def __init__(
        self, factor: Any = 1.0, value_range: Any = (0, 255), seed: int | None = None, **kwargs: Any
    ) -> None:  # fmt: skip
        super().__init__(**kwargs)
        self._set(factor, value_range, seed)

    def draw(self, n: int, shape: tuple[int, ...], seed: Any) -> dict[str, Any]:
        chance = self._drawn((n,), seed)
        return {"apply_inversion": ops.less(self._drawn((n,), seed, (0.0, 1.0)), chance)}

    def recolor(self, images: Any, apply_inversion: Any) -> Any:
        return ops.where(each(apply_inversion), ops.subtract(float(self.value_range[1]), images), images)


class RandomGrayscale(RandomColor):
    """Grey images, each with probability `factor`; the number of channels stays."""

    fields = ("data_format", "factor", "seed")

    def __init__(self, factor: float = 0.5, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(factor, (int, float)) or not 0 <= factor <= 1:
            raise ValueError(f"{self._label()} `factor` should be between 0 and 1; received {factor!r}")
        self.factor = factor
        self._set_seed(seed)

    def draw(self, n: int, shape: tuple[int, ...], seed: Any) -> dict[str, Any]:
        chosen = ops.less(self._drawn((n,), seed, (0.0, 1.0)), float(self.factor))
        return {"should_apply": ops.reshape(chosen, (n, 1, 1, 1))}

    def recolor(self, images: Any, should_apply: Any) -> Any:
        return ops.where(should_apply, ops.image.rgb_to_grayscale(images, "channels_last"), images)


class RandomColorDegeneration(RandomColor):
    """Moves colours towards grey by a part drawn from `factor`."""

    def __init__(self, factor: Any, value_range: Any = (0, 255), seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._set(factor, value_range, seed, -1.0)  # as Keras: a number means either way

    def draw(self, n: int, shape: tuple[int, ...], seed: Any) -> dict[str, Any]:
        return {"factor": self._drawn((n, 1, 1, 1), seed)}

    def recolor(self, images: Any, factor: Any) -> Any:
        grey = ops.image.rgb_to_grayscale(images, "channels_last")
        y = ops.add(images, ops.multiply(factor, ops.subtract(grey, images)))
        return ops.clip(y, *map(float, self.value_range))


class RandomPosterization(RandomColor):
    """Keeps the upper bits of 8: as many as drawn from `factor`, from 1 to 8."""

    def __init__(self, factor: Any, value_range: Any = (0, 255), seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._set(factor, value_range, seed, 1, 8)
        self.factor = tuple(int(f) for f in self.factor)

    def draw(self, n: int, shape: tuple[int, ...], seed: Any) -> dict[str, Any]:
        low, high = self.factor
        bits = random.randint((n,), low, high, seed=seed) if low < high else ops.full((n,), low, "int32")
        return {"shift_factor": ops.subtract(8, bits)}

    def recolor(self, images: Any, shift_factor: Any) -> Any:
        x, shift = ops.cast(moved(images, self.value_range, (0, 255)), "int32"), each(ops.cast(shift_factor, "int32"))
        x = ops.bitwise_left_shift(ops.bitwise_right_shift(x, shift), shift)
        return moved(ops.cast(x, "float32"), (0, 255), self.value_range)


class RandomSharpness(RandomColor):
    """Blurs (factor below 0.5) or sharpens (above) by a 3x3 window."""

    def __init__(self, factor: Any, value_range: Any = (0, 255), seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._set(factor, value_range, seed)

    def recolor(self, images: Any, factor: Any) -> Any:
        window = np.full((3, 3, 1, 1), 1.0 / 13.0, np.float32)
        window[1, 1] = 5.0 / 13.0
        smooth = ops.depthwise_conv(images, np.repeat(window, images.shape[-1], 2), 1, "same")
        part = ops.subtract(1.0, ops.multiply(each(factor), 2.0))
        y = ops.add(images, ops.multiply(part, ops.subtract(smooth, images)))
        return ops.clip(y, *map(float, self.value_range))


class Solarization(RandomColor):
    """Adds to all pixels, then turns those at or above a threshold into their negatives."""

    fields = ("data_format", "value_range", "addition_factor", "threshold_factor", "seed")

    def __init__(
        self, addition_factor: Any = 0.0, threshold_factor: Any = 0.0, value_range: Any = (0, 255),
        seed: int | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(**kwargs)
        self.addition_factor = self._bounds("addition_factor", addition_factor, 0.0, 1.0, False)
        self.threshold_factor = self._bounds("threshold_factor", threshold_factor, 0.0, 1.0, False)
        self._set_range(value_range)
        self._set_seed(seed)

    def draw(self, n: int, shape: tuple[int, ...], seed: Any) -> dict[str, Any]:
        drawn = {}
        for name, (low, high) in (("additions", self.addition_factor), ("thresholds", self.threshold_factor)):
            drawn[name] = self._drawn((n, 1, 1, 1), seed, (low, high * 255.0))  # as Keras: low is not scaled
        return drawn

    def recolor(self, images: Any, additions: Any, thresholds: Any) -> Any:
        x = ops.clip(ops.add(moved(images, self.value_range, (0, 255)), additions), 0.0, 255.0)
        x = ops.where(ops.less(x, thresholds), x, ops.subtract(255.0, x))
        return moved(x, (0, 255), self.value_range)


class AutoContrast(RandomColor):
    """Spreads each channel of each image over the whole range; a channel of one value stays."""

    fields = ("data_format", "value_range")

    def __init__(self, value_range: Any = (0, 255), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._set_range(value_range)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        """Nothing is random."""
        return {} if training else None

    def transform_images(self, images: Any, transformation: Any = None, training: bool = True) -> Any:
        return super().transform_images(images, {}, True)  # also otherwise than in training

    def recolor(self, images: Any) -> Any:
        x = moved(images, self.value_range, (0, 255))
        low, high = (f(x, (1, 2), keepdims=True) for f in (ops.min, ops.max))
        flat = ops.equal(low, high)
        y = ops.multiply(ops.subtract(x, low), ops.divide(255.0, ops.where(flat, 1.0, ops.subtract(high, low))))
        return ops.where(flat, images, moved(ops.clip(y, 0.0, 255.0), (0, 255), self.value_range))
