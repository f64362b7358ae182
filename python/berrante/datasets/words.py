"""What imdb and reuters share: texts as lists of word numbers, by how common each word is."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from berrante.datasets.cache import BASE, data_file
from berrante.saving.guard import MAX_JSON_BYTES, RefusedFile

Split = tuple[np.ndarray, np.ndarray]


def check_texts(x: np.ndarray, y: np.ndarray, path: str) -> None:
    """Refuses what is not one list of numbers for each label."""
    if x.ndim != 1 or y.ndim != 1 or len(x) != len(y) or y.dtype.kind not in "iu":
        raise RefusedFile(f"{path}: expected as many texts as labels; received shapes {x.shape} and {y.shape}")
    for text in x:
        if not isinstance(text, list) or not set(map(type, text)) <= {int}:
            raise RefusedFile(f"{path}: expected each text to be a list of integers")


def shuffled(x: Any, y: Any, rng: np.random.RandomState) -> Split:
    """Both in the same new order."""
    order = np.arange(len(x))
    rng.shuffle(order)
    return x[order], y[order]


def marked(texts: Any, start_char: int | None, index_from: int) -> list[list[int]]:
    """The texts with their start marked, and room for the special numbers below index_from."""
    start = [] if start_char is None else [start_char]
    return [start + [word + index_from for word in text] for text in texts]


def limited(texts: list[list[int]], num_words: int | None, skip_top: int, oov_char: int | None) -> list[list[int]]:
    """The texts with words below skip_top and from num_words on replaced by oov_char, or left out if that is None.

    Without num_words the limit is the highest number that comes, which itself is replaced, as in Keras.
    """
    top = num_words or max((max(text, default=0) for text in texts), default=0)
    if oov_char is None:
        return [[word for word in text if skip_top <= word < top] for text in texts]
    return [[word if skip_top <= word < top else oov_char for word in text] for text in texts]


def shorter(texts: list[list[int]], labels: np.ndarray, maxlen: int | None) -> tuple[list[list[int]], np.ndarray]:
    """The texts of fewer than maxlen words, with their labels."""
    if not maxlen:
        return texts, labels
    kept = [i for i, text in enumerate(texts) if len(text) < maxlen]
    if not kept:
        raise ValueError(
            f"After filtering for sequences shorter than maxlen={maxlen}, no sequence was kept. Increase maxlen."
        )
    return [texts[i] for i in kept], labels[kept]


def ragged(texts: list[list[int]]) -> np.ndarray:
    """Lists as an array of objects, however long each is."""
    array = np.empty(len(texts), object)
    for i, text in enumerate(texts):
        array[i] = text
    return array


def word_index(path: Any, name: str, file_hash: str) -> dict[str, int]:
    """The numbers of words, from a JSON file."""
    with open(data_file(path, BASE + name, file_hash), "rb") as file:
        content = file.read(MAX_JSON_BYTES + 1)
    try:
        found = json.loads(content) if len(content) <= MAX_JSON_BYTES else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not all(type(number) is int for number in found.values()):
        raise RefusedFile(f"{path}: expected a JSON object of words and their numbers")
    return found
