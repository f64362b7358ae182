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

_LATENT = {"digits": 32, "mnist": 64}


def _models(shape: Any, latent: int, filters: int = 32) -> dict[str, Any]:
    adam = lambda rate, b2=0.999: berrante.optimizers.Adam(rate, beta_1=0.5, beta_2=b2)
    dcgan = GAN(*zoo.dcgan(shape, latent, filters), ema=0.99)
    dcgan.compile(adam(1e-3), adam(2e-4), label_smoothing=0.1)
    wgan = WGAN(*zoo.dcgan(shape, latent, filters, normalise="layer"), ema=0.99)
    wgan.compile(adam(5e-4, 0.9), adam(5e-4, 0.9), n_critic=3)
    encoder, decoder = (zoo.conv_autoencoder(shape, n, (filters, 2 * filters))[i] for i, n in enumerate((64, 16)))
    vae = VAE(encoder, decoder, latent_dim=16)
    vae.compile(berrante.optimizers.Adam(1e-3))
    return {"dcgan": dcgan, "wgan_gp": wgan, "vae": vae}


def recognised(classifier: Any, images: np.ndarray) -> tuple[float, int, float]:
    """The share of images of which the classifier is over 90% sure; how many classes they are of (1% or more each); the
    share of the rarest class among all images."""
    p = classifier.predict(images, batch_size=256, verbose=0)
    sure, read = p.max(1) > 0.9, p.argmax(1)
    count = lambda labels: np.bincount(labels, minlength=p.shape[1]) / max(len(images), 1)
    return float(sure.mean()), int((count(read[sure]) >= 0.01).sum()), float(count(read).min())


def run(options: Options) -> dict[str, float]:
    """Trains the three, writes grids and a GIF, prints distances, shares and seconds; gives them.

    Distances are those to the test images, of equally many; that of training images is what perfection would have.
    """
    clock = Clock()
    berrante.utils.set_random_seed(options.seed)
    x, y, x_test, y_test = load(options)
    epochs = options.epochs or (160 if options.data == "digits" else 24)
    judge = classifier_of(x, y)
    accuracy = np.mean(judge.predict(x_test, verbose=0).argmax(1) == y_test)
    print(f"{len(x)} real images of {options.data}; classifier's test accuracy {accuracy:.2%}", flush=True)
    n = min(len(x_test), len(x))
    fid, score = metrics.FID(features_of(judge)), metrics.InceptionScore(judge)
    figures: dict[str, float] = {}
    zoom = max(1, 48 // x.shape[1])
    pictures = [options.folder / "real.png"]
    save_grid(pictures[0], x[:64], 8, zoom)

    def measure(name: str, images: np.ndarray) -> None:
        share, classes, rarest = recognised(judge, images)
        figures.update({f"fid {name}": fid(x_test, images), f"recognised {name}": share, f"classes {name}": classes})
        figures.update({f"rarest class {name}": rarest, f"score {name}": score(fake=images)})

    measure("training set", x[np.random.default_rng(options.seed).permutation(len(x))[:n]])
    for name, model in _models(x.shape[1:], _LATENT[options.data]).items():
        adversarial = name != "vae"
        count = max(1, epochs // 3) if name == "wgan_gp" else epochs
        start = clock()
        path = options.folder / f"{name}.png"
        grid = SampleGrid(path, 64, columns=8, zoom=zoom, every=max(1, count // 20), gif=path.with_suffix(".gif"))
        data = x * 2 - 1 if adversarial else x
        history = model.fit(data, batch_size=64, epochs=count, verbose=0, callbacks=[grid])
        made = np.concatenate([model.sample(500, seed=s) for s in range(-(-n // 500))])[:n]
        made = (made + 1) / 2 if adversarial else made
        save_grid(path, made[:64], 8, zoom)
        measure(name, made)
        pictures.append(path)
        model.save(options.folder / f"{name}.keras")
        last = {k: round(v[-1], 3) for k, v in history.history.items()}
        seconds = clock() - start
        print(f"{name}: fid {figures[f'fid {name}']:.2f}, {count} epochs, {seconds:.0f} s, {last}", flush=True)
    report("generation (distances by the classifier's features, not Inception's)", figures, pictures, clock())
    return figures
