"""Random models through files, both directions with the real Keras: `python tests/saving/round_trips.py --count 100 [--seed 0]`.

A model is built and trained a few steps in one library, saved, loaded in the other: predictions, weights and the
optimizer's state must agree, and so must training that goes on; what the other then saves must come back the same. Within
berrante all is compared bit for bit. Every case follows from its number alone.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import traceback
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("KERAS_BACKEND", "jax")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import random_models as draw  # noqa: E402

import berrante  # noqa: E402

# The optimizer that Keras does not find by the name that its own .h5 files give it. Nor does it find operations there.
UNREAD = ("Lamb",)
UNWRITTEN = ("Adafactor",)  # Keras fails to write its state into .h5
# The loss whose argument (delta) Keras leaves out of its files, so that training goes on with another loss.
FORGOTTEN = ("Huber",)
SUFFIXES = (".keras", ".h5", ".weights.h5")


def keras() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import keras

    return keras


def has_operations(spec: draw.Spec) -> bool:
    return any(
        isinstance(s.what, str) or (isinstance(s.what, draw.Spec) and has_operations(s.what)) for s in spec.steps
    )


def data_for(rng: Any, spec: draw.Spec) -> tuple[Any, Any]:
    n = 8
    xs = [rng.normal(size=(n, *s)).astype(np.float32) for s in spec.inputs]
    ys = [rng.normal(size=(n, draw.OUTPUTS)).astype(np.float32) for _ in range(max(len(spec.outputs), 1))]
    return (xs if len(xs) > 1 else xs[0]), (ys if len(ys) > 1 else ys[0])


def predictions(model: Any, x: Any) -> list[np.ndarray]:
    found = model.predict(x, verbose=0)
    return [np.asarray(y) for y in (found if isinstance(found, list) else [found])]


def train(model: Any, x: Any, y: Any, steps: int) -> None:
    model.fit(x, y, batch_size=8, epochs=steps, shuffle=False, verbose=0)


def weights_of(model: Any) -> list[tuple[str, np.ndarray]]:
    """Weights without the states of random generators, which older files leave out."""
    return [(w.name, np.asarray(w)) for w in model.weights if "seed_generator" not in w.path]


def state_of(model: Any) -> list[tuple[str, np.ndarray]]:
    return [(v.name, np.asarray(v)) for v in model.optimizer.variables] if model.optimizer.built else []


def close(what: str, ours: Any, theirs: Any, rtol: float = 1e-3, atol: float = 1e-4) -> None:
    assert len(ours) == len(theirs), f"{what}: {len(ours)} and {len(theirs)}"
    for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        name = ""
        if isinstance(a, tuple):
            (name, a), (_, b) = a, b
        a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
        limit = atol + rtol * float(np.abs(b).max(initial=0.0))
        assert a.shape == b.shape and np.allclose(a, b, rtol=0, atol=limit, equal_nan=True), (
            f"{what} {i} {name}: shapes {a.shape} {b.shape}, off by {np.abs(a - b).max() if a.shape == b.shape else '-'}"
        )


def mostly_close(what: str, ours: Any, theirs: Any, rtol: float = 5e-3, atol: float = 2e-3) -> None:
    """Some elements may differ: where a gradient is nearly 0, optimizers go by its sign, and that by rounding."""
    assert len(ours) == len(theirs), f"{what}: {len(ours)} and {len(theirs)}"
    off = total = 0
    for (_, a), (_, b) in zip(ours, theirs, strict=True):
        off += int((~np.isclose(a, b, rtol, atol, equal_nan=True)).sum())
        total += a.size
    assert off <= 0.2 * total, f"{what}: {off} of {total} weights differ"


def same(what: str, a: Any, b: Any) -> None:
    close(what, a, b, 0.0, 0.0)


def save(model: Any, path: Path) -> None:
    (model.save_weights if path.name.endswith(".weights.h5") else model.save)(str(path))


def load(k: Any, path: Path, case: Case) -> Any:
    """The model of a file; of one of weights alone, a fresh model of the case with these."""
    if path.name.endswith(".weights.h5"):
        model = case.make(k)
        model.optimizer.build(model.trainable_variables)
        model.load_weights(str(path))
        return model
    return k.models.load_model(str(path))


def pass_on(source: Any, target: Any, case: Case, path: Path, exact: bool = False, state: bool = True) -> Any:
    """Saves a trained model of one library and loads it in the other, where it must be the same. Gives the loaded model."""
    k, model = source
    label = f"{k.__name__} to {target.__name__} as {path.name}"
    save(model, path)
    other = load(target, path, case)
    (same if exact else close)(f"{label}: predictions", predictions(other, case.x), predictions(model, case.x))
    same(f"{label}: weights", weights_of(other), weights_of(model))
    if state:
        same(f"{label}: state", state_of(other), state_of(model))
    return other


@dataclass
class Case:
    """One model with its training, a file's suffix and data."""

    spec: draw.Spec
    training: draw.Training
    suffix: str
    x: Any
    y: Any

    @classmethod
    def drawn(cls, index: int, seed: int, suffix: str = "") -> Case:
        rng = np.random.default_rng([seed, index])
        spec = draw.model(rng)
        suffix = suffix or (SUFFIXES[2] if spec.form == "subclass" else SUFFIXES[index % 3])
        training = draw.training(rng, "", max(len(spec.outputs), 1))
        return cls(spec, training, suffix, *data_for(rng, spec))

    def make(self, k: Any) -> Any:
        net = draw.build(k, self.spec)
        self.training.compile(k, net)
        return net


