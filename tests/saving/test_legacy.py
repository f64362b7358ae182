"""Legacy HDF5: models and weights of Keras 1, 2, TF-Keras and 3 under any name; what is written there Keras 3 reads."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import h5py
import legacy_files as old
import numpy as np
import pytest

import berrante
from berrante import layers as L
from berrante.saving.guard import Mismatch, RefusedFile

RNG = np.random.default_rng(0)
X = RNG.random((6, 8, 8, 2)).astype("float32")
Y = np.eye(4, dtype="float32")[RNG.integers(0, 4, 6)]


def forward(weights: dict[str, list[np.ndarray]], x: np.ndarray) -> np.ndarray:
    """The network of legacy_files in float64."""
    (k, b), (gamma, beta, mean, variance), (w, c) = (
        [a.astype(np.float64) for a in weights[n]] for n in ("conv2d_1", "batch_normalization_1", "dense_1")
    )
    windows = np.lib.stride_tricks.sliding_window_view(x.astype(np.float64), (3, 3), axis=(1, 2))
    y = np.maximum(np.einsum("nhwcij,ijcf->nhwf", windows, k) + b, 0)
    y = gamma * (y - mean) / np.sqrt(variance + 1e-3) + beta
    y = np.where(y > 0, y, y * 0.2)
    y = y.reshape(len(x), 3, 2, 3, 2, 3).max(axis=(2, 4)).reshape(len(x), -1)
    e = np.exp((z := y @ w + c) - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


# Names and order of the state, as each Keras writes it; {slot: value of the i-th trained variable}.
def moments(slot: int) -> list[np.ndarray]:
    rng = np.random.default_rng(slot)
    return [rng.random(shape).astype(np.float32) for _, _, shape in old.TRAINED]


def keras_2(optimizer: str, slots: list[int], with_iterations: bool = True, placeholders: bool = False) -> Any:
    state: list[tuple[str, Any]] = [(f"{optimizer}/iterations:0", np.int64(7))] if with_iterations else []
    n = 0
    for slot in slots:
        for value in moments(slot):
            state.append((f"training/{optimizer}/Variable{f'_{n}' if n else ''}:0", value))
            n += 1
    if placeholders:
        for _ in old.TRAINED:
            state.append((f"training/{optimizer}/Variable_{n}:0", np.zeros(1, np.float32)))
            n += 1
    return state


def tf_legacy(optimizer: str, slots: list[str]) -> Any:
    state: list[tuple[str, Any]] = [(f"{optimizer}/iter:0", np.int64(7))]
    for i, slot in enumerate(slots):
        for (layer, name, _), value in zip(old.TRAINED, moments(i), strict=True):
            state.append((f"{optimizer}/{layer}/{name}/{slot}:0", value))
    return state


def tf_new(optimizer: str, slots: list[str], rate_at: int | None = None) -> Any:
    state: list[tuple[str, Any]] = [("iteration:0", np.int64(7))]
    for k, (layer, name, _) in enumerate(old.TRAINED):
        for i, slot in enumerate(slots):
            state.append((f"{optimizer}/{slot}/{layer}/{name}:0", moments(i)[k]))
    if rate_at is not None:
        state.insert(rate_at, ("learning_rate:0", np.float32(0.005)))
    return state


CASES = {
    "Adam 2.2": ("Adam", {"lr": 0.005, "decay": 0.0, "epsilon": 1e-7, "amsgrad": False}, keras_2("Adam", [0, 1], True, True)),
    "Adam 2.2 amsgrad": ("Adam", {"lr": 0.005, "decay": 0.0, "amsgrad": True}, keras_2("Adam", [0, 1, 2])),
    "SGD 2.2": ("SGD", {"lr": 0.005, "momentum": 0.9, "decay": 0.0, "nesterov": True}, keras_2("SGD", [0])),
    "RMSprop 2.2": ("RMSprop", {"lr": 0.005, "rho": 0.9, "decay": 0.0, "epsilon": None}, keras_2("RMSprop", [0], False)),
    "Adadelta 2.2": ("Adadelta", {"lr": 0.005, "rho": 0.95, "decay": 0.0, "epsilon": 1e-7}, keras_2("Adadelta", [0, 1], False)),
    "Adamax 2.2": ("Adamax", {"lr": 0.005, "beta_1": 0.9, "decay": 0.0}, keras_2("Adamax", [0, 1])),
    "Nadam 2.2": ("Nadam", {"lr": 0.005, "schedule_decay": 0.004}, keras_2("Nadam", [0, 1])),
    "Adam TF 2.10": ("Adam", {"name": "Adam", "learning_rate": 0.005, "decay": 0.0}, tf_legacy("Adam", ["m", "v"])),
    "RMSprop TF 2.10": ("RMSprop", {"learning_rate": 0.005, "momentum": 0.5, "centered": True},
                        tf_legacy("RMSprop", ["rms", "momentum", "mg"])),
    "Adamax TF 2.10": ("Adamax", {"learning_rate": 0.005}, tf_legacy("Adamax", ["m", "v"])),
    "Adam TF 2.15": ("Custom>Adam", {"name": "Adam", "learning_rate": 0.005, "jit_compile": False,
                                     "is_legacy_optimizer": False}, tf_new("Adam", ["m", "v"])),
    "Adam TF 2.12": ("Custom>Adam", {"name": "Adam", "learning_rate": 0.005}, tf_new("Adam", ["m", "v"], 1)),
    "Adadelta TF 2.15": ("Custom>Adadelta", {"learning_rate": 0.005},
                         tf_new("Adadelta", ["accumulated_grad", "accumulated_delta_var"])),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_whole_models_with_the_state_of_every_optimizer(case: str, tmp_path: Path) -> None:
    name, config, state = CASES[case]
    path, weights = tmp_path / "x.model.0", old.some_weights()
    old.write_model(path, weights, old.training(name, **config), state)
    model = berrante.models.load_model(path)
    np.testing.assert_allclose(model.predict(X), forward(weights, X), atol=1e-5)
    optimizer = model.optimizer
    assert type(optimizer).__name__ == name.split(">")[-1]
    assert float(optimizer._learning_rate.numpy()) == np.float32(0.005)
    assert int(optimizer.iterations.numpy()) == (7 if any("iter" in n for n, _ in state) else 0)
    slots = [s for s in optimizer._slots]
    for i, slot in enumerate(slots):
        for variable, expected in zip(optimizer._slots[slot], moments(i), strict=True):
            np.testing.assert_array_equal(variable.numpy(), expected)
    model.fit(X, Y, verbose=0)  # goes on


def test_decay_becomes_a_schedule(tmp_path: Path) -> None:
    settings = old.training("Adam", lr=0.01, decay=0.1)
    old.write_model(tmp_path / "m", old.some_weights(), settings, keras_2("Adam", [0, 1]))
    model = berrante.models.load_model(tmp_path / "m")
    assert float(np.asarray(model.optimizer.learning_rate)) == pytest.approx(0.01 / (1 + 0.1 * 7))


def test_state_of_other_variables_starts_afresh_with_a_warning(tmp_path: Path) -> None:
    state = keras_2("Adam", [0, 1])[:-1]
    old.write_model(tmp_path / "m", old.some_weights(), old.training("Adam", lr=0.01), state)
    with pytest.warns(UserWarning, match="the optimizer starts afresh: .*2 values"):
        model = berrante.models.load_model(tmp_path / "m")
    assert int(model.optimizer.iterations.numpy()) == 0


def test_functional_with_a_nested_model_and_a_shared_layer(tmp_path: Path) -> None:
    """Keras 2 counts the making of a nested model as its first node."""
    dense = lambda name, units: {"class_name": "Dense", "config": old.weighted(name, units=units, activation="tanh")}
    entry = lambda name, n: {
        "class_name": "InputLayer", "name": name, "inbound_nodes": [],
        "config": {"batch_input_shape": [None, n], "dtype": "float32", "sparse": False, "name": name},
    }  # fmt: skip
    at = lambda *nodes: [[[name, node, 0, {}] for name, node in nodes]]
    inner = {
        "name": "inner", "layers": [entry("inside", 3), {**dense("deep", 3), "name": "deep", "inbound_nodes": at(("inside", 0))}],
        "input_layers": [["inside", 0, 0]], "output_layers": [["deep", 0, 0]],
    }  # fmt: skip
    shared = {**dense("shared", 3), "name": "shared", "inbound_nodes": [*at(("a", 0)), *at(("shared", 0))]}
    layers = [
        entry("a", 3), shared,
        {"class_name": "Model", "config": inner, "name": "inner", "inbound_nodes": at(("shared", 1))},
        {"class_name": "Add", "config": {"name": "add", "trainable": True}, "name": "add",
         "inbound_nodes": at(("inner", 1), ("shared", 0))},
    ]  # fmt: skip
    config = {
        "class_name": "Model",
        "config": {
            "name": "model_1",
            "layers": layers,
            "input_layers": [["a", 0, 0]],
            "output_layers": [["add", 0, 0]],
        },
    }
    model = berrante.models.model_from_json(json.dumps(config))
    k1, b1, k2, b2 = model.get_weights()
    x = RNG.random((4, 3)).astype("float32")
    first = np.tanh(x @ k1 + b1)
    np.testing.assert_allclose(model.predict(x), np.tanh(np.tanh(first @ k1 + b1) @ k2 + b2) + first, atol=1e-5)


def small(names: bool = True) -> Any:
    name = lambda n: n if names else None
    model = berrante.Sequential(
        [
            L.Input((8, 8, 2)),
            L.Conv2D(3, 3, activation="relu", name=name("conv2d_1")),
            L.BatchNormalization(name=name("batch_normalization_1")),
            L.LeakyReLU(0.2),
            L.MaxPooling2D(),
            L.Flatten(),
            L.Dense(4, activation="softmax", name=name("dense_1")),
        ]
    )
    model.compile("adam", "categorical_crossentropy")
    return model


@pytest.mark.parametrize("name", ["x.weights", "x.h5", "x.model.0", "x", "x.keras"])
def test_weights_by_order_under_any_name(name: str, tmp_path: Path) -> None:
    weights = old.some_weights()
    with h5py.File(tmp_path / name, "w") as file:
        old.write_weights(file, weights)
    model = small(names=False)
    model.load_weights(tmp_path / name)
    np.testing.assert_allclose(model.predict(X), forward(weights, X), atol=1e-5)


def test_by_name_leaves_other_layers_alone(tmp_path: Path) -> None:
    weights = old.some_weights()
    with h5py.File(tmp_path / "w", "w") as file:
        old.write_weights(file, weights)
    model = berrante.Sequential(
        [L.Input((8, 8, 2)), L.Conv2D(3, 3, name="conv2d_1"), L.Flatten(), L.Dense(5, name="dense_1"), L.Dense(2, name="new")]
    )  # fmt: skip
    before = model.get_weights()
    with pytest.raises(
        Mismatch, match=r'layer "dense_1", kernel: the weight has shape \(108, 5\), but .* shape \(27, 4\)'
    ):
        model.load_weights(tmp_path / "w", by_name=True)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.warns(UserWarning, match="Skipping loading of weights due to mismatch"):
        model.load_weights(tmp_path / "w", by_name=True, skip_mismatch=True)
    now = model.get_weights()
    np.testing.assert_array_equal(now[0], weights["conv2d_1"][0])
    for a, b in zip(before[2:], now[2:], strict=True):
        np.testing.assert_array_equal(a, b)


def test_other_numbers_of_layers_are_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "w", "w") as file:
        old.write_weights(file, old.some_weights())
    model = berrante.Sequential([L.Input((8, 8, 2)), L.Conv2D(3, 3)])
    with pytest.raises(Mismatch, match="the file's 3 layers into a model of 1 layers"):
        model.load_weights(tmp_path / "w")


@pytest.mark.parametrize("backend", [None, "theano"])
@pytest.mark.parametrize("data_format", ["channels_first", "channels_last"])
def test_keras_1_kernels_are_turned(data_format: str, backend: str | None, tmp_path: Path) -> None:
    first = data_format == "channels_first"
    kernel = RNG.random((3, 2, 4, 5)).astype("float32")  # rows, columns, channels, filters: today's axes
    stored = kernel.transpose(3, 2, 0, 1) if first else kernel
    if backend == "theano":
        stored = stored[:, :, ::-1, ::-1] if first else stored[::-1, ::-1]
    bias = RNG.random(5).astype("float32")
    with h5py.File(tmp_path / "w", "w") as file:
        file.attrs["layer_names"] = [b"convolution2d_1"]
        if backend:
            file.attrs["backend"] = backend.encode()
        group = file.create_group("convolution2d_1")
        group.attrs["weight_names"] = [b"convolution2d_1_W", b"convolution2d_1_b"]
        group["convolution2d_1_W"], group["convolution2d_1_b"] = stored, bias
    shape = (4, 6, 6) if first else (6, 6, 4)
    model = berrante.Sequential([L.Input(shape), L.Conv2D(5, (3, 2), data_format=data_format)])
    model.load_weights(tmp_path / "w")
    np.testing.assert_array_equal(model.get_weights()[0], kernel)
    np.testing.assert_array_equal(model.get_weights()[1], bias)


def test_keras_1_configs() -> None:
    convolution = {
        "class_name": "Convolution2D",
        "config": {
            "name": "c", "trainable": True, "batch_input_shape": [None, 2, 8, 8], "input_dtype": "float32",
            "nb_filter": 3, "nb_row": 3, "nb_col": 2, "init": "glorot_uniform", "activation": "relu",
            "border_mode": "same", "subsample": [1, 1], "dim_ordering": "th", "bias": True,
            "W_regularizer": {"name": "L1L2Regularizer", "l1": 0.0, "l2": 0.01}, "b_regularizer": None,
            "activity_regularizer": None, "W_constraint": {"name": "MaxNorm", "m": 2, "axis": 0}, "b_constraint": None,
        },
    }  # fmt: skip
    layers = [
        convolution,
        {"class_name": "BatchNormalization", "config": {"name": "b", "mode": 0, "axis": 1, "epsilon": 1e-5,
                                                         "momentum": 0.9, "gamma_regularizer": None}},
        {"class_name": "MaxPooling2D", "config": {"name": "m", "pool_size": [2, 2], "strides": [2, 2],
                                                  "border_mode": "valid", "dim_ordering": "th"}},
        {"class_name": "Flatten", "config": {"name": "f", "trainable": True}},
        {"class_name": "Dropout", "config": {"name": "d", "p": 0.25}},
        {"class_name": "Dense", "config": {"name": "e", "output_dim": 4, "init": "uniform", "activation": "linear",
                                           "bias": True, "input_dim": 48, "W_regularizer": None}},
        {"class_name": "LeakyReLU", "config": {"name": "l", "alpha": 0.1}},
    ]  # fmt: skip
    model = berrante.models.model_from_json(
        json.dumps({"class_name": "Sequential", "keras_version": "1.2.2", "config": layers})
    )
    assert model.output_shape == (None, 4)
    conv, norm, pool, _, drop, dense, leaky = model.layers
    assert conv.data_format == "channels_first" and conv.padding == "same" and conv.kernel.shape == (3, 2, 2, 3)
    assert conv.kernel_regularizer.get_config() == {"l1": 0.0, "l2": pytest.approx(0.01)}
    assert conv.kernel_constraint.max_value == 2
    assert norm.axis == 1 and pool.data_format == "channels_first" and drop.rate == 0.25 and dense.units == 4
    assert leaky.negative_slope == pytest.approx(0.1)


def keras() -> Any:
    os.environ.setdefault("KERAS_BACKEND", "jax")
    pytest.importorskip(os.environ["KERAS_BACKEND"])
    return pytest.importorskip("keras")


def test_keras_3_reads_what_is_written(tmp_path: Path) -> None:
    k3 = keras()
    model = small()
    model.compile("adam", "mse", metrics=["mae", "accuracy"])
    model.fit(X, Y, epochs=2, verbose=0)
    model.save(tmp_path / "m.h5")
    theirs = k3.models.load_model(tmp_path / "m.h5")
    np.testing.assert_allclose(theirs.predict(X, verbose=0), model.predict(X), atol=1e-5)
    ours = theirs.evaluate(X, Y, verbose=0)
    np.testing.assert_allclose(ours, model.evaluate(X, Y, verbose=0), rtol=1e-5)
    assert int(np.asarray(theirs.optimizer.iterations)) == int(model.optimizer.iterations.numpy()) == 2
    model.save_weights(tmp_path / "w.h5")
    theirs.set_weights([np.zeros_like(w) for w in theirs.get_weights()])
    theirs.load_weights(tmp_path / "w.h5")
    np.testing.assert_allclose(theirs.predict(X, verbose=0), model.predict(X), atol=1e-5)
    theirs.compile("adam", "mean_squared_error")  # Keras 3's loaded optimizer knows no variables
    theirs.fit(X, Y, verbose=0)
    theirs.save(tmp_path / "theirs.h5")
    back = berrante.models.load_model(tmp_path / "theirs.h5")
    np.testing.assert_allclose(back.predict(X), theirs.predict(X, verbose=0), atol=1e-5)


@pytest.mark.parametrize("name", ["m.h5", "m.model", "m.keras", "m"])
def test_training_goes_on_to_the_bit(name: str, tmp_path: Path) -> None:
    model = small()
    model.compile(
        berrante.optimizers.Adam(0.01, amsgrad=True), berrante.losses.CategoricalCrossentropy(label_smoothing=0.1)
    )
    model.fit(X, Y, epochs=2, verbose=0)
    model.save(tmp_path / name)
    again = berrante.models.load_model(tmp_path / name)
    assert again.loss.get_config()["label_smoothing"] == 0.1
    losses = [m.fit(X, Y, batch_size=2, epochs=2, shuffle=False, verbose=0).history["loss"] for m in (model, again)]
    assert losses[0] == losses[1]
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_file_of_weights_is_no_model(tmp_path: Path) -> None:
    small().save_weights(tmp_path / "w.h5")
    with pytest.raises(RefusedFile, match="weights only"):
        berrante.models.load_model(tmp_path / "w.h5")


EMOTIONS = Path(__file__).resolve().parents[3] / "shared" / "data" / "emotions"
if not EMOTIONS.exists():
    EMOTIONS = Path(os.environ.get("BERRANTE_SHARED_DATA", "shared/data")) / "emotions"


def test_the_emotion_network_of_keras_2_2_2(tmp_path: Path) -> None:
    if not (EMOTIONS / "cnn_emotions.model").exists():
        pytest.skip("shared/data/emotions is missing")
    model = berrante.models.load_model(EMOTIONS / "cnn_emotions.model")
    assert model.count_params() == 70_840 and int(model.optimizer.iterations.numpy()) == 2000
    with h5py.File(EMOTIONS / "cnn_emotions.model") as file:
        group = file["optimizer_weights/training/Adam"]
        for i, slot in enumerate(("momentum", "velocity")):
            for j, variable in enumerate(model.optimizer._slots[slot]):
                n = i * 16 + j
                np.testing.assert_array_equal(variable.numpy(), group[f"Variable{f'_{n}' if n else ''}:0"][()])
    x = np.random.default_rng(1).random((8, 48, 48, 3)).astype("float32")
    fresh = berrante.models.model_from_json(model.to_json())
    fresh.load_weights(EMOTIONS / "cnn_emotions.weights")
    np.testing.assert_array_equal(fresh.predict(x), model.predict(x))
    k3 = keras()
    theirs = k3.models.model_from_json(model.to_json())
    renamed = tmp_path / "w.h5"
    renamed.write_bytes((EMOTIONS / "cnn_emotions.weights").read_bytes())
    theirs.load_weights(renamed)
    np.testing.assert_allclose(model.predict(x), theirs.predict(x, verbose=0), atol=1e-5)
