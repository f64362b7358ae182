"""Bad input to every generative class: labels or targets missing, codes of a wrong size, images out of range, a last batch of
one vector under batch normalisation. Each gets an error that names the model and says what to do, and weights stay as they were."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import berrante
from berrante import layers as L
from berrante.models import (
    GAN,
    SRGAN,
    VAE,
    VQVAE,
    WGAN,
    Autoencoder,
    ConditionalGAN,
    ConditionalVAE,
    ContractiveAutoencoder,
    CycleGAN,
    DenoisingAutoencoder,
    FAnoGAN,
    Inpainter,
    Pix2Pix,
    SparseAutoencoder,
    TextToImageGAN,
)

N, CODE, CLASSES = 9, 3, 4
X = np.random.default_rng(0).random((N, 4, 4, 1), dtype=np.float32)
LABELS = np.arange(N) % CLASSES
CAPTIONS = ["one", "two", "two one"] * 3


def images(inputs: int, normalise: bool = True) -> Any:
    """From vectors to images in [0, 1]."""
    middle = [L.BatchNormalization()] if normalise else []
    ends = [L.Dense(16, activation="sigmoid"), L.Reshape((4, 4, 1))]
    return berrante.Sequential([L.Input((inputs,)), L.Dense(8), *middle, *ends])


def codes(outputs: int = CODE, channels: int = 1, size: int = 4) -> Any:
    """From images to vectors."""
    return berrante.Sequential(
        [L.Input((size, size, channels)), L.Flatten(), L.Dense(8), L.BatchNormalization(), L.Dense(outputs)]
    )


def translator(channels: int = 1, size: int = 4) -> Any:
    middle = [L.Flatten(), L.Dense(8), L.BatchNormalization(), L.Dense(16, activation="sigmoid")]
    return berrante.Sequential([L.Input((size, size, channels)), *middle, L.Reshape((4, 4, 1))])


def captioned() -> Any:
    z, text, image = L.Input((CODE,)), L.Input((8,)), L.Input((4, 4, 1))
    made = images(CODE + 8)(L.Concatenate()([z, text]))
    score = L.Dense(1)(L.Concatenate()([codes(8)(image), text]))
    return TextToImageGAN(
        berrante.Model([z, text], made), berrante.Model([image, text], score), ["one", "two"], text_dim=8
    )


# name -> (how to make it, the arguments of fit)
MODELS: dict[str, tuple[Callable[[], Any], tuple[Any, ...]]] = {
    "GAN": (lambda: GAN(images(CODE), codes(1)), (X,)),
    "WGAN": (lambda: WGAN(images(CODE), codes(1)), (X,)),
    "ConditionalGAN": (
        lambda: ConditionalGAN(images(CODE + CLASSES), codes(1, 1 + CLASSES), num_classes=CLASSES),
        (X, LABELS),
    ),
    "Pix2Pix": (lambda: Pix2Pix(translator(), codes(1, 2)), (X, X)),
    "CycleGAN": (lambda: CycleGAN(translator(), translator(), codes(1), codes(1)), (X, X)),
    "SRGAN": (lambda: SRGAN(translator(1, 2), codes(1), 2), (X,)),
    "Inpainter": (lambda: Inpainter(translator(2), codes(1)), (X,)),
    "TextToImageGAN": (captioned, (CAPTIONS, X)),
    "Autoencoder": (lambda: Autoencoder(codes(), images(CODE)), (X,)),
    "DenoisingAutoencoder": (lambda: DenoisingAutoencoder(codes(), images(CODE)), (X,)),
    "SparseAutoencoder": (lambda: SparseAutoencoder(codes(), images(CODE)), (X,)),
    "ContractiveAutoencoder": (lambda: ContractiveAutoencoder(codes(), images(CODE)), (X,)),
    "VAE": (lambda: VAE(codes(8), images(CODE), CODE), (X,)),
    "ConditionalVAE": (lambda: ConditionalVAE(codes(8), images(CODE + CLASSES), CODE, CLASSES), (X, LABELS)),
    "VQVAE": (lambda: VQVAE(codes(), images(CODE), 6, CODE), (X,)),
    "FAnoGAN": (lambda: FAnoGAN(codes(), images(CODE), codes(1)), (X,)),
}


def compiled(name: str) -> Any:
    berrante.utils.set_random_seed(0)
    model = MODELS[name][0]()
    model.compile()
    return model


def refused(model: Any, call: Callable[[], Any], message: str) -> None:
    """The call raises, and neither weights nor counters have changed."""
    state = [*model.weights, *(v for o in model._optimizers().values() for v in getattr(o, "variables", []))]
    before = [v.numpy() for v in state]
    with pytest.raises(ValueError, match=message):
        call()
    for v, old in zip(state, before, strict=True):
        np.testing.assert_array_equal(v.numpy(), old, v.path)


def test_every_class_is_here() -> None:
    from berrante.models.generative import ALL

    assert {kind.__name__ for kind in ALL} == set(MODELS)


@pytest.mark.filterwarnings("ignore:.*BatchNormalization")
@pytest.mark.parametrize("name", MODELS)
def test_a_batch_of_one_vector(name: str) -> None:
    """Nine samples in batches of four leave one, which is said before the first batch; batches of three will do."""
    model, data = compiled(name), MODELS[name][1]
    message = "normalises vectors over a batch.*9 samples in batches of 4 leave a batch of 1; choose another batch_size"
    refused(model, lambda: model.fit(*data, batch_size=4, verbose=0), message)
    refused(
        model, lambda: model.fit(*data, batch_size=1, verbose=0), "received a batch of 1; choose another batch_size"
    )
    data = tuple(model.tokens(a) if a is CAPTIONS else a for a in data)
    refused(
        model, lambda: model.train_on_batch(*(a[:1] for a in data)), "received a batch of 1; choose another batch_size"
    )
    model.fit(*data, batch_size=3, verbose=0)


@pytest.mark.filterwarnings("ignore:.*BatchNormalization")
def test_one_at_a_time_where_nothing_is_normalised_over_the_batch() -> None:
    model = GAN(images(CODE, False), berrante.Sequential([L.Input((4, 4, 1)), L.Flatten(), L.Dense(1)]))
    model.compile()
    model.fit(X, batch_size=4, verbose=0)
    frozen = FAnoGAN(berrante.Sequential([L.Input((4, 4, 1)), L.Flatten(), L.Dense(CODE)]), images(CODE), codes(1))
    frozen.compile()
    frozen.fit(X, batch_size=4, verbose=0)


def test_a_network_without_weights_yet_is_asked_too() -> None:
    decoder = berrante.Sequential(
        [L.Dense(8), L.BatchNormalization(), L.Dense(16, activation="sigmoid"), L.Reshape((4, 4, 1))]
    )
    model = Autoencoder(berrante.Sequential([L.Flatten(), L.Dense(CODE)]), decoder)
    model.compile()
    with pytest.raises(ValueError, match="9 samples in batches of 4 leave a batch of 1"):
        model.fit(X, batch_size=4, verbose=0)


@pytest.mark.filterwarnings("ignore:.*BatchNormalization")
@pytest.mark.parametrize("name", MODELS)
def test_images_out_of_range(name: str) -> None:
    """Bytes where the network can give 0 to 1 alone."""
    model, data = compiled(name), MODELS[name][1]
    wrong = [a * 255 if a is X else a for a in data]
    refused(model, lambda: model.fit(*wrong, batch_size=3, verbose=0), "expected values from 0 to 1.*by x / 255")


@pytest.mark.filterwarnings("ignore:.*BatchNormalization")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ConditionalGAN", r"expected labels, one class a sample; received None: fit\(x, labels\)"),
        ("ConditionalVAE", r"expected labels, one class a sample; received None: fit\(x, labels\)"),
        ("Pix2Pix", r"expected target images.*received None: fit\(x, y\)"),
        ("CycleGAN", r"expected images of the other kind; received None: fit\(x, y\)"),
        ("TextToImageGAN", r"expected images; received None: fit\(captions, images\)"),
    ],
)
def test_labels_or_targets_missing(name: str, message: str) -> None:
    model = compiled(name)
    refused(model, lambda: model.fit(MODELS[name][1][0], batch_size=3, verbose=0), message)


@pytest.mark.filterwarnings("ignore:.*BatchNormalization")
@pytest.mark.parametrize("name", ["GAN", "WGAN", "Inpainter", "VAE", "FAnoGAN"])
def test_labels_that_nothing_asked_for(name: str) -> None:
    model = compiled(name)
    refused(model, lambda: model.fit(X, LABELS, batch_size=3, verbose=0), "y: expected None")


WRONG = np.ones((2, CODE + 2), np.float32)


@pytest.mark.filterwarnings("ignore:.*BatchNormalization")
@pytest.mark.parametrize(
    ("name", "call", "message"),
    [
        ("GAN", lambda m: m.generate(z=WRONG), r"z: expected noise \(N, 3\); received shape \(2, 5\)"),
        ("WGAN", lambda m: m.interpolate(WRONG, WRONG), r"z: expected noise \(N, 3\); received shape \(2, 5\)"),
        ("ConditionalGAN", lambda m: m.generate(labels=[0, 1], z=WRONG), r"z: expected noise \(N, 3\)"),
        ("TextToImageGAN", lambda m: m.generate(["one", "two"], z=WRONG), r"z: expected noise \(2, 3\)"),
        ("Autoencoder", lambda m: m.decode(WRONG), r"decode: expected codes of shape \(N, 3\); received \(2, 5\)"),
        ("DenoisingAutoencoder", lambda m: m.decode(WRONG), r"decode: expected codes of shape \(N, 3\)"),
        ("SparseAutoencoder", lambda m: m.decode(WRONG), r"decode: expected codes of shape \(N, 3\)"),
        ("ContractiveAutoencoder", lambda m: m.decode(WRONG[0]), r"decode: expected codes of shape \(N, 3\)"),
        ("FAnoGAN", lambda m: m.decode(WRONG), r"decode: expected codes of shape \(N, 3\)"),
        ("VAE", lambda m: m.decode(WRONG), r"codes \(N, 3\)"),
        ("ConditionalVAE", lambda m: m.decode(WRONG, [0, 1]), r"codes \(N, 3\)"),
        ("VQVAE", lambda m: m.decode(np.array([[9]])), "expected indices from 0 to 5"),
    ],
)
def test_codes_of_a_wrong_size(name: str, call: Callable[[Any], Any], message: str) -> None:
    model = compiled(name)
    refused(model, lambda: call(model), message)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GAN(images(CODE), codes(1), CODE + 1), "latent_dim: the generator takes 3 elements; received 4"),
        (
            lambda: ConditionalGAN(images(CODE), codes(1, 1 + CLASSES), CODE, CLASSES),
            "latent_dim: the generator takes 3 elements; received 3 and 4 classes",
        ),
        (lambda: VAE(codes(8), images(CODE), CODE + 1), "decoder: expected inputs of latent_dim=4"),
        (lambda: ConditionalVAE(codes(8), images(CODE), CODE + 1, CLASSES), "decoder: expected inputs of latent_dim=4"),
    ],
)
def test_a_latent_size_that_does_not_fit_the_network(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
