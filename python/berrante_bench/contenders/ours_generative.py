"""berrante's generative models, as its users fit them."""

from __future__ import annotations

from typing import Any

import numpy as np

from berrante_bench.contenders import Steps
from berrante_bench.workloads_generative import BATCH, BETA, CODE, CRITIC, FILTERS, LATENT, PENALTY, RATE, images


def _model(name: str) -> Any:
    import berrante
    from berrante import layers as L
    from berrante import zoo
    from berrante.models import GAN, VAE, WGAN, Sequential

    adam = lambda: berrante.optimizers.Adam(RATE, beta_1=BETA)
    if name == "dcgan":
        model: Any = GAN(*zoo.dcgan((28, 28, 1), LATENT, FILTERS))
        model.compile(adam(), adam())
    elif name == "wgan_gp":
        model = WGAN(*zoo.dcgan((28, 28, 1), LATENT, FILTERS, normalise=None), gp_weight=PENALTY)
        model.compile(adam(), adam(), n_critic=CRITIC)
    else:
        down = [L.Conv2D(n, 3, 2, padding="same", activation="relu") for n in (32, 64)]
        up = [L.Conv2DTranspose(n, 3, 2, padding="same", activation="relu") for n in (64, 32)]
        encoder = Sequential([L.Input((28, 28, 1)), *down, L.Flatten(), L.Dense(16, activation="relu")])
        start = [L.Dense(7 * 7 * 64, activation="relu"), L.Reshape((7, 7, 64))]
        decoder = Sequential([L.Input((CODE,)), *start, *up, L.Conv2DTranspose(1, 3, padding="same")])
        model = VAE(encoder, decoder, latent_dim=CODE)
        model.compile("adam")
    return model


def generative(task: dict[str, Any], option: str) -> Steps:
    """Steps of `fit` on one batch that is repeated."""
    model, x = _model(task["workload"]), images(task["workload"])

    def run(steps: int) -> None:
        rows = np.broadcast_to(x, (steps, *x.shape)).reshape(-1, *x.shape[1:])
        model.fit(rows, batch_size=BATCH, epochs=1, verbose=0, shuffle=False, callbacks=[])

    return run
