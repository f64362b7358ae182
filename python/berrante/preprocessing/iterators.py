"""Iterators over batches of images: the order of samples and the random numbers of Keras 2, and batches of arrays.

An Iterator is a PyDataset (batches by index) and an endless Python iterator at once. Before each batch with a seed,
numpy.random is seeded with seed + batches seen so far. The random parameters of a batch are drawn one image after the
other, as Keras does; then the images are transformed in parallel, unless the user's code takes part in it, which may draw
random numbers of its own.
"""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable
from collections.abc import Iterator as Iterates
from typing import Any

import numpy as np

from berrante import config
from berrante.data import PyDataset
from berrante.layers.convolution import image_data_format
from berrante.utils.images import array_to_img
from berrante.utils.parallel import each

FORMATS = ("png", "jpg", "jpeg", "bmp", "ppm", "tif", "tiff")


class Iterator(PyDataset):
    """Batches of n samples; a subclass makes them in _get_batches_of_transformed_samples(indices).

    kwargs: PyDataset's (workers, use_multiprocessing, max_queue_size).
    """

    white_list_formats = FORMATS

    def __init__(self, n: int, batch_size: int, shuffle: bool, seed: int | None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if isinstance(batch_size, bool) or int(batch_size) != batch_size or batch_size < 1:
            raise ValueError(f"batch_size: expected a positive integer; received {batch_size!r}")
        self.n, self.batch_size, self.shuffle, self.seed = n, int(batch_size), shuffle, seed
        self.batch_index = 0
        self.total_batches_seen = 0
        self.lock = threading.Lock()
        self.index_array: np.ndarray | None = None

    def _set_index_array(self) -> None:
        self.index_array = np.random.permutation(self.n) if self.shuffle else np.arange(self.n)

    def _seed_batch(self) -> None:
        if self.seed is not None:
            np.random.seed(self.seed + self.total_batches_seen)
        self.total_batches_seen += 1

    def __getitem__(self, index: int) -> Any:
        if not -len(self) <= index < len(self):
            raise ValueError(f"Asked to retrieve element {index}, but the Sequence has length {len(self)}")
        with self.lock:
            self._seed_batch()
            if self.index_array is None:
                self._set_index_array()
        assert self.index_array is not None
        start = index % len(self) * self.batch_size
        return self._get_batches_of_transformed_samples(self.index_array[start : start + self.batch_size])

    def __len__(self) -> int:
        return -(-self.n // self.batch_size)

    def on_epoch_end(self) -> None:
        """Another order for the next epoch."""
        self._set_index_array()

    def reset(self) -> None:
        """next() begins with the first batch again."""
        self.batch_index = 0

    def _next_indices(self) -> np.ndarray:
        with self.lock:
            self._seed_batch()
            if self.batch_index == 0 or self.index_array is None:
                self._set_index_array()
            assert self.index_array is not None
            start = self.batch_index * self.batch_size % self.n if self.n else 0
            self.batch_index = self.batch_index + 1 if self.n > start + self.batch_size else 0
            return self.index_array[start : start + self.batch_size]

    def __iter__(self) -> Iterates[Any]:
        return self

    def __next__(self) -> Any:
        return self._get_batches_of_transformed_samples(self._next_indices())

    def next(self) -> Any:
        """The next batch; there is always one."""
        return self.__next__()

    def _get_batches_of_transformed_samples(self, index_array: np.ndarray) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must define _get_batches_of_transformed_samples")


class ImageIterator(Iterator):
    """What the iterators over arrays and files share: transforming a batch, and saving it for the user to look at."""

    image_data_generator: Any
    data_format: str
    dtype: Any
    save_to_dir: Any
    save_prefix: str
    save_format: str

    def _transformed(self, load: Callable[[int], np.ndarray], indices: np.ndarray, shape: Any) -> np.ndarray:
        """The images that load gives for the indices, transformed and standardized: [len(indices), *shape]."""
        generator = self.image_data_generator
        batch = np.zeros((len(indices), *shape), dtype=self.dtype)
        if generator is None:
            for i, image in enumerate(each(load, indices)):
                batch[i] = image
        elif generator.is_parallel:
            parameters = [generator.get_random_transform(tuple(shape)) for _ in indices]

            def work(i: int) -> None:
                batch[i] = generator.standardize(generator.apply_transform(load(indices[i]), parameters[i]))

            each(work, range(len(indices)))
        else:
            for i, image in enumerate(each(load, indices)):
                parameters = generator.get_random_transform(image.shape)
                batch[i] = generator.standardize(generator.apply_transform(image, parameters))
        return batch

    def _save(self, batch: np.ndarray, indices: np.ndarray, most: int) -> None:
        """Pictures of the batch in save_to_dir, if one was given."""
        if not self.save_to_dir:
            return
        for image, index in zip(batch, indices):
            name = f"{self.save_prefix}_{index}_{np.random.randint(most)}.{self.save_format}"
            array_to_img(image, self.data_format, scale=True).save(os.path.join(self.save_to_dir, name))


def check_subset(subset: Any, generator: Any) -> None:
    if subset not in ("training", "validation", None):
        raise ValueError(f'Invalid subset name: {subset}; expected "training" or "validation".')
    if subset is not None and not generator._validation_split:
        raise ValueError(
            f'subset="{subset}": the ImageDataGenerator needs a validation_split between 0 and 1; it has none'
        )


def _same_length(name: str, first: Any, other: Any) -> None:
    if len(first) != len(other):
        raise ValueError(
            f"`x` (images tensor) and `{name}`{' (labels)' if name == 'y' else ''} should have the same length. Found: "
            f"x.shape = {np.shape(first)}, "
            f"{name}.shape = {np.shape(other)}"
        )


class NumpyArrayIterator(ImageIterator):
    """Batches of images in memory, x [N, H, W, C] or [N, C, H, W], with targets and sample weights.

    x may be (images, others), others one array or a list of arrays that come along as further inputs. The subset
    "validation" is the first part of the samples, of the generator's validation_split.
    """

    def __init__(
        self, x: Any, y: Any, image_data_generator: Any, batch_size: int = 32, shuffle: bool = False,
        sample_weight: Any = None, seed: int | None = None, data_format: str | None = None, save_to_dir: Any = None,
        save_prefix: str = "", save_format: str = "png", subset: str | None = None, ignore_class_split: bool = False,
        dtype: Any = None,
    ) -> None:  # fmt: skip
        self.data_format = image_data_format(data_format)
        self.dtype = dtype or config.floatx()
        others: list[np.ndarray] = []
        if isinstance(x, (tuple, list)):
            others = [np.asarray(o) for o in (x[1] if isinstance(x[1], list) else [x[1]])]
            x = x[0]
            for other in others:
                if len(x) != len(other):
                    raise ValueError(
                        "All of the arrays in `x` should have the same length. Found a pair with: "
                        f"len(x[0]) = {len(x)}, len(x[?]) = {len(other)}"
                    )
        if y is not None:
            _same_length("y", x, y)
        if sample_weight is not None:
            _same_length("sample_weight", x, sample_weight)
        check_subset(subset, image_data_generator)
        y = None if y is None else np.asarray(y)
        sample_weight = None if sample_weight is None else np.asarray(sample_weight)
        if subset is not None:
            at = int(len(x) * image_data_generator._validation_split)
            if y is not None and not ignore_class_split and not np.array_equal(np.unique(y[:at]), np.unique(y[at:])):
                raise ValueError(
                    "Training and validation subsets have different number of classes after the split. If your numpy "
                    "arrays are sorted by the label, you might want to shuffle them."
                )
            part = slice(None, at) if subset == "validation" else slice(at, None)
            x, others = x[part], [o[part] for o in others]
            y = None if y is None else y[part]
            sample_weight = None if sample_weight is None else sample_weight[part]
        self.x, self.x_misc, self.y, self.sample_weight = np.asarray(x, dtype=self.dtype), others, y, sample_weight
        if self.x.ndim != 4:
            raise ValueError(
                f"Input data in `NumpyArrayIterator` should have rank 4. You passed an array with shape {self.x.shape}"
            )
        axis = 3 if self.data_format == "channels_last" else 1
        if self.x.shape[axis] not in (1, 3, 4):
            warnings.warn(
                f'NumpyArrayIterator is set to use the data format convention "{self.data_format}" (channels on axis '
                f"{axis}), i.e. expected either 1, 3, or 4 channels on axis {axis}. However, it was passed an array "
                f"with shape {self.x.shape} ({self.x.shape[axis]} channels).",
                stacklevel=3,
            )
        self.image_data_generator = image_data_generator
        self.save_to_dir, self.save_prefix, self.save_format = save_to_dir, save_prefix, save_format
        super().__init__(len(self.x), batch_size, shuffle, seed)

    def _get_batches_of_transformed_samples(self, index_array: np.ndarray) -> Any:
        # A copy of each image: the transformations may write to it.
        batch = self._transformed(lambda i: self.x[i].copy(), index_array, self.x.shape[1:])
        self._save(batch, index_array, 10_000)
        x = [batch, *(other[index_array] for other in self.x_misc)] if self.x_misc else batch
        if self.y is None:
            return x
        if self.sample_weight is None:
            return x, self.y[index_array]
        return x, self.y[index_array], self.sample_weight[index_array]
