"""The generative steps in Keras 3 on PyTorch: keras.io's models with a train_step of their own, fitted."""

from __future__ import annotations

from typing import Any

import numpy as np

from berrante_bench.contenders import Steps
from berrante_bench.workloads_generative import BATCH, BETA, CODE, CRITIC, FILTERS, LATENT, PENALTY, RATE, images


def _generator(keras: Any) -> Any:
    L, kernel = keras.layers, {"padding": "same"}
    return keras.Sequential(
        [
            keras.Input((LATENT,)), L.Dense(7 * 7 * 2 * FILTERS, use_bias=False), L.Reshape((7, 7, 2 * FILTERS)),
            L.BatchNormalization(), L.ReLU(), L.Conv2DTranspose(FILTERS, 4, 2, use_bias=False, **kernel),
            L.BatchNormalization(), L.ReLU(), L.Conv2DTranspose(1, 4, 2, activation="tanh", **kernel),
        ]
    )  # fmt: skip


def _discriminator(keras: Any, norm: bool) -> Any:
    L, kernel = keras.layers, {"padding": "same"}
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)), L.Conv2D(FILTERS, 4, 2, **kernel), L.LeakyReLU(0.2),
            L.Conv2D(2 * FILTERS, 4, 2, use_bias=not norm, **kernel), *([L.BatchNormalization()] if norm else []),
            L.LeakyReLU(0.2), L.Flatten(), L.Dense(1),
        ]
    )  # fmt: skip


def _update(optimizer: Any, loss: Any, model: Any) -> None:
    import torch

    weights = model.trainable_weights
    gradients = torch.autograd.grad(loss, [w.value for w in weights])
    with torch.no_grad():
        optimizer.apply(list(gradients), weights)


def _adversarial(keras: Any, gp: bool) -> Any:
    import torch

    ops = keras.ops

    class Pair(keras.Model):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.make, self.judge = _generator(keras), _discriminator(keras, not gp)
            self.g_adam, self.d_adam = (keras.optimizers.Adam(RATE, BETA) for _ in range(2))
            for adam, part in ((self.g_adam, self.make), (self.d_adam, self.judge)):
                adam.build(part.trainable_weights)
            self.built = True

        def _penalty(self, real: Any, fake: Any) -> Any:
            share = torch.rand(BATCH, 1, 1, 1)
            mixed = (share * real + (1 - share) * fake).requires_grad_()
            slope = torch.autograd.grad(self.judge(mixed, training=True).sum(), mixed, create_graph=True)[0]
            return ((slope.flatten(1).norm(dim=1) - 1) ** 2).mean()

        def _entropy(self, scores: Any, target: Any) -> Any:
            return ops.mean(ops.binary_crossentropy(target(scores), scores, from_logits=True))

        def train_step(self, data: Any) -> Any:
            real = data[0] if isinstance(data, tuple) else data
            for _ in range(CRITIC if gp else 1):
                made = self.make(keras.random.normal((BATCH, LATENT)), training=True)
                fake = made.detach()
                a, b = (self.judge(x, training=True) for x in (real, fake))
                if gp:
                    loss = ops.mean(b) - ops.mean(a) + PENALTY * self._penalty(real, fake)
                else:
                    loss = self._entropy(a, ops.ones_like) + self._entropy(b, ops.zeros_like)
                _update(self.d_adam, loss, self.judge)
            scores = self.judge(made, training=True)
            _update(self.g_adam, -ops.mean(scores) if gp else self._entropy(scores, ops.ones_like), self.make)
            return {"d_loss": loss}

    return Pair()


def _vae(keras: Any) -> Any:
    L, ops = keras.layers, keras.ops
    down = [L.Conv2D(n, 3, 2, padding="same", activation="relu") for n in (32, 64)]
    up = [L.Conv2DTranspose(n, 3, 2, padding="same", activation="relu") for n in (64, 32)]
    head = [L.Flatten(), L.Dense(16, activation="relu"), L.Dense(2 * CODE)]
    start = [L.Dense(7 * 7 * 64, activation="relu"), L.Reshape((7, 7, 64))]

    class VAE(keras.Model):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.encoder = keras.Sequential([keras.Input((28, 28, 1)), *down, *head])
            self.decoder = keras.Sequential(
                [keras.Input((CODE,)), *start, *up, L.Conv2DTranspose(1, 3, padding="same")]
            )
            self.adam = keras.optimizers.Adam(1e-3)
            self.adam.build(self.trainable_weights)
            self.built = True

        def train_step(self, data: Any) -> Any:
            x = data[0] if isinstance(data, tuple) else data
            mean, log_var = ops.split(self.encoder(x, training=True), 2, axis=1)
            logits = self.decoder(mean + ops.exp(0.5 * log_var) * keras.random.normal((BATCH, CODE)), training=True)
            likelihood = ops.sum(ops.binary_crossentropy(x, logits, from_logits=True))
            loss = (likelihood - 0.5 * ops.sum(1 + log_var - ops.square(mean) - ops.exp(log_var))) / BATCH
            _update(self.adam, loss, self)
            return {"loss": loss}

    return VAE()


def generative(keras: Any, task: dict[str, Any], option: str) -> Steps:
    """Steps of `fit` on one batch that is repeated."""
    if option != "torch":
        raise LookupError("no generative")
    name = task["workload"]
    model = _vae(keras) if name == "vae" else _adversarial(keras, name == "wgan_gp")
    model.compile()
    x = images(name)

    def run(steps: int) -> None:
        rows = np.broadcast_to(x, (steps, *x.shape)).reshape(-1, *x.shape[1:])
        model.fit(rows, batch_size=BATCH, epochs=1, verbose=0, shuffle=False)

    return run
