"""State that a layer holds in lists and dicts, also where it comes later; scopes around variables."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

from berrante import Model, layers, metrics, ops, random
from berrante.graph.scopes import StatelessScope, name_scope
from berrante.graph.variable import Variable


class Blocks(Model):
    def __init__(self, private: bool = False) -> None:
        super().__init__()
        blocks: list[Any] = []
        if private:
            self._blocks = blocks
        else:
            self.blocks = blocks
        mine = self._blocks if private else self.blocks
        for n in (3, 2):
            mine.append(layers.Dense(n))
        self.by_name: dict[str, Any] = {}
        self.by_name["last"] = [layers.Dense(1)]
        self.mine = mine

    def call(self, x: Any) -> Any:
        for block in self.mine:
            x = block(x)
        return self.by_name["last"][0](x)


@pytest.mark.parametrize("private", [False, True])
def test_layers_put_into_lists_and_dicts_later_are_trained_and_saved(private: bool, tmp_path: Any) -> None:
    model = Blocks(private)
    x = np.ones((4, 2), np.float32)
    model(x)
    assert len(model.layers) == 3
    assert len(model.trainable_weights) == 6
    model.compile("sgd", "mse")
    before = model.get_weights()
    model.fit(x, np.zeros((4, 1)), verbose=0)
    assert not np.array_equal(model.get_weights()[0], before[0])
    model.save_weights(tmp_path / "m.weights.h5")
    other = Blocks(private)
    other(x)
    other.load_weights(tmp_path / "m.weights.h5")
    np.testing.assert_array_equal(other.predict(x, verbose=0), model.predict(x, verbose=0))


def test_what_leaves_a_list_or_dict_is_no_state_any_more() -> None:
    class Holder(layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.list = [layers.Dense(1), layers.Dense(2), layers.Dense(3)]
            self.dict = {"a": Variable(np.zeros(2)), "b": random.SeedGenerator(1), "c": metrics.Mean()}

    holder = Holder()
    assert len(holder._layers) == 3
    first = holder.list.pop(0)
    holder.list.remove(holder.list[0])
    assert [layer.units for layer in holder._layers] == [3]
    holder.list[0] = first
    assert holder._layers == [first]
    holder.list += [layers.Dense(5)]
    holder.list.insert(0, layers.Dense(6))
    assert [layer.units for layer in holder._layers] == [1, 5, 6]
    del holder.list[:]
    assert holder._layers == [] == holder.list
    assert len(holder.variables) == 2
    del holder.dict["b"]
    assert len(holder.variables) == 1
    holder.dict.pop("a")
    holder.dict.clear()
    assert holder.variables == [] and holder._metrics == []
    holder.dict.update(x=Variable(np.zeros(3)))
    assert len(holder.weights) == 1


def test_tracked_containers_are_lists_and_dicts_in_copies() -> None:
    class Holder(layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.list = [1, [2, {"a": 3}]]

    holder = Holder()
    assert holder.list == [1, [2, {"a": 3}]]
    assert type(pickle.loads(pickle.dumps(holder.list))) is list
    assert copy.deepcopy(holder.list) == holder.list


def test_name_scopes_prefix_paths() -> None:
    with name_scope("outer"), name_scope("inner"):
        v = Variable(np.zeros(1), name="v")
    assert v.path == "outer/inner/v"
    assert Variable(np.zeros(1), name="v").path == "v"
    with pytest.raises(ValueError, match="must be a string"):
        name_scope("a/b")


def test_stateless_scope_keeps_variables_as_they_are() -> None:
    v = Variable(np.zeros(2))
    with StatelessScope([(v, np.ones(2, np.float32))]) as scope:
        np.testing.assert_array_equal(ops.add(v, 1.0).numpy(), [2, 2])
        v.assign(ops.multiply(v, 5.0))
        np.testing.assert_array_equal(v.value.numpy(), [5, 5])
    np.testing.assert_array_equal(v.numpy(), [0, 0])
    np.testing.assert_array_equal(scope.get_current_value(v).numpy(), [5, 5])
    with pytest.raises(ValueError, match="matches the corresponding"):
        StatelessScope([(v, np.ones(3, np.float32))])
