"""Every layer by its row (rows.py): shapes, names and shapes of weights, config, saving, one step of training."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from rows import ROWS, WITHOUT_ROW, Row

import berrante as k
from berrante.layers import ALL


def flipped(shape: Any) -> Any:
    return (shape[0], shape[-1], *shape[1:-1])


def without_channels_moved(row: Row) -> Row:
    """The row in channels_first."""
    kwargs = {**row.kwargs, "data_format": "channels_first"}  # type: ignore[dict-item]
    output = row.output if len(row.output) == 2 else flipped(row.output)
    return replace(row, kwargs=kwargs, inputs=flipped(row.inputs), output=output, flip=False)


CASES = ROWS + [without_channels_moved(row) for row in ROWS if row.flip]


def identify(row: Row) -> str:
    first = "channels_first" in str(row.kwargs)
    return f"{row.layer}-{ROWS.index(row)}" if row in ROWS else f"{row.layer}-{'first' if first else ''}"


every_row = pytest.mark.parametrize("row", CASES, ids=identify)


def make(row: Row) -> Any:
    kwargs = row.kwargs(k) if callable(row.kwargs) else row.kwargs
    return getattr(k.layers, row.layer)(**kwargs)


def call(row: Row, layer: Any, x: Any, **kwargs: Any) -> Any:
    """The layer on its input, or on each of its inputs as an argument of its own."""
    return layer(*x, **kwargs) if row.apart else layer(x, **kwargs)


def data(row: Row, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    shapes = row.inputs if isinstance(row.inputs, list) else [row.inputs]
    if row.integers:
        arrays = [rng.integers(0, row.integers, s).astype(np.int32) for s in shapes]
    else:
        arrays = [rng.normal(size=s).astype(np.float32) for s in shapes]
    return arrays if isinstance(row.inputs, list) else arrays[0]


def placeholders(row: Row) -> Any:
    dtype = "int32" if row.integers else "float32"
    if isinstance(row.inputs, list):
        return [k.Input(s[1:], dtype=dtype) for s in row.inputs]
    return k.Input(row.inputs[1:], dtype=dtype)


def shapes_of(weights: Any) -> dict[str, Any]:
    """Weights by name; those of sublayers, whose names may repeat, by path below the layer's own."""
    names = [w.name for w in weights]
    keys = names if len(set(names)) == len(names) else ["/".join(w.path.split("/")[-2:]) for w in weights]
    return {key: w.shape for key, w in zip(keys, weights, strict=True)}


@every_row
def test_shapes_and_weights(row: Row) -> None:
    layer = make(row)
    y = call(row, layer, data(row))
    assert y.shape == row.output
    assert shapes_of(layer.weights) == row.weights
    assert list(shapes_of(layer.weights)) == list(row.weights), "order of weights"
    assert layer.count_params() == sum(int(np.prod(s)) for s in row.weights.values())
    shape = [tuple(s) for s in row.inputs] if isinstance(row.inputs, list) else row.inputs
    shapes = shape if row.apart else [shape]
    assert layer.compute_output_shape(*shapes) == row.output
    fresh = make(row)
    assert fresh.compute_output_shape(*shapes) == row.output, "before it is built"
    assert np.isfinite(np.asarray(y)).all()


@every_row
def test_on_placeholders(row: Row) -> None:
    inputs = placeholders(row)
    y = call(row, make(row), inputs)
    assert y.shape == (None, *row.output[1:])
    model = k.Model(inputs, y)
    layer = model.layers[-1]
    want = call(row, layer, data(row), **({"training": False} if "training" in layer._arguments() else {}))
    np.testing.assert_allclose(np.asarray(model.predict(data(row), verbose=0)), np.asarray(want), rtol=1e-5, atol=1e-5)


@every_row
def test_config_makes_the_layer_again(row: Row) -> None:
    layer = make(row)
    if not row.saves:
        with pytest.raises(ValueError, match="cannot be saved|never from code"):
            layer.get_config()
        return
    config = layer.get_config()
    again = type(layer).from_config(config)
    assert type(again) is type(layer)
    assert again.get_config() == config
    np.testing.assert_array_equal(call(row, again, data(row)).shape, row.output)
    node = json.loads(json.dumps(k.saving.serialize_keras_object(layer)))
    assert json.loads(json.dumps(k.saving.serialize_keras_object(k.saving.deserialize_keras_object(node)))) == node


@every_row
def test_save_and_load(row: Row, tmp_path: Any) -> None:
    if not row.saves:
        pytest.skip("a layer of code is not saved")
    inputs = placeholders(row)
    model = k.Model(inputs, call(row, make(row), inputs))
    for i, w in enumerate(model.weights):
        w.assign(np.abs(np.random.default_rng(i).normal(size=w.shape)) + 0.1)
    model.save(tmp_path / "model.keras")
    loaded = k.models.load_model(tmp_path / "model.keras")
    x = data(row)
    np.testing.assert_array_equal(model.predict(x, verbose=0), loaded.predict(x, verbose=0))
    for a, b in zip(model.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


@every_row
def test_one_step_of_training(row: Row) -> None:
    inputs = placeholders(row)
    model = k.Model(inputs, call(row, make(row), inputs))
    model.compile(optimizer=k.optimizers.SGD(0.01), loss="mse")
    x = data(row)
    before = [w.numpy() for w in model.trainable_weights]
    y = np.ones(row.output, np.float32)
    history = model.fit(x, y, batch_size=row.output[0], epochs=1, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    for w, old in zip(model.trainable_weights, before, strict=True):
        assert np.isfinite(w.numpy()).all()
        if not (row.blind and w.path.endswith(row.blind)):
            assert not np.array_equal(w.numpy(), old), f"{w.path} did not move"
    if row.integers or not row.gradient:
        return
    arrays = x if isinstance(x, list) else [x]
    tensors = [k.Variable(a) for a in arrays]
    layer = model.layers[-1]
    with k.GradientTape() as tape:
        values = [t.value for t in tensors]
        loss = k.ops.sum(k.ops.square(call(row, layer, values if isinstance(x, list) else values[0], training=True)))
    for gradient in tape.gradient(loss, tensors):
        assert gradient is not None
        assert np.isfinite(np.asarray(gradient)).all()


def test_every_layer_has_a_row() -> None:
    named = {row.layer for row in ROWS}
    missing = {cls.__name__ for cls in ALL} - named - WITHOUT_ROW
    assert not missing, f"layers without a row: {', '.join(sorted(missing))}"


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_a_locally_connected_layer_by_hand(data_format: str) -> None:
    """Each place's window (in the order of the layout) times that place's own kernel, as Keras 2 has it."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 5, 6, 3) if data_format == "channels_last" else (2, 3, 5, 6)).astype(np.float32)
    layer = k.layers.LocallyConnected2D(4, (3, 2), (2, 1), data_format=data_format)
    y = np.asarray(layer(x))
    kernel, bias = (rng.normal(size=w.shape).astype(np.float32) for w in layer.weights)
    layer.set_weights([kernel, bias])
    y = np.asarray(layer(x))
    for i in range(2):
        for j in range(5):
            part = (slice(2 * i, 2 * i + 3), slice(j, j + 2))
            window = x[:, part[0], part[1]] if data_format == "channels_last" else x[:, :, part[0], part[1]]
            want = window.reshape(2, -1) @ kernel[i * 5 + j] + bias[i, j]
            got = y[:, i, j] if data_format == "channels_last" else y[:, :, i, j]
            np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)
