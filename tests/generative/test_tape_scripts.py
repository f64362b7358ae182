"""Scripts for TensorFlow whose models override train_step with tapes, run unchanged by `berrante run`: a WGAN-GP, a VAE and a
conditional GAN on digits. Each prints what it has learnt."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

DATA = """
import numpy as np
import tensorflow as tf
from tensorflow import keras
from tensorflow.keras import layers
from sklearn.datasets import load_digits

tf.random.set_seed(5)
bunch = load_digits()
images = (bunch.images[:512, ..., np.newaxis] / 16.0).astype("float32")
classes = bunch.target[:512]
"""
WGAN = (
    DATA
    + """
critic = keras.Sequential([
    keras.Input(shape=(8, 8, 1)), layers.Conv2D(16, 3, strides=2, padding="same"), layers.LeakyReLU(0.2), layers.Flatten(),
    layers.Dropout(0.2), layers.Dense(1)])
maker = keras.Sequential([
    keras.Input(shape=(12,)), layers.Dense(4 * 4 * 16, use_bias=False), layers.BatchNormalization(), layers.LeakyReLU(0.2),
    layers.Reshape((4, 4, 16)), layers.UpSampling2D((2, 2)), layers.Conv2D(1, 3, padding="same", activation="sigmoid")])

class Wasserstein(keras.Model):
    def __init__(self, critic, maker, noise_size, critic_steps=2, weight=10.0):
        super().__init__()
        self.critic, self.maker = critic, maker
        self.noise_size, self.critic_steps, self.weight = noise_size, critic_steps, weight

    def compile(self, critic_optimizer, maker_optimizer):
        super().compile()
        self.critic_optimizer, self.maker_optimizer = critic_optimizer, maker_optimizer

    def slope_penalty(self, n, real, made):
        share = tf.random.uniform([n, 1, 1, 1], 0.0, 1.0)
        between = real + share * (made - real)
        with tf.GradientTape() as inner:
            inner.watch(between)
            judged = self.critic(between, training=True)
        slope = inner.gradient(judged, [between])[0]
        length = tf.sqrt(tf.reduce_sum(tf.square(slope), axis=[1, 2, 3]))
        return tf.reduce_mean((length - 1.0) ** 2)

    def train_step(self, real):
        if isinstance(real, tuple):
            real = real[0]
        n = tf.shape(real)[0]
        for _ in range(self.critic_steps):
            with tf.GradientTape() as tape:
                made = self.maker(tf.random.normal(shape=(n, self.noise_size)), training=True)
                gap = tf.reduce_mean(self.critic(made, training=True)) - tf.reduce_mean(self.critic(real, training=True))
                penalty = self.slope_penalty(n, real, made)
                cost = gap + self.weight * penalty
            steps = tape.gradient(cost, self.critic.trainable_variables)
            self.critic_optimizer.apply_gradients(zip(steps, self.critic.trainable_variables))
        with tf.GradientTape() as tape:
            made = self.maker(tf.random.normal(shape=(n, self.noise_size)), training=True)
            loss = -tf.reduce_mean(self.critic(made, training=True))
        steps = tape.gradient(loss, self.maker.trainable_variables)
        self.maker_optimizer.apply_gradients(zip(steps, self.maker.trainable_variables))
        return {"critic": cost, "maker": loss, "penalty": penalty}

