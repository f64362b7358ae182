"""Adversarial networks: each game's losses and gradients (of second order for the penalty) against float64, what a step
must leave alone, files, resumption, bad input."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import berrante
from berrante import layers as L
from berrante import random
from berrante.models import GAN, WGAN, ConditionalGAN, load_model
from generative.reference import dense, numeric_gradient

X = np.tanh(np.random.default_rng(0).normal(size=(6, 3))).astype("float32")
GAMES = ["minimax", "non_saturating", "lsgan", "wasserstein", "wgan_gp", "hinge", "relativistic"]


def pair(end: str = "linear") -> tuple[Any, Any]:
    berrante.utils.set_random_seed(3)
    g = berrante.Sequential([L.Input((2,)), L.Dense(4, activation="tanh"), L.Dense(3, activation="tanh")])
    d = berrante.Sequential([L.Input((3,)), L.Dense(5, activation="tanh"), L.Dense(1, activation=end)])
    for w in d.trainable_variables:
        w.assign(w.numpy() * 1.5)
    return g, d


def log_sigmoid(a: np.ndarray) -> np.ndarray:
    return -np.logaddexp(0, -a)


def d_value(game: str, real: np.ndarray, fake: np.ndarray, s: float = 0.0) -> float:
    """The discriminator's loss from scores, as the papers write it."""
    bce = lambda a, t: -np.mean(t * log_sigmoid(a) + (1 - t) * log_sigmoid(-a))
    if game in ("minimax", "non_saturating"):
        return bce(real, 1 - s) + bce(fake, 0)
    if game == "lsgan":
        return 0.5 * np.mean((real - (1 - s)) ** 2) + 0.5 * np.mean(fake**2)
    if game in ("wasserstein", "wgan_gp"):
        return float(np.mean(fake) - np.mean(real))
    if game == "hinge":
        return float(np.mean(np.maximum(0, 1 - real)) + np.mean(np.maximum(0, 1 + fake)))
    return bce(real - fake.mean(), 1 - s) + bce(fake - real.mean(), 0)


def g_value(game: str, real: np.ndarray, fake: np.ndarray) -> float:
    """The generator's."""
    if game == "minimax":
        return float(np.mean(log_sigmoid(-fake)))
    if game == "non_saturating":
        return float(-np.mean(log_sigmoid(fake)))
    if game == "lsgan":
        return float(0.5 * np.mean((fake - 1) ** 2))
    if game == "relativistic":
        return float(-np.mean(log_sigmoid(fake - real.mean())) - np.mean(log_sigmoid(-(real - fake.mean()))))
    return float(-np.mean(fake))


G = lambda z, w: dense(z, w, ["tanh", "tanh"])
D = lambda x, w: dense(x, w, ["tanh", "linear"])


def penalty(x: np.ndarray, w: list[np.ndarray]) -> float:
    """mean (|dD/dx| - 1)^2 in closed form for one hidden layer."""
    h = np.tanh(x @ w[0] + w[1])
    slope = ((1 - h**2) * w[2][:, 0]) @ w[0].T
    return float(np.mean((np.linalg.norm(slope, axis=1) - 1) ** 2))


class Draws:
    """The draws that a model will make, in turn."""

    def __init__(self, model: Any) -> None:
        self.state = model.seed_generator.state.numpy()

    def __call__(self, kind: Any, shape: tuple[int, ...]) -> np.ndarray:
        value = np.asarray(kind(shape, seed=berrante.ops.convert_to_tensor(self.state))).astype(float)
        self.state = self.state + np.array([0, 1], np.int32)
        return value


