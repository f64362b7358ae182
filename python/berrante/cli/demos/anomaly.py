"""berrante demo anomaly: each digit in turn is left out of training and must be found among the test images, by an
autoencoder, a VAE and f-AnoGAN, beside PCA and an isolation forest."""

from __future__ import annotations

from typing import Any

import numpy as np

import berrante
from berrante import zoo
from berrante.cli.demos.common import Clock, Options, load, report
from berrante.models import VAE, WGAN, Autoencoder, FAnoGAN

METHODS = ("autoencoder", "vae", "f-anogan", "pca", "isolation forest")


def scores(x: np.ndarray, x_test: np.ndarray, epochs: int) -> dict[str, np.ndarray]:
    """Each method's scores of test images after training on normal ones."""
    from sklearn.decomposition import PCA
    from sklearn.ensemble import IsolationForest

    adam = lambda rate=2e-3, b1=0.9: berrante.optimizers.Adam(rate, beta_1=b1)
    shape, code = x.shape[1:], 8 if x.shape[1] < 16 else 16
    units = (64, 32) if x.shape[1] < 16 else (256, 64)
    autoencoder = Autoencoder(*zoo.dense_autoencoder(shape, code, units))
    autoencoder.compile(adam())
    autoencoder.fit(x, batch_size=32, epochs=epochs, verbose=0)
    encoder = zoo.dense_autoencoder(shape, units[-1], units[:-1], code_activation="relu")[0]
    vae = VAE(encoder, zoo.dense_autoencoder(shape, code, units)[1], latent_dim=code, anomaly_reduction="elbo")
    vae.compile(adam())
    vae.fit(x, batch_size=32, epochs=epochs, verbose=0)
    gan = WGAN(*zoo.dcgan(shape, code, 16, normalise="layer", output="sigmoid"))
    gan.compile(adam(5e-4, 0.5), adam(5e-4, 0.5), n_critic=2)
    gan.fit(x, batch_size=64, epochs=epochs, verbose=0)
    fast = FAnoGAN(zoo.dense_autoencoder(shape, code, units)[0], gan.generator, gan.discriminator, kappa=0.01)
    fast.compile(adam())
    fast.fit(x, batch_size=32, epochs=epochs, verbose=0)
    flat, flat_test = x.reshape(len(x), -1), x_test.reshape(len(x_test), -1)
    pca = PCA(code).fit(flat)
    forest = IsolationForest(random_state=0).fit(flat)
    return {
        "autoencoder": autoencoder.anomaly_score(x_test),
        "vae": vae.anomaly_score(x_test),
        "f-anogan": fast.anomaly_score(x_test),
        "pca": np.mean((pca.inverse_transform(pca.transform(flat_test)) - flat_test) ** 2, axis=1),
        "isolation forest": -forest.score_samples(flat_test),
    }


def _picture(table: np.ndarray, path: Any) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(10, 3.6))
    for i, method in enumerate(METHODS):
        axis.bar(np.arange(len(table)) + (i - 2) * 0.16, table[:, i], 0.16, label=method)
    axis.set(xlabel="digit left out of training", ylabel="AUC", ylim=(0.4, 1), xticks=range(len(table)))
    axis.legend(ncol=5, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, 1.14), frameon=False)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def run(options: Options, digits: Any = range(10)) -> dict[str, float]:
    """Prints the area under the ROC curve by digit and method; gives the means."""
    from sklearn.metrics import roc_auc_score

    clock = Clock()
    x, y, x_test, y_test = load(options)
    epochs = options.epochs or (40 if options.data == "digits" else 8)
    rows = []
    print(f"left out  {'  '.join(f'{m:>16}' for m in METHODS)}")
    for digit in digits:
        berrante.utils.set_random_seed(options.seed)
        by_method = scores(x[y != digit], x_test, epochs)
        rows.append([roc_auc_score(y_test == digit, by_method[m]) for m in METHODS])
        print(f"{digit:>8}  {'  '.join(f'{v:>16.3f}' for v in rows[-1])}", flush=True)
    table = np.array(rows)
    figures = {f"mean AUC {m}": float(v) for m, v in zip(METHODS, table.mean(0), strict=True)}
    path = options.folder / "anomaly.png"
    _picture(table, path)
    report("anomaly detection", figures, [path], clock())
    return figures
