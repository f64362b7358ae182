"""The demos at small scale: pictures are there, figures pass floors that chance does not reach."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import berrante
from berrante.cli import main
from berrante.cli.demos import DEMOS, autoencoder, run, superres
from berrante.cli.demos.common import Options, load

pytest.importorskip("sklearn")
Image = pytest.importorskip("PIL.Image")
pytest.importorskip("matplotlib")


def pictures(folder: Path) -> list[str]:
    for path in folder.glob("*.png"):
        assert np.asarray(Image.open(path)).std() > 5, path
    return sorted(p.stem for p in folder.glob("*.png"))


def test_autoencoders_beat_pca_and_noise(tmp_path: Path) -> None:
    figures = run("autoencoder", Options(epochs=25, out=str(tmp_path)))
    for code in (2, 4, 8, 16):
        assert figures[f"error of {code} numbers"] < figures[f"  by PCA ({code})"]
    assert figures["PSNR denoised, dB"] > figures["PSNR noisy, dB"] + 2
    assert figures["accuracy on the map"] > 0.5
    assert pictures(tmp_path) == ["codes", "compression", "denoising", "map"]


def test_large_codes_beat_pca_too() -> None:
    x, _, x_test, _ = load(Options())
    berrante.utils.set_random_seed(0)
    (ours, pca), *_ = autoencoder.compression(x, x_test, 100, (32,)).values()
    assert ours < pca


def test_generated_digits_come_near_real_ones(tmp_path: Path) -> None:
    figures = run("gan", Options(epochs=6, out=str(tmp_path), samples=400))
    for name in ("dcgan", "wgan_gp", "vae"):
        assert figures["fid training set"] < figures[f"fid {name}"] < np.inf and (tmp_path / f"{name}.gif").exists()
    assert 1 <= figures["score vae"] <= 10
    assert pictures(tmp_path) == ["dcgan", "real", "vae", "wgan_gp"]


def test_a_hole_is_filled_better_than_by_the_mean(tmp_path: Path) -> None:
    figures = run("inpaint", Options(epochs=3, out=str(tmp_path), samples=600))
    assert figures["PSNR inpainter, no adversary, dB"] > figures["PSNR harmonic, dB"]
    assert figures["PSNR inpainter, no adversary, dB"] > figures["PSNR mean image, dB"]
    assert pictures(tmp_path) == ["inpainting"]


def test_enlargements_beat_bicubic_by_far(tmp_path: Path) -> None:
    options = Options(epochs=12, out=str(tmp_path))
    x, _, x_test, _ = load(options)
    made = superres.enlarge(x, x_test, superres.Recipe(12), tmp_path, turned=False)
    bicubic, alone, adversarial = (superres.quality(x_test, made[name])[0] for name in made)
    assert alone > bicubic + 1.5 and adversarial > bicubic + 1.5
    assert (tmp_path / "srgan.keras").exists()


def test_photographs_are_enlarged(tmp_path: Path) -> None:
    figures = run("superres", Options(epochs=2, out=str(tmp_path), samples=320))
    assert figures["digits: gain over bicubic, dB"] > 0 and figures["photographs: gain over bicubic, dB"] > 0
    assert figures["photographs: gain of eight views over bicubic, dB"] > figures["photographs: gain over bicubic, dB"]
    assert pictures(tmp_path) == ["superres-digits", "superres-photographs"]


def test_objects_are_found(tmp_path: Path) -> None:
    figures = run("segment", Options(epochs=4, out=str(tmp_path), samples=96))
    assert figures["U-Net: object IoU"] > 0.2
    assert pictures(tmp_path) == ["segmentation"]


def test_captions_are_drawn(tmp_path: Path) -> None:
    figures = run("text2image", Options(epochs=2, out=str(tmp_path), samples=300))
    assert 0 <= figures["captions all right"] <= figures["digits as asked"] <= 1
    assert figures["real digits read right (the bound)"] > 0.8
    assert pictures(tmp_path) == ["text2image"]


def test_a_strange_digit_is_found(tmp_path: Path) -> None:
    from berrante.cli.demos import anomaly

    figures = anomaly.run(Options(epochs=12, out=str(tmp_path)), digits=(0,))
    assert figures["mean AUC autoencoder"] > 0.85 and figures["mean AUC vae"] > 0.7
    assert figures["mean AUC autoencoder"] > figures["mean AUC isolation forest"]
    assert pictures(tmp_path) == ["anomaly"]


def test_the_command_knows_them(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["demo", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert all(name in shown for name in DEMOS)
    with pytest.raises(SystemExit):
        main(["demo", "nothing"])