@pytest.mark.parametrize("n_critic", [1, 2])
@pytest.mark.parametrize("game", GAMES)
def test_one_step_descends_both_losses(game: str, n_critic: int) -> None:
    model = GAN(*pair())
    smoothing = 0.0 if game in ("wasserstein", "wgan_gp", "hinge") else 0.1
    sgd = lambda rate: berrante.optimizers.SGD(rate)
    model.compile(
        sgd(1.0),
        sgd(0.25),
        loss=game,
        n_critic=n_critic,
        label_smoothing=smoothing,
        gradient_penalty=3.0,
        clip_value=5.0,
    )
    draws = Draws(model)
    wg, wd = ([w.astype(float) for w in m.get_weights()] for m in (model.generator, model.discriminator))
    for _ in range(n_critic):
        z = draws(random.normal, (6, 2))
        fake = G(z, wg)
        share = draws(random.uniform, (6, 1)) if game == "wgan_gp" else None

        def d_loss(w: list[np.ndarray], fake: Any = fake, share: Any = share) -> float:
            value = d_value(game, D(X, w), D(fake, w), smoothing)
            return value if share is None else value + 3.0 * penalty(share * X + (1 - share) * fake, w)

        value, scores = d_loss(wd), (D(X, wd), D(fake, wd))
        wd = [w - 0.25 * g for w, g in zip(wd, numeric_gradient(d_loss, wd))]

    def g_loss(w: list[np.ndarray]) -> float:
        return g_value(game, D(X, wd), D(G(z, w), wd))

    expected = g_loss(wg), [w - g for w, g in zip(wg, numeric_gradient(g_loss, wg))]
    logs = {k: v[0] for k, v in model.fit(X, batch_size=6, verbose=0, shuffle=False).history.items()}
    assert logs["d_loss"] == pytest.approx(value, rel=1e-4, abs=1e-6)
    assert logs["g_loss"] == pytest.approx(expected[0], rel=1e-4, abs=1e-6)
    show = (lambda a: 1 / (1 + np.exp(-a))) if game in ("minimax", "non_saturating", "relativistic") else (lambda a: a)
    assert logs["d_real"] == pytest.approx(float(np.mean(show(scores[0]))), rel=1e-4, abs=1e-6)
    assert logs["d_fake"] == pytest.approx(float(np.mean(show(scores[1]))), rel=1e-4, abs=1e-6)
    for got, want in ((model.discriminator, wd), (model.generator, expected[1])):
        for a, b in zip(got.get_weights(), want):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=2e-4)


def test_probabilities_and_log_odds_are_the_same_game() -> None:
    results = []
    for end in ("linear", "sigmoid"):
        model = GAN(*pair(end))
        model.compile()
        results.append(model.fit(X, batch_size=6, epochs=3, verbose=0).history)
    for name in results[0]:
        np.testing.assert_allclose(results[0][name], results[1][name], rtol=1e-4, err_msg=name)


