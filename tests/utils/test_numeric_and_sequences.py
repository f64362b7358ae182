"""to_categorical, normalize, pad_sequences, text and time series, against Keras where it is installed."""

from __future__ import annotations

import json
import os
import random
from typing import Any

import numpy as np
import pytest

import berrante
from berrante import utils
from berrante.preprocessing import sequence, text

os.environ.setdefault("KERAS_BACKEND", "jax")


@pytest.fixture(scope="module")
def keras() -> Any:
    pytest.importorskip(os.environ["KERAS_BACKEND"])
    return pytest.importorskip("keras")


@pytest.mark.parametrize(
    ("x", "n"), [([0, 1, 3], None), ([0, 1, 3], 5), ([[0], [2]], None), ([[0, 1], [1, 0]], 3), (2, None), ([1.7, 0], 3)]
)
def test_to_categorical_against_keras(keras: Any, x: Any, n: Any) -> None:
    ours, theirs = utils.to_categorical(x, n), keras.utils.to_categorical(x, n)
    assert ours.dtype == theirs.dtype
    np.testing.assert_array_equal(ours, theirs)


def test_to_categorical_refuses_classes_outside() -> None:
    for x in ([0, 3], [-1, 0]):
        with pytest.raises(IndexError, match="expected classes from 0 to 2"):
            utils.to_categorical(x, 3)
    with pytest.raises(ValueError, match="no classes"):
        utils.to_categorical([])
    assert utils.to_categorical([], 3).shape == (0, 3)
    tensor = utils.to_categorical(berrante.ops.convert_to_tensor([[1], [0]]), 2)
    np.testing.assert_array_equal(np.asarray(tensor), [[0, 1], [1, 0]])


def test_normalize() -> None:
    x = np.array([[3.0, 4.0], [0.0, 0.0], [1.0, 0.0]])
    np.testing.assert_allclose(utils.normalize(x), [[0.6, 0.8], [0, 0], [1, 0]])
    np.testing.assert_allclose(utils.normalize(x, order=1), [[3 / 7, 4 / 7], [0, 0], [1, 0]])
    np.testing.assert_allclose(np.linalg.norm(utils.normalize(x, axis=0), axis=0), 1)
    np.testing.assert_allclose(
        np.asarray(utils.normalize(berrante.ops.convert_to_tensor(x))), utils.normalize(x), atol=1e-6
    )


SEQUENCES = [[1], [2, 3], [], [4, 5, 6, 7]]


@pytest.mark.parametrize("padding", ["pre", "post"])
@pytest.mark.parametrize("truncating", ["pre", "post"])
@pytest.mark.parametrize("maxlen", [None, 1, 3, 9])
def test_pad_sequences_against_keras(keras: Any, maxlen: Any, truncating: str, padding: str) -> None:
    for sequences, more in (
        (SEQUENCES, {}),
        (SEQUENCES, {"value": 0.5, "dtype": "float32"}),
        ([np.ones((k, 2)) for k in (1, 4)], {"value": -1}),
        ([["a"], ["bc", "d"]], {"value": "pad", "dtype": object}),
    ):
        arguments = {"maxlen": maxlen, "truncating": truncating, "padding": padding, **more}
        ours, theirs = utils.pad_sequences(sequences, **arguments), keras.utils.pad_sequences(sequences, **arguments)
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)


def test_pad_sequences_errors() -> None:
    for arguments, message in (
        ({"sequences": 3}, "iterable"),
        ({"sequences": [1, 2]}, "non-iterable: 1"),
        ({"sequences": SEQUENCES, "padding": "left"}, "left"),
        ({"sequences": SEQUENCES, "truncating": "left"}, "left"),
        ({"sequences": SEQUENCES, "maxlen": 0}, "maxlen"),
        ({"sequences": []}, "empty"),
        ({"sequences": [["a"]], "value": "x"}, "dtype=object"),
        ({"sequences": [np.ones((2, 2)), np.ones((2, 3))]}, "position 1"),
    ):
        with pytest.raises(ValueError, match=message):
            utils.pad_sequences(**arguments)


