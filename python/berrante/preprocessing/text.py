"""keras.preprocessing.text: words of a text, their indices by frequency, and bags of words."""

from __future__ import annotations

import collections
import hashlib
import json
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

FILTERS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'


def text_to_word_sequence(input_text: str, filters: str = FILTERS, lower: bool = True, split: str = " ") -> list[str]:
    """The words of a text: in lower case, split at a separator, characters in `filters` taken for separators."""
    text = input_text.lower() if lower else input_text
    separators = str.maketrans({character: split for character in filters})
    return [word for word in text.translate(separators).split(split) if word]


def one_hot(
    input_text: str, n: int, filters: str = FILTERS, lower: bool = True, split: str = " ", analyzer: Any = None
) -> list[int]:
    """A number from 1 to n - 1 for each word, by Python's hash (which differs from run to run)."""
    return hashing_trick(input_text, n, hash, filters, lower, split, analyzer)


def hashing_trick(
    text: str, n: int, hash_function: Any = None, filters: str = FILTERS, lower: bool = True, split: str = " ",
    analyzer: Any = None,
) -> list[int]:  # fmt: skip
    """A number from 1 to n - 1 for each word, by a hash: "md5" (the same in every run), a function, or Python's hash."""
    function: Callable[[str], int] = hash if hash_function is None else hash_function
    if hash_function == "md5":
        function = lambda word: int(hashlib.md5(word.encode(), usedforsecurity=False).hexdigest(), 16)
    words = text_to_word_sequence(text, filters, lower, split) if analyzer is None else analyzer(text)
    return [function(word) % (n - 1) + 1 for word in words]


