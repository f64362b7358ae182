"""Segmentation: U-Net (Ronneberger et al., 2015) and SegNet (Badrinarayanan et al., 2015)."""

from __future__ import annotations

from typing import Any

from berrante import layers
from berrante.models import Model
from berrante.models.generative import MaxUnpooling2D


def _check(what: str, input_shape: Any, depth: int) -> tuple[int, int, int]:
    h, w, c = input_shape
    if depth < 1 or h % 2**depth or w % 2**depth:
        raise ValueError(f"{what}: expected height and width divisible by 2 ** depth = {2**depth}; received {h} x {w}")
    return h, w, c


def _block(x: Any, filters: int, count: int = 2) -> Any:
    for _ in range(count):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    return x


def _head(x: Any, classes: int) -> Any:
    return layers.Conv2D(classes, 1, activation="sigmoid" if classes == 1 else "softmax")(x)


def unet(
    input_shape: Any, classes: int = 1, filters: int = 16, depth: int = 3, dropout: float = 0.0, name: str = "unet"
) -> Any:
    """U-Net: maps of the way down are joined to those of the way up. classes=1 ends in a sigmoid, more in a softmax.

    filters: at full size; each of `depth` halvings doubles them.
    """
    x = image = layers.Input(_check("unet", input_shape, depth))
    skips = []
    for i in range(depth):
        x = _block(x, filters * 2**i)
        skips.append(x)
        x = layers.MaxPooling2D()(x)
    x = _block(x, filters * 2**depth)
    x = layers.Dropout(dropout)(x) if dropout else x
    for i in reversed(range(depth)):
        x = layers.Conv2DTranspose(filters * 2**i, 2, 2)(x)
        x = _block(layers.Concatenate()([x, skips[i]]), filters * 2**i)
    return Model(image, _head(x, classes), name=name)


def segnet(input_shape: Any, classes: int = 1, filters: int = 16, depth: int = 3, name: str = "segnet") -> Any:
    """SegNet: no maps are joined; the decoder puts elements back to where the encoder's pooling found its maxima."""
    x = image = layers.Input(_check("segnet", input_shape, depth))
    before = []
    for i in range(depth):
        before.append(_block(x, filters * 2**i))
        x = layers.MaxPooling2D()(before[-1])
    for i in reversed(range(depth)):
        x = _block(MaxUnpooling2D()([x, before[i]]), filters * 2**i, 1)
        x = _block(x, filters * 2 ** max(i - 1, 0), 1)
    return Model(image, _head(x, classes), name=name)
