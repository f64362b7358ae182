"""Images in either layout, one or many, as a batch [N, H, W, C], and back."""

from __future__ import annotations

from typing import Any

from berrante.graph import primitives as p
from berrante.graph.op import as_tensor
from berrante.graph.tensor import Tensor
from berrante.ops.shape import moveaxis


def batched(name: str, images: Any, data_format: str | None) -> tuple[Tensor, bool]:
    """Images as [N, H, W, C], and whether there was only one, without N."""
    x = as_tensor(images)
    if len(x.shape) not in (3, 4):
        raise ValueError(f"[{name}] expected 3-D or 4-D images; received shape {x.shape}")
    if data_format not in (None, "channels_last", "channels_first"):
        raise ValueError(f"[{name}] expected data_format channels_last or channels_first; received {data_format!r}")
    one = len(x.shape) == 3
    x = p.reshape(x, (1, *x.shape)) if one else x
    return (moveaxis(x, 1, -1) if data_format == "channels_first" else x), one


def unbatched(y: Tensor, one: bool, data_format: str | None) -> Tensor:
    y = moveaxis(y, -1, 1) if data_format == "channels_first" else y
    return p.reshape(y, y.shape[1:]) if one else y