def test_a_keras_loss_and_keras_io_functions() -> None:
    results = []
    bce = berrante.losses.BinaryCrossentropy(from_logits=True)
    for options in ({"loss": "non_saturating"}, {"loss_fn": bce}):
        model = GAN(discriminator=pair()[1], generator=pair()[0], latent_dim=2)
        model.compile(d_optimizer="sgd", g_optimizer="sgd", **options)
        results.append(model.fit(X, batch_size=6, verbose=0).history["g_loss"][0])
    assert results[0] == pytest.approx(results[1], rel=1e-5)
    ops = berrante.ops
    results = []
    for options in (
        {"loss": "wasserstein", "clip_value": 9.0},
        {"d_loss_fn": lambda real, fake: ops.mean(fake) - ops.mean(real), "g_loss_fn": lambda fake: -ops.mean(fake)},
    ):
        model = GAN(*pair())
        model.compile("sgd", "sgd", **options)
        model.fit(X, batch_size=6, epochs=2, verbose=0)
        results.append(model.get_weights())
    for a, b in zip(*results):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_the_generators_step_leaves_the_discriminator_alone() -> None:
    berrante.utils.set_random_seed(0)
    g = berrante.Sequential([L.Input((2,)), L.Dense(3), L.BatchNormalization()])
    d = berrante.Sequential([L.Input((3,)), L.BatchNormalization(scale=False, center=False), L.Dense(1)])
    model = GAN(g, d, ema=0.9)
    model.compile("sgd", berrante.optimizers.SGD(0.0), n_critic=3)
    draws = Draws(model)
    noise = [draws(random.normal, (6, 2)) for _ in range(3)]
    (kernel, bias), before = g.layers[0].get_weights(), d.get_weights()
    model.fit(X, batch_size=6, verbose=0, shuffle=False)
    mean = np.zeros(3)
    for z in noise:  # three critic updates: real, then generated samples, normalised over the batch by the generator
        h = z @ kernel + bias
        fake = (h - h.mean(0)) / np.sqrt(h.var(0) + 1e-3)
        for batch in (X, fake):
            mean = 0.99 * mean + 0.01 * batch.mean(0)
    np.testing.assert_allclose(d.layers[0].moving_mean.numpy(), mean, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(
        d.layers[1].get_weights()[0], before[-2]
    )  # a rate of 0: the generator's step adds nothing
    np.testing.assert_allclose(
        g.layers[1].moving_mean.numpy(), 0.01 * (noise[-1] @ kernel + bias).mean(0), rtol=1e-4, atol=1e-6
    )


def test_averages_of_the_generator() -> None:
    model = GAN(*pair(), ema=0.5)
    model.compile("sgd", "sgd")
    average = [w.astype(float) for w in model.generator.get_weights()]
    for t in range(1, 13):
        model.fit(X, batch_size=6, verbose=0)
        m = min(0.5, (t + 1) / (t + 10))
        average = [m * a + (1 - m) * w for a, w in zip(average, model.generator.get_weights())]
    for a, b in zip(average, model.ema_generator.get_weights()):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    z = model.noise(4, seed=1)
    np.testing.assert_allclose(model.generate(z=z), model.ema_generator.predict(z), rtol=1e-6)


def image_pair(channels: int = 1, extra: int = 0) -> tuple[Any, Any]:
    berrante.utils.set_random_seed(1)
    g = berrante.Sequential(
        [
            L.Input((4 + extra,)), L.Dense(16), L.BatchNormalization(), L.LeakyReLU(), L.Reshape((2, 2, 4)),
            L.Conv2DTranspose(1, 3, strides=2, padding="same", activation="tanh"),
        ]
    )  # fmt: skip
    d = berrante.Sequential(
        [
            L.Input((4, 4, channels + extra)), L.Conv2D(4, 3, strides=2, padding="same"), L.LeakyReLU(), L.Dropout(0.2),
            L.Flatten(), L.Dense(1),
        ]
    )  # fmt: skip
    return g, d


IMAGES = np.random.default_rng(5).uniform(-1, 1, (20, 4, 4, 1)).astype("float32")


@pytest.mark.parametrize("kind", ["gan", "wgan", "conditional"])
def test_one_file_keeps_both_optimizers_and_training_resumes_to_the_bit(kind: str, tmp_path: Path) -> None:
    y = np.arange(20) % 3 if kind == "conditional" else None
    model: Any
    if kind == "conditional":
        model = ConditionalGAN(*image_pair(extra=3), num_classes=3, ema=0.9)
    else:
        model = (GAN if kind == "gan" else WGAN)(*image_pair(), ema=0.9)
    schedule = berrante.optimizers.schedules.ExponentialDecay(1e-3, 10, 0.9)
    model.compile(berrante.optimizers.Adam(schedule), "rmsprop", n_critic=2)
    model.fit(IMAGES, y, batch_size=8, epochs=2, verbose=0)
    model.save(tmp_path / "gan.keras")
    again = load_model(tmp_path / "gan.keras")
    labels = {} if y is None else {"labels": [0, 1, 2]}
    np.testing.assert_array_equal(again.generate(3, seed=1, **labels), model.generate(3, seed=1, **labels))
    histories = [m.fit(IMAGES, y, batch_size=8, epochs=2, verbose=0).history for m in (model, again)]
    assert histories[0] == histories[1]
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert load_model(tmp_path / "gan.keras", compile=False).generator.count_params() > 0


SCRIPT = """
import hashlib, sys, numpy as np, berrante
from berrante import layers as L
from berrante.models import GAN, load_model
berrante.utils.set_random_seed(7)
x = np.random.default_rng(0).uniform(-1, 1, (40, 4, 4, 1)).astype("float32")
mode, path = sys.argv[1:]
if mode == "resume":
    m = load_model(path)
else:
    g = berrante.Sequential([L.Input((4,)), L.Dense(16), L.BatchNormalization(), L.ReLU(), L.Reshape((2, 2, 4)),
                             L.Conv2DTranspose(1, 3, strides=2, padding="same", activation="tanh")])
    d = berrante.Sequential([L.Input((4, 4, 1)), L.Conv2D(8, 3, padding="same"), L.LeakyReLU(), L.Dropout(0.3), L.Flatten(),
                             L.Dense(1)])
    m = GAN(g, d, ema=0.9)
    m.compile(loss="hinge")
m.fit(x, batch_size=16, epochs={"whole": 4, "half": 2, "resume": 4}[mode], initial_epoch=2 if mode == "resume" else 0, verbose=0)
m.save(path)
print(hashlib.sha256(b"".join(w.tobytes() for w in m.get_weights())).hexdigest())
"""


def test_a_killed_and_resumed_training_gives_the_same_bits_on_any_number_of_threads(tmp_path: Path) -> None:
    def run(mode: str, threads: int, name: str) -> str:
        env = dict(os.environ, BERRANTE_NUM_THREADS=str(threads))
        command = [sys.executable, "-c", SCRIPT, mode, str(tmp_path / name)]
        return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout

    whole = run("whole", 1, "a.keras")
    run("half", 2, "b.keras")
    assert run("resume", 3, "b.keras") == whole


def test_eager_equals_traced() -> None:
    results = []
    for eager in (False, True):
        model = WGAN(*pair())
        model.compile("sgd", "sgd", n_critic=2, run_eagerly=eager)
        model.fit(X, batch_size=6, epochs=2, verbose=0)
        results.append(model.get_weights())
    for a, b in zip(*results):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_the_parts_stay_plain_models(tmp_path: Path) -> None:
    g, d = image_pair()
    model = GAN(g, d)
    model.compile()
    model.fit(IMAGES, verbose=0)
    g.save(tmp_path / "g.keras")
    z = model.noise(3, seed=2)
    np.testing.assert_array_equal(load_model(tmp_path / "g.keras").predict(z), model.generate(z=z))
    d.compile("adam", "mse")
    d.fit(IMAGES, np.ones((20, 1)), verbose=0)


def test_conditions_in_every_form() -> None:
    labels = np.arange(20) % 3
    z, c, i = L.Input((4,)), L.Input((3,)), L.Input((1,), dtype="int32")
    image = L.Input((4, 4, 1))
    embed = L.Flatten()(L.Embedding(3, 2)(i))
    g = berrante.Model([z, i], L.Reshape((4, 4, 1))(L.Dense(16, activation="tanh")(L.Concatenate()([z, embed]))))
    d = berrante.Model([image, c], L.Dense(1)(L.Concatenate()([L.Flatten()(image), c])))
    for parts in ((g, d), image_pair(extra=3)):
        model = ConditionalGAN(*parts, num_classes=3)
        model.compile()
        one_hot = np.eye(3)[labels]
        model.fit(IMAGES, labels, verbose=0)
        model.fit(IMAGES, one_hot, verbose=0)
        z0 = model.noise(3, seed=0)
        np.testing.assert_array_equal(model.generate(labels=[0, 1, 2], z=z0), model.generate(labels=np.eye(3), z=z0))
        assert model.generate(5, labels=2).shape == (5, 4, 4, 1)
        assert model.discriminate(IMAGES, labels).shape == (20, 1)
        assert model.interpolate(z0, z0[::-1], steps=4, labels=[0, 1, 2]).shape == (3, 4, 4, 4, 1)


def test_noise_truncation_and_paths() -> None:
    model = GAN(*image_pair())
    assert np.abs(model.noise(200, seed=1, truncation=0.7)).max() <= 0.7
    a, b = model.noise(2, seed=1), model.noise(2, seed=2)
    path = model.interpolate(a, b, steps=5)
    np.testing.assert_allclose(path[:, 0], model.generate(z=a), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(path[:, -1], model.generate(z=b), rtol=1e-4, atol=1e-5)
    from berrante.models.generative.gan import blend

    right_angle = blend(np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]]), 3)
    np.testing.assert_allclose(right_angle[0, 1], [np.sqrt(0.5)] * 2, rtol=1e-6)


