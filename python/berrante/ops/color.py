"""Colours of images, with the names and semantics of keras.ops.image: hue, saturation and value, and back."""

from __future__ import annotations

from typing import Any

from berrante.graph.tensor import Tensor
from berrante.ops import elementwise as e
from berrante.ops.layout import batched, unbatched
from berrante.ops.public import public
from berrante.ops.reduction import amax, amin
from berrante.ops.shape import stack


def _channels(name: str, images: Any, data_format: str | None) -> tuple[list[Tensor], bool]:
    x: Any
    x, one = batched(name, images, data_format)
    if x.shape[3] != 3:
        raise ValueError(f"[{name}] expected 3 channels; received {x.shape[3]}")
    return [x[..., i] for i in range(3)], one


@public
def rgb_to_hsv(images: Any, data_format: str | None = None) -> Tensor:
    """Hue, saturation and value of images of red, green and blue in [0, 1]; all three are in [0, 1]."""
    (r, g, b), one = _channels("rgb_to_hsv", images, data_format)
    every = stack([r, g, b], -1)
    value, low = amax(every, -1), amin(every, -1)
    span = e.subtract(value, low)
    saturation = e.where(e.greater(value, 0.0), e.divide(span, e.where(e.greater(value, 0.0), value, 1.0)), 0.0)
    norm = e.divide(1.0, e.multiply(e.where(e.equal(span, 0.0), 1.0, span), 6.0))
    hue = e.where(
        e.equal(value, g),
        e.add(e.multiply(norm, e.subtract(b, r)), 2.0 / 6.0),
        e.add(e.multiply(norm, e.subtract(r, g)), 4.0 / 6.0),
    )
    hue = e.where(e.equal(value, r), e.multiply(norm, e.subtract(g, b)), hue)
    hue = e.where(e.greater(span, 0.0), hue, 0.0)
    hue = e.where(e.less(hue, 0.0), e.add(hue, 1.0), hue)
    return unbatched(stack([hue, saturation, value], -1), one, data_format)


@public
def hsv_to_rgb(images: Any, data_format: str | None = None) -> Tensor:
    """Red, green and blue of images of hue, saturation and value."""
    (hue, saturation, value), one = _channels("hsv_to_rgb", images, data_format)
    dark = e.multiply(value, saturation)
    channels = []
    for n in (5.0, 3.0, 1.0):
        k = e.mod(e.add(e.multiply(hue, 6.0), n), 6.0)
        channels.append(e.subtract(value, e.multiply(dark, e.clip(e.minimum(k, e.subtract(4.0, k)), 0.0, 1.0))))
    return unbatched(stack(channels, -1), one, data_format)


__all__ = ["hsv_to_rgb", "rgb_to_hsv"]
