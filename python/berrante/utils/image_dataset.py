"""image_dataset_from_directory: batches of image files with labels from the names of their folders, after keras.utils."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from berrante.layers.convolution import image_data_format
from berrante.utils.batches import Dataset, wrapped
from berrante.utils.images import centred_box, img_to_array, load_img
from berrante.utils.parallel import each
from berrante.utils.resampling import INTERPOLATIONS, resize

FORMATS = (".bmp", ".gif", ".jpeg", ".jpg", ".png")
CHANNELS = {"rgb": 3, "rgba": 4, "grayscale": 1}


def list_files(directory: str, formats: tuple[str, ...], follow_links: bool) -> list[str]:
    """Files below a folder by suffix, in the order of folders, then names."""
    walk = sorted(os.walk(directory, followlinks=follow_links), key=lambda entry: entry[0])
    return [
        os.path.join(root, name) for root, _, names in walk for name in sorted(names) if name.lower().endswith(formats)
    ]


def index_directory(
    directory: str, labels: Any, formats: tuple[str, ...], class_names: Any, shuffle: bool, seed: int,
    follow_links: bool, verbose: bool,
) -> tuple[list[str], np.ndarray | None, list[str] | None]:  # fmt: skip
    """(paths, labels, class names), shuffled by numpy's RandomState(seed) if asked.

    labels: "inferred" (a subfolder for each class), None, or the files' labels in the order of list_files.
    """
    if labels != "inferred":
        if class_names is not None:
            raise ValueError('`class_names` can only be given with `labels="inferred"`')
        paths = list_files(directory, formats, follow_links)
        if labels is not None and len(labels) != len(paths):
            raise ValueError(
                "Expected the lengths of `labels` to match the number of files in the target directory. len(labels) is "
                f"{len(labels)} while we found {len(paths)} files in directory {directory}."
            )
        found = None if labels is None else np.asarray(labels)
        names = None if labels is None else [str(label) for label in sorted(set(labels))]
    else:
        names = sorted(e.name for e in os.scandir(directory) if e.is_dir() and not e.name.startswith("."))
        if class_names is not None:
            if not set(class_names) <= set(names):
                raise ValueError(
                    "The `class_names` passed did not match the names of the subdirectories of the target directory. "
                    f"Expected: {names} (or a subset of it), but received: class_names={class_names}"
                )
            names = list(class_names)
        groups = [list_files(os.path.join(directory, name), formats, follow_links) for name in names]
        paths = [path for group in groups for path in group]
        found = np.repeat(np.arange(len(names), dtype="int32"), [len(group) for group in groups])
    if verbose:
        belonging = "" if names is None else f" belonging to {len(names)} classes"
        print(f"Found {len(paths)} files{belonging}.")
    if shuffle:
        np.random.RandomState(seed).shuffle(paths)
        if found is not None:
            np.random.RandomState(seed).shuffle(found)
    return paths, found, names


class ImageDataset(Dataset):
    """Batches (images float32 [batch, H, W, C], labels) of files; `file_paths` and `class_names` say of what."""

    def __init__(
        self, paths: list[str], labels: np.ndarray | None, class_names: Any, batch_size: int | None, fit: Any,
        color_mode: str, data_format: str, rng: np.random.RandomState | None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.file_paths, self.labels, self.class_names = paths, labels, class_names
        self.batch_size, self.fit, self.color_mode, self.data_format = batch_size, fit, color_mode, data_format
        self.rng = rng
        self.order = np.arange(len(paths))
        self.on_epoch_end()

    def on_epoch_end(self) -> None:
        if self.rng is not None:
            self.rng.shuffle(self.order)

    def __len__(self) -> int:
        return len(self.order) if self.batch_size is None else -(-len(self.order) // self.batch_size)

    def _image(self, index: int) -> np.ndarray:
        path = self.file_paths[index]
        try:
            image = img_to_array(load_img(path, self.color_mode), "channels_last")
        except OSError as error:
            raise OSError(f"{path}: cannot be read as an image ({error})") from error
        image = self.fit(image)
        return image.transpose(2, 0, 1) if self.data_format == "channels_first" else image

    def fetch(self, index: int) -> Any:
        if self.batch_size is None:
            x, rows = self._image(self.order[index]), self.order[index]
        else:
            rows = self.order[index * self.batch_size : (index + 1) * self.batch_size]
            x = np.stack(each(self._image, rows))
        return wrapped(x if self.labels is None else (x, np.asarray(self.labels[rows])))


def _pad(image: np.ndarray, size: Sequence[int], interpolation: str) -> np.ndarray:
    """The whole image in the middle, black around it."""
    height, width = image.shape[:2]
    ratio = max(height / size[0], width / size[1])
    inner = min(size[0], max(1, int(height / ratio))), min(size[1], max(1, int(width / ratio)))
    top, left = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    padded = np.zeros((*size, image.shape[2]), np.float32)
    padded[top : top + inner[0], left : left + inner[1]] = resize(image, inner, interpolation, "channels_last")
    return padded


def _fitting(size: Sequence[int], interpolation: str, crop: bool, pad: bool) -> Any:
    def fit(image: np.ndarray) -> np.ndarray:
        if pad:
            return _pad(image, size, interpolation)
        if crop:
            top, left, height, width = centred_box(image.shape[0], image.shape[1], size)
            image = image[top : top + max(height, 1), left : left + max(width, 1)]
        return resize(image, size, interpolation, "channels_last")

    return fit


def _encoded(labels: Any, mode: str | None, classes: int) -> np.ndarray | None:
    if labels is None:
        return None
    if mode == "binary":
        return np.asarray(labels, "float32")[:, None]
    if mode == "categorical":
        return np.eye(classes, dtype="float32")[np.asarray(labels)]
    return np.asarray(labels, "int32")


def _check(
    labels: Any, label_mode: Any, color_mode: str, interpolation: str, validation_split: Any, subset: Any,
    shuffle: bool, seed: Any, crop: bool, pad: bool, batch_size: Any,
) -> None:  # fmt: skip
    if labels not in ("inferred", None) and not isinstance(labels, (list, tuple)):
        raise ValueError(
            '`labels` argument should be "inferred", None, or a list or tuple of integer labels, one for each image file. '
            f"Received: labels={labels}"
        )
    if label_mode not in ("int", "categorical", "binary", None):
        raise ValueError(
            f'`label_mode` argument must be "int", "categorical", "binary" or None. Received: {label_mode}'
        )
    if color_mode not in CHANNELS:
        raise ValueError(f'`color_mode` must be one of {{"rgb", "rgba", "grayscale"}}. Received: {color_mode}')
    if interpolation not in INTERPOLATIONS:
        raise ValueError(f"`interpolation` should be one of {INTERPOLATIONS}. Received: {interpolation}")
    if validation_split and not 0 < validation_split < 1:
        raise ValueError(f"`validation_split` must be between 0 and 1, received: {validation_split}")
    if bool(validation_split) != bool(subset):
        raise ValueError("If `subset` is set, `validation_split` must be set, and inversely.")
    if subset not in ("training", "validation", "both", None):
        raise ValueError(f'`subset` must be either "training", "validation" or "both", received: {subset}')
    if validation_split and shuffle and seed is None:
        raise ValueError(
            "If using `validation_split` and shuffling the data, you must provide a `seed` argument, to make sure that "
            "there is no overlap between the training and validation subset."
        )
    if crop and pad:
        raise ValueError("Only one of `pad_to_aspect_ratio`, `crop_to_aspect_ratio` can be set to `True`.")
    if batch_size is not None and batch_size < 1:
        raise ValueError(f"`batch_size` must be positive or None. Received: {batch_size}")


def image_dataset_from_directory(
    directory: Any, labels: Any = "inferred", label_mode: str | None = "int", class_names: Any = None,
    color_mode: str = "rgb", batch_size: int | None = 32, image_size: Any = (256, 256), shuffle: bool = True,
    seed: int | None = None, validation_split: float | None = None, subset: str | None = None,
    interpolation: str = "bilinear", follow_links: bool = False, crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False, data_format: str | None = None, format: str | None = None, verbose: bool = True,
) -> Any:  # fmt: skip
    """Batches (images float32 [batch, H, W, C] from 0 to 255, labels) of the image files below a folder.

    labels: "inferred" from subfolders, None, or a list of the files' labels (files in the order of their paths).
    label_mode: "int" (int32), "binary" (float32 [batch, 1]), "categorical" (one-hot float32) or None (images alone).
    image_size: (height, width), by `interpolation` as tf.image.resize does; crop_to_aspect_ratio or pad_to_aspect_ratio
    keep the proportions. batch_size None: single images. subset: "training", "validation" (the last part of the files,
    of validation_split) or "both" (a list of two data sets). format is accepted and ignored: what is returned is a
    PyDataset that can be iterated, mapped and fitted on, with `class_names` and `file_paths`.
    """
    interpolation = interpolation.lower()
    _check(
        labels, label_mode, color_mode, interpolation, validation_split, subset, shuffle, seed, crop_to_aspect_ratio,
        pad_to_aspect_ratio, batch_size,
    )  # fmt: skip
    size = (image_size, image_size) if isinstance(image_size, int) else tuple(image_size)
    if len(size) != 2:
        raise ValueError(f"Invalid `image_size` value. Expected a tuple of 2 integers. Received: {image_size}")
    if labels is None or label_mode is None:
        labels = label_mode = None
    seed = int(np.random.randint(10**6)) if seed is None else seed
    paths, found, names = index_directory(
        os.fspath(directory), labels, FORMATS, class_names, shuffle, seed, follow_links, verbose
    )
    if label_mode == "binary" and len(names or ()) != 2:
        raise ValueError(
            f'When passing `label_mode="binary"`, there must be exactly 2 class_names. Received: class_names={names}'
        )
    encoded = _encoded(found, label_mode, len(names or ()))
    held = int((validation_split or 0) * len(paths))
    parts = {
        None: slice(None),
        "training": slice(None, len(paths) - held),
        "validation": slice(len(paths) - held, None),
    }
    fit = _fitting(size, interpolation, crop_to_aspect_ratio, pad_to_aspect_ratio)

    def part(name: str | None) -> ImageDataset:
        chosen = paths[parts[name]]
        if not chosen:
            kind = f"{name} images" if name else "images"
            raise ValueError(f"No {kind} found in directory {directory}. Allowed formats: {FORMATS}")
        if name and verbose:
            print(f"Using {len(chosen)} files for {name}.")
        again = np.random.RandomState(seed) if shuffle and not (subset == "both" and name == "validation") else None
        targets = None if encoded is None else encoded[parts[name]]
        return ImageDataset(chosen, targets, names, batch_size, fit, color_mode, image_data_format(data_format), again)

    return [part("training"), part("validation")] if subset == "both" else part(subset)
