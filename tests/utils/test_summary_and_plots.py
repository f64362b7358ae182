"""summary() and the progress bar, character for character against Keras; pictures of models."""

from __future__ import annotations

import contextlib
import io
import os
import time
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest

import berrante
from berrante.utils import Progbar, layered

os.environ.setdefault("KERAS_BACKEND", "jax")


def keras() -> Any:
    pytest.importorskip(os.environ["KERAS_BACKEND"])
    return pytest.importorskip("keras")


def build(k: Any, kind: str) -> Any:
    L = k.layers
    if kind == "sequential":
        layers = [
            k.Input((28, 28, 1)),
            L.Conv2D(6, 5, padding="same"),
            L.BatchNormalization(),
            L.Flatten(),
            L.Dense(10),
        ]
        return k.Sequential(layers, name="s")
    if kind == "unbuilt":
        return k.Sequential([L.Dense(3), L.Dense(4)], name="u")
    if kind == "subclass":

        class Own(k.Model):
            def __init__(self) -> None:
                super().__init__(name="sub")
                self.first, self.second = L.Dense(3, name="dd"), L.Dense(2, name="ee")

            def call(self, x: Any) -> Any:
                return self.second(self.first(x))

        model = Own()
        model(np.zeros((2, 4), "float32"))
        return model
    a = k.Input((5,), name="a")
    if kind == "chain":
        return k.Model(a, L.Dense(2, name="d")(L.Dropout(0.2, name="drop")(a)), name="c")
    if kind == "operations":
        x = L.Dense(5, name="d")(a)
        return k.Model(a, k.ops.tanh(x) + a, name="op")
    inner = k.Sequential([k.Input((5,)), L.Dense(3, name="i1"), L.Dense(2, name="i2")], name="inner")
    if kind == "nested":
        i = k.Input((2,), name="i")
        heads = k.Model(i, [L.Dense(1, name="h1")(i), L.Dense(4, name="h2", trainable=False)(i)], name="heads")
        return k.Model(a, heads(inner(a)), name="n")
    b = k.Input((5,), name="b")
    shared = L.Dense(4, name="shared", activation="tanh")
    x = L.Concatenate(name="cat")([shared(a), shared(b), inner(b)])
    return k.Model([a, b], [L.Dense(2, name="d")(x), L.Dense(1, name="o2")(x)], name="f")


KINDS = ("sequential", "unbuilt", "subclass", "chain", "operations", "nested", "several")


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_summary_against_keras(kind: str, compiled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "130")
    k3 = keras()
    models = []
    for k in (berrante, k3):
        k.utils.clear_session()
        model = build(k, kind)
        if compiled and kind not in ("unbuilt", "nested", "several"):
            model.compile("adam", "mse")
            model.optimizer.build(model.trainable_weights)
        models.append(model)
    for arguments in (
        {},
        {"show_trainable": True},
        {"expand_nested": True, "line_length": 100},
        {"positions": [0.3, 0.6, 0.8, 1.0], "layer_range": ["d", "d"]}
        if kind in ("chain", "operations", "several")
        else {},
    ):
        texts: list[list[str]] = [[], []]
        for model, text in zip(models, texts):
            model.summary(print_fn=text.append, **arguments)
        assert texts[0] == texts[1]


def test_summary_habits(capsys: pytest.CaptureFixture[str]) -> None:
    model = build(berrante, "chain")
    model.summary(60)
    assert "Dropout" in capsys.readouterr().out
    with pytest.raises(ValueError, match="width"):
        model.summary(line_length=8)
    for layer_range, message in ((["x", "d"], "do not match"), (["d"], "two strings"), ([1, 2], "two strings")):
        with pytest.raises(ValueError, match=message):
            model.summary(layer_range=layer_range)


def shown(bar_class: Any, trial: int) -> str:
    """What a bar prints for random steps and values, with a clock that only this test moves."""
    rng = np.random.default_rng(trial)
    arguments: dict[str, Any] = {
        "target": [None, 0, 1, 7, 120][rng.integers(5)], "verbose": int(rng.integers(3)), "width": int(rng.integers(1, 30)),
        "interval": 0.0 if trial % 2 else 0.05,
    }  # fmt: skip
    arguments |= [{"stateful_metrics": ["a"]}, {"stateless_metrics": ["b"]}, {}][trial % 3]
    clock = [100.0]

    def now() -> float:
        clock[0] += 0.3
        return clock[0]

    with mock.patch.object(time, "time", now), contextlib.redirect_stdout(io.StringIO()) as out:
        bar = bar_class(**arguments)
        step = 0
        for _ in range(8):
            step += int(rng.integers(0, 4))
            clock[0] += float(rng.random() * 10.0 ** rng.integers(-5, 4))
            values = [
                ("a", float(rng.standard_normal() * 10.0 ** rng.integers(-6, 3))),
                ("b", np.float32(rng.random())),
            ]
            target = arguments["target"]
            bar.update(min(step, target) if target else step, values)
    return out.getvalue()


