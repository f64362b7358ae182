"""keras.preprocessing.sequence: sequences of one length, skip-grams, windows over series. Randomness as in Keras 2."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np

from berrante.data import PyDataset
from berrante.utils.sequences import pad_sequences

__all__ = ["TimeseriesGenerator", "make_sampling_table", "pad_sequences", "skipgrams"]


def make_sampling_table(size: int, sampling_factor: float = 1e-5) -> np.ndarray:
    """For each word by its rank, the probability that word2vec keeps it, with frequencies by Zipf's law."""
    rank = np.arange(size)
    rank[:1] = 1
    frequency_inverse = rank * (np.log(rank) + 0.577) + 0.5 - 1.0 / (12.0 * rank)
    f = sampling_factor * frequency_inverse
    return np.minimum(1.0, f / np.sqrt(f))


def skipgrams(
    sequence: Any, vocabulary_size: int, window_size: int = 4, negative_samples: float = 1.0, shuffle: bool = True,
    categorical: bool = False, sampling_table: Any = None, seed: int | None = None,
) -> tuple[list[list[int]], list[Any]]:  # fmt: skip
    """(pairs, labels): words with their neighbours within a window (label 1), and with random words (label 0).

    Index 0 is no word. negative_samples: random pairs for each real one. sampling_table: probabilities to take a word.
    categorical: labels [0, 1] and [1, 0]. Random numbers come from Python's `random`.
    """
    yes, no = ([0, 1], [1, 0]) if categorical else (1, 0)
    couples: list[list[int]] = []
    for i, word in enumerate(sequence):
        if not word or (sampling_table is not None and sampling_table[word] < random.random()):
            continue
        for j in range(max(0, i - window_size), min(len(sequence), i + window_size + 1)):
            if j != i and sequence[j]:
                couples.append([word, sequence[j]])
    labels: list[Any] = [yes] * len(couples)
    if negative_samples > 0:
        count = int(len(labels) * negative_samples)
        words = [couple[0] for couple in couples]
        random.shuffle(words)
        couples += [[words[i % len(words)], random.randint(1, vocabulary_size - 1)] for i in range(count)]
        labels += [no] * count
    if shuffle:
        seed = random.randint(0, 10**7) if seed is None else seed
        for items in (couples, labels):
            random.seed(seed)
            random.shuffle(items)
    return couples, labels


def _remove_long_seq(maxlen: int, seq: Any, label: Any) -> tuple[list[Any], list[Any]]:
    """The sequences shorter than maxlen, with their labels."""
    kept = [(s, l) for s, l in zip(seq, label) if len(s) < maxlen]
    return [s for s, _ in kept], [l for _, l in kept]


class TimeseriesGenerator(PyDataset):
    """Batches (windows [batch, length / sampling_rate, ...], the targets of the steps after them) of a series.

    data, targets: indexable, of one length. Windows end between start_index + length and end_index, `stride` apart, and
    take every sampling_rate-th step, backwards if `reverse`; shuffle draws them at random (numpy.random).
    """

    def __init__(
        self, data: Any, targets: Any, length: int, sampling_rate: int = 1, stride: int = 1, start_index: int = 0,
        end_index: int | None = None, shuffle: bool = False, reverse: bool = False, batch_size: int = 128,
        **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(**kwargs)
        if len(data) != len(targets):
            raise ValueError(
                f"Data and targets have to be of same length. Data length is {len(data)} while target length is "
                f"{len(targets)}"
            )
        for name, number in (("length", length), ("sampling_rate", sampling_rate), ("stride", stride)):
            if number < 1:
                raise ValueError(f"{name}: expected a positive integer; received {number}")
        if batch_size < 1:
            raise ValueError(f"batch_size: expected a positive integer; received {batch_size}")
        self.data, self.targets, self.length, self.sampling_rate, self.stride = (
            data, targets, length, sampling_rate, stride,
        )  # fmt: skip
        self.start_index = start_index + length
        self.end_index = len(data) - 1 if end_index is None else end_index
        self.shuffle, self.reverse, self.batch_size = shuffle, reverse, batch_size
        if self.start_index > self.end_index:
            raise ValueError(
                f"`start_index+length={self.start_index} > end_index={self.end_index}` is disallowed, as no part of "
                "the sequence would be left to be used as current step."
            )

    def __len__(self) -> int:
        step = self.batch_size * self.stride
        return (self.end_index - self.start_index + step) // step

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        if not 0 <= index < len(self):
            raise IndexError(f"TimeseriesGenerator has {len(self)} batches; asked for number {index}")
        if self.shuffle:
            rows = np.random.randint(self.start_index, self.end_index + 1, size=self.batch_size)
        else:
            first = self.start_index + self.batch_size * self.stride * index
            rows = np.arange(first, min(first + self.batch_size * self.stride, self.end_index + 1), self.stride)
        windows = np.array([self.data[row - self.length : row : self.sampling_rate] for row in rows])
        targets = np.array([self.targets[row] for row in rows])
        return (windows[:, ::-1, ...] if self.reverse else windows), targets

    def get_config(self) -> dict[str, Any]:
        """The arguments, the series as JSON texts."""
        names = ("length", "sampling_rate", "stride", "start_index", "end_index", "shuffle", "reverse", "batch_size")
        series = {}
        for name in ("data", "targets"):
            value = getattr(self, name)
            try:
                series[name] = json.dumps(value.tolist() if isinstance(value, np.ndarray) else value)
            except TypeError as error:
                raise TypeError(f"{name.capitalize()} not JSON Serializable: {value}") from error
        return {**series, **{name: getattr(self, name) for name in names}}

    def to_json(self, **kwargs: Any) -> str:
        """The configuration as a JSON text; kwargs go to json.dumps."""
        return json.dumps({"class_name": type(self).__name__, "config": self.get_config()}, **kwargs)
