"""image_dataset_from_directory, resizing, and what the data sets can do."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import berrante
from berrante.utils import image_dataset_from_directory
from berrante.utils.batches import Samples
from berrante.utils.images import save_img
from berrante.utils.resampling import resize

os.environ.setdefault("KERAS_BACKEND", "jax")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for c, name in enumerate(("ape", "bee", "cow")):
        (tmp_path / name).mkdir()
        for i in range(4 + c):
            save_img(tmp_path / name / f"{i}.{('png', 'bmp', 'gif')[i % 3]}", rng.random((20 + i, 30, 3)))
        (tmp_path / name / "notes.txt").write_text("no picture")
    (tmp_path / ".hidden").mkdir()
    return tmp_path


def dataset(folder: Path, **arguments: Any) -> Any:
    return image_dataset_from_directory(folder, **{"image_size": (16, 12), "seed": 1, "verbose": False, **arguments})


def test_batches(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = dataset(folder, shuffle=False, batch_size=4, verbose=True)
    assert capsys.readouterr().out == "Found 15 files belonging to 3 classes.\n"
    assert data.class_names == ["ape", "bee", "cow"] and len(data) == 4
    assert [os.path.relpath(p, folder) for p in data.file_paths[:2]] == [
        os.path.join("ape", n) for n in ("0.png", "1.bmp")
    ]
    batches = list(data)
    x, y = batches[0]
    assert x.shape == (4, 16, 12, 3) and x.dtype == np.float32 and y.dtype == np.int32
    assert x.numpy().max() > 200 and type(x.numpy()) is np.ndarray
    np.testing.assert_array_equal(np.concatenate([b[1] for b in batches]), [0] * 4 + [1] * 5 + [2] * 6)
    np.testing.assert_array_equal(data[-1][0], batches[-1][0])
    with pytest.raises(IndexError, match="4 elements"):
        data[4]


@pytest.mark.parametrize(
    ("arguments", "x_shape", "y_shape"),
    [
        ({"label_mode": "categorical"}, (15, 16, 12, 3), (15, 3)),
        ({"label_mode": "binary", "class_names": ["cow", "ape"]}, (10, 16, 12, 3), (10, 1)),
        ({"labels": list(range(15)), "color_mode": "rgba"}, (15, 16, 12, 4), (15,)),
        ({"color_mode": "grayscale", "data_format": "channels_first"}, (15, 1, 16, 12), (15,)),
        ({"label_mode": None, "image_size": 9, "crop_to_aspect_ratio": True}, (15, 9, 9, 3), None),
        ({"labels": None, "pad_to_aspect_ratio": True}, (15, 16, 12, 3), None),
    ],
)
def test_labels_and_modes(folder: Path, arguments: dict[str, Any], x_shape: Any, y_shape: Any) -> None:
    batch = dataset(folder, batch_size=100, **arguments)[0]
    x, y = (batch, None) if y_shape is None else batch
    assert x.shape == x_shape and (y is None or y.shape == y_shape)
    if arguments.get("label_mode") == "binary":
        assert set(y.ravel()) == {0.0, 1.0} and y.sum() == 4  # "cow" is 0
    if arguments.get("pad_to_aspect_ratio"):
        assert (x[:, 0] == 0).all() and (x[:, 8] != 0).any()


def test_order_and_subsets(folder: Path) -> None:
    """The order, and which files validate, are those of Keras: RandomState(seed) shuffles paths and labels."""
    whole = dataset(folder)
    expected = sorted(str(p) for p in folder.rglob("*.*") if p.suffix in (".png", ".bmp", ".gif"))
    np.random.RandomState(1).shuffle(expected)
    assert whole.file_paths == expected
    np.testing.assert_array_equal(whole.labels, [whole.class_names.index(Path(p).parent.name) for p in expected])
    training, validation = dataset(folder, validation_split=0.3, subset="both")
    assert training.file_paths == expected[:-4] and validation.file_paths == expected[-4:]
    for subset, part in (("training", training), ("validation", validation)):
        assert dataset(folder, validation_split=0.3, subset=subset).file_paths == part.file_paths
    first, second = ([tuple(y) for _, y in training] for _ in range(2))
    assert first != second
    assert [tuple(y) for _, y in validation] == [tuple(y) for _, y in validation]


def test_methods(folder: Path) -> None:
    data = dataset(folder, shuffle=False, batch_size=4)
    halves = data.map(lambda x, y: (x / 2, y)).cache().prefetch(3)
    assert halves.class_names == data.class_names and halves.cardinality() == 4
    for _ in range(2):
        np.testing.assert_array_equal(next(iter(halves))[0], data[0][0] / 2)
    assert len(list(data.take(1))) == 1 and len(list(data.skip(1))) == 3 and len(data.take(-1)) == 4
    assert type(next(data.as_numpy_iterator())[0]) is np.ndarray
    single = dataset(folder, shuffle=False, batch_size=None)
    assert len(single) == 15 and single[0][0].shape == (16, 12, 3)
    assert [len(b[0]) for b in single.batch(7)] == [7, 7, 1] and len(single.batch(7, drop_remainder=True)) == 2
    samples = Samples({"a": np.arange(3), "b": np.ones((3, 2))})
    assert [s["a"] for s in samples.map(lambda s: {"a": s["a"] + 1})] == [1, 2, 3]


def test_fit(folder: Path) -> None:
    berrante.utils.set_random_seed(0)
    for channel, name in enumerate(("ape", "bee", "cow")):
        for path in (folder / name).glob("*.*"):
            if path.suffix != ".txt":
                save_img(path, np.full((8, 8, 3), 255 * np.eye(3)[channel]), scale=False)
    L = berrante.layers
    model = berrante.Sequential([berrante.Input((8, 8, 3)), L.Flatten(), L.Dense(3, activation="softmax")])
    model.compile(berrante.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    training, validation = dataset(folder, image_size=(8, 8), validation_split=0.3, subset="both", batch_size=4)
    scaled = training.map(lambda x, y: (x / 255, y))
    history = model.fit(scaled, epochs=20, validation_data=validation.map(lambda x, y: (x / 255, y)), verbose=0)
    assert history.history["val_accuracy"][-1] == 1.0


def test_errors(folder: Path) -> None:
    for arguments, message in (
        ({"labels": "folders"}, "labels"),
        ({"labels": [1, 2]}, "15 files"),
        ({"label_mode": "one_hot"}, "label_mode"),
        ({"label_mode": "binary"}, "exactly 2"),
        ({"color_mode": "hsv"}, "color_mode"),
        ({"image_size": (1, 2, 3)}, "image_size"),
        ({"interpolation": "cubic"}, "interpolation"),
        ({"validation_split": 2, "subset": "training"}, "between 0 and 1"),
        ({"validation_split": 0.2}, "subset"),
        ({"subset": "training"}, "subset"),
        ({"validation_split": 0.2, "subset": "test"}, "subset"),
        ({"validation_split": 0.2, "subset": "both", "seed": None}, "seed"),
        ({"validation_split": 0.01, "subset": "validation"}, "No validation images"),
        ({"class_names": ["dog"]}, "class_names"),
        ({"labels": None, "class_names": ["ape"]}, "class_names"),
        ({"batch_size": 0}, "batch_size"),
        ({"crop_to_aspect_ratio": True, "pad_to_aspect_ratio": True}, "Only one"),
    ):
        with pytest.raises(ValueError, match=message):
            dataset(folder, **arguments)
    (folder / "ape" / "0.png").write_bytes(b"broken")
    with pytest.raises(OSError, match=r"0\.png"):
        list(dataset(folder))


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"])
def test_resizing_against_keras(interpolation: str) -> None:
    pytest.importorskip(os.environ["KERAS_BACKEND"])
    keras = pytest.importorskip("keras")
    rng = np.random.default_rng(0)
    for shape, size in (((9, 14, 3), (20, 9)), ((1, 3, 1), (4, 4))):
        x = rng.random(shape).astype("float32")
        expected = np.asarray(keras.ops.image.resize(x, size, interpolation=interpolation))
        np.testing.assert_allclose(resize(x, size, interpolation, "channels_last"), expected, atol=2e-5)
        first = resize(np.moveaxis(x, -1, 0)[None], size, interpolation, "channels_first")
        np.testing.assert_allclose(np.moveaxis(first[0], 0, -1), expected, atol=2e-5)


@pytest.mark.parametrize("interpolation", ["area", "gaussian", "mitchellcubic", "bilinear", "bicubic", "lanczos3"])
def test_resizing_keeps_what_is_even(interpolation: str) -> None:
    for size in ((3, 4), (20, 31)):
        np.testing.assert_allclose(
            resize(np.full((9, 14, 1), 7.0), size, interpolation, "channels_last"), 7.0, rtol=1e-6
        )


def test_area_is_the_mean() -> None:
    x = np.random.default_rng(0).random((6, 9, 2))
    expected = x.reshape(3, 2, 3, 3, 2).mean((1, 3))
    np.testing.assert_allclose(resize(x, (3, 3), "area", "channels_last"), expected, rtol=1e-6)
    thirds = resize(np.arange(4.0).reshape(1, 4, 1), (1, 3), "area", "channels_last")
    np.testing.assert_allclose(thirds[0, :, 0], [0.25, 1.5, 2.75])