def test_progress_bar_against_keras() -> None:
    keras()
    theirs = pytest.importorskip("keras.src.utils.progbar").Progbar
    for trial in range(100):
        assert shown(Progbar, trial) == shown(theirs, trial)


def test_progress_bar_habits() -> None:
    with pytest.raises(ValueError, match="Only one"):
        Progbar(3, stateful_metrics=[], stateless_metrics=[])
    with contextlib.redirect_stdout(io.StringIO()) as out:
        bar = Progbar(4, interval=0)
        bar.add(1, [("loss", [1.0, 3.0])])
        bar.add(3, [("loss", 4.0)])
    assert "loss: 2.0000" in out.getvalue() and out.getvalue().endswith("loss: 4.0000\n")
    raw = io.BytesIO()
    ascii_only = io.TextIOWrapper(raw, encoding="ascii", write_through=True)
    with contextlib.redirect_stdout(ascii_only):
        Progbar(1).update(1)
    assert b"====" in raw.getvalue()


def overlaps(boxes: list[tuple[float, float, float, float]]) -> bool:
    return any(
        abs(x - u) < (w + a) / 2 - 1e-6 and abs(y - v) < (h + b) / 2 - 1e-6
        for i, (x, y, w, h) in enumerate(boxes)
        for u, v, a, b in boxes[:i]
    )


def test_no_boxes_overlap() -> None:
    for trial in range(40):
        rng = np.random.default_rng(trial)
        n = int(rng.integers(1, 15))
        sizes = [(float(w), float(h)) for w, h in rng.uniform(10, 200, (n, 2))]
        # Any edges, cycles and loops too: a layer may be called on what came of itself.
        edges = [(int(a), int(b)) for a, b in rng.integers(0, n, (int(rng.integers(0, 2 * n)), 2))]
        centres, bends = layered.place(sizes, edges)
        assert len(centres) == n and len(bends) == len(edges)
        assert not overlaps([(*c, *s) for c, s in zip(centres, sizes)])


def test_arrows_lead_downwards() -> None:
    centres, bends = layered.place([(50, 20)] * 4, [(0, 1), (1, 2), (0, 2), (2, 3)])
    assert [y for _, y in centres] == sorted({y for _, y in centres})
    assert len(bends[2]) == 1 and abs(bends[2][0][0] - centres[1][0]) > 25


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "unbuilt"])
def test_pictures(kind: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    image = pytest.importorskip("PIL.Image")
    model = build(berrante, kind)
    areas = []
    for i, arguments in enumerate(
        (
            {},
            {"show_shapes": True, "show_layer_names": True},
            {"show_shapes": True, "show_dtype": True, "show_layer_activations": True, "show_trainable": True, "expand_nested": True},
            {"rankdir": "LR", "show_layer_names": True, "dpi": 50},
        )
    ):  # fmt: skip
        path = tmp_path / f"{i}.png"
        berrante.utils.plot_model(model, path, **{"dpi": 60, **arguments})
        picture = image.open(path)
        pixels = np.asarray(picture.convert("RGB"))
        assert (pixels == 0).all(-1).mean() > 0.02 and (pixels == 255).all(-1).mean() > 0.1
        areas.append(picture.size[0] * picture.size[1])
    assert areas[2] > areas[1] > areas[0]


def test_dot_and_other_formats(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    model = build(berrante, "nested")
    drawing = berrante.utils.model_to_dot(model, expand_nested=True, show_shapes=True)
    source = drawing.to_string()
    assert source.startswith('digraph "n"') and source.count("->") == 5 and source.count("subgraph") == 2
    assert drawing.create(prog="dot", format="svg").lstrip().startswith(b"<?xml")
    assert drawing.create_png()[:4] == b"\x89PNG"
    drawing.write_pdf(tmp_path / "m.pdf")
    assert (tmp_path / "m.pdf").read_bytes()[:4] == b"%PDF"
    berrante.utils.plot_model(model, str(tmp_path / "plain"))
    assert (tmp_path / "plain").read_bytes()[:4] == b"\x89PNG"
    # Names are text, never formulas or markup.
    odd = berrante.Sequential([berrante.Input((2,)), berrante.layers.Dense(1, name="a$b_{<&")])
    assert "a$b_{&lt;&amp;" in berrante.utils.model_to_dot(odd).to_string()
    assert berrante.utils.model_to_dot(odd).create(format="svg")


def test_picture_errors(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not yet been built"):
        berrante.utils.plot_model(build(berrante, "unbuilt"), tmp_path / "x.png")
    model = build(berrante, "chain")
    for arguments, message in (
        ({"rankdir": "up"}, "rankdir"),
        ({"dpi": 0}, "dpi"),
        ({"layer_range": ["a", "b"]}, "layer_range"),
        ({"surprise": 1}, "surprise"),
    ):
        with pytest.raises(ValueError, match=message):
            berrante.utils.plot_model(model, tmp_path / "x.png", **arguments)
    assert not list(tmp_path.iterdir())
