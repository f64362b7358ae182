"""Nested inputs, outputs and losses of functional models, and models cut out of others, as Keras treats them."""

from __future__ import annotations

import warnings
from collections import namedtuple
from typing import Any

import numpy as np
import pytest

from berrante import layers, models, ops


def rows(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def two_heads(kind: Any = list) -> models.Model:
    x = layers.Input((3,))
    a, b = layers.Dense(1, name="a")(x), layers.Dense(1, name="b")(x)
    return models.Model(x, kind([a, b]) if kind is not dict else {"a": a, "b": b})


def test_a_model_cut_out_of_another_holds_only_its_own_layers() -> None:
    x = layers.Input((4,))
    hidden = layers.Dense(3, name="first")(x)
    out = layers.Dense(2, name="last")(layers.Dense(5, name="middle")(hidden))
    whole, tail = models.Model(x, out), models.Model(hidden, out)
    assert [type(layer).__name__ for layer in tail.layers] == ["InputLayer", "Dense", "Dense"]
    assert len(tail.weights) == 4 and len(whole.weights) == 6
    value = rows(2, 4)
    kernel, bias = whole.get_layer("first").get_weights()
    np.testing.assert_allclose(
        tail.predict(value @ kernel + bias, verbose=0), whole.predict(value, verbose=0), rtol=1e-5
    )
    again = models.Model.from_config(tail.get_config())
    again.set_weights(tail.get_weights())
    np.testing.assert_allclose(again.predict(rows(2, 3), verbose=0), tail.predict(rows(2, 3), verbose=0), rtol=1e-6)


def test_outputs_that_do_not_depend_on_the_inputs_are_named() -> None:
    a, b = layers.Input((2,)), layers.Input((2,))
    with pytest.raises(ValueError, match="Output with path `second` is not connected"):
        models.Model(a, {"first": ops.multiply(a, 2.0), "second": ops.multiply(b, 2.0)})
    with pytest.raises(ValueError, match="same input multiple times"):
        models.Model([a, b, a], ops.add(a, b))


def test_nested_inputs() -> None:
    a, b, c = layers.Input((1,)), layers.Input((2,)), layers.Input((3,))
    outputs = {"1": layers.Dense(1)(a), "others": {"2": layers.Dense(2)(b), "3": layers.Dense(3)(c)}}
    model = models.Model({"1": a, "others": {"2": b, "3": c}}, outputs)
    out = model({"others": {"3": rows(2, 3), "2": rows(2, 2)}, "1": rows(2, 1)})
    assert out["1"].shape == (2, 1) and out["others"]["3"].shape == (2, 3)


def test_inputs_of_another_structure() -> None:
    a, b = layers.Input((2,), name="a"), layers.Input((2,), name="b")
    model = models.Model({"a": a, "b": b}, layers.Add()([a, b]))
    with pytest.warns(UserWarning, match="The structure of `inputs` doesn't match"):
        model.predict([np.ones((2, 2)), np.zeros((2, 2))], verbose=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict({"b": np.ones((2, 2)), "a": np.zeros((2, 2))}, verbose=0)
    with pytest.raises(ValueError, match=r"named input\(s\) with keys: a, b"):
        model(np.ones((2, 2)))
    with pytest.raises(ValueError, match=r"name 'a' and path 'a': expected shape=\(None, 2\), found shape=\(2, 3\)"):
        model({"a": np.ones((2, 3)), "b": np.ones((2, 2))})


def test_optional_inputs_may_be_none() -> None:
    class Sum(layers.Layer):
        def call(self, x: Any, y: Any = None) -> Any:
            return x if y is None else ops.add(x, y)

    a, b = layers.Input((2,), name="a"), layers.Input((2,), name="b", optional=True)
    model = models.Model([a, b], Sum()(a, b))
    np.testing.assert_array_equal(model([np.ones((2, 2)), None]), np.ones((2, 2)))
    with pytest.raises(ValueError, match='"a" is not optional'):
        model([None, np.ones((2, 2))])


def test_several_losses_of_one_output_add_up() -> None:
    model, x, y = two_heads(), rows(8, 3), [rows(8, 1, seed=1), rows(8, 1, seed=2)]
    model.compile("sgd", loss=["mse", ["mse", "mae"]], loss_weights=[1.0, 0.5, 0.25])
    loss = model.evaluate(x, y, verbose=0, return_dict=True)["loss"]
    a, b = model.predict(x, verbose=0)
    expected = np.mean((a - y[0]) ** 2) + 0.5 * np.mean((b - y[1]) ** 2) + 0.25 * np.mean(np.abs(b - y[1]))
    assert loss == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kind", [tuple, dict])
def test_losses_of_all_outputs_at_once(kind: type) -> None:
    model, x, ys = two_heads(kind), rows(8, 3), [rows(8, 1, seed=1), rows(8, 1, seed=2)]

    def apart(y_true: Any, y_pred: Any) -> Any:
        assert type(y_pred) is type(y_true) is kind
        (a, b), (p, q) = ((list(v.values()) if kind is dict else v) for v in (y_true, y_pred))
        return ops.mean(ops.abs((a - b) - (p - q)), axis=-1)

    model.compile("sgd", loss=[apart, {"a": "mse", "b": "mse"} if kind is dict else ("mse", "mse")])
    y = {"a": ys[0], "b": ys[1]} if kind is dict else tuple(ys)
    logs = model.evaluate(x, y, verbose=0, return_dict=True)
    predicted = model.predict(x, verbose=0)
    p, q = list(predicted.values()) if kind is dict else predicted
    assert logs["a_b_loss"] == pytest.approx(np.mean(np.abs((ys[0] - ys[1]) - (p - q))), rel=1e-4)
    assert logs["loss"] == pytest.approx(sum(logs[k] for k in ("a_b_loss", "a_loss", "b_loss")), rel=1e-5)


def test_named_tuples_stay() -> None:
    Pair = namedtuple("Pair", ["one", "two"])
    x = layers.Input((3,))
    model = models.Model(x, Pair(layers.Dense(1)(x), layers.Dense(2)(x)))
    out = model.predict(rows(4, 3), verbose=0)
    assert isinstance(out, Pair) and out.two.shape == (4, 2)


def test_state_trees() -> None:
    model = models.Sequential([layers.Input((3,)), layers.Dense(2, name="out")])
    model.compile("adam", "mse")
    model.fit(rows(8, 3), rows(8, 2), epochs=1, verbose=0)
    tree = model.get_state_tree("numpy_array")
    np.testing.assert_array_equal(tree["trainable_variables"]["out"]["kernel"], model.layers[0].kernel.numpy())
    assert tree["optimizer_variables"][model.optimizer.name]["iteration"] == 1
    other = models.Sequential([layers.Input((3,)), layers.Dense(2, name="out")])
    other.set_state_tree({"trainable_variables": tree["trainable_variables"]})
    np.testing.assert_array_equal(other.get_weights()[0], model.get_weights()[0])
    with pytest.raises(ValueError, match="value_format"):
        model.get_state_tree("json")


def test_clones_are_compiled_alike_and_recursive() -> None:
    inner = models.Sequential([layers.Input((3,)), layers.Dense(3), layers.Dense(3)])
    x = layers.Input((3,))
    model = models.Model(x, layers.Dense(1)(inner(x)))
    model.compile("adam", "mse")
    assert models.clone_model(model).optimizer.__class__ is model.optimizer.__class__

    def marked(layer: Any) -> Any:
        copy = type(layer).from_config(layer.get_config())
        copy.flag = True
        return copy

    twin = models.clone_model(model, clone_function=marked, recursive=True)
    assert all(layer.flag for layer in twin.layers[1].layers) and not hasattr(inner.layers[0], "flag")
    with pytest.raises(ValueError, match="`input_tensors` must have the same structure as model.input"):
        models.clone_model(model, input_tensors=[x, x])


def test_sequential_says_what_is_wrong() -> None:
    model = models.Sequential()
    assert not hasattr(model, "inputs") and not hasattr(model, "output_shape")
    with pytest.raises(AttributeError, match="reserved"):
        model.layers = []
    with pytest.raises(ValueError, match="Only instances of"):
        model.add({})
    model.add(layers.Input((2,)))
    with pytest.raises(ValueError, match="already been configured"):
        model.add(layers.Input((2,)))
    model.add(layers.Dense(2))
    with pytest.raises(ValueError, match="already been configured"):
        model.build((3, 4))
    model.build((3, 2))


def test_sequential_of_layers_that_take_several_inputs() -> None:
    class Swap(layers.Layer):
        def call(self, inputs: Any) -> Any:
            return {"a": inputs["b"], "b": inputs["a"]}

    out = models.Sequential([Swap()])({"a": np.ones((3, 2)), "b": np.zeros((3, 2))})
    assert float(ops.sum(out["b"])) == 6.0
