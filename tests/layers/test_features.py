"""What adapt learns, colours of images, and dicts of data, against NumPy."""

from __future__ import annotations

import colorsys
from typing import Any

import numpy as np
import pytest

import berrante as k


@pytest.mark.parametrize("axis", [-1, None, 1, (1, 2)])
def test_normalization_learns_from_batches_what_it_learns_at_once(axis: Any, tmp_path: Any) -> None:
    data = np.random.default_rng(0).normal(5, 3, size=(50, 4, 3)).astype(np.float32)
    layer = k.layers.Normalization(axis=axis)
    layer.adapt(data[i : i + 7] for i in range(0, 50, 7))
    kept = () if axis is None else (axis,) if isinstance(axis, int) else axis
    reduced = tuple(a for a in range(3) if a not in [x % 3 for x in kept])
    wide = data.astype(np.float64)
    want = (wide - wide.mean(reduced, keepdims=True)) / wide.std(reduced, keepdims=True)
    np.testing.assert_allclose(layer(data), want, atol=1e-4)
    model = k.Sequential([layer])
    np.testing.assert_allclose(model.predict(data, verbose=0), want, atol=1e-4)
    model.save(tmp_path / "m.keras")
    np.testing.assert_allclose(k.models.load_model(tmp_path / "m.keras").predict(data, verbose=0), want, atol=1e-4)
    back = k.layers.Normalization(axis=axis, invert=True)
    back.adapt(data)
    np.testing.assert_allclose(back(layer(data)), data, atol=1e-4)


def test_normalization_follows_a_second_adapt() -> None:
    layer = k.layers.Normalization()
    model = k.Sequential([layer])
    for scale in (1.0, 10.0):
        data = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32) * scale
        layer.adapt(data)
        assert abs(float(np.std(model.predict(data, verbose=0))) - 1.0) < 1e-3
    with pytest.raises(ValueError, match="incompatible shape"):
        layer.adapt(np.zeros((4, 5)))


def test_bins_hold_about_equally_many() -> None:
    data = np.random.default_rng(0).normal(size=3000).astype(np.float32)
    layer = k.layers.Discretization(num_bins=5)
    layer.adapt([data[:1000], data[1000:]])
    counts = np.bincount(np.asarray(layer(data)), minlength=5)
    assert counts.sum() == 3000
    assert counts.min() > 500
    again = k.layers.Discretization.from_config(layer.get_config())
    np.testing.assert_array_equal(again(data), layer(data))
    hot = k.layers.Discretization([0.0, 1.0], output_mode="one_hot")(np.array([-1.0, 0.0, 3.0]))
    np.testing.assert_array_equal(hot, np.eye(3))


def test_hue_saturation_value_and_back() -> None:
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.random((40, 3)), [[0, 0, 0], [1, 1, 1], [1, 0, 0], [0.2, 0.2, 0.2], [0, 1, 1]]])
    images = x.reshape(1, 5, 9, 3).astype(np.float32)
    want = np.array([colorsys.rgb_to_hsv(*row) for row in x]).reshape(images.shape)
    hsv = k.ops.image.rgb_to_hsv(images)
    np.testing.assert_allclose(hsv, want, atol=1e-5)
    np.testing.assert_allclose(k.ops.image.hsv_to_rgb(hsv), images, atol=1e-5)
    first = k.ops.image.rgb_to_hsv(np.moveaxis(images, -1, 1), data_format="channels_first")
    np.testing.assert_allclose(first, np.moveaxis(want, -1, 1), atol=1e-5)


def test_every_image_gets_its_own_draw_and_labels_stay() -> None:
    x = np.full((64, 4, 4, 3), 10.0, np.float32)
    layer = k.layers.RandomInvert(0.5, seed=1)
    y = layer({"images": x, "labels": np.arange(64)}, training=True)
    np.testing.assert_array_equal(y["labels"], np.arange(64))
    inverted = np.asarray(y["images"])[:, 0, 0, 0] == 245.0
    assert 1 < inverted.sum() < 32
    np.testing.assert_array_equal(layer(x, training=False), x)
    again = layer.transform_images(x, {"apply_inversion": np.arange(64) < 3})
    assert (np.asarray(again)[:, 0, 0, 0] == 245.0).sum() == 3


def test_a_rectangle_is_erased() -> None:
    x = np.zeros((8, 20, 30, 3), np.float32)
    y = np.asarray(k.layers.RandomErasing((1.0, 1.0), scale=(0.25, 0.25), fill_value=7.0, seed=2)(x))
    for image in y[..., 0]:
        rows, columns = np.where(image == 7.0)
        assert (np.ptp(rows) + 1) * (np.ptp(columns) + 1) == len(rows)
        assert 9 <= np.ptp(rows) + 1 <= 11
        assert 14 <= np.ptp(columns) + 1 <= 16


def test_loss_scaling_skips_steps_that_are_not_finite() -> None:
    v = k.Variable(np.array([1.0, 2.0], np.float32))
    optimizer = k.optimizers.LossScaleOptimizer(k.optimizers.SGD(0.5), initial_scale=4.0, dynamic_growth_steps=2)
    assert float(optimizer.scale_loss(3.0)) == 12.0
    optimizer.apply([np.array([4.0, 8.0], np.float32)], [v])
    np.testing.assert_allclose(v, [0.5, 1.0])
    optimizer.apply([np.array([4.0, np.inf], np.float32)], [v])
    np.testing.assert_allclose(v, [0.5, 1.0])
    assert float(optimizer.dynamic_scale) == 2.0
    assert int(optimizer.iterations) == 1
    for _ in range(2):
        optimizer.apply([np.array([0.0, 0.0], np.float32)], [v])
    assert float(optimizer.dynamic_scale) == 4.0


@pytest.mark.parametrize("factor", [None, 8.0])
def test_loss_scaling_trains_as_the_optimizer_inside(factor: float | None, tmp_path: Any) -> None:
    """LossScaleOptimizer, and loss_scale_factor, change nothing of Adam where nothing is lost."""
    x = np.random.default_rng(0).normal(size=(64, 3)).astype(np.float32)
    y = x @ np.ones((3, 1), np.float32)
    weights = []
    for wrap in (False, True):
        k.utils.set_random_seed(1)
        model = k.Sequential([k.Input((3,)), k.layers.Dense(4, activation="tanh"), k.layers.Dense(1)])
        inner = k.optimizers.Adam(0.01)
        if wrap:
            scaled = k.optimizers.Adam(0.01, loss_scale_factor=factor)
            inner = k.optimizers.LossScaleOptimizer(inner) if factor is None else scaled
        model.compile(inner, "mse")
        model.fit(x, y, epochs=3, batch_size=16, verbose=0, shuffle=False)
        weights.append(model.get_weights())
    for a, b in zip(*weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    if factor is not None:
        return
    model.save(tmp_path / "m.keras")
    loaded = k.models.load_model(tmp_path / "m.keras")
    assert isinstance(loaded.optimizer, k.optimizers.LossScaleOptimizer)
    assert int(loaded.optimizer.iterations) == 12
    for a, b in zip(model.optimizer.variables, loaded.optimizer.variables, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy())


def test_layers_are_serialized_and_made_again() -> None:
    layer = k.layers.Conv2D(4, 3, padding="same", activation="relu", name="stem")
    again = k.layers.deserialize(k.layers.serialize(layer))
    assert isinstance(again, k.layers.Conv2D) and again.get_config() == layer.get_config()
    with pytest.raises(ValueError, match="expected a layer's config"):
        k.layers.deserialize({"module": "keras.losses", "class_name": "MeanSquaredError", "config": {}})
