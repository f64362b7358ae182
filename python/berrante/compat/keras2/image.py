"""keras.preprocessing.image of Keras 2, where it differs: the arguments of load_img."""

from __future__ import annotations

from typing import Any

from berrante.utils import images


def load_img(
    path: Any, grayscale: bool = False, color_mode: str = "rgb", target_size: Any = None, interpolation: str = "nearest",
    **kwargs: Any,
) -> Any:  # fmt: skip
    """A picture from a file; `grayscale` is the older name of color_mode="grayscale"."""
    if grayscale:
        color_mode = "grayscale"
    return images.load_img(path, color_mode, target_size, interpolation, **kwargs)
