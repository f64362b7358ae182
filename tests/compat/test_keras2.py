"""Keras 2's semantics where they differ from Keras 3's, against formulas of Keras 2.2.4."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from berrante.compat import backend as K
from berrante.compat import dialect
from berrante.compat.keras2 import activations, layers, models, optimizers


@pytest.fixture(autouse=True)
def keras_2() -> Iterator[None]:
    dialect.take(2)
    K.clear_session()
    yield
    dialect.take(3)


def rows(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def dense_model(loss: object, optimizer: object, units: int = 1, **compile_arguments: object) -> models.Sequential:
    model = models.Sequential([layers.Dense(units, input_shape=(3,), kernel_initializer="ones")])
    model.compile(optimizer, loss, **compile_arguments)
    return model


def test_defaults() -> None:
    rates = {
        "sgd": 0.01,
        "rmsprop": 0.001,
        "adagrad": 0.01,
        "adadelta": 1.0,
        "adam": 0.001,
        "adamax": 0.002,
        "nadam": 0.002,
    }
    for name, rate in rates.items():
        optimizer = optimizers.get(name)
        assert float(K.get_value(optimizer.lr)) == pytest.approx(rate)
        assert optimizers.deserialize(optimizers.serialize(optimizer)).get_config() == optimizer.get_config()


def gradient(w: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Of the mean squared error of x @ w."""
    return 2 * x.T @ (x @ w - y) / len(x)


@pytest.mark.parametrize("name", ["rmsprop", "adagrad", "adadelta", "nadam", "sgd"])
def test_update_rules(name: str) -> None:
    x, y = rows(8, 3), rows(8, 1, seed=1)
    decay = 0.0 if name == "nadam" else 0.1
    made = {
        "rmsprop": lambda: optimizers.RMSprop(lr=0.05, decay=decay), "adagrad": lambda: optimizers.Adagrad(lr=0.05, decay=decay),
        "adadelta": lambda: optimizers.Adadelta(decay=decay), "nadam": lambda: optimizers.Nadam(lr=0.05),
        "sgd": lambda: optimizers.SGD(0.05, 0.9, decay, True),
    }[name]()  # fmt: skip
    model = models.Sequential([layers.Dense(1, input_shape=(3,), use_bias=False, kernel_initializer="ones")])
    model.compile(made, "mse")
    w, e = np.ones((3, 1)), 1e-7
    a, d, m, cache = np.zeros((3, 1)), np.zeros((3, 1)), np.zeros((3, 1)), 1.0
    for it in range(4):
        g = gradient(w, x, y)
        lr = (1.0 if name == "adadelta" else 0.05) / (1 + decay * it)
        if name == "rmsprop":
            a = 0.9 * a + 0.1 * g**2
            w = w - lr * g / (np.sqrt(a) + e)
        elif name == "adagrad":
            a = a + g**2
            w = w - lr * g / (np.sqrt(a) + e)
        elif name == "adadelta":
            a = 0.95 * a + 0.05 * g**2
            step = g * np.sqrt(d + e) / np.sqrt(a + e)
            w, d = w - lr * step, 0.95 * d + 0.05 * step**2
        elif name == "sgd":
            m = 0.9 * m - lr * g
            w = w + 0.9 * m - lr * g
        else:
            t = it + 1
            u = 0.9 * (1 - 0.5 * 0.96 ** (t * 0.004))
            u1 = 0.9 * (1 - 0.5 * 0.96 ** ((t + 1) * 0.004))
            cache, nxt = cache * u, cache * u * u1
            m, a = 0.9 * m + 0.1 * g, 0.999 * a + 0.001 * g**2
            bar = (1 - u) * g / (1 - cache) + u1 * m / (1 - nxt)
            w = w - lr * bar / (np.sqrt(a / (1 - 0.999**t)) + e)
        model.train_on_batch(x, y)
        np.testing.assert_allclose(model.get_weights()[0], w, rtol=2e-4, atol=2e-5)


