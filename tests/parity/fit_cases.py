"""Random trainings of small models: fit, evaluate, predict and the *_on_batch methods with random arguments and callbacks.

Compared are the History with its keys in order, the weights, what callbacks saw, files, and what the methods return.
"""

from __future__ import annotations

import io
import tempfile
import warnings
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np

from parity.harness import Case
from parity.layer_cases import maybe, pick, whole

Rng = np.random.Generator


def classifier(k: Any, data: dict[str, Any]) -> Any:
    layers = k.layers
    return k.Sequential(
        [
            k.Input((5,)), layers.Dense(6, activation="tanh", kernel_regularizer=data["regularizer"]),
            layers.Dense(3, activation="softmax"),
        ]
    )  # fmt: skip


def regressor(k: Any, data: dict[str, Any]) -> Any:
    return k.Sequential([k.Input((5,)), k.layers.Dense(4, activation="relu"), k.layers.Dense(1)])


def two_outputs(k: Any, data: dict[str, Any]) -> Any:
    x = k.Input((5,), name="x")
    h = k.layers.Dense(4, activation="tanh", kernel_regularizer=data["regularizer"])(x)
    a, b = k.layers.Dense(1, name="a")(h), k.layers.Dense(3, activation="softmax", name="b")(h)
    return k.Model(x, {"a": a, "b": b} if data["dict"] else [a, b])


def seen_by(k: Any, log: list[Any]) -> Any:
    """A callback that notes every hook, its index and its logs' names and values."""

    class Seen(k.callbacks.Callback):  # type: ignore[misc,name-defined]
        pass

    def note(name: str) -> Any:
        def hook(self: Any, *args: Any, logs: Any = None) -> None:
            if len(args) == 2:
                args, logs = args[:1], args[1]
            elif len(args) == 1 and isinstance(args[0], dict):
                args, logs = (), args[0]
            shown = {n: round(v, 3) for n, v in (logs or {}).items() if isinstance(v, float)}
            log.append((name, args if args and args[0] is not None else (), shown))

        return hook

    hooks = [f"on_{kind}_{when}" for kind in ("train", "test", "predict", "epoch") for when in ("begin", "end")]
    hooks += [f"on_{kind}_batch_{when}" for kind in ("train", "test", "predict") for when in ("begin", "end")]
    for name in hooks:
        setattr(Seen, name, note(name))
    return Seen()


def arrays(rng: Rng, kind: str, n: int) -> tuple[np.ndarray, Any]:
    x = rng.normal(size=(n, 5)).astype(np.float32)
    labels = rng.integers(0, 3, n)
    if kind == "classifier":
        return x, labels
    y = rng.normal(size=(n, 1)).astype(np.float32)
    return x, (y if kind == "regressor" else [y, labels])


def compile_arguments(rng: Rng, kind: str, as_dict: bool) -> dict[str, Any]:
    if kind == "classifier":
        return {
            "loss": "sparse_categorical_crossentropy",
            "metrics": pick(rng, None, ["accuracy"], ["acc", "sparse_categorical_accuracy"], ["accuracy", "accuracy"]),
            "weighted_metrics": pick(rng, None, None, ["accuracy"]),
        }
    if kind == "regressor":
        return {
            "loss": pick(rng, "mse", "mean_absolute_error", "huber"), "metrics": pick(rng, None, ["mae", "mse"]),
            "weighted_metrics": pick(rng, None, ["mse"]), "loss_weights": pick(rng, None, 0.5),
        }  # fmt: skip
    losses: Any = ["mse", "sparse_categorical_crossentropy"]
    metrics: Any = [pick(rng, ["mae"], ["mae", "mse"]), ["accuracy"]]
    weights: Any = pick(rng, None, [0.3, 2.0])
    if as_dict or maybe(rng):
        losses, metrics = dict(zip("ab", losses)), dict(zip("ab", metrics))
        weights = None if weights is None else dict(zip("ab", weights))
    return {"loss": losses, "metrics": pick(rng, None, metrics), "loss_weights": weights}


def fit_arguments(rng: Rng, kind: str, n: int) -> dict[str, Any]:
    kwargs: dict[str, Any] = {
        "epochs": whole(rng, 1, 4), "batch_size": pick(rng, None, 4, 7, 100), "shuffle": False, "verbose": 0,
    }  # fmt: skip
    if maybe(rng, 0.3):
        kwargs["validation_split"] = pick(rng, 0.2, 0.33)
    if maybe(rng, 0.3):
        kwargs["validation_freq"] = pick(rng, 2, [1, 3])
    if maybe(rng, 0.2):
        kwargs["initial_epoch"] = 1
    if maybe(rng, 0.2):
        kwargs["steps_per_epoch"] = whole(rng, 1, 4)
    if maybe(rng, 0.2):
        kwargs["validation_batch_size"] = 3
    if maybe(rng, 0.2):
        kwargs["validation_steps"] = 2
    weighting = pick(rng, "sample", "class", None)
    if weighting == "class" and kind == "classifier":
        kwargs["class_weight"] = {0: 0.5, 2: 3.0}
    elif weighting == "sample":
        kwargs["sample_weight"] = rng.random(n).astype(np.float32).round(2)
    return kwargs


