"""Generators and discriminators: DCGAN (Radford et al., 2015), PatchGAN (Isola et al., 2017) and residual translators."""

from __future__ import annotations

from typing import Any

from berrante import initializers, layers
from berrante.models import Model, Sequential


def _normal() -> Any:
    return initializers.RandomNormal(stddev=0.02)


def _batch_normal() -> Any:
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5)


def dcgan(
    input_shape: Any = (28, 28, 1), latent_dim: int = 64, filters: int = 64, num_classes: int = 0, dropout: float = 0.0,
    normalise: str | None = "batch", output: str = "tanh",
) -> tuple[Any, Any]:  # fmt: skip
    """(generator, discriminator) for images whose sides are divisible by 4.

    Args:
        filters: of the discriminator's first layer; its second and the generator's first have twice as many.
        num_classes: for a ConditionalGAN: both get the one-hot class as a second input.
        dropout: in the discriminator. normalise: its normalisation, which neither its first nor its last layer has:
            "batch" (without it this small pair collapses), "layer" (as WGAN-GP wants), or None.
    """
    if normalise not in (None, "batch", "layer"):
        raise ValueError(f"dcgan: expected normalise to be batch, layer or None; received {normalise!r}")
    h, w, c = input_shape
    if h % 4 or w % 4:
        raise ValueError(f"dcgan: expected height and width divisible by 4; received {h} x {w}")
    return (
        _generator(h, w, c, latent_dim, filters, num_classes, output),
        _discriminator(h, w, c, filters, num_classes, dropout, normalise),
    )


def _generator(h: int, w: int, c: int, latent_dim: int, filters: int, num_classes: int, output: str) -> Any:
    z = layers.Input((latent_dim,))
    classes = [layers.Input((num_classes,))] if num_classes else []
    x: Any = layers.Concatenate()([z, *classes]) if classes else z
    x = layers.Dense((h // 4) * (w // 4) * 2 * filters, use_bias=False, kernel_initializer=_normal())(x)
    x = layers.Reshape((h // 4, w // 4, 2 * filters))(x)
    x = layers.ReLU()(_batch_normal()(x))
    x = layers.Conv2DTranspose(filters, 4, 2, padding="same", use_bias=False, kernel_initializer=_normal())(x)
    x = layers.ReLU()(_batch_normal()(x))
    x = layers.Conv2DTranspose(c, 4, 2, padding="same", activation=output, kernel_initializer=_normal())(x)
    return Model([z, *classes] if classes else z, x, name="generator")


def _discriminator(
    h: int, w: int, c: int, filters: int, num_classes: int, dropout: float, normalise: str | None
) -> Any:
    image = layers.Input((h, w, c))
    classes = [layers.Input((num_classes,))] if num_classes else []
    x: Any = image
    for i, n in enumerate((filters, 2 * filters)):
        shift = not (i and normalise == "batch")
        x = layers.Conv2D(n, 4, 2, padding="same", use_bias=shift, kernel_initializer=_normal())(x)
        if i and normalise is not None:
            x = layers.LayerNormalization()(x) if normalise == "layer" else _batch_normal()(x)
        x = layers.LeakyReLU(0.2)(x)
        x = layers.Dropout(dropout)(x) if dropout else x
    x = layers.Flatten()(x)
    score = layers.Dense(1, kernel_initializer=_normal())(x)
    if classes:
        # The projection of the features on the class's vector (Miyato and Koyama, 2018).
        own = layers.Dense(128, use_bias=False)(classes[0])
        score = layers.Add()([score, layers.Dot(axes=1)([layers.Dense(128)(x), own])])
    return Model([image, *classes] if classes else image, score, name="discriminator")


def patch_discriminator(input_shape: Any, filters: int = 32, depth: int = 2, name: str = "discriminator") -> Any:
    """A map of scores, each of a patch: `depth` convolutions of stride 2, then two of stride 1."""
    stack: list[Any] = [layers.Input(tuple(input_shape))]
    for i in range(depth):
        stack += [
            layers.Conv2D(filters * 2**i, 4, 2, padding="same", kernel_initializer=_normal()),
            layers.LeakyReLU(0.2),
        ]
    stack += [layers.Conv2D(filters * 2**depth, 3, padding="same", kernel_initializer=_normal()), layers.LeakyReLU(0.2)]
    return Sequential([*stack, layers.Conv2D(1, 3, padding="same", kernel_initializer=_normal())], name=name)


def _residual(x: Any, filters: int) -> Any:
    y = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
    return layers.Add()([x, layers.Conv2D(filters, 3, padding="same")(y)])


def resnet_generator(
    input_shape: Any, channels: int = 1, filters: int = 32, blocks: int = 4, output: str = "sigmoid",
    name: str = "generator",
) -> Any:  # fmt: skip
    """From image to image of the same size: residual blocks at half the size."""
    x = image = layers.Input(tuple(input_shape))
    x = layers.Conv2D(filters, 5, padding="same", activation="relu")(x)
    skip = x
    x = layers.Conv2D(2 * filters, 3, 2, padding="same", activation="relu")(x)
    for _ in range(blocks):
        x = _residual(x, 2 * filters)
    x = layers.Conv2DTranspose(filters, 4, 2, padding="same", activation="relu")(x)
    x = layers.Concatenate()([x, skip])
    return Model(image, layers.Conv2D(channels, 3, padding="same", activation=output)(x), name=name)


def super_resolution(
    input_shape: Any, scale: int = 4, channels: int = 1, filters: int = 32, blocks: int = 4, name: str = "upscaler"
) -> Any:
    """From low images to `scale` times larger ones: what is learnt is added to the bicubic enlargement.

    Residual blocks without normalisation (EDSR, Lim et al., 2017) at the low size, one step up by moving channels to places
    (Shi et al., 2016), and a last convolution at the high size, which sees across the steps' borders: with the adversary, too,
    no chequerboard remains, as it does of strided transposed convolutions.
    """
    if scale not in (2, 3, 4):
        raise ValueError(f"super_resolution: expected scale 2, 3 or 4; received {scale}")
    h, w = input_shape[:2]
    x = image = layers.Input(tuple(input_shape))
    first = x = layers.Conv2D(filters, 3, padding="same")(x)
    for _ in range(blocks):
        x = _residual(x, filters)
    x = layers.Add()([layers.Conv2D(filters, 3, padding="same")(x), first])
    fine = max(4, filters // 4)
    x = layers.Conv2D(scale * scale * fine, 3, padding="same", activation="relu")(x)
    x = layers.Permute((1, 3, 2, 4, 5))(layers.Reshape((h, w, scale, scale, fine))(x))
    x = layers.Reshape((h * scale, w * scale, fine))(x)
    detail = layers.Conv2D(channels, 3, padding="same", kernel_initializer=_normal())(x)
    smooth = layers.UpSampling2D(scale, interpolation="bicubic")(image)
    return Model(image, layers.Add()([smooth, detail]), name=name)
