"""Layers that resize, crop and randomly change images, after keras.layers: [N, H, W, C], or one image without N.

The random ones work in training (which is their default when they are called on their own) and pass images on otherwise.
Each image of a batch gets its own draw, RandomCrop's window excepted.
"""

from __future__ import annotations

import math
from typing import Any

from berrante import ops, random
from berrante.layers.convolution import image_data_format
from berrante.layers.layer import Layer
from berrante.ops.image import resize
from berrante.ops.warp import FILL_MODES, affine_transform, matrices


class ImageLayer(Layer):
    """Hands `transform` a batch [N, H, W, C] and gives its result in the input's own layout."""

    fields: tuple[str, ...] = ("data_format",)

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = image_data_format(data_format)

    def transform(self, images: Any, training: bool) -> Any:
        raise NotImplementedError

    def _apply(self, inputs: Any, training: bool) -> Any:
        rank = len(inputs.shape)
        if rank not in (3, 4):
            raise ValueError(f"Expected the input image to be rank 3 or 4. Received shape {tuple(inputs.shape)}")
        x = ops.expand_dims(inputs, 0) if rank == 3 else inputs
        x = ops.moveaxis(x, 1, -1) if self.data_format == "channels_first" else x
        y = self.transform(x, training)
        y = ops.moveaxis(y, -1, 1) if self.data_format == "channels_first" else y
        return ops.squeeze(y, 0) if rank == 3 else y

    def call(self, inputs: Any) -> Any:
        return self._apply(inputs, False)


