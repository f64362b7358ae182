"""Autoencoders and adversarial networks as models that you compile and fit."""

from berrante.models.generative.adversarial import Adversarial
from berrante.models.generative.anogan import FAnoGAN
from berrante.models.generative.autoencoder import (
    Autoencoder,
    ContractiveAutoencoder,
    DenoisingAutoencoder,
    InputMasking,
    SparseAutoencoder,
)
from berrante.models.generative.base import Generative
from berrante.models.generative.cyclegan import CycleGAN
from berrante.models.generative.gan import GAN, WGAN, ConditionalGAN
from berrante.models.generative.image_gan import SRGAN, Inpainter, Pix2Pix
from berrante.models.generative.text_gan import TextToImageGAN, vocabulary_of
from berrante.models.generative.unpooling import MaxUnpooling2D
from berrante.models.generative.vae import VAE, ConditionalVAE
from berrante.models.generative.vqvae import VQVAE, VectorQuantizer

ALL = (
    Autoencoder, DenoisingAutoencoder, SparseAutoencoder, ContractiveAutoencoder, VAE, ConditionalVAE, VQVAE, GAN, WGAN,
    ConditionalGAN, Pix2Pix, CycleGAN, SRGAN, Inpainter, TextToImageGAN, FAnoGAN,
)  # fmt: skip
# Layers of their own, which files name too.
LAYERS = (VectorQuantizer, InputMasking, MaxUnpooling2D)
