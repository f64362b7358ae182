"""Layers that mix the images of a batch or even out their brightness, and Pipeline, which runs layers one after the other; after
keras.layers.

As in Keras, each draws a transformation for a batch (`get_random_transformation`) and carries it out on images and labels
(`transform_images`, `transform_labels`); a dict of data has them as "images" and "labels". Otherwise than in training all
of it stays.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from berrante import ops, random
from berrante.layers.images import RandomImageLayer
from berrante.layers.layer import Layer


class _Mixing(RandomImageLayer):
    """The base: a share of another image of the batch goes into each image and its label."""

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        raise NotImplementedError

    def transform_images(self, images: Any, transformation: Any = None, training: bool = True) -> Any:
        raise NotImplementedError

    def _shape(self, data: Any) -> tuple[int, ...]:
        return tuple((data["images"] if isinstance(data, dict) else data).shape)

    def _order(self, n: int, seed: Any) -> Any:
        return random.shuffle(np.arange(n, dtype=np.int32), seed=seed)

    def transform_labels(self, labels: Any, transformation: Any, training: bool = True) -> Any:
        """Labels (one-hot or numbers, [N, ...]) mixed as the images are."""
        if not training or transformation is None:
            return labels
        labels = ops.cast(labels, "float32")
        other = ops.take(labels, transformation["permutation_order"], axis=0)
        weight = ops.reshape(ops.cast(transformation["mix_weight"], "float32"), (-1, 1))
        return ops.add(ops.multiply(weight, labels), ops.multiply(ops.subtract(1.0, weight), other))

    def call(self, inputs: Any, training: bool = True) -> Any:
        drawn = self.get_random_transformation(inputs, training) if training else None
        if not isinstance(inputs, dict):
            return self.transform_images(inputs, drawn, training)
        mixed = {**inputs, "images": self.transform_images(inputs["images"], drawn, training)}
        if "labels" in inputs:
            mixed["labels"] = self.transform_labels(inputs["labels"], drawn, training)
        return mixed


def _beta(n: int, alpha: Any, seed: Any) -> Any:
    """n numbers of the symmetric beta distribution, by Johnk's method with as many tries as all but never fail."""
    tries = 32
    x, y = (ops.power(random.uniform((n, tries), 1e-7, 1.0, seed=seed), 1.0 / alpha) for _ in range(2))
    both = ops.add(x, y)
    first = ops.argmax(ops.cast(ops.less_equal(both, 1.0), "int32"), axis=1)
    at = ops.expand_dims(first, 1)
    top, bottom = (ops.squeeze(ops.take_along_axis(v, at, axis=1), 1) for v in (x, both))
    return ops.divide(top, ops.maximum(bottom, 1e-30))


