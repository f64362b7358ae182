"""Files: round trips, both directions with Keras 3, and files that are refused."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import berrante
from berrante import layers as L
from berrante import models, saving
from berrante.saving.guard import RefusedFile

RNG = np.random.default_rng(0)
X = RNG.random((24, 10, 10, 3)).astype("float32")
Y = RNG.integers(0, 4, 24)


def keras() -> Any:
    os.environ.setdefault("KERAS_BACKEND", "jax")
    pytest.importorskip(os.environ["KERAS_BACKEND"])
    return pytest.importorskip("keras")


def sequential(module: Any) -> Any:
    layers = module.layers
    model = module.Sequential(
        [
            module.Input((10, 10, 3)),
            layers.Conv2D(4, 3, activation="relu", kernel_regularizer="l2"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(),
            layers.Dropout(0.25),
            layers.Flatten(),
            layers.Dense(4, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def functional(module: Any) -> Any:
    layers = module.layers
    image = module.Input((10, 10, 3), name="image")
    shared = layers.Conv2D(3, 3, padding="same", name="shared")
    inner_in = module.Input((10, 10, 3))
    inner = module.Model(inner_in, layers.Conv2D(2, 1)(inner_in), name="inner")
    x = layers.Add()([shared(shared(image)), layers.LeakyReLU()(image)])
    x = layers.Concatenate()([layers.Flatten()(inner(x)), layers.GlobalAveragePooling2D()(x)])
    model = module.Model(image, layers.Dense(4, activation="softmax")(x))
    model.compile("rmsprop", "sparse_categorical_crossentropy")
    return model


@pytest.mark.parametrize("build", [sequential, functional])
def test_round_trip_continues_training_as_if_never_stopped(build: Any, tmp_path: Path) -> None:
    model = build(berrante)
    model.fit(X, Y, epochs=2, verbose=0)
    model.save(tmp_path / "model.keras")
    again = berrante.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(model.predict(X), again.predict(X))
    for a, b in zip(model.optimizer.variables, again.optimizer.variables, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    if build is functional:  # without dropout, whose seeds differ
        histories = [m.fit(X, Y, epochs=2, shuffle=False, verbose=0).history["loss"] for m in (model, again)]
        assert histories[0] == histories[1]


@pytest.mark.parametrize("build", [sequential, functional])
def test_both_directions_with_keras(build: Any, tmp_path: Path) -> None:
    k3 = keras()
    ours = build(berrante)
    ours.fit(X, Y, epochs=2, verbose=0)
    ours.save(tmp_path / "ours.keras")
    theirs = k3.models.load_model(tmp_path / "ours.keras")
    np.testing.assert_allclose(theirs.predict(X, verbose=0), ours.predict(X), atol=1e-5)
    assert int(np.asarray(theirs.optimizer.iterations)) == int(ours.optimizer.iterations)
    theirs.fit(X, Y, epochs=1, verbose=0)
    theirs.save(tmp_path / "theirs.keras")
    back = berrante.models.load_model(tmp_path / "theirs.keras")
    np.testing.assert_allclose(back.predict(X), theirs.predict(X, verbose=0), atol=1e-5)
    for a, b in zip(back.optimizer.variables, theirs.optimizer.variables, strict=True):
        np.testing.assert_allclose(a.numpy(), np.asarray(b), atol=1e-6)
    theirs.save_weights(tmp_path / "w.weights.h5")
    fresh = build(berrante)
    fresh.load_weights(tmp_path / "w.weights.h5")
    np.testing.assert_allclose(fresh.predict(X), theirs.predict(X, verbose=0), atol=1e-5)


def test_registered_classes_and_functions(tmp_path: Path) -> None:
    @berrante.saving.register_keras_serializable("mine")
    class Scale(berrante.Layer):
        def __init__(self, by: float, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.by = by

        def call(self, x: Any) -> Any:
            return x * self.by

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "by": self.by}

    model = berrante.Sequential([L.Input((3,)), Scale(2.5), L.Dense(2)])
    model.save(tmp_path / "m.keras")
    x = RNG.random((4, 3)).astype("float32")
    np.testing.assert_array_equal(berrante.models.load_model(tmp_path / "m.keras").predict(x), model.predict(x))


def rewritten(path: Path, change: Any) -> Path:
    """The archive with another config."""
    with zipfile.ZipFile(path) as archive:
        members = {n: archive.read(n) for n in archive.namelist()}
    config = json.loads(members["config.json"])
    change(config)
    members["config.json"] = json.dumps(config).encode()
    target = path.with_name("changed.keras")
    with zipfile.ZipFile(target, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return target


def test_configs_make_only_known_classes(tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    sequential(berrante).save(path)

    def attack(config: Any) -> None:
        config["config"]["layers"][1] = {
            "module": "os",
            "class_name": "system",
            "config": {"command": "touch x"},
            "registered_name": None,
        }

    with pytest.raises(ValueError, match="unknown class 'system'"):
        berrante.models.load_model(rewritten(path, attack))

    def code(config: Any) -> None:
        config["config"]["layers"][1] = {
            "module": "keras.layers", "class_name": "Lambda", "registered_name": None,
            "config": {"name": "l", "function": {"class_name": "__lambda__", "config": {"code": "4wAAAA=="}}},
        }  # fmt: skip

    with pytest.raises(ValueError, match="__lambda__"):
        berrante.models.load_model(rewritten(path, code))


def test_weights_are_all_or_nothing(tmp_path: Path) -> None:
    model = sequential(berrante)
    path = tmp_path / "w.weights.h5"
    model.save_weights(path)
    before = model.get_weights()
    with h5py.File(path, "r+") as file:
        del file["layers/dense/vars/0"]
        file["layers/dense/vars/0"] = np.zeros((3, 3), np.float32)
    with pytest.raises(RefusedFile, match=r"expected shape .*; the file has \(3, 3\)"):
        model.load_weights(path)
    with h5py.File(path, "r+") as file:
        del file["layers/dense/vars/0"]
        file["layers/dense/vars/0"] = h5py.ExternalLink("/etc/passwd", "x")
    with pytest.raises(RefusedFile, match="link to elsewhere"):
        model.load_weights(path)
    for a, b in zip(before, model.get_weights()):
        np.testing.assert_array_equal(a, b)


def test_a_failed_save_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.keras"
    model = sequential(berrante)
    model.save(path)
    old = path.read_bytes()
    monkeypatch.setattr(zipfile.ZipFile, "writestr", lambda *a, **k: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        model.save(path)
    assert path.read_bytes() == old and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 nothing", b"\x89HDF\r\n\x1a\n....", b"[" * 1000])
def test_broken_files_are_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "broken"
    path.write_bytes(content)
    with pytest.raises(ValueError):
        berrante.models.load_model(path)
    with pytest.raises(ValueError):
        sequential(berrante).load_weights(path)


def test_parts_of_a_subclass_are_all_written(tmp_path: Path) -> None:
    class Pair(berrante.Model):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = (
                berrante.Sequential([berrante.Input((3,)), berrante.layers.Dense(3)]) for _ in range(3)
            )

        def call(self, x: Any) -> Any:
            return self.c(self.b(self.a(x)))

    model, other = Pair(), Pair()
    x = np.ones((2, 3), np.float32)
    y, _ = model.predict(x, verbose=0), other.predict(x, verbose=0)
    model.save_weights(tmp_path / "pair.weights.h5")
    other.load_weights(tmp_path / "pair.weights.h5")
    np.testing.assert_array_equal(other.predict(x, verbose=0), y)


def test_open_files_as_targets(tmp_path: Path) -> None:
    import io

    model = models.Sequential([L.Input((3,)), L.Dense(2)])
    model.compile("adam", "mse")
    x = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    memory = io.BytesIO()
    saving.save_model(model, memory)
    memory.seek(0)
    np.testing.assert_array_equal(saving.load_model(memory).predict(x, verbose=0), model.predict(x, verbose=0))
    with h5py.File(tmp_path / "file", "w") as file:
        saving.save_model(model, file.create_group("inside"))
        loaded = saving.load_model(file["inside"])
        twin = models.Sequential([L.Input((3,)), L.Dense(2)])
        twin.load_weights(file["inside"])
    for other in (loaded, twin):
        np.testing.assert_array_equal(other.predict(x, verbose=0), model.predict(x, verbose=0))


def test_models_that_are_not_built_are_saved_without_weights(tmp_path: Path) -> None:
    model = models.Sequential([L.Dense(2)])
    model.save(tmp_path / "m.keras")
    loaded = saving.load_model(tmp_path / "m.keras")
    assert not loaded.built and loaded.layers[0].units == 2


def test_missing_files_and_unknown_arguments(tmp_path: Path) -> None:
    model = models.Sequential([L.Input((3,)), L.Dense(2)])
    for error in (FileNotFoundError, ValueError):
        with pytest.raises(error, match="Please ensure the file is an accessible"):
            saving.load_model(tmp_path / "none.keras")
    with pytest.raises(ValueError, match=r"not supported: \['colour'\]"):
        model.save(tmp_path / "m.keras", colour="red")
    with pytest.raises(ValueError, match="Invalid keyword arguments: colour"):
        model.load_weights(tmp_path / "m.keras", colour="red")
    assert not list(tmp_path.iterdir())


def test_weights_of_another_shape_are_reshaped_if_asked(tmp_path: Path) -> None:
    flat = models.Sequential([L.Input((4,)), L.Dense(3, name="a")])
    flat.save_weights(tmp_path / "w.h5")
    conv = models.Sequential([L.Input((1, 1, 4)), L.Conv2D(3, 1, name="a")])
    with pytest.raises(ValueError, match="the weight has shape"):
        conv.load_weights(tmp_path / "w.h5")
    conv.load_weights(tmp_path / "w.h5", by_name=True, reshape=True)
    np.testing.assert_array_equal(conv.get_weights()[0].reshape(4, 3), flat.get_weights()[0])
