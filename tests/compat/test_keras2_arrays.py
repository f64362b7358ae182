"""Keras 2: what a model brings along (inputs, targets), masks of models and steps, penalties, old layers, TensorBoard."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from berrante.compat import install_as_keras, uninstall


@pytest.fixture(autouse=True)
def keras2() -> Iterator[None]:
    install_as_keras(2)
    yield
    uninstall()


def rows(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_inputs_that_are_variables() -> None:
    from keras import backend as K
    from keras.layers import Dense, Input, add
    from keras.models import Model, clone_model

    x, z, y = rows(6, 3), rows(6, 3, seed=1), rows(6, 2, seed=2)
    a, b = Input(tensor=K.variable(x)), Input((3,), name="b")
    model = Model([a, b], Dense(2)(add([a, b])))
    model.compile("sgd", "mse")
    kernel, bias = model.get_weights()
    expected = (x + z) @ kernel + bias
    np.testing.assert_allclose(model.predict(z), expected, rtol=1e-5)
    np.testing.assert_allclose(model.predict_on_batch({"b": z}), expected, rtol=1e-5)
    assert model.test_on_batch(z, y) == pytest.approx(((expected - y) ** 2).mean(), rel=1e-5)
    with pytest.raises(ValueError, match="expected 1 arrays for the inputs b"):
        model.predict([x, z])
    alone = clone_model(Model(b, Dense(2)(b)), input_tensors=K.variable(x))
    alone.compile("sgd", "mse")
    assert alone.predict(None, steps=2).shape == (12, 2)
    losses = alone.fit(None, y, epochs=3, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


def test_target_tensors() -> None:
    from keras import backend as K
    from keras.layers import Dense, Input
    from keras.models import Model

    x, y = rows(6, 3), rows(6, 2, seed=2)
    inputs = Input((3,))
    model = Model(inputs, [Dense(2, name="a")(inputs), Dense(2, name="b")(inputs)])
    model.compile("sgd", "mse")
    expected = model.test_on_batch(x, [y, -y])
    for targets, rest in (([K.variable(y), K.variable(-y)], None), ({"a": K.variable(y)}, -y)):
        model.compile("sgd", "mse", target_tensors=targets)
        np.testing.assert_allclose(model.test_on_batch(x, rest), expected, rtol=1e-6)
    with pytest.raises(ValueError, match="given target tensors"):
        model.test_on_batch(x, [y, -y])
    for wrong, error in ((K.variable(y), ValueError), ({"c": None}, ValueError), (set(), TypeError), ([1], ValueError)):
        with pytest.raises(error, match="target_tensors"):
            model.compile("sgd", "mse", target_tensors=wrong)


def test_masks_of_models_and_of_steps() -> None:
    from keras import backend as K
    from keras.layers import Dense, Embedding, Input, Masking, TimeDistributed
    from keras.models import Model, Sequential

    a = Input((4,))
    model = Model(a, [Dense(2)(a), Dense(3)(a)])
    assert model.compute_mask(a, None) == [None, None] and Model(a, Dense(2)(a)).compute_mask(a, None) is None
    steps = Sequential([TimeDistributed(Masking(0.0), input_shape=(None, 4)), TimeDistributed(Dense(5))])
    x = np.ones((3, 2, 4), np.float32)
    x[1, 1] = 0.0
    first = steps.layers[0].compute_mask(steps.input)
    second = steps.layers[1].compute_mask(steps.layers[1].input, first)
    for mask in K.function([steps.input], [first, second])([x]):
        np.testing.assert_array_equal(mask, [[True, True], [True, False], [True, True]])
    words = Sequential([TimeDistributed(Embedding(5, 2, mask_zero=True), input_shape=(2, 3))])
    ids = np.array([[[1, 2, 0], [0, 0, 0]]])
    np.testing.assert_array_equal(
        K.function([words.input], [words.layers[0].compute_mask(words.input)])([ids])[0], ids > 0
    )


def test_penalties_on_outputs_are_sums_over_the_batch() -> None:
    from keras.layers import Dense
    from keras.models import Sequential
    from keras.regularizers import l2

    x = rows(8, 3)
    model = Sequential([Dense(2, activity_regularizer=l2(0.1), input_shape=(3,))])
    model.compile("sgd", "mse")
    y = model.predict(x)
    assert model.test_on_batch(x, y) == pytest.approx(0.1 * (y**2).sum(), rel=1e-4)


def test_old_dense_layers() -> None:
    from keras.layers import Highway, MaxoutDense
    from keras.models import Sequential

    x = rows(5, 4)
    model = Sequential([Highway(activation="tanh", input_dim=4), MaxoutDense(3, nb_feature=2, W_regularizer="l2")])
    w, w_carry, b, b_carry, kernels, biases = (rows(*v.shape, seed=i) for i, v in enumerate(model.get_weights()))
    model.set_weights([w, w_carry, b, b_carry, kernels, biases])
    t = 1 / (1 + np.exp(-(x @ w_carry + b_carry)))
    h = t * np.tanh(x @ w + b) + (1 - t) * x
    expected = (np.einsum("nk,fko->nfo", h, kernels) + biases).max(1)
    np.testing.assert_allclose(model.predict(x), expected, rtol=1e-4, atol=1e-5)
    twin = Sequential.from_config(model.get_config())
    twin.set_weights(model.get_weights())
    np.testing.assert_array_equal(twin.predict(x), model.predict(x))


def test_unknown_extents_beside_known_ones() -> None:
    """Variational autoencoders draw noise for a batch of a fixed size beside inputs of any."""
    from keras import backend as K
    from keras.layers import Input, Lambda
    from keras.models import Model

    inputs = Input((2,))
    outputs = Lambda(lambda z: z + K.random_normal((7, 2)) * 0.0)(inputs)
    assert K.int_shape(outputs) == (7, 2)
    np.testing.assert_array_equal(Model(inputs, outputs).predict(np.ones((7, 2))), np.ones((7, 2)))
    with pytest.raises(ValueError, match="lambda.*do not broadcast"):
        Lambda(lambda z: z + np.ones((7, 3), np.float32))(inputs)


def test_grey_pictures(tmp_path: Path) -> None:
    from keras.preprocessing import image

    path = str(tmp_path / "p.png")
    image.array_to_img(np.full((4, 5, 3), 200.0), scale=False).save(path)
    for grey in (
        image.load_img(path, grayscale=True),
        image.load_img(path, True),
        image.load_img(path, color_mode="grayscale"),
    ):
        assert image.img_to_array(grey).shape == (4, 5, 1)
    assert image.img_to_array(image.load_img(path, False, target_size=(2, 3))).shape == (2, 3, 3)


def test_tensorboard(tmp_path: Path) -> None:
    """Keras 2's arguments; what is written is read back by the tensorboard package."""
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    from keras.callbacks import TensorBoard
    from keras.layers import Dense
    from keras.models import Sequential

    x, y = rows(20, 3), rows(20, 2)
    model = Sequential([Dense(4, activation="relu", input_shape=(3,), name="hidden"), Dense(2)])
    model.compile("sgd", "mse")

    def logger(**more: Any) -> Any:
        return TensorBoard(
            str(tmp_path), 1, 8, True, True, True, embeddings_freq=1, embeddings_layer_names=["hidden"], **more
        )

    with pytest.raises(ValueError, match="validation_data must be provided"):
        model.fit(x, y, verbose=0, callbacks=[logger(embeddings_data=x)])
    with pytest.raises(ValueError, match="embeddings_data"):
        model.fit(x, y, verbose=0, validation_data=(x, y), callbacks=[logger()])
    for file in tmp_path.glob("events*"):
        file.unlink()
    history = model.fit(
        x, y, epochs=2, verbose=0, validation_data=(x, y), callbacks=[logger(embeddings_data=x)]
    ).history
    found = events.EventAccumulator(str(tmp_path), size_guidance={"tensors": 0}).Reload()
    tags = set(found.Tags()["tensors"])
    assert {"loss", "val_loss", "hidden_out"} <= tags and any(tag.endswith("kernel_grad") for tag in tags)
    from tensorboard.util.tensor_util import make_ndarray

    losses = [float(make_ndarray(e.tensor_proto)) for e in found.Tensors("loss")]
    np.testing.assert_allclose(losses, history["loss"], rtol=1e-5)
    assert np.loadtxt(tmp_path / "hidden_embedding.tsv", delimiter="\t").shape == (20, 4)
    assert "hidden_embedding.tsv" in (tmp_path / "projector_config.pbtxt").read_text()
