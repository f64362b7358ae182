"""The training workloads that `bench/train.py` times, each written twice: with berrante and with PyTorch.

The PyTorch side is what its users write in their fastest ordinary form. Every workload gives a function that runs a
number of training steps on a batch that is already in memory.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Steps = Callable[[int], None]


@dataclass(frozen=True)
class Workload:
    """A network, its batch and its arithmetic: floating-point operations of one training step."""

    name: str
    batch: int
    input_shape: tuple[int, ...]
    classes: int
    layers: tuple[tuple[Any, ...], ...]
    optimizer: str
    loss: str
    flops: float


# Layers: ("conv", filters, kernel, padding), ("pool", kind), ("up",), ("norm",), ("act", name), ("dense", units),
# ("dropout", rate), ("flatten",). Pooling and enlarging are by 2. Losses: mse, cross_entropy (over the last axis), and
# reconstruction: binary crossentropy against the input.
_ENCODER = (
    ("conv", 16, 3, "same"),
    ("act", "relu"),
    ("pool", "max"),
    ("conv", 8, 3, "same"),
    ("act", "relu"),
    ("pool", "max"),
)
_DECODER = (("conv", 8, 3, "same"), ("act", "relu"), ("up",), ("conv", 16, 3, "same"), ("act", "relu"), ("up",),
            ("conv", 1, 3, "same"), ("act", "sigmoid"))  # fmt: skip
WORKLOADS = {
    w.name: w
    for w in (
        Workload("perceptron", 1, (2,), 1, (("dense", 1), ("act", "sigmoid")), "sgd", "mse", 1.2e1),
        Workload(
            "mlp", 128, (784,), 10,
            (("dense", 512), ("act", "relu"), ("dropout", 0.2), ("dense", 512), ("act", "relu"), ("dropout", 0.2),
             ("dense", 10), ("act", "softmax")),
            "adam", "cross_entropy", 0.41e9,
        ),
        Workload(
            "lenet5", 128, (28, 28, 1), 10,
            (("conv", 6, 5, "same"), ("act", "tanh"), ("pool", "average"), ("conv", 16, 5, "valid"), ("act", "tanh"),
             ("pool", "average"), ("flatten",), ("dense", 120), ("act", "tanh"), ("dense", 84), ("act", "tanh"),
             ("dense", 10), ("act", "softmax")),
            "adam", "cross_entropy", 0.29e9,
        ),
        Workload(
            "emotion", 100, (48, 48, 3), 4,
            (("conv", 10, 5, "valid"), ("act", "relu"), ("pool", "max"), ("conv", 10, 5, "valid"), ("act", "relu"),
             ("pool", "max"), ("conv", 10, 3, "valid"), ("act", "relu"), ("pool", "max"), ("flatten",),
             ("dense", 256), ("act", "relu"), ("dropout", 0.5), ("dense", 128), ("act", "relu"), ("dropout", 0.5),
             ("dense", 64), ("act", "relu"), ("dropout", 0.5), ("dense", 32), ("act", "relu"), ("dropout", 0.5),
             ("dense", 4), ("act", "softmax")),
            "adam", "cross_entropy", 1.13e9,
        ),
        Workload(
            "vgg_like", 64, (32, 32, 3), 10,
            (("conv", 64, 3, "same"), ("act", "relu"), ("conv", 64, 3, "same"), ("act", "relu"), ("pool", "max"),
             ("conv", 128, 3, "same"), ("act", "relu"), ("conv", 128, 3, "same"), ("act", "relu"), ("pool", "max"),
             ("conv", 256, 3, "same"), ("act", "relu"), ("pool", "max"), ("flatten",), ("dense", 256),
             ("act", "relu"), ("dense", 10), ("act", "softmax")),
            "adam", "cross_entropy", 43.7e9,
        ),
        Workload(
            "dense_autoencoder", 256, (784,), 784,
            (("dense", 128), ("act", "relu"), ("dense", 32), ("act", "relu"), ("dense", 128), ("act", "relu"),
             ("dense", 784), ("act", "sigmoid")),
            "adam", "reconstruction", 0.27e9,
        ),
        Workload("conv_autoencoder", 128, (28, 28, 1), 1, (*_ENCODER, *_DECODER), "adam", "reconstruction", 0.51e9),
        Workload(
            "segmenter", 4, (96, 96, 3), 2,
            (("conv", 32, 3, "same"), ("act", "relu"), ("pool", "max"), ("conv", 64, 3, "same"), ("act", "relu"),
             ("pool", "max"), ("conv", 128, 3, "same"), ("norm",), ("act", "relu"), ("up",), ("conv", 64, 3, "same"),
             ("norm",), ("act", "relu"), ("up",), ("conv", 32, 3, "same"), ("norm",), ("act", "relu"),
             ("conv", 2, 3, "same"), ("act", "softmax")),
            "adam", "cross_entropy", 10.4e9,
        ),
    )
}  # fmt: skip


def data(w: Workload) -> tuple[np.ndarray, np.ndarray]:
    """One batch: inputs, and targets as the loss wants them (one-hot for crossentropy)."""
    rng = np.random.default_rng(0)
    x = rng.random((w.batch, *w.input_shape), dtype=np.float32)
    if w.loss == "reconstruction":
        return x, x
    if w.loss == "mse":
        return x, rng.integers(0, 2, (w.batch, w.classes)).astype(np.float32)
    places = w.input_shape[:2] if w.name == "segmenter" else ()
    return x, np.eye(w.classes, dtype=np.float32)[rng.integers(0, w.classes, (w.batch, *places))]


_LOSSES = {"mse": "mse", "cross_entropy": "categorical_crossentropy", "reconstruction": "binary_crossentropy"}


def berrante_steps(w: Workload) -> Steps:
    import berrante as keras
    from berrante import layers as L

    make: dict[str, Callable[..., Any]] = {
        "conv": lambda filters, kernel, padding: L.Conv2D(filters, kernel, padding=padding),
        "pool": lambda kind: L.MaxPooling2D() if kind == "max" else L.AveragePooling2D(),
        "up": L.UpSampling2D, "norm": L.BatchNormalization, "act": L.Activation, "dense": L.Dense,
        "dropout": L.Dropout, "flatten": L.Flatten,
    }  # fmt: skip
    model = keras.Sequential([keras.Input(w.input_shape), *(make[kind](*args) for kind, *args in w.layers)])
    model.compile(optimizer=w.optimizer, loss=_LOSSES[w.loss])
    x, y = data(w)

    def run(steps: int) -> None:
        # fit's own loop: the batch repeated, as many rows as steps need.
        rows = np.broadcast_to(x, (steps, *x.shape)).reshape(-1, *x.shape[1:])
        targets = np.broadcast_to(y, (steps, *y.shape)).reshape(-1, *y.shape[1:])
        model.fit(rows, targets, batch_size=w.batch, epochs=1, verbose=0, shuffle=False)

    return run


def torch_steps(w: Workload, channels_last: bool = False, compiled: bool = False) -> Steps:
    import torch
    from torch import nn

    make: dict[str, Callable[..., Any]] = {
        "conv": lambda filters, kernel, padding: nn.LazyConv2d(filters, kernel, padding=padding),
        "pool": lambda kind: nn.MaxPool2d(2) if kind == "max" else nn.AvgPool2d(2),
        "up": lambda: nn.Upsample(scale_factor=2), "norm": nn.LazyBatchNorm2d,
        "act": lambda name: {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}[name](),
        "dense": nn.LazyLinear, "dropout": nn.Dropout, "flatten": nn.Flatten,
    }  # fmt: skip
    layers = list(w.layers)
    if layers[-1][1] in ("softmax", "sigmoid") and w.loss != "mse":
        layers.pop()  # PyTorch's losses take logits
    model = nn.Sequential(*(make[kind](*args) for kind, *args in layers))
    xs, ys = data(w)
    x, y = torch.from_numpy(xs), torch.from_numpy(ys)
    if x.ndim == 4:
        format_ = torch.channels_last if channels_last else torch.contiguous_format
        x = x.permute(0, 3, 1, 2).contiguous(memory_format=format_)
        y = y.permute(0, 3, 1, 2).contiguous(memory_format=format_) if y.ndim == 4 else y
    model(x)
    if channels_last:
        model = model.to(memory_format=torch.channels_last)
    parameters = list(model.parameters())
    optimizer = torch.optim.SGD(parameters, 0.01) if w.optimizer == "sgd" else torch.optim.Adam(parameters, fused=True)
    loss_fn: nn.Module = {
        "mse": nn.MSELoss, "cross_entropy": nn.CrossEntropyLoss, "reconstruction": nn.BCEWithLogitsLoss,
    }[w.loss]()  # fmt: skip
    if compiled:
        model = torch.compile(model)

    def run(steps: int) -> None:
        for _ in range(steps):
            optimizer.zero_grad(set_to_none=True)
            loss_fn(model(x), y).backward()
            optimizer.step()

    return run
