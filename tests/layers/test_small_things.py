"""Tensors compared with ==, adaptive windows, and layers that need no building."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

import berrante as k
from berrante import layers


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


def test_relu_is_below_its_threshold_at_it() -> None:
    x = np.array([-10.0, 0.0, 5.0, 5.5, 10.0], np.float32)
    np.testing.assert_allclose(k.activations.relu(x, threshold=5.0), [0, 0, 0, 5.5, 10])
    y = k.activations.relu(x, negative_slope=0.5, max_value=6.0, threshold=5.0)
    np.testing.assert_allclose(y, [-7.5, -2.5, 0, 5.5, 6])
    x = np.array(
        [-4.0, -2.0, 1.0, 9.0], np.float32
    )  # with a bound above, values over a threshold below 0 are at least 0
    np.testing.assert_allclose(k.activations.relu(x, 0.1, 6.0, -3.0), [-0.1, 0, 1, 6], rtol=1e-6)
    np.testing.assert_allclose(k.activations.relu(x, 0.1, None, -3.0), [-0.1, -2, 1, 9], rtol=1e-6)


def test_wrong_widths_and_paddings_name_the_argument() -> None:
    with pytest.raises(ValueError, match="cropping2d.*expected 2 widths"):
        k.layers.Cropping2D(lambda x: x)
    with pytest.raises(ValueError, match="output_padding.*strictly less than"):
        k.layers.Conv2DTranspose(2, 3, strides=(1, 3), output_padding=(0, 3))


def test_metrics_find_state_in_lists_and_dicts() -> None:
    metric = k.metrics.Mean()
    metric.more = {"a": [k.Variable(0.0), k.Variable(1.0)], "b": k.metrics.Sum()}
    assert len(metric.variables) == 5
    metric.more["b"].update_state(3.0)
    metric.reset_state()
    assert float(metric.more["b"].result()) == 0.0


@pytest.mark.parametrize("name", ["SGD", "Adam", "Adafactor", "Ftrl", "LossScaleOptimizer"])
def test_optimizers_are_copied_with_their_state(name: str) -> None:
    starts = [np.array([1.0, -2.0], np.float32), np.array([[0.5]], np.float32)]
    variables = [k.Variable(s) for s in starts]
    scaled = name == "LossScaleOptimizer"
    optimizer = k.optimizers.LossScaleOptimizer(k.optimizers.Adam(0.1)) if scaled else getattr(k.optimizers, name)(0.1)
    grads = [np.array([0.3, 0.2], np.float32), np.array([[1.0]], np.float32)]
    optimizer.apply(grads, variables)
    copied = pickle.loads(pickle.dumps(optimizer))  # noqa: S301
    assert copied.get_config() == optimizer.get_config()
    twins = [k.Variable(v.numpy()) for v in variables]
    optimizer.apply(grads, variables)
    copied.apply(grads, twins)
    for v, twin in zip(variables, twins, strict=True):
        np.testing.assert_allclose(v.numpy(), twin.numpy(), rtol=1e-6)
    assert int(copied.iterations) == 2


@pytest.mark.parametrize(("k", "stride", "extra"), [(3, 2, 1), (2, 2, 1), (5, 3, 2), (4, 3, 0), (1, 3, 2)])
def test_output_padding_with_same_padding(k: int, stride: int, extra: int) -> None:
    """The definition: scatter, cut evenly what is too long (the surplus behind), as TensorFlow and JAX do."""
    n = 4
    layer = layers.Conv1DTranspose(1, k, stride, "same", output_padding=extra, use_bias=False)
    layer.build((1, n, 1))
    w = layer.get_weights()[0].astype(np.float64)[:, 0, 0]
    x = np.arange(1.0, n + 1)
    whole = np.zeros((n - 1) * stride + max(k, k % 2 + extra))
    for i in range(n):
        whole[i * stride : i * stride + k] += x[i] * w
    size = (n - 1) * stride + k % 2 + extra
    before = max((n - 1) * stride + k - size, 0) // 2
    wanted = whole[before : before + size]
    np.testing.assert_allclose(layer(x.reshape(1, n, 1).astype(np.float32)).numpy().ravel(), wanted, rtol=1e-5)


def test_masked_steps_do_not_count_in_products_and_extremes() -> None:
    x = layers.Masking()(np.array([[[0, 0], [-1, -2], [0, 0], [-3, -4]]], np.float32))
    y = layers.Masking()(np.array([[[0, 0], [0, 0], [-1, -2], [-3, -4]]], np.float32))
    largest = layers.Maximum()([x, y]).numpy()
    np.testing.assert_array_equal(largest, [[[0, 0], [-1, -2], [-1, -2], [-3, -4]]])
    product = layers.Multiply()([x, y]).numpy()
    np.testing.assert_array_equal(product, [[[0, 0], [-1, -2], [-1, -2], [9, 16]]])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.RepeatVector(0), "positive integer"),
        (lambda: layers.UpSampling1D(-1), "positive integer"),
        (lambda: layers.Reshape((-1, -1)), "at most one"),
        (lambda: layers.ZeroPadding1D((1,)), "widths"),
        (lambda: layers.DepthwiseConv2D(3, depth_multiplier=0), "depth_multiplier"),
        (lambda: layers.Conv2D(2, 3, strides=2, dilation_rate=2), "dilation_rate"),
        (lambda: layers.Conv2D(5, 3, groups=2), "evenly divisible"),
        (lambda: layers.ReLU(threshold=None), "threshold"),
        (lambda: layers.InputLayer(shape=(2,), batch_shape=(1, 2)), "both"),
        (lambda: layers.Dropout(0.5, noise_shape=(0,)), "positive integers or None"),
    ],
)
def test_arguments_are_checked(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_a_positive_whole_number_is_asked_for() -> None:
    for error in (ValueError, TypeError):
        with pytest.raises(error, match="`input_dim` must be a positive integer"):
            layers.Embedding(3.7, 8)


def test_callbacks_say_which_way_is_better() -> None:
    callback = k.callbacks.EarlyStopping("loss", mode="max")
    assert callback.monitor_op is None
    callback._set_monitor_op()
    assert callback.monitor_op is k.ops.greater
