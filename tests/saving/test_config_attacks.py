"""Configs that lie, loop, blow up or name what they must not, for every function that reads configs; and HDF5's odder objects."""

from __future__ import annotations

import copy
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

X = np.random.default_rng(0).random((4, 6)).astype("float32")


def network() -> Any:
    x = L.Input((6,), name="x")
    model = berrante.Model(x, L.Dense(2, name="b")(L.Dense(5, activation="relu", name="a")(x)), name="net")
    model.compile("adam", "mse")
    model.fit(X, np.zeros((4, 2)), verbose=0)
    return model


def node(module: Any, cls: Any, config: Any = None, registered: Any = None, **more: Any) -> dict[str, Any]:
    return {"module": module, "class_name": cls, "config": config or {}, "registered_name": registered, **more}


def tensor(layer: str = "x", call: int = 0, index: int = 0) -> dict[str, Any]:
    history = {"shape": [None, 6], "dtype": "float32", "keras_history": [layer, call, index]}
    return {"class_name": "__keras_tensor__", "config": history}


def operation(cls: str, config: dict[str, Any], *args: Any, module: str = "keras.src.ops.numpy") -> dict[str, Any]:
    return node(module, cls, {"name": "a", **config}, cls, name="a", inbound_nodes=[{"args": list(args), "kwargs": {}}])


def dense(**config: Any) -> Callable[[Any], None]:
    return lambda c: c["config"]["layers"][1]["config"].update(config)


def replaced(new: Any) -> Callable[[Any], None]:
    """The layer `a` becomes another node, called as before."""

    def change(c: Any) -> None:
        layers = c["config"]["layers"]
        layers[1] = new if "inbound_nodes" in new else {**layers[1], **new}

    return change


def calls(change: Callable[[Any], Any]) -> Callable[[Any], None]:
    def apply(c: Any) -> None:
        layer = c["config"]["layers"][1]
        layer["inbound_nodes"] = change(layer["inbound_nodes"])

    return apply


def all_layers(n: int) -> Callable[[Any], None]:
    return lambda c: c["config"]["layers"].extend([node("keras.layers", "Flatten", {"name": f"f{i}"}, inbound_nodes=[]) for i in range(n)])  # fmt: skip


