"""Data sets from small files of the same layout, against Keras' own loaders where Keras is installed."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import tarfile
import zipfile
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest

from berrante import datasets
from berrante.datasets.object_stream import read_objects
from berrante.saving.guard import RefusedFile

os.environ.setdefault("KERAS_BACKEND", "jax")
RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keras' folder, and no network."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr("urllib.request.urlopen", mock.Mock(side_effect=OSError("no network here")))
    (tmp_path / "datasets").mkdir()
    return tmp_path / "datasets"


def keras_datasets(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Keras' data sets, reading from the same folder without looking at hashes."""
    pytest.importorskip(os.environ["KERAS_BACKEND"])
    keras = pytest.importorskip("keras")
    for name in ("mnist", "fashion_mnist", "imdb", "reuters", "boston_housing", "california_housing"):
        module = pytest.importorskip(f"keras.src.datasets.{name}")

        def find(fname: Any = None, origin: Any = None, cache_subdir: str = "datasets", **_: Any) -> str:
            return str(cache.parent / cache_subdir / fname)

        monkeypatch.setattr(module, "get_file", find)
    return keras.datasets


def same(ours: Any, theirs: Any) -> None:
    for a, b in zip(ours, theirs, strict=True):
        for part, expected in zip(a, b, strict=True):
            assert part.dtype == expected.dtype and part.shape == expected.shape
            assert part.flags.writeable
            if part.dtype == object:
                assert all(type(p) is list and p == e for p, e in zip(part, expected, strict=True))
            else:
                np.testing.assert_array_equal(part, expected)


def images(n: int) -> np.ndarray:
    return RNG.integers(0, 256, (n, 28, 28), dtype=np.uint8)


def test_mnist(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = {
        "x_train": images(6),
        "y_train": np.arange(6, dtype="uint8"),
        "x_test": images(2),
        "y_test": np.ones(2, "u1"),
    }
    np.savez(cache / "mnist.npz", **arrays)
    (x, y), (x_test, y_test) = datasets.mnist.load_data()
    for array, name in ((x, "x_train"), (y, "y_train"), (x_test, "x_test"), (y_test, "y_test")):
        np.testing.assert_array_equal(array, arrays[name])
    x[0] = 0  # the caller may write into them
    elsewhere = tmp_path / "elsewhere.npz"
    np.savez_compressed(elsewhere, **arrays)
    same(datasets.mnist.load_data(elsewhere), datasets.mnist.load_data("mnist.npz"))
    same(datasets.mnist.load_data(), keras_datasets(cache, monkeypatch).mnist.load_data())
    with pytest.raises(FileNotFoundError, match="bare file name"):
        datasets.mnist.load_data(tmp_path / "none.npz")


def idx(array: np.ndarray) -> bytes:
    return b"\0\0\x08" + bytes([array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()


def test_idx_files(tmp_path: Path) -> None:
    x, y = images(10), np.arange(10, dtype="uint8")
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(idx(x))
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(y)))
    (x_train, y_train), (x_test, y_test) = datasets.mnist.load_data(tmp_path)
    np.testing.assert_array_equal(np.concatenate([x_train, x_test]), x)
    np.testing.assert_array_equal(np.concatenate([y_train, y_test]), y)
    for content in (
        idx(x)[:-1],
        idx(x) + b"x",
        b"\0\0\x09\1",
        gzip.compress(idx(x))[:-20],
        b"",
        b"\0\0\x08\4" + b"\xff" * 16,
    ):
        (tmp_path / "t10k-images-idx3-ubyte").write_bytes(content)
        with pytest.raises(RefusedFile, match="t10k-images"):
            datasets.mnist.load_data(tmp_path)


def test_fashion_mnist(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = cache / "fashion-mnist"
    folder.mkdir()
    for part, n in (("train", 5), ("t10k", 3)):
        (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images(n))))
        (folder / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(np.arange(n, dtype="uint8"))))
    ours = datasets.fashion_mnist.load_data()
    assert ours[0][0].shape == (5, 28, 28) and ours[1][1].tolist() == [0, 1, 2]
    theirs = keras_datasets(cache, monkeypatch).fashion_mnist.load_data()
    for a, b in zip(ours, theirs):
        for part, expected in zip(a, b):
            np.testing.assert_array_equal(part, expected)


