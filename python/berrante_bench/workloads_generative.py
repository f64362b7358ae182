"""The generative networks that are timed, all on images of 28 x 28 with a batch of 128, as one step of their training.

dcgan: Radford et al. (2015) with 64 filters, noise of 64, batch normalisation but in the first and last layers, Adam(2e-4, 0.5);
a step is one update of either network. wgan_gp: the same without normalisation in the critic, five updates of it, each with new
noise and a gradient penalty, and one of the generator. vae: keras.io's, of 32 and 64 filters and a code of two numbers.
"""

from __future__ import annotations

import numpy as np

GENERATIVE = ("dcgan", "wgan_gp", "vae")
BATCH, LATENT, FILTERS, CRITIC, PENALTY, CODE = 128, 64, 64, 5, 10.0, 2
RATE, BETA = 2e-4, 0.5


def images(name: str) -> np.ndarray:
    """One batch [N, 28, 28, 1]: in [0, 1] for the VAE, in [-1, 1] for the others."""
    x = np.random.default_rng(0).random((BATCH, 28, 28, 1), dtype=np.float32)
    return x if name == "vae" else x * 2 - 1
