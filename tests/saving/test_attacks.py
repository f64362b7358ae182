"""Files that attack the loader: each is refused, and afterwards the sound file of its kind still loads."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import berrante
from berrante import layers as L
from berrante.cli import main
from berrante.saving import deserialize_keras_object
from berrante.saving.guard import RefusedFile

FORMATS = ("m.keras", "m.h5")
X = np.random.default_rng(0).random((4, 6)).astype("float32")


def network() -> Any:
    model = berrante.Sequential([L.Input((6,)), L.Dense(5, activation="relu", name="a"), L.Dense(2, name="b")])
    model.compile("adam", "mse")
    model.fit(X, np.zeros((4, 2)), verbose=0)
    return model


def with_config(path: Path, change: Callable[[Any], Any]) -> Path:
    """A copy of a model's file with another config."""
    target = path.with_name("attack" + path.suffix)
    if path.suffix == ".keras":
        with zipfile.ZipFile(path) as archive:
            members = {n: archive.read(n) for n in archive.namelist()}
        config = json.loads(members["config.json"])
        members["config.json"] = json.dumps(change(config) or config).encode()
        with zipfile.ZipFile(target, "w") as archive:
            for name, data in members.items():
                archive.writestr(name, data)
        return target
    target.write_bytes(path.read_bytes())
    with h5py.File(target, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        file.attrs["model_config"] = json.dumps(change(config) or config).encode()
    return target


def node(module: str, cls: str, /, **config: Any) -> dict[str, Any]:
    return {"module": module, "class_name": cls, "config": config, "registered_name": cls}


LAMBDA = {"class_name": "__lambda__", "config": {"code": "4wAAAAAAAAAA", "defaults": None, "closure": None}}
NODES = {
    "a Lambda with bytecode": node("keras.layers", "Lambda", name="l", function=LAMBDA),
    "a Lambda with Keras 2's list": node("keras.layers", "Lambda", name="l", function=["4wAAAAAAAAAA", None, None]),
    "a Lambda of a built-in name": node("keras.layers", "Lambda", name="l", function=node("builtins", "function")),
    "os.system": node("os", "system", command="touch pwned"),
    "subprocess.Popen": node("subprocess", "Popen", args=["touch", "pwned"]),
    "builtins.eval": {"module": "builtins", "class_name": "function", "config": "eval", "registered_name": "eval"},
    "keras.utils.get_file": node("keras.utils", "get_file", origin="file:///etc/passwd", fname="pwned"),
    "enable_unsafe_deserialization": node("keras.config", "enable_unsafe_deserialization"),
    "TorchModuleWrapper": node("keras.layers", "TorchModuleWrapper", module="gASVAAAA"),
    "TFSMLayer": node("keras.layers", "TFSMLayer", filepath="/tmp/evil"),
    "StringLookup": node("keras.layers", "StringLookup", vocabulary="/etc/passwd"),
    "TextVectorization": node("keras.layers", "TextVectorization", vocabulary="file:///etc/passwd"),
    "a class of berrante that is no layer": node("berrante.saving", "write_atomically", path="pwned"),
    "huge units": node("keras.layers", "Dense", units=1 << 40),
    "a million units, more than the file holds": node("keras.layers", "Dense", units=1 << 20),
    "huge filters": node("keras.layers", "Conv2D", filters=1 << 33, kernel_size=3),
    "a huge table": node("keras.layers", "Embedding", input_dim=1 << 24, output_dim=1 << 20),
    "infinite units": node("keras.layers", "Dense", units=float("inf")),
    "a list for a config": {"module": "keras.layers", "class_name": "Dense", "config": [1, 2], "registered_name": None},
    "a number for a class": {"module": "keras.layers", "class_name": 7, "config": {}, "registered_name": None},
    "objects in an array": {"class_name": "__numpy__", "config": {"value": ["x"], "dtype": "O"}},
    "an unknown data type": {"class_name": "__typespec__", "config": {}},
}  # fmt: skip


def all_entries(path: Path, config: Any) -> list[Callable[[], Any]]:
    return [
        lambda: berrante.models.load_model(path),
        lambda: berrante.models.load_model(path, compile=False, safe_mode=False),
        lambda: berrante.models.model_from_json(json.dumps(config)),
        lambda: deserialize_keras_object(config),
        lambda: deserialize_keras_object(config, safe_mode=False),
        lambda: berrante.Sequential.from_config(config["config"]),
    ]


def nothing_happened(folder: Path, before: set[str]) -> None:
    assert {p.name for p in folder.iterdir()} == before
    assert not os.path.exists("pwned")


@pytest.mark.parametrize("what", NODES)
@pytest.mark.parametrize("name", FORMATS)
def test_configs_that_name_other_things(name: str, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / name
    model = network()
    model.save(path)
    config = json.loads(model.to_json())

    def change(c: Any) -> None:
        c["config"]["layers"][1] = NODES[what]

    attack = with_config(path, change)
    change(config)
    before = {p.name for p in tmp_path.iterdir()}
    for entry in all_entries(attack, config):
        with pytest.raises((ValueError, TypeError)):
            entry()
    assert main(["convert", str(attack), str(tmp_path / "out.keras")]) == 1
    nothing_happened(tmp_path, before)
    np.testing.assert_array_equal(berrante.models.load_model(path).predict(X), model.predict(X))


@pytest.mark.parametrize("name", FORMATS)
def test_compile_configs_that_name_other_things(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    network().save(path)
    evil = node("os", "system", command="true")
    if name == "m.keras":
        attack = with_config(path, lambda c: c["compile_config"].update(loss=evil))
    else:
        attack = tmp_path / "attack.h5"
        attack.write_bytes(path.read_bytes())
        with h5py.File(attack, "r+") as file:
            settings = json.loads(file.attrs["training_config"])
            file.attrs["training_config"] = json.dumps({**settings, "loss": evil}).encode()
    with pytest.raises(ValueError, match="unknown class 'system'"):
        berrante.models.load_model(attack)


def test_bombs_of_json() -> None:
    deep = '{"a":' * 500 + "1" + "}" * 500
    layers = [{"class_name": "Flatten", "config": {}}] * 20_000
    many = json.dumps({"class_name": "Sequential", "config": {"layers": layers}})
    for text in (deep, many, "[" * 100_000, "9" * 10_000, '{"class_name": "Sequential"', "{}", "null", "\ud800"):
        with pytest.raises(ValueError):
            berrante.models.model_from_json(text)


@pytest.mark.parametrize("change", [
    lambda z: z.writestr("../evil", b"x"),
    lambda z: z.writestr("/etc/evil", b"x"),
    lambda z: z.writestr("assets/bomb", b"\0" * (1 << 26), zipfile.ZIP_DEFLATED),
    lambda z: z.writestr("config.json", b"{}"),
    lambda z: z.writestr("x", b"x", zipfile.ZIP_LZMA),
])  # fmt: skip
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_bombs_and_traps_in_archives(change: Any, tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    model = network()
    model.save(path)
    attack = tmp_path / "attack.keras"
    attack.write_bytes(path.read_bytes())
    with zipfile.ZipFile(attack, "a") as archive:
        change(archive)
    weights = model.get_weights()
    with pytest.raises(RefusedFile):
        berrante.models.load_model(attack)
    with pytest.raises(RefusedFile):
        model.load_weights(attack)
    for a, b in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    berrante.models.load_model(path)


# --- HDF5 -----------------------------------------------------------------------------------------------------------


def replace(group: Any, name: str, make: Callable[[Any, str], Any]) -> None:
    del group[name]
    make(group, name)


def external_storage(group: Any, name: str, secret: str) -> None:
    group.create_dataset(name, (6, 5), "f4", external=[(secret, 0, 120)])


def virtual(group: Any, name: str, secret: str) -> None:
    layout = h5py.VirtualLayout((6, 5), "f4")
    layout[:] = h5py.VirtualSource(secret, "x", (6, 5))
    group.create_virtual_dataset(name, layout)


def huge_chunks(group: Any, name: str) -> None:
    group.create_dataset(name, data=np.ones((6, 5), "f4"), maxshape=(None, None), chunks=(1 << 14, 1 << 14))


HDF5 = {
    "an external link": lambda g, n, s: g.__setitem__(n, h5py.ExternalLink(s, "x")),
    "a link to a device": lambda g, n, s: g.__setitem__(n, h5py.ExternalLink("/dev/zero", "x")),
    "a soft link": lambda g, n, s: g.__setitem__(n, h5py.SoftLink("/")),
    "a soft link to itself": lambda g, n, s: g.__setitem__(n, h5py.SoftLink(f"{g.name}/{n}")),
    "external storage": external_storage,
    "a virtual dataset": virtual,
    "a huge shape": lambda g, n, s: g.create_dataset(n, (1 << 40,), "f4", chunks=(1024,)),
    "a huge shape of the right rank": lambda g, n, s: g.create_dataset(n, (1 << 20, 1 << 20), "f4", chunks=(64, 64)),
    "huge chunks": lambda g, n, s: huge_chunks(g, n),
    "strings": lambda g, n, s: g.create_dataset(n, (6, 5), h5py.string_dtype()),
    "references": lambda g, n, s: g.create_dataset(n, (6, 5), h5py.ref_dtype),
    "compounds": lambda g, n, s: g.create_dataset(n, (6, 5), np.dtype([("a", "f4"), ("b", "O8" if False else "i4")])),
    "complex numbers": lambda g, n, s: g.create_dataset(n, (6, 5), "c8"),
    "nothing": lambda g, n, s: g.create_dataset(n, data=h5py.Empty("f4")),
    "a group": lambda g, n, s: g.create_group(n),
    "another shape": lambda g, n, s: g.create_dataset(n, data=np.zeros((5, 6), "f4")),
    "absence": lambda g, n, s: None,
}  # fmt: skip
KERNELS = {"w.weights.h5": "layers/dense/vars/0", "w.weights": "a/a/kernel:0", "m.h5": "model_weights/a/a/kernel:0"}


@pytest.mark.parametrize("what", HDF5)
@pytest.mark.parametrize("name", [*KERNELS, "m.keras"])
def test_hdf5_that_leaves_the_file_or_its_size(name: str, what: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["x"] = np.full((6, 5), 42, "f4")
    model, path, attack = network(), tmp_path / name, tmp_path / f"attack-{name}"
    (model.save if name.startswith("m.") else model.save_weights)(path)

    def change(target: Any, kernel: str) -> None:
        with h5py.File(target, "r+") as file:
            parent, leaf = kernel.rsplit("/", 1)
            replace(file[parent], leaf, lambda g, n: HDF5[what](g, n, str(secret)))

    if name == "m.keras":
        inside = tmp_path / "inside.h5"
        with zipfile.ZipFile(path) as old:
            inside.write_bytes(old.read("model.weights.h5"))
            change(inside, KERNELS["w.weights.h5"])
            with zipfile.ZipFile(attack, "w") as new:
                new.writestr("config.json", old.read("config.json"))
                new.writestr("model.weights.h5", inside.read_bytes())
    else:
        attack.write_bytes(path.read_bytes())
        change(attack, KERNELS[name])
    before = model.get_weights()
    with pytest.raises(RefusedFile):
        model.load_weights(attack)
    if what not in ("another shape", "absence", "nothing"):
        with pytest.raises(RefusedFile):
            model.load_weights(attack, skip_mismatch=what not in ("a huge shape", "a huge shape of the right rank"))
    if name.startswith("m."):
        with pytest.raises(ValueError):
            berrante.models.load_model(attack)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    model.load_weights(path)


@pytest.mark.parametrize("name", ["../a", "/model_weights/../a", ".", "", "a/../../x"])
def test_names_in_hdf5_that_are_paths(name: str, tmp_path: Path) -> None:
    model, path = network(), tmp_path / "w.weights"
    model.save_weights(path)
    with h5py.File(path, "r+") as file:
        file["a"].attrs["weight_names"] = [name.encode(), b"a/bias:0"]
    with pytest.raises(RefusedFile):
        model.load_weights(path)


def test_groups_that_contain_themselves(tmp_path: Path) -> None:
    model, path = network(), tmp_path / "m.h5"
    model.save(path)
    with h5py.File(path, "r+") as file:
        file["model_weights/loop"] = file["model_weights"]
    berrante.models.load_model(path)  # unused, so harmless: it is not walked for ever


def test_strings_of_variable_length_whose_collection_is_broken(tmp_path: Path) -> None:
    """HDF5 itself goes round for ever in these."""
    model, path = network(), tmp_path / "m.h5"
    model.save(path)
    with h5py.File(path, "r+") as file:
        file.attrs["keras_version"] = "a string of variable length"
    data = path.read_bytes()
    at = data.index(b"GCOL")
    for place, value in ((at + 8, 1 << 62), (at + 24, 1 << 63), (at + 24, (1 << 64) - 32)):
        path.write_bytes(data[:place] + value.to_bytes(8, "little") + data[place + 8 :])
        for load in (berrante.models.load_model, network().load_weights):
            with pytest.raises(RefusedFile, match="collection of strings"):
                load(path)
    path.write_bytes(data)
    berrante.models.load_model(path)


@pytest.mark.parametrize("what", ["optimizer", "loss", "metric"])
def test_configs_that_name_no_class(what: str) -> None:
    get = {"optimizer": berrante.optimizers, "loss": berrante.losses, "metric": berrante.metrics}[what].get
    with pytest.raises(ValueError, match=f"config of a {what} names no class"):
        get({"klass_name": "Adam", "config": {"learning_rate": 0.1}})


def test_an_orbax_folder_or_a_fifo_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        berrante.models.load_model(tmp_path)
    with pytest.raises(IsADirectoryError):
        network().save(tmp_path)