def batch(n: int, keys: tuple[str, ...], protocol: int = 2) -> bytes:
    """A batch as Python 2 wrote it: byte strings for keys."""
    content: dict[bytes, Any] = {b"batch_label": b"training batch 1 of 5", b"filenames": [b"a.png"] * n}
    content |= {key.encode(): RNG.integers(0, 10, n).tolist() for key in keys}
    content[b"data"] = RNG.integers(0, 256, (n, 3072), dtype=np.uint8)
    return pickle.dumps(content, protocol=protocol)


@pytest.mark.parametrize("layout", ["keras3", "keras2", "archive3", "archive2", "origin"])
def test_cifar10(layout: str, cache: Path) -> None:
    batches = {f"data_batch_{i}": batch(3, ("labels",)) for i in range(1, 6)} | {"test_batch": batch(2, ("labels",))}
    if layout.startswith("keras"):
        folder = cache / ("cifar-10-batches-py-target" if layout == "keras3" else "") / "cifar-10-batches-py"
        folder.mkdir(parents=True)
        for name, content in batches.items():
            (folder / name).write_bytes(content)
    else:
        name = {"archive3": "cifar-10-batches-py-target_archive", "archive2": "cifar-10-batches-py.tar.gz"}
        with tarfile.open(cache / name.get(layout, "cifar-10-python.tar.gz"), "w:gz") as archive:
            for file, content in batches.items():
                info = tarfile.TarInfo(f"cifar-10-batches-py/{file}")
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    (x, y), (x_test, y_test) = datasets.cifar10.load_data()
    assert x.shape == (15, 32, 32, 3) and x.dtype == np.uint8 and y.shape == (15, 1) and y.dtype == np.uint8
    assert x_test.shape == (2, 32, 32, 3) and y_test.dtype == np.uint8
    second = pickle.loads(batches["data_batch_2"])
    np.testing.assert_array_equal(x[3], second[b"data"][0].reshape(3, 32, 32).transpose(1, 2, 0))
    np.testing.assert_array_equal(y[3:6, 0], second[b"labels"])


@pytest.mark.parametrize("mode", ["fine", "coarse"])
def test_cifar100(mode: str, cache: Path) -> None:
    folder = cache / "cifar-100-python"
    folder.mkdir()
    for name, n in (("train", 4), ("test", 2)):
        (folder / name).write_bytes(batch(n, ("fine_labels", "coarse_labels")))
    (x, y), (x_test, y_test) = datasets.cifar100.load_data(mode)
    assert x.shape == (4, 32, 32, 3) and y.shape == (4, 1) and y.dtype == np.int64 and y_test.shape == (2, 1)
    expected = pickle.loads((folder / "train").read_bytes())[f"{mode}_labels".encode()]
    np.testing.assert_array_equal(y[:, 0], expected)
    with pytest.raises(ValueError, match="label_mode"):
        datasets.cifar100.load_data("rough")


def ragged(n: int, highest: int = 90_000) -> np.ndarray:
    array = np.empty(n, object)
    for i in range(n):
        words = RNG.zipf(1.3, RNG.integers(1, 60)).clip(1, highest)
        array[i] = [int(w) for w in words]
    return array


