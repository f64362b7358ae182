"""berrante's side of the GPU race: steps(network) gives a function that runs a number of training steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from gpu_networks import Layers, Network, data


def build(layers: Layers, shape: tuple[int, ...], keras: Any) -> Any:
    L = keras.layers
    make: dict[str, Callable[..., Any]] = {
        "conv": lambda f, k, padding: L.Conv2D(f, k, padding=padding),
        "up_conv": lambda f: L.Conv2DTranspose(f, 4, 2, padding="same"),
        "down_conv": lambda f: L.Conv2D(f, 4, 2, padding="same"),
        "pool": lambda kind: L.MaxPooling2D() if kind == "max" else L.AveragePooling2D(),
        "up": L.UpSampling2D, "norm": L.BatchNormalization, "dense": L.Dense, "dropout": L.Dropout,
        "flatten": L.Flatten, "reshape": lambda *s: L.Reshape(s),
        "act": lambda name: L.LeakyReLU(0.2) if name == "leaky_relu" else L.Activation(name),
    }  # fmt: skip
    x = inputs = keras.Input(shape)
    saved = []
    for kind, *args in layers:
        if kind == "push":
            saved.append(x)
        elif kind == "join":
            x = L.Concatenate()([x, saved.pop()])
        else:
            x = make[kind](*args)(x)
    return keras.Model(inputs, x)


_LOSSES = {"cross_entropy": "categorical_crossentropy", "reconstruction": "binary_crossentropy"}


def steps(network: Network, precision: str) -> Callable[[int], None]:
    import berrante as keras
    from berrante import config

    config.set_matmul_precision({"fp32": "float32", "tf32": "tf32", "bf16": "bfloat16"}[precision])
    x, y = data(network)
    model = build(network.layers, network.input_shape, keras)
    if network.loss == "gan":
        return _gan_steps(network, model, x, y, keras)
    model.compile("adam", _LOSSES[network.loss])

    def run(n: int) -> None:
        # fit's own loop over a data set on the device: as many rows as the steps need, at most 64 batches of them.
        rounds = min(n, max(1, min(64, (1 << 28) // max(x.nbytes, 1))))
        rows, targets = np.concatenate([x] * rounds), np.concatenate([y] * rounds)
        whole, rest = divmod(n, rounds)
        if whole:
            model.fit(rows, targets, batch_size=network.batch, epochs=whole, verbose=0, shuffle=False)
        if rest:
            model.fit(rows[: rest * network.batch], targets[: rest * network.batch], batch_size=network.batch, verbose=0,
                      shuffle=False)  # fmt: skip

    return run


def _gan_steps(network: Network, generator: Any, noise: Any, real: Any, keras: Any) -> Callable[[int], None]:
    critic = build(network.critic, (64, 64, 3), keras)
    g_optimizer, c_optimizer = keras.optimizers.Adam(2e-4, 0.5), keras.optimizers.Adam(2e-4, 0.5)
    loss = keras.losses.BinaryCrossentropy()

    class Gan(keras.Model):
        def train_step(self, batch: Any) -> Any:
            z, images = batch[0], batch[1]
            ones, zeros = keras.ops.ones((network.batch, 1)), keras.ops.zeros((network.batch, 1))
            fake = generator(z, training=True)
            with keras.GradientTape() as tape:
                c_loss = loss(ones, critic(images, training=True)) + loss(zeros, critic(fake, training=True))
            c_optimizer.apply(tape.gradient(c_loss, critic.trainable_variables), critic.trainable_variables)
            with keras.GradientTape() as tape:
                g_loss = loss(ones, critic(generator(z, training=True), training=True))
            g_optimizer.apply(tape.gradient(g_loss, generator.trainable_variables), generator.trainable_variables)
            return {"c_loss": c_loss, "g_loss": g_loss}

    gan = Gan()
    gan.generator, gan.critic = generator, critic
    gan.compile(optimizer=None)

    def run(n: int) -> None:
        rows, images = np.concatenate([noise] * min(n, 4)), np.concatenate([real] * min(n, 4))
        gan.fit(rows, images, batch_size=network.batch, epochs=max(1, n // min(n, 4)), verbose=0, shuffle=False)

    return run
