"""Tensors compared with ==, adaptive windows, and layers that need no building."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import berrante as k


def test_tensors_compare_element_by_element() -> None:
    x = k.ops.convert_to_tensor(np.array([1, 2, 3]))
    np.testing.assert_array_equal(x == 2, [False, True, False])
    np.testing.assert_array_equal(x != np.array([1, 0, 3]), [False, True, False])
    assert (x == None) is False  # noqa: E711
    assert x != "two"
    assert x in {x}
    other = k.ops.convert_to_tensor(np.array([1, 2, 3]))
    assert other not in {x}
    model = k.Sequential([k.Input((3,)), k.layers.Lambda(lambda t: k.ops.cast(t == 2.0, "float32"))])
    np.testing.assert_array_equal(model.predict(np.array([[1.0, 2.0, 3.0]]), verbose=0), [[0, 1, 0]])


@pytest.mark.parametrize(("n", "m"), [(7, 3), (6, 3), (5, 5), (4, 1), (9, 4)])
def test_adaptive_windows_cover_everything(n: int, m: int) -> None:
    x = np.random.default_rng(n).normal(size=(2, n, 3)).astype(np.float32)
    windows = [x[:, i * n // m : -(-(i + 1) * n // m)] for i in range(m)]
    mean, largest = k.ops.adaptive_average_pool(x, m), k.ops.adaptive_max_pool(x, m)
    np.testing.assert_allclose(mean, np.stack([w.mean(1) for w in windows], 1), atol=1e-6)
    np.testing.assert_array_equal(largest, np.stack([w.max(1) for w in windows], 1))


def test_layers_without_weights_are_built_at_once() -> None:
    assert k.layers.ReLU().built
    assert not k.layers.Dense(2).built

    class Own(k.layers.ReLU):  # type: ignore[misc, name-defined]
        def build(self, input_shape: Any) -> None:
            self.seen = input_shape

    layer = Own()
    assert not layer.built
    layer(np.zeros((2, 3), np.float32))
    assert layer.seen == (2, 3)
