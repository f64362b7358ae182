"""Whole models on the emulated device (and a real one): fit, predict, save; the same results as on the CPU.

Kernels that have no CUDA form yet are borrowed from the CPU on the emulated device, so that this tests the runtime; on a
real device such tests skip.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import berrante as keras
from berrante import _cpu, config, layers, ops
from berrante.runtime import cuda_program
from berrante.runtime.device_arrays import DeviceArray
from cuda.modules import EMULATED, KERNELS, REAL, needs_emulator
from cuda.test_cuda_kernels import CPU_ONLY

MISSING = sorted(set(_cpu.schema()) - KERNELS - CPU_ONLY)
DEVICES = [
    pytest.param("emulated", marks=needs_emulator),
    pytest.param(
        "cuda",
        marks=[
            pytest.mark.skipif(REAL is None or not REAL.devices(), reason="no CUDA device"),
            pytest.mark.skipif(bool(MISSING), reason=f"kernels without a CUDA form: {', '.join(MISSING)}"),
        ],
    ),
]
TOLERANCE = {"rtol": 2e-3, "atol": 2e-4}  # after several steps of training


@pytest.fixture(params=DEVICES)
def device(request: Any) -> Iterator[str]:
    before = config.matmul_precision()
    config.set_matmul_precision("float32")
    if request.param == "emulated" and MISSING:
        EMULATED.substitute(_cpu.run_kernel)
    yield request.param
    if request.param == "emulated":
        EMULATED.substitute(None)
    config.set_matmul_precision(before)


def on_both(device: str, what: Callable[[], Any]) -> tuple[Any, Any]:
    """What a function gives on the CPU and on the device, from the same seed."""
    results = []
    for name in ("cpu", device):
        with keras.device(name):
            keras.utils.set_random_seed(7)
            results.append(what())
    return results[0], results[1]


def data(n: int = 70) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (n, 8, 8, 1)).astype(np.uint8), rng.integers(0, 10, n)


def classifier(optimizer: Any = "adam", **arguments: Any) -> Any:
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(4, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(0.2),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"], **arguments)
    return model


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("resident", [True, False])
def test_fit_evaluate_predict(device: str, optimizer: str, resident: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not resident:
        monkeypatch.setattr(cuda_program, "RESIDENT_PART", -1.0)
    x, y = data()

    def train() -> Any:
        model = classifier(optimizer)
        history = model.fit(x, y, batch_size=16, epochs=3, verbose=0, validation_split=0.2).history
        return history, model.get_weights(), model.predict(x, verbose=0), model.evaluate(x, y, verbose=0), model

    cpu, other = on_both(device, train)
    for name, values in cpu[0].items():
        np.testing.assert_allclose(other[0][name], values, err_msg=name, **TOLERANCE)
    for a, b in zip(cpu[1], other[1], strict=True):
        np.testing.assert_allclose(b, a, **TOLERANCE)
    np.testing.assert_allclose(other[2], cpu[2], **TOLERANCE)
    np.testing.assert_allclose(other[3], cpu[3], **TOLERANCE)
    trained = [p for k, p in other[4]._programs.items() if k[0] == "train" and k[1][0][0][0] == 16]
    assert trained and trained[0]._program.graphs == 1


def test_captured_equals_launched(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = data()
    weights = []
    for graphs in ("1", "0"):
        monkeypatch.setenv("BERRANTE_CUDA_GRAPHS", graphs)
        with keras.device(device):
            keras.utils.set_random_seed(3)
            model = classifier()
            model.fit(x, y, batch_size=16, epochs=2, verbose=0)
            assert any(p._program.graphs for p in model._programs.values()) == (graphs == "1")
            weights.append(model.get_weights())
    for a, b in zip(*weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_learning_rate_is_a_variable_of_the_captured_step(device: str) -> None:
    x, y = data()

    def train() -> Any:
        model = classifier("sgd")
        model.fit(x, y, batch_size=35, epochs=2, verbose=0, shuffle=False)
        model.optimizer.learning_rate = 0.5
        model.fit(x, y, batch_size=35, epochs=1, verbose=0, shuffle=False)
        return model.get_weights()

    cpu, other = on_both(device, train)
    for a, b in zip(cpu, other, strict=True):
        np.testing.assert_allclose(b, a, **TOLERANCE)


def test_single_batches_and_callbacks(device: str) -> None:
    x, y = data(32)

    class Halving(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.model.optimizer.learning_rate = float(self.model.optimizer.learning_rate) / 2

    def train() -> Any:
        model = classifier("sgd")
        logs = model.train_on_batch(x, y, return_dict=True)
        model.fit(x, y, batch_size=8, verbose=0, callbacks=[Halving()])
        return logs, model.predict_on_batch(x), model.test_on_batch(x, y)

    cpu, other = on_both(device, train)
    np.testing.assert_allclose(other[0]["loss"], cpu[0]["loss"], **TOLERANCE)
    np.testing.assert_allclose(other[1], cpu[1], **TOLERANCE)
    np.testing.assert_allclose(other[2], cpu[2], **TOLERANCE)


def test_a_step_of_one_s_own_with_two_optimizers(device: str) -> None:
    real = np.random.default_rng(1).normal(size=(24, 3)).astype(np.float32)

    class Gan(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.generator = keras.Sequential([keras.Input((2,)), layers.Dense(4, "relu"), layers.Dense(3)])
            self.critic = keras.Sequential([keras.Input((3,)), layers.Dense(4, "relu"), layers.Dense(1)])

        def compile(self, g: Any, c: Any) -> None:
            super().compile()
            self.g, self.c = g, c
            self.noise = keras.random.SeedGenerator(5)

        def train_step(self, images: Any) -> Any:
            with keras.GradientTape() as tape:
                z = keras.random.normal((8, 2), seed=self.noise)
                loss = ops.mean(self.critic(self.generator(z))) - ops.mean(self.critic(images))
            self.c.apply(tape.gradient(loss, self.critic.trainable_variables), self.critic.trainable_variables)
            with keras.GradientTape() as tape:
                z = keras.random.normal((8, 2), seed=self.noise)
                g_loss = -ops.mean(self.critic(self.generator(z)))
            self.g.apply(tape.gradient(g_loss, self.generator.trainable_variables), self.generator.trainable_variables)
            return {"c": loss, "g": g_loss}

    def train() -> Any:
        gan = Gan()
        gan.compile(keras.optimizers.Adam(0.01), keras.optimizers.RMSprop(0.01))
        history = gan.fit(real, batch_size=8, epochs=3, verbose=0).history
        return history["c"], history["g"]

    cpu, other = on_both(device, train)
    np.testing.assert_allclose(other, cpu, **TOLERANCE)


def test_files_do_not_know_the_device(device: str, tmp_path: Path) -> None:
    x, y = data()
    with keras.device(device):
        model = classifier()
        model.fit(x, y, batch_size=16, epochs=1, verbose=0)
        model.save(tmp_path / "model.keras")
        model.save_weights(tmp_path / "model.weights.h5")
        expected = model.predict(x, verbose=0)
        again = classifier()
        again.fit(x, y, batch_size=16, epochs=1, verbose=0)  # its weights are on the device when new ones come
        again.load_weights(tmp_path / "model.weights.h5")
        np.testing.assert_allclose(again.predict(x, verbose=0), expected, rtol=1e-6)
        copy = keras.models.load_model(tmp_path / "model.keras")
        np.testing.assert_allclose(copy.predict(x, verbose=0), expected, rtol=1e-6)
    with keras.device("cpu"):
        model = keras.models.load_model(tmp_path / "model.keras")
        np.testing.assert_allclose(model.predict(x, verbose=0), expected, **TOLERANCE)
        model.fit(x, y, batch_size=16, epochs=1, verbose=0)
    with keras.device(device):  # a model that trained elsewhere goes on here
        model.fit(x, y, batch_size=16, epochs=1, verbose=0)


def test_predictions_stay_where_the_inputs_are(device: str) -> None:
    x, y = data()
    x = (x / 255).astype(np.float32)
    with keras.device(device) as chosen:
        model = classifier()
        expected = model.predict(x, batch_size=16, verbose=0)
        assert isinstance(expected, np.ndarray)
        there = DeviceArray.copy_of(chosen, x)
        for result in (model.predict(there, batch_size=16, verbose=0), model.predict_on_batch(there)):
            assert hasattr(result, "__cuda_array_interface__") and not isinstance(result, np.ndarray)
            np.testing.assert_array_equal(np.asarray(result.get()), expected)
        model.fit(there, y, batch_size=16, epochs=1, verbose=0, validation_split=0.2)
        model.evaluate(there, DeviceArray.copy_of(chosen, y), verbose=0)
        model.train_on_batch(there, y)
    with keras.device("cpu"):  # brought to the host
        assert isinstance(model.predict(there, verbose=0), np.ndarray)


def test_eager_steps(device: str) -> None:
    x, y = data(16)

    def train() -> Any:
        model = classifier(run_eagerly=True)
        return model.fit(x, y, batch_size=8, epochs=1, verbose=0).history["loss"]

    cpu, other = on_both(device, train)
    np.testing.assert_allclose(other, cpu, **TOLERANCE)