class Tokenizer:
    """Numbers for words (or characters, with char_level), by how often they come in the texts it is fitted on.

    num_words: only indices below it are used later. filters, lower, split: as in text_to_word_sequence. oov_token: a
    word that stands for all unknown ones; it gets index 1. analyzer: a function that gives a text's words. Texts may be
    lists of words already. Index 0 is nobody's.
    """

    def __init__(
        self, num_words: int | None = None, filters: str = FILTERS, lower: bool = True, split: str = " ",
        char_level: bool = False, oov_token: Any = None, analyzer: Any = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        if "nb_words" in kwargs:
            warnings.warn("The `nb_words` argument in `Tokenizer` has been renamed `num_words`.", stacklevel=2)
            num_words = kwargs.pop("nb_words")
        self.document_count: int = kwargs.pop("document_count", 0)
        if kwargs:
            raise TypeError(f"Unrecognized keyword arguments: {kwargs}")
        self.num_words, self.filters, self.lower, self.split = num_words, filters, lower, split
        self.char_level, self.oov_token, self.analyzer = char_level, oov_token, analyzer
        self.word_counts: dict[str, int] = collections.OrderedDict()
        self.word_docs: dict[str, int] = collections.defaultdict(int)
        self.index_docs: dict[int, int] = collections.defaultdict(int)
        self.word_index: dict[str, int] = {}
        self.index_word: dict[int, str] = {}

    def _words(self, text: Any) -> Any:
        if self.char_level or isinstance(text, list):
            if not self.lower:
                return text
            return [word.lower() for word in text] if isinstance(text, list) else text.lower()
        if self.analyzer is not None:
            return self.analyzer(text)
        return text_to_word_sequence(text, self.filters, self.lower, self.split)

    def fit_on_texts(self, texts: Iterable[Any]) -> None:
        """Counts the words of texts, after those of earlier calls, and numbers them anew."""
        for text in texts:
            self.document_count += 1
            words = self._words(text)
            for word in words:
                self.word_counts[word] = self.word_counts.get(word, 0) + 1
            for word in set(words):
                self.word_docs[word] += 1
        ranked = sorted(self.word_counts, key=lambda word: self.word_counts[word], reverse=True)
        vocabulary = ([] if self.oov_token is None else [self.oov_token]) + ranked
        self.word_index = dict(zip(vocabulary, range(1, len(vocabulary) + 1)))
        self.index_word = {index: word for word, index in self.word_index.items()}
        for word, count in self.word_docs.items():
            self.index_docs[self.word_index[word]] = count

    def fit_on_sequences(self, sequences: Any) -> None:
        """Counts in how many sequences each index comes, for sequences_to_matrix without texts."""
        self.document_count += len(sequences)
        for sequence in sequences:
            for index in set(sequence):
                self.index_docs[index] += 1

    def texts_to_sequences(self, texts: Iterable[Any]) -> list[list[int]]:
        """The indices of each text's words; unknown and rarer ones are left out, or oov_token's index."""
        return list(self.texts_to_sequences_generator(texts))

    def texts_to_sequences_generator(self, texts: Iterable[Any]) -> Iterator[list[int]]:
        """texts_to_sequences, one text at a time."""
        unknown = self.word_index.get(self.oov_token)
        for text in texts:
            indices = [self.word_index.get(word) for word in self._words(text)]
            known = [unknown if i is None or (self.num_words and i >= self.num_words) else i for i in indices]
            yield [i for i in known if i is not None]

    def sequences_to_texts(self, sequences: Iterable[Any]) -> list[str]:
        """The words of each sequence of indices, joined by blanks."""
        return list(self.sequences_to_texts_generator(sequences))

    def sequences_to_texts_generator(self, sequences: Iterable[Any]) -> Iterator[str]:
        """sequences_to_texts, one sequence at a time."""
        unknown = self.index_word.get(self.word_index.get(self.oov_token, 0))
        for sequence in sequences:
            words = [
                unknown if i not in self.index_word or (self.num_words and i >= self.num_words) else self.index_word[i]
                for i in sequence
            ]
            yield " ".join(word for word in words if word is not None)

    def texts_to_matrix(self, texts: Iterable[Any], mode: str = "binary") -> np.ndarray:
        """sequences_to_matrix of texts."""
        return self.sequences_to_matrix(self.texts_to_sequences(texts), mode=mode)

    def sequences_to_matrix(self, sequences: Any, mode: str = "binary") -> np.ndarray:
        """A row [num_words] for each sequence. mode: "binary", "count", "freq" or "tfidf"."""
        if mode not in ("binary", "count", "freq", "tfidf"):
            raise ValueError(f"Unknown vectorization mode: {mode!r}; expected binary, count, freq or tfidf")
        if not self.num_words and not self.word_index:
            raise ValueError("Specify a dimension (`num_words` argument), or fit on some text data first.")
        if mode == "tfidf" and not self.document_count:
            raise ValueError("Fit the Tokenizer on some data before using tfidf mode.")
        width = self.num_words or len(self.word_index) + 1
        x = np.zeros((len(sequences), width))
        for row, sequence in zip(x, sequences):
            for index, count in collections.Counter(i for i in sequence if i < width).items():
                if mode == "tfidf":
                    documents = self.document_count / (1 + self.index_docs.get(index, 0))
                    row[index] = (1 + np.log(count)) * np.log(1 + documents)
                else:
                    row[index] = {"binary": 1, "count": count, "freq": count / len(sequence)}[mode]
        return x

    def get_config(self) -> dict[str, Any]:
        """The settings and, as JSON texts, the counts and indices."""
        names = ("num_words", "filters", "lower", "split", "char_level", "oov_token", "document_count")
        tables = ("word_counts", "word_docs", "index_docs", "index_word", "word_index")
        config = {name: getattr(self, name) for name in names}
        return {**config, **{name: json.dumps(getattr(self, name)) for name in tables}}

    def to_json(self, **kwargs: Any) -> str:
        """A JSON text that tokenizer_from_json reads; kwargs go to json.dumps."""
        return json.dumps({"class_name": type(self).__name__, "config": self.get_config()}, **kwargs)


def tokenizer_from_json(json_string: str) -> Tokenizer:
    """The Tokenizer that to_json wrote."""
    config = json.loads(json_string).get("config")
    if not isinstance(config, dict):
        raise ValueError("tokenizer_from_json: expected the text that Tokenizer.to_json gives")
    tables = ("word_counts", "word_docs", "index_docs", "index_word", "word_index")
    read = {name: json.loads(config.pop(name)) for name in tables}
    tokenizer = Tokenizer(**config)
    for name in ("index_docs", "index_word"):
        read[name] = {int(index): value for index, value in read[name].items()}
    for name, table in read.items():
        setattr(tokenizer, name, table)
    return tokenizer
