"""Anomalies by a GAN of normal samples: a search for the nearest generated sample (AnoGAN, Schlegl et al., 2017), and an
encoder that finds it at once (f-AnoGAN, Schlegl et al., 2019)."""

from __future__ import annotations

from typing import Any

import numpy as np

from berrante import ops, random
from berrante.data import as_array, unpack
from berrante.graph.program import Program
from berrante.graph.tape import GradientTape
from berrante.graph.tensor import TensorSpec
from berrante.graph.variable import Variable
from berrante.models.generative.anomaly import reduce_error
from berrante.models.generative.autoencoder import Autoencoder
from berrante.models.model import Model
from berrante.models.steps import tracked


def feature_model(discriminator: Any) -> Any:
    """The discriminator up to what its last layer sees."""
    graph = getattr(discriminator, "_graph", None)
    node = graph.outputs[0].node if graph is not None else None
    if graph is None or node is None or not node.inputs:
        raise ValueError(
            f'[model "{discriminator.name}"] expected a functional or Sequential discriminator, whose last layer\'s input '
            "serves as features"
        )
    last = node
    while type(last.operation).__name__ in ("Activation", "Reshape", "Flatten") and last.inputs[0].node is not None:
        last = last.inputs[0].node
    return Model(graph.inputs[0], last.inputs[0])


def _distance(x: Any, made: Any, features: Any, weight: float) -> Any:
    """(1 - weight) mean |x - made| + weight mean |f(x) - f(made)| of each sample."""
    axes = lambda t: list(range(1, len(t.shape)))
    residual = ops.mean(ops.absolute(ops.subtract(x, made)), axis=axes(x))
    a, b = features(x, training=False), features(made, training=False)
    feature = ops.mean(ops.absolute(ops.subtract(a, b)), axis=axes(a))
    return ops.add(ops.multiply(residual, 1.0 - weight), ops.multiply(feature, weight))


def search_scores(
    gan: Any, x: Any, steps: int = 200, weight: float = 0.1, seed: int = 0, learning_rate: float = 0.05,
    batch_size: int = 64,
) -> np.ndarray:  # fmt: skip
    """The distance of each sample to the nearest one that a search by Adam over noise found."""
    if steps < 1:
        raise ValueError(f"[{gan.name}] steps: expected a positive integer; received {steps}")
    x = as_array(x, "anomaly_score")
    generator, features = gan.best_generator, feature_model(gan.discriminator)
    n = min(batch_size, len(x))
    spec, latent = TensorSpec((n, *x.shape[1:]), "float32"), TensorSpec((n, gan.latent_dim), "float32")
    b1, b2 = 0.9, 0.999

    def step(image: Any, z: Any, m: Any, v: Any, rate: Any) -> Any:
        with GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(z)
            score = _distance(image, generator(z, training=False), features, weight)
            total = ops.sum(score)
        g = tape.gradient(total, z)
        m = ops.add(ops.multiply(m, b1), ops.multiply(g, 1 - b1))
        v = ops.add(ops.multiply(v, b2), ops.multiply(ops.square(g), 1 - b2))
        z = ops.subtract(z, ops.divide(ops.multiply(m, rate), ops.add(ops.sqrt(v), 1e-8)))
        return [score, z, m, v]

    program = Program(step, [spec, latent, latent, latent, TensorSpec((), "float32")])
    scores = []
    for start in range(0, len(x), n):
        batch = x[start : start + n].astype(np.float32)
        rows = len(batch)
        batch = np.concatenate([batch, np.repeat(batch[-1:], n - rows, axis=0)])
        z = np.asarray(random.normal((n, gan.latent_dim), seed=seed))
        m, v = np.zeros_like(z), np.zeros_like(z)
        best = np.full(n, np.inf, np.float32)
        for t in range(1, steps + 2):  # one more run scores the last step's noise
            rate = np.float32(learning_rate * np.sqrt(1 - b2**t) / (1 - b1**t))
            score, z, m, v = program(batch, z, m, v, rate)
            best = np.minimum(best, score)
        scores.append(best[:rows])
    return np.concatenate(scores)


class FAnoGAN(Autoencoder):
    """An encoder for the generator of a GAN that knows normal samples: `fit(x)` on them, then `anomaly_score`.

    Args:
        encoder: from samples to noise. generator, discriminator: of the trained GAN; they stay as they are.
        kappa: the weight of the distance between the discriminator's features.

    The loss is mean (x - G(E(x)))^2 + kappa mean (f(x) - f(G(E(x))))^2, and so is the score ("izi_f").
    """

    parts = ("encoder", "generator", "discriminator")
    _features: Any
    settings: tuple[str, ...] = ("kappa", "anomaly_reduction")

    def __init__(
        self, encoder: Any, generator: Any, discriminator: Any, kappa: float = 1.0, anomaly_reduction: str = "izi_f",
        name: str | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        self.generator: Any = generator
        self.discriminator: Any = discriminator
        super().__init__(encoder, generator, anomaly_reduction=anomaly_reduction, name=name, **kwargs)
        if kappa < 0:
            raise ValueError(f"{self._label()} kappa: expected a weight of at least 0; received {kappa}")
        self.kappa = float(kappa)
        object.__setattr__(self, "_features", feature_model(discriminator))

    def _allowed_reductions(self) -> tuple[str, ...]:
        return (*super()._allowed_reductions(), "izi_f")

    def _term_names(self) -> list[str]:
        return ["reconstruction_loss", "feature_loss"]

    def _trained_parts(self) -> list[Any]:
        return [self.encoder]

    def _train_variables(self) -> list[Variable]:
        return list(self.encoder.trainable_weights)

    def _errors(self, x: Any, training: bool) -> tuple[Any, Any, Any]:
        """The sample made, and each sample's two errors."""
        made = self.generator(self.encoder(x, training=training), training=False)
        self._check_shapes(x, made)
        a, b = self._features(x, training=False), self._features(made, training=False)
        return made, reduce_error(ops.subtract(x, made), "mse"), reduce_error(ops.subtract(a, b), "mse")

    def _terms(self, x: Any, y: Any, weights: Any, training: bool) -> tuple[Any, Any, dict[str, Any]]:
        made, residual, feature = self._errors(x, training)
        terms = {
            "reconstruction_loss": ops.mean(residual),
            "feature_loss": ops.multiply(ops.mean(feature), self.kappa),
        }
        return x, made, terms

    @tracked
    def train_step(self, data: Any) -> dict[str, Any]:
        """One update of the encoder."""
        if unpack(data)[1] is not None:
            raise ValueError(f"{self._label()} y: expected None; received targets")
        return super().train_step(data)

    def _score(self, x: Any, reduction: str) -> Any:
        made, residual, feature = self._errors(x, False)
        if reduction != "izi_f":
            return reduce_error(ops.subtract(x, made), reduction)
        return ops.add(residual, ops.multiply(feature, self.kappa))
