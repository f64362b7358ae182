"""Trainings that are killed in the middle of an epoch and started again end with the same bits as those left alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import hashlib, os, signal, sys, numpy as np, berrante
from berrante import layers as L
from berrante.models import GAN, VAE, WGAN

kind, folder, kill = sys.argv[1], sys.argv[2], sys.argv[3] == "kill"
berrante.utils.set_random_seed(7)
x = np.random.default_rng(0).uniform(0, 1, (40, 4, 4, 1)).astype("float32")

def generator():
    return berrante.Sequential([L.Input((4,)), L.Dense(16), L.Reshape((2, 2, 4)), L.BatchNormalization(), L.ReLU(),
                                L.Conv2DTranspose(1, 3, strides=2, padding="same", activation="sigmoid")])

def discriminator():
    return berrante.Sequential([L.Input((4, 4, 1)), L.Conv2D(8, 3, padding="same"), L.LeakyReLU(), L.Dropout(0.3),
                                L.Flatten(), L.Dense(1)])

if kind == "vae":
    encoder = berrante.Sequential([L.Input((4, 4, 1)), L.Flatten(), L.Dropout(0.2), L.Dense(8, activation="relu")])
    model = VAE(encoder, generator(), latent_dim=4)
    model.compile("adam")
else:
    model = (WGAN if kind == "wgan" else GAN)(generator(), discriminator(), ema=0.9)
    model.compile(berrante.optimizers.Adam(1e-3), "rmsprop", n_critic=2)

class Die(berrante.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if kill and self.epoch == 2 and batch == 1:
            os.kill(os.getpid(), signal.SIGKILL)

model.fit(x, batch_size=16, epochs=4, verbose=0, callbacks=[berrante.callbacks.BackupAndRestore(folder), Die()])
print(hashlib.sha256(b"".join(w.tobytes() for w in model.get_weights())).hexdigest())
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
@pytest.mark.parametrize("kind", ["gan", "wgan", "vae"])
def test_a_killed_training_goes_on_to_the_same_bits(kind: str, tmp_path: Path) -> None:
    def run(folder: str, how: str, threads: int) -> subprocess.CompletedProcess[str]:
        env = dict(os.environ, BERRANTE_NUM_THREADS=str(threads))
        command = [sys.executable, "-c", SCRIPT, kind, str(tmp_path / folder), how]
        return subprocess.run(command, env=env, capture_output=True, text=True, check=False)

    whole = run("whole", "live", 1)
    assert whole.returncode == 0, whole.stderr
    killed = run("killed", "kill", 2)
    assert killed.returncode == -signal.SIGKILL and not killed.stdout, killed.stderr
    assert (tmp_path / "killed").exists()
    resumed = run("killed", "live", 3)
    assert resumed.returncode == 0, resumed.stderr
    assert resumed.stdout == whole.stdout