TEXTS = ["The cat sat on the mat.", "The dog, the dog!", "A bird\tsang; nobody (really) listened"]


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"num_words": 5},
        {"oov_token": "<unk>"},
        {"oov_token": "<unk>", "num_words": 4},
        {"char_level": True},
        {"lower": False},
    ],
)
def test_tokenizer_against_keras(arguments: dict[str, Any]) -> None:
    theirs = pytest.importorskip("keras.src.legacy.preprocessing.text")
    found = []
    for module in (text, theirs):
        tokenizer = module.Tokenizer(**arguments)
        tokenizer.fit_on_texts(TEXTS[:2])
        tokenizer.fit_on_texts([TEXTS[2]] if arguments.get("char_level") else [TEXTS[2], ["A", "list", "of"]])
        sequences = tokenizer.texts_to_sequences([*TEXTS, "unknown the words"])
        again = module.tokenizer_from_json(tokenizer.to_json())
        found.append(
            (
                tokenizer.word_index, dict(tokenizer.word_counts), dict(tokenizer.word_docs), sequences,
                tokenizer.sequences_to_texts([*sequences, [0, 99]]), again.texts_to_sequences(TEXTS), dict(again.index_docs),
                json.loads(tokenizer.to_json()),
                [tokenizer.texts_to_matrix(TEXTS, mode).tolist() for mode in ("binary", "count", "freq", "tfidf")],
            )
        )  # fmt: skip
    for ours, expected in zip(*found):
        assert ours == expected


def test_text_functions() -> None:
    assert text.text_to_word_sequence("Hello, World! Hello") == ["hello", "world", "hello"]
    assert text.text_to_word_sequence("aXbXc", split="X", lower=False) == ["a", "b", "c"]
    numbers = text.hashing_trick("one two one", 100, "md5")
    assert numbers[0] == numbers[2] != numbers[1] and all(0 < n < 100 for n in numbers)
    assert numbers == [int(__import__("hashlib").md5(w).hexdigest(), 16) % 99 + 1 for w in (b"one", b"two", b"one")]
    assert len(text.one_hot("one two three", 5)) == 3
    assert text.hashing_trick("ab", 10, len, analyzer=list) == [2, 2]
    with pytest.raises(ValueError, match="fit on some text"):
        text.Tokenizer().sequences_to_matrix([[1]])
    with pytest.raises(ValueError, match="'x'"):
        text.Tokenizer(num_words=3).sequences_to_matrix([[1]], mode="x")
    with pytest.raises(TypeError, match="surprise"):
        text.Tokenizer(surprise=1)
    with pytest.warns(UserWarning, match="num_words"):
        assert text.Tokenizer(nb_words=3).num_words == 3


def test_skipgrams_against_keras() -> None:
    theirs = pytest.importorskip("keras.src.legacy.preprocessing.sequence")
    table = sequence.make_sampling_table(30, 1e-3)
    np.testing.assert_array_equal(table, theirs.make_sampling_table(30, 1e-3))
    for arguments in (
        {"seed": 3},
        {"categorical": True, "window_size": 1, "shuffle": False},
        {"sampling_table": table, "negative_samples": 2.0},
        {"negative_samples": 0},
    ):
        found = []
        for module in (sequence, theirs):
            random.seed(1)
            found.append(module.skipgrams([1, 5, 0, 7, 20, 3, 1], 30, **arguments))
        assert found[0] == found[1]


@pytest.mark.parametrize(
    "arguments",
    [
        {}, {"sampling_rate": 2, "batch_size": 4}, {"stride": 3, "reverse": True}, {"start_index": 5, "end_index": 40},
        {"shuffle": True, "batch_size": 6},
    ],
)  # fmt: skip
def test_timeseries_generator_against_keras(arguments: dict[str, Any]) -> None:
    theirs = pytest.importorskip("keras.src.legacy.preprocessing.sequence")
    data, targets = np.arange(100).reshape(50, 2), np.arange(50) * 10
    found = []
    for module in (sequence, theirs):
        np.random.seed(2)
        generator = module.TimeseriesGenerator(data, targets, length=6, **arguments)
        found.append([generator[i] for i in range(len(generator))])
    assert len(found[0]) == len(found[1])
    for ours, expected in zip(*found):
        for a, b in zip(ours, expected):
            np.testing.assert_array_equal(a, b)


def test_timeseries_generator_habits() -> None:
    generator = sequence.TimeseriesGenerator([1, 2, 3, 4], [1, 2, 3, 4], length=2, batch_size=1)
    assert json.loads(generator.to_json())["config"]["data"] == "[1, 2, 3, 4]"
    with pytest.raises(IndexError):
        generator[2]
    assert [t[0] for _, t in [generator[i] for i in range(len(generator))]] == [3, 4]
    for arguments, message in (
        ({"length": 9}, "start_index"),
        ({"length": 0}, "length"),
        ({"length": 1, "batch_size": 0}, "batch_size"),
    ):
        with pytest.raises(ValueError, match=message):
            sequence.TimeseriesGenerator([1, 2], [1, 2], **arguments)
    with pytest.raises(ValueError, match="same length"):
        sequence.TimeseriesGenerator([1, 2], [1], length=1)


def windows(data: Any, targets: Any, **arguments: Any) -> list[Any]:
    return list(utils.timeseries_dataset_from_array(data, targets, **arguments))


