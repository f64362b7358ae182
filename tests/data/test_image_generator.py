"""ImageDataGenerator over arrays, bit for bit against Keras, and its habits without Keras."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest

import berrante
from berrante.preprocessing import image
from berrante.preprocessing.image import ImageDataGenerator

os.environ.setdefault("KERAS_BACKEND", "jax")
pytest.importorskip("PIL")

X = (np.random.default_rng(0).random((7, 20, 24, 3)) * 255).astype(np.float32)
Y = np.arange(7) % 3

CONFIGS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "rotation": {"rotation_range": 40},
    "shifts": {"width_shift_range": 0.2, "height_shift_range": 0.3, "fill_mode": "reflect"},
    "whole_shifts": {"width_shift_range": 3, "height_shift_range": [1, 2, 5], "fill_mode": "wrap"},
    "pixel_shift": {"width_shift_range": 2.5},
    "shear": {"shear_range": 20, "fill_mode": "constant", "cval": 7.0},
    "zoom": {"zoom_range": 0.4},
    "nearest_zoom": {"zoom_range": [0.5, 1.1], "interpolation_order": 0},
    "much": {
        "rotation_range": 10, "zoom_range": 0.1, "horizontal_flip": True, "vertical_flip": True,
        "channel_shift_range": 30.0,
    },
    "brightness": {"brightness_range": (0.2, 2.0), "rescale": 1 / 255.0},
    "samplewise": {"samplewise_center": True, "samplewise_std_normalization": True, "rescale": 1 / 255},
    "featurewise": {"featurewise_center": True, "featurewise_std_normalization": True, "rotation_range": 10},
    "zca": {"zca_whitening": True, "zca_epsilon": 1e-3},
    "cubic": {"rotation_range": 30, "interpolation_order": 3},
    "function": {"rotation_range": 30, "preprocessing_function": lambda x: x + np.random.random()},
    "float64": {"rotation_range": 20, "dtype": "float64"},
}  # fmt: skip


def batches(module: Any, config: dict[str, Any], seed: int | None, first: bool) -> list[Any]:
    x = np.ascontiguousarray(X.transpose(0, 3, 1, 2)) if first else X
    generator = module.ImageDataGenerator(data_format="channels_first" if first else "channels_last", **config)
    if "featurewise_center" in config or "zca_whitening" in config:
        generator.fit(x, augment=True, rounds=2, seed=3)
    np.random.seed(1)
    flow = generator.flow(x, Y, batch_size=3, seed=seed, sample_weight=Y * 2)
    found = [next(flow) for _ in range(4)] + [flow[1], flow[0]]
    flow.on_epoch_end()
    found.append(flow[2])
    flow.reset()
    return [*found, next(flow)]


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("first", [False, True], ids=["channels_last", "channels_first"])
@pytest.mark.parametrize("name", CONFIGS)
def test_same_batches_as_keras(name: str, first: bool) -> None:
    pytest.importorskip("scipy")
    theirs = pytest.importorskip("keras.src.legacy.preprocessing.image")
    if first and name == "brightness":
        pytest.skip("Keras takes channels_first images for channels_last ones here")
    for seed in (None, 5):
        for ours, expected in zip(
            batches(image, CONFIGS[name], seed, first), batches(theirs, CONFIGS[name], seed, first)
        ):
            for a, b in zip(ours, expected, strict=True):
                assert a.dtype == b.dtype
                np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)


def test_brightness_with_channels_first() -> None:
    last = ImageDataGenerator(brightness_range=(0.5, 1.5)).flow(X, seed=1, shuffle=False)
    first = ImageDataGenerator(brightness_range=(0.5, 1.5), data_format="channels_first").flow(
        X.transpose(0, 3, 1, 2), seed=1, shuffle=False
    )
    np.testing.assert_array_equal(next(first).transpose(0, 2, 3, 1), next(last))


@pytest.mark.parametrize("name", ["rotation", "much", "cubic"])
def test_threads_change_nothing(name: str) -> None:
    before = berrante.num_threads()
    found = []
    try:
        for threads in (1, 4):
            berrante.set_num_threads(threads)
            found.append(ImageDataGenerator(**CONFIGS[name]).flow(X, Y, seed=3)[0][0])
    finally:
        berrante.set_num_threads(before)
    np.testing.assert_array_equal(*found)


def test_order_epochs_and_what_is_given() -> None:
    generator = ImageDataGenerator(validation_split=0.3)
    flow = generator.flow(X, Y, batch_size=4, shuffle=False)
    assert len(flow) == 2 and flow.n == 7
    assert isinstance(flow, berrante.utils.Sequence)
    np.testing.assert_array_equal(next(flow)[0], X[:4])
    np.testing.assert_array_equal(next(flow)[0], X[4:])
    np.testing.assert_array_equal(flow.next()[1], Y[:4])
    with pytest.raises(ValueError, match="element 2"):
        flow[2]
    # Without targets a batch is x alone; the validation part comes first.
    assert generator.flow(X)[0].shape == X.shape
    np.testing.assert_array_equal(generator.flow(X, subset="validation", shuffle=False)[0], X[:2])
    np.testing.assert_array_equal(generator.flow(X, subset="training", shuffle=False)[0], X[2:])
    x, weights = generator.flow((X, [Y, Y * 2.0]), shuffle=False)[0], None
    assert len(x) == 3 and weights is None
    np.testing.assert_array_equal(x[2], Y * 2.0)
    x, y, weights = generator.flow((X, Y), Y, sample_weight=Y + 1.0, shuffle=False)[0]
    np.testing.assert_array_equal(weights, Y + 1.0)
    _, _, weights = generator.flow(
        X, Y, sample_weight=Y + 1.0, shuffle=False, subset="training", ignore_class_split=True
    )[0]
    np.testing.assert_array_equal(weights, Y[2:] + 1.0)


def test_the_callers_arrays_are_left_alone() -> None:
    x = X.copy()
    flow = ImageDataGenerator(
        rescale=1 / 255, samplewise_center=True, preprocessing_function=lambda a: np.multiply(a, 2, out=a)
    ).flow(x, shuffle=False)
    next(flow)
    generator = ImageDataGenerator(featurewise_center=True, rescale=0.5)
    generator.fit(x)
    np.testing.assert_array_equal(x, X)


@pytest.mark.parametrize("data", [X.astype(np.uint8), X.astype(">f8"), np.asfortranarray(X), X[:, ::-1]])
def test_any_layout(data: np.ndarray) -> None:
    config = {"rotation_range": 20, "rescale": 1 / 255}
    expected = ImageDataGenerator(**config).flow(np.ascontiguousarray(data, np.float32), seed=1)[0]
    np.testing.assert_array_equal(ImageDataGenerator(**config).flow(data, seed=1)[0], expected)


def test_pictures_are_saved(tmp_path: Any) -> None:
    flow = ImageDataGenerator().flow(X, batch_size=4, save_to_dir=tmp_path, save_prefix="p", save_format="jpeg")
    next(flow)
    assert len(list(tmp_path.glob("p_*_*.jpeg"))) == 4


def test_fit_takes_the_batches() -> None:
    berrante.utils.set_random_seed(0)
    x = np.zeros((64, 8, 8, 1), np.float32)
    y = np.arange(64) % 2
    x[y == 1, :, 4:] = 255
    model = berrante.Sequential(
        [berrante.Input((8, 8, 1)), berrante.layers.Flatten(), berrante.layers.Dense(1, activation="sigmoid")]
    )
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    generator = ImageDataGenerator(rescale=1 / 255, rotation_range=5, validation_split=0.25)
    training = generator.flow(x, y, batch_size=16, seed=1, subset="training")
    validation = generator.flow(x, y, batch_size=16, subset="validation")
    history = model.fit(training, epochs=30, validation_data=validation, verbose=0)
    assert history.history["val_accuracy"][-1] == 1.0
    assert model.predict(validation, verbose=0).shape == (16, 1)


def test_subclass_with_its_own_transformation() -> None:
    class Negative(ImageDataGenerator):
        def apply_transform(self, x: Any, transform_parameters: Any) -> Any:
            return 255 - super().apply_transform(x, transform_parameters)

    np.testing.assert_array_equal(Negative().flow(X, shuffle=False)[0], 255 - X)


def test_warnings_and_errors() -> None:
    with pytest.warns(UserWarning, match="featurewise_center"):
        generator = ImageDataGenerator(featurewise_std_normalization=True)
    with pytest.warns(UserWarning, match="hasn't been fit"):
        next(generator.flow(X))
    with pytest.warns(UserWarning, match="channels"):
        ImageDataGenerator().flow(X[..., :2])
    for arguments, message in (
        ({"zoom_range": (1, 2, 3)}, "zoom_range"),
        ({"data_format": "channels"}, "data_format"),
        ({"validation_split": 1.5}, "validation_split"),
        ({"brightness_range": 0.1}, "brightness_range"),
        ({"fill_mode": "edge"}, "fill_mode"),
    ):
        with pytest.raises(ValueError, match=message):
            ImageDataGenerator(**arguments)
    generator = ImageDataGenerator()
    for arguments, message in (
        ({"x": X, "y": Y[:3]}, "same length"),
        ({"x": X, "sample_weight": Y[:3]}, "sample_weight"),
        ({"x": (X, Y[:2])}, "same length"),
        ({"x": X[0]}, "rank 4"),
        ({"x": X, "batch_size": 0}, "batch_size"),
        ({"x": X, "subset": "test"}, "subset"),
        ({"x": X, "subset": "training"}, "validation_split"),
    ):
        with pytest.raises(ValueError, match=message):
            generator.flow(**arguments)
    with pytest.raises(ValueError, match="different number of classes"):
        ImageDataGenerator(validation_split=0.3).flow(X, np.sort(Y), subset="training")
    with pytest.raises(ValueError, match="rank 4"):
        generator.fit(X[0])


@pytest.mark.parametrize(
    "name", ["random_rotation", "random_shift", "random_shear", "random_zoom", "random_brightness"]
)
def test_random_functions_against_keras(name: str) -> None:
    pytest.importorskip("scipy")
    theirs = pytest.importorskip("keras.src.legacy.preprocessing.image")
    arguments = {"random_shift": (0.2, 0.3), "random_zoom": ((0.5, 1.5),), "random_brightness": ((0.5, 1.5),)}
    found = []
    for module in (image, theirs):
        np.random.seed(4)
        x = X[0] if name == "random_brightness" else X[0].transpose(2, 0, 1)
        found.append(getattr(module, name)(x, *arguments.get(name, (20,))))
    np.testing.assert_array_equal(*found)


def test_channel_shift() -> None:
    x = np.array([[[0.0, 10.0]], [[20.0, 30.0]]], np.float32)
    np.testing.assert_array_equal(image.apply_channel_shift(x, 5.0, 2), [[[5, 15]], [[25, 30]]])
    with pytest.raises(ValueError, match="brightness_range"):
        image.random_brightness(x, (1, 2, 3))
    with pytest.raises(ValueError, match="distinct"):
        image.apply_affine_transform(x, row_axis=0, col_axis=0, channel_axis=2, theta=3)
    with pytest.raises(ValueError, match="3"):
        image.apply_affine_transform(x, row_axis=0, col_axis=3, channel_axis=2, theta=3)
