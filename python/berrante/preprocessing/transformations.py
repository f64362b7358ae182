"""Transformations of one image and their random versions, after keras.preprocessing.image.

An image is an array of rank 3; row_axis, col_axis and channel_axis say how it lies (by default channels first, as there).
Random numbers come from numpy.random's global state, as Keras 2's do.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from berrante.preprocessing.affine import affine_transform
from berrante.utils.images import array_to_img, img_to_array, pillow


def flip_axis(x: Any, axis: int) -> np.ndarray:
    """The array reversed along an axis."""
    return np.flip(np.asarray(x), axis)


def _matrix(theta: float, tx: float, ty: float, shear: float, zx: float, zy: float) -> np.ndarray | None:
    """The product of rotation, shift, shear and zoom over (x, y, 1), or None when nothing moves."""
    parts = []
    if theta != 0:
        c, s = np.cos(np.deg2rad(theta)), np.sin(np.deg2rad(theta))
        parts.append(np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]]))
    if tx != 0 or ty != 0:
        parts.append(np.array([[1, 0, tx], [0, 1, ty], [0, 0, 1.0]]))
    if shear != 0:
        angle = np.deg2rad(shear)
        parts.append(np.array([[1, -np.sin(angle), 0], [0, np.cos(angle), 0], [0, 0, 1.0]]))
    if zx != 1 or zy != 1:
        parts.append(np.array([[zx, 0, 0], [0, zy, 0], [0, 0, 1.0]]))
    if not parts:
        return None
    product = parts[0]
    for part in parts[1:]:
        product = product @ part
    return product


def transform_matrix_offset_center(matrix: np.ndarray, x: float, y: float) -> np.ndarray:
    """The same map about the centre of an image of x by y pixels."""
    there = np.array([[1, 0, x / 2 - 0.5], [0, 1, y / 2 - 0.5], [0, 0, 1.0]])
    back = np.array([[1, 0, 0.5 - x / 2], [0, 1, 0.5 - y / 2], [0, 0, 1.0]])
    return there @ matrix @ back


def apply_affine_transform(
    x: np.ndarray, theta: float = 0, tx: float = 0, ty: float = 0, shear: float = 0, zx: float = 1, zy: float = 1,
    row_axis: int = 1, col_axis: int = 2, channel_axis: int = 0, fill_mode: str = "nearest", cval: float = 0.0,
    order: int = 1,
) -> np.ndarray:  # fmt: skip
    """The image rotated by theta degrees, moved by tx rows and ty columns, sheared by degrees and zoomed by zx, zy.

    fill_mode: "nearest", "constant" (cval), "reflect", "mirror" or "wrap"; order: of the interpolating spline, 0 to 5.
    """
    if len({row_axis, col_axis, channel_axis}) != 3:
        raise ValueError("'row_axis', 'col_axis', and 'channel_axis' must be distinct")
    if {row_axis, col_axis, channel_axis} != {0, 1, 2}:
        raise ValueError(f"Invalid axis indices: {sorted({row_axis, col_axis, channel_axis} - {0, 1, 2})}")
    if x.ndim != 3:
        raise ValueError(f"Input arrays must be multi-channel 2D images; received shape {x.shape}")
    if channel_axis == 1:
        raise ValueError("Channels are allowed and the first and last dimensions; received channel_axis=1")
    matrix = _matrix(theta, tx, ty, shear, zx, zy)
    if matrix is None:
        return x
    matrix = transform_matrix_offset_center(matrix, x.shape[row_axis], x.shape[col_axis])
    if col_axis > row_axis:
        swap = [1, 0, 2]
        matrix = matrix[swap][:, swap]
    image = np.moveaxis(x, channel_axis, 2)
    moved = affine_transform(image, matrix[:2, :2], matrix[:2, 2], order=order, mode=fill_mode, cval=cval)
    return np.moveaxis(moved, 2, channel_axis)


def apply_channel_shift(x: np.ndarray, intensity: float, channel_axis: int = 0) -> np.ndarray:
    """All channels plus an intensity, kept within the image's own range."""
    return np.clip(x + float(intensity), np.min(x), np.max(x))


