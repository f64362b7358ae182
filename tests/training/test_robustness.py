"""What training must bear: interruptions, threads, forks, odd data, impossible requests; and Keras' signatures and text."""

from __future__ import annotations

import inspect
import multiprocessing
import os
import threading
from typing import Any

import numpy as np
import pytest

import berrante
from berrante import callbacks as C
from berrante import layers as L

RNG = np.random.default_rng(0)
X, Y = RNG.random((40, 4)).astype("float32"), RNG.integers(0, 3, 40)


def model(seed: int = 0) -> Any:
    berrante.utils.set_random_seed(seed)
    m = berrante.Sequential([L.Input((4,)), L.Dense(8, activation="tanh"), L.Dense(3, activation="softmax")])
    m.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return m


class Own(berrante.Model):
    def __init__(self) -> None:
        super().__init__()
        self.out = L.Dense(3, activation="softmax")

    def call(self, x: Any) -> Any:
        return self.out(x)


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
@pytest.mark.parametrize("hook", ["on_train_batch_end", "on_epoch_end", "on_test_begin"])
def test_an_interruption_leaves_the_model_usable(error: type[BaseException], hook: str) -> None:
    def stop(*args: Any, **kwargs: Any) -> None:
        raise error("stop")

    m = model()
    with pytest.raises(error):
        m.fit(X, Y, verbose=0, validation_data=(X, Y), callbacks=[C.LambdaCallback(**{hook: stop})])
    assert np.isfinite(m.predict(X, verbose=0)).all()
    assert len(m.fit(X, Y, epochs=2, verbose=0).history["loss"]) == 2


def test_a_generator_that_fails_leaves_the_model_usable() -> None:
    def batches() -> Any:
        yield X[:8], Y[:8]
        raise RuntimeError("no more")

    m = model()
    with pytest.raises(RuntimeError, match="no more"):
        m.fit(batches(), verbose=0)
    assert np.isfinite(m.evaluate(X, Y, verbose=0)).all()


def test_a_finite_generator_ends_training_with_a_warning() -> None:
    with pytest.warns(UserWarning, match="ran out of data"):
        history = model().fit(((X[:8], Y[:8]) for _ in range(3)), epochs=5, verbose=0)
    assert history.epoch == [0]


def test_several_threads_predict_at_once() -> None:
    m = model()
    expected = m.predict(X, verbose=0)
    results: list[Any] = []
    threads = [
        threading.Thread(target=lambda n=n: results.append((n, m.predict(X[:n], verbose=0)))) for n in range(1, 13)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 12
    for n, found in results:
        np.testing.assert_allclose(found, expected[:n], rtol=1e-5, atol=1e-6)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_predicts_and_the_parent_afterwards() -> None:
    m = model()
    expected = m.predict(X, verbose=0)
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()

    def work() -> None:
        queue.put((m.predict(X, verbose=0), m.fit(X, Y, verbose=0).history["loss"]))

    child = context.Process(target=work)
    child.start()
    found, loss = queue.get()
    child.join()
    np.testing.assert_array_equal(found, expected)
    assert np.isfinite(loss).all()
    np.testing.assert_array_equal(m.predict(X, verbose=0), expected)


def test_the_callers_arrays_stay_as_they_are() -> None:
    x, y, w = X.copy(), Y.copy(), np.ones(40, np.float32)
    for array in (x, y, w):
        array.flags.writeable = False
    m = model()
    m.fit(x, y, sample_weight=w, epochs=2, verbose=0, validation_split=0.2)
    m.evaluate(x, y, verbose=0)
    out = m.predict(x, verbose=0)
    out[...] = 0.0
    assert m.predict(x, verbose=0).any()


@pytest.mark.parametrize("build", [model, Own])
def test_labels_out_of_range_are_refused_everywhere(build: Any) -> None:
    m = build()
    m.compile("adam", "sparse_categorical_crossentropy")
    bad = Y.copy()
    bad[3] = 3
    for call in (
        lambda: m.fit(X, bad, verbose=0), lambda: m.fit(X, Y, validation_data=(X, bad), verbose=0),
        lambda: m.fit(iter([(X, bad)]), verbose=0), lambda: m.evaluate(X, bad - 4, verbose=0),
        lambda: m.train_on_batch(X, bad), lambda: m.test_on_batch(X, bad),
    ):  # fmt: skip
        with pytest.raises(ValueError, match="expected classes from 0 to 2"):
            call()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": -1}, "batch_size"),
        ({"steps_per_epoch": 0}, "steps_per_epoch"),
        ({"validation_split": 1.0}, "validation_split"),
        ({"validation_split": -0.1}, "validation_split"),
        ({"validation_split": 0.99}, "validation_split"),
        ({"validation_freq": "often"}, "validation_freq"),
        ({"sample_weight": np.ones(3)}, "same number of samples"),
        ({"class_weight": {0: 1.0}, "y": [Y, Y]}, "class_weight"),
    ],
)
def test_impossible_requests_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        model().fit(**{"x": X, "y": Y, "verbose": 0, **arguments})


def test_validation_data_wins_over_a_split() -> None:
    seen: list[int] = []
    m = model()
    m.fit(
        X, Y, batch_size=10, validation_split=0.5, validation_data=(X[:4], Y[:4]), verbose=0,
        callbacks=[C.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(batch))],
    )  # fmt: skip
    assert seen == [0, 1, 2, 3]


