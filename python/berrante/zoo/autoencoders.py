"""Encoders and decoders for the classes of berrante.models: dense and convolutional ones that mirror each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from berrante import layers
from berrante.models import Sequential


def dense_autoencoder(
    input_shape: Any, code: int, units: Sequence[int] = (128,), activation: str = "relu", output: str = "sigmoid",
    code_activation: str | None = None,
) -> tuple[Any, Any]:  # fmt: skip
    """(encoder, decoder): dense layers of `units`, the code, and the same back."""
    shape = tuple(input_shape)
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