class MixUp(_Mixing):
    """Each image is blended with another one of its batch (Zhang et al., 2018).

    Args:
        alpha: of the beta distribution of the share; small values leave most images nearly as they are.
    """

    fields = ("data_format", "alpha", "seed")

    def __init__(
        self, alpha: float = 0.2, data_format: str | None = None, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(data_format, **kwargs)
        if not isinstance(alpha, (int, float)) or alpha <= 0:
            raise ValueError(f"{self._label()} expected alpha above 0; received {alpha!r}")
        self.alpha = alpha
        self._set_seed(seed)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        """The other images and the share of each image itself."""
        shape, seed = self._shape(data), self.seed_generator if seed is None else seed
        n = 1 if len(shape) == 3 else shape[0]
        return {"mix_weight": _beta(n, self.alpha, seed), "permutation_order": self._order(n, seed)}

    def transform_images(self, images: Any, transformation: Any = None, training: bool = True) -> Any:
        """The images blended; one image alone becomes a batch of one."""
        images = ops.cast(ops.convert_to_tensor(images), "float32")
        if not training or transformation is None:
            return images
        images = ops.expand_dims(images, 0) if len(images.shape) == 3 else images
        weight = ops.reshape(ops.cast(transformation["mix_weight"], "float32"), (-1, 1, 1, 1))
        other = ops.take(images, transformation["permutation_order"], axis=0)
        return ops.add(ops.multiply(weight, images), ops.multiply(ops.subtract(1.0, weight), other))


class CutMix(_Mixing):
    """A rectangle of each image comes from another one of its batch (Yun et al., 2019).

    Args:
        factor: the bounds of the beta distribution's parameter, from which the rectangle's share is drawn.
    """

    fields = ("data_format", "factor", "seed")

    def __init__(
        self, factor: Any = 1.0, seed: int | None = None, data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(data_format, **kwargs)
        self.factor = self._bounds("factor", factor, 0.0, 1.0)
        self._set_seed(seed)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        """The other images, where they show, and the share of each image itself; None for one image alone."""
        shape, seed = self._shape(data), self.seed_generator if seed is None else seed
        if not training or len(shape) == 3:
            return None
        rows, columns, channels = (2, 3, 1) if self.data_format == "channels_first" else (1, 2, 3)
        n, height, width = shape[0], shape[rows], shape[columns]
        alpha = ops.add(random.uniform((), *self.factor, seed=seed), 1e-6)
        side = ops.sqrt(ops.subtract(1.0, _beta(n, alpha, seed)))
        masks, shares = [], []
        for axis, length in ((rows, height), (columns, width)):
            extent = ops.multiply(side, float(length))
            start = ops.multiply(random.uniform((n,), seed=seed), ops.subtract(float(length), extent))
            line = np.arange(length, dtype=np.float32).reshape([-1 if i == axis else 1 for i in range(4)])
            low, high = (ops.reshape(v, (n, 1, 1, 1)) for v in (start, ops.add(start, extent)))
            masks.append(ops.logical_and(ops.greater_equal(line, low), ops.less(line, high)))
            shares.append(ops.divide(extent, float(length)))
        mask = ops.repeat(ops.logical_and(*masks), shape[channels], axis=channels)
        weight = ops.reshape(ops.subtract(1.0, ops.multiply(*shares)), (n, 1, 1, 1))
        return {"permutation_order": self._order(n, seed), "batch_masks": mask, "mix_weight": weight}

    def transform_images(self, images: Any, transformation: Any = None, training: bool = True) -> Any:
        """The images with their rectangles."""
        images = ops.cast(ops.convert_to_tensor(images), "float32")
        if not training or transformation is None:
            return images
        other = ops.take(images, transformation["permutation_order"], axis=0)
        return ops.where(transformation["batch_masks"], other, images)


class Equalization(RandomImageLayer):
    """Each channel's values spread so that all brightnesses are about equally frequent in the batch.

    Args:
        value_range: the darkest and the lightest value.
        bins: brightnesses that are told apart.
    """

    fields = ("value_range", "bins", "data_format")

    def __init__(
        self, value_range: Any = (0, 255), bins: int = 256, data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(data_format, **kwargs)
        if not isinstance(value_range, (list, tuple)) or len(value_range) != 2:
            raise ValueError(
                f"{self._label()} The `value_range` argument should be a list of two numbers. Received: "
                f"value_range={value_range!r}"
            )
        self.value_range, self.bins = sorted(value_range), bins

    def transform(self, images: Any, training: bool) -> Any:
        low, high = (float(v) for v in self.value_range)
        x = ops.multiply(ops.subtract(images, low), 255.0 / (high - low))
        x = ops.stack([self._equalized(x[..., i]) for i in range(images.shape[-1])], axis=-1)
        return ops.add(ops.multiply(x, (high - low) / 255.0), low)

    def _equalized(self, channel: Any) -> Any:
        top = self.bins - 1
        place = ops.cast(ops.clip(ops.multiply(channel, top / 255.0), 0.0, float(top)), "int32")
        flat = ops.reshape(place, (-1,))
        frequency = ops.segment_sum(ops.ones(flat.shape), flat, num_segments=self.bins)
        below: Any = ops.cumsum(frequency)
        first = ops.min(ops.where(ops.greater(below, 0.0), below, float(place.size)))
        rest = ops.subtract(below[-1], first)
        table = ops.divide(ops.multiply(ops.subtract(below, first), 255.0), ops.where(ops.equal(rest, 0.0), 1.0, rest))
        spread = ops.take(ops.clip(ops.round(table), 0.0, 255.0), place, axis=0)
        several = ops.greater(ops.sum(ops.cast(ops.greater(frequency, 0.0), "float32")), 1.0)
        return ops.where(several, spread, channel)


class Pipeline(Layer):
    """Layers one after the other, such as those that augment images; a layer, not a model."""

    def __init__(self, layers: Any, name: str | None = None, **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self._pipeline_layers = list(layers)
        for layer in self._pipeline_layers:
            self._track(layer)

    @property
    def layers(self) -> list[Layer]:
        """The layers in order."""
        return self._pipeline_layers

    def _casts_integers(self) -> bool:
        return False

    def call(self, inputs: Any, training: Any = True, mask: Any = None) -> Any:
        for layer in self._pipeline_layers:
            given: dict[str, Any] = {"mask": mask} if "mask" in layer._arguments() else {}
            if "training" in layer._arguments():
                given["training"] = training
            inputs = layer(inputs, **given)
            mask = getattr(inputs, "_keras_mask", None) if not isinstance(inputs, dict) else None
        return inputs

    def get_config(self) -> dict[str, Any]:
        from berrante.saving.registry import serialize_keras_object

        return {"layers": serialize_keras_object(self._pipeline_layers), "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Pipeline:
        from berrante.saving.registry import deserialize_keras_object

        layers = config.get("layers")
        if not isinstance(layers, (list, tuple)):
            raise ValueError(
                f"`Pipeline` config must contain a `layers` key mapping to a list of serialized layers; received layers={layers}"
            )
        return cls(**{**config, "layers": [deserialize_keras_object(x) if isinstance(x, dict) else x for x in layers]})
