"""Generative models as scripts write them: the classic recipe of 2016 to 2020, and train_step overrides with a tape."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import berrante as keras
from berrante import layers, ops

pytest.importorskip("sklearn")


def digits() -> tuple[np.ndarray, np.ndarray]:
    from berrante.datasets import digits as data

    (x, y), _ = data.load_data()
    return x[:512], y[:512]


def test_the_classic_recipe() -> None:
    from berrante.layers import Dense, Dropout, Flatten, LeakyReLU, Reshape
    from berrante.models import Model, Sequential
    from berrante.optimizers import Adam

    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    x_train = digits()[0] * 2.0 - 1.0
    discriminator = Sequential()
    discriminator.add(Flatten(input_shape=(8, 8, 1)))
    discriminator.add(Dense(64))
    discriminator.add(LeakyReLU(0.2))
    discriminator.add(Dropout(0.2))
    discriminator.add(Dense(1, activation="sigmoid"))
    discriminator.compile(loss="binary_crossentropy", optimizer=Adam(2e-3, 0.5), metrics=["accuracy"])
    generator = Sequential()
    generator.add(Dense(64, input_dim=16))
    generator.add(LeakyReLU(0.2))
    generator.add(Dense(64, activation="tanh"))
    generator.add(Reshape((8, 8, 1)))
    z = keras.Input(shape=(16,))
    discriminator.trainable = False
    combined = Model(z, discriminator(generator(z)))
    combined.compile(loss="binary_crossentropy", optimizer=Adam(2e-3, 0.5))

    def statistics(images: np.ndarray) -> float:
        return float(np.mean((images.mean(0) - x_train.mean(0)) ** 2))

    noise = rng.normal(0, 1, (256, 16))
    before = statistics(generator.predict(noise, verbose=0))
    for _ in range(400):
        real = x_train[rng.integers(0, len(x_train), 32)]
        fake = generator.predict(rng.normal(0, 1, (32, 16)), verbose=0)
        d_real = discriminator.train_on_batch(real, np.ones((32, 1)))
        d_fake = discriminator.train_on_batch(fake, np.zeros((32, 1)))
        d_loss = 0.5 * np.add(d_real, d_fake)
        frozen = discriminator.get_weights()
        g_loss = combined.train_on_batch(rng.normal(0, 1, (32, 16)), np.ones((32, 1)))
        assert all(np.array_equal(a, b) for a, b in zip(frozen, discriminator.get_weights()))
    assert len(d_loss) == 2 and np.isfinite([*d_loss, g_loss]).all()
    assert statistics(generator.predict(noise, verbose=0)) < 0.5 * before


class VariationalAutoEncoder(keras.Model):
    """keras.io's form: trackers as metrics, a tape, apply_gradients."""

    def __init__(self, encoder: Any, decoder: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.encoder, self.decoder = encoder, decoder
        self.total_loss_tracker = keras.metrics.Mean(name="total_loss")
        self.reconstruction_loss_tracker = keras.metrics.Mean(name="reconstruction_loss")
        self.kl_loss_tracker = keras.metrics.Mean(name="kl_loss")

    @property
    def metrics(self) -> list[Any]:
        return [self.total_loss_tracker, self.reconstruction_loss_tracker, self.kl_loss_tracker]

    def train_step(self, data: Any) -> Any:
        data = data[0] if isinstance(data, tuple) else data
        with keras.GradientTape() as tape:
            z_mean, z_log_var, z = self.encoder(data)
            reconstruction = self.decoder(z)
            reconstruction_loss = ops.mean(ops.sum(keras.losses.binary_crossentropy(data, reconstruction), axis=(1, 2)))
            kl_loss = -0.5 * (1 + z_log_var - ops.square(z_mean) - ops.exp(z_log_var))
            kl_loss = ops.mean(ops.sum(kl_loss, axis=1))
            total_loss = reconstruction_loss + kl_loss
        grads = tape.gradient(total_loss, self.trainable_weights)
        self.optimizer.apply_gradients(zip(grads, self.trainable_weights))
        self.total_loss_tracker.update_state(total_loss)
        self.reconstruction_loss_tracker.update_state(reconstruction_loss)
        self.kl_loss_tracker.update_state(kl_loss)
        return {
            "loss": self.total_loss_tracker.result(),
            "reconstruction_loss": self.reconstruction_loss_tracker.result(),
            "kl_loss": self.kl_loss_tracker.result(),
        }


class Sampling(layers.Layer):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seed_generator = keras.random.SeedGenerator(1337)

    def call(self, inputs: Any) -> Any:
        z_mean, z_log_var = inputs
        batch, dim = ops.shape(z_mean)[0], ops.shape(z_mean)[1]
        epsilon = keras.random.normal(shape=(batch, dim), seed=self.seed_generator)
        return z_mean + ops.exp(0.5 * z_log_var) * epsilon


def vae_parts() -> tuple[Any, Any]:
    encoder_inputs = keras.Input(shape=(8, 8, 1))
    x = layers.Conv2D(8, 3, activation="relu", strides=2, padding="same")(encoder_inputs)
    x = layers.Dense(16, activation="relu")(layers.Flatten()(x))
    z_mean = layers.Dense(2, name="z_mean")(x)
    z_log_var = layers.Dense(2, name="z_log_var")(x)
    encoder = keras.Model(encoder_inputs, [z_mean, z_log_var, Sampling()([z_mean, z_log_var])], name="encoder")
    latent_inputs = keras.Input(shape=(2,))
    x = layers.Reshape((4, 4, 8))(layers.Dense(4 * 4 * 8, activation="relu")(latent_inputs))
    x = layers.Conv2DTranspose(8, 3, activation="relu", strides=2, padding="same")(x)
    return encoder, keras.Model(latent_inputs, layers.Conv2DTranspose(1, 3, activation="sigmoid", padding="same")(x))


def test_a_vae_with_a_tape_learns_as_the_built_in_one() -> None:
    x, _ = digits()
    results = []
    for kind in ("tape", "built in"):
        keras.utils.set_random_seed(1)
        encoder, decoder = vae_parts()
        model = VariationalAutoEncoder(encoder, decoder) if kind == "tape" else keras.models.VAE(encoder, decoder)
        model.compile(optimizer=keras.optimizers.Adam(3e-3))
        results.append(model.fit(x, epochs=6, batch_size=64, verbose=0, shuffle=False).history)
    assert results[0]["loss"][-1] < 0.85 * results[0]["loss"][0]
    for name in ("loss", "reconstruction_loss", "kl_loss"):
        np.testing.assert_allclose(results[0][name], results[1][name], rtol=2e-3, err_msg=name)


class TapedWGAN(keras.Model):
    """keras.io's WGAN-GP: several critic updates in a train_step, the penalty by a tape inside a tape."""

    def __init__(self, discriminator: Any, generator: Any, latent_dim: int, discriminator_extra_steps: int = 3) -> None:
        super().__init__()
        self.discriminator, self.generator, self.latent_dim = discriminator, generator, latent_dim
        self.d_steps, self.gp_weight = discriminator_extra_steps, 10.0

    def compile(self, d_optimizer: Any, g_optimizer: Any, d_loss_fn: Any, g_loss_fn: Any) -> None:  # type: ignore[override]
        super().compile()
        self.d_optimizer, self.g_optimizer = d_optimizer, g_optimizer
        self.d_loss_fn, self.g_loss_fn = d_loss_fn, g_loss_fn

    def gradient_penalty(self, batch_size: int, real_images: Any, fake_images: Any) -> Any:
        alpha = keras.random.uniform((batch_size, 1, 1, 1))
        interpolated = real_images + alpha * (fake_images - real_images)
        with keras.GradientTape() as gp_tape:
            gp_tape.watch(interpolated)
            pred = self.discriminator(interpolated, training=True)
        grads = gp_tape.gradient(pred, [interpolated])[0]
        norm = ops.sqrt(ops.sum(ops.square(grads), axis=[1, 2, 3]))
        return ops.mean((norm - 1.0) ** 2)

    def train_step(self, real_images: Any) -> Any:
        if isinstance(real_images, tuple):
            real_images = real_images[0]
        batch_size = ops.shape(real_images)[0]
        for _ in range(self.d_steps):
            random_latent_vectors = keras.random.normal(shape=(batch_size, self.latent_dim))
            with keras.GradientTape() as tape:
                fake_images = self.generator(random_latent_vectors, training=True)
                fake_logits = self.discriminator(fake_images, training=True)
                real_logits = self.discriminator(real_images, training=True)
                d_cost = self.d_loss_fn(real_img=real_logits, fake_img=fake_logits)
                gp = self.gradient_penalty(batch_size, real_images, fake_images)
                d_loss = d_cost + gp * self.gp_weight
            d_gradient = tape.gradient(d_loss, self.discriminator.trainable_variables)
            self.d_optimizer.apply_gradients(zip(d_gradient, self.discriminator.trainable_variables))
        random_latent_vectors = keras.random.normal(shape=(batch_size, self.latent_dim))
        with keras.GradientTape() as tape:
            generated = self.generator(random_latent_vectors, training=True)
            g_loss = self.g_loss_fn(self.discriminator(generated, training=True))
        gen_gradient = tape.gradient(g_loss, self.generator.trainable_variables)
        self.g_optimizer.apply_gradients(zip(gen_gradient, self.generator.trainable_variables))
        return {"d_loss": d_loss, "g_loss": g_loss, "penalty": gp}


def gan_parts(channels: int = 1, latent: int = 16) -> tuple[Any, Any]:
    discriminator = keras.Sequential(
        [
            keras.Input((8, 8, channels)), layers.Conv2D(16, 3, strides=2, padding="same"), layers.LeakyReLU(negative_slope=0.2),
            layers.Conv2D(32, 3, strides=2, padding="same"), layers.LeakyReLU(negative_slope=0.2),
            layers.GlobalMaxPooling2D(), layers.Dense(1),
        ]
    )  # fmt: skip
    generator = keras.Sequential(
        [
            keras.Input((latent,)), layers.Dense(4 * 4 * latent), layers.LeakyReLU(negative_slope=0.2),
            layers.Reshape((4, 4, latent)), layers.Conv2DTranspose(16, 4, strides=2, padding="same"),
            layers.LeakyReLU(negative_slope=0.2), layers.Conv2D(1, 3, padding="same", activation="sigmoid"),
        ]
    )  # fmt: skip
    return discriminator, generator


def test_a_wgan_with_tapes_inside_tapes() -> None:
    keras.utils.set_random_seed(2)
    x, _ = digits()
    discriminator, generator = gan_parts()
    model = TapedWGAN(discriminator, generator, latent_dim=16)
    adam = lambda: keras.optimizers.Adam(learning_rate=1e-3, beta_1=0.5, beta_2=0.9)
    model.compile(
        adam(), adam(), lambda real_img, fake_img: ops.mean(fake_img) - ops.mean(real_img), lambda fake: -ops.mean(fake)
    )
    noise = np.random.default_rng(0).normal(size=(256, 16)).astype("float32")
    distance = lambda: float(np.mean((generator.predict(noise, verbose=0).mean(0) - x.mean(0)) ** 2))
    before = distance()
    history = model.fit(x, batch_size=64, epochs=12, verbose=0).history
    assert np.isfinite(list(history.values())).all()
    assert distance() < 0.4 * before and history["penalty"][-1] < 0.5


class TapedConditionalGAN(keras.Model):
    """keras.io's conditional GAN: labels as channels and behind the noise."""

    def __init__(self, discriminator: Any, generator: Any, latent_dim: int) -> None:
        super().__init__()
        self.discriminator, self.generator, self.latent_dim = discriminator, generator, latent_dim
        self.seed_generator = keras.random.SeedGenerator(1337)
        self.gen_loss_tracker = keras.metrics.Mean(name="generator_loss")
        self.disc_loss_tracker = keras.metrics.Mean(name="discriminator_loss")

    @property
    def metrics(self) -> list[Any]:
        return [self.gen_loss_tracker, self.disc_loss_tracker]

    def compile(self, d_optimizer: Any, g_optimizer: Any, loss_fn: Any) -> None:  # type: ignore[override]
        super().compile()
        self.d_optimizer, self.g_optimizer, self.loss_fn = d_optimizer, g_optimizer, loss_fn

    def train_step(self, data: Any) -> Any:
        real_images, one_hot_labels = data[0], data[1]
        image_one_hot_labels = ops.repeat(one_hot_labels[:, :, None, None], repeats=[8 * 8], axis=-1)
        image_one_hot_labels = ops.reshape(image_one_hot_labels, (-1, 8, 8, 10))
        batch_size = ops.shape(real_images)[0]
        noise = keras.random.normal(shape=(batch_size, self.latent_dim), seed=self.seed_generator)
        generated = self.generator(ops.concatenate([noise, one_hot_labels], axis=1))
        combined = ops.concatenate(
            [
                ops.concatenate([generated, image_one_hot_labels], -1),
                ops.concatenate([real_images, image_one_hot_labels], -1),
            ],
            axis=0,
        )
        labels = ops.concatenate([ops.ones((batch_size, 1)), ops.zeros((batch_size, 1))], axis=0)
        with keras.GradientTape() as tape:
            d_loss = self.loss_fn(labels, self.discriminator(combined))
        grads = tape.gradient(d_loss, self.discriminator.trainable_weights)
        self.d_optimizer.apply_gradients(zip(grads, self.discriminator.trainable_weights))
        noise = keras.random.normal(shape=(batch_size, self.latent_dim), seed=self.seed_generator)
        with keras.GradientTape() as tape:
            fake = self.generator(ops.concatenate([noise, one_hot_labels], axis=1))
            judged = self.discriminator(ops.concatenate([fake, image_one_hot_labels], -1))
            g_loss = self.loss_fn(ops.zeros((batch_size, 1)), judged)
        grads = tape.gradient(g_loss, self.generator.trainable_weights)
        self.g_optimizer.apply_gradients(zip(grads, self.generator.trainable_weights))
        self.gen_loss_tracker.update_state(g_loss)
        self.disc_loss_tracker.update_state(d_loss)
        return {"g_loss": self.gen_loss_tracker.result(), "d_loss": self.disc_loss_tracker.result()}


def test_a_conditional_gan_with_a_tape() -> None:
    keras.utils.set_random_seed(3)
    x, y = digits()
    discriminator, generator = gan_parts(channels=11, latent=26)
    model = TapedConditionalGAN(discriminator, generator, latent_dim=16)
    model.compile(
        d_optimizer=keras.optimizers.Adam(learning_rate=0.0003), g_optimizer=keras.optimizers.Adam(learning_rate=0.0003),
        loss_fn=keras.losses.BinaryCrossentropy(from_logits=True),
    )  # fmt: skip
    frozen = [w.copy() for w in generator.get_weights()]
    history = model.fit(x, keras.utils.to_categorical(y, 10), batch_size=64, epochs=3, verbose=0).history
    assert np.isfinite(list(history.values())).all() and len(history["g_loss"]) == 3
    assert all(not np.array_equal(a, b) for a, b in zip(frozen, generator.get_weights()))
