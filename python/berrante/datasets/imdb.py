"""IMDB: 50,000 film reviews as word numbers, positive or negative."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from berrante.datasets import words
from berrante.datasets.cache import BASE, data_file
from berrante.datasets.npz import read_npz
from berrante.datasets.words import Split


def load_data(
    path: Any = "imdb.npz", num_words: int | None = None, skip_top: int = 0, maxlen: int | None = None, seed: int = 113,
    start_char: int | None = 1, oov_char: int | None = 2, index_from: int = 3, **kwargs: Any,
) -> tuple[Split, Split]:  # fmt: skip
    """((x_train, y_train), (x_test, y_test)): arrays of lists of word numbers, and labels 0 or 1.

    num_words: keep the commonest; skip_top: but not these; oov_char stands for the others (None leaves them out).
    maxlen: only reviews of fewer words. start_char begins each review (None: nothing does). index_from: added to each
    number. The reviews are shuffled by seed.
    """
    if "nb_words" in kwargs:
        warnings.warn("The `nb_words` argument in `load_data` has been renamed `num_words`.", stacklevel=2)
        num_words = kwargs.pop("nb_words")
    if kwargs:
        raise TypeError(f"Unrecognized keyword arguments: {kwargs}")
    sha = "69664113be75683a8fe16e3ed0ab59fda8886cb3cd7ada244f7d9544e4676b9f"
    file = data_file(path, BASE + "imdb.npz", sha)
    x_train, y_train, x_test, y_test = read_npz(file, ("x_train", "y_train", "x_test", "y_test"))
    rng = np.random.RandomState(seed)
    parts = []
    for x, y in ((x_train, y_train), (x_test, y_test)):
        words.check_texts(x, y, file)
        x, y = words.shuffled(x, y, rng)
        parts.append(words.shorter(words.marked(x, start_char, index_from), y, maxlen))
    (train, y_train), (test, y_test) = parts
    texts = words.limited(train + test, num_words, skip_top, oov_char)
    at = len(train)
    return (words.ragged(texts[:at]), y_train), (words.ragged(texts[at:]), y_test)


def get_word_index(path: Any = "imdb_word_index.json") -> dict[str, int]:
    """The number of each word, to which load_data adds index_from."""
    return words.word_index(path, "imdb_word_index.json", "bfafd718b763782e994055a2d397834f")
