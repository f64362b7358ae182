"""Objects to configs and back beside models: tensors, bytes, shared objects; parts of a model that are left out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from berrante import Sequential, layers, ops, random
from berrante.saving import deserialize_keras_object, serialize_keras_object
from berrante.saving.registry import ObjectSharingScope


def roundtrip(x: Any) -> Any:
    return deserialize_keras_object(json.loads(json.dumps(serialize_keras_object(x))))


def test_plain_data() -> None:
    assert roundtrip(b"hello") == b"hello"
    np.testing.assert_array_equal(roundtrip({"x": ops.ones((2, 2))})["x"], np.ones((2, 2)))
    assert roundtrip(random.SeedGenerator(7)).get_config()["seed"] == 7


def test_objects_of_one_identity_are_made_once() -> None:
    dense = layers.Dense(1)
    with ObjectSharingScope():
        a, b = roundtrip(dense), roundtrip(dense)
    assert a is b
    assert roundtrip(dense) is not roundtrip(dense)


@pytest.mark.parametrize("name", ["builtins.eval", "subprocess.Popen", "my_pkg>MyDense"])
def test_a_builtin_class_under_a_foreign_registered_name_is_refused(name: str) -> None:
    node = {"class_name": "Dense", "module": "keras.layers", "config": {"units": 1}, "registered_name": name}
    with pytest.raises(ValueError, match="resolved to a Keras built-in"):
        deserialize_keras_object(node)
    function = {"class_name": "function", "module": "builtins", "config": "relu", "registered_name": name}
    with pytest.raises(ValueError, match="resolved to a Keras built-in"):
        deserialize_keras_object(function)


def test_objects_to_skip_keep_their_weights(tmp_path: Path) -> None:
    def make() -> Any:
        return Sequential([layers.Input((3,)), layers.Dense(5), layers.Dense(4)])

    saved, loaded = make(), make()
    path = tmp_path / "m.weights.h5"
    saved.save_weights(path)
    before = loaded.get_weights()
    loaded.load_weights(path, objects_to_skip=[loaded.layers[0]])
    np.testing.assert_array_equal(loaded.get_weights()[0], before[0])
    np.testing.assert_array_equal(loaded.get_weights()[2], saved.get_weights()[2])
    saved.save_weights(path, objects_to_skip=[saved.layers[0]])
    with pytest.raises(ValueError, match="expected 2 weights"):
        loaded.load_weights(path)
    saved.save(tmp_path / "m.h5")
    with pytest.raises(ValueError, match="only supports loading"):
        loaded.load_weights(tmp_path / "m.h5", objects_to_skip=[])
