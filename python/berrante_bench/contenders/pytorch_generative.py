"""The generative steps in PyTorch, eager and in channels_last; the generator's takes gradients of its own weights alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from berrante_bench.contenders import Steps
from berrante_bench.workloads_generative import BATCH, BETA, CODE, CRITIC, FILTERS, LATENT, PENALTY, RATE, images


def _generator() -> nn.Module:
    return nn.Sequential(
        nn.Linear(LATENT, 7 * 7 * 2 * FILTERS, bias=False), nn.Unflatten(1, (2 * FILTERS, 7, 7)),
        nn.BatchNorm2d(2 * FILTERS), nn.ReLU(), nn.ConvTranspose2d(2 * FILTERS, FILTERS, 4, 2, 1, bias=False),
        nn.BatchNorm2d(FILTERS), nn.ReLU(), nn.ConvTranspose2d(FILTERS, 1, 4, 2, 1), nn.Tanh(),
    )  # fmt: skip


def _discriminator(norm: bool) -> nn.Module:
    second = nn.Conv2d(FILTERS, 2 * FILTERS, 4, 2, 1, bias=not norm)
    return nn.Sequential(
        nn.Conv2d(1, FILTERS, 4, 2, 1), nn.LeakyReLU(0.2), second, *([nn.BatchNorm2d(2 * FILTERS)] if norm else []),
        nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(7 * 7 * 2 * FILTERS, 1),
    )  # fmt: skip


def _penalty(judge: Any, real: Any, fake: Any) -> Any:
    share = torch.rand(BATCH, 1, 1, 1)
    mixed = (share * real + (1 - share) * fake).requires_grad_()
    slope = torch.autograd.grad(judge(mixed).sum(), mixed, create_graph=True)[0]
    return ((slope.flatten(1).norm(dim=1) - 1) ** 2).mean()


def _adversarial(name: str, layout: torch.memory_format) -> Callable[[Any], None]:
    gp = name == "wgan_gp"
    make, judge = _generator().to(memory_format=layout), _discriminator(not gp).to(memory_format=layout)
    adam = lambda m: torch.optim.Adam(m.parameters(), RATE, (BETA, 0.999), fused=True)
    g_adam, d_adam, bce = adam(make), adam(judge), F.binary_cross_entropy_with_logits
    ones, zeros = torch.ones(BATCH, 1), torch.zeros(BATCH, 1)

    def step(real: Any) -> None:
        for _ in range(CRITIC if gp else 1):
            made = make(torch.randn(BATCH, LATENT))
            fake = made.detach()
            if gp:
                loss = judge(fake).mean() - judge(real).mean() + PENALTY * _penalty(judge, real, fake)
            else:
                loss = bce(judge(real), ones) + bce(judge(fake), zeros)
            d_adam.zero_grad(set_to_none=True)
            loss.backward()
            d_adam.step()
        judge.requires_grad_(False)
        g_adam.zero_grad(set_to_none=True)
        (-judge(made).mean() if gp else bce(judge(made), ones)).backward()
        judge.requires_grad_(True)
        g_adam.step()

    return step


def _vae(layout: torch.memory_format) -> Callable[[Any], None]:
    encoder = nn.Sequential(
        nn.Conv2d(1, 32, 3, 2, 1), nn.ReLU(), nn.Conv2d(32, 64, 3, 2, 1), nn.ReLU(), nn.Flatten(),
        nn.Linear(7 * 7 * 64, 16), nn.ReLU(), nn.Linear(16, 2 * CODE),
    )  # fmt: skip
    decoder = nn.Sequential(
        nn.Linear(CODE, 7 * 7 * 64), nn.ReLU(), nn.Unflatten(1, (64, 7, 7)), nn.ConvTranspose2d(64, 64, 3, 2, 1, 1),
        nn.ReLU(), nn.ConvTranspose2d(64, 32, 3, 2, 1, 1), nn.ReLU(), nn.ConvTranspose2d(32, 1, 3, 1, 1),
    )  # fmt: skip
    model = nn.ModuleList([encoder, decoder]).to(memory_format=layout)
    adam = torch.optim.Adam(model.parameters(), 1e-3, fused=True)

    def step(x: Any) -> None:
        mean, log_var = encoder(x).chunk(2, dim=1)
        logits = decoder(mean + torch.exp(0.5 * log_var) * torch.randn_like(mean))
        likelihood = F.binary_cross_entropy_with_logits(logits, x, reduction="sum")
        loss = (likelihood - 0.5 * torch.sum(1 + log_var - mean.square() - log_var.exp())) / BATCH
        adam.zero_grad(set_to_none=True)
        loss.backward()
        adam.step()

    return step


def generative(task: dict[str, Any], option: str) -> Steps:
    """Steps on one batch."""
    if option == "compile":
        raise LookupError("no generative")
    layout = torch.channels_last if option == "channels_last" else torch.contiguous_format
    name = task["workload"]
    x = torch.from_numpy(images(name)).permute(0, 3, 1, 2).contiguous(memory_format=layout)
    step = _vae(layout) if name == "vae" else _adversarial(name, layout)

    def run(steps: int) -> None:
        for _ in range(steps):
            step(x)

    return run
