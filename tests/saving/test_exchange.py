"""Every public layer, loss, metric, optimizer, schedule, initializer, regularizer and constraint through configs and files, both
directions with the real Keras. The tables of `tests/layers` and `tests/parity` give the arguments, so a new class is checked
here as soon as it has a row there.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "layers"))

import random_models as draw  # noqa: E402
from round_trips import own_round_trip, predictions, round_trip, weights_of  # noqa: E402
from rows import ROWS, WITHOUT_ROW, Row  # noqa: E402

import berrante  # noqa: E402
from parity import loss_cases, metric_cases, optimizer_cases  # noqa: E402
from parity.peers import plain_config  # noqa: E402

keras: Any = pytest.importorskip("keras")
pytest.importorskip("jax")

FIXED: dict[str, dict[str, dict[str, Any]]] = {
    "initializers": {
        "Constant": {"value": 2.5}, "Identity": {"gain": 2.0}, "Orthogonal": {"gain": 1.5, "seed": 3}, "RandomNormal": {"mean": 0.3, "stddev": 0.2, "seed": 1},
        "RandomUniform": {"minval": -0.3, "maxval": 0.7}, "TruncatedNormal": {"mean": 0.1, "stddev": 0.5},
        "VarianceScaling": {"scale": 2.0, "mode": "fan_out", "distribution": "untruncated_normal", "seed": 9},
    },
    "regularizers": {"L1": {"l1": 0.3}, "L2": {"l2": 0.25}, "L1L2": {"l1": 0.1, "l2": 0.2}, "OrthogonalRegularizer": {"factor": 0.2, "mode": "columns"}},
    "metrics": {"Mean": {"name": "m"}, "Sum": {"name": "s"}},
    "constraints": {"MaxNorm": {"max_value": 0.8, "axis": [0, 1]}, "MinMaxNorm": {"min_value": 0.5, "max_value": 0.9, "rate": 0.4, "axis": 1}, "UnitNorm": {"axis": 1}},
}  # fmt: skip
# Arguments that Keras' own configs leave out.
DROPPED = {"Huber": {"delta"}, "CosineSimilarity": {"axis"}, "Identity": {"gain"}, "RandomGrayscale": {"seed"}}
# Those that wrap any function, or (tests/training has that one) any optimizer.
APART = {"LossFunctionWrapper", "MeanMetricWrapper", "LossScaleOptimizer", "MultiOptimizer"}


def classes(family: str) -> list[str]:
    """The family's public classes."""
    module = berrante
    for part in family.split("."):
        module = getattr(module, part)
    return sorted(c.__name__ for c in module.ALL if c.__name__ not in APART)


def arguments(family: str, name: str, rng: np.random.Generator) -> dict[str, Any]:
    if family in ("initializers", "regularizers", "constraints") or name in FIXED.get(family, ()):
        return FIXED[family].get(name, {})
    if family == "optimizers":
        return {**optimizer_cases.common(rng), **optimizer_cases.TABLE[name](rng)}
    if family == "optimizers.schedules":
        return draw_schedule(name, rng)
    return dict((loss_cases if family == "losses" else metric_cases).TABLE[name][1](rng))


def draw_schedule(name: str, rng: np.random.Generator) -> dict[str, Any]:
    kwargs = optimizer_cases.SCHEDULES[name](rng)
    if "values" in kwargs:
        kwargs["values"] = [float(v) for v in rng.random(len(kwargs["boundaries"]) + 1)]
    return kwargs


PARTS = [
    (family, name)
    for family in ("initializers", "regularizers", "constraints", "losses", "metrics", "optimizers", "optimizers.schedules")
    for name in classes(family)
]  # fmt: skip


def as_json(node: Any) -> Any:
    return json.loads(
        json.dumps(node, default=lambda array: np.asarray(array).tolist())
    )  # Keras leaves arrays in configs


def kept(name: str, config: dict[str, Any]) -> Any:
    return plain_config({k: v for k, v in as_json(config).items() if k not in DROPPED.get(name, ())})


@pytest.mark.parametrize(("family", "name"), PARTS)
def test_parts_are_read_by_keras_and_back(family: str, name: str) -> None:
    for seed in range(5):
        kwargs = arguments(family, name, np.random.default_rng(seed))
        part = draw.Part(family, name, kwargs)
        ours, theirs = part.make(berrante), part.make(keras)
        read = keras.saving.deserialize_keras_object(as_json(berrante.saving.serialize_keras_object(ours)))
        assert type(read) is type(theirs)
        assert kept(name, read.get_config()) == kept(name, theirs.get_config())
        back = berrante.saving.deserialize_keras_object(as_json(keras.saving.serialize_keras_object(theirs)))
        assert type(back) is type(ours)
        assert kept(name, back.get_config()) == kept(name, ours.get_config())
        own = berrante.saving.deserialize_keras_object(as_json(berrante.saving.serialize_keras_object(ours)))
        assert as_json(own.get_config()) == as_json(ours.get_config()), "nothing is lost here"


def test_every_class_is_in_a_table() -> None:
    for family, name in PARTS:
        arguments(family, name, np.random.default_rng(0))


# --- layers ---------------------------------------------------------------------------------------------------------


# What comes back from Keras 3.15 changed: it crops nothing in predict; reading a model it takes Attention's score_mode "dot" for
# its function of that name; it gives Normalization's empty axis back as -1; a number for RandomShear becomes bounds that Keras
# then refuses to read; its Equalization gives a symbolic tensor back as it is, and then no functional model can be made.
CHANGED = ("RandomCrop", "Attention", "Normalization", "RandomShear", "Equalization")