def callbacks_of(rng: Rng, folder: str) -> list[tuple[str, dict[str, Any]]]:
    options: list[tuple[str, dict[str, Any]]] = [
        ("EarlyStopping", {
            "monitor": pick(rng, "loss", "val_loss"), "patience": whole(rng, 0, 2), "min_delta": pick(rng, 0, 0.05, 5.0),
            "restore_best_weights": maybe(rng), "baseline": pick(rng, None, 0.9), "verbose": 1,
            "start_from_epoch": pick(rng, 0, 1),
        }),
        ("ReduceLROnPlateau", {
            "monitor": "loss", "patience": whole(rng, 1, 2), "min_delta": 5.0, "factor": 0.5, "verbose": 1,
            "cooldown": whole(rng, 0, 1), "min_lr": pick(rng, 0.0, 0.004),
        }),
        ("CSVLogger", {"filename": f"{folder}/log.csv"}),
        ("ModelCheckpoint", {
            "filepath": folder + "/m_{epoch:02d}_{loss:.2f}.weights.h5", "save_weights_only": True, "verbose": 1,
            "monitor": "loss", **pick(rng, {"save_best_only": True}, {}, {"save_freq": 2}),
        }),
        ("TerminateOnNaN", {}),
    ]  # fmt: skip
    return [option for option in options if maybe(rng, 0.4)]


def fit(kind: str) -> Any:
    build = {"classifier": classifier, "regressor": regressor, "two_outputs": two_outputs}[kind]

    def draw(rng: Rng) -> Case:
        n = whole(rng, 9, 24)
        data = {"regularizer": pick(rng, None, "l2"), "dict": maybe(rng)}
        x, y = arrays(rng, kind, n)
        compiled = compile_arguments(rng, kind, data["dict"])
        kwargs = fit_arguments(rng, kind, n)
        validation = arrays(rng, kind, 11) if maybe(rng) else None
        if kind == "two_outputs" and data["dict"]:
            y = dict(zip("ab", y))
            validation = validation and (validation[0], dict(zip("ab", validation[1])))
        # Keras lists metrics whose names repeat twice; we do not.
        names = [*_leaves(compiled["metrics"] or []), *(compiled.get("weighted_metrics") or [])]
        repeated = kind != "two_outputs" and len(set(names)) < len(names)
        optimizer = pick(rng, "sgd", "adam")
        folder = tempfile.mkdtemp()
        callbacks = callbacks_of(rng, folder)
        weights_seed = whole(rng, 0, 1000)

        def run(peer: Any) -> dict[str, Any]:
            k = peer.k
            for path in Path(folder).glob("*"):
                path.unlink()
            model = build(k, data)
            draws = np.random.default_rng(weights_seed)
            model.set_weights([draws.normal(size=w.shape).astype(np.float32) * 0.5 for w in model.get_weights()])
            model.compile(optimizer=optimizer, **compiled)
            log: list[Any] = []
            made = [getattr(k.callbacks, name)(**arguments) for name, arguments in callbacks]
            printed = io.StringIO()
            with redirect_stdout(printed), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                history = model.fit(x, y, validation_data=validation, callbacks=[*made, seen_by(k, log)], **kwargs)
            result: dict[str, Any] = {"keys": list(history.history), "epochs": list(history.epoch)}
            for name, values in history.history.items():
                result[f"history {name}"] = np.asarray(values)
            for i, w in enumerate(model.get_weights()):
                result[f"weight{i}"] = w
            result["hooks"] = [(name, args, sorted(logs)) for name, args, logs in log]
            result["files"] = sorted(path.name for path in Path(folder).glob("*"))
            result["printed"] = [
                line.split(" to ")[0] for line in printed.getvalue().splitlines() if "rate" not in line
            ]
            if (Path(folder) / "log.csv").exists():
                result["csv"] = (Path(folder) / "log.csv").read_text().splitlines()[0]
            log.clear()
            returned = model.evaluate(x, y, batch_size=5, verbose=0, callbacks=[seen_by(k, log)])
            result["evaluate"] = np.asarray(returned) if not repeated else None
            result["evaluate type"] = type(returned).__name__
            result["evaluate dict"] = list(model.evaluate(x, y, verbose=0, return_dict=True))
            result["predict"] = np.concatenate([np.ravel(p) for p in _leaves(model.predict(x, verbose=0))])
            for method in ("train_on_batch", "test_on_batch"):
                values = getattr(model, method)(x, y)
                result[method] = np.asarray(values) if not repeated else None
            result["types"] = type(model.predict_on_batch(x[:2])).__name__
            result["hooks of evaluate"] = [(name, args, sorted(logs)) for name, args, logs in log]
            return result

        label = f"{kind} {data} {optimizer} compile {compiled} fit {kwargs.keys()} {kwargs} on {n}, validation "
        return Case(
            f"{label}{validation is not None}, callbacks {callbacks}", run, rtol=2e-3, atol=2e-4
        )  # fmt: skip

    return draw


def _leaves(x: Any) -> list[Any]:
    return [x[key] for key in sorted(x)] if isinstance(x, dict) else list(x) if isinstance(x, (list, tuple)) else [x]


KINDS = {kind: fit(kind) for kind in ("classifier", "regressor", "two_outputs")}