@pytest.mark.parametrize(
    "arguments",
    [
        {}, {"num_words": 50}, {"num_words": 50, "skip_top": 5, "oov_char": None}, {"maxlen": 20},
        {"start_char": None}, {"start_char": None, "index_from": 0}, {"seed": 7, "index_from": 10, "start_char": 4},
    ],
)  # fmt: skip
def test_texts_against_keras(arguments: dict[str, Any], cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez(
        cache / "imdb.npz",
        x_train=ragged(30),
        y_train=RNG.integers(0, 2, 30),
        x_test=ragged(20),
        y_test=RNG.integers(0, 2, 20),
    )
    np.savez(cache / "reuters.npz", x=ragged(50), y=RNG.integers(0, 46, 50))
    theirs = keras_datasets(cache, monkeypatch)
    same(datasets.imdb.load_data(**arguments), theirs.imdb.load_data(**arguments))
    same(datasets.reuters.load_data(**arguments), theirs.reuters.load_data(**arguments))
    same(datasets.reuters.load_data(test_split=0.3), theirs.reuters.load_data(test_split=0.3))


def test_texts(cache: Path) -> None:
    for name, module in (("imdb", datasets.imdb), ("reuters", datasets.reuters)):
        (cache / f"{name}_word_index.json").write_text(json.dumps({"the": 1, "and": 2}))
        assert module.get_word_index() == {"the": 1, "and": 2}
        (cache / f"{name}_word_index.json").write_text("[" * 100_000)
        with pytest.raises(RefusedFile, match="word"):
            module.get_word_index()
    names = datasets.reuters.get_label_names()
    assert len(names) == 46 and names[0] == "cocoa" and names[45] == "lead"
    # Equal lengths stay lists.
    equal = np.empty(4, object)
    equal[:] = [[1, 2]] * 4
    np.savez(cache / "reuters.npz", x=equal, y=np.zeros(4, int))
    (x, _), _ = datasets.reuters.load_data()
    assert x.shape == (3,) and x[0] == [1, 4, 2]
    with pytest.warns(UserWarning, match="num_words"):
        datasets.reuters.load_data(nb_words=10)
    with pytest.raises(TypeError, match="surprise"):
        datasets.reuters.load_data(surprise=1)
    with pytest.raises(ValueError, match="maxlen=2"):
        datasets.reuters.load_data(maxlen=2)
    np.savez(cache / "reuters.npz", x=np.array([["a"], [1]], object), y=np.zeros(2, int))
    with pytest.raises(RefusedFile, match="texts as labels"):
        datasets.reuters.load_data()
    equal[0] = ["word"]
    np.savez(cache / "reuters.npz", x=equal, y=np.zeros(4, int))
    with pytest.raises(RefusedFile, match="list of integers"):
        datasets.reuters.load_data()


@pytest.mark.parametrize("name", ["boston_housing", "california_housing"])
def test_housing(name: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez(cache / f"{name}.npz", x=RNG.random((700, 8)), y=RNG.random(700).astype("float32"))
    module = getattr(datasets, name)
    theirs = getattr(keras_datasets(cache, monkeypatch), name)
    for arguments in ({}, {"test_split": 0.33, "seed": 5}, *([{"version": "small"}] if name[0] == "c" else [])):
        same(module.load_data(**arguments), theirs.load_data(**arguments))
    for arguments in ({"test_split": 1}, *([{"version": "medium"}] if name[0] == "c" else [])):
        with pytest.raises(ValueError, match=next(iter(arguments))):
            module.load_data(**arguments)


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "cifar10", "cifar100", "imdb", "reuters", "boston_housing"])
def test_without_a_network_the_error_says_what_to_do(name: str, cache: Path) -> None:
    with pytest.raises(OSError, match="no network here.*put that file.*at") as caught:
        getattr(datasets, name).load_data()
    assert str(cache) in str(caught.value) and "https://" in str(caught.value)
    assert not [p for p in cache.rglob("*") if p.is_file()]


# --- files that attack -------------------------------------------------------------------------------------------------


class Evil:
    def __reduce__(self) -> Any:
        return os.system, ("touch /tmp/berrante-was-here",)


def npz(path: Path, **members: bytes) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)


