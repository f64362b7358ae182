"""Mutation fuzzing of the loader: `python tests/saving/fuzz_files.py --count 3000 [--seed 0]`.

Valid files of every format are damaged (bytes, JSON values, HDF5 entries, archive members) by a seeded mutator. Each mutant
is loaded in a child process with a limit of memory and a watchdog. Allowed are a model whose weights are as before or all
replaced, and ValueError (RefusedFile among them), TypeError or OSError; a crash, a hang, other exceptions, more than 1 GB of
memory, or a model that was half changed are failures, reported with their seed.
"""

from __future__ import annotations

import argparse
import copy
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
import numpy as np

import berrante
from berrante import layers as L

ALLOWED = (ValueError, TypeError, OSError)
SECONDS = 20
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
            name = rng.choice(names)
            try:
                item, kind = file[name], rng.randrange(7)
            except (KeyError, RuntimeError, OSError):  # gone, or behind a link that leads nowhere
                continue
            if kind == 0:
                del file[name]
            elif kind == 1:
                del file[name]
                file[name] = h5py.SoftLink("/" + rng.choice(names))
            elif kind == 2:
                del file[name]
                shape = tuple(rng.choice([0, 1, 3, 1 << 20]) for _ in range(rng.randrange(4)))
                dtype = rng.choice(["f4", "f8", "i8", "u1", "S4", "c8", "f2"])
                file.create_dataset(name, shape, dtype, chunks=True if shape and 0 not in shape else None)
            elif kind == 3 and name != "x":
                file.move(name, "x")
                break
            else:
                holder = rng.choice([file, item])
                if len(holder.attrs):
                    key = rng.choice(list(holder.attrs))
                    old = holder.attrs[key]
                    if kind == 4 and isinstance(old, (str, bytes)) and str(old)[:1] in "{b":
                        data = old.encode() if isinstance(old, str) else bytes(old)
                        holder.attrs[key] = mutate_json(rng, data) if data[:1] == b"{" else b"{"
                    else:
                        holder.attrs[key] = rng.choice(
                            [b"x", 7, [b"x", b"y"], np.zeros(3), "", [[b"a"]], h5py.Empty("f4")]
                        )


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
    if path.name.startswith("m."):
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


def in_child(model: Any, path: Path) -> str:
    """Runs `load` in a child; gives what went wrong, or nothing."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(SECONDS)
        resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
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
    _, status, usage = os.wait4(pid, 0)
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        return "hang" if number == signal.SIGALRM else f"signal {number}"
    if usage.ru_maxrss * 1024 > MEMORY:
        return f"{usage.ru_maxrss >> 10} MB of memory"
    return text.decode(errors="replace")


def fuzz(count: int, seed: int = 0) -> list[tuple[int, str, str]]:
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
    arguments = parser.parse_args()
    found = fuzz(arguments.count, arguments.seed)
    for number, file, problem in found[:20]:
        print(f"--- seed {number}, {file}\n{problem}")
    print(f"{arguments.count} mutants, {len(found)} failures")
    sys.exit(bool(found))
