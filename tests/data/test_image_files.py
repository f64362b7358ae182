"""Image files: load_img and friends, flow_from_directory and flow_from_dataframe, against Keras where it is installed."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from berrante.preprocessing import image
from berrante.preprocessing.image import ImageDataGenerator, array_to_img, img_to_array, load_img, save_img

os.environ.setdefault("KERAS_BACKEND", "jax")
pytest.importorskip("PIL")


def keras_images() -> Any:
    pytest.importorskip("scipy")
    return pytest.importorskip("keras.src.legacy.preprocessing.image")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three classes of pictures of several sizes, formats and modes, one in a subfolder, and a file of another kind."""
    from PIL import Image

    rng = np.random.default_rng(0)
    for c, name in enumerate(("ape", "bee", "cow")):
        (tmp_path / name / "deeper").mkdir(parents=True)
        for i in range(6 + c):
            mode, channels = [("RGB", 3), ("L", 1), ("RGBA", 4)][i % 3]
            pixels = rng.integers(0, 256, (10 + i, 12 + c, channels), dtype=np.uint8)
            place = tmp_path / name / ("deeper" if i == 4 else ".")
            suffix = ("png", "png", "tif", "bmp")[i % 4] if mode == "RGB" else "png"
            Image.fromarray(pixels[..., 0] if channels == 1 else pixels).save(place / f"{i}.{suffix}")
        (tmp_path / name / "notes.txt").write_text("no picture")
    return tmp_path


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"target_size": (9, 14), "color_mode": "grayscale", "class_mode": "sparse"},
        {"target_size": (16, 16), "color_mode": "rgba", "class_mode": "input", "interpolation": "bicubic"},
        {"target_size": (16, 8), "class_mode": None, "keep_aspect_ratio": True, "interpolation": "lanczos"},
        {"target_size": (16, 16), "class_mode": "binary", "classes": ["cow", "ape"]},
        {"target_size": (16, 16), "subset": "validation", "batch_size": 2},
        {"target_size": (16, 16), "subset": "training", "shuffle": False},
    ],
)
def test_directory_against_keras(folder: Path, arguments: dict[str, Any]) -> None:
    theirs = keras_images()
    config = {"validation_split": 0.4, "rotation_range": 20, "horizontal_flip": True, "rescale": 1 / 255}
    found = []
    for module in (image, theirs):
        np.random.seed(2)
        flow = module.ImageDataGenerator(**config).flow_from_directory(
            str(folder), **{"batch_size": 4, "seed": 7, **arguments}
        )
        rows = [next(flow) for _ in range(2)] + [flow[len(flow) - 1]]
        names = (list(flow.filenames), list(flow.filepaths), flow.class_indices, flow.samples, flow.num_classes)
        found.append((rows, names, flow.classes, flow.image_shape, flow.labels))
    (ours, names, classes, shape, labels), theirs = found[0], found[1]
    assert names == theirs[1] and shape == theirs[3]
    assert classes.dtype == theirs[2].dtype
    np.testing.assert_array_equal(classes, theirs[2])
    np.testing.assert_array_equal(labels, theirs[4])
    for a, b in zip(ours, theirs[0], strict=True):
        for part, expected in zip(a if isinstance(a, tuple) else [a], b if isinstance(b, tuple) else [b], strict=True):
            assert part.dtype == expected.dtype
            np.testing.assert_allclose(part, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize(
    "arguments",
    [
        {"y_col": "class"},
        {"y_col": "class", "classes": ["bee", "ape"], "weight_col": "weight"},
        {"y_col": "class", "class_mode": "sparse", "subset": "training"},
        {"y_col": "two", "class_mode": "binary", "subset": "validation"},
        {"y_col": "labels"},
        {"y_col": "labels", "classes": ["x", "y"]},
        {"y_col": ["a", "b"], "class_mode": "raw"},
        {"y_col": "a", "class_mode": "raw"},
        {"y_col": ["a", "class"], "class_mode": "multi_output"},
        {"class_mode": "input"},
        {"class_mode": None},
        {"y_col": "class", "color_mode": "grayscale", "shuffle": False},
    ],
)
def test_dataframe_against_keras(folder: Path, arguments: dict[str, Any]) -> None:
    theirs = keras_images()
    pandas = pytest.importorskip("pandas")
    paths = sorted(folder.rglob("*.*"))
    frame = pandas.DataFrame({"filename": [str(p.relative_to(folder)) for p in paths]})
    frame["class"] = [p.relative_to(folder).parts[0] for p in paths]
    frame["two"] = ["up" if i % 2 else "down" for i in range(len(paths))]
    frame["labels"] = [[("x", "y", "z")[i % 3], "w"] for i in range(len(paths))]
    frame["a"], frame["b"], frame["weight"] = np.arange(len(paths)), np.arange(len(paths)) * 0.5, np.ones(len(paths))
    before = frame.copy()
    found = []
    for module in (image, theirs):
        np.random.seed(2)
        flow = module.ImageDataGenerator(validation_split=0.4, zoom_range=0.2).flow_from_dataframe(
            frame, str(folder), target_size=(12, 12), batch_size=5, seed=3, **arguments
        )
        found.append(([next(flow), next(flow)], flow.filenames, flow.samples, getattr(flow, "class_indices", None)))
    pandas.testing.assert_frame_equal(frame, before)
    assert found[0][1:] == found[1][1:]
    for ours, expected in zip(found[0][0], found[1][0], strict=True):
        ours = ours if isinstance(ours, tuple) else (ours,)
        expected = expected if isinstance(expected, tuple) else (expected,)
        for a, b in zip(ours, expected, strict=True):
            for part, other in zip(*([v] if isinstance(v, np.ndarray) else v for v in (a, b)), strict=True):
                np.testing.assert_array_equal(part, other)


def test_directory_habits(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    generator = ImageDataGenerator()
    flow = generator.flow_from_directory(folder, target_size=(8, 8), shuffle=False, batch_size=100)
    assert capsys.readouterr().out == "Found 21 images belonging to 3 classes.\n"
    x, y = next(flow)
    assert x.shape == (21, 8, 8, 3) and y.shape == (21, 3)
    np.testing.assert_array_equal(y.argmax(1), flow.classes)
    assert flow.filenames[0] == os.path.join("ape", "0.png") and "notes" not in str(flow.filenames)
    channels_first = ImageDataGenerator(data_format="channels_first").flow_from_directory(
        folder, target_size=(8, 8), shuffle=False, batch_size=100
    )
    np.testing.assert_array_equal(next(channels_first)[0].transpose(0, 2, 3, 1), x)


def test_links_are_followed_only_if_asked(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    save_img(elsewhere / "linked.png", np.zeros((4, 4, 3)))
    (folder / "ape" / "link").symlink_to(elsewhere, target_is_directory=True)
    assert ImageDataGenerator().flow_from_directory(folder).samples == 21
    assert ImageDataGenerator().flow_from_directory(folder, follow_links=True).samples == 22


def test_augmented_pictures_are_saved(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    out = tmp_path_factory.mktemp("out")
    flow = ImageDataGenerator(rotation_range=10).flow_from_directory(
        folder, target_size=(8, 8), batch_size=5, save_to_dir=out, save_prefix="aug"
    )
    next(flow)
    assert len(list(out.glob("aug_*.png"))) == 5


def test_a_broken_picture_is_named(folder: Path) -> None:
    (folder / "ape" / "broken.png").write_bytes(b"\x89PNG not really")
    flow = ImageDataGenerator().flow_from_directory(folder, shuffle=False, batch_size=100)
    with pytest.raises(OSError, match=r"broken\.png"):
        next(flow)


def test_errors(folder: Path) -> None:
    generator = ImageDataGenerator()
    for arguments, message in (
        ({"color_mode": "cmyk"}, "color mode"),
        ({"class_mode": "many"}, "class_mode"),
        ({"subset": "test"}, "subset"),
        ({"subset": "training"}, "validation_split"),
        ({"batch_size": -1}, "batch_size"),
        ({"target_size": (0, 3)}, "target_size"),
    ):
        with pytest.raises(ValueError, match=message):
            generator.flow_from_directory(folder, **arguments)
    with pytest.raises(FileNotFoundError):
        generator.flow_from_directory(folder / "missing")
    with pytest.raises(ValueError, match="interpolation"):
        next(generator.flow_from_directory(folder, interpolation="cubic"))


def test_dataframe_errors(folder: Path) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"filename": ["ape/0.png", "none.png"], "class": ["ape", "bee"], "n": [1, 2]})
    generator = ImageDataGenerator()
    for arguments, error, message in (
        ({"y_col": "n"}, TypeError, "must be type string"),
        ({"y_col": "n", "class_mode": "sparse"}, TypeError, "must be strings"),
        ({"y_col": "n", "class_mode": "multi_output"}, TypeError, "y_col must be a list"),
        ({"y_col": "missing"}, KeyError, "missing"),
        ({"x_col": "n"}, TypeError, "x_col=n must be strings"),
        ({"weight_col": "class"}, TypeError, "numeric"),
        ({"class_mode": "binary", "classes": ["ape"]}, ValueError, "2 classes"),
        ({"class_mode": "other", "y_col": "n", "surprise": 1}, TypeError, "surprise"),
    ):
        with pytest.raises(error, match=message):
            generator.flow_from_dataframe(frame, folder, **arguments)
    with pytest.warns(UserWarning, match="1 invalid image"):
        assert generator.flow_from_dataframe(frame, folder, class_mode=None).samples == 1
    assert generator.flow_from_dataframe(frame, folder, class_mode=None, validate_filenames=False).samples == 2


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("first", [False, True])
def test_there_and_back(channels: int, first: bool, tmp_path: Path) -> None:
    data_format = "channels_first" if first else "channels_last"
    x = np.random.default_rng(0).integers(0, 256, (5, 7, channels)).astype(np.float32)
    x = x.transpose(2, 0, 1) if first else x
    picture = array_to_img(x, data_format, scale=False)
    assert picture.size == (7, 5)
    np.testing.assert_array_equal(img_to_array(picture, data_format), x)
    save_img(tmp_path / "x.png", x, data_format, scale=False)
    mode = {1: "grayscale", 3: "rgb", 4: "rgba"}[channels]
    for source in (tmp_path / "x.png", str(tmp_path / "x.png"), io.BytesIO((tmp_path / "x.png").read_bytes())):
        np.testing.assert_array_equal(img_to_array(load_img(source, mode), data_format), x)
    assert img_to_array(picture, dtype="uint8").dtype == np.uint8


def test_images_against_keras(tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")
    rng = np.random.default_rng(0)
    for x in (rng.standard_normal((9, 6, 3)), rng.random((9, 6, 1)) * 1e5, rng.random((9, 6, 4)), np.zeros((2, 2, 3))):
        for scale in (True, False) if x.max() > 1e3 else (True,):
            ours, theirs = array_to_img(x, scale=scale), keras.utils.array_to_img(x, scale=scale)
            assert ours.mode == theirs.mode
            np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))
    save_img(tmp_path / "x.png", rng.random((40, 30, 3)))
    for arguments in (
        {"target_size": (20, 20)},
        {"target_size": (31, 17), "interpolation": "bilinear", "keep_aspect_ratio": True},
        {"target_size": (64, 8), "interpolation": "hamming", "color_mode": "grayscale"},
    ):
        ours, theirs = (m.load_img(tmp_path / "x.png", **arguments) for m in (image, keras.utils))
        np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))
    x = rng.random((2, 21, 34, 3)).astype(np.float32)
    for shape in ((10, 10), (30, 20)):
        theirs = np.asarray(keras.preprocessing.image.smart_resize(x, shape))
        ours = image.smart_resize(x, shape)
        assert isinstance(ours, np.ndarray)
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_jpeg_has_no_transparency(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="RGBA"):
        save_img(tmp_path / "x.jpg", np.zeros((4, 4, 4)))
    assert load_img(tmp_path / "x.jpg").mode == "RGB"
    out = io.BytesIO()
    save_img(out, np.zeros((4, 4, 3)), file_format="jpg")
    assert out.getvalue()[:2] == b"\xff\xd8"


def test_image_errors(tmp_path: Path) -> None:
    save_img(tmp_path / "x.png", np.zeros((4, 4, 3)))
    with pytest.raises(ValueError, match="color_mode"):
        load_img(tmp_path / "x.png", color_mode="hsv")
    with pytest.raises(TypeError, match="path-like"):
        load_img(3)
    with pytest.raises(ValueError, match="interpolation.*'x'"):
        load_img(tmp_path / "x.png", target_size=(2, 2), interpolation="x")
    with pytest.raises(ValueError, match="rank 3"):
        array_to_img(np.zeros((3, 3)))
    with pytest.raises(ValueError, match="1, 3 or 4 channels"):
        array_to_img(np.zeros((3, 3, 2)))
    with pytest.raises(FileNotFoundError):
        load_img(tmp_path / "none.png")
    # A picture that cannot be written leaves the one that is there.
    before = (tmp_path / "x.png").read_bytes()
    with pytest.raises(ValueError, match="channels"):
        save_img(tmp_path / "x.png", np.zeros((4, 4, 2)))
    with pytest.raises(KeyError):
        save_img(tmp_path / "x.png", np.zeros((4, 4, 3)), file_format="none")
    assert (tmp_path / "x.png").read_bytes() == before