def npy(shape: Any, dtype: str, body: bytes) -> bytes:
    header = repr({"descr": dtype, "fortran_order": False, "shape": shape}).encode()
    header += b" " * (63 - (len(header) + 10) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + body


GOOD = npy((2,), "<i8", np.arange(2).tobytes())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (npy((2,), "|O", pickle.dumps(Evil())), "names posix.system"),
        (npy((2,), "|O", pickle.dumps([Evil(), 1])), "names posix.system"),
        (npy((2,), "|O", pickle.dumps([[1], [2]])), "not an array"),
        (npy((3,), "|O", pickle.dumps(np.array([[1], [2, 3]], object))), r"shape \(3,\)"),
        (npy((2,), "|O", b""), "too early"),
        (npy((10**12,), "<f8", b"x" * 80), "does not fit"),
        (npy((10**12,), "|O", b"x" * 80), "instruction"),
        (npy((-1,), "<f8", b""), "shape"),
        (npy((2,), "<U5", b"x" * 40), "dtype"),
        (npy((2,), "<i8", b"x" * 15), "does not fit"),
        (b"\x93NUMPY\x01\x00\x10\x00{'descr': foo()}\n", "header"),
        (b"\x93NUMPY\x01\x00\xff\xff" + b"(" * 65535, "header"),
        (b"no array", "header"),
        (bytes(70 << 20), "expand"),
    ],
)
def test_npz_attacks(content: bytes, message: str, cache: Path) -> None:
    npz(cache / "boston_housing.npz", x=content, y=GOOD)
    with pytest.raises(RefusedFile, match=message):
        datasets.boston_housing.load_data()
    assert not Path("/tmp/berrante-was-here").exists()


def test_damaged_npz(cache: Path) -> None:
    path = cache / "boston_housing.npz"
    np.savez(path, x=RNG.random((50, 13)), y=np.zeros(50))
    whole = path.read_bytes()
    for content in (b"", b"html", whole[:3000], whole[:2000] + b"x" + whole[2001:]):
        path.write_bytes(content)
        with pytest.raises(RefusedFile, match="boston_housing"):
            datasets.boston_housing.load_data()
    np.savez(path, x=np.zeros(3))
    with pytest.raises(RefusedFile, match="expected the arrays x, y; it holds x.npy"):
        datasets.boston_housing.load_data()


def test_cifar_attacks(cache: Path) -> None:
    folder = cache / "cifar-100-python"
    folder.mkdir()
    (folder / "test").write_bytes(batch(2, ("fine_labels",)))
    for content, message in (
        (pickle.dumps(Evil()), "posix.system"),
        (pickle.dumps({b"data": Evil(), b"fine_labels": []}, protocol=2), "posix.system"),
        (pickle.dumps([1, 2]), "expected data"),
        (pickle.dumps({b"data": np.zeros((2, 9), "u1"), b"fine_labels": [1, 2]}), "expected data"),
        (pickle.dumps({b"data": np.zeros((2, 3072), "u1"), b"fine_labels": [1]}), "expected fine_labels"),
        (pickle.dumps({b"data": np.zeros((1, 3072), "u1"), b"fine_labels": [[]]}), "expected fine_labels"),
        (pickle.dumps({b"data": np.zeros((1, 3072), "u1")}), "expected fine_labels"),
    ):
        (folder / "train").write_bytes(content)
        with pytest.raises(RefusedFile, match=message):
            datasets.cifar100.load_data()


# --- the reader of object streams --------------------------------------------------------------------------------------

PLAIN: list[Any] = [
    None, True, False, 0, 255, 256, 65535, 65536, -1, -(2**31), 2**31, -(2**70), 2**900, 1.5, -0.0, "", "text ä", "x" * 300,
    b"", b"bytes", bytes(300), [], (), {}, [1, [2, [3]]], (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), {"a": 1, b"b": [2], 3: {}},
    list(range(-3000, 3000)), [300] * 2500, [10**6, 5, 70_000], [1.5, 2, "a", None],
]  # fmt: skip


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_plain_objects(protocol: int) -> None:
    for thing in [*PLAIN, PLAIN]:
        found = read_objects(pickle.dumps(thing, protocol=protocol), "x")
        assert found == thing and type(found) is type(thing)
    shared = [1, 2]
    found = read_objects(pickle.dumps([shared, shared], protocol=protocol), "x")
    assert found[0] is found[1]


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize("dtype", ["u1", "<i2", ">i4", "<i8", ">f8", "f4", "f2", "?", "O"])
def test_arrays(dtype: str, protocol: int) -> None:
    for array in (
        np.arange(6).astype(dtype),
        np.arange(6).reshape(2, 3).astype(dtype),
        np.asfortranarray(np.eye(3, dtype=dtype)),
        np.zeros(0, dtype),
    ):
        for thing in (array, [array, array]):
            found = read_objects(pickle.dumps(thing, protocol=protocol), "x")
            for part in found if isinstance(thing, list) else [found]:
                assert part.dtype == array.dtype and part.shape == array.shape
                assert (part == array).all()