def test_clipnorm_is_of_all_gradients_together() -> None:
    x, y = rows(8, 3), rows(8, 1, seed=1)
    model = dense_model("mse", optimizers.SGD(lr=1.0, clipnorm=0.1))
    before = model.get_weights()
    model.train_on_batch(x, y)
    moved = np.concatenate([(a - b).ravel() for a, b in zip(before, model.get_weights())])
    assert np.linalg.norm(moved) == pytest.approx(0.1, rel=1e-4)


def test_weights_divide_by_their_number_that_is_not_zero() -> None:
    x, y, w = rows(4, 3), rows(4, 1, seed=1), np.array([0.0, 2.0, 0.0, 3.0])
    model = dense_model("mse", "sgd")
    error = ((x.sum(1, keepdims=True) - y) ** 2).ravel()
    assert model.test_on_batch(x, y, sample_weight=w) == pytest.approx((error * w).sum() / 2, rel=1e-5)


def test_accuracy_goes_by_the_loss_and_answers_to_both_names() -> None:
    x = rows(64, 3)
    y = np.stack([x[:, 0] > 0, x[:, 1] > 0], 1).astype(int)
    model = dense_model("binary_crossentropy", "sgd", 2, metrics=["accuracy"])
    history = model.fit(x, y, verbose=0, validation_data=(x, y))
    assert set(history.history) == {"loss", "acc", "val_loss", "val_acc"}
    assert history.history["accuracy"] == history.history["acc"]
    assert "val_accuracy" in history.history and history.history.get("val_accuracy") is not None
    expected = np.mean(np.round(model.predict(x)) == y)
    assert model.evaluate(x, y, verbose=0)[1] == pytest.approx(expected, abs=1e-6)
    assert model.metrics_names == ["loss", "acc"]


def test_train_on_batch_gives_this_batch() -> None:
    x, y = rows(8, 3), rows(8, 1, seed=1)
    model = dense_model("mse", optimizers.SGD(lr=0.0))
    first = model.train_on_batch(x, y)
    model.train_on_batch(x, y + 100)
    assert model.train_on_batch(x, y) == pytest.approx(first, rel=1e-5)


