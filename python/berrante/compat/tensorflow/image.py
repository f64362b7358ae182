"""tensorflow.image: resizing and flipping."""

from __future__ import annotations

from typing import Any

from berrante import ops


def resize(images: Any, size: Any, method: str = "bilinear", **kwargs: Any) -> Any:
    """Images at another (height, width)."""
    return ops.resize(images, tuple(int(n) for n in size), method)


def flip_left_right(image: Any) -> Any:
    """Columns the other way round."""
    return ops.flip(image, -2)


def flip_up_down(image: Any) -> Any:
    """Rows the other way round."""
    return ops.flip(image, -3)
