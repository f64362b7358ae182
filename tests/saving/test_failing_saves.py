"""Saves that fail (a full disk, a folder that may not be written, an interruption): file and model stay as they were."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import berrante
from berrante import layers as L
from berrante.cli import main

X = np.random.default_rng(0).random((8, 6)).astype("float32")
NAMES = ["m.keras", "m.h5", "m.model", "w.weights.h5", "w.weights"]


def network(units: int = 64) -> Any:
    model = berrante.Sequential([L.Input((6,)), L.Dense(units, name="a"), L.Dense(2, name="b")])
    model.compile("adam", "mse")
    model.fit(X, np.zeros((8, 2)), verbose=0)
    return model


def save(model: Any, path: Path) -> None:
    (model.save_weights if path.name.startswith("w") else model.save)(path)


def state(model: Any) -> list[np.ndarray]:
    return [*model.get_weights(), *(v.numpy() for v in model.optimizer.variables)]


def unchanged(model: Any, before: list[np.ndarray], path: Path, content: bytes) -> None:
    for a, b in zip(before, state(model), strict=True):
        np.testing.assert_array_equal(a, b)
    assert path.read_bytes() == content and os.listdir(path.parent) == [path.name]
    model.fit(X, np.zeros((8, 2)), verbose=0)
    save(model, path)
    (model.load_weights if path.name.startswith("w") else berrante.models.load_model)(path)


@pytest.mark.parametrize("name", NAMES)
def test_a_full_disk(name: str, tmp_path: Path) -> None:
    """A limit on the size of files acts like one: writes fail half way."""
    path, model = tmp_path / name, network()
    save(model, path)
    before, content = state(model), path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(content) // 2, hard))
    try:
        with pytest.raises(OSError):
            save(model, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)
    unchanged(model, before, path, content)


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device"), MemoryError()]
)
@pytest.mark.parametrize("name", NAMES)
def test_an_interruption(name: str, error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, model = tmp_path / name, network()
    save(model, path)
    before, content = state(model), path.read_bytes()
    create, count = h5py.Group.create_dataset, [0]

    def fail(self: Any, *args: Any, **kwargs: Any) -> Any:
        count[0] += 1
        if count[0] == 3:
            raise error
        return create(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(h5py.Group, "create_dataset", fail)
        with pytest.raises(type(error)):
            save(model, path)
    unchanged(model, before, path, content)
    before, content = state(model), path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", lambda *a: (_ for _ in ()).throw(error))
        with pytest.raises(type(error)):
            save(model, path)
    unchanged(model, before, path, content)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
@pytest.mark.parametrize("name", NAMES)
def test_a_folder_that_may_not_be_written(name: str, tmp_path: Path) -> None:
    path, model = tmp_path / name, network()
    save(model, path)
    before, content = state(model), path.read_bytes()
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(PermissionError):
            save(model, path)
    finally:
        tmp_path.chmod(0o755)
    unchanged(model, before, path, content)


@pytest.mark.parametrize("name", NAMES)
def test_places_that_do_not_exist(name: str, tmp_path: Path) -> None:
    model = network()
    before = state(model)
    for folder in (Path("/proc/none"), Path("/dev/null")):
        with pytest.raises(OSError):
            save(model, folder / name)
    if name in ("m.h5", "m.model"):  # as in Keras, these make their folder
        save(model, tmp_path / "none" / name)
    else:
        with pytest.raises(OSError):
            save(model, tmp_path / "none" / name)
    for a, b in zip(before, state(model), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_failed_conversion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = tmp_path / "m.keras", tmp_path / "out.h5"
    network().save(source)
    target.write_bytes(b"mine")

    def full(*args: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    assert main(["convert", str(source), str(target), "--overwrite"]) == 1
    assert target.read_bytes() == b"mine" and sorted(os.listdir(tmp_path)) == ["m.keras", "out.h5"]


# --- kill -9 --------------------------------------------------------------------------------------------------------

TRAINING = """
    import os, sys, numpy as np, berrante
    from berrante import layers as L
    folder, kill, freq = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    berrante.utils.set_random_seed(7)
    model = berrante.Sequential([L.Input((6,)), L.Dense(16, activation="tanh"), L.BatchNormalization(), L.Dropout(0.3), L.Dense(2)])
    model.compile(berrante.optimizers.Adam(0.01), "mse")
    x = np.random.default_rng(0).random((64, 6)).astype("float32")
    seen = [0]

    def step(batch, logs):
        seen[0] += 1
        if seen[0] == kill:
            os.kill(os.getpid(), 9)

    backup = berrante.callbacks.BackupAndRestore(folder, save_freq=freq if freq == "epoch" else int(freq))
    killer = berrante.callbacks.LambdaCallback(on_train_batch_end=step)
    model.fit(x, x[:, :2], epochs=5, batch_size=16, verbose=0, shuffle=False, callbacks=[backup, killer])
    np.savez(sys.argv[4], *model.get_weights(), *[v.numpy() for v in model.optimizer.variables])
