"""Iterators over image files: those in a folder with a subfolder for each class, and those that a pandas frame names.

Files are listed in the order of their names; the subset "validation" is the first part of each class (of the frame), as in
Keras. pandas is used only through the frame that the caller brings.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator as Iterates
from pathlib import Path
from typing import Any

import numpy as np

from berrante import config
from berrante.layers.convolution import image_data_format
from berrante.preprocessing.iterators import FORMATS, ImageIterator, check_subset
from berrante.utils.images import img_to_array, load_img
from berrante.utils.parallel import each

CHANNELS = {"rgb": 3, "rgba": 4, "grayscale": 1}


def valid_files(directory: Any, formats: tuple[str, ...], follow_links: bool) -> Iterates[str]:
    """Paths below a folder whose names end in one of the formats, sorted by folder, then by name."""
    for root, _, files in sorted(os.walk(directory, followlinks=follow_links), key=lambda entry: entry[0]):
        for name in sorted(files):
            if name.lower().endswith(formats):
                yield os.path.join(root, name)


class FilesIterator(ImageIterator):
    """Batches of image files: `filepaths`, with targets by class_mode."""

    allowed_class_modes: tuple[Any, ...] = ()
    class_mode: Any
    classes: Any
    class_indices: dict[Any, int]
    filenames: list[str]
    _filepaths: list[str]

    def set_processing_attrs(
        self, image_data_generator: Any, target_size: Any, color_mode: str, data_format: str, save_to_dir: Any,
        save_prefix: str, save_format: str, subset: str | None, interpolation: str, keep_aspect_ratio: bool,
    ) -> None:  # fmt: skip
        """Checks and keeps how files become arrays; image_shape follows."""
        if color_mode not in CHANNELS:
            raise ValueError(f'Invalid color mode: {color_mode}; expected "rgb", "rgba", or "grayscale".')
        check_subset(subset, image_data_generator)
        self.image_data_generator = image_data_generator
        self.target_size = tuple(int(s) for s in target_size)
        if len(self.target_size) != 2 or min(self.target_size) < 1:
            raise ValueError(f"target_size: expected (height, width), both positive; received {target_size}")
        self.color_mode, self.data_format, self.interpolation = color_mode, data_format, interpolation
        self.keep_aspect_ratio = keep_aspect_ratio
        channels = (CHANNELS[color_mode],)
        last = data_format == "channels_last"
        self.image_shape = self.target_size + channels if last else channels + self.target_size
        self.save_to_dir, self.save_prefix, self.save_format = save_to_dir, save_prefix, save_format
        self.subset = subset
        share = image_data_generator._validation_split if image_data_generator is not None else 0.0
        self.split = {None: None, "validation": (0, share), "training": (share, 1)}[subset]

    def _check_class_mode(self, class_mode: Any) -> None:
        if class_mode not in self.allowed_class_modes:
            raise ValueError(f"Invalid class_mode: {class_mode}; expected one of: {self.allowed_class_modes}")
        self.class_mode = class_mode

    def _range(self, n: int) -> slice:
        return slice(int(self.split[0] * n), int(self.split[1] * n)) if self.split else slice(None)

    @property
    def filepaths(self) -> list[str]:
        """The path of each sample's file."""
        return self._filepaths

    @property
    def labels(self) -> Any:
        """The class of each sample, or its targets."""
        return self.classes

    @property
    def sample_weight(self) -> Any:
        """The weight of each sample, or None."""
        return None

    def _load(self, index: int) -> np.ndarray:
        path = self.filepaths[index]
        try:
            image = load_img(
                path, color_mode=self.color_mode, target_size=self.target_size, interpolation=self.interpolation,
                keep_aspect_ratio=self.keep_aspect_ratio,
            )  # fmt: skip
        except OSError as error:
            raise OSError(f"{path}: cannot be read as an image ({error})") from error
        return img_to_array(image, data_format=self.data_format)

    def _get_batches_of_transformed_samples(self, index_array: np.ndarray) -> Any:
        x = self._transformed(self._load, index_array, self.image_shape)
        self._save(x, index_array, 10_000_000)
        y: Any
        if self.class_mode == "input":
            y = x.copy()
        elif self.class_mode in ("binary", "sparse"):
            y = np.array([self.classes[i] for i in index_array], dtype=self.dtype)
        elif self.class_mode == "categorical":
            y = np.zeros((len(x), len(self.class_indices)), dtype=self.dtype)
            for row, i in enumerate(index_array):
                y[row, self.classes[i]] = 1.0
        elif self.class_mode == "multi_output":
            y = [target[index_array] for target in self.labels]
        elif self.class_mode == "raw":
            y = self.labels[index_array]
        else:
            return x
        return (x, y) if self.sample_weight is None else (x, y, self.sample_weight[index_array])


class DirectoryIterator(FilesIterator):
    """Batches of the image files in a folder's subfolders, whose names are the classes.

    target_size: (height, width). color_mode: "rgb", "rgba", "grayscale". classes: the subfolders in the order of their
    indices (default: all, sorted). class_mode: "categorical" (one-hot), "binary" or "sparse" (the index), "input" (the
    images themselves) or None (no targets). save_to_dir: an existing folder for pictures of what is given.
    """

    allowed_class_modes = ("categorical", "binary", "sparse", "input", None)

    def __init__(
        self, directory: Any, image_data_generator: Any, target_size: Any = (256, 256), color_mode: str = "rgb",
        classes: Any = None, class_mode: str | None = "categorical", batch_size: int = 32, shuffle: bool = True,
        seed: int | None = None, data_format: str | None = None, save_to_dir: Any = None, save_prefix: str = "",
        save_format: str = "png", follow_links: bool = False, subset: str | None = None, interpolation: str = "nearest",
        keep_aspect_ratio: bool = False, dtype: Any = None,
    ) -> None:  # fmt: skip
        self.set_processing_attrs(
            image_data_generator, target_size, color_mode, image_data_format(data_format), save_to_dir, save_prefix,
            save_format, subset, interpolation, keep_aspect_ratio,
        )  # fmt: skip
        self._check_class_mode(class_mode)
        self.dtype = dtype or config.floatx()
        self.directory = os.fspath(directory)
        names = list(classes) if classes else sorted(e.name for e in os.scandir(self.directory) if e.is_dir())
        self.num_classes = len(names)
        self.class_indices = dict(zip(names, range(len(names))))

        def listed(name: str) -> list[str]:
            return list(valid_files(os.path.join(self.directory, name), FORMATS, follow_links))

        found = each(listed, names)
        if any(path.lower().endswith(".tiff") for paths in found for path in paths):
            warnings.warn('Using ".tiff" files with multiple bands will cause distortion.', stacklevel=3)
        found = [paths[self._range(len(paths))] for paths in found]
        self.filenames = [os.path.relpath(path, self.directory) for paths in found for path in paths]
        self.samples = len(self.filenames)
        self.classes = np.repeat(np.arange(len(names), dtype="int32"), [len(paths) for paths in found])
        self._filepaths = [os.path.join(self.directory, name) for name in self.filenames]
        print(f"Found {self.samples} images belonging to {self.num_classes} classes.")
        super().__init__(self.samples, batch_size, shuffle, seed)


def _is_image(path: str) -> bool:
    return path.lower().endswith(FORMATS) and os.path.isfile(path)


class DataFrameIterator(FilesIterator):
    """Batches of the image files that a pandas frame names in x_col (relative to a directory, if one is given).

    y_col: the targets' column, or columns. weight_col: sample weights. classes: which classes, in what order (default: all,
    sorted). class_mode: "categorical" (a class, or a list of classes for several), "binary" or "sparse" (a class name),
    "raw" (the values of y_col), "multi_output" (a list of columns), "input" (the images) or None. validate_filenames:
    leave out, with a warning, names of no image file.
    """

    allowed_class_modes = ("binary", "categorical", "input", "multi_output", "raw", "sparse", None)

    def __init__(
        self, dataframe: Any, directory: Any = None, image_data_generator: Any = None, x_col: str = "filename",
        y_col: Any = "class", weight_col: str | None = None, target_size: Any = (256, 256), color_mode: str = "rgb",
        classes: Any = None, class_mode: str | None = "categorical", batch_size: int = 32, shuffle: bool = True,
        seed: int | None = None, data_format: str | None = None, save_to_dir: Any = None, save_prefix: str = "",
        save_format: str = "png", subset: str | None = None, interpolation: str = "nearest",
        keep_aspect_ratio: bool = False, dtype: Any = None, validate_filenames: bool = True,
    ) -> None:  # fmt: skip
        self.set_processing_attrs(
            image_data_generator, target_size, color_mode, image_data_format(data_format), save_to_dir, save_prefix,
            save_format, subset, interpolation, keep_aspect_ratio,
        )  # fmt: skip
        self._check_class_mode(class_mode)
        self.dtype = dtype or config.floatx()
        self.directory = os.fspath(directory) if directory else ""
        frame = dataframe.copy()
        has_classes = class_mode in ("binary", "categorical", "sparse")
        self._check_columns(frame, x_col, y_col, weight_col, classes)
        if validate_filenames:
            frame = self._existing(frame, x_col)
        if has_classes:
            frame, names = self._of_classes(frame, y_col, classes)
            self.class_indices = dict(zip(names, range(len(names))))
        frame = frame.iloc[self._range(len(frame))]
        if has_classes:
            self.classes = [self._index(label) for label in frame[y_col]]
        self.filenames = frame[x_col].tolist()
        self._sample_weight = frame[weight_col].to_numpy() if weight_col else None
        if class_mode == "multi_output":
            self._targets: Any = [np.array(frame[column].tolist()) for column in y_col]
        elif class_mode == "raw":
            self._targets = frame[y_col].to_numpy()
        self.samples = len(self.filenames)
        self._filepaths = [os.path.join(self.directory, name) for name in self.filenames]
        message = f"Found {self.samples} {'' if validate_filenames else 'non-'}validated image filenames"
        print(f"{message} belonging to {len(self.class_indices)} classes." if has_classes else f"{message}.")
        super().__init__(self.samples, batch_size, shuffle, seed)

    def _check_columns(self, frame: Any, x_col: str, y_col: Any, weight_col: Any, classes: Any) -> None:
        mode = self.class_mode
        if mode == "multi_output" and not isinstance(y_col, list):
            raise TypeError(f'If class_mode="{mode}", y_col must be a list. Received {type(y_col).__name__}.')
        for column in (x_col, weight_col, *((y_col if isinstance(y_col, list) else [y_col]) if mode else ())):
            if column is not None and column not in frame.columns and mode != "input":
                raise KeyError(f"column {column!r} is not in the frame, which has {list(frame.columns)}")
        if not all(isinstance(name, (str, Path)) for name in frame[x_col]):
            raise TypeError(f"All values in column x_col={x_col} must be strings.")
        if mode in ("binary", "sparse") and not all(isinstance(v, str) for v in frame[y_col]):
            raise TypeError(f'If class_mode="{mode}", y_col="{y_col}" column values must be strings.')
        if mode == "categorical" and not all(isinstance(v, (str, list, tuple)) for v in frame[y_col]):
            raise TypeError(
                f'If class_mode="{mode}", y_col="{y_col}" column values must be type string, list or tuple.'
            )
        if mode == "binary":
            count = len(set(classes)) if classes else frame[y_col].nunique()
            if count != 2:
                raise ValueError(f'If class_mode="binary" there must be 2 classes. Found {count} classes.')
        if classes and mode not in ("binary", "categorical", "sparse"):
            warnings.warn(f'`classes` will be ignored given the class_mode="{mode}"', stacklevel=4)
        if weight_col and getattr(frame[weight_col].dtype, "kind", "O") not in "iuf":
            raise TypeError(f"Column weight_col={weight_col} must be numeric.")

    def _existing(self, frame: Any, x_col: str) -> Any:
        mask = np.array([_is_image(os.path.join(self.directory, name)) for name in frame[x_col]], bool)
        missing = int((~mask).sum())
        if missing:
            warnings.warn(
                f'Found {missing} invalid image filename(s) in x_col="{x_col}". These filename(s) will be ignored.',
                stacklevel=4,
            )
        return frame[mask]

    @staticmethod
    def _of_classes(frame: Any, y_col: str, classes: Any) -> tuple[Any, list[Any]]:
        """The rows that have a class of those wanted (in a list of labels: only the wanted ones), and the classes."""

        def several(label: Any) -> bool:
            return isinstance(label, (list, tuple))

        if not classes:
            return frame, sorted({name for label in frame[y_col] for name in (label if several(label) else [label])})
        names = list(dict.fromkeys(classes))
        kept = [[n for n in (v if several(v) else [v]) if n in names] for v in frame[y_col]]
        frame = frame.copy()
        frame[y_col] = [rest if several(v) else v for v, rest in zip(frame[y_col], kept)]
        return frame[np.array([bool(rest) for rest in kept], bool)], names

    def _index(self, label: Any) -> Any:
        if isinstance(label, (list, tuple)):
            return [self.class_indices[name] for name in label]
        return self.class_indices[label]

    @property
    def labels(self) -> Any:
        return self._targets if self.class_mode in ("multi_output", "raw") else self.classes

    @property
    def sample_weight(self) -> Any:
        return self._sample_weight