def test_terminate_on_nan_may_raise() -> None:
    bad = X.copy()
    bad[0] = np.nan
    with pytest.raises(RuntimeError, match="NaN or Inf loss"):
        model().fit(bad, Y, verbose=0, callbacks=[C.TerminateOnNaN(raise_error=True)])


def test_the_progress_bars_last_line(capsys: pytest.CaptureFixture[str]) -> None:
    m = model()
    m.fit(X, Y, batch_size=10, epochs=2)
    m.evaluate(X, Y, batch_size=10)
    m.predict(X, batch_size=10)
    text = capsys.readouterr().out
    assert text.startswith("Epoch 1/2\n")
    bar = "\x1b[1m4/4\x1b[0m \x1b[32m" + "━" * 20 + "\x1b[0m\x1b[37m\x1b[0m \x1b[1m0s\x1b[0m"
    assert text.count(bar) >= 4
    lines = [line for line in text.split("\n") if line]
    assert [" - accuracy: " in line and " - loss: " in line for line in lines] == [
        False,
        True,
        False,
        True,
        True,
        False,
    ]


def test_averages_for_evaluation_and_backups(tmp_path: Any) -> None:
    m = model()
    m.compile(berrante.optimizers.SGD(0.5, use_ema=True, ema_momentum=0.5), "sparse_categorical_crossentropy")
    m.fit(X, Y, epochs=2, verbose=0, validation_data=(X, Y), callbacks=[C.SwapEMAWeights()])

    class Stop(C.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            if epoch == 2:
                raise KeyboardInterrupt

    m = model()
    backup = tmp_path / "backup"
    with pytest.raises(KeyboardInterrupt):
        m.fit(X, Y, epochs=4, verbose=0, callbacks=[C.BackupAndRestore(backup), Stop()])
    again = model(1)
    assert again.fit(X, Y, epochs=4, verbose=0, callbacks=[C.BackupAndRestore(backup)]).epoch == [2, 3]
    assert not backup.exists()


def test_tensorboard_writes_scalars_and_histograms(tmp_path: Any) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    m = model()
    m.fit(
        X, Y, epochs=2, verbose=0, validation_data=(X, Y),
        callbacks=[C.TensorBoard(tmp_path, histogram_freq=1, write_images=True, update_freq="batch")],
    )  # fmt: skip
    train = EventAccumulator(str(tmp_path / "train")).Reload()
    tags = train.Tags()["tensors"]
    assert {"epoch_loss", "epoch_accuracy", "epoch_learning_rate", "batch_loss"} <= set(tags)
    assert any(tag.endswith("kernel/histogram") for tag in tags) and any(tag.endswith("kernel/image") for tag in tags)
    assert [event.step for event in train.Tensors("epoch_loss")] == [0, 1]
    assert "epoch_loss" in EventAccumulator(str(tmp_path / "validation")).Reload().Tags()["tensors"]


def test_an_own_optimizer_in_keras_protocol() -> None:
    class Half(berrante.optimizers.Optimizer):
        def __init__(self, learning_rate: float = 0.5, **kwargs: Any) -> None:
            super().__init__(learning_rate=learning_rate, **kwargs)

        def build(self, variables: Any) -> None:
            super().build(variables)
            self.sums = [self.add_variable_from_reference(v, "sum") for v in variables]

        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            total = self.sums[self._get_variable_index(variable)]
            self.assign_add(total, gradient)
            self.assign_sub(variable, total.value * learning_rate * 0.1)

    m = model()
    m.compile(Half(), "sparse_categorical_crossentropy")
    losses = m.fit(X, Y, epochs=10, verbose=0).history["loss"]
    assert losses[-1] < losses[0] and len(m.optimizer.variables) == 2 + 4


# What Keras has for other backends or in parts that berrante does not have.
ABSENT = {
    "CTC", "ctc", "LossScaleOptimizer", "MultiOptimizer", "OptimizerMap", "OrbaxCheckpoint", "legacy", "deserialize",
    "serialize", "get",
}  # fmt: skip


@pytest.mark.parametrize("family", ["losses", "metrics", "optimizers", "optimizers.schedules", "callbacks"])
def test_signatures_are_keras(family: str) -> None:
    os.environ.setdefault("KERAS_BACKEND", "jax")
    theirs: Any = pytest.importorskip("keras")
    ours: Any = berrante
    for part in family.split("."):
        theirs, ours = getattr(theirs, part), getattr(ours, part)
    wrong = {}
    for name in dir(theirs):
        if name.startswith("_") or name in ABSENT or inspect.ismodule(getattr(theirs, name)):
            continue
        shapes = []
        for module in (theirs, ours):
            target = getattr(module, name, None)
            parameters = inspect.signature(target).parameters.values() if target is not None else []
            shapes.append([(p.name, p.kind, None if p.default is p.empty else (p.default,)) for p in parameters])
        if shapes[0] != shapes[1]:
            wrong[name] = [p for p in shapes[0] if p not in shapes[1]], [p for p in shapes[1] if p not in shapes[0]]
    assert not wrong
