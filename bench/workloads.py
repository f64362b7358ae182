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


# Layers: ("conv", filters, kernel, padding), ("pool", kind), ("act", name), ("dense", units), ("dropout", rate), ("flatten",)
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
    )
}  # fmt: skip


def data(w: Workload) -> tuple[np.ndarray, np.ndarray]:
    """One batch: inputs, and one-hot (or real) targets."""
    rng = np.random.default_rng(0)
    x = rng.random((w.batch, *w.input_shape), dtype=np.float32)
    if w.loss == "mse":
        return x, rng.integers(0, 2, (w.batch, w.classes)).astype(np.float32)
    return x, np.eye(w.classes, dtype=np.float32)[rng.integers(0, w.classes, w.batch)]


def berrante_steps(w: Workload) -> Steps:
    import berrante as keras
    from berrante import layers

    model = keras.Sequential([keras.Input(w.input_shape)])
    for kind, *args in w.layers:
        if kind == "conv":
            model.add(layers.Conv2D(args[0], args[1], padding=args[2]))
        elif kind == "pool":
            model.add(layers.MaxPooling2D() if args[0] == "max" else layers.AveragePooling2D())
        elif kind == "act":
            model.add(layers.Activation(args[0]))
        elif kind == "dense":
            model.add(layers.Dense(args[0]))
        elif kind == "dropout":
            model.add(layers.Dropout(args[0]))
        else:
            model.add(layers.Flatten())
    model.compile(optimizer=w.optimizer, loss="mse" if w.loss == "mse" else "categorical_crossentropy")
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

    modules: list[nn.Module] = []
    for kind, *args in w.layers:
        if kind == "conv":
            modules.append(nn.LazyConv2d(args[0], args[1], padding=args[2]))
        elif kind == "pool":
            modules.append(nn.MaxPool2d(2) if args[0] == "max" else nn.AvgPool2d(2))
        elif kind == "act" and args[0] != "softmax":
            modules.append({"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}[args[0]]())
        elif kind == "dense":
            modules.append(nn.LazyLinear(args[0]))
        elif kind == "dropout":
            modules.append(nn.Dropout(args[0]))
        elif kind == "flatten":
            modules.append(nn.Flatten())
    model = nn.Sequential(*modules)
    xs, ys = data(w)
    x, y = torch.from_numpy(xs), torch.from_numpy(ys)
    if x.ndim == 4:
        x = x.permute(0, 3, 1, 2)
        x = x.contiguous(memory_format=torch.channels_last) if channels_last else x.contiguous()
    model(x)
    if channels_last:
        model = model.to(memory_format=torch.channels_last)
    parameters = list(model.parameters())
    optimizer = torch.optim.SGD(parameters, 0.01) if w.optimizer == "sgd" else torch.optim.Adam(parameters, fused=True)
    loss_fn: Callable[..., Any] = nn.MSELoss() if w.loss == "mse" else nn.CrossEntropyLoss()
    if compiled:
        model = torch.compile(model)

    def run(steps: int) -> None:
        for _ in range(steps):
            optimizer.zero_grad(set_to_none=True)
            loss_fn(model(x), y).backward()
            optimizer.step()

    return run