@pytest.mark.parametrize(
    "thing", [Evil(), print, os.system, np.float64(1), {1, 2}, bytearray(b"x"), 1j, np.dtype([("a", "i4")]), np.ma.zeros(2), Path("x"), range(3), Exception()]
)  # fmt: skip
@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_everything_else_is_refused(thing: Any, protocol: int) -> None:
    for content in (thing, [thing], {"a": thing}):
        with pytest.raises(RefusedFile, match="what"):
            read_objects(pickle.dumps(content, protocol=protocol), "what")


@pytest.mark.parametrize(
    "stream",
    [
        b"", b".", b"]", b"]]." , b"(.", b"e.", b"(e.", b"]a.", b"a.", b"K.", b"M\x01.", b"J\0\0\0.", b"h\x05.", b"}K\x01s.",
        b"}(K\x01u.", b"}(]K\x01u.", b"NK\x01a.", b"N)R.", b"cbuiltins\neval\n.", b"cnumpy\nndarray\n)R.", b"]]K\x01ba.",
        b"cnumpy\ndtype\nX\x02\0\0\0V8\x85R.", b"T\xff\xff\xff\xffx.", b"X\xff\xff\xff\x7fx.", b"\x8e" + b"\xff" * 8 + b".",
        b"cnumpy\ndtype\nX\x02\0\0\0u1\x85R(K\x03X\x01\0\0\0xtb.", b"((((.", b"q\0.", b"cnumpy", b"c" + b"x" * 500 + b"\n.",
        b"cnumpy\nndarray\nN\x86R.", b"X\x02\0\0\0\xff\xfe.", b"\x94.", b"0.", b"2.", b"P1\n.", b"i1\n.",
    ],
)  # fmt: skip
def test_forged_streams_are_refused(stream: bytes) -> None:
    with pytest.raises(RefusedFile, match="what"):
        read_objects(stream, "what")


def test_repetitions_are_refused() -> None:
    """One array whose content is referred to again and again would need far more memory than the file has bytes."""
    content = pickle.dumps(np.zeros(1000, "u1"), protocol=3)
    start = content.index(b"cnumpy")
    reduce, build = content[start : content.index(b"(K\x01")], content[content.index(b"(K\x01") : -1]
    data = b"\x80\x03(B\xe8\x03\0\0" + bytes(1000) + b"r\xff\0\0\0"
    one = reduce + build[: build.index(b"B\xe8")] + b"j\xff\0\0\0tb"
    assert len(read_objects(data + one + b"t.", "what")[1]) == 1000
    with pytest.raises(RefusedFile, match="repeats"):
        read_objects(data + one * 20 + b"t.", "what")


def test_damaged_streams_give_errors_only() -> None:
    """Mutations of valid streams: plain data comes out, or the file is refused; nothing else happens."""
    seeds = [pickle.dumps(PLAIN, protocol=p) for p in (2, 4)] + [
        batch(1, ("labels",))[-600:],
        pickle.dumps(ragged(4), protocol=3),
    ]
    rng = np.random.default_rng(1)
    for trial in range(3000):
        data = bytearray(seeds[trial % len(seeds)])
        for _ in range(rng.integers(1, 5)):
            at = int(rng.integers(len(data)))
            if rng.random() < 0.5:
                data[at] = rng.integers(256)
            else:
                data[at : at + int(rng.integers(3))] = rng.bytes(int(rng.integers(4)))
        try:
            read_objects(bytes(data), "what")
        except RefusedFile:
            pass
