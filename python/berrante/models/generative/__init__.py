"""Autoencoders and adversarial networks as models that you compile and fit."""

from berrante.models.generative.autoencoder import (
    Autoencoder,
    ContractiveAutoencoder,
    DenoisingAutoencoder,
    InputMasking,
    SparseAutoencoder,
)
from berrante.models.generative.base import Generative
from berrante.models.generative.vae import VAE, ConditionalVAE
from berrante.models.generative.vqvae import VQVAE, VectorQuantizer

ALL = (
    Autoencoder, DenoisingAutoencoder, SparseAutoencoder, ContractiveAutoencoder, VAE, ConditionalVAE, VQVAE,
)  # fmt: skip
# Layers of their own, which files name too.
LAYERS = (VectorQuantizer, InputMasking)