def test_timeseries_dataset() -> None:
    # The two examples of Keras' documentation.
    found = windows(np.arange(99), None, sequence_length=10, sampling_rate=2, sequence_stride=3)
    assert len(found) == 1
    np.testing.assert_array_equal(found[0][0], np.arange(0, 20, 2))
    np.testing.assert_array_equal(found[0][-1], np.arange(78, 98, 2))
    data = np.arange(100)
    (x, y), *rest = windows(data[:-10], data[10:], sequence_length=10, batch_size=32)
    np.testing.assert_array_equal(x[0], data[:10])
    assert y[0] == data[10] and len(rest) == 2 and x.shape == (32, 10)
    single = windows(data, None, sequence_length=4, batch_size=None)
    assert len(single) == 97 and single[3].shape == (4,)
    part = windows(data, data * 2, sequence_length=3, start_index=10, end_index=20, batch_size=100)
    np.testing.assert_array_equal(part[0][0][:, 0], np.arange(10, 18))
    np.testing.assert_array_equal(part[0][1], np.arange(10, 18) * 2)
    dataset = utils.timeseries_dataset_from_array(data, data, sequence_length=3, shuffle=True, seed=1)
    first, second = list(dataset)[0], list(dataset)[0]
    assert not np.array_equal(first[1], second[1]) and set(first[1]) <= set(data)
    np.testing.assert_array_equal(first[0][:, 0], first[1])
    for arguments, message in (
        ({"sampling_rate": 0}, "sampling_rate"),
        ({"sequence_stride": 100}, "sequence_stride"),
        ({"start_index": 100}, "start_index"),
        ({"end_index": 100}, "end_index"),
        ({"start_index": 10, "end_index": 5}, "end_index"),
        ({"batch_size": 0}, "batch_size"),
    ):
        with pytest.raises(ValueError, match=message):
            windows(data, None, sequence_length=3, **arguments)


def test_split_dataset() -> None:
    x, y = np.arange(20).reshape(10, 2), np.arange(10)
    left, right = utils.split_dataset((x, y), left_size=0.7)
    assert len(left) == 7 and len(right) == 3
    np.testing.assert_array_equal([s[1] for s in right], [7, 8, 9])
    left, right = utils.split_dataset(x, right_size=3, shuffle=True, seed=4)
    order = list(range(10))
    random.seed(4)
    random.shuffle(order)
    np.testing.assert_array_equal([int(s[0]) // 2 for s in left], order[:7])
    batches = list(utils.split_dataset([x, y], 4, 4)[0].batch(3))
    assert [len(b[0]) for b in batches] == [3, 1]
    again = utils.split_dataset(utils.split_dataset((x, y), left_size=8)[0], left_size=2)
    np.testing.assert_array_equal([s[1] for s in again[1]], [2, 3, 4, 5, 6, 7])
    for arguments, error in (
        ({}, ValueError),
        ({"left_size": 10}, ValueError),
        ({"left_size": 1.2}, ValueError),
        ({"left_size": "2"}, TypeError),
        ({"left_size": 6, "right_size": 6}, ValueError),
        ({"left_size": 0.01}, ValueError),
    ):
        with pytest.raises(error):
            utils.split_dataset(x, **arguments)
    with pytest.raises(TypeError, match="dataset"):
        utils.split_dataset(3, left_size=0.5)
    with pytest.raises(ValueError, match="one length"):
        utils.split_dataset((x, y[:3]), left_size=0.5)


def test_seeds_and_names() -> None:
    utils.set_random_seed(3)
    first = random.random(), np.random.rand(), float(berrante.random.normal((1,))[0])
    utils.set_random_seed(3)
    assert first == (random.random(), np.random.rand(), float(berrante.random.normal((1,))[0]))
    with pytest.raises(ValueError, match="seed"):
        utils.set_random_seed("x")
    for name in utils._HOME:
        assert callable(getattr(utils, name)) and name in dir(utils)
    with pytest.raises(AttributeError, match="nothing"):
        utils.nothing  # noqa: B018
    a, b = berrante.Input((2,)), berrante.Input((2,))
    c = berrante.layers.Add()([berrante.layers.Dense(2)(a), b])
    assert utils.get_source_inputs(c) == [a, b]


def test_split_dataset_takes_what_can_be_iterated() -> None:
    from berrante.compat.tensorflow.data import Dataset
    from berrante.utils import split_dataset

    data = Dataset.from_tensor_slices((np.arange(20.0).reshape(10, 2), np.arange(10)))
    left, right = split_dataset(data, left_size=0.3)
    assert (len(left), len(right)) == (3, 7)
    assert Dataset.cardinality(data) == 10
    np.testing.assert_array_equal([np.asarray(y) for _, y in right], np.arange(3, 10))