class Resizing(ImageLayer):
    """Images at another size; bytes stay bytes."""

    fields = (
        "data_format", "height", "width", "interpolation", "crop_to_aspect_ratio", "pad_to_aspect_ratio", "fill_mode",
        "fill_value", "antialias",
    )  # fmt: skip

    def __init__(
        self, height: int, width: int, interpolation: str = "bilinear", crop_to_aspect_ratio: bool = False,
        pad_to_aspect_ratio: bool = False, fill_mode: str = "constant", fill_value: float = 0.0,
        antialias: bool = False, data_format: str | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(data_format, **kwargs)
        self.height, self.width, self.interpolation = height, width, interpolation
        self.crop_to_aspect_ratio, self.pad_to_aspect_ratio = crop_to_aspect_ratio, pad_to_aspect_ratio
        self.fill_mode, self.fill_value, self.antialias = fill_mode, fill_value, bool(antialias)

    def _casts_integers(self) -> bool:
        return False

    def transform(self, images: Any, training: bool) -> Any:
        y = resize(
            images, (self.height, self.width), self.interpolation, self.antialias, self.crop_to_aspect_ratio,
            self.pad_to_aspect_ratio, self.fill_mode, self.fill_value,
        )  # fmt: skip
        return y if images.dtype == y.dtype else ops.saturate_cast(ops.round(y), images.dtype)


class CenterCrop(ImageLayer):
    """The middle of images; smaller images are enlarged, as much of them as has the target's proportions."""

    fields = ("data_format", "height", "width")

    def __init__(self, height: int, width: int, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(data_format, **kwargs)
        self.height, self.width = height, width

    def transform(self, images: Any, training: bool) -> Any:
        images = ops.cast(images, "float32")
        n, h, w, c = images.shape
        if h >= self.height and w >= self.width:
            start = (0, (h - self.height) // 2, (w - self.width) // 2, 0)
            return ops.slice(images, start, (n, self.height, self.width, c))
        return resize(images, (self.height, self.width), crop_to_aspect_ratio=True)


# --- random ---------------------------------------------------------------------------------------------------------


class RandomImageLayer(ImageLayer):
    """Draws from a seed generator of its own."""

    def _set_seed(self, seed: int | None) -> None:
        self.seed = seed
        self.seed_generator = random.SeedGenerator(seed)

    def call(self, inputs: Any, training: bool = True) -> Any:
        inputs = ops.cast(inputs, "float32")  # whole numbers too, as in Keras
        return self._apply(inputs, True) if training else inputs

    def _uniform(self, images: Any, bounds: tuple[float, float], shape: Any = None) -> Any:
        """One number an image in [low, high), as [N] or another shape."""
        return random.uniform(shape or (images.shape[0],), *bounds, seed=self.seed_generator)

    def _bounds(self, name: str, factor: Any, low: float, high: float, symmetric: bool = True) -> tuple[float, float]:
        """(lower, upper) of a factor: a number means plus or minus, as far as low allows."""
        if isinstance(factor, (list, tuple)) and len(factor) == 2 and all(low <= f <= high for f in factor):
            a, b = sorted(factor)
            return a, b
        if isinstance(factor, (int, float)) and not isinstance(factor, bool) and low <= factor <= high:
            return (max(-abs(factor), low) if symmetric else low), abs(factor)
        raise ValueError(
            f"{self._label()} The `{name}` argument should be a number (or a list of two numbers) in the range "
            f"[{low}, {high}]. Received: {name}={factor!r}"
        )


class RandomFlip(RandomImageLayer):
    """Half of the images mirrored: horizontal, vertical, or both at once with horizontal_and_vertical."""

    fields = ("data_format", "seed", "mode")
    _axes = {"horizontal": (2,), "vertical": (1,), "horizontal_and_vertical": (1, 2)}

    def __init__(
        self, mode: str = "horizontal_and_vertical", seed: int | None = None, data_format: str | None = None,
        **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(data_format, **kwargs)
        if mode not in self._axes:
            raise ValueError(f"{self._label()} expected mode {', '.join(self._axes)}; received {mode!r}")
        self.mode = mode
        self._set_seed(seed)

    def transform(self, images: Any, training: bool) -> Any:
        chosen = ops.less_equal(self._uniform(images, (0.0, 1.0), (images.shape[0], 1, 1, 1)), 0.5)
        return ops.where(chosen, ops.flip(images, self._axes[self.mode]), images)


class RandomAffine(RandomImageLayer):
    """Moves, turns or zooms images by a matrix each."""

    def _set_reading(self, fill_mode: str, interpolation: str, seed: int | None, fill_value: float) -> None:
        if fill_mode not in FILL_MODES:
            raise ValueError(f"{self._label()} expected fill_mode {', '.join(FILL_MODES)}; received {fill_mode!r}")
        if interpolation not in ("nearest", "bilinear"):
            raise ValueError(f"{self._label()} expected interpolation nearest or bilinear; received {interpolation!r}")
        self.fill_mode, self.interpolation, self.fill_value = fill_mode, interpolation, fill_value
        self._set_seed(seed)

    def matrix(self, images: Any) -> Any:
        """The transforms [N, 8]: where each output is read from."""
        raise NotImplementedError

    def transform(self, images: Any, training: bool) -> Any:
        return affine_transform(images, self.matrix(images), self.interpolation, self.fill_mode, self.fill_value)


class RandomRotation(RandomAffine):
    """Turns images about their middle by a part of a full turn within `factor`."""

    fields = ("data_format", "factor", "fill_mode", "fill_value", "interpolation", "seed")

    def __init__(
        self, factor: Any, fill_mode: str = "reflect", interpolation: str = "bilinear", seed: int | None = None,
        fill_value: float = 0.0, data_format: str | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(data_format, **kwargs)
        self.factor = self._bounds("factor", factor, -1.0, 1.0)
        self._set_reading(fill_mode, interpolation, seed, fill_value)

    def matrix(self, images: Any) -> Any:
        low, high = self.factor
        angle = self._uniform(images, (low * 2.0 * math.pi, high * 2.0 * math.pi))
        cos, sin = ops.cos(angle), ops.sin(angle)
        y, x = ((n - 1) / 2.0 for n in images.shape[1:3])
        shift_x = ops.add(ops.subtract(x, ops.multiply(cos, x)), ops.multiply(sin, y))
        shift_y = ops.subtract(ops.subtract(y, ops.multiply(sin, x)), ops.multiply(cos, y))
        return matrices(cos, ops.negative(sin), shift_x, sin, cos, shift_y)


class RandomTranslation(RandomAffine):
    """Moves images down and right by parts of their height and width."""

    fields = (
        "data_format", "height_factor", "width_factor", "fill_mode", "interpolation", "seed", "fill_value",
    )  # fmt: skip

    def __init__(
        self, height_factor: Any, width_factor: Any, fill_mode: str = "reflect", interpolation: str = "bilinear",
        seed: int | None = None, fill_value: float = 0.0, data_format: str | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(data_format, **kwargs)
        self.height_factor, self.width_factor = height_factor, width_factor
        self._height = self._bounds("height_factor", height_factor, -1.0, 1.0)
        self._width = self._bounds("width_factor", width_factor, -1.0, 1.0)
        self._set_reading(fill_mode, interpolation, seed, fill_value)

    def matrix(self, images: Any) -> Any:
        down = ops.multiply(self._uniform(images, self._height), float(images.shape[1]))
        right = ops.multiply(self._uniform(images, self._width), float(images.shape[2]))
        one, zero = ops.ones_like(down), ops.zeros_like(down)
        return matrices(one, zero, ops.negative(right), zero, one, ops.negative(down))


class RandomZoom(RandomAffine):
    """Zooms images out (above 0) or in (below 0); without width_factor in proportion."""

    fields = RandomTranslation.fields

    def __init__(
        self, height_factor: Any, width_factor: Any = None, fill_mode: str = "reflect",
        interpolation: str = "bilinear", seed: int | None = None, fill_value: float = 0.0,
        data_format: str | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(data_format, **kwargs)
        self.height_factor, self.width_factor = height_factor, width_factor
        low = math.nextafter(-1.0, 0.0)
        self._height = self._bounds("height_factor", height_factor, low, 1.0)
        self._width = None if width_factor is None else self._bounds("width_factor", width_factor, low, 1.0)
        self._set_reading(fill_mode, interpolation, seed, fill_value)

    def matrix(self, images: Any) -> Any:
        tall = self._uniform(images, (1.0 + self._height[0], 1.0 + self._height[1]))
        wide = tall if self._width is None else self._uniform(images, (1.0 + self._width[0], 1.0 + self._width[1]))
        y, x = ((n - 1) / 2.0 for n in images.shape[1:3])
        zero = ops.zeros_like(tall)
        shift_x, shift_y = (ops.multiply(ops.subtract(1.0, z), c) for z, c in ((wide, x), (tall, y)))
        return matrices(wide, zero, shift_x, zero, tall, shift_y)


class RandomContrast(RandomImageLayer):
    """Spreads each channel about its mean by a factor from 1 - lower to 1 + upper, within value_range."""

    fields = ("data_format", "factor", "value_range", "seed")

    def __init__(self, factor: Any, value_range: Any = (0, 255), seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factor = self._bounds("factor", factor, 0.0, 1.0)
        self.value_range = value_range
        self._set_seed(seed)

    def transform(self, images: Any, training: bool) -> Any:
        bounds = (1.0 - self.factor[0], 1.0 + self.factor[1])
        spread = self._uniform(images, bounds, (images.shape[0], 1, 1, 1))
        mean = ops.mean(images, (1, 2), keepdims=True)
        return ops.clip(ops.add(ops.multiply(ops.subtract(images, mean), spread), mean), *map(float, self.value_range))


class RandomBrightness(RandomImageLayer):
    """Adds a part of value_range, within `factor`, to all of an image; what leaves the range is cut off."""

    fields = ("data_format", "factor", "value_range", "seed")

    def __init__(self, factor: Any, value_range: Any = (0, 255), seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factor = self._bounds("factor", factor, -1.0, 1.0)
        if not isinstance(value_range, (list, tuple)) or len(value_range) != 2:
            raise ValueError(
                f"{self._label()} The `value_range` argument should be a list of two numbers. Received: {value_range!r}"
            )
        self.value_range = sorted(value_range)
        self._set_seed(seed)

    def transform(self, images: Any, training: bool) -> Any:
        low, high = (float(v) for v in self.value_range)
        delta = ops.multiply(self._uniform(images, self.factor, (images.shape[0], 1, 1, 1)), high - low)
        return ops.clip(ops.add(images, delta), low, high)


class RandomCrop(RandomImageLayer):
    """A window of images at a random place, the same for the whole batch.

    Otherwise than in training, and for images that are too small, the middle part of the target's proportions, resized:
    the output always has the size asked for (Keras 3 leaves images whole at inference).
    """

    fields = ("data_format", "height", "width", "seed")

    def __init__(
        self, height: int, width: int, seed: int | None = None, data_format: str | None = None,
        name: str | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(data_format, name=name, **kwargs)
        self.height, self.width = height, width
        self._set_seed(seed)

    def call(self, inputs: Any, training: bool = True) -> Any:
        return self._apply(inputs, training)

    def transform(self, images: Any, training: bool) -> Any:
        spare = [n - m for n, m in zip(images.shape[1:3], (self.height, self.width), strict=True)]
        if not training or min(spare) <= 0:
            return resize(images, (self.height, self.width), crop_to_aspect_ratio=True)
        for axis, (extra, size) in enumerate(zip(spare, (self.height, self.width), strict=True), 1):
            start = ops.cast(random.uniform((), 0.0, float(extra + 1), seed=self.seed_generator), "int32")
            images = ops.take(images, ops.add(ops.arange(size), ops.minimum(start, extra)), axis)
        return images