class Look(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        self.seen = self.model.maker(tf.random.normal(shape=(3, 12)))

def gap():
    made = maker.predict(np.random.default_rng(0).normal(size=(128, 12)).astype("float32"), verbose=0)
    return float(np.mean((made.mean(0) - images.mean(0)) ** 2))

model = Wasserstein(critic, maker, noise_size=12)
model.compile(keras.optimizers.Adam(learning_rate=1e-3, beta_1=0.5, beta_2=0.9),
              keras.optimizers.Adam(learning_rate=1e-3, beta_1=0.5, beta_2=0.9))
before = gap()
look = Look()
model.fit(images, batch_size=64, epochs=15, callbacks=[look], verbose=0)
print("learnt", gap() < 0.5 * before, look.seen.shape)
"""
)
VAE = (
    DATA
    + """
class Draw(layers.Layer):
    def call(self, inputs):
        mean, log_var = inputs
        n, size = tf.shape(mean)[0], tf.shape(mean)[1]
        return mean + tf.exp(0.5 * log_var) * tf.random.normal(shape=(n, size))

entry = keras.Input(shape=(8, 8, 1))
h = layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")(entry)
h = layers.Dense(16, activation="relu")(layers.Flatten()(h))
mean, log_var = layers.Dense(2, name="mean")(h), layers.Dense(2, name="log_var")(h)
encoder = keras.Model(entry, [mean, log_var, Draw()([mean, log_var])], name="encoder")
code = keras.Input(shape=(2,))
h = layers.Reshape((4, 4, 8))(layers.Dense(128, activation="relu")(code))
h = layers.Conv2DTranspose(8, 3, strides=2, padding="same", activation="relu")(h)
decoder = keras.Model(code, layers.Conv2DTranspose(1, 3, padding="same", activation="sigmoid")(h), name="decoder")

class Variational(keras.Model):
    def __init__(self, encoder, decoder, **kwargs):
        super().__init__(**kwargs)
        self.encoder, self.decoder = encoder, decoder
        self.whole = keras.metrics.Mean(name="loss")
        self.parts = [keras.metrics.Mean(name=name) for name in ("likeness", "divergence")]

    @property
    def metrics(self):
        return [self.whole, *self.parts]

    def train_step(self, data):
        data = data[0] if isinstance(data, tuple) else data
        with tf.GradientTape() as tape:
            mean, log_var, z = self.encoder(data)
            again = self.decoder(z)
            likeness = tf.reduce_mean(tf.reduce_sum(keras.losses.binary_crossentropy(data, again), axis=(1, 2)))
            divergence = -0.5 * (1 + log_var - tf.square(mean) - tf.exp(log_var))
            divergence = tf.reduce_mean(tf.reduce_sum(divergence, axis=1))
            loss = likeness + divergence
        steps = tape.gradient(loss, self.trainable_weights)
        self.optimizer.apply_gradients(zip(steps, self.trainable_weights))
        for metric, value in zip(self.metrics, (loss, likeness, divergence)):
            metric.update_state(value)
        return {metric.name: metric.result() for metric in self.metrics}

model = Variational(encoder, decoder)
model.compile(optimizer=keras.optimizers.Adam(3e-3))
history = model.fit(images, epochs=15, batch_size=64, verbose=0).history
sheet = decoder.predict(np.array([[0.0, 1.0], [1.0, -1.0]]), verbose=0)
loss, likeness, divergence = (np.array(history[name]) for name in ("loss", "likeness", "divergence"))
whole = np.allclose(loss, likeness + divergence, rtol=1e-4)
print("learnt", loss[-1] < 0.75 * loss[0] and whole and (divergence > 0).all(), sheet.shape)
"""
)
CONDITIONAL = (
    DATA
    + """
rows = keras.utils.to_categorical(classes, 10)
dataset = tf.data.Dataset.from_tensor_slices((images, rows)).shuffle(buffer_size=512).batch(64)
judge = keras.Sequential([
    keras.Input(shape=(8, 8, 11)), layers.Conv2D(16, 3, strides=2, padding="same"), layers.LeakyReLU(0.2),
    layers.Conv2D(32, 3, strides=2, padding="same"), layers.LeakyReLU(0.2), layers.GlobalMaxPooling2D(), layers.Dense(1)])
maker = keras.Sequential([
    keras.Input(shape=(18,)), layers.Dense(4 * 4 * 18), layers.LeakyReLU(0.2), layers.Reshape((4, 4, 18)),
    layers.Conv2DTranspose(16, 4, strides=2, padding="same"), layers.LeakyReLU(0.2),
    layers.Conv2D(1, 3, padding="same", activation="sigmoid")])

class OfClasses(keras.Model):
    def __init__(self, judge, maker, noise_size):
        super().__init__()
        self.judge, self.maker, self.noise_size = judge, maker, noise_size
        self.judge_mean, self.maker_mean = keras.metrics.Mean(name="judge"), keras.metrics.Mean(name="maker")

    @property
    def metrics(self):
        return [self.judge_mean, self.maker_mean]

    def compile(self, judge_optimizer, maker_optimizer, loss_fn):
        super().compile()
        self.judge_optimizer, self.maker_optimizer, self.loss_fn = judge_optimizer, maker_optimizer, loss_fn

    def train_step(self, data):
        real, rows = data
        planes = tf.reshape(tf.repeat(rows[:, tf.newaxis, tf.newaxis, :], repeats=8 * 8, axis=1), (-1, 8, 8, 10))
        n = tf.shape(real)[0]
        noise = tf.concat([tf.random.normal(shape=(n, self.noise_size)), rows], axis=1)
        made = self.maker(noise)
        both = tf.concat([tf.concat([made, planes], -1), tf.concat([real, planes], -1)], axis=0)
        answers = tf.concat([tf.ones((n, 1)), tf.zeros((n, 1))], axis=0)
        with tf.GradientTape() as tape:
            loss = self.loss_fn(answers, self.judge(both))
        steps = tape.gradient(loss, self.judge.trainable_weights)
        self.judge_optimizer.apply_gradients(zip(steps, self.judge.trainable_weights))
        noise = tf.concat([tf.random.normal(shape=(n, self.noise_size)), rows], axis=1)
        with tf.GradientTape() as tape:
            fooled = self.loss_fn(tf.zeros((n, 1)), self.judge(tf.concat([self.maker(noise), planes], -1)))
        steps = tape.gradient(fooled, self.maker.trainable_weights)
        self.maker_optimizer.apply_gradients(zip(steps, self.maker.trainable_weights))
        self.judge_mean.update_state(loss)
        self.maker_mean.update_state(fooled)
        return {"judge": self.judge_mean.result(), "maker": self.maker_mean.result()}

model = OfClasses(judge, maker, noise_size=8)
model.compile(judge_optimizer=keras.optimizers.Adam(learning_rate=1e-3), maker_optimizer=keras.optimizers.Adam(1e-3),
              loss_fn=keras.losses.BinaryCrossentropy(from_logits=True))
start = [w.copy() for w in maker.get_weights()]
history = model.fit(dataset, epochs=3, verbose=0).history
moved = all(not np.array_equal(a, b) for a, b in zip(start, maker.get_weights()))
print("learnt", moved and np.isfinite(history["maker"]).all() and len(history["judge"]) == 3, maker.output_shape)
"""
)


@pytest.mark.parametrize(
    ("script", "shape"), [(WGAN, "(3, 8, 8, 1)"), (VAE, "(2, 8, 8, 1)"), (CONDITIONAL, "(None, 8, 8, 1)")]
)
def test_a_train_step_with_tapes(script: str, shape: str, tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    (tmp_path / "script.py").write_text(script)
    command = [sys.executable, "-m", "berrante", "run", "script.py"]
    done = subprocess.run(command, cwd=tmp_path, env=dict(os.environ), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"learnt True {shape}" in done.stdout