def exchanged() -> list[Row]:
    """The rows that go to Keras and back here."""
    # Layers whose inputs are arguments of their own: tests/layers/test_attention.py exchanges their files.
    usual = [row for row in ROWS if row.saves and not row.apart]
    return [row for row in usual if hasattr(keras.layers, row.layer) and row.layer not in CHANGED]


def test_every_layer_of_keras_is_exchanged() -> None:
    own = {c.__name__ for c in berrante.layers.ALL} - WITHOUT_ROW
    elsewhere = {"Lambda", *CHANGED} | {r.layer for r in ROWS if r.apart}
    assert {r.layer for r in exchanged()} >= {n for n in own if hasattr(keras.layers, n)} - elsewhere


def all_layers(k: Any, rows: list[Row]) -> Any:
    """One model with every row: as many inputs as they take, an output each."""
    inputs, outputs = [], []
    for i, row in enumerate(rows):
        shapes = row.inputs if isinstance(row.inputs, list) else [row.inputs]
        dtype = "int32" if row.integers else "float32"
        xs = [k.Input(s[1:], dtype=dtype, name=f"x{i}_{j}") for j, s in enumerate(shapes)]
        kwargs = row.kwargs(k) if callable(row.kwargs) else row.kwargs
        outputs.append(getattr(k.layers, row.layer)(**kwargs, name=f"y{i}")(xs if len(xs) > 1 else xs[0]))
        inputs += xs
    return k.Model(inputs, outputs)


def batches(rows: list[Row]) -> list[np.ndarray]:
    rng, found = np.random.default_rng(0), []
    for row in rows:
        for s in row.inputs if isinstance(row.inputs, list) else [row.inputs]:
            x = rng.integers(0, row.integers, (4, *s[1:])) if row.integers else rng.random((4, *s[1:]))
            found.append(x.astype("int32" if row.integers else "float32"))
    return found


def fill(model: Any) -> None:
    for i, w in enumerate(w for w in model.weights if "seed" not in w.path):
        w.assign(np.abs(np.random.default_rng(i).normal(size=w.shape).astype("float32")) + 0.1)


def same_weights(a: Any, b: Any) -> None:
    for (_, u), (_, v) in zip(weights_of(a), weights_of(b), strict=True):
        np.testing.assert_array_equal(u, v)


def without_parts(config: Any) -> Any:
    """Without initializers and regularizers, which `.h5` files name as Keras 2 did."""
    return {k: v for k, v in config.items() if not k.endswith(("_initializer", "_regularizer", "layer"))}


def same_configs(rows: list[Row], a: Any, b: Any, legacy: bool) -> None:
    for i, row in enumerate(rows):
        u, v = a.get_layer(f"y{i}"), b.get_layer(f"y{i}")
        assert type(u).__name__ == type(v).__name__ == row.layer
        p, q = kept(row.layer, u.get_config()), kept(row.layer, v.get_config())
        assert (without_parts(p) == without_parts(q)) if legacy else p == q, f"{row.layer}: {p} and {q}"


def same_outputs(rows: list[Row], a: Any, b: Any) -> None:
    xs = batches(rows)
    for row, u, v in zip(rows, predictions(a, xs), predictions(b, xs), strict=True):
        np.testing.assert_allclose(u, v, rtol=1e-4, atol=1e-4, err_msg=f"{row.layer}({row.kwargs})")


@pytest.mark.parametrize("suffix", [".keras", ".h5", ".weights.h5", ".json"])
def test_layers_both_directions(suffix: str, tmp_path: Path) -> None:
    """Configs and weights arrive, and predictions here agree. tests/parity compares them with Keras', which compiles long."""
    rows = [row for row in exchanged() if suffix != ".h5" or not lost_in_h5(row)]

    def passed_on(source: Any, k: Any, name: str) -> Any:
        path = str(tmp_path / (name + suffix))
        if suffix in (".keras", ".h5"):
            source.save(path)
            return k.models.load_model(path, compile=False)
        model = k.models.model_from_json(source.to_json()) if suffix == ".json" else all_layers(k, rows)
        path = str(tmp_path / f"{name}.weights.h5")
        source.save_weights(path)
        model.load_weights(path)
        return model

    ours = all_layers(berrante, rows)
    fill(ours)
    theirs = passed_on(ours, keras, "ours")
    same_weights(ours, theirs)
    same_configs(rows, ours, theirs, suffix == ".h5")
    back = passed_on(theirs, berrante, "theirs")
    same_weights(back, theirs)
    same_configs(rows, back, ours, suffix == ".h5")
    same_outputs(rows, back, ours)


def test_layers_predict_alike(tmp_path: Path) -> None:
    rows = exchanged()[::9]
    ours = all_layers(berrante, rows)
    fill(ours)
    ours.save(tmp_path / "m.keras")
    same_outputs(rows, ours, keras.models.load_model(str(tmp_path / "m.keras"), compile=False))


def lost_in_h5(row: Row) -> bool:
    """Keras reads axes from its own `.h5` files only where there is one, and cannot write some layers of images into them."""
    return (
        row.layer.startswith(("Random", "Solarization"))
        or len(np.atleast_1d(row.kwargs.get("axis", 0) if isinstance(row.kwargs, dict) else 0)) > 1
    )


# --- whole models ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("index", range(9))
def test_random_models_here(index: int, tmp_path: Path) -> None:
    own_round_trip(index, 0, tmp_path)


def test_a_random_model_in_both_directions(tmp_path: Path) -> None:
    """`round_trips.py --count N` compares as many as one likes."""
    round_trip(3, 7, tmp_path)