"""


def run(folder: Path, kill: int, freq: str, out: Path) -> int:
    command = [sys.executable, "-c", textwrap.dedent(TRAINING), str(folder), str(kill), freq, str(out)]
    return subprocess.run(command, env=os.environ, timeout=300).returncode


@pytest.mark.parametrize("kill", [6, 13])
def test_backups_survive_kill_9_to_the_bit(kill: int, tmp_path: Path) -> None:
    """Killed within an epoch and started again, training ends with the bits of training that was never killed."""
    assert run(tmp_path / "a", 0, "epoch", tmp_path / "whole.npz") == 0
    assert run(tmp_path / "b", kill, "epoch", tmp_path / "x.npz") == -signal.SIGKILL
    assert run(tmp_path / "b", 0, "epoch", tmp_path / "again.npz") == 0
    whole, again = np.load(tmp_path / "whole.npz"), np.load(tmp_path / "again.npz")
    for name in whole.files:
        np.testing.assert_array_equal(whole[name], again[name])


@pytest.mark.parametrize("save", [1, 2, 3])
@pytest.mark.parametrize("part", ["weights", "metadata"])
def test_backups_are_exact_between_their_files(
    part: str, save: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped before either file of a backup is in place, training goes on from the one before."""

    class Killed(BaseException):
        pass

    def train(stop: bool) -> list[np.ndarray]:
        berrante.utils.set_random_seed(3)
        model, count, rename = network(8), [0], os.replace

        def replace(source: str, target: str) -> None:
            count[0] += part in target
            if stop and part in target and count[0] == save:
                raise Killed
            rename(source, target)

        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", replace)
            backup = berrante.callbacks.BackupAndRestore(tmp_path / "backup")
            model.fit(X, X[:, :2], epochs=4, batch_size=4, shuffle=False, verbose=0, callbacks=[backup])
        return state(model)

    whole = train(False)
    with pytest.raises(Killed):
        train(True)
    for a, b in zip(whole, train(False), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_save_that_is_killed_leaves_the_old_file(tmp_path: Path) -> None:
    """A process that saves again and again is killed at some moment: what is there is whole."""
    script = """
        import sys, berrante
        from berrante import layers as L
        model = berrante.Sequential([L.Input((6,)), L.Dense(300), L.Dense(300), L.Dense(2)])
        while True:
            model.save(sys.argv[1])
            print("saved", flush=True)
    """
    path = tmp_path / "m.keras"
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), str(path)], stdout=subprocess.PIPE, env=os.environ
    )
    try:
        assert process.stdout is not None and process.stdout.readline()
        for _ in range(3):
            process.stdout.readline()
        time.sleep(0.01)
    finally:
        process.kill()
        process.wait()
    assert berrante.models.load_model(path).count_params() == 300 * 7 + 300 * 301 + 602
