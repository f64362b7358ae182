"""Reuters: 11,228 news wires of 1987 as word numbers, in 46 topics."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from berrante.datasets import words
from berrante.datasets.cache import BASE, data_file
from berrante.datasets.housing import check_split
from berrante.datasets.npz import read_npz
from berrante.datasets.words import Split

_TOPICS = (
    "cocoa grain veg-oil earn acq wheat copper housing money-supply coffee sugar trade reserves ship cotton carcass crude "
    "nat-gas cpi money-fx interest gnp meal-feed alum oilseed gold tin strategic-metal livestock retail ipi iron-steel "
    "rubber heat jobs lei bop zinc orange pet-chem dlr gas silver wpi hog lead"
)


def load_data(
    path: Any = "reuters.npz", num_words: int | None = None, skip_top: int = 0, maxlen: int | None = None,
    test_split: float = 0.2, seed: int = 113, start_char: int | None = 1, oov_char: int | None = 2, index_from: int = 3,
    **kwargs: Any,
) -> tuple[Split, Split]:  # fmt: skip
    """((x_train, y_train), (x_test, y_test)): arrays of lists of word numbers, and topics 0 to 45.

    Arguments as imdb.load_data's; test_split: the share of the test data.
    """
    if "nb_words" in kwargs:
        warnings.warn("The `nb_words` argument in `load_data` has been renamed `num_words`.", stacklevel=2)
        num_words = kwargs.pop("nb_words")
    if kwargs:
        raise TypeError(f"Unrecognized keyword arguments: {kwargs}")
    check_split(test_split)
    sha = "d6586e694ee56d7a4e65172e12b3e987c03096cb01eab99753921ef915959916"
    file = data_file(path, BASE + "reuters.npz", sha)
    x, y = read_npz(file, ("x", "y"))
    words.check_texts(x, y, file)
    x, y = words.shuffled(x, y, np.random.RandomState(seed))
    texts, y = words.shorter(words.marked(x, start_char, index_from), y, maxlen)
    texts = words.limited(texts, num_words, skip_top, oov_char)
    at = int(len(texts) * (1 - test_split))
    return (words.ragged(texts[:at]), y[:at]), (words.ragged(texts[at:]), y[at:])


def get_word_index(path: Any = "reuters_word_index.json") -> dict[str, int]:
    """The number of each word, to which load_data adds index_from."""
    return words.word_index(path, "reuters_word_index.json", "4d44cc38712099c9e383dc6e5f11a921")


def get_label_names() -> tuple[str, ...]:
    """The 46 topics, by label."""
    return tuple(_TOPICS.split())
