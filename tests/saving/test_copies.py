"""Copies and pickles, models of the user's classes in Keras 3's layout, and the command line's conversions."""

from __future__ import annotations

import copy
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import berrante
from berrante import layers as L
from berrante.cli import main

RNG = np.random.default_rng(0)
X = RNG.random((8, 3)).astype("float32")
Y = RNG.random((8, 3)).astype("float32")


class Scale(L.Layer):  # neither registered nor with a get_config
    def __init__(self, by: float = 2.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.by = by

    def call(self, x: Any) -> Any:
        return x * self.by


def my_loss(y: Any, p: Any) -> Any:
    return berrante.ops.mean(berrante.ops.square(y - p), axis=-1)


def network(loss: Any = my_loss) -> Any:
    model = berrante.Sequential([L.Input((3,)), Scale(1.5), L.Dense(4, activation="tanh"), L.Dropout(0.3), L.Dense(3)])
    model.compile(berrante.optimizers.RMSprop(0.01, momentum=0.5), loss, metrics=["mae"])
    model.fit(X, Y, epochs=2, verbose=0)
    return model


@pytest.mark.parametrize("through", ["pickle", "deepcopy"])
def test_copies_train_on_as_the_original(through: str) -> None:
    model = network()
    twin = pickle.loads(pickle.dumps(model)) if through == "pickle" else copy.deepcopy(model)
    assert twin is not model and twin.layers[0].by == 1.5
    losses = [m.fit(X, Y, epochs=3, shuffle=False, verbose=0).history["loss"] for m in (model, twin)]
    assert losses[0] == losses[1]  # dropout's random state included
    twin.set_weights([np.zeros_like(w) for w in twin.get_weights()])
    assert any(np.any(w) for w in model.get_weights())


def test_copies_of_layers_and_of_unbuilt_models() -> None:
    layer = L.Dense(3, activation="relu", name="d")
    layer.build((None, 2))
    twin = copy.deepcopy(layer)
    for a, b in zip(layer.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    unbuilt = pickle.loads(pickle.dumps(berrante.Sequential([L.Dense(2), L.Dense(1)])))
    assert unbuilt.predict(X).shape == (8, 1)


def test_lambdas_are_copied_in_memory_only(tmp_path: Path) -> None:
    model = berrante.Sequential([L.Input((3,)), L.Lambda(lambda x: x * 3.0)])
    np.testing.assert_allclose(copy.deepcopy(model).predict(X), X * 3.0, rtol=1e-6)
    with pytest.raises(ValueError, match="lambda cannot be saved"):
        model.save(tmp_path / "m.keras")


def test_a_layer_in_two_models_stays_one_layer(tmp_path: Path) -> None:
    shared = L.Dense(3, name="shared")
    parts = []
    for name in ("left", "right"):
        i = L.Input((3,))
        parts.append(berrante.Model(i, shared(i), name=name))
    entry = L.Input((3,))
    model = berrante.Model(entry, L.Add()([part(entry) for part in parts]))
    model.save(tmp_path / "m.keras")
    again = berrante.models.load_model(tmp_path / "m.keras")
    assert again.get_layer("left").layers[-1] is again.get_layer("right").layers[-1]
    np.testing.assert_array_equal(again.predict(X), model.predict(X))


# --- the user's classes, as Keras lays them out ---------------------------------------------------------------------


def classes(k: Any) -> Any:
    """The same classes over berrante and over Keras."""
    layers = k.layers

    class Block(layers.Layer):  # type: ignore[name-defined, misc]
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.steps = [layers.Dense(3), layers.Dense(3), layers.Dropout(0.1)]
            self.norm = layers.BatchNormalization()
            self._hidden = layers.Dense(3)
            self.table = {"a": layers.Dense(3), "b": [layers.Dense(3), (layers.Dense(3),)]}

        def build(self, shape: Any) -> None:
            self.w = self.add_weight(shape=(3,), name="w")
            self.fixed = self.add_weight(shape=(3,), trainable=False, name="fixed")
            self.v = self.add_weight(shape=(3,), name="v")

        def call(self, x: Any) -> Any:
            for step in self.steps:
                x = step(x)
            x = self.norm(x * self.w + self.v + self.fixed)
            return self._hidden(self.table["b"][1][0](self.table["b"][0](self.table["a"](x))))

    class Whole(k.Model):  # type: ignore[name-defined, misc]
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.zeta = layers.Dense(3)
            self.again = self.zeta
            self.blocks = [Block(), Block()]
            self.inner = k.Sequential([k.Input((3,)), layers.Dense(3)])
            self.pair = (layers.Dense(3),)

        def call(self, x: Any) -> Any:
            x = self.zeta(x)
            for block in self.blocks:
                x = block(x)
            return self.pair[0](self.inner(x))

    return Whole


def tree(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    with h5py.File(path) as file:
        file.visititems(lambda n, o: found.update({n: o.shape}) if isinstance(o, h5py.Dataset) else None)
    return found


def test_subclassed_models_are_laid_out_as_keras_does(tmp_path: Path) -> None:
    os.environ.setdefault("KERAS_BACKEND", "jax")
    pytest.importorskip(os.environ["KERAS_BACKEND"])
    k3 = pytest.importorskip("keras")
    ours, theirs = classes(berrante)(), classes(k3)()
    for model in (ours, theirs):
        model.compile("adam", "mean_squared_error")
        model.fit(X, Y, verbose=0)
    theirs.save_weights(tmp_path / "theirs.weights.h5")
    ours.load_weights(tmp_path / "theirs.weights.h5")
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X, verbose=0), atol=1e-5)
    ours.fit(X, Y, verbose=0)
    ours.save_weights(tmp_path / "ours.weights.h5")
    own = {n: s for n, s in tree(tmp_path / "ours.weights.h5").items() if "seed_generator" not in n}
    assert own == tree(tmp_path / "theirs.weights.h5")
    theirs.load_weights(tmp_path / "ours.weights.h5")
    np.testing.assert_allclose(theirs.predict(X, verbose=0), ours.predict(X), atol=1e-5)


# --- berrante convert -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("last", ["z.keras", "z.h5", "z.model"])
@pytest.mark.parametrize("first", ["a.keras", "a.h5", "a"])
def test_conversions_keep_everything(first: str, last: str, tmp_path: Path) -> None:
    model = berrante.Sequential([L.Input((3,)), L.Dense(4, activation="relu"), L.BatchNormalization(), L.Dense(3)])
    model.compile("adam", "mse")
    model.fit(X, Y, verbose=0)
    model.save(tmp_path / first)
    assert main(["convert", str(tmp_path / first), str(tmp_path / last)]) == 0
    assert zipfile.is_zipfile(tmp_path / last) == last.endswith(".keras")
    again = berrante.models.load_model(tmp_path / last)
    losses = [m.fit(X, Y, shuffle=False, epochs=2, verbose=0).history["loss"] for m in (model, again)]
    assert losses[0] == losses[1]


def test_convert_weights_and_configs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = berrante.Sequential([L.Input((3,)), L.Dense(4), L.Dense(3)])
    paths = {n: str(tmp_path / n) for n in ("m.keras", "m.json", "w.weights.h5", "w.weights", "n.keras")}
    model.save(paths["m.keras"])
    for name in ("m.json", "w.weights.h5", "w.weights"):
        assert main(["convert", paths["m.keras"], paths[name]]) == 0
    assert main(["convert", paths["w.weights"], paths["n.keras"], "--config", paths["m.json"]]) == 0
    np.testing.assert_array_equal(berrante.models.load_model(paths["n.keras"]).predict(X), model.predict(X))
    before = Path(paths["n.keras"]).read_bytes()
    assert main(["convert", paths["m.keras"], paths["n.keras"]]) == 1
    assert main(["convert", paths["w.weights"], paths["n.keras"], "--overwrite"]) == 1
    assert "weights only" in capsys.readouterr().err
    assert Path(paths["n.keras"]).read_bytes() == before
    assert main(["summary", paths["m.json"]]) == 0 and "Total params" in capsys.readouterr().out
    assert main(["summary", paths["w.weights"]]) == 1


# --- optimizers and other parts -------------------------------------------------------------------------------------


@pytest.mark.parametrize("through", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_of_parts(through: Any) -> None:
    model = berrante.Sequential([L.Input((3,)), L.Dense(4), L.BatchNormalization(), L.Dense(3)])
    rate = berrante.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)
    model.compile(berrante.optimizers.Adam(rate, use_ema=True), "mse")
    model.fit(X, Y, verbose=0)
    parts = [
        model.optimizer, berrante.metrics.AUC(), berrante.random.SeedGenerator(3), model.weights[0], berrante.losses.Huber(0.3), rate,
        berrante.initializers.HeNormal(seed=3), berrante.regularizers.L2(0.1), berrante.constraints.MaxNorm(2), *model.layers,
    ]  # fmt: skip
    for part in parts:
        again = through(part)
        assert type(again) is type(part) and again is not part
        if hasattr(part, "get_config"):
            assert again.get_config() == part.get_config()
        if isinstance(part, berrante.optimizers.Optimizer):  # the copy takes its values when it is built
            again.build(model.trainable_variables)
        for a, b in zip(getattr(part, "variables", []), getattr(again, "variables", []), strict=True):
            assert a is not b and (a.name, a.shape, a.dtype, a.trainable) == (b.name, b.shape, b.dtype, b.trainable)
            np.testing.assert_array_equal(a.numpy(), b.numpy())


@pytest.mark.parametrize("name", ["SGD", "Adam", "Muon", "ScheduleFreeAdamW"])
def test_copied_optimizers_step_on_alike(name: str) -> None:
    """A copy trains copies of the variables, in one copy with them."""
    variables = [berrante.Variable(np.arange(6.0).reshape(2, 3), name="v"), berrante.Variable(np.ones(3), name="w")]
    optimizer = getattr(berrante.optimizers, name)(0.1)
    gradients = [np.full((2, 3), 0.3, np.float32), np.array([1, -2, 3], np.float32)]
    optimizer.apply(gradients, variables)
    own, others = copy.deepcopy((optimizer, variables))
    for _ in range(3):
        optimizer.apply(gradients, variables)
        own.apply(gradients, others)
    for a, b in zip([*variables, *optimizer.variables], [*others, *own.variables], strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