CHANGES: dict[str, Callable[[Any], Any]] = {
    "dunders for a class": replaced(node("builtins", "__import__", {"name": "os"})), "a dunder of a class": replaced(node("keras.layers", "__class__")),
    "a path of attributes": replaced(node("keras.layers", "Dense.__init__.__globals__", {})), "a path for a class": replaced(node("keras.layers", "../../os.system")),
    "a registered name of nobody": replaced(node("keras.layers", "Dense", {"units": 5}, "evil>Dense")),
    "a registered name of ours that is none": replaced(node("berrante", "x", {}, "berrante>write_atomically")),
    "a module as class": replaced(node("os", "os", {}, "os")), "a loss for a layer": replaced(node("keras.losses", "MeanSquaredError", {"name": "a"})),
    "an optimizer for a layer": replaced(node("keras.optimizers", "Adam", {"name": "a"})), "a function for a layer": replaced(node("builtins", "function", "relu", "relu")),
    "an operation that is none": replaced(operation("System", {"command": "touch pwned"}, tensor())),
    "an operation without tensors": replaced(operation("BroadcastTo", {"shape": [1 << 20, 1 << 20]}, 1.0)), "a huge constant": replaced(operation("Full", {"shape": [1 << 20, 1 << 20], "fill_value": 1.0})),
    "millions of pieces": replaced(operation("ArraySplit", {"indices_or_sections": 1 << 24, "axis": 1}, tensor())),
    "a private operation": replaced(operation("__wrapped__", {}, tensor())), "an operation from elsewhere": replaced(operation("system", {"command": "true"}, tensor(), module="os")),
    "1e12 units": dense(units=int(1e12)), "1e12 units as a float": dense(units=1e12), "units of a hundred digits": dense(units=10**100), "no number of units": dense(units=float("nan")),
    "minus units": dense(units=-5), "units as text": dense(units="5; import os"), "a huge input": lambda c: c["config"]["layers"][0]["config"].update(batch_shape=[None, 1 << 31]),
    "an unknown argument": dense(__class__="os.system"), "an initializer from elsewhere": dense(kernel_initializer=node("os", "system", {"command": "touch pwned"})), "an activation from elsewhere": dense(activation=node("builtins", "function", "exec", "exec")),
    "an activation of a dotted name": dense(activation="os.system"), "a lambda for an activation": dense(activation=node("builtins", "__lambda__", {"code": "4wAA"})),
    "a table for an array": dense(kernel_initializer=node("keras.initializers", "Constant", {"value": {"class_name": "__numpy__", "config": {"value": [[]], "dtype": "O"}}})),
    "a graph that bites its tail": calls(lambda n: [{"args": [tensor("b")], "kwargs": {}}]), "a layer that eats itself": calls(lambda n: [{"args": [tensor("a")], "kwargs": {}}]),
    "a call that does not happen": calls(lambda n: [{"args": [tensor("x", 7)], "kwargs": {}}]), "an output that does not exist": calls(lambda n: [{"args": [tensor("x", 0, 9)], "kwargs": {}}]),
    "a layer of another model": calls(lambda n: [{"args": [tensor("zzz")], "kwargs": {}}]), "a million calls": calls(lambda n: n * 20_000), "calls that are none": calls(lambda n: [7]),
    "an unknown keyword": calls(lambda n: [{"args": [tensor()], "kwargs": {"__class__": 1}}]), "minus one": calls(lambda n: [{"args": [tensor("x", -1, -1)], "kwargs": {}}]),
    "20000 layers": all_layers(20_000), "two layers of a name": lambda c: c["config"]["layers"].append(copy.deepcopy(c["config"]["layers"][1])),
    "a name of a megabyte": lambda c: c["config"].update(name="n" * (1 << 20)), "nesting": dense(kernel_initializer=[[[[[[[]]]]]]]), "no layers": lambda c: c["config"].update(layers=None),
    "layers that are text": lambda c: c["config"].update(layers="Dense"), "outputs of nothing": lambda c: c["config"].update(output_layers=[["b", 0, 5]]), "no inputs": lambda c: c["config"].update(input_layers=[]),
}  # fmt: skip


def with_config(path: Path, config: Any) -> Path:
    """A copy of a model's file with another config."""
    target = path.with_name("attack" + path.suffix)
    if path.suffix == ".json":
        target.write_text(json.dumps(config))
    elif path.suffix == ".keras":
        with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w") as new:
            for name in old.namelist():
                new.writestr(name, json.dumps(config) if name == "config.json" else old.read(name))
    else:
        target.write_bytes(path.read_bytes())
        with h5py.File(target, "r+") as file:
            del file.attrs["model_config"]
            file.attrs["model_config"] = json.dumps(config) if len(json.dumps(config)) < 60_000 else b"{}"
    return target


