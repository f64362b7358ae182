"""Images: resizing, cropping, padding, colours, patches, with the semantics of keras.ops.image.

Nearest and bilinear resizing are kernels; the wider filters, and antialiasing, are products with matrices of weights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from berrante.graph import primitives as p
from berrante.graph.op import Op, as_tensor
from berrante.graph.primitives import cast, floating
from berrante.graph.tensor import Node, Tensor, TensorSpec
from berrante.ops import elementwise as e
from berrante.ops.color import hsv_to_rgb, rgb_to_hsv
from berrante.ops.conv import Size, pair, window_geometry
from berrante.ops.layout import batched, unbatched
from berrante.ops.linalg import tensordot
from berrante.ops.public import public
from berrante.ops.reduction import sum
from berrante.ops.shape import concatenate, moveaxis
from berrante.ops.warp import affine_transform, map_coordinates

KINDS = {"nearest": 0, "bilinear": 1}


def _resized(node: Node, x: Tensor, extents: Sequence[int]) -> Tensor:
    result: Tensor = _resize2d(x, out=tuple(extents), kind=node.attrs["kind"])
    return result


_resize2d = Op(
    "resize2d",
    lambda x, out, kind: TensorSpec((x.shape[0], *out, x.shape[3])),
    lambda node, dy: [_resize2d_grad(dy, extents=node.inputs[0].shape[1:3], kind=node.attrs["kind"])],
)
_resize2d_grad: Op = Op(
    "resize2d_grad",
    lambda dy, extents, kind: TensorSpec((dy.shape[0], *extents, dy.shape[3])),
    lambda node, dx: [_resized(node, dx, node.inputs[0].shape[1:3])],
)


def _cubic(x: np.ndarray) -> np.ndarray:
    """Keys' kernel with a = -1/2 (1981)."""
    near = ((1.5 * x - 2.5) * x) * x + 1.0
    far = ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return np.where(x <= 1.0, near, np.where(x < 2.0, far, 0.0))


def _lanczos(radius: int) -> Callable[[np.ndarray], np.ndarray]:
    def kernel(x: np.ndarray) -> np.ndarray:
        return np.where(np.abs(x) < radius, np.sinc(x) * np.sinc(x / radius), 0.0)

    return kernel


_FILTERS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "bilinear": lambda x: np.maximum(0.0, 1.0 - x), "bicubic": _cubic, "lanczos3": _lanczos(3), "lanczos5": _lanczos(5),
}  # fmt: skip


def _weights(name: str, n: int, out: int, antialias: bool) -> np.ndarray:
    """[out, n] weights of the inputs in each output, half-pixel centres; antialiasing widens the filter."""
    step = n / out
    scale = max(step, 1.0) if antialias else 1.0
    centre = (np.arange(out) + 0.5) * step - 0.5
    w = _FILTERS[name](np.abs(centre[:, None] - np.arange(n)[None, :]) / scale)
    total = w.sum(1, keepdims=True)
    return np.where(np.abs(total) > 1e-6, w / np.where(total == 0, 1, total), 0.0).astype(np.float32)


def _window(x: Tensor, top: int, left: int, height: int, width: int) -> Tensor:
    return p.slice_(x, (0, top, left, 0), (x.shape[0], height, width, x.shape[3]))


