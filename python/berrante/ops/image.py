"""Resizing images, with the semantics of keras.ops.image.resize: nearest and bilinear, half-pixel centres."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from berrante.graph import primitives as p
from berrante.graph.op import Op, as_tensor
from berrante.graph.primitives import cast
from berrante.graph.tensor import Node, Tensor, TensorSpec
from berrante.ops.public import public
from berrante.ops.shape import moveaxis

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


@public
def resize(
    images: Any, size: Sequence[int], interpolation: str = "bilinear", antialias: bool = False,
    data_format: str | None = "channels_last",
) -> Tensor:  # fmt: skip
    """Images of [(N,) H, W, C] at another (height, width)."""
    if interpolation not in KINDS:
        raise ValueError(f"[resize] expected interpolation nearest or bilinear; received {interpolation!r}")
    if antialias:
        raise ValueError("[resize] antialias=True is not supported")
    x = as_tensor(images)
    dtype = x.dtype
    x = cast(x, "float32")
    one = len(x.shape) == 3
    if one:
        x = p.reshape(x, (1, *x.shape))
    if len(x.shape) != 4:
        raise ValueError(f"[resize] expected 3-D or 4-D images; received shape {as_tensor(images).shape}")
    if data_format == "channels_first":
        x = moveaxis(x, 1, -1)
    y: Tensor = _resize2d(x, out=(int(size[0]), int(size[1])), kind=KINDS[interpolation])
    if data_format == "channels_first":
        y = moveaxis(y, -1, 1)
    y = p.reshape(y, y.shape[1:]) if one else y
    return cast(y, dtype) if interpolation == "nearest" else y


@public
def upsample(x: Any, size: Sequence[int], interpolation: str = "nearest") -> Tensor:
    """Images of [N, H, W, C] enlarged by whole factors (height, width)."""
    x = as_tensor(x)
    return resize(x, (x.shape[1] * size[0], x.shape[2] * size[1]), interpolation)
