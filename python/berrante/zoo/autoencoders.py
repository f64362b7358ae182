"""Encoders and decoders for the classes of berrante.models: dense and convolutional ones that mirror each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from berrante import layers
from berrante.models import Model, Sequential


def dense_autoencoder(
    input_shape: Any, code: int, units: Sequence[int] = (128,), activation: str = "relu", output: str = "sigmoid",
    code_activation: str | None = None, skip: bool = False,
) -> tuple[Any, Any]:  # fmt: skip
    """(encoder, decoder): dense layers of `units`, the code, and the same back.

    skip: beside the dense layers of either half a linear map leads from its input to its output, and they add to it what is
    not linear, at first nothing. Such a pair can do what PCA does, and with large codes passes it sooner.
    """
    shape = tuple(input_shape)
    if skip:
        return _with_skips(shape, code, units, activation, output, code_activation)
    inner = [layers.Dense(n, activation=activation) for n in units]
    encoder = Sequential(
        [layers.Input(shape), layers.Flatten(), *inner, layers.Dense(code, activation=code_activation)], name="encoder"
    )
    back = [layers.Dense(n, activation=activation) for n in reversed(units)]
    size = int(np.prod(shape))
    decoder = Sequential(
        [layers.Input((code,)), *back, layers.Dense(size, activation=output), layers.Reshape(shape)], name="decoder"
    )
    return encoder, decoder


def _with_skips(
    shape: Any, code: int, units: Sequence[int], activation: str, output: str, code_activation: str | None
) -> tuple[Any, Any]:
    def half(x: Any, widths: Sequence[int], size: int, last: str | None) -> Any:
        y = x
        for n in widths:
            y = layers.Dense(n, activation=activation)(y)
        y = layers.Add()([layers.Dense(size)(x), layers.Dense(size, kernel_initializer="zeros")(y)])
        return y if last in (None, "linear") else layers.Activation(last)(y)

    image, z = layers.Input(shape), layers.Input((code,))
    encoder = Model(image, half(layers.Flatten()(image), units, code, code_activation), name="encoder")
    made = half(z, list(reversed(units)), int(np.prod(shape)), output)
    return encoder, Model(z, layers.Reshape(shape)(made), name="decoder")


def conv_autoencoder(
    input_shape: Any, code: int | None = None, filters: Sequence[int] = (16, 32), activation: str = "relu",
    output: str = "sigmoid",
) -> tuple[Any, Any]:  # fmt: skip
    """(encoder, decoder): convolutions of stride 2 with `filters`, a dense code, and transposed convolutions back.

    code=None keeps the last map as the code, whose last extent is then filters[-1]. Height and width must be
    divisible by 2 ** len(filters).
    """
    h, w, c = input_shape
    step = 2 ** len(filters)
    if h % step or w % step:
        raise ValueError(f"conv_autoencoder: expected height and width divisible by {step}; received {h} x {w}")
    down = [layers.Conv2D(n, 3, strides=2, padding="same", activation=activation) for n in filters]
    grid = (h // step, w // step, filters[-1])
    up = [
        layers.Conv2DTranspose(n, 3, strides=2, padding="same", activation=activation) for n in reversed(filters[:-1])
    ]
    last = layers.Conv2DTranspose(c, 3, strides=2, padding="same", activation=output)
    if code is None:
        encoder = Sequential([layers.Input((h, w, c)), *down], name="encoder")
        return encoder, Sequential([layers.Input(grid), *up, last], name="decoder")
    encoder = Sequential([layers.Input((h, w, c)), *down, layers.Flatten(), layers.Dense(code)], name="encoder")
    spread = [layers.Dense(int(np.prod(grid)), activation=activation), layers.Reshape(grid)]
    return encoder, Sequential([layers.Input((code,)), *spread, *up, last], name="decoder")