def own_round_trip(index: int, seed: int, folder: Path, suffix: str = "") -> tuple[Case, Any]:
    """A trained model through a file of berrante: bit for bit the same, in training that goes on too."""
    case = Case.drawn(index, seed, suffix)
    ours = case.make(berrante)
    train(ours, case.x, case.y, 3)
    again = pass_on((berrante, ours), berrante, case, folder / f"own{case.suffix}", exact=True)
    before = folder / "before.weights.h5"
    ours.save_weights(before)
    for model in (ours, again):
        train(model, case.x, case.y, 2)
    same("training goes on", weights_of(again), weights_of(ours))
    same("the optimizer goes on", state_of(again), state_of(ours))
    ours.load_weights(before)
    return case, ours


def round_trip(index: int, seed: int, folder: Path, suffix: str = "") -> None:
    """Case number `index`, here and in both directions with Keras; raises where the libraries disagree."""
    k = keras()
    case, ours = own_round_trip(index, seed, folder, suffix)
    suffix, name = case.suffix, case.training.optimizer.name
    # Keras reads no optimizer state from .h5 (it builds the optimizer for no variables), so it gets it in another file.
    legacy = suffix == ".h5"
    theirs: Any = None
    if not legacy or (not has_operations(case.spec) and name not in UNREAD):
        theirs = pass_on((berrante, ours), k, case, folder / f"ours{suffix}", state=not legacy)
    if legacy:
        theirs = pass_on((berrante, ours), k, case, folder / "ours.weights.h5")
    for model in (ours, theirs):
        train(model, case.x, case.y, 2)
    if name == "Nadam":  # whose product of momenta Keras does not save
        return
    mostly_close("training goes on in Keras", weights_of(theirs), weights_of(ours))
    if (legacy and name in UNWRITTEN) or getattr(case.training.loss, "name", "") in FORGOTTEN:
        return
    back = pass_on((k, theirs), berrante, case, folder / f"theirs{suffix}")
    for model in (back, theirs):
        train(model, case.x, case.y, 1)
    mostly_close("training goes on from Keras", weights_of(back), weights_of(theirs))


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--suffix", default="")
    arguments = parser.parse_args()
    failures = 0
    warnings.simplefilter("ignore")
    for i in range(arguments.first, arguments.first + arguments.count):
        with tempfile.TemporaryDirectory() as folder:
            try:
                round_trip(i, arguments.seed, Path(folder), arguments.suffix)
            except Exception:
                failures += 1
                print(
                    f"--- case {i} ({Case.drawn(i, arguments.seed, arguments.suffix).training}), seed {arguments.seed}\n{traceback.format_exc()[-1500:]}",
                    flush=True,
                )
        keras().backend.clear_session()
    print(f"{arguments.count} models, {failures} disagree")
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
