"""Training end to end: histories, data forms, callbacks, the GAN recipe, bad input, and agreement with Keras."""

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
from berrante import ops

RNG = np.random.default_rng(0)
MNIST = Path(__file__).resolve().parents[3] / "shared" / "data" / "mnist"


def keras() -> Any:
    os.environ.setdefault("KERAS_BACKEND", "jax")
    pytest.importorskip(os.environ["KERAS_BACKEND"])
    return pytest.importorskip("keras")


def mlp(module: Any) -> Any:
    layers = module.layers
    return module.Sequential(
        [
            module.Input((12,)),
            layers.Dense(16, activation="relu", kernel_regularizer="l2"),
            layers.Dense(8, activation="tanh"),
            layers.Dense(4, activation="softmax"),
        ]
    )


def cnn(module: Any) -> Any:
    layers = module.layers
    return module.Sequential(
        [
            module.Input((12, 12, 2)),
            layers.Conv2D(5, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(6, 3, strides=2),
            layers.LeakyReLU(),
            layers.AveragePooling2D(2, padding="same"),
            layers.Flatten(),
            layers.Dense(4, activation="softmax"),
        ]
    )


def two_inputs(module: Any) -> Any:
    layers = module.layers
    a, b = module.Input((6,), name="a"), module.Input((3,), name="b")
    shared = layers.Dense(5, activation="sigmoid")
    x = layers.Concatenate()([shared(a), layers.Dense(5)(b)])
    return module.Model([a, b], layers.Dense(1)(x))


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop", "adagrad", "adadelta", "adamax", "nadam"])
@pytest.mark.parametrize("kind", ["mlp", "cnn", "two_inputs"])
def test_histories_agree_with_keras(kind: str, optimizer: str) -> None:
    k3 = keras()
    build = {"mlp": mlp, "cnn": cnn, "two_inputs": two_inputs}[kind]
    ours, theirs = build(berrante), build(k3)
    theirs.set_weights(ours.get_weights())
    n = 50
    x: Any = {"mlp": (12,), "cnn": (12, 12, 2)}.get(kind)
    if x is not None:
        x, y, loss = (
            RNG.normal(size=(n, *x)).astype("float32"),
            RNG.integers(0, 4, n),
            "sparse_categorical_crossentropy",
        )
        metrics = ["accuracy"]
    else:
        x = [RNG.normal(size=(n, 6)).astype("float32"), RNG.normal(size=(n, 3)).astype("float32")]
        y, loss, metrics = RNG.normal(size=(n, 1)).astype("float32"), "mse", ["mae"]
    weights = RNG.random(n).astype("float32")
    histories = []
    for model in (ours, theirs):
        model.compile(optimizer=optimizer, loss=loss, metrics=metrics)
        h = model.fit(
            x, y, batch_size=16, epochs=3, shuffle=False, verbose=0, sample_weight=weights, validation_data=(x, y)
        )
        histories.append(h.history)
    assert list(histories[0]) == list(histories[1])
    for name in histories[0]:
        np.testing.assert_allclose(histories[0][name], histories[1][name], rtol=1e-4, atol=1e-4, err_msg=name)
    for a, b in zip(ours.get_weights(), theirs.get_weights()):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)


def test_the_slides_script(tmp_path: Path) -> None:
    os.chdir(tmp_path)
    from berrante.layers import Activation, Dense
    from berrante.models import Sequential

    x, y = RNG.random((8, 48, 48, 3)), RNG.random((8, 48, 48, 10))
    model = Sequential()
    model.add(Dense(10, input_shape=(48, 48, 3)))
    model.add(Activation("linear"))
    model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, batch_size=4, epochs=2, validation_data=(x, y), verbose=0)
    model.save_weights("saved.weights")
    model.save("saved.model")
    before = model.predict(x)
    model.fit(x, y, batch_size=4, verbose=0)
    model.load_weights("saved.weights")
    model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
    np.testing.assert_array_equal(model.predict(x), before)
    assert before.shape == (8, 48, 48, 10)


