"""Resizing arrays of images as tf.image.resize does without antialiasing: pixel centres at halves, weights by a kernel.

Each direction is a table of taps, which pixels and with what weights; weights of pixels beyond the border go to the others.
Two gathers of a few taps each cost little even for large photographs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np


def _cubic(x: np.ndarray, b: float, c: float) -> np.ndarray:
    """The family of Mitchell and Netravali."""
    near = ((12 - 9 * b - 6 * c) * x**3 + (-18 + 12 * b + 6 * c) * x**2 + 6 - 2 * b) / 6
    far = ((-b - 6 * c) * x**3 + (6 * b + 30 * c) * x**2 + (-12 * b - 48 * c) * x + 8 * b + 24 * c) / 6
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


def _lanczos(x: np.ndarray, radius: float) -> np.ndarray:
    return np.where(x < radius, np.sinc(x) * np.sinc(x / radius), 0.0)


# The kernel's radius in pixels, and its value at a distance.
KERNELS: dict[str, tuple[float, Callable[[np.ndarray], np.ndarray]]] = {
    "bilinear": (1.0, lambda x: np.maximum(0.0, 1.0 - x)),
    "bicubic": (2.0, lambda x: _cubic(x, 0.0, 0.5)),
    "lanczos3": (3.0, lambda x: _lanczos(x, 3.0)),
    "lanczos5": (5.0, lambda x: _lanczos(x, 5.0)),
    "gaussian": (1.5, lambda x: np.where(x < 1.5, np.exp(-2.0 * x * x), 0.0)),
    "mitchellcubic": (2.0, lambda x: _cubic(x, 1 / 3, 1 / 3)),
}
INTERPOLATIONS = (*KERNELS, "nearest", "area")


def _taps(n: int, m: int, interpolation: str) -> tuple[np.ndarray, np.ndarray]:
    """(indices, weights), both [m, taps], from n pixels to m."""
    scale = n / m
    if interpolation == "area":
        start, stop = np.arange(m) * scale, np.arange(1, m + 1) * scale
        index = np.floor(start).astype(int)[:, None] + np.arange(int(np.ceil(scale)) + 1)
        weights = np.clip(np.minimum(stop[:, None], index + 1) - np.maximum(start[:, None], index), 0, None)
    else:
        centre = (np.arange(m) + 0.5) * scale
        if interpolation == "nearest":
            return np.minimum(np.floor(centre).astype(int), n - 1)[:, None], np.ones((m, 1))
        radius, kernel = KERNELS[interpolation]
        index = np.floor(centre - 0.5).astype(int)[:, None] + np.arange(
            1 - int(np.ceil(radius)), 1 + int(np.ceil(radius))
        )
        weights = kernel(np.abs(index + 0.5 - centre[:, None]))
    weights = np.where((index >= 0) & (index < n), weights, 0.0)
    return np.clip(index, 0, n - 1), weights / weights.sum(1, keepdims=True)


def _along(x: np.ndarray, axis: int, m: int, interpolation: str) -> np.ndarray:
    index, weights = _taps(x.shape[axis], m, interpolation)
    shape = [1] * x.ndim
    shape[axis] = m
    if interpolation == "nearest":
        return np.take(x, index[:, 0], axis)
    total = np.zeros(())
    for taps, share in zip(index.T, weights.T.astype(np.float32)):
        total = total + np.take(x, taps, axis) * share.reshape(shape)
    return total


def resize(images: np.ndarray, size: Sequence[int], interpolation: str, data_format: str) -> np.ndarray:
    """Images [..., H, W, C] (or [..., C, H, W]) at (height, width), float32."""
    rows = -2 if data_format == "channels_first" else -3
    x = images.astype(np.float32, copy=False)
    for axis, m in zip((rows, rows + 1), size):
        axis %= x.ndim
        # Equal sizes leave the pixels alone, but for kernels that blur.
        if x.shape[axis] != m or interpolation in ("gaussian", "mitchellcubic"):
            x = _along(x, axis, m, interpolation)
    return x.astype(np.float32, copy=False)