def _to_aspect(x: Tensor, size: tuple[int, int], crop: bool, value: float) -> Tensor:
    """The largest middle part, or the smallest padded picture, of the target's proportions."""
    _, h, w, _ = x.shape
    tall, wide = int(w * size[0] / size[1]), int(h * size[1] / size[0])
    if crop:
        tall, wide = max(min(h, tall), 1), max(min(w, wide), 1)
        return _window(x, (h - tall) // 2, (w - wide) // 2, tall, wide)
    top, left = (max(h, tall) - h) // 2, (max(w, wide) - w) // 2
    left = 0 if top else left
    return p.pad_to(x, (x.shape[0], h + 2 * top, w + 2 * left, x.shape[3]), (0, top, left, 0), value=value)


@public
def resize(
    images: Any, size: Sequence[int], interpolation: str = "bilinear", antialias: bool = False,
    crop_to_aspect_ratio: bool = False, pad_to_aspect_ratio: bool = False, fill_mode: str = "constant",
    fill_value: float = 0.0, data_format: str | None = "channels_last",
) -> Tensor:  # fmt: skip
    """Images of [(N,) H, W, C] at another (height, width): nearest, bilinear, bicubic, lanczos3 or lanczos5."""
    if interpolation not in ("nearest", *_FILTERS):
        raise ValueError(f"[resize] expected interpolation nearest, {', '.join(_FILTERS)}; received {interpolation!r}")
    if fill_mode != "constant" or (crop_to_aspect_ratio and pad_to_aspect_ratio) or len(tuple(size)) != 2:
        raise ValueError(
            "[resize] expected size (height, width), fill_mode 'constant', and at most one of crop_to_aspect_ratio and "
            f"pad_to_aspect_ratio; received {size}, {fill_mode!r}, {crop_to_aspect_ratio}, {pad_to_aspect_ratio}"
        )
    x, one = batched("resize", images, data_format)
    out = (int(size[0]), int(size[1]))
    dtype, x = x.dtype, floating(x)
    if crop_to_aspect_ratio or pad_to_aspect_ratio:
        x = _to_aspect(x, out, crop_to_aspect_ratio, float(fill_value))
    if interpolation in KINDS and not (antialias and interpolation == "bilinear"):
        y: Tensor = _resize2d(x, out=out, kind=KINDS[interpolation])
    else:
        rows, columns = (_weights(interpolation, n, m, antialias) for n, m in zip(x.shape[1:3], out, strict=True))
        y = moveaxis(tensordot(rows, x, ([1], [1])), 0, 1)
        y = moveaxis(tensordot(columns, y, ([1], [2])), 0, 2)
    y = unbatched(y, one, data_format)
    return cast(y, dtype) if interpolation == "nearest" else y


@public
def upsample(x: Any, size: Sequence[int], interpolation: str = "nearest") -> Tensor:
    """Images of [N, H, W, C] enlarged by whole factors (height, width)."""
    x = as_tensor(x)
    return resize(x, (x.shape[1] * size[0], x.shape[2] * size[1]), interpolation)


# --- borders --------------------------------------------------------------------------------------------------------


def _three(name: str, before: int | None, after: int | None, target: int | None, n: int, sign: int) -> tuple[int, int]:
    """Widths before and after from two of (before, after, target extent)."""
    if sum(v is None for v in (before, after, target)) != 1:
        raise ValueError(
            f"[{name}] expected two of before, after and target extent; received {before}, {after}, {target}"
        )
    if before is None:
        assert after is not None and target is not None
        before = sign * (target - n) - after
    elif after is None:
        assert target is not None
        after = sign * (target - n) - before
    assert after is not None
    if before < 0 or after < 0:
        raise ValueError(f"[{name}] the widths {before} and {after} do not fit an extent of {n}")
    return before, after


@public
def pad_images(
    images: Any, top_padding: int | None = None, left_padding: int | None = None, bottom_padding: int | None = None,
    right_padding: int | None = None, target_height: int | None = None, target_width: int | None = None,
    data_format: str | None = None,
) -> Tensor:  # fmt: skip
    """Zeros around images: of each dimension two of (before, after, target)."""
    x, one = batched("pad_images", images, data_format)
    n, h, w, c = x.shape
    top, bottom = _three("pad_images", top_padding, bottom_padding, target_height, h, 1)
    left, right = _three("pad_images", left_padding, right_padding, target_width, w, 1)
    return unbatched(p.pad_to(x, (n, top + h + bottom, left + w + right, c), (0, top, left, 0)), one, data_format)


@public
def crop_images(
    images: Any, top_cropping: int | None = None, left_cropping: int | None = None,
    bottom_cropping: int | None = None, right_cropping: int | None = None, target_height: int | None = None,
    target_width: int | None = None, data_format: str | None = None,
) -> Tensor:  # fmt: skip
    """Images without their borders: of each dimension two of (before, after, target)."""
    x, one = batched("crop_images", images, data_format)
    _, h, w, _ = x.shape
    top, bottom = _three("crop_images", top_cropping, bottom_cropping, target_height, h, -1)
    left, right = _three("crop_images", left_cropping, right_cropping, target_width, w, -1)
    if h - top - bottom < 1 or w - left - right < 1:
        raise ValueError(f"[crop_images] nothing is left of images of {h} x {w}")
    return unbatched(_window(x, top, left, h - top - bottom, w - left - right), one, data_format)


# --- colours and patches --------------------------------------------------------------------------------------------


@public
def rgb_to_grayscale(images: Any, data_format: str | None = None) -> Tensor:
    """The luma 0.2989 R + 0.587 G + 0.114 B, one channel."""
    x, one = batched("rgb_to_grayscale", images, data_format)
    if x.shape[3] not in (1, 3):
        raise ValueError(f"[rgb_to_grayscale] expected 1 or 3 channels; received {x.shape[3]}")
    if x.shape[3] == 3:
        y = tensordot(floating(x), np.asarray([[0.2989], [0.5870], [0.1140]], np.float32), ([3], [0]))
        x = cast(y, x.dtype)
    return unbatched(x, one, data_format)


@public
def extract_patches(
    images: Any, size: Size, strides: Size | None = None, dilation_rate: Size = 1, padding: str = "valid",
    data_format: str | None = None,
) -> Tensor:  # fmt: skip
    """Windows of images as channels: [(N,) H, W, C] -> [(N,) H', W', window elements]; strides default to the size."""
    x, one = batched("extract_patches", images, data_format)
    window = pair("extract_patches", size, 2)
    s = window if strides is None else pair("extract_patches", strides, 2)
    d = pair("extract_patches", dilation_rate, 2)
    n, h, w, c = x.shape
    out, before = window_geometry("extract_patches", (h, w), window, s, padding, d)
    reach = [(m - 1) * k + (q - 1) * r + 1 for m, k, q, r in zip(out, s, window, d, strict=True)]
    x = p.pad_to(x, (n, max(reach[0], before[0] + h), max(reach[1], before[1] + w), c), (0, *before, 0))
    parts = [
        p.slice_(x, (0, i * d[0], j * d[1], 0), (n, *out, c), (1, *s, 1))
        for i in range(window[0])
        for j in range(window[1])
    ]
    return unbatched(concatenate(parts, -1), one, data_format)


@public
def gaussian_blur(
    images: Any, kernel_size: Sequence[int] = (3, 3), sigma: Sequence[float] = (1.0, 1.0),
    data_format: str | None = None,
) -> Tensor:  # fmt: skip
    """Images smoothed by a normal kernel, zeros outside."""
    from berrante.ops.conv import depthwise_conv

    x, one = batched("gaussian_blur", images, data_format)
    bells = []
    for k, deviation in zip(kernel_size, sigma, strict=True):
        at = e.divide((np.arange(k) - (k - 1) / 2).astype(np.float32), deviation)
        bell = e.exp(e.multiply(e.square(at), -0.5))
        bells.append(e.divide(bell, sum(bell)))
    kernel = e.multiply(p.reshape(bells[1], (-1, 1, 1, 1)), p.reshape(bells[0], (1, -1, 1, 1)))
    kernel = p.broadcast_to(kernel, (*kernel.shape[:2], x.shape[3], 1))
    return unbatched(depthwise_conv(x, kernel, 1, "same"), one, data_format)


__all__ = [
    "affine_transform", "crop_images", "extract_patches", "gaussian_blur", "hsv_to_rgb", "map_coordinates", "pad_images",
    "resize", "rgb_to_grayscale", "rgb_to_hsv", "upsample",
]  # fmt: skip
