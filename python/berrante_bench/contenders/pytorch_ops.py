"""PyTorch's single operations: images in NCHW, or in channels_last with that option."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.nn import functional as f

from berrante_bench.contenders import Steps
from berrante_bench.op_cases import operands

OF_IMAGES = ("conv2d", "conv2d_transpose", "max_pool", "average_pool", "upsample", "batch_norm")


def tensors(task: dict[str, Any], option: str) -> list[Any]:
    """The operands: images as NCHW, filters as [K, C, KH, KW], in the option's memory format."""
    made = [torch.from_numpy(a) for a in operands(task)]
    if task["op"] in OF_IMAGES:
        layout = torch.channels_last if option == "channels_last" else torch.contiguous_format
        order = ((0, 3, 1, 2), (3, 2, 0, 1))
        return [t.permute(order[i]).contiguous(memory_format=layout) if t.ndim == 4 else t for i, t in enumerate(made)]
    if option:
        raise LookupError("only images have memory formats")
    return made


def op(task: dict[str, Any], option: str) -> Steps:
    """The task's operation, called once a step."""
    function, mode, attrs = _OPS[task["op"]], task["mode"], task["attrs"]
    xs = tensors(task, option)
    if mode == "forward":

        def forward(steps: int) -> None:
            with torch.inference_mode():
                for _ in range(steps):
                    function(*xs, **attrs)

        return forward
    wanted = [xs[i].requires_grad_() for i in task["wrt"] or range(len(xs))]
    y = function(*xs, **attrs)
    dy = torch.ones_like(y)

    def both(steps: int) -> None:
        for _ in range(steps):
            torch.autograd.grad(function(*xs, **attrs), wanted, dy)

    def gradients(steps: int) -> None:
        for _ in range(steps):
            torch.autograd.grad(y, wanted, dy, retain_graph=True)

    return both if mode == "both" else gradients


def _matmul(a: Any, b: Any, transpose_a: bool = False, transpose_b: bool = False) -> Any:
    return (a.mT if transpose_a else a) @ (b.mT if transpose_b else b)


def _batch_norm(x: Any, scale: Any, offset: Any) -> Any:
    return f.batch_norm(x, None, None, scale, offset, training=True, eps=1e-3)


def _adam(p: Any, g: Any, m: Any, v: Any) -> None:
    rule = {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "weight_decay": 0.0, "eps": 1e-8}
    torch._fused_adam_([p], [g], [m], [v], [], [torch.ones(())], **rule, amsgrad=False, maximize=False)


_OPS: Mapping[str, Callable[..., Any]] = {
    "conv2d": lambda x, w, b, stride, dilation, padding, groups: f.conv2d(x, w, b, stride, padding, dilation, groups),
    # TensorFlow's "same": n * stride, the crop at the near side being (k - stride) // 2.
    "conv2d_transpose": lambda x, w, stride: f.conv_transpose2d(
        x, w, None, stride, (w.shape[2] - stride) // 2, (w.shape[2] - stride) % 2
    ),
    "matmul": _matmul,
    "dense": lambda x, w, b: torch.addmm(b, x, w),
    "max_pool": lambda x, size, stride: f.max_pool2d(x, size, stride),
    "average_pool": lambda x, size, stride: f.avg_pool2d(x, size, stride),
    "upsample": lambda x: f.interpolate(x, scale_factor=2),
    "softmax": lambda x: f.softmax(x, -1),
    "cross_entropy": lambda x, t: f.cross_entropy(x, t, reduction="none"),
    "layer_norm": lambda x, scale, offset: f.layer_norm(x, scale.shape, scale, offset, 1e-5),
    "batch_norm": _batch_norm,
    "chain": lambda x, a, b: torch.relu(x * a + b),
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "exp": torch.exp,
    "gelu": lambda x: f.gelu(x, approximate="tanh"),
    "sum": torch.sum,
    "sum_rows": lambda x: x.sum(1),
    "sum_columns": lambda x: x.sum(0),
    "transpose": lambda x, axes: x.permute(axes).contiguous(),
    "concatenate": lambda *xs: torch.cat(xs, -1),
    "gather": lambda x, rows: x.index_select(0, rows),
    "random_uniform": lambda shape: torch.rand(shape),
    "random_normal": lambda shape: torch.randn(shape),
    "dropout": lambda x: f.dropout(x, 0.5),
    "adam": _adam,
}
