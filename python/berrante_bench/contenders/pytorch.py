"""PyTorch: eager, eager in channels_last, and torch.compile. Losses take logits, Adam is the fused one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from berrante_bench.contenders import Steps
from berrante_bench.contenders.pytorch_generative import generative as generative
from berrante_bench.contenders.pytorch_ops import op as op
from berrante_bench.workloads import Layers, Workload, data, of_task

_LOSSES = {"mse": nn.MSELoss, "cross_entropy": nn.CrossEntropyLoss, "reconstruction": nn.BCEWithLogitsLoss}


def _format(option: str) -> torch.memory_format:
    return torch.channels_last if option == "channels_last" else torch.contiguous_format


def _tensors(w: Workload, option: str, samples: int | None = None, images: bool = False) -> tuple[Any, Any]:
    """Inputs and targets; images in NCHW order."""
    x, y = (torch.from_numpy(a) for a in data(w, samples, images))
    if x.ndim == 4:
        x = x.permute(0, 3, 1, 2).contiguous(memory_format=_format(option))
        y = y.permute(0, 3, 1, 2).contiguous(memory_format=_format(option)) if y.ndim == 4 else y
    return x, y


def _model(layers: Layers, x: Any, option: str) -> Any:
    make: dict[str, Callable[..., Any]] = {
        "conv": lambda filters, kernel, padding: nn.LazyConv2d(filters, kernel, padding=padding),
        "pool": lambda kind: nn.MaxPool2d(2) if kind == "max" else nn.AvgPool2d(2),
        "up": lambda: nn.Upsample(scale_factor=2), "norm": nn.LazyBatchNorm2d, "act": _activation,
        "dense": nn.LazyLinear, "dropout": nn.Dropout, "flatten": nn.Flatten,
    }  # fmt: skip
    model = nn.Sequential(*(make[kind](*args) for kind, *args in layers))
    model(x[:2])
    return model.to(memory_format=_format(option))


def _activation(name: str) -> nn.Module:
    if name == "softmax":
        return nn.Softmax(dim=1)
    return {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}[name]()


def _trainer(w: Workload, x: Any, option: str) -> Callable[[Any, Any], None]:
    """One training step."""
    model = _model(w.logits, x, option)
    parameters = list(model.parameters())
    optimizer = torch.optim.SGD(parameters, 0.01) if w.optimizer == "sgd" else torch.optim.Adam(parameters, fused=True)
    loss_fn = _LOSSES[w.loss]()
    run = torch.compile(model) if option == "compile" else model

    def step(x: Any, y: Any) -> None:
        optimizer.zero_grad(set_to_none=True)
        loss_fn(run(x), y).backward()
        optimizer.step()

    return step


def train(task: dict[str, Any], option: str) -> Steps:
    """Training steps on one batch."""
    w = of_task(task)
    x, y = _tensors(w, option)
    step = _trainer(w, x, option)

    def run(steps: int) -> None:
        for _ in range(steps):
            step(x, y)

    return run


def fit(task: dict[str, Any], option: str) -> Steps:
    """Epochs over uint8 images in memory: shuffled, gathered, converted batch by batch."""
    w = of_task(task)
    x, y = _tensors(w, option, task["samples"], images=True)
    step = _trainer(w, x[: w.batch].float(), option)

    def run(epochs: int) -> None:
        for _ in range(epochs):
            for rows in torch.randperm(len(x)).split(w.batch):
                batch = x[rows].float().div_(255)
                step(batch, batch if w.loss == "reconstruction" else y[rows])

    return run


def predict(task: dict[str, Any], option: str) -> Steps:
    """Predictions of one batch."""
    w = of_task(task)
    x, _ = _tensors(w, option)
    model = _model(w.layers, _tensors(w, option, 2)[0], option).eval()
    run_model = torch.compile(model) if option == "compile" else model

    def run(steps: int) -> None:
        with torch.inference_mode():
            for _ in range(steps):
                run_model(x)

    return run
