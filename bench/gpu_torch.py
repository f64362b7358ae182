"""PyTorch's side of the GPU race, in the forms that its users know: eager, channels_last, one CUDA graph of the whole step,
and torch.compile(mode="max-autotune")."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import torch
from gpu_networks import Layers, Network, data
from torch import nn


class Net(nn.Module):
    def __init__(self, layers: Layers, drop_last: bool) -> None:
        super().__init__()
        if drop_last and layers[-1][0] == "act" and layers[-1][1] in ("softmax", "sigmoid"):
            layers = layers[:-1]  # the losses take logits
        make: dict[str, Callable[..., nn.Module]] = {
            "conv": lambda f, k, padding: nn.LazyConv2d(f, k, padding=padding),
            "up_conv": lambda f: nn.LazyConvTranspose2d(f, 4, 2, 1),
            "down_conv": lambda f: nn.LazyConv2d(f, 4, 2, 1),
            "pool": lambda kind: nn.MaxPool2d(2) if kind == "max" else nn.AvgPool2d(2),
            "up": lambda: nn.Upsample(scale_factor=2), "norm": nn.LazyBatchNorm2d, "dense": nn.LazyLinear,
            "dropout": nn.Dropout, "flatten": nn.Flatten, "push": nn.Identity, "join": nn.Identity,
            "reshape": lambda h, w, c: nn.Unflatten(1, (c, h, w)),
            "act": lambda name: {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid,
                                 "leaky_relu": lambda: nn.LeakyReLU(0.2)}[name](),
        }  # fmt: skip
        self.kinds = [kind for kind, *_ in layers]
        self.parts = nn.ModuleList(make[kind](*args) for kind, *args in layers)

    def forward(self, x: Any) -> Any:
        saved = []
        for kind, part in zip(self.kinds, self.parts):
            if kind == "push":
                saved.append(x)
            elif kind == "join":
                x = torch.cat([x, saved.pop()], dim=1)
            else:
                x = part(x)
        return x


def steps(network: Network, precision: str, form: str, device: str = "cuda") -> Callable[[int], None]:
    """form: eager, channels_last, graph or compile."""
    allow = precision != "fp32"
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = allow
    torch.backends.cudnn.benchmark = True
    memory = torch.channels_last if form != "eager" else torch.contiguous_format
    on_gpu = device != "cpu"

    def images(a: Any) -> Any:
        t = torch.from_numpy(a).to(device)
        return t.permute(0, 3, 1, 2).contiguous(memory_format=memory) if t.ndim == 4 else t

    x, y = (images(a) for a in data(network))

    def net(layers: Layers, example: Any) -> Any:
        module = Net(layers, network.loss != "mse").to(device)
        with torch.no_grad():
            module(example)
        return module.to(memory_format=memory) if form != "eager" else module

    def amp() -> Any:
        return torch.autocast(device, torch.bfloat16) if precision == "bf16" else contextlib.nullcontext()

    def adam(module: Any, **kw: Any) -> Any:
        return torch.optim.Adam(module.parameters(), fused=True, capturable=form == "graph" and on_gpu, **kw)

    loss_fn: Any = nn.CrossEntropyLoss() if network.loss == "cross_entropy" else nn.BCEWithLogitsLoss()
    model = net(network.layers, x)
    if network.loss == "gan":
        critic = net(network.critic, y)
        g_adam, c_adam = adam(model, lr=2e-4, betas=(0.5, 0.999)), adam(critic, lr=2e-4, betas=(0.5, 0.999))
        ones, zeros = torch.ones(network.batch, 1, device=device), torch.zeros(network.batch, 1, device=device)
        generate, judge = (torch.compile(m, mode="max-autotune") if form == "compile" else m for m in (model, critic))

        def step() -> None:
            c_adam.zero_grad(set_to_none=True)
            with amp():
                fake = generate(x).detach()
                c_loss = loss_fn(judge(y).float(), ones) + loss_fn(judge(fake).float(), zeros)
            c_loss.backward()
            c_adam.step()
            g_adam.zero_grad(set_to_none=True)
            with amp():
                g_loss = loss_fn(judge(generate(x)).float(), ones)
            g_loss.backward()
            g_adam.step()

    else:
        optimizer = adam(model)
        run_model = torch.compile(model, mode="max-autotune") if form == "compile" else model

        def step() -> None:
            optimizer.zero_grad(set_to_none=True)
            with amp():
                prediction = run_model(x)
            loss_fn(prediction.float(), y).backward()
            optimizer.step()

    if form == "graph" and on_gpu:
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                step()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            step()
        step = graph.replay

    def run(n: int) -> None:
        for _ in range(n):
            step()
        if on_gpu:
            torch.cuda.synchronize()

    return run