def apply_brightness_shift(
    x: np.ndarray, brightness: float, scale: bool = True, data_format: str | None = None
) -> np.ndarray:
    """The image with its brightness multiplied (by Pillow, on bytes); values outside 0 ... 255 are scaled there and back.

    scale: stretch to 0 ... 255 always.
    """
    pillow()
    from PIL import ImageEnhance

    low, high = np.min(x), np.max(x)
    beyond = bool(low < 0 or high > 255)
    image = array_to_img(x, data_format, scale=beyond or scale)
    bright = img_to_array(ImageEnhance.Brightness(image).enhance(brightness), data_format)
    return bright / 255 * (high - low) + low if beyond and not scale else bright


def _pair(name: str, value: Any) -> Any:
    if len(value) != 2:
        raise ValueError(f"`{name}` should be a tuple or list of two floats. Received: {value}")
    return value


def random_rotation(
    x: np.ndarray, rg: float, row_axis: int = 1, col_axis: int = 2, channel_axis: int = 0, fill_mode: str = "nearest",
    cval: float = 0.0, interpolation_order: int = 1,
) -> np.ndarray:  # fmt: skip
    """Rotated by up to rg degrees either way."""
    theta = np.random.uniform(-rg, rg)
    return apply_affine_transform(
        x, theta=theta, row_axis=row_axis, col_axis=col_axis, channel_axis=channel_axis, fill_mode=fill_mode, cval=cval,
        order=interpolation_order,
    )  # fmt: skip


def random_shift(
    x: np.ndarray, wrg: float, hrg: float, row_axis: int = 1, col_axis: int = 2, channel_axis: int = 0,
    fill_mode: str = "nearest", cval: float = 0.0, interpolation_order: int = 1,
) -> np.ndarray:  # fmt: skip
    """Moved by up to these fractions of its width and height."""
    tx = np.random.uniform(-hrg, hrg) * x.shape[row_axis]
    ty = np.random.uniform(-wrg, wrg) * x.shape[col_axis]
    return apply_affine_transform(
        x, tx=tx, ty=ty, row_axis=row_axis, col_axis=col_axis, channel_axis=channel_axis, fill_mode=fill_mode,
        cval=cval, order=interpolation_order,
    )  # fmt: skip


def random_shear(
    x: np.ndarray, intensity: float, row_axis: int = 1, col_axis: int = 2, channel_axis: int = 0,
    fill_mode: str = "nearest", cval: float = 0.0, interpolation_order: int = 1,
) -> np.ndarray:  # fmt: skip
    """Sheared by up to an angle in degrees."""
    shear = np.random.uniform(-intensity, intensity)
    return apply_affine_transform(
        x, shear=shear, row_axis=row_axis, col_axis=col_axis, channel_axis=channel_axis, fill_mode=fill_mode, cval=cval,
        order=interpolation_order,
    )  # fmt: skip


def random_zoom(
    x: np.ndarray, zoom_range: Any, row_axis: int = 1, col_axis: int = 2, channel_axis: int = 0,
    fill_mode: str = "nearest", cval: float = 0.0, interpolation_order: int = 1,
) -> np.ndarray:  # fmt: skip
    """Zoomed by factors from a range, one for each direction."""
    low, high = _pair("zoom_range", zoom_range)
    zx, zy = (1, 1) if low == 1 and high == 1 else np.random.uniform(low, high, 2)
    return apply_affine_transform(
        x, zx=zx, zy=zy, row_axis=row_axis, col_axis=col_axis, channel_axis=channel_axis, fill_mode=fill_mode,
        cval=cval, order=interpolation_order,
    )  # fmt: skip


def random_channel_shift(x: np.ndarray, intensity_range: float, channel_axis: int = 0) -> np.ndarray:
    """All channels plus up to this intensity."""
    return apply_channel_shift(x, np.random.uniform(-intensity_range, intensity_range), channel_axis)


def random_brightness(x: np.ndarray, brightness_range: Any, scale: bool = True) -> np.ndarray:
    """Brightness multiplied by a factor from a range."""
    low, high = _pair("brightness_range", brightness_range)
    return apply_brightness_shift(x, np.random.uniform(low, high), scale)