def test_warnings_with_advice() -> None:
    model = GAN(*pair())
    model.compile(g_optimizer=berrante.optimizers.SGD(0.0), d_optimizer=berrante.optimizers.Adam(0.1))
    x = np.concatenate([IMAGES] * 2)
    with pytest.warns(UserWarning, match="discriminator is always right.*label_smoothing"):
        model.fit(np.full((32, 3), 0.99, "float32"), epochs=150, verbose=0)
    collapsed = GAN(*image_pair())
    for w in collapsed.generator.layers[0].trainable_weights:
        w.assign(w.numpy() * 0)
    collapsed.generator.layers[1].trainable = False
    collapsed.compile(berrante.optimizers.SGD(0.0), berrante.optimizers.SGD(0.0))
    with pytest.warns(UserWarning, match="collapsed: its samples have 0.0%"):
        watch = berrante.callbacks.WatchGAN(start_from_step=0)
        collapsed.fit(x, epochs=4, verbose=0, callbacks=[watch])
    wild = GAN(*image_pair())
    wild.compile(berrante.optimizers.SGD(1e30), berrante.optimizers.SGD(1e30))
    with pytest.warns(UserWarning, match="diverged.*Lower the learning rates"):
        history = wild.fit(x, epochs=9, verbose=0)
    assert len(history.epoch) < 9


