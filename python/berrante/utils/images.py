"""Images between files, Pillow and arrays: load_img, img_to_array, array_to_img, save_img, smart_resize.

Pillow decodes, encodes and resizes; it is imported when first needed. Semantics are those of keras.utils of the same names.
"""

from __future__ import annotations

import io
import os
import pathlib
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from berrante import config
from berrante.layers.convolution import image_data_format
from berrante.ops.core import as_tensor
from berrante.utils.resampling import resize

INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "hamming", "box", "lanczos")
_MODES = {"rgb": "RGB", "rgba": "RGBA", "grayscale": "L"}


def pillow() -> Any:
    """PIL.Image, or an ImportError that says what to install."""
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError("images need Pillow: pip install pillow") from error
    return Image


def array_to_img(x: Any, data_format: str | None = None, scale: bool = True, dtype: Any = None) -> Any:
    """A PIL image of an array [H, W, C] (or [C, H, W]) with 1, 3 or 4 channels.

    scale: stretch the values to 0 ... 255; without it they are truncated to bytes, except that one channel with values
    above 255 becomes an image of 32-bit integers.
    """
    data_format = image_data_format(data_format)
    array = np.asarray(x, dtype=dtype or config.floatx())
    if array.ndim != 3:
        raise ValueError(f"array_to_img: expected one image of rank 3; received shape {array.shape}")
    if data_format == "channels_first":
        array = array.transpose(1, 2, 0)
    channels = array.shape[2]
    if channels not in (1, 3, 4):
        raise ValueError(f"array_to_img: expected 1, 3 or 4 channels; received {channels} (shape {array.shape})")
    if scale:
        array = array - np.min(array)
        highest = np.max(array)
        if highest != 0:
            array /= highest
        array *= 255
    if channels == 1:
        array = array[:, :, 0]
        if np.max(array) > 255:
            return pillow().fromarray(array.astype(np.int32))
    with np.errstate(invalid="ignore"):
        return pillow().fromarray(np.ascontiguousarray(array.astype(np.int64).astype(np.uint8)))


def img_to_array(img: Any, data_format: str | None = None, dtype: Any = None) -> np.ndarray:
    """The array [H, W, C] (or [C, H, W]) of a PIL image, float32 unless dtype says otherwise."""
    data_format = image_data_format(data_format)
    x = np.array(img, dtype=dtype or config.floatx())
    if x.ndim == 2:
        x = x[:, :, None]
    if x.ndim != 3:
        raise ValueError(f"img_to_array: expected an image of rank 2 or 3; received shape {x.shape}")
    return x.transpose(2, 0, 1) if data_format == "channels_first" else x


def save_img(
    path: Any, x: Any, data_format: str | None = None, file_format: str | None = None, scale: bool = True, **kwargs: Any
) -> None:
    """Writes an array as an image file; the format follows the path's suffix unless file_format names it.

    path may be a file object, then file_format is needed. kwargs go to PIL.Image.save.
    """
    image = array_to_img(x, data_format=data_format, scale=scale)
    named = isinstance(path, (str, os.PathLike))
    if file_format is None and named:
        file_format = pathlib.Path(path).suffix[1:].lower()
    if file_format is not None and file_format.lower() == "jpg":
        file_format = "jpeg"
    if image.mode == "RGBA" and file_format == "jpeg":
        warnings.warn("The JPEG format does not support RGBA images, converting to RGB.", stacklevel=2)
        image = image.convert("RGB")
    if not named:
        image.save(path, format=file_format, **kwargs)
        return
    encoded = io.BytesIO()
    image.save(encoded, format=file_format, **kwargs)
    pathlib.Path(path).write_bytes(encoded.getvalue())


def resampling(interpolation: str) -> Any:
    """Pillow's filter of that name."""
    if interpolation not in INTERPOLATIONS:
        raise ValueError(f"interpolation: expected one of {', '.join(INTERPOLATIONS)}; received {interpolation!r}")
    return getattr(pillow().Resampling, interpolation.upper())


def centred_box(height: int, width: int, target: Sequence[int]) -> tuple[int, int, int, int]:
    """(top, left, height, width) of the largest centred window with the target's aspect ratio."""
    inner_height = min(height, width * target[0] // target[1])
    inner_width = min(width, height * target[1] // target[0])
    return (height - inner_height) // 2, (width - inner_width) // 2, inner_height, inner_width


def load_img(
    path: Any, color_mode: str = "rgb", target_size: Any = None, interpolation: str = "nearest",
    keep_aspect_ratio: bool = False,
) -> Any:  # fmt: skip
    """A PIL image from a file (path or BytesIO).

    color_mode: "rgb", "rgba" or "grayscale" (which leaves 16 and 32-bit grey images as they are). target_size:
    (height, width) to resize to by an interpolation that Pillow has; keep_aspect_ratio crops the centre first.
    """
    if color_mode not in _MODES:
        raise ValueError(f'color_mode must be "grayscale", "rgb", or "rgba"; received {color_mode!r}')
    if isinstance(path, io.BytesIO):
        image = pillow().open(path)
    elif isinstance(path, (str, bytes, os.PathLike)):
        with open(path, "rb") as file:
            image = pillow().open(io.BytesIO(file.read()))
    else:
        raise TypeError(f"path should be path-like or io.BytesIO, not {type(path)}")
    grey = color_mode == "grayscale" and image.mode in ("I;16", "I")
    if image.mode != _MODES[color_mode] and not grey:
        image = image.convert(_MODES[color_mode])
    if target_size is None or image.size == (target_size[1], target_size[0]):
        return image
    box = None
    if keep_aspect_ratio:
        top, left, height, width = centred_box(image.size[1], image.size[0], target_size)
        box = (left, top, left + width, top + height)
    return image.resize((target_size[1], target_size[0]), resampling(interpolation), box=box)


def smart_resize(
    x: Any, size: Sequence[int], interpolation: str = "bilinear", data_format: str = "channels_last"
) -> Any:
    """Images [(N,) H, W, C] at (height, width) without distortion: the centre with that aspect ratio, resized."""
    if len(size) != 2:
        raise ValueError(f"size: expected (height, width); received {size}")
    shape = tuple(x.shape)
    if len(shape) not in (3, 4):
        raise ValueError(f"smart_resize: expected an image of rank 3 or 4; received shape {shape}")
    first = data_format == "channels_first"
    height, width = shape[-2:] if first else shape[-3:-1]
    inner_height = max(min(height, int(width * size[0] / size[1])), 1)
    inner_width = max(min(width, int(height * size[1] / size[0])), 1)
    top, left = (height - inner_height) // 2, (width - inner_width) // 2
    window: tuple[Any, ...] = (slice(top, top + inner_height), slice(left, left + inner_width))
    window = (..., *window) if first else (..., *window, slice(None))
    y = resize(np.asarray(x)[window], size, interpolation, data_format)
    return y if isinstance(x, np.ndarray) else as_tensor(y)