def small(units: int = 3) -> Any:
    model = berrante.Sequential([L.Input((4,)), L.Dense(units, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


X, Y = RNG.random((30, 4)).astype("float32"), RNG.integers(0, 3, 30)


@pytest.mark.parametrize(
    "x",
    [X.astype("float64"), np.asfortranarray(X), X[::-1][::-1], X.astype(">f4"), X.tolist(), np.repeat(X, 2, 0)[::2]],
    ids=["float64", "fortran", "reversed", "big-endian", "list", "strided"],
)
def test_any_array_trains_alike(x: Any) -> None:
    results = []
    for data in (X, x):
        berrante.utils.set_random_seed(3)
        model = small()
        results.append(model.fit(data, Y, epochs=2, batch_size=8, verbose=0).history["loss"])
    assert results[0] == results[1]


def test_uint8_images_are_gathered_as_float32() -> None:
    images = RNG.integers(0, 256, (20, 4)).astype(np.uint8)
    copy = images.copy()
    results = []
    for data in (images, images.astype("float32")):
        berrante.utils.set_random_seed(3)
        results.append(small().fit(data, Y[:20], epochs=2, verbose=0).history["loss"])
    assert results[0] == results[1]
    np.testing.assert_array_equal(images, copy)


def test_generators_and_datasets() -> None:
    class Batches(berrante.utils.PyDataset):
        def __len__(self) -> int:
            return 3

        def __getitem__(self, i: int) -> Any:
            return X[i * 10 : i * 10 + 10], Y[i * 10 : i * 10 + 10]

    def forever() -> Any:
        while True:
            yield X[:10], Y[:10]

    model = small()
    assert len(model.fit(Batches(), epochs=2, verbose=0).history["loss"]) == 2
    assert (
        len(model.fit(forever(), steps_per_epoch=4, epochs=3, verbose=0, validation_data=Batches()).history["val_loss"])
        == 3
    )
    assert model.predict(Batches()).shape == (30, 3)


def test_callbacks(tmp_path: Path) -> None:
    from berrante import callbacks as C

    model = small()
    seen: list[int] = []
    history = model.fit(
        X, Y, epochs=30, batch_size=10, verbose=0, validation_split=0.3,
        callbacks=[
            C.EarlyStopping("loss", min_delta=10.0, patience=2),
            C.ModelCheckpoint(tmp_path / "m_{epoch}.keras", save_best_only=True),
            C.CSVLogger(tmp_path / "log.csv"),
            C.LearningRateScheduler(lambda epoch, rate: rate * 0.5),
            C.LambdaCallback(on_batch_end=lambda batch, logs: seen.append(batch)),
        ],
    )  # fmt: skip
    assert len(history.epoch) == 3
    assert seen == [0, 1, 2] * 3
    assert (tmp_path / "m_1.keras").exists()
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 4
    assert history.history["learning_rate"] == pytest.approx([5e-4, 2.5e-4, 1.25e-4])


def test_terminate_on_nan() -> None:
    from berrante.callbacks import TerminateOnNaN

    bad = X.copy()
    bad[0] = np.nan
    history = small().fit(bad, Y, epochs=5, verbose=0, callbacks=[TerminateOnNaN()])
    assert len(history.epoch) == 1


def test_the_classic_gan_recipe_trains_the_discriminator() -> None:
    d = berrante.Sequential([L.Input((2,)), L.Dense(8, activation="relu"), L.Dense(1, activation="sigmoid")])
    d.compile("adam", "binary_crossentropy")
    g = berrante.Sequential([L.Input((3,)), L.Dense(2)])
    d.trainable = False
    z = L.Input((3,))
    both = berrante.Model(z, d(g(z)))
    both.compile("adam", "binary_crossentropy")
    before = d.get_weights()
    d.train_on_batch(RNG.normal(size=(8, 2)), np.ones((8, 1)))
    after = d.get_weights()
    assert all(not np.array_equal(a, b) for a, b in zip(before, after))
    g_before = g.get_weights()
    both.train_on_batch(RNG.normal(size=(8, 3)), np.ones((8, 1)))
    assert all(np.array_equal(a, b) for a, b in zip(after, d.get_weights()))
    assert all(not np.array_equal(a, b) for a, b in zip(g_before, g.get_weights()))


def test_train_step_override_and_custom_functions() -> None:
    class Mine(berrante.Model):
        def __init__(self) -> None:
            super().__init__()
            self.hidden, self.out = L.Dense(8, activation="relu"), L.Dense(3)

        def call(self, x: Any, training: bool = False) -> Any:
            return self.out(self.hidden(x))

        def train_step(self, data: Any) -> Any:
            x, y = data[:2]
            with berrante.GradientTape() as tape:
                loss = ops.mean(ops.sparse_categorical_crossentropy(y, self(x, training=True), from_logits=True))
            self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
            return {"loss": loss, "twice": loss * 2.0}

    model = Mine()
    model.compile("adam")
    history = model.fit(X, Y, epochs=20, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    assert history["twice"] == pytest.approx([2 * v for v in history["loss"]])

    def rms(y_true: Any, y_pred: Any) -> Any:
        return ops.sqrt(ops.mean(ops.square(y_true - y_pred)))

    plain = berrante.Sequential([L.Input((4,)), L.Dense(1)])
    plain.compile("sgd", loss=rms, metrics=[rms])
    logs = plain.fit(X, X[:, :1], epochs=2, verbose=0, batch_size=30).history
    assert list(logs) == ["loss", "rms"] and logs["loss"] == pytest.approx(logs["rms"])


def test_eager_equals_traced() -> None:
    results = []
    for eager in (False, True):
        berrante.utils.set_random_seed(1)
        model = small()
        model.compile("adam", "sparse_categorical_crossentropy", run_eagerly=eager)
        results.append(model.fit(X, Y, epochs=2, batch_size=8, verbose=0).history["loss"])
    np.testing.assert_allclose(results[0], results[1], rtol=1e-5)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda m: m.fit(X[:, :3], Y, verbose=0), ValueError, "expected shape"),
        (lambda m: m.fit(X, Y[:5], verbose=0), ValueError, "same number of samples"),
        (lambda m: m.fit(X, Y, batch_size=0, verbose=0), ValueError, "batch_size: expected a positive integer"),
        (lambda m: m.fit(X, Y, validation_split=1.5, verbose=0), ValueError, "validation_split"),
        (lambda m: m.fit(X, Y + 7, verbose=0), ValueError, "expected classes from 0 to 2"),
        (lambda m: m.fit(X[:0], Y[:0], verbose=0), ValueError, "at least one sample"),
        (lambda m: m.compile("nothing"), ValueError, "unknown optimizer 'nothing'"),
        (lambda m: m.compile("sgd", "nothing"), ValueError, "unknown loss 'nothing'"),
        (lambda m: berrante.Sequential([L.Input((4,)), L.Dense(1)]).fit(X, Y), RuntimeError, "call compile"),
        (lambda m: L.Dense(-1), ValueError, "units to be a positive integer"),
        (
            lambda m: L.Conv2D(4, 3, name="stem")(np.ones((32, 784))),
            ValueError,
            r'\[conv2d "stem"\] expected 4-D input \(N, H, W, C\); received shape \(32, 784\)',
        ),
        (lambda m: m.fit(np.array([["a"]]), Y), ValueError, "real numbers"),
    ],
)
def test_bad_input_is_refused(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call(small())


def test_an_exception_in_a_callback_leaves_the_model_usable() -> None:
    from berrante.callbacks import LambdaCallback

    model = small()

    def fail(epoch: int, logs: Any) -> None:
        raise KeyError("stop")

    with pytest.raises(KeyError):
        model.fit(X, Y, verbose=0, callbacks=[LambdaCallback(on_epoch_end=fail)])
    assert len(model.fit(X, Y, epochs=2, verbose=0).epoch) == 2


SCRIPT = """
import hashlib, berrante, numpy as np
from berrante import layers as L
berrante.utils.set_random_seed(5)
rng = np.random.default_rng(0)
x, y = rng.random((96, 12, 12, 3), dtype=np.float32), rng.integers(0, 4, 96)
m = berrante.Sequential([L.Input((12, 12, 3)), L.Conv2D(8, 3, activation="relu"), L.BatchNormalization(), L.MaxPooling2D(),
                         L.Dropout(0.3), L.Flatten(), L.Dense(64, activation="tanh"), L.Dense(4, activation="softmax")])
m.compile("adam", "sparse_categorical_crossentropy")
m.fit(x, y, epochs=2, batch_size=32, verbose=0)
print(hashlib.sha256(b"".join(w.tobytes() for w in m.get_weights())).hexdigest())
"""


def test_the_same_bits_for_any_number_of_threads() -> None:
    digests = set()
    for threads in ("1", "2", "7"):
        env = dict(os.environ, BERRANTE_NUM_THREADS=threads)
        digests.add(
            subprocess.run([sys.executable, "-c", SCRIPT], env=env, capture_output=True, text=True, check=True).stdout
        )
    assert len(digests) == 1


def test_perceptron() -> None:
    from berrante.models import Perceptron

    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    for y in ([0, 0, 0, 1], [0, 1, 1, 1]):
        neuron = Perceptron().fit(x, y)
        assert neuron.converged_ and neuron.score(x, y) == 1.0
    with pytest.warns(UserWarning, match="not linearly separable"):
        assert not Perceptron(max_epochs=50).fit(x, [0, 1, 1, 0]).converged_


@pytest.mark.skipif(not MNIST.is_dir(), reason="the shared MNIST images are not here")
def test_lenet5_learns_real_digits() -> None:
    from berrante.cli.demo import lenet5, load

    berrante.utils.set_random_seed(0)
    x, y, x_test, y_test = load("mnist", str(MNIST))
    assert len(x) == 8000 and len(x_test) == 2000
    model = lenet5()
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, batch_size=32, epochs=10, verbose=0)
    assert model.evaluate(x_test, y_test, verbose=0)[1] > 0.975
