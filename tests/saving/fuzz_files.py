"""Mutation fuzzing of the loader: `python tests/saving/fuzz_files.py --count 3000 [--seed 0] [--file m.keras]`.

Valid files of every format are damaged (bytes, JSON values, HDF5 entries, archive members) by a seeded mutator. Each mutant
is loaded in a child process that may take 1 GB more memory than before and some seconds of processor time. Allowed are a
model whose weights are as before or all replaced, and ValueError (RefusedFile among them), TypeError or OSError; a crash, a
hang, other exceptions, lack of memory, or a model that was half changed are failures, reported with their seed.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import io
import json
import os
import random
import resource
import signal
import sys
import tempfile
import traceback
import warnings
import zipfile
from pathlib import Path
from typing import Any

import h5py
import legacy_files
import numpy as np

import berrante
from berrante import layers as L
from berrante.cli import main as command_line

ALLOWED = (ValueError, TypeError, OSError)
SECONDS = 20  # of processor time
PATIENCE = 300  # seconds, for what waits
MEMORY = 1 << 30
VALUES: list[Any] = [
    None, True, -1, 0, 1, 2, 3.5, 1e308, float("inf"), float("nan"), 1 << 31, 1 << 63, "", "x", "/etc/passwd", [], {}, [[]],
    {"class_name": "Dense"}, {"class_name": "__lambda__", "config": {}}, [None], ["a", 0, 0], "channels_first", "\x00",
]  # fmt: skip


def network() -> Any:
    image = L.Input((8, 8, 2), name="image")
    x = L.Conv2D(3, 3, activation="relu", name="c")(image)
    x = L.BatchNormalization(name="n")(x)
    x = L.Add(name="s")([x, L.Conv2D(3, 1, name="d")(x)])
    x = L.Dropout(0.1, name="r")(L.Flatten(name="f")(L.MaxPooling2D(name="p")(x)))
    model = berrante.Model(image, L.Dense(4, activation="softmax", kernel_regularizer="l2", name="o")(x), name="net")
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy", berrante.metrics.AUC(num_thresholds=20)])
    rng = np.random.default_rng(0)
    model.fit(rng.random((4, 8, 8, 2)).astype("float32"), np.eye(4, dtype="float32"), verbose=0)
    return model


def originals(folder: Path, model: Any) -> list[Path]:
    model.save(folder / "m.keras")
    model.save(folder / "m.h5")
    model.save_weights(folder / "w.weights.h5")
    model.save_weights(folder / "w.weights")
    (folder / "m.json").write_text(model.to_json())
    state = [("Adam/iterations:0", np.int64(3))]
    state += [(f"training/Adam/Variable_{i}:0", np.ones(s)) for i, (*_, s) in enumerate(2 * legacy_files.TRAINED)]
    settings = legacy_files.training("Adam", lr=0.001, beta_1=0.9, beta_2=0.999, decay=0.0, epsilon=1e-7, amsgrad=False)
    legacy_files.write_model(folder / "m2.h5", legacy_files.some_weights(), settings, state)
    return sorted(folder.iterdir())


# --- mutators -------------------------------------------------------------------------------------------------------


def mutate_bytes(rng: random.Random, data: bytes) -> bytes:
    b = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 4, 16, 64])):
        i = rng.randrange(len(b))
        kind = rng.random()
        if kind < 0.6:
            b[i] = rng.choice([0, 255, rng.randrange(256), b[i] ^ (1 << rng.randrange(8))])
        elif kind < 0.75:
            b[i : i + 8] = rng.randrange(1 << 63).to_bytes(8, "little")
        elif kind < 0.85:
            del b[i : i + rng.randrange(1, 64)]
        elif kind < 0.95:
            b[i:i] = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 16)))
        else:
            del b[i:]
        if not b:
            b = bytearray(b"x")
    return bytes(b)


def mutate_json(rng: random.Random, text: bytes) -> bytes:
    """Replaces, removes, renames or repeats some values."""
    tree = json.loads(text)
    for _ in range(rng.choice([1, 1, 2, 4])):
        places: list[tuple[Any, Any]] = []
        stack = [tree]
        while stack:
            x = stack.pop()
            items = x.items() if isinstance(x, dict) else enumerate(x) if isinstance(x, list) else ()
            for k, v in items:
                places.append((x, k))
                stack.append(v)
        if not places:
            break
        parent, key = rng.choice(places)
        kind = rng.random()
        if kind < 0.6:
            parent[key] = copy.deepcopy(rng.choice(VALUES))
        elif kind < 0.75:
            other, k = rng.choice(places)
            parent[key] = json.loads(json.dumps(other[k])) if k in other or isinstance(other, list) else None
        elif kind < 0.9:
            del parent[key]
        elif isinstance(parent, dict):
            parent[rng.choice(["name", "units", "config", "class_name", "layers", "shape"])] = parent.pop(key)
        else:
            parent.insert(key, copy.deepcopy(parent[key]))
    return json.dumps(tree).encode()


def mutate_hdf5(rng: random.Random, path: Path) -> None:
    """Removes, moves, links or reshapes entries, and changes attributes."""
    with h5py.File(path, "r+") as file:
        names: list[str] = []
        file.visit(names.append)
        for _ in range(rng.choice([1, 1, 2, 4])):
            # Some changes are not possible in all places, or any more.
            with contextlib.suppress(KeyError, RuntimeError, OSError, ValueError, TypeError):
                _change(rng, file, names, rng.choice(names))


def _change(rng: random.Random, file: Any, names: list[str], name: str) -> None:
    item, kind = file[name], rng.randrange(10)
    if kind in (0, 1, 2, 7):
        del file[name]
    if kind == 1:
        file[name] = h5py.SoftLink("/" + rng.choice(names))
    elif kind == 2:
        shape = tuple(rng.choice([0, 1, 3, 1 << 20]) for _ in range(rng.randrange(4)))
        dtype = rng.choice(["f4", "f8", "i8", "u1", "S4", "c8", "f2"])
        file.create_dataset(name, shape, dtype, chunks=True if shape and 0 not in shape else None)
    elif kind == 3:
        file.move(name, "x")
    elif kind == 7:
        file[name] = rng.choice([h5py.ExternalLink("/etc/passwd", "x"), np.dtype("f4"), h5py.SoftLink(name)])
    elif kind == 8 and isinstance(item, h5py.Dataset):
        shape, dtype = item.shape, item.dtype
        del file[name]
        _elsewhere(rng, file, name, shape, dtype)
    elif kind == 9:
        file[f"{rng.choice(names)}/{rng.choice(['x', '0', 'vars', '..', '', 'kernel:0'])}"] = item
    elif kind:
        _change_attribute(rng, rng.choice([file, item]), kind)


def _change_attribute(rng: random.Random, holder: Any, kind: int) -> None:
    if not len(holder.attrs):
        return
    key = rng.choice(list(holder.attrs))
    old = holder.attrs[key]
    if kind == 4 and isinstance(old, (str, bytes)) and str(old)[:1] in "{b":
        data = old.encode() if isinstance(old, str) else bytes(old)
        holder.attrs[key] = mutate_json(rng, data) if data[:1] == b"{" else b"{"
    else:
        holder.attrs[key] = rng.choice([b"x", 7, [b"x", b"y"], np.zeros(3), "", [[b"a"]], h5py.Empty("f4")])


def _elsewhere(rng: random.Random, file: Any, name: str, shape: Any, dtype: Any) -> None:
    """A dataset like the one that was there, but packed, or with its data in other files."""
    kind = rng.randrange(4)
    if kind == 0:
        size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        file.create_dataset(name, shape, dtype, external=[("/etc/passwd", 0, max(size, 1))])
    elif kind == 1:
        layout = h5py.VirtualLayout(shape, dtype)
        if shape:
            layout[...] = h5py.VirtualSource("/tmp/none.h5", "x", shape)
        file.create_virtual_dataset(name, layout)
    elif kind == 2 and shape:
        packing: Any = rng.choice(["gzip", "lzf"])
        file.create_dataset(name, data=np.ones(shape, dtype), chunks=True, compression=packing, fletcher32=True)
    else:
        file.create_dataset(name, data=np.full(shape, rng.choice([np.nan, 1e38, -1]), dtype))


def mutate(rng: random.Random, source: Path, target: Path) -> None:
    data = source.read_bytes()
    whole = rng.random() < 0.4
    if source.suffix == ".json":
        target.write_bytes(mutate_bytes(rng, data) if whole else mutate_json(rng, data))
    elif whole:
        target.write_bytes(mutate_bytes(rng, data))
    elif source.suffix == ".keras":
        with zipfile.ZipFile(source) as archive:
            members = {n: archive.read(n) for n in archive.namelist()}
        name = rng.choice(["config.json", "config.json", "model.weights.h5", "metadata.json"])
        if name.endswith(".json"):
            members[name] = mutate_json(rng, members[name])
        else:
            target.write_bytes(members[name])
            mutate_hdf5(rng, target)
            members[name] = target.read_bytes()
        with zipfile.ZipFile(target, "w", rng.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])) as archive:
            for member, content in members.items():
                archive.writestr(member, content)
    else:
        target.write_bytes(data)
        mutate_hdf5(rng, target)


# --- one mutant in a child ------------------------------------------------------------------------------------------


def load(model: Any, path: Path) -> None:
    """Every way in that fits the file; raises what is not allowed."""
    before = model.get_weights()
    entries: list[Any] = [
        lambda: model.load_weights(path),
        lambda: model.load_weights(path, by_name=True, skip_mismatch=True),
    ]
    if path.name.startswith("m"):
        entries.insert(0, lambda: berrante.models.load_model(path))
    if path.suffix == ".json":
        entries = [lambda: berrante.models.model_from_json(path.read_bytes().decode("utf-8", "surrogateescape"))]
    for entry in entries:
        try:
            entry()
        except ALLOWED:
            now = model.get_weights()
            if not all(np.array_equal(a, b, equal_nan=True) for a, b in zip(before, now, strict=True)):
                raise AssertionError("a refused file changed the model") from None
        before = model.get_weights()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        if command_line(["convert", str(path), str(path) + ".out.keras", "--overwrite"]) not in (0, 1):
            raise AssertionError("convert gave another status than 0 and 1")


def in_child(model: Any, path: Path) -> str:
    """Runs `load` in a child; gives what went wrong, or nothing."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(PATIENCE)
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        limit = _address_space() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        status = 0
        try:
            warnings.simplefilter("ignore")
            load(model, path)
        except BaseException:
            os.write(write, traceback.format_exc()[-4000:].encode())
            status = 1
        os._exit(status)
    os.close(write)
    text = b""
    while chunk := os.read(read, 1 << 16):
        text += chunk
    os.close(read)
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        return "hang" if number in (signal.SIGALRM, signal.SIGXCPU, signal.SIGKILL) else f"signal {number}"
    return text.decode(errors="replace")


def _address_space() -> int:
    """Bytes of address space that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def fuzz(count: int, seed: int = 0, only: str = "") -> list[tuple[int, str, str]]:
    """The failures among `count` mutants: seed, file, what happened."""
    failures = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "good").mkdir()
        (folder / "bad").mkdir()
        model = network()
        sources = originals(folder / "good", model)
        for source in sources:  # sound files load
            assert in_child(model, source) == "", in_child(model, source)
        sources = [source for source in sources if only in ("", source.name)]
        for i in range(seed, seed + count):
            rng = random.Random(i)
            source = sources[i % len(sources)]
            target = folder / "bad" / source.name
            mutate(rng, source, target)
            problem = in_child(model, target)
            if problem:
                failures.append((i, source.name, problem))
    return failures


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--file", default="", help="only mutants of this file: m.keras, m.h5, m2.h5, w.weights.h5, w.weights, m.json"
    )
    arguments = parser.parse_args()
    found = fuzz(arguments.count, arguments.seed, arguments.file)
    for number, file, problem in found[:20]:
        print(f"--- seed {number}, {file}\n{problem}")
    print(f"{arguments.count} mutants, {len(found)} failures")
    sys.exit(bool(found))
