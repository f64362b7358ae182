"""Max, average and median pooling, with the names and semantics of keras.ops (median pooling is ours).

Padding takes no part in a maximum, an average or a median.
"""

from __future__ import annotations

from typing import Any

from berrante.graph.op import Op
from berrante.graph.tensor import Node, Tensor, TensorSpec
from berrante.ops.conv import Size, _both, from_nhwc, pair, to_nhwc, window_geometry
from berrante.ops.public import public

KINDS = {"max": 0, "average": 1, "median": 2}
_WINDOW = ("kind", "window_h", "window_w", "stride_h", "stride_w", "pad_top", "pad_left")


def _window(node: Node) -> dict[str, int]:
    return {k: node.attrs[k] for k in _WINDOW}


def _grad_pool(node: Node, dy: Tensor) -> list[Tensor]:
    return [_pool2d_grad(node.inputs[0], dy, **_window(node))]


def _grad_grad(node: Node, dx: Tensor) -> list[Tensor | None]:
    # Linear in dy; what x selects does not change with x (almost everywhere).
    x, dy = node.inputs
    return [None, _pick(x, dx, node, dy.shape[1:3])]


def _pick(x: Tensor, v: Tensor, node: Node, out: tuple[int, ...]) -> Tensor:
    result: Tensor = (
        _pool2d(v, out=out, **_window(node))
        if node.attrs["kind"] == KINDS["average"]
        else _pool2d_pick(x, v, out=out, **_window(node))
    )
    return result


def _grad_pick(node: Node, dy: Tensor) -> list[Tensor | None]:
    return [None, _pool2d_grad(node.inputs[0], dy, **_window(node))]


_pool2d = Op("pool2d", lambda x, out, **_: TensorSpec((x.shape[0], *out, x.shape[3])), _grad_pool)
_pool2d_grad = Op("pool2d_grad", lambda x, dy, **_: x.spec, _grad_grad)
_pool2d_pick = Op("pool2d_pick", lambda x, v, out, **_: TensorSpec((x.shape[0], *out, x.shape[3])), _grad_pick)


def _pool(
    kind: str, inputs: Any, pool_size: Size, strides: Size | None, padding: str, data_format: str | None
) -> Tensor:
    name = f"{kind}_pool"
    x, spatial = to_nhwc(name, inputs, data_format)
    window = _both(pair(name, pool_size, spatial))
    s = window if strides is None else _both(pair(name, strides, spatial))
    out, pads = window_geometry(name, x.shape[1:3], window, s, padding)
    attrs = dict(zip(_WINDOW, (KINDS[kind], *window, *s, *pads), strict=True))
    return from_nhwc(_pool2d(x, out=out, **attrs), spatial, data_format)


@public
def max_pool(
    inputs: Any, pool_size: Size, strides: Size | None = None, padding: str = "valid", data_format: str | None = None
) -> Tensor:
    """The largest element of each window; strides default to the window."""
    return _pool("max", inputs, pool_size, strides, padding, data_format)


@public
def average_pool(
    inputs: Any, pool_size: Size, strides: Size | None = None, padding: str = "valid", data_format: str | None = None
) -> Tensor:
    """The mean of each window's elements inside the input."""
    return _pool("average", inputs, pool_size, strides, padding, data_format)


@public
def median_pool(
    inputs: Any, pool_size: Size, strides: Size | None = None, padding: str = "valid", data_format: str | None = None
) -> Tensor:
    """The median of each window's elements inside the input; of an even count, the mean of the two middle ones."""
    return _pool("median", inputs, pool_size, strides, padding, data_format)
