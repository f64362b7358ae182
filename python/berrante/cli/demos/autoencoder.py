"""berrante demo autoencoder: error against the code's size (beside PCA), denoising, and the map of a VAE's two numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

import berrante
from berrante import zoo
from berrante.cli.demos.common import Clock, Options, load, report
from berrante.generative_callbacks import save_grid
from berrante.models import VAE, Autoencoder, DenoisingAutoencoder

CODES = (2, 4, 8, 16, 32)


def compression(x: np.ndarray, x_test: np.ndarray, epochs: int, codes: Any = CODES) -> dict[int, tuple[float, float]]:
    """Test errors by code size: (autoencoder, PCA)."""
    from sklearn.decomposition import PCA

    flat, flat_test = x.reshape(len(x), -1), x_test.reshape(len(x_test), -1)
    errors = {}
    units = (128, 64) if x.shape[1] < 16 else (256, 128)
    for code in codes:
        model = Autoencoder(*zoo.dense_autoencoder(x.shape[1:], code, units, output="linear", skip=True))
        steps = epochs * (len(x) // 32)
        rate = berrante.optimizers.schedules.CosineDecay(2e-3, steps)
        model.compile(berrante.optimizers.Adam(rate))
        model.fit(x, batch_size=32, epochs=epochs, verbose=0)
        pca = PCA(code).fit(flat)
        ours = float(np.mean((np.clip(model.reconstruct(x_test), 0, 1) - x_test) ** 2))
        linear = np.clip(pca.inverse_transform(pca.transform(flat_test)), 0, 1)
        errors[code] = ours, float(np.mean((linear - flat_test) ** 2))
    return errors


def denoising(x: np.ndarray, x_test: np.ndarray, epochs: int, path: Any) -> tuple[float, float]:
    """PSNR of noisy test images and of denoised ones."""
    from berrante.generative_metrics import psnr

    model = DenoisingAutoencoder(*zoo.conv_autoencoder(x.shape[1:], None, (32, 32)), noise=0.3)
    model.compile(berrante.optimizers.Adam(2e-3))
    model.fit(x, batch_size=32, epochs=epochs, verbose=0)
    noisy = model.corrupt(x_test, seed=1)
    clean = model.denoise(noisy)
    save_grid(path, np.concatenate([np.clip(noisy[:12], 0, 1), clean[:12], x_test[:12]]), 12, 3)
    return tuple(float(np.mean(np.asarray(psnr(x_test, a)))) for a in (np.clip(noisy, 0, 1), clean))  # type: ignore[return-value]


def latent_map(x: np.ndarray, x_test: np.ndarray, y_test: np.ndarray, epochs: int, folder: Any) -> float:
    """Draws where a VAE with two numbers puts the classes; gives the accuracy of the nearest neighbours there."""
    from scipy.special import ndtri
    from sklearn.neighbors import KNeighborsClassifier

    units = (128, 64)
    encoder = zoo.dense_autoencoder(x.shape[1:], units[-1], units[:-1], code_activation="relu")[0]
    model = VAE(encoder, zoo.dense_autoencoder(x.shape[1:], 2, units)[1], latent_dim=2)
    model.compile(berrante.optimizers.Adam(2e-3))
    model.fit(x, batch_size=32, epochs=epochs, verbose=0)
    codes = model.encode(x_test)
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(5.5, 5))
    points = axis.scatter(codes[:, 0], codes[:, 1], c=y_test, cmap="tab10", s=8)
    figure.colorbar(points, ticks=range(10))
    axis.set_title("codes of test images")
    figure.tight_layout()
    figure.savefig(folder / "codes.png", dpi=110)
    plt.close(figure)
    at = ndtri(np.linspace(0.03, 0.97, 16))
    grid = np.stack(np.meshgrid(at, at[::-1]), -1).reshape(-1, 2).astype(np.float32)
    save_grid(folder / "map.png", model.decode(grid), 16, 2, gap=0)
    half = len(codes) // 2
    return float(KNeighborsClassifier(5).fit(codes[:half], y_test[:half]).score(codes[half:], y_test[half:]))


def run(options: Options) -> dict[str, float]:
    """Prints errors by code size, the gain of denoising and the map's accuracy; gives them."""
    clock = Clock()
    berrante.utils.set_random_seed(options.seed)
    x, _, x_test, y_test = load(options)
    epochs = options.epochs or (100 if options.data == "digits" else 15)
    errors = compression(x, x_test, epochs)
    figures: dict[str, float] = {}
    for code, (ours, pca) in errors.items():
        figures |= {f"error of {code} numbers": ours, f"  by PCA ({code})": pca}
    folder = options.folder
    noisy, clean = denoising(x, x_test, max(1, epochs // 2), folder / "denoising.png")
    figures |= {"PSNR noisy, dB": noisy, "PSNR denoised, dB": clean}
    figures["accuracy on the map"] = latent_map(x, x_test, y_test, epochs, folder)
    _curve(errors, folder / "compression.png")
    pictures = [folder / f"{n}.png" for n in ("compression", "denoising", "codes", "map")]
    report("autoencoders", figures, pictures, clock())
    return figures


def _curve(errors: dict[int, tuple[float, float]], path: Any) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(5, 3.5))
    for label, i in (("autoencoder", 0), ("PCA", 1)):
        axis.plot(list(errors), [e[i] for e in errors.values()], "o-", label=label)
    axis.set(xscale="log", yscale="log", xlabel="numbers in the code", ylabel="mean squared error (test)")
    axis.set_xticks(list(errors), [str(c) for c in errors])
    axis.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)
