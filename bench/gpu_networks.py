"""The networks of the GPU race, as data that every contender builds alike: small ones where launches count, and VGG16,
SegNet, U-Net, DCGAN and a wide MLP, where arithmetic and memory do.

Layers: ("conv", filters, kernel, padding), ("up_conv", filters) (transposed, 4 x 4, stride 2), ("down_conv", filters) (4 x 4,
stride 2), ("pool", kind), ("up",), ("norm",), ("act", name), ("dense", units), ("dropout", rate), ("flatten",),
("reshape", *shape), ("push",) and ("join",): remember the images, and put them beside the present ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Layers = tuple[tuple[Any, ...], ...]


@dataclass(frozen=True)
class Network:
    name: str
    batch: int
    input_shape: tuple[int, ...]
    layers: Layers
    loss: str  # cross_entropy (one-hot, over the last axis), reconstruction (sigmoid, binary) or mse
    critic: Layers = ()  # a GAN's discriminator; the layers are then its generator's


def _conv(filters: int, kernel: int = 3, act: str = "relu", norm: bool = False, padding: str = "same") -> Layers:
    return (("conv", filters, kernel, padding), *((("norm",),) if norm else ()), ("act", act))


def _dense(units: int, act: str = "relu", dropout: float = 0.0) -> Layers:
    return (("dense", units), ("act", act), *((("dropout", dropout),) if dropout else ()))


def _repeat(n: int, layers: Layers) -> Layers:
    return layers * n


POOL, MEAN, UP, FLAT = (("pool", "max"),), (("pool", "average"),), (("up",),), (("flatten",),)
_VGG = sum((_repeat(n, _conv(f)) + POOL for n, f in ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))), ())
_SEGNET = _VGG + sum(
    (UP + _repeat(n, _conv(f, norm=True)) for n, f in ((3, 512), (3, 512), (3, 256), (2, 128), (1, 64))), ()
) + _conv(12, act="softmax")  # fmt: skip
_UNET = sum((_repeat(2, _conv(f)) + (("push",),) + POOL for f in (64, 128, 256, 512)), ()) + _repeat(2, _conv(1024)) + sum(
    (UP + _conv(f, 2) + (("join",),) + _repeat(2, _conv(f)) for f in (512, 256, 128, 64)), ()
) + _conv(2, 1, "softmax")  # fmt: skip
_GENERATOR = (("dense", 4 * 4 * 1024), ("reshape", 4, 4, 1024), ("norm",), ("act", "relu")) + sum(
    ((("up_conv", f), ("norm",), ("act", "relu")) for f in (512, 256, 128)), ()
) + (("up_conv", 3), ("act", "tanh"))  # fmt: skip
_CRITIC = (("down_conv", 128), ("act", "leaky_relu")) + sum(
    ((("down_conv", f), ("norm",), ("act", "leaky_relu")) for f in (256, 512, 1024)), ()
) + FLAT + _dense(1, "sigmoid")  # fmt: skip

NETWORKS = {
    n.name: n
    for n in (
        Network("perceptron", 1, (2,), _dense(1, "sigmoid"), "reconstruction"),
        Network("mlp", 128, (784,), _dense(512, dropout=0.2) * 2 + _dense(10, "softmax"), "cross_entropy"),
        Network("lenet5", 128, (28, 28, 1), _conv(6, 5, "tanh") + MEAN + _conv(16, 5, "tanh", padding="valid") + MEAN + FLAT
                + _dense(120, "tanh") + _dense(84, "tanh") + _dense(10, "softmax"), "cross_entropy"),
        Network("emotion", 100, (48, 48, 3), _conv(10, 5, padding="valid") + POOL + _conv(10, 5, padding="valid") + POOL
                + _conv(10, 3, padding="valid") + POOL + FLAT + _dense(256, dropout=0.5) + _dense(128, dropout=0.5)
                + _dense(64, dropout=0.5) + _dense(32, dropout=0.5) + _dense(4, "softmax"), "cross_entropy"),
        Network("dense_autoencoder", 256, (784,), _dense(128) + _dense(32) + _dense(128) + _dense(784, "sigmoid"),
                "reconstruction"),
        Network("conv_autoencoder", 128, (28, 28, 1), _conv(16) + POOL + _conv(8) + POOL + _conv(8) + UP + _conv(16) + UP
                + _conv(1, act="sigmoid"), "reconstruction"),
        Network("mlp_4096", 4096, (4096,), _dense(4096) * 3 + _dense(1000, "softmax"), "cross_entropy"),
        Network("vgg16_224_b64", 64, (224, 224, 3), _VGG + FLAT + _dense(4096) * 2 + _dense(1000, "softmax"),
                "cross_entropy"),
        Network("segnet_224_b2", 2, (224, 224, 3), _SEGNET, "cross_entropy"),
        Network("segnet_224_b16", 16, (224, 224, 3), _SEGNET, "cross_entropy"),
        Network("unet_128_b16", 16, (128, 128, 3), _UNET, "cross_entropy"),
        Network("dcgan_64_b128", 128, (100,), _GENERATOR, "gan", _CRITIC),
    )
}  # fmt: skip
SMALL = ("perceptron", "mlp", "lenet5", "emotion", "dense_autoencoder", "conv_autoencoder")


def after(layer: tuple[Any, ...], shape: tuple[int, ...], saved: list[tuple[int, ...]]) -> tuple[int, ...]:
    """A sample's shape after a layer."""
    kind, *args = layer
    if kind == "conv":
        lost = 0 if args[2] == "same" else args[1] - 1
        return (shape[0] - lost, shape[1] - lost, args[0])
    if kind in ("up_conv", "up"):
        return (shape[0] * 2, shape[1] * 2, args[0] if args else shape[2])
    if kind == "down_conv" or kind == "pool":
        return (shape[0] // 2, shape[1] // 2, args[0] if kind == "down_conv" else shape[2])
    if kind == "dense":
        return (*shape[:-1], args[0])
    if kind == "flatten":
        return (int(np.prod(shape)),)
    if kind == "reshape":
        return tuple(args)
    if kind == "push":
        saved.append(shape)
    if kind == "join":
        return (*shape[:2], shape[2] + saved.pop()[2])
    return shape


def shapes(layers: Layers, shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Before every layer, and at the end."""
    result, saved = [shape], []  # type: ignore[var-annotated]
    for layer in layers:
        result.append(after(layer, result[-1], saved))
    return result


def data(network: Network) -> tuple[np.ndarray, np.ndarray]:
    """One batch: inputs and targets."""
    rng = np.random.default_rng(0)
    x = rng.random((network.batch, *network.input_shape), dtype=np.float32)
    if network.loss == "gan":
        return x, rng.uniform(-1, 1, (network.batch, 64, 64, 3)).astype(np.float32)
    out = shapes(network.layers, network.input_shape)[-1]
    if network.loss == "reconstruction":
        return x, x if out == network.input_shape else rng.integers(0, 2, (network.batch, *out)).astype(np.float32)
    return x, np.eye(out[-1], dtype=np.float32)[rng.integers(0, out[-1], (network.batch, *out[:-1]))]
