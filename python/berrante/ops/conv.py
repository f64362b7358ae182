"""Convolutions, with the names and semantics of keras.ops: 1-D and 2-D, depthwise, separable and transposed.

The primitives work on NHWC with explicit padding; 1-D tensors get a height of 1, and channels_first tensors are
transposed in and out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from berrante.graph import primitives as p
from berrante.graph.op import Op, as_tensor
from berrante.graph.primitives import floating
from berrante.graph.tensor import Node, Tensor, TensorSpec
from berrante.ops.public import public
from berrante.ops.shape import moveaxis

Size = int | Sequence[int]


def pair(name: str, x: Size, n: int) -> tuple[int, ...]:
    values = (x,) * n if isinstance(x, int) else tuple(int(i) for i in x)
    if len(values) != n or min(values) < 1:
        raise ValueError(f"[{name}] expected {n} positive integers; received {x}")
    return values


def same_padding(n: int, k: int, stride: int, dilation: int = 1) -> tuple[int, int]:
    """Elements before and in all, for an output of ceil(n / stride)."""
    out = -(-n // stride)
    total = max((out - 1) * stride + (k - 1) * dilation + 1 - n, 0)
    return total // 2, total


def window_geometry(
    name: str, extents: Sequence[int], window: Sequence[int], strides: Sequence[int], padding: str,
    dilation: Sequence[int] | None = None,
) -> tuple[tuple[int, ...], tuple[int, ...]]:  # fmt: skip
    """Output extents and padding before, of windows over spatial dimensions."""
    if padding not in ("same", "valid"):
        raise ValueError(f"[{name}] expected padding 'same' or 'valid'; received {padding!r}")
    outs, pads = [], []
    for n, k, s, d in zip(extents, window, strides, dilation or (1,) * len(window), strict=True):
        before, total = same_padding(n, k, s, d) if padding == "same" else (0, 0)
        out = (n + total - ((k - 1) * d + 1)) // s + 1
        if out < 1 and n > 0:
            raise ValueError(
                f"[{name}] Computed output size would be zero or negative. A window of {tuple(window)} does not "
                f"fit into an input of {tuple(extents)} with padding "
                f"{padding!r}"
            )
        outs.append(out)
        pads.append(before)
    return tuple(outs), tuple(pads)


# --- primitives -----------------------------------------------------------------------------------------------------

_GEOMETRY = ("stride_h", "stride_w", "pad_top", "pad_left", "dilation_h", "dilation_w", "groups")


def _geometry(node: Node) -> dict[str, int]:
    return {k: node.attrs[k] for k in _GEOMETRY}


def _infer_conv(x: Tensor, w: Tensor, out: tuple[int, int], groups: int, **_: int) -> TensorSpec:
    if x.shape[3] != w.shape[2] * groups or w.shape[3] % groups:
        raise ValueError(
            f"[conv] a kernel of shape {w.shape} with groups={groups} expects {w.shape[2] * groups} input channels; "
            f"received input of shape {x.shape}"
        )
    return TensorSpec((x.shape[0], *out, w.shape[3]))


def _grad_conv(node: Node, dy: Tensor) -> list[Tensor]:
    x, w = node.inputs
    g = _geometry(node)
    return [
        _conv2d_input_grad(dy, w, extents=x.shape[1:3], activation=0, **g),
        _conv2d_weight_grad(x, dy, window=w.shape[:2], **g),
    ]


def _grad_input_grad(node: Node, dx: Tensor) -> list[Tensor]:
    # The adjoint of the adjoint is the convolution itself; in w it is the weight gradient with dx as the input.
    dy, w = node.inputs
    g = _geometry(node)
    return [
        _conv2d(dx, w, out=dy.shape[1:3], activation=0, **g),
        _conv2d_weight_grad(dx, dy, window=w.shape[:2], **g),
    ]


def _grad_weight_grad(node: Node, dw: Tensor) -> list[Tensor]:
    x, dy = node.inputs
    g = _geometry(node)
    return [
        _conv2d_input_grad(dy, dw, extents=x.shape[1:3], activation=0, **g),
        _conv2d(x, dw, out=dy.shape[1:3], activation=0, **g),
    ]


_conv2d = Op("conv2d", _infer_conv, _grad_conv)
_conv2d_input_grad = Op(
    "conv2d_input_grad",
    lambda dy, w, extents, groups, **_: TensorSpec((dy.shape[0], *extents, w.shape[2] * groups)),
    _grad_input_grad,
)
_conv2d_weight_grad = Op(
    "conv2d_weight_grad",
    lambda x, dy, window, groups, **_: TensorSpec((*window, x.shape[3] // groups, dy.shape[3])),
    _grad_weight_grad,
)


def _attrs(strides: Sequence[int], pads: Sequence[int], dilation: Sequence[int], groups: int) -> dict[str, int]:
    numbers = (*strides, *pads, *dilation, groups)
    return dict(zip(_GEOMETRY, numbers, strict=True))


# --- to NHWC and back -----------------------------------------------------------------------------------------------


def to_nhwc(name: str, x: Any, data_format: str | None) -> tuple[Tensor, int]:
    """The input as [N, H, W, C], and its number of spatial dimensions."""
    x = floating(x)
    spatial = len(x.shape) - 2
    if spatial not in (1, 2):
        raise ValueError(f"[{name}] expected 3-D or 4-D input; received shape {x.shape}")
    if data_format == "channels_first":
        x = moveaxis(x, 1, -1)
    elif data_format not in (None, "channels_last"):
        raise ValueError(f"[{name}] expected data_format channels_last or channels_first; received {data_format!r}")
    return (p.reshape(x, (x.shape[0], 1, *x.shape[1:])) if spatial == 1 else x), spatial


def from_nhwc(y: Tensor, spatial: int, data_format: str | None) -> Tensor:
    if spatial == 1:
        y = p.reshape(y, (y.shape[0], *y.shape[2:]))
    return moveaxis(y, -1, 1) if data_format == "channels_first" else y


def _kernel_4d(w: Tensor) -> Tensor:
    return p.reshape(w, (1, *w.shape)) if len(w.shape) == 3 else w


def _both(x: tuple[int, ...]) -> tuple[int, ...]:
    return (1, *x) if len(x) == 1 else x


# --- public ---------------------------------------------------------------------------------------------------------


@public
def conv(
    inputs: Any, kernel: Any, strides: Size = 1, padding: str = "valid", data_format: str | None = None,
    dilation_rate: Size = 1, groups: int | None = None,
) -> Tensor:  # fmt: skip
    """Cross-correlation of [N, (H,) W, C] with a kernel of [(KH,) KW, C / groups, K].

    groups follows from the shapes. Raises ValueError where channels or windows do not fit.
    """
    x, spatial = to_nhwc("conv", inputs, data_format)
    w = floating(kernel)
    if len(w.shape) != spatial + 2:
        raise ValueError(f"[conv] expected a kernel of rank {spatial + 2}; received shape {w.shape}")
    w = _kernel_4d(w)
    s, d = _both(pair("conv", strides, spatial)), _both(pair("conv", dilation_rate, spatial))
    channels = x.shape[-1]
    if groups is None:
        groups = channels // w.shape[2] if w.shape[2] and channels % w.shape[2] == 0 else 1
    if channels != w.shape[2] * groups:
        raise ValueError(
            f"[conv] a kernel of shape {as_tensor(kernel).shape} expects {w.shape[2] * groups} input channels; "
            f"received input of shape {as_tensor(inputs).shape}"
        )
    out, pads = window_geometry("conv", x.shape[1:3], w.shape[:2], s, padding, d)
    y: Tensor = _conv2d(x, w, out=out, activation=0, **_attrs(s, pads, d, groups))
    return from_nhwc(y, spatial, data_format)


@public
def depthwise_conv(
    inputs: Any, kernel: Any, strides: Size = 1, padding: str = "valid", data_format: str | None = None,
    dilation_rate: Size = 1,
) -> Tensor:  # fmt: skip
    """Each channel with its own M kernels: [(KH,) KW, C, M] gives C * M channels."""
    w = floating(kernel)
    c, m = w.shape[-2:]
    return conv(inputs, p.reshape(w, (*w.shape[:-2], 1, c * m)), strides, padding, data_format, dilation_rate, groups=c)


@public
def separable_conv(
    inputs: Any, depthwise_kernel: Any, pointwise_kernel: Any, strides: Size = 1, padding: str = "valid",
    data_format: str | None = None, dilation_rate: Size = 1,
) -> Tensor:  # fmt: skip
    """A depthwise convolution, then one of 1 x 1."""
    y = depthwise_conv(inputs, depthwise_kernel, strides, padding, data_format, dilation_rate)
    return conv(y, pointwise_kernel, 1, "valid", data_format)


def transpose_geometry(
    n: int, k: int, stride: int, padding: str, output_padding: int | None, dilation: int
) -> tuple[int, int]:
    """Output extent and cropping before, of a transposed convolution (TensorFlow's definition)."""
    extent = (k - 1) * dilation + 1
    if output_padding is None:
        out = n * stride if padding == "same" else (n - 1) * stride + max(extent, stride)
        crop = max(extent - stride, 0) // 2 if padding == "same" else 0
        return out, crop
    if padding == "valid":
        return (n - 1) * stride + extent + output_padding, 0
    surplus = max(extent - extent % 2 - output_padding, 0)  # what (n - 1) * stride + extent is too long
    return (n - 1) * stride + extent % 2 + output_padding, surplus // 2


@public
def conv_transpose(
    inputs: Any, kernel: Any, strides: Size = 1, padding: str = "valid", output_padding: Size | None = None,
    data_format: str | None = None, dilation_rate: Size = 1,
) -> Tensor:  # fmt: skip
    """The transposed convolution with a kernel of [(KH,) KW, K, C]: `same` gives n * stride."""
    x, spatial = to_nhwc("conv_transpose", inputs, data_format)
    w = _kernel_4d(floating(kernel))
    if w.shape[3] != x.shape[3]:
        raise ValueError(
            f"[conv_transpose] a kernel of shape {as_tensor(kernel).shape} expects {w.shape[3]} input channels; "
            f"received input of shape {as_tensor(inputs).shape}"
        )
    if padding not in ("same", "valid"):
        raise ValueError(f"[conv_transpose] expected padding 'same' or 'valid'; received {padding!r}")
    s, d = _both(pair("conv_transpose", strides, spatial)), _both(pair("conv_transpose", dilation_rate, spatial))
    extra: list[int | None]
    if output_padding is None:
        extra = [None] * spatial
    else:
        extra = [output_padding] * spatial if isinstance(output_padding, int) else list(output_padding)
    extra = [None, *extra] if spatial == 1 else extra
    geometry = [transpose_geometry(x.shape[1 + i], w.shape[i], s[i], padding, extra[i], d[i]) for i in range(2)]
    extents, crops = tuple(g[0] for g in geometry), tuple(g[1] for g in geometry)
    y: Tensor = _conv2d_input_grad(x, w, extents=extents, activation=0, **_attrs(s, crops, d, 1))
    return from_nhwc(y, spatial, data_format)
