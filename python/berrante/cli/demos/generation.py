"""berrante demo gan: new digits by a DCGAN, a WGAN-GP and a VAE, measured by a classifier trained on real ones."""

from __future__ import annotations

from typing import Any

import numpy as np

import berrante
from berrante import metrics, zoo
from berrante.cli.demos.common import Clock, Options, classifier_of, load, report
from berrante.generative_callbacks import SampleGrid, save_grid
from berrante.models import GAN, VAE, WGAN
from berrante.zoo.classifiers import features_of

_LATENT = 32


def _models(shape: Any, filters: int) -> dict[str, Any]:
    adam = lambda rate, b2=0.999: berrante.optimizers.Adam(rate, beta_1=0.5, beta_2=b2)
    dcgan = GAN(*zoo.dcgan(shape, _LATENT, filters), ema=0.995)
    dcgan.compile(adam(5e-4), adam(2e-4), label_smoothing=0.1)
    wgan = WGAN(*zoo.dcgan(shape, _LATENT, filters, dropout=0.0), ema=0.995)
    wgan.compile(adam(5e-4, 0.9), adam(5e-4, 0.9), n_critic=3)
    encoder, decoder = (zoo.conv_autoencoder(shape, n, (filters, 2 * filters))[i] for i, n in enumerate((64, 16)))
    vae = VAE(encoder, decoder, latent_dim=16)
    vae.compile(berrante.optimizers.Adam(1e-3))
    return {"dcgan": dcgan, "wgan_gp": wgan, "vae": vae}


def recognised(classifier: Any, images: np.ndarray) -> tuple[float, int]:
    """The share of images of which the classifier is over 90% sure, and how many classes they are of (1% or more each)."""
    p = classifier.predict(images, batch_size=256, verbose=0)
    sure = p.max(1) > 0.9
    shares = np.bincount(p.argmax(1)[sure], minlength=p.shape[1]) / max(len(images), 1)
    return float(sure.mean()), int((shares >= 0.01).sum())


def run(options: Options) -> dict[str, float]:
    """Trains the three, writes grids and a GIF, prints distances and shares; gives them."""
    clock = Clock()
    berrante.utils.set_random_seed(options.seed)
    x, y, x_test, y_test = load(options)
    small = options.data == "digits"
    epochs = options.epochs or (120 if small else 25)
    judge = classifier_of(x, y)
    accuracy = np.mean(judge.predict(x_test, verbose=0).argmax(1) == y_test)
    print(f"{len(x)} real images of {options.data}; classifier's test accuracy {accuracy:.2%}", flush=True)
    n = min(len(x), 2000)
    fid, score = metrics.FID(features_of(judge)), metrics.InceptionScore(judge)
    figures = {"fid training set": fid(x_test, x[:n])}
    pictures = [options.folder / "real.png"]
    save_grid(pictures[0], x[:64], 8, 2)
    for name, model in _models(x.shape[1:], 16 if small else 32).items():
        adversarial = name != "vae"
        data = x * 2 - 1 if adversarial else x
        count = max(1, epochs // 3) if name == "wgan_gp" else epochs
        grid = SampleGrid(
            options.folder / (name + ".png"),
            64,
            columns=8,
            every=max(1, count // 20),
            gif=options.folder / f"{name}.gif",
        )
        history = model.fit(data, batch_size=64, epochs=count, verbose=0, callbacks=[grid])
        made = np.concatenate([model.sample(500, seed=s) for s in range(-(-n // 500))])[:n]
        made = (made + 1) / 2 if adversarial else made
        save_grid(options.folder / f"{name}.png", made[:64], 8, 2)
        share, classes = recognised(judge, made)
        figures |= {f"fid {name}": fid(x_test, made), f"recognised {name}": share, f"classes {name}": classes}
        figures[f"score {name}"] = score(fake=made)
        pictures.append(options.folder / f"{name}.png")
        model.save(options.folder / f"{name}.keras")
        last = {k: round(v[-1], 3) for k, v in history.history.items()}
        print(f"{name}: {count} epochs, {clock():.0f} s, {last}", flush=True)
    report("generation (distances by the classifier's features, not Inception's)", figures, pictures, clock())
    return figures
