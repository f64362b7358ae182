"""Sequences in epochs of a set number of steps, and pictures of what training reported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import berrante


class Batches(berrante.utils.PyDataset):
    """Five batches; remembers what was asked of it."""

    def __init__(self, length: int = 5) -> None:
        super().__init__()
        self.length, self.asked = length, []  # type: ignore[var-annotated]

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Any:
        self.asked.append(index)
        return np.ones((4, 3), "float32"), np.ones((4, 1), "float32")

    def on_epoch_begin(self) -> None:
        self.asked.append("begin")

    def on_epoch_end(self) -> None:
        self.asked.append("end")


def model() -> Any:
    network = berrante.Sequential([berrante.Input((3,)), berrante.layers.Dense(1)])
    network.compile("sgd", "mse", metrics=["mae"])
    return network


def asked(**arguments: Any) -> list[Any]:
    data = Batches()
    model().fit(data, verbose=0, **arguments)
    return data.asked


def test_epochs_go_on_where_the_last_ended() -> None:
    """As in Keras: a sequence is walked through whatever the number of steps; each pass ends with on_epoch_end."""
    found = asked(steps_per_epoch=3, epochs=4, shuffle=False)
    assert found == ["begin", 0, 1, 2, "begin", 3, 4, "end", 0, "begin", 1, 2, 3, "begin", 4, "end", 0, 1]
    found = asked(steps_per_epoch=12, shuffle=False)
    assert [i for i in found if isinstance(i, int)] == [0, 1, 2, 3, 4] * 2 + [0, 1]
    assert asked(epochs=2, shuffle=False) == ["begin", 0, 1, 2, 3, 4, "end"] * 2
    berrante.utils.set_random_seed(0)
    shuffled = [i for i in asked(steps_per_epoch=10) if isinstance(i, int)]
    assert sorted(shuffled[:5]) == sorted(shuffled[5:]) == [0, 1, 2, 3, 4] and shuffled[:5] != shuffled[5:]


def test_a_sequence_without_batches_is_an_error() -> None:
    with pytest.raises(ValueError, match="Batches has none"):
        model().fit(Batches(0), steps_per_epoch=3, verbose=0)


def test_curves(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    image = pytest.importorskip("PIL.Image")
    x, y = np.random.default_rng(0).random((20, 3)), np.ones((20, 1))
    history = model().fit(x, y, epochs=5, validation_data=(x, y), validation_freq=2, verbose=0)
    figure = history.plot(tmp_path / "curves.png")
    assert image.open(tmp_path / "curves.png").size == (1000, 400)
    lines = {line.get_label(): line for line in figure.axes[0].get_lines()}
    np.testing.assert_array_equal(lines["training"].get_xdata(), [1, 2, 3, 4, 5])
    np.testing.assert_array_equal(lines["training"].get_ydata(), history.history["loss"])
    np.testing.assert_array_equal(lines["validation"].get_xdata(), [2, 4])
    np.testing.assert_array_equal(lines["validation"].get_ydata(), history.history["val_loss"])
    with pytest.raises(ValueError, match="nothing to draw"):
        berrante.callbacks.History().plot()
