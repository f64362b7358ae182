"""Functional models with operations between their layers: saved, loaded, and exchanged with Keras."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import berrante
from berrante import layers as L
from berrante import ops

X = np.random.default_rng(0).normal(size=(3, 4, 6)).astype(np.float32)


def model(k: Any) -> Any:
    x = k.Input((4, 6))
    y, o = k.layers.Dense(6)(x), k.ops
    position = o.argmax(x, axis=-1)
    outputs = [
        o.mean(y + 2.0 * x, axis=-1, keepdims=True), o.concatenate([x, y], axis=1)[:, 1:3], o.relu(x) - y / 3.0,
        o.where(x > 0, x, y), o.clip(x, -0.5, 0.5), o.reshape(x, (-1, 24)), o.expand_dims(x, 1), x[..., 0], x**2, -x,
        o.matmul(x, o.transpose(y, (0, 2, 1))), o.softmax(x, axis=1), o.cast(x > 0, "float32"), o.stack([x, y], axis=2),
        o.einsum("bij,bkj->bik", x, y), o.leaky_relu(x, negative_slope=0.3), o.logsumexp(x, axis=-1), position,
        o.split(x, 2, axis=-1)[1], o.rsqrt(o.abs(x) + 1.0), o.squeeze(o.sum(x, axis=1, keepdims=True), axis=1),
        o.repeat(x, 2, axis=1), o.pad(x, [[0, 0], [1, 1], [0, 0]]), o.cumsum(x, axis=1), o.one_hot(position, 6),
        o.maximum(x, y), o.stop_gradient(x), o.flip(x, axis=1), o.std(x, axis=1), o.normalize(x, axis=-1),
    ]  # fmt: skip
    return k.Model(x, outputs)


def same(a: Any, b: Any) -> None:
    for mine, theirs in zip(a.predict(X, verbose=0), b.predict(X, verbose=0), strict=True):
        np.testing.assert_allclose(np.asarray(mine), np.asarray(theirs), rtol=1e-4, atol=1e-5)


def test_operations_are_saved(tmp_path: Path) -> None:
    ours = model(berrante)
    ours.save(tmp_path / "m.keras")
    same(ours, berrante.models.load_model(tmp_path / "m.keras"))
    for again in (berrante.models.model_from_json(ours.to_json()), berrante.models.clone_model(ours)):
        again.set_weights(ours.get_weights())
        same(ours, again)


def test_both_directions_with_keras(tmp_path: Path) -> None:
    os.environ.setdefault("KERAS_BACKEND", "jax")
    pytest.importorskip(os.environ["KERAS_BACKEND"])
    keras = pytest.importorskip("keras")
    ours, theirs = model(berrante), model(keras)
    ours.save(tmp_path / "ours.keras")
    same(ours, keras.models.load_model(tmp_path / "ours.keras"))
    theirs.save(tmp_path / "theirs.keras")
    same(theirs, berrante.models.load_model(tmp_path / "theirs.keras"))


def test_the_same_operation_twice_gets_two_names() -> None:
    x = berrante.Input((3,))
    names = [
        layer["name"] for layer in json.loads(berrante.Model(x, ops.exp(ops.exp(x))).to_json())["config"]["layers"]
    ]
    assert len(set(names)) == 3 and {"exp", "exp_1"} <= set(names)


def test_only_operations_of_the_table_are_called() -> None:
    x = berrante.Input((3,))
    config = json.loads(berrante.Model(x, ops.exp(x)).to_json())
    config["config"]["layers"][1] |= {"class_name": "System", "module": "keras.src.ops.numpy"}
    with pytest.raises(ValueError, match="System"):
        berrante.models.model_from_json(json.dumps(config))


def test_a_function_of_ones_own_needs_a_layer() -> None:
    from berrante.ops.public import public

    @public
    def mine(x: Any) -> Any:
        return ops.exp(x)

    x = L.Input((3,))
    with pytest.raises(ValueError, match="mine"):
        berrante.Model(x, mine(x)).to_json()
