"""Ready architectures: shapes, parameters, files that Keras reads with the same results, bad input."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import berrante
from berrante import zoo
from berrante.graph.variable import Variable
from berrante.models.generative import MaxUnpooling2D

BUILDERS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "lenet5": (lambda: zoo.lenet5(), (10,)),
    "unet": (lambda: zoo.unet((16, 24, 3), filters=4, depth=2), (16, 24, 1)),
    "unet of classes": (lambda: zoo.unet((16, 16, 1), classes=4, filters=4, depth=2, dropout=0.2), (16, 16, 4)),
    "segnet": (lambda: zoo.segnet((16, 16, 3), filters=4, depth=2), (16, 16, 1)),
    "generator": (lambda: zoo.dcgan((8, 8, 1), 6, filters=4)[0], (8, 8, 1)),
    "conditional generator": (lambda: zoo.dcgan((8, 12, 3), 6, filters=4, num_classes=5)[0], (8, 12, 3)),
    "discriminator": (lambda: zoo.dcgan((8, 8, 1), 6, filters=4, normalise="layer")[1], (1,)),
    "conditional discriminator": (lambda: zoo.dcgan((8, 8, 1), 6, filters=4, num_classes=5)[1], (1,)),
    "patches": (lambda: zoo.patch_discriminator((16, 16, 2), filters=4), (4, 4, 1)),
    "residual": (lambda: zoo.resnet_generator((8, 8, 2), filters=4, blocks=1), (8, 8, 1)),
    "upscaler": (lambda: zoo.super_resolution((4, 4, 1), filters=4, blocks=1), (16, 16, 1)),
    "encoder": (lambda: zoo.conv_autoencoder((8, 8, 1), 5, (4, 8))[0], (5,)),
    "decoder": (lambda: zoo.conv_autoencoder((8, 8, 1), 5, (4, 8))[1], (8, 8, 1)),
    "map encoder": (lambda: zoo.conv_autoencoder((8, 8, 1), None, (4, 8))[0], (2, 2, 8)),
    "encoder with a skip": (lambda: zoo.dense_autoencoder((8, 8, 1), 5, code_activation="tanh", skip=True)[0], (5,)),
    "decoder with a skip": (lambda: zoo.dense_autoencoder((8, 8, 1), 5, skip=True)[1], (8, 8, 1)),
    "dense decoder": (lambda: zoo.dense_autoencoder((8, 8, 1), 5)[1], (8, 8, 1)),
}


def inputs_of(model: Any) -> Any:
    rng = np.random.default_rng(0)
    arrays = [rng.random((2, *t.shape[1:])).astype("float32") for t in model.inputs]
    return arrays if len(arrays) > 1 else arrays[0]


@pytest.mark.parametrize("name", list(BUILDERS))
def test_shapes_and_files(name: str, tmp_path: Path) -> None:
    build, shape = BUILDERS[name]
    model = build()
    x = inputs_of(model)
    y = model.predict(x)
    assert y.shape == (2, *shape)
    model.save(tmp_path / "m.keras")
    np.testing.assert_array_equal(berrante.models.load_model(tmp_path / "m.keras").predict(x), y)
    if name not in ("lenet5", "dense decoder"):
        return  # Keras compiles each operation anew: a minute for the large ones
    os.environ.setdefault("KERAS_BACKEND", "jax")
    pytest.importorskip(os.environ["KERAS_BACKEND"])
    theirs = pytest.importorskip("keras").models.load_model(tmp_path / "m.keras")
    np.testing.assert_allclose(np.asarray(theirs(x)), y, rtol=1e-3, atol=1e-4)


def test_unpooling_puts_elements_back_to_the_maxima() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 4, 6, 3)).astype("float32"), rng.normal(size=(2, 2, 2, 3)).astype("float32")
    x[0, 0, 0] = x[0, 1, 1] = 9.0  # of equal ones the first
    expected = np.zeros_like(x)
    for n, i, j, c in np.ndindex(y.shape):
        window = x[n, 2 * i : 2 * i + 2, 3 * j : 3 * j + 3, c]
        r, s = np.unravel_index(np.argmax(window), window.shape)
        expected[n, 2 * i + r, 3 * j + s, c] = y[n, i, j, c]
    layer = MaxUnpooling2D((2, 3))
    np.testing.assert_array_equal(np.asarray(layer([y, x])), expected)
    v = Variable(y)
    with berrante.GradientTape() as tape:
        total = berrante.ops.sum(layer([v.value, x]) * x)
    places = x.reshape(2, 2, 2, 2, 3, 3).max((2, 4))
    np.testing.assert_allclose(np.asarray(tape.gradient(total, v)), places, rtol=1e-6)
    with pytest.raises(ValueError, match=r"expected x of shape \(N, 4, 6, 3\)"):
        layer([y, x[:, :3]])


def test_a_pair_with_skips_starts_linear() -> None:
    encoder, decoder = zoo.dense_autoencoder((3, 2, 1), 4, (8,), output="linear", skip=True)
    rng = np.random.default_rng(0)
    for model, shape in ((encoder, (3, 2, 1)), (decoder, (4,))):
        a, b = rng.normal(size=(2, 2, *shape)).astype("float32")
        np.testing.assert_allclose(model.predict(a + b), model.predict(a) + model.predict(b), atol=1e-5)


def test_an_upscaler_starts_near_the_bicubic_enlargement() -> None:
    model = zoo.super_resolution((4, 4, 1), filters=4, blocks=1)
    x = inputs_of(model)
    np.testing.assert_allclose(
        model.predict(x), np.asarray(berrante.layers.UpSampling2D(4, interpolation="bicubic")(x)), atol=0.2
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: zoo.unet((20, 16, 1), depth=3), "divisible by 2 .. depth = 8; received 20 x 16"),
        (lambda: zoo.dcgan((30, 30, 1)), "divisible by 4; received 30 x 30"),
        (lambda: zoo.conv_autoencoder((30, 30, 1), 4), "divisible by 4"),
        (lambda: zoo.super_resolution((4, 4, 1), scale=5), "scale 2, 3 or 4; received 5"),
        (lambda: zoo.dcgan((8, 8, 1), normalise="group"), "batch, layer or None; received 'group'"),
        (lambda: zoo.lenet5(pooling="sum"), "max or average"),
    ],
)
def test_bad_input_is_refused(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
