"""Layers that mix images, even out brightness or run others in a row; whole numbers as images."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from berrante import layers

X = np.random.default_rng(0).random((6, 8, 9, 3)).astype(np.float32)
Y = np.eye(6, dtype=np.float32)


def test_mix_up_blends_images_and_labels_alike() -> None:
    out = layers.MixUp(0.8, seed=3)({"images": X, "labels": Y}, training=True)
    images, labels = out["images"].numpy(), out["labels"].numpy()
    np.testing.assert_allclose(labels.sum(1), 1, rtol=1e-6)
    np.testing.assert_allclose(images, np.tensordot(labels, X, 1), rtol=1e-4, atol=1e-5)
    assert (np.count_nonzero(labels, axis=1) == 2).any()


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_cut_mix_pastes_a_rectangle_whose_share_is_the_labels(data_format: str) -> None:
    rng = np.random.default_rng(1)
    marks = np.arange(40, dtype=np.float32).reshape(40, 1, 1, 1)
    x = np.broadcast_to(marks, (40, 10, 12, 3)).copy()
    x = x.transpose(0, 3, 1, 2) if data_format == "channels_first" else x
    out = layers.CutMix(seed=2, data_format=data_format)({"images": x, "labels": np.eye(40, dtype=np.float32)})
    images, labels = out["images"].numpy(), out["labels"].numpy()
    images = images.transpose(0, 2, 3, 1) if data_format == "channels_first" else images
    for i in rng.permutation(40)[:10]:
        pasted = images[i, :, :, 0] != i
        rows, columns = np.flatnonzero(pasted.any(1)), np.flatnonzero(pasted.any(0))
        assert pasted.sum() == rows.size * columns.size  # a rectangle
        assert np.ptp(rows) + 1 == rows.size if rows.size else True
        assert abs(labels[i, i] - (1 - pasted.mean())) < 0.25 or labels[i, i] == 1
    assert (images != marks).any()
    np.testing.assert_array_equal(layers.CutMix(seed=2, data_format=data_format)(x, training=False).numpy(), x)


def test_equalization_spreads_values_by_their_rank() -> None:
    x = np.random.default_rng(2).normal(128, 10, (1, 64, 64, 1)).clip(0, 255).astype(np.float32)
    y = layers.Equalization()(x).numpy()
    place = x.astype(int)
    below = np.cumsum(np.bincount(place.ravel(), minlength=256))
    first = below[below > 0][0]
    np.testing.assert_allclose(y, np.round((below[place] - first) * 255.0 / (below[-1] - first)), atol=1e-3)
    flat = np.full((1, 4, 4, 1), 7, np.float32)
    np.testing.assert_array_equal(layers.Equalization()(flat).numpy(), flat)
    unit = layers.Equalization((0, 1))(X).numpy()
    assert unit.min() >= 0 and unit.max() <= 1


def test_pipeline_runs_its_layers_and_is_saved() -> None:
    made = layers.Pipeline([layers.Rescaling(2.0), layers.Dense(1)])
    again = layers.Pipeline.from_config(made.get_config())
    assert [type(x).__name__ for x in again.layers] == ["Rescaling", "Dense"]
    y = made(X)
    assert len(made.weights) == 2
    np.testing.assert_allclose(y.numpy(), made.layers[1](2 * X).numpy(), rtol=1e-5)
    with pytest.raises(ValueError, match="`layers` key"):
        layers.Pipeline.from_config({"name": "p"})


@pytest.mark.parametrize(
    "layer",
    [layers.RandomRotation((0.1, 0.1)), layers.RandomZoom((-0.3, -0.3)), layers.RandomFlip(), layers.CenterCrop(3, 3)],
)
def test_images_of_whole_numbers_are_not_rounded(layer: Any) -> None:
    x = np.arange(75, dtype=np.int32).reshape(1, 5, 5, 3)
    y = layer(x)
    assert y.dtype == "float32"
    if isinstance(layer, (layers.RandomRotation, layers.RandomZoom)):
        np.testing.assert_allclose(y.numpy(), layer(x.astype(np.float32)).numpy(), rtol=1e-6)
        assert (y.numpy() % 1).any()
