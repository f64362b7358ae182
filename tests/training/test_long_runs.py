"""What many calls leave behind: no growth of memory, and one model called from several threads."""

from __future__ import annotations

import gc
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import berrante

layers = berrante.layers


def model() -> berrante.Sequential:
    berrante.utils.set_random_seed(0)
    m = berrante.Sequential([layers.Input((8,)), layers.Dense(16, activation="relu"), layers.Dense(2, "softmax")])
    m.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    return m


def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.random((64, 8), np.float32), np.eye(2, dtype=np.float32)[rng.integers(0, 2, 64)]


def resident() -> float:
    """MiB of this process in memory."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20


linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


@linux
def test_memory_stays_over_300_fits_and_10000_predictions() -> None:
    m, (x, y) = model(), data()
    for _ in range(30):
        m.fit(x, y, verbose=0, validation_data=(x, y))
        m.predict(x, verbose=0)
    before = resident()
    for _ in range(300):
        m.fit(x, y, verbose=0, validation_data=(x, y))
    for _ in range(10_000):
        m.predict(x, verbose=0)
    assert resident() - before < 4


@linux
def test_models_are_freed() -> None:
    x, y = data()

    def one() -> None:
        m = model()
        m.fit(x, y, verbose=0)

    for _ in range(100):
        one()
    before = resident()
    for _ in range(200):
        one()
    assert resident() - before < 4


def test_many_threads_predict_at_once() -> None:
    m, (x, _) = model(), data()
    expected = m.predict(x, verbose=0)
    wrong: list[str] = []

    def work() -> None:
        for size in (64, 7, 1, 33):
            for _ in range(50):
                got = m.predict(x[:size], verbose=0)
                if not np.array_equal(got, expected[:size]) and not np.allclose(got, expected[:size], atol=1e-6):
                    wrong.append(f"{size} rows differ")

    threads = [threading.Thread(target=work) for _ in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong
