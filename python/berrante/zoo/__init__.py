"""Ready architectures: builders that give plain models."""

from berrante.zoo.autoencoders import conv_autoencoder, dense_autoencoder
from berrante.zoo.classifiers import digit_classifier, lenet5
from berrante.zoo.gans import dcgan, patch_discriminator, resnet_generator, super_resolution
from berrante.zoo.segmentation import segnet, unet
