"""Mixed precision: what is rounded, the dtypes that users see, training beside Keras, loss scaling, saving."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import berrante as k
from berrante import ops
from berrante.graph.formats import rounded
from cuda.modules import needs_emulator

POLICIES = ["mixed_bfloat16", "mixed_float16"]
TOLERANCE = {"mixed_bfloat16": 2e-2, "mixed_float16": 2e-3}


@pytest.fixture(params=POLICIES)
def policy(request: Any) -> Any:
    k.mixed_precision.set_global_policy(request.param)
    yield request.param
    k.mixed_precision.set_global_policy("float32")


def network(keras: Any) -> Any:
    x = inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(8, 3, padding="same")(x)
    x = keras.layers.Activation("relu")(keras.layers.BatchNormalization()(x))
    x = keras.layers.MaxPooling2D()(x)
    x = keras.layers.Conv2D(4, 3, activation="relu")(x)
    x = keras.layers.Dense(16, activation="tanh")(keras.layers.Flatten()(x))
    x = keras.layers.Dropout(0.0)(keras.layers.LayerNormalization()(x))
    x = keras.layers.Dense(5)(x)
    return keras.Model(inputs, keras.layers.Activation("softmax", dtype="float32")(x))


def set_weights(model: Any) -> None:
    rng = np.random.default_rng(1)
    model.set_weights([np.abs(rng.normal(size=w.shape)) * 0.3 for w in model.get_weights()])


def data(n: int = 48) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    return rng.normal(size=(n, 8, 8, 3)).astype(np.float32), rng.integers(0, 5, n)


def trained(keras: Any) -> tuple[list[float], np.ndarray, list[np.ndarray]]:
    model = network(keras)
    set_weights(model)
    model.compile("sgd", "sparse_categorical_crossentropy")
    x, y = data()
    history = model.fit(x, y, epochs=3, batch_size=16, shuffle=False, verbose=0)
    return history.history["loss"], model.predict(x, verbose=0), model.get_weights()


def numbers() -> np.ndarray:
    rng = np.random.default_rng(0)
    scattered = rng.normal(size=3000) * 10.0 ** rng.integers(-12, 12, 3000)
    special = [0.0, -0.0, np.inf, -np.inf, np.nan, 65504, 65519.9, 65520, 2**-14, 2**-24, 2**-25, 1.5 * 2**-24, 1e-40]
    ties = np.float32(1) + np.arange(64, dtype=np.float32) * np.float32(2**-12)
    return np.concatenate([scattered, special, ties]).astype(np.float32)


def test_float16_is_numpys() -> None:
    x = numbers()
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(np.asarray(ops.cast(x, "float16")), x.astype(np.float16))


def test_bfloat16_is_that_of_ml_dtypes() -> None:
    kind = pytest.importorskip("ml_dtypes").bfloat16
    x = numbers()
    found = ops.cast(x, "bfloat16").numpy()
    assert found.dtype == kind
    np.testing.assert_array_equal(found.astype(np.float32), x.astype(kind).astype(np.float32))
    np.testing.assert_array_equal(rounded(x, "bfloat16"), x.astype(kind).astype(np.float32))
    assert ops.convert_to_tensor(x.astype(kind)).dtype == "bfloat16"


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_every_operation_rounds_its_result(kind: str) -> None:
    rng = np.random.default_rng(3)
    a, b = (rounded(rng.normal(size=(6, 6)), kind) for _ in range(2))
    x, y = ops.cast(a, kind), ops.cast(b, kind)
    for found, exact in (
        (ops.add(x, y), a + b), (ops.multiply(x, 0.1), a * rounded(np.float32(0.1), kind)),
        (ops.matmul(x, y), a.astype(np.float64) @ b), (ops.sum(x, 0), a.astype(np.float64).sum(0)),
        (ops.relu(x), np.maximum(a, 0)), (ops.transpose(x), a.T),
    ):  # fmt: skip
        assert found.dtype == kind
        np.testing.assert_allclose(
            np.asarray(found, np.float32), rounded(exact, kind), rtol=1e-2 if kind == "bfloat16" else 2e-3
        )
        np.testing.assert_array_equal(np.asarray(found, np.float32), rounded(np.asarray(found, np.float32), kind))


def test_promotion() -> None:
    f16, bf16 = ops.cast([1.0], "float16"), ops.cast([1.0], "bfloat16")
    assert ops.add(f16, 1).dtype == ops.add(f16, 1.5).dtype == ops.add(f16, np.int32(1)).dtype == "float16"
    assert ops.add(f16, bf16).dtype == ops.add(f16, np.float32(1)).dtype == "float32"
    assert ops.matmul(ops.reshape(f16, (1, 1)), np.ones((1, 1), np.float32)).dtype == "float32"


def test_dtypes_that_users_see(policy: str) -> None:
    kind = policy.removeprefix("mixed_")
    model = network(k)
    assert all(w.dtype == "float32" for w in model.weights)
    for layer in model.layers[1:-1]:
        assert (layer.compute_dtype, layer.variable_dtype, layer.output.dtype) == (kind, "float32", kind), layer
    assert model.output.dtype == "float32"
    inner = k.Model(model.input, model.layers[-2].output)
    x, _ = data(3)
    found = inner.predict(x, verbose=0)
    assert inner(x).dtype == kind
    assert found.dtype == (np.float16 if kind == "float16" else np.asarray(ops.cast(1.0, kind)).dtype)
    np.testing.assert_array_equal(found.astype(np.float32), np.asarray(inner(x), np.float32))
    assert k.layers.Dense(2, dtype="float32")(ops.cast(np.ones((1, 2)), kind)).dtype == "float32"


def test_gradients_reach_float32_weights(policy: str) -> None:
    layer = k.layers.Dense(4)
    x = ops.convert_to_tensor(data()[0].reshape(-1, 3)[:20])
    layer.build((20, 3))
    with k.GradientTape() as tape:
        loss = ops.sum(ops.cast(ops.square(layer(x)), "float32"))
    found = tape.gradient(loss, [layer.kernel])[0]
    kind = policy.removeprefix("mixed_")
    a, w = (rounded(np.asarray(v), kind).astype(np.float64) for v in (x, layer.kernel.numpy()))
    assert found.dtype == "float32"
    np.testing.assert_allclose(np.asarray(found), 2 * a.T @ (a @ w), rtol=0.05, atol=0.05)


def test_training_as_keras(policy: str) -> None:
    os.environ.setdefault("KERAS_BACKEND", "jax")
    pytest.importorskip(os.environ["KERAS_BACKEND"])
    keras = pytest.importorskip("keras")
    keras.mixed_precision.set_global_policy(policy)
    try:
        theirs = trained(keras)
        dtypes = [str(layer.output.dtype) for layer in network(keras).layers]
    finally:
        keras.mixed_precision.set_global_policy("float32")
    ours = trained(k)
    tolerance = TOLERANCE[policy]
    assert [layer.output.dtype for layer in network(k).layers] == dtypes
    np.testing.assert_allclose(ours[0], theirs[0], rtol=tolerance)
    np.testing.assert_allclose(ours[1], theirs[1], atol=tolerance)
    for mine, other in zip(ours[2], theirs[2], strict=True):
        np.testing.assert_allclose(mine, other, atol=tolerance, rtol=tolerance)


@needs_emulator
def test_training_on_the_emulated_device(policy: str) -> None:
    with k.device("cpu"):
        here = trained(k)
    with k.device("emulated"):
        there = trained(k)
    np.testing.assert_allclose(there[0], here[0], rtol=TOLERANCE[policy])
    np.testing.assert_allclose(there[1], here[1], atol=TOLERANCE[policy])


def test_losses_are_scaled_for_float16(policy: str) -> None:
    model = network(k)
    set_weights(model)
    model.compile("sgd", "sparse_categorical_crossentropy")
    scaled = policy == "mixed_float16"
    assert isinstance(model.optimizer, k.optimizers.LossScaleOptimizer) == scaled
    model.compile("sgd", "sparse_categorical_crossentropy", auto_scale_loss=False)
    assert not isinstance(model.optimizer, k.optimizers.LossScaleOptimizer)


def test_an_overflow_changes_no_weight_and_halves_the_scale() -> None:
    model = k.Sequential([k.Input((4,)), k.layers.Dense(2, dtype="mixed_float16")])
    optimizer = k.optimizers.LossScaleOptimizer(k.optimizers.SGD(0.1), initial_scale=2.0**30)
    model.compile(optimizer, "mse")
    x = np.full((8, 4), 100.0, np.float32)
    before = model.get_weights()
    model.train_on_batch(x, np.zeros((8, 2), np.float32))
    assert float(optimizer.dynamic_scale.value) == 2.0**29
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_policies_are_saved(policy: str, tmp_path: Path) -> None:
    model = network(k)
    model.compile("adam", "sparse_categorical_crossentropy")
    x, y = data(16)
    model.fit(x, y, epochs=1, verbose=0)
    model.save(tmp_path / "m.keras")
    k.mixed_precision.set_global_policy("float32")
    loaded = k.models.load_model(tmp_path / "m.keras")
    assert [layer.dtype_policy.name for layer in loaded.layers[1:]] == [policy] * 10 + ["float32"]
    assert type(loaded.optimizer) is type(model.optimizer)
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))


def test_users_layers_read_weights_in_the_compute_dtype(policy: str) -> None:
    seen = []

    class Own(k.Layer):
        def build(self, shape: Any) -> None:
            self.w = self.add_weight((shape[-1], 2), name="w")
            self.fixed = self.add_weight((2,), autocast=False, name="fixed")

        def call(self, x: Any) -> Any:
            seen.append((x.dtype, self.w.value.dtype, self.fixed.value.dtype))
            return ops.matmul(x, self.w)

    kind = policy.removeprefix("mixed_")
    assert Own()(np.ones((2, 3), np.float32)).dtype == kind
    assert seen[-1] == (kind, kind, "float32")
    assert Own(autocast=False)(np.ones((2, 3), np.float32)).dtype == "float32"
