"""Pictures of training: grids of the right pixels, GIFs, and no influence on training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import berrante
from berrante import callbacks as C
from berrante import layers as L
from berrante.generative_callbacks import image_grid
from berrante.models import GAN, VAE, Autoencoder

Image = pytest.importorskip("PIL.Image")
X = np.random.default_rng(0).random((32, 4, 4, 1)).astype("float32")


def parts() -> tuple[Any, Any]:
    berrante.utils.set_random_seed(1)
    encoder = berrante.Sequential([L.Input((4, 4, 1)), L.Flatten(), L.Dense(8, activation="relu")])
    back = [L.Dense(16, activation="sigmoid"), L.Reshape((4, 4, 1))]
    return encoder, berrante.Sequential([L.Input((3,)), *back])


def vae() -> Any:
    model = VAE(*parts(), latent_dim=3)
    model.compile("adam")
    return model


def read(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def test_a_grid_is_its_images() -> None:
    grid = image_grid(X[:5], columns=3)
    assert grid.shape == (11, 16, 1) and grid.dtype == np.uint8
    np.testing.assert_array_equal(grid[1:5, 6:10], np.rint(X[1] * 255))
    np.testing.assert_array_equal(grid[6:10, 1:5], np.rint(X[3] * 255))
    assert (grid[0] == 255).all() and (grid[6:10, 11:15] == 255).all()
    np.testing.assert_array_equal(image_grid(X[:1] * 2 - 1)[1:5, 1:5, 0], np.rint(X[0, ..., 0] * 255))
    with pytest.raises(ValueError, match="expected images"):
        image_grid(np.ones((2, 3)))


def test_samples_and_reconstructions_of_each_epoch(tmp_path: Path) -> None:
    model = vae()
    history = model.fit(
        X, epochs=4, verbose=0,
        callbacks=[
            C.SampleGrid(tmp_path / "s" / "{epoch:02d}.png", n=6, columns=3, zoom=1, every=2, gif=tmp_path / "s.gif"),
            C.ReconstructionGrid(X[:5], tmp_path / "r_{epoch}.png", zoom=1),
            C.LatentTraversal(tmp_path / "t_{epoch}.png", steps=5, zoom=2),
        ],
    )  # fmt: skip
    assert sorted(p.name for p in (tmp_path / "s").iterdir()) == ["02.png", "04.png"]
    np.testing.assert_array_equal(read(tmp_path / "s" / "04.png"), image_grid(model.sample(6, seed=0), 3)[..., 0])
    assert Image.open(tmp_path / "s.gif").n_frames == 2
    both = np.concatenate([X[:5], model.reconstruct(X[:5])])
    np.testing.assert_array_equal(read(tmp_path / "r_4.png"), image_grid(both, 5)[..., 0])
    assert read(tmp_path / "t_4.png").shape == (2 * (3 * 5 + 1), 2 * (5 * 5 + 1))
    plain = vae()
    assert plain.fit(X, epochs=4, verbose=0).history == history.history


def test_samples_of_a_gan(tmp_path: Path) -> None:
    _, generator = parts()
    model = GAN(generator, berrante.Sequential([L.Input((4, 4, 1)), L.Flatten(), L.Dense(1)]))
    model.compile()
    z = np.zeros((4, 3), np.float32)
    model.fit(X, epochs=1, verbose=0, callbacks=[C.SampleGrid(tmp_path / "{epoch}.png", z=z, zoom=1)])
    np.testing.assert_array_equal(read(tmp_path / "1.png"), image_grid(model.generate(z=z))[..., 0])


def test_a_model_without_samples_is_refused(tmp_path: Path) -> None:
    encoder = berrante.Sequential([L.Input((4, 4, 1)), L.Flatten(), L.Dense(3)])
    model = Autoencoder(encoder, parts()[1])
    model.compile()
    with pytest.raises(TypeError, match="expected a model with generate"):
        model.fit(X, verbose=0, callbacks=[C.SampleGrid(tmp_path / "x.png")])