@pytest.mark.parametrize("what", CHANGES)
def test_configs_are_refused_by_every_entry_point(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    model = network()
    config = json.loads(model.to_json())
    CHANGES[what](config)
    for name in ("m.keras", "m.h5"):
        model.save(name)
    (tmp_path / "m.json").write_text(model.to_json())
    attacks = [with_config(tmp_path / name, config) for name in ("m.keras", "m.h5", "m.json")]
    before = set(os.listdir(tmp_path))
    entries: list[Callable[[], Any]] = [
        *(lambda p=p, c=c: berrante.models.load_model(p, compile=c) for p in attacks[:2] for c in (True, False)),
        lambda: berrante.models.model_from_json(json.dumps(config)), lambda: deserialize_keras_object(copy.deepcopy(config)),
        lambda: berrante.Model.from_config(copy.deepcopy(config["config"])),
        lambda: deserialize_keras_object(copy.deepcopy(config), custom_objects={"os": 1}, safe_mode=False),
    ]  # fmt: skip
    for i, entry in enumerate(entries):
        with pytest.raises((ValueError, TypeError)):
            entry()
            pytest.fail(f"entry {i} let it pass")
    for attack in attacks:
        assert main(["summary", str(attack)]) == 1 and main(["convert", str(attack), "out.keras"]) == 1
    assert "Traceback" not in capsys.readouterr().err
    assert set(os.listdir(tmp_path)) == before and not os.path.exists("pwned")
    np.testing.assert_array_equal(berrante.models.load_model("m.keras").predict(X), model.predict(X))


PARTS: dict[str, Any] = {
    "losses": berrante.losses, "metrics": berrante.metrics, "optimizers": berrante.optimizers, "initializers": berrante.initializers,
    "regularizers": berrante.regularizers, "constraints": berrante.constraints, "activations": berrante.activations,
}  # fmt: skip


@pytest.mark.parametrize("family", PARTS)
def test_parts_from_configs(family: str) -> None:
    for evil in (
        node("os", "system", {"command": "touch pwned"}), node("builtins", "function", "eval", "eval"), {"class_name": "__lambda__", "config": {}},
        node("keras.utils", "get_file", {"origin": "file:///etc/passwd"}), node("keras." + family, "../x"), "os.system", "__import__", node("keras." + family, 7),
    ):  # fmt: skip
        for function in (PARTS[family].deserialize, PARTS[family].get)[
            isinstance(evil, str) :
        ]:  # a string may stay one
            with pytest.raises((ValueError, TypeError)):
                function(copy.deepcopy(evil))
    assert not os.path.exists("pwned")


@pytest.mark.parametrize("metric", [
    node("keras.metrics", "MeanIoU", {"num_classes": 1 << 20}), node("keras.metrics", "AUC", {"num_thresholds": 1 << 40}),
    node("os", "system", {"command": "touch pwned"}), "os.system", node("builtins", "function", "eval", "eval"),
])  # fmt: skip
def test_metrics_in_compile_configs(metric: Any, tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    network().save(path)
    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read("config.json"))
    config["compile_config"]["metrics"] = [metric]
    with pytest.raises((ValueError, TypeError)):
        berrante.models.load_model(with_config(path, config)).evaluate(X, np.zeros((4, 2)), verbose=0)
    assert berrante.models.load_model(path).predict(X).shape == (4, 2)


def test_texts_of_configs() -> None:
    good = network().to_json()
    twice = good.replace('"units": 5', '"units": 5, "units": 1099511627776')
    for text in (
        twice, good.replace('"units": 5', '"units": Infinity'), good.replace('"units": 5', '"units": 5e300'), good.replace('"units": 5', '"units": ' + "9" * 5000),
        good[:-1], good + "x", good.replace("5", "\0"), "\ufeff" + good, good.encode("utf-16").decode("latin-1"), "[" * 200 + "]" * 200, '{"a":' * 2000 + "1" + "}" * 2000,
        '"' + "\\" * 1_000_001, good.replace('"a"', '"\\ud800"') + " " * (33 << 20),
    ):  # fmt: skip
        with pytest.raises(ValueError):
            berrante.models.model_from_json(text)


@pytest.mark.parametrize(
    "name", ["../../evil", "/tmp/evil", "a/../b", "..", "evil\0", "\ud800", "{0.__class__}", "con"]
)
def test_names_are_never_paths(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A layer may have an odd name; nothing outside the file asked for is written, in whatever format."""
    monkeypatch.chdir(tmp_path)
    text = network().to_json().replace('"a"', json.dumps(name))
    try:
        model = berrante.models.model_from_json(text)
    except ValueError:
        return
    os.mkdir("in")
    for target in ("in/m.keras", "in/m.h5", "in/w.weights.h5", "in/w.weights"):
        try:
            (model.save_weights if "w." in target else model.save)(target)
        except ValueError:
            assert not os.path.exists(target)
    assert (
        os.listdir(tmp_path) == ["in"]
        and not Path("/tmp/evil").exists()
        and set(os.listdir("in")) <= {"m.keras", "m.h5", "w.weights.h5", "w.weights"}
    )


def test_custom_objects_stand_for_themselves_only(tmp_path: Path) -> None:
    """A file cannot give the user's names to other classes, nor built-in names to the user's functions it does not pass."""
    called: list[str] = []

    def evil(**kwargs: Any) -> Any:
        called.append("evil")

    config = json.loads(network().to_json())
    config["config"]["layers"][1].update(class_name="evil", module="anything", registered_name="evil")
    with pytest.raises(ValueError):
        deserialize_keras_object(copy.deepcopy(config), custom_objects={"evil": evil})
    with pytest.raises(ValueError):
        deserialize_keras_object(copy.deepcopy(config))
    assert called == []


# --- HDF5 -----------------------------------------------------------------------------------------------------------


def unknown_filter(group: h5py.Group, name: str) -> None:
    """A filter that would be looked for in the folder of plugins."""
    space, properties = h5py.h5s.create_simple((6, 5)), h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_chunk((6, 5))
    properties.set_filter(31_337, h5py.h5z.FLAG_OPTIONAL)
    h5py.h5d.create(group.id, name.encode(), h5py.h5t.IEEE_F32LE, space, properties)


def vlen(group: h5py.Group, name: str) -> None:
    group.create_dataset(name, (6, 5), h5py.vlen_dtype(np.float32))


OBJECTS: dict[str, Callable[[Any, str], Any]] = {
    "a filter of a plugin": unknown_filter, "arrays of any length": vlen, "a committed type": lambda g, n: g.__setitem__(n, np.dtype("f4")),
    "references to regions": lambda g, n: g.create_dataset(n, (6, 5), h5py.regionref_dtype), "opaque bytes": lambda g, n: g.create_dataset(n, (6, 5), np.dtype("V4")),
    "an enumeration of text": lambda g, n: g.create_dataset(n, (6, 5), h5py.string_dtype(length=4)), "times": lambda g, n: g.create_dataset(n, data=np.zeros((6, 5), "i8").astype("M8[s]").astype(h5py.opaque_dtype("M8[s]"))),
    "the file's root": lambda g, n: g.__setitem__(n, g.file["/"]), "the group itself": lambda g, n: g.__setitem__(n, g), "arrays of arrays": lambda g, n: g.create_dataset(n, (6,), np.dtype(("f4", (5,)))),
    "a dataset without end": lambda g, n: g.create_dataset(n, (1 << 62,), "u1", chunks=(1 << 20,)),
}  # fmt: skip


@pytest.mark.parametrize("what", OBJECTS)
@pytest.mark.parametrize(
    ("name", "kernel"), [("w.weights.h5", "layers/dense/vars/0"), ("m.h5", "model_weights/a/a/kernel:0")]
)
def test_odd_objects_in_hdf5(name: str, kernel: str, what: str, tmp_path: Path) -> None:
    model, path = network(), tmp_path / name
    (model.save if name.startswith("m.") else model.save_weights)(path)
    good = path.read_bytes()
    with h5py.File(path, "r+") as file:
        parent, leaf = kernel.rsplit("/", 1)
        del file[kernel]
        OBJECTS[what](file[parent], leaf)
    before = model.get_weights()
    with pytest.raises(RefusedFile):
        model.load_weights(path)
    with pytest.raises(ValueError):
        berrante.models.load_model(path)
    assert main(["summary", str(path)]) == 1
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    path.write_bytes(good)
    model.load_weights(path)


ATTRIBUTES: dict[str, Any] = {
    "numbers": np.zeros(3), "a reference": "reference", "text of any length": ["a/kernel:0", 7], "many": [b"x"] * 3000, "nothing": h5py.Empty("S1"), "a table": [[b"a/kernel:0", b"a/bias:0"]],
    "names that climb": [b"../../b/b/kernel:0", b"a/bias:0"], "absolute names": [b"/model_weights/b/b/kernel:0", b"a/bias:0"], "no text": [b"\xff\xfe", b"a/bias:0"],
    "a name twice": [b"a/kernel:0", b"a/kernel:0"], "a NUL": np.array([b"a\0/kernel:0", b"a/bias:0"]),
}  # fmt: skip


@pytest.mark.parametrize("what", ATTRIBUTES)
def test_odd_attributes_in_hdf5(what: str, tmp_path: Path) -> None:
    model, path = network(), tmp_path / "w.weights"
    model.save_weights(path)
    with h5py.File(path, "r+") as file:
        value = ATTRIBUTES[what]
        if what == "text of any length":
            file["a"].attrs.create(
                "weight_names", np.array(["x" * 100_000, "y"], dtype=object), dtype=h5py.string_dtype()
            )
        else:
            file["a"].attrs["weight_names"] = file["b"].ref if what == "a reference" else value
    before = model.get_weights()
    with pytest.raises(RefusedFile):
        model.load_weights(path)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
