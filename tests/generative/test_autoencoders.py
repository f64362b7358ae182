"""Autoencoders: every loss and its gradient against float64, methods, files, bad input."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import berrante
from berrante import layers as L
from berrante import random
from berrante.models import (
    VAE,
    VQVAE,
    Autoencoder,
    ConditionalVAE,
    ContractiveAutoencoder,
    DenoisingAutoencoder,
    SparseAutoencoder,
    load_model,
)
from generative.reference import assert_step_descends, dense

X = np.random.default_rng(0).random((6, 5)).astype("float32")
SGD = lambda: berrante.optimizers.SGD(1.0)


def stack(sizes: list[int], activations: list[str]) -> Any:
    layers = [L.Dense(n, activation=a) for n, a in zip(sizes[1:], activations)]
    return berrante.Sequential([L.Input((sizes[0],)), *layers])


def parts(code: int = 3, activation: str = "sigmoid", out: str = "sigmoid") -> tuple[Any, Any]:
    berrante.utils.set_random_seed(2)
    return stack([5, code], [activation]), stack([code, 5], [out])


def logs_of(model: Any, x: Any = X, y: Any = None) -> dict[str, float]:
    return model.evaluate(x, y, batch_size=len(x), verbose=0, return_dict=True)


def train_once(model: Any, x: Any = X, y: Any = None) -> Any:
    return model.fit(x, y, batch_size=len(x), epochs=1, verbose=0, shuffle=False).history


def test_reconstruction_loss_and_gradient() -> None:
    model = Autoencoder(*parts())
    model.compile(SGD())

    def loss(w: list[np.ndarray]) -> float:
        return float(np.mean((dense(dense(X, w[:2], ["sigmoid"]), w[2:], ["sigmoid"]) - X) ** 2))

    assert logs_of(model)["loss"] == pytest.approx(loss(model.get_weights()[1:]), rel=1e-5)
    assert_step_descends(model, model.trainable_variables, loss, lambda: train_once(model))


def test_tied_kernels_descend_through_both_halves(tmp_path: Path) -> None:
    model = Autoencoder(*parts(), tied=True)
    model.compile(SGD())
    kernel, bias, copy, back = [*model.encoder.weights, *model.decoder.weights]
    np.testing.assert_array_equal(copy.numpy(), kernel.numpy().T)

    def loss(w: list[np.ndarray]) -> float:
        code = dense(X, w[:2], ["sigmoid"])
        return float(np.mean((dense(code, [w[0].T, w[2]], ["sigmoid"]) - X) ** 2))

    assert_step_descends(model, [kernel, bias, back], loss, lambda: train_once(model))
    np.testing.assert_array_equal(copy.numpy(), kernel.numpy().T)
    model.compile("adam")
    train_once(model)
    model.save(tmp_path / "tied.keras")
    again = load_model(tmp_path / "tied.keras")
    for m in (model, again):
        train_once(m)
    assert again.tied
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_tied_transposed_convolution_is_the_adjoint() -> None:
    encoder = berrante.Sequential([L.Input((6, 6, 2)), L.Conv2D(3, 3, strides=2, padding="same", use_bias=False)])
    decoder = berrante.Sequential([L.Input((3, 3, 3)), L.Conv2DTranspose(2, 3, 2, padding="same", use_bias=False)])
    Autoencoder(encoder, decoder, tied=True)
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(1, 6, 6, 2)), rng.normal(size=(1, 3, 3, 3))
    assert np.sum(encoder.predict(a) * b) == pytest.approx(np.sum(a * decoder.predict(b)), rel=1e-4)


@pytest.mark.parametrize("target", [None, 0.1])
def test_sparsity(target: float | None) -> None:
    model = SparseAutoencoder(*parts(), sparsity=0.5, sparsity_target=target)
    model.compile(SGD())

    def penalty(w: list[np.ndarray]) -> float:
        code = dense(X, w[:2], ["sigmoid"])
        if target is None:
            return 0.5 * float(np.mean(np.abs(code)))
        p = code.mean(0)
        return 0.5 * float(np.sum(target * np.log(target / p) + (1 - target) * np.log((1 - target) / (1 - p))))

    def loss(w: list[np.ndarray]) -> float:
        return float(np.mean((dense(dense(X, w[:2], ["sigmoid"]), w[2:], ["sigmoid"]) - X) ** 2)) + penalty(w)

    weights = [v.numpy() for v in model.trainable_variables]
    assert logs_of(model)["sparsity_loss"] == pytest.approx(penalty(weights), rel=1e-5)
    assert_step_descends(model, model.trainable_variables, loss, lambda: train_once(model))


def test_contractive_penalty_is_the_jacobians_norm_and_its_gradient_is_of_second_order() -> None:
    model = ContractiveAutoencoder(*parts(), contractive=0.7)
    model.compile(SGD())

    def penalty(w: list[np.ndarray]) -> float:
        h = dense(X, w[:2], ["sigmoid"])  # one sigmoid layer: d h_j / d x_i = h_j (1 - h_j) W_ij
        return 0.7 * float(np.mean(np.sum((h * (1 - h)) ** 2 * np.sum(np.square(w[0].astype(float)), 0), 1)))

    def loss(w: list[np.ndarray]) -> float:
        return float(np.mean((dense(dense(X, w[:2], ["sigmoid"]), w[2:], ["sigmoid"]) - X) ** 2)) + penalty(w)

    weights = [v.numpy() for v in model.trainable_variables]
    assert logs_of(model)["contractive_loss"] == pytest.approx(penalty(weights), rel=1e-5)
    assert_step_descends(model, model.trainable_variables, loss, lambda: train_once(model))


def test_the_estimate_of_the_jacobian_is_unbiased() -> None:
    from berrante.models.generative import autoencoder as module

    encoder, _ = parts(40, "tanh")
    x = np.repeat(X[:1], 20000, axis=0)
    from berrante.graph.program import Program
    from berrante.graph.tensor import TensorSpec

    program = Program(lambda a: module.contractive_penalty(encoder(a), a, 3), [TensorSpec(x.shape, "float32")])
    w, b = (v.astype(float) for v in encoder.get_weights())
    h = np.tanh(X[:1] @ w + b)
    exact = float(np.sum(((1 - h**2) * w) ** 2))
    assert float(program(x)) == pytest.approx(exact, rel=0.02)


@pytest.mark.parametrize("reconstruction", ["bce", "mse"])
@pytest.mark.parametrize("form", ["features", "pair"])
def test_vae_maximises_the_evidence_bound(reconstruction: str, form: str) -> None:
    berrante.utils.set_random_seed(1)
    out = "sigmoid" if reconstruction == "bce" else "linear"
    if form == "features":
        encoder, latent = stack([5, 4], ["tanh"]), 2
    else:
        x = L.Input((5,))
        h = L.Dense(4, activation="tanh")(x)
        encoder, latent = berrante.Model(x, [L.Dense(2)(h), L.Dense(2)(h)]), None
    model = VAE(encoder, stack([2, 5], [out]), latent, beta=0.3, reconstruction=reconstruction)
    model.compile(SGD())
    seed = model.seed_generator.state.numpy()

    def terms(w: list[np.ndarray], noise: Any) -> tuple[float, float]:
        by_name = dict(zip(names, w))
        h = dense(X, by_name["h"], ["tanh"])
        mean, log_var = (h @ by_name[k][0] + by_name[k][1] for k in ("mean", "log_var"))
        y = dense(mean + np.exp(log_var / 2) * noise, by_name["out"], [out])
        if reconstruction == "bce":
            nats = -np.sum(X * np.log(y) + (1 - X) * np.log(1 - y), 1)
        else:
            nats = 0.5 * np.sum((X - y) ** 2, 1)
        return float(nats.mean()), float(np.mean(-0.5 * np.sum(1 + log_var - mean**2 - np.exp(log_var), 1)))

    hidden, decoder = encoder.layers, model.decoder.layers
    heads = [model.z_mean, model.z_log_var] if form == "features" else encoder.layers[-2:]
    order = {"h": [x for x in hidden if x.weights][0], "mean": heads[0], "log_var": heads[1], "out": decoder[-1]}
    names = list(order)
    variables = [v for layer in order.values() for v in layer.weights]

    def grouped(flat: list[np.ndarray]) -> list[Any]:
        return [flat[2 * i : 2 * i + 2] for i in range(4)]

    logs = logs_of(model)
    reference = terms(grouped([v.numpy().astype(float) for v in variables]), 0.0)
    assert logs["reconstruction_loss"] == pytest.approx(reference[0], rel=1e-5)
    assert logs["kl_loss"] == pytest.approx(reference[1], rel=1e-4)
    assert logs["loss"] == pytest.approx(reference[0] + 0.3 * reference[1], rel=1e-5)
    noise = np.asarray(random.normal((6, 2), seed=berrante.ops.convert_to_tensor(seed))).astype(float)

    def loss(w: list[np.ndarray]) -> float:
        nats, divergence = terms(grouped(w), noise)
        return nats + 0.3 * divergence

    assert_step_descends(model, variables, loss, lambda: train_once(model))


def test_keras_io_form_of_the_encoder() -> None:
    class Sampling(L.Layer):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.seed_generator = berrante.random.SeedGenerator(1337)

        def call(self, inputs: Any) -> Any:
            mean, log_var = inputs
            epsilon = berrante.random.normal(shape=berrante.ops.shape(mean), seed=self.seed_generator)
            return mean + berrante.ops.exp(0.5 * log_var) * epsilon

    x = L.Input((5,))
    h = L.Dense(8, activation="relu")(x)
    mean, log_var = L.Dense(2, name="z_mean")(h), L.Dense(2, name="z_log_var")(h)
    encoder = berrante.Model(x, [mean, log_var, Sampling()([mean, log_var])])
    model = VAE(encoder, stack([2, 5], ["sigmoid"]))
    model.compile("adam")
    history = train_once(model)
    assert set(history) == {"loss", "reconstruction_loss", "kl_loss"}
    assert model.encode(X).shape == (6, 2)


def test_straight_through_gradients_of_a_vqvae() -> None:
    berrante.utils.set_random_seed(3)
    model = VQVAE(stack([5, 2], ["linear"]), stack([2, 5], ["linear"]), num_embeddings=4, embedding_dim=2)
    table = np.random.default_rng(1).normal(size=(4, 2)).astype("float32")
    model.quantizer.embeddings.assign(table)
    model.compile(SGD())
    (we, be), (wd, bd) = (p.get_weights() for p in (model.encoder, model.decoder))
    z = X.astype(float) @ we + be
    nearest = np.argmin(((z[:, None] - table[None]) ** 2).sum(-1), 1)
    q = table[nearest].astype(float)
    y = q @ wd + bd
    logs = logs_of(model)
    assert logs["reconstruction_loss"] == pytest.approx(np.mean((y - X) ** 2), rel=1e-5)
    assert logs["vq_loss"] == pytest.approx(1.25 * np.mean((q - z) ** 2), rel=1e-5)
    share = np.bincount(nearest, minlength=4) / 6
    assert logs["perplexity"] == pytest.approx(np.exp(-np.sum(share * np.log(share + 1e-10))), rel=1e-5)
    np.testing.assert_array_equal(model.encode(X), nearest)
    dy = 2 * (y - X) / y.size
    dz = dy @ wd.T.astype(float) + 0.25 * 2 * (z - q) / z.size  # the decoder's gradient lands on the encoder's output
    de = np.zeros((4, 2))
    np.add.at(de, nearest, 2 * (q - z) / z.size)
    train_once(model)
    np.testing.assert_allclose(we - model.encoder.get_weights()[0], X.T @ dz, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(table - model.quantizer.embeddings.numpy(), de, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(wd - model.decoder.get_weights()[0], q.T @ dy, rtol=1e-3, atol=1e-5)


def test_noise_is_for_training_alone() -> None:
    encoder, decoder = parts()
    model = DenoisingAutoencoder(encoder, decoder, noise=0.5, kind="masking")
    model.compile("adam", metrics=["mae"])
    noisy = model.corrupt(X, seed=1)
    assert set(np.unique(noisy == X)) == {False, True} and np.all((noisy == 0) | (noisy == X))
    clean = logs_of(model)["loss"]
    assert clean == pytest.approx(float(np.mean((model.reconstruct(X) - X) ** 2)), rel=1e-5)
    assert train_once(model)["loss"][0] != pytest.approx(clean, rel=1e-6)
    # Other inputs than targets.
    assert np.isfinite(train_once(model, noisy, X)["loss"][0])


def every_model() -> dict[str, Any]:
    labels = np.arange(6) % 3
    conv = berrante.Sequential([L.Input((4, 4, 1)), L.Conv2D(3, 3, strides=2, padding="same")])
    back = berrante.Sequential([L.Input((2, 2, 3)), L.Conv2DTranspose(1, 3, strides=2, padding="same")])
    images = np.random.default_rng(1).random((6, 4, 4, 1)).astype("float32")
    return {
        "plain": (Autoencoder(*parts(), noise=0.1, sparsity=0.1, contractive=0.1), X, None),
        "denoising": (DenoisingAutoencoder(*parts(), kind="masking"), X, None),
        "vae": (VAE(stack([5, 4], ["tanh"]), stack([2, 5], ["sigmoid"]), 2), X, None),
        "conditional": (
            ConditionalVAE(stack([5, 4], ["tanh"]), stack([5, 5], ["sigmoid"]), 2, num_classes=3),
            X,
            labels,
        ),
        "vqvae": (VQVAE(conv, back, 8, 3), images, None),
    }


@pytest.mark.parametrize("name", list(every_model()))
def test_files_keep_everything_and_training_resumes_to_the_bit(name: str, tmp_path: Path) -> None:
    model, x, y = every_model()[name]
    x = np.tile(x, (4, *(1,) * (x.ndim - 1)))
    y = None if y is None else np.tile(y, 4)
    model.compile("adam")
    model.fit(x, y, batch_size=8, epochs=2, verbose=0)
    labels = {} if y is None else {"labels": y}
    if y is None:
        threshold = model.calibrate(x)
    model.save(tmp_path / "m.keras")
    again = load_model(tmp_path / "m.keras")
    assert type(again) is type(model)
    np.testing.assert_array_equal(again.reconstruct(x, **labels), model.reconstruct(x, **labels))
    if y is None:
        assert again.threshold.numpy() == np.float32(threshold)
    for m in (model, again):
        m.fit(x, y, batch_size=8, epochs=2, verbose=0)
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", list(every_model()))
def test_methods(name: str) -> None:
    model, x, y = every_model()[name]
    model.compile("adam")
    model.fit(x, y, epochs=1, verbose=0)
    labels = {} if y is None else {"labels": y}
    code = model.encode(x, **labels)
    decoded = model.decode(code, **labels)
    assert decoded.shape == x.shape
    np.testing.assert_allclose(model.reconstruct(x, **labels), decoded, rtol=1e-5, atol=1e-6)
    line = model.interpolate(x[:2], x[2:4], steps=4, **({} if y is None else {"labels": y[:2]}))
    assert line.shape == (2, 4, *x.shape[1:])
    np.testing.assert_allclose(line[:, 0], decoded[:2], rtol=1e-4, atol=1e-5)
    score = model.anomaly_score(x, **labels)
    np.testing.assert_allclose(score, np.mean((decoded - x) ** 2, tuple(range(1, x.ndim))), rtol=1e-4)
    if hasattr(model, "sample"):
        if name == "vqvae":
            model.fit_prior(x)
        a, b = (model.sample(3, seed=5, **({} if y is None else {"labels": [0, 1, 2]})) for _ in range(2))
        assert a.shape == (3, *x.shape[1:])
        np.testing.assert_array_equal(a, b)
    if y is None:
        model.calibrate(x, quantile=0.5)
        assert model.is_anomaly(x).sum() == 3


def test_the_elbo_as_a_score() -> None:
    model = VAE(stack([5, 4], ["tanh"]), stack([2, 5], ["sigmoid"]), 2, anomaly_reduction="elbo")
    model.compile("adam")
    logs = logs_of(model)
    assert model.anomaly_score(X).mean() == pytest.approx(logs["loss"], rel=1e-5)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: Autoencoder(*parts(), contractive=-1.0), ValueError, "contractive: expected a weight"),
        (lambda: Autoencoder(parts()[0], stack([3, 4, 5], ["tanh", "tanh"]), tied=True), ValueError, "tied: expected a decoder that mirrors"),
        (lambda: Autoencoder(3, parts()[1]), TypeError, "encoder: expected a model"),
        (lambda: VAE(stack([5, 4], ["tanh"]), stack([2, 5], ["sigmoid"])), ValueError, "latent_dim: expected a size"),
        (lambda: VAE(stack([5, 4], ["tanh"]), stack([2, 5], ["sigmoid"]), 7), ValueError, "expected inputs of latent_dim=7"),
        (lambda: ready(VAE(stack([5, 4], ["tanh"]), stack([2, 5], ["sigmoid"]), 2)).fit(X * 255), ValueError, "from 0 to 1.*x / 255"),
        (lambda: ready(VAE(stack([5, 4], ["tanh"]), stack([2, 5], ["sigmoid"]), 2)).fit(X, X), ValueError, "y: expected None"),
        (lambda: ready(Autoencoder(*parts(out="tanh"))).fit(X * 255), ValueError, "from -1 to 1.*x / 127.5 - 1"),
        (lambda: ready(Autoencoder(parts()[0], stack([3, 4], ["sigmoid"]))).fit(X), ValueError, "the target's shape"),
        (lambda: ready(Autoencoder(*parts())).is_anomaly(X), RuntimeError, "call calibrate"),
        (lambda: ready(Autoencoder(*parts())).anomaly_score(X, "sum"), ValueError, "expected mse, mae, max"),
        (lambda: conditional().fit(X), ValueError, "expected labels"),
        (lambda: conditional().fit(X, np.full(6, 3)), ValueError, "labels from 0 to 2; received 3"),
        (lambda: conditional().sample(3), ValueError, "sample: expected labels"),
        (lambda: VAE(stack([5, 4], ["tanh"]), stack([2, 5], ["sigmoid"]), 2).decode(np.ones((1, 3))), ValueError, r"codes \(N, 2\)"),
        (lambda: ready(VQVAE(stack([5, 2], ["tanh"]), stack([2, 5], ["tanh"]), 4, 2)).decode(np.array([9])), ValueError, "from 0 to 3"),
    ],
)  # fmt: skip
def test_bad_input_is_refused(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def ready(model: Any) -> Any:
    model.compile("adam")
    return model


def conditional() -> Any:
    return ready(ConditionalVAE(stack([5, 4], ["tanh"]), stack([5, 5], ["sigmoid"]), 2, num_classes=3))


def test_keras_reads_the_parts(tmp_path: Path) -> None:
    os.environ.setdefault("KERAS_BACKEND", "jax")
    pytest.importorskip(os.environ["KERAS_BACKEND"])
    keras = pytest.importorskip("keras")
    model = ready(Autoencoder(*parts()))
    model.encoder.save(tmp_path / "encoder.keras")
    theirs = keras.models.load_model(tmp_path / "encoder.keras")
    np.testing.assert_allclose(np.asarray(theirs(X)), model.encode(X), rtol=1e-5)