def unbuilt() -> Any:
    return berrante.Sequential([L.Dense(3)])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: GAN(*pair(), latent_dim=5), ValueError, "latent_dim: the generator takes 2 elements; received 5"),
        (lambda: GAN(unbuilt(), pair()[1]), ValueError, "latent_dim: expected a size"),
        (lambda: GAN(pair()[0], None), TypeError, "discriminator: expected a model"),
        (lambda: GAN(*pair(), ema=1.5), ValueError, "ema: expected a momentum"),
        (lambda: ready(GAN(*pair())).fit(X * 255), ValueError, "from -1 to 1.*tanh gives.*x / 127.5 - 1"),
        (lambda: ready(GAN(*pair())).fit(X, X), ValueError, "a ConditionalGAN takes labels"),
        (lambda: ready(GAN(*image_pair())).fit(IMAGES, batch_size=1), ValueError, "a batch of 1; choose another batch_size"),
        (lambda: ready(GAN(*pair()), loss="nothing"), ValueError, "loss: expected minimax, non_saturating"),
        (lambda: ready(GAN(*pair("sigmoid")), loss="hinge"), ValueError, "needs a discriminator without sigmoid"),
        (lambda: ready(GAN(*pair()), n_critic=0), ValueError, "n_critic: expected a positive integer; received 0"),
        (lambda: ready(GAN(*pair()), label_smoothing=1.0), ValueError, "label_smoothing"),
        (lambda: GAN(*pair()).fit(X), RuntimeError, "call compile"),
        (lambda: GAN(*pair()).generate(z=np.ones((2, 3))), ValueError, r"z: expected noise \(N, 2\); received shape \(2, 3\)"),
        (lambda: ready(conditional()).fit(IMAGES), ValueError, r"expected labels.*fit\(x, labels\)"),
        (lambda: ready(conditional()).fit(IMAGES, np.full(20, 3)), ValueError, "labels from 0 to 2; received 3 to 3"),
        (lambda: ready(conditional()).fit(IMAGES, np.full(20, 0.5)), ValueError, "expected labels"),
        (lambda: conditional().generate(3), ValueError, "generate: expected labels"),
        (lambda: frozen(), ValueError, "discriminator: expected weights to train"),
    ],
)  # fmt: skip
def test_bad_input_is_refused(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def ready(model: Any, **options: Any) -> Any:
    model.compile(**options)
    return model


def conditional() -> Any:
    return ConditionalGAN(*image_pair(extra=3), num_classes=3)


def frozen() -> None:
    model = GAN(*pair())
    model.discriminator.trainable = False
    ready(model).fit(X, verbose=0)


def test_one_optimizer_for_both_is_refused() -> None:
    same = berrante.optimizers.Adam()
    with pytest.raises(ValueError, match="expected two optimizers"):
        GAN(*pair()).compile(same, same)