def test_batch_normalisation() -> None:
    x = rows(16, 5) * 3 + 1
    layer = layers.BatchNormalization(momentum=0.5, input_shape=(5,))
    model = models.Sequential([layer])
    model.compile(optimizers.SGD(lr=0.0), "mse")
    model.train_on_batch(x, x)
    moved = layer.get_weights()[2:]
    np.testing.assert_allclose(moved[0], 0.5 * x.mean(0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(moved[1], 0.5 + 0.5 * x.var(0) * 16 / (16 - 1.001), rtol=1e-4)
    # Frozen, it still normalises by the batch in training, and leaves its averages alone.
    expected = np.mean(((x - x.mean(0)) / np.sqrt(x.var(0) + 1e-3) - x) ** 2)
    model.trainable = False
    with pytest.warns(UserWarning, match="Discrepancy"):
        assert model.train_on_batch(x, x) == pytest.approx(expected, rel=1e-4)
    for before, after in zip(moved, layer.get_weights()[2:]):
        np.testing.assert_array_equal(before, after)


def test_bilinear_upsampling_has_no_half_pixels() -> None:
    x = np.array([0.0, 1.0, 2.0], np.float32).reshape(1, 1, 3, 1)
    y = layers.UpSampling2D((1, 2), interpolation="bilinear")(x)
    np.testing.assert_allclose(np.asarray(y).ravel(), [0, 0.5, 1, 1.5, 2, 2])


def test_hard_sigmoid() -> None:
    x = np.linspace(-4, 4, 9).astype(np.float32)
    expected = np.clip(0.2 * x + 0.5, 0, 1)
    np.testing.assert_allclose(np.asarray(layers.Activation("hard_sigmoid")(x)), expected, atol=1e-6)
    np.testing.assert_allclose(np.asarray(activations.get("hard_sigmoid")(x)), expected, atol=1e-6)


def test_names_and_keras_1_arguments() -> None:
    with pytest.warns(UserWarning, match="Keras 2 API"):
        layer = layers.Convolution2D(4, 3, 5, border_mode="same", dim_ordering="th", input_shape=(1, 8, 8))
    assert (layer.name, layer.kernel_size, layer.padding) == ("conv2d_1", (3, 5), "same")
    assert layer.data_format == "channels_first"
    assert layers.Dense(3).name == "dense_1" and layers.Dense(3).name == "dense_2"
    with pytest.raises(TypeError, match="output_dim"):
        layers.Dense(units=3, output_dim=4)


def test_ranks_that_do_not_fit_run_with_a_warning() -> None:
    model = models.Sequential([layers.Dense(1, input_shape=(1, 2), activation="sigmoid")])
    model.compile(loss="binary_crossentropy", optimizer=optimizers.SGD(lr=0.1), metrics=["accuracy"])
    x, y = np.array([[0, 1], [1, 1], [1, 0], [0, 0]]), np.array([1, 1, 1, 0])
    with pytest.warns(UserWarning, match="incompatible shape"):
        model.fit(x, y, epochs=2, batch_size=1, verbose=0)
    assert model.predict(x).shape == (4, 1)


def test_symbolic_losses_and_losses_that_close_over_tensors() -> None:
    def build() -> tuple[models.Model, object, object]:
        x = layers.Input((4,))
        mean = layers.Dense(2, kernel_initializer="ones", name="mean")(x)
        return models.Model(x, layers.Dense(4, kernel_initializer="ones", name="out")(mean)), x, mean

    data = rows(8, 4)
    latent = data.sum(1, keepdims=True).repeat(2, 1)
    out = latent.sum(1, keepdims=True).repeat(4, 1)
    expected = np.mean(((out - data) ** 2).mean(-1) + 0.1 * (latent**2).sum(-1))

    model, x, mean = build()
    model.add_loss(K.mean(K.mean(K.square(model.output - x), axis=-1) + 0.1 * K.sum(K.square(mean), axis=-1)))
    model.compile(optimizer="rmsprop")
    assert model.test_on_batch(data, None) == pytest.approx(expected, rel=1e-4)
    history = model.fit(data, epochs=3, verbose=0, validation_data=(data, None))
    assert history.history["loss"][-1] < expected

    K.clear_session()
    model, x, mean = build()

    def loss(y_true: object, y_pred: object) -> object:
        return K.mean(K.square(y_pred - y_true), axis=-1) + 0.1 * K.sum(K.square(mean), axis=-1)

    model.compile("rmsprop", loss)
    assert model.train_on_batch(data, data) == pytest.approx(expected, rel=1e-4)


def test_a_frozen_part_trains_where_it_was_compiled_unfrozen() -> None:
    part = models.Sequential([layers.Dense(1, input_shape=(3,))])
    part.compile("sgd", "mse")
    part.trainable = False
    x = layers.Input((3,))
    whole = models.Model(x, part(layers.Dense(3)(x)))
    whole.compile("sgd", "mse")
    data, y = rows(8, 3), rows(8, 1, seed=2)
    frozen = part.get_weights()
    whole.train_on_batch(data, y)
    assert all(np.array_equal(a, b) for a, b in zip(frozen, part.get_weights()))
    with pytest.warns(UserWarning, match="Discrepancy between trainable weights"):
        part.train_on_batch(data, y)
    assert not np.array_equal(frozen[0], part.get_weights()[0])


def test_functions_placeholders_gradients_and_phases() -> None:
    x = K.placeholder(shape=(None, 3))
    counter = K.variable(0.0)
    loss = K.sum(K.square(x))
    f = K.function([x], [loss, K.gradients(loss, x)[0]], updates=[(counter, counter + loss)])
    data = rows(2, 3)
    value, slope = f([data])
    assert value == pytest.approx((data**2).sum(), rel=1e-5)
    np.testing.assert_allclose(slope, 2 * data, rtol=1e-5)
    assert float(K.get_value(counter)) == pytest.approx(value, rel=1e-5)
    inputs = layers.Input((3,))
    outputs = layers.Dropout(0.99)(inputs)
    g = K.function([inputs, K.learning_phase()], [outputs])
    assert (g([np.ones((50, 3)), 1])[0] == 0).mean() > 0.5
    assert (g([np.ones((50, 3)), 0])[0] == 1).all()
    assert outputs._uses_learning_phase and outputs._keras_shape == (None, 3)
    assert outputs._keras_history[0].name == "dropout_1"


def test_several_outputs() -> None:
    x = layers.Input((3,))
    a, b = layers.Dense(1, name="a")(x), layers.Dense(2, activation="softmax", name="b")(x)
    model = models.Model(x, [a, b])
    model.compile(
        "sgd", {"a": "mse", "b": "categorical_crossentropy"}, metrics={"b": "accuracy"}, loss_weights=[1.0, 0.5]
    )
    assert model.metrics_names == ["loss", "a_loss", "b_loss", "b_acc"]
    values = model.train_on_batch(rows(4, 3), [rows(4, 1), np.eye(2)[[0, 1, 1, 0]]])
    assert values[0] == pytest.approx(values[1] + 0.5 * values[2], rel=1e-5)


def test_generators_and_attributes() -> None:
    model = dense_model("mse", "adadelta")
    model.outputWidth = 3

    def batches() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        while True:
            yield rows(4, 3), rows(4, 1, seed=1)

    history = model.fit_generator(batches(), 3, epochs=2, verbose=0, validation_data=batches(), validation_steps=2)
    assert len(history.history["val_loss"]) == 2 and model.outputWidth == 3
    with pytest.warns(UserWarning):
        model.fit_generator(batches(), samples_per_epoch=12, nb_epoch=1, verbose=0)
    assert model.predict_generator(batches(), 3).shape == (12, 1)
    assert np.isscalar(model.evaluate_generator(batches(), 2))


def test_nodes() -> None:
    a, b = layers.Input((3,)), layers.Input((3,))
    dense = layers.Dense(2)
    first = dense(a)
    assert dense.output is first and dense.input is a
    second = dense(b)
    with pytest.raises(AttributeError, match="multiple inbound nodes"):
        _ = dense.output
    assert dense.get_output_at(1) is second and dense.get_input_at(0) is a and dense.output_shape == (None, 2)


def test_numpys_seed_repeats_a_training() -> None:
    x, y = rows(32, 3), rows(32, 1, seed=1)
    results = []
    for _ in range(2):
        np.random.seed(7)
        model = models.Sequential([layers.Dense(8, input_shape=(3,)), layers.Dropout(0.5), layers.Dense(1)])
        model.compile("adam", "mse")
        model.fit(x, y, epochs=2, batch_size=8, verbose=0)
        results.append(model.predict(x))
    np.testing.assert_array_equal(*results)


def test_an_optimizer_goes_on_to_another_model() -> None:
    optimizer = optimizers.Adam()
    for units in (1, 2):
        model = dense_model("mse", optimizer, units)
        before = model.get_weights()[0]
        model.train_on_batch(rows(4, 3), rows(4, units))
        assert not np.array_equal(before, model.get_weights()[0])


def test_one_output_in_a_list_is_one_output(tmp_path: Path) -> None:
    x = layers.Input((3,))
    model = models.Model([x], [layers.Dense(2)(x)])
    model.compile(optimizers.RMSprop(decay=1e-3), "mse")
    assert model.predict(rows(4, 3)).shape == (4, 2) and model.train_on_batch(rows(4, 3), rows(4, 2)).shape == ()
    model.save(tmp_path / "x.model")
    loaded = models.load_model(tmp_path / "x.model")
    assert type(loaded) is models.Model and type(loaded.optimizer) is optimizers.RMSprop
    assert loaded.optimizer.get_config() == model.optimizer.get_config()
    np.testing.assert_allclose(loaded.predict(rows(4, 3)), model.predict(rows(4, 3)), rtol=1e-6)


def test_clones_keep_functions_without_names() -> None:
    x = layers.Input((3,))
    model = models.Model(x, layers.Lambda(lambda t: t * 2.0)(layers.Dense(2)(x)))
    twin = models.clone_model(model)
    twin.set_weights(model.get_weights())
    np.testing.assert_allclose(twin.predict(rows(4, 3)), model.predict(rows(4, 3)))
    with pytest.raises(ValueError, match="lambda cannot be saved"):
        model.to_json()


def test_early_stopping_counts_from_the_baseline() -> None:
    from berrante.compat.keras2.callbacks import EarlyStopping

    class Model:
        stop_training = False

    stopped = []
    for baseline in (0.5, None):
        callback = EarlyStopping("val_acc", patience=2, baseline=baseline)
        callback.model = model = Model()
        callback.on_train_begin()
        for epoch, value in enumerate([0.1, 0.2, 0.3, 0.4]):
            callback.on_epoch_end(epoch, {"val_acc": value})
            if model.stop_training:
                break
        stopped.append(epoch)
    assert stopped == [1, 3]


def test_no_warning_from_todays_names() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        layers.Conv2D(2, (3, 3), padding="same", input_shape=(8, 8, 1))


def test_nodes_depths_and_phases_of_models() -> None:
    a, b = layers.Input((4,)), layers.Input((4,))
    shared = layers.Dense(3, name="shared")
    out = layers.Dropout(0.5)(layers.add([shared(a), shared(b)]), training=True)
    model = models.Model([a, b], out)
    takers = [node.outbound_layer.name for node in shared._outbound_nodes]
    assert len(takers) == 2 and takers[0] == takers[1] and takers[0].startswith("add")  # once for each call
    assert shared._inbound_nodes[0].get_config()["inbound_layers"] == [model.layers[0].name]
    depths = {layer.name: depth for depth, found in model._layers_by_depth.items() for layer in found}
    assert depths[model.layers[0].name] == depths[model.layers[1].name] > depths["shared"] > depths[takers[0]]
    assert not model.uses_learning_phase  # training=True is fixed
    assert models.Model([a, b], layers.Dropout(0.5)(out)).uses_learning_phase


def test_updates_and_losses_belong_to_their_inputs() -> None:
    a, dense = layers.Input((2,)), layers.Dense(1)
    dense.add_update(0, inputs=a)
    dense.add_update(1)
    dense.add_loss(2, inputs=a)
    dense.add_loss(3)
    assert dense.get_updates_for(a) == [0] and dense.get_updates_for(None) == [1]
    assert dense.get_losses_for(a) == [2] and dense.get_losses_for(None) == [3]


def test_layers_say_what_they_cannot_take() -> None:
    a, b = layers.Input((4,)), layers.Input((4,))
    merge = layers.Concatenate()
    merge([a, b])
    with pytest.raises(ValueError, match="at least 2 inputs"):
        merge([a])
    with pytest.raises(ValueError, match="data_format"):
        layers.SpatialDropout2D(0.5, data_format="channels_middle")
    dense = layers.Dense(2)
    assert dense.compute_mask([a], [None]) is None or dense.supports_masking
    conv = layers.Conv2D(1, 2, input_shape=(3, 3, 1))
    with pytest.raises(TypeError, match="does not support masking"):
        conv.compute_mask([a], np.ones((2, 2)))
