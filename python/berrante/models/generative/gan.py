"""Generative adversarial networks from noise (Goodfellow et al., 2014), with classes (Mirza and Osindero, 2014), and the
Wasserstein kind with n_critic = 5."""

from __future__ import annotations

from typing import Any

import numpy as np

from berrante import ops, random
from berrante.data import unpack
from berrante.models.generative.adversarial import Adversarial, Batch
from berrante.models.generative.base import one_hot_labels


class GAN(Adversarial):
    """A generator of samples from noise, and a discriminator. `fit(x)`, then `generate(n)`.

    Args:
        generator: from noise [N, latent_dim] to samples. discriminator: from samples to scores, with a sigmoid or
            (better, and needed by some losses) without.
        latent_dim: the noise's size; by default what the generator takes.
        ema: the momentum of averages of the generator's weights, from which generate() then draws; None for none.
    """

    settings: tuple[str, ...] = ("latent_dim", "ema")

    def __init__(
        self, generator: Any, discriminator: Any, latent_dim: int | None = None, ema: float | None = None,
        name: str | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(name=name, **kwargs)
        self._setup_pair(generator, discriminator, ema)
        self.latent_dim = self._find_latent_dim(latent_dim)

    def _find_latent_dim(self, given: int | None) -> int:
        inputs: Any = getattr(self.generator, "inputs", None)
        extra = self._condition_size() if inputs and len(inputs) == 1 else 0
        shape: Any = inputs[0].shape[1:] if inputs else None
        if shape is not None and (len(shape) != 1 or shape[0] is None):
            raise ValueError(f"{self._label()} generator: expected noise (N, latent_dim); it takes {inputs[0].shape}")
        found = None if shape is None else shape[0] - extra
        if given is None and found is None:
            raise ValueError(
                f"{self._label()} latent_dim: expected a size, as the generator is not built; received None"
            )
        if given is not None and found is not None and given != found:
            what = f"{given} and {extra} classes" if extra else f"{given}"
            raise ValueError(f"{self._label()} latent_dim: the generator takes {shape[0]} elements; received {what}")
        return int(found if found is not None else given or 0)

    def _condition_size(self) -> int:
        return 0

    # --- the step ---------------------------------------------------------------------------------------------------

    def _noise(self, n: int) -> Any:
        return random.normal((n, self.latent_dim), seed=self.seed_generator)

    def _batch(self, data: Any) -> Batch:
        x, y, _ = unpack(data)
        if y is not None:
            raise ValueError(f"{self._label()} y: expected None; received targets (a ConditionalGAN takes labels)")
        n = x.shape[0]
        return Batch(self._noise(n), x, None, n)

    def _renew(self, batch: Batch) -> Batch:
        return batch._replace(inputs=self._noise(batch.size))

    # --- use --------------------------------------------------------------------------------------------------------

    def noise(self, n: int, seed: int | None = None, truncation: float | None = None) -> np.ndarray:
        """n vectors of normal noise; with `truncation` elements beyond it are drawn again."""
        if n < 1:
            raise ValueError(f"{self._label()} n: expected a positive integer; received {n}")
        if truncation is None:
            return np.asarray(random.normal((n, self.latent_dim), seed=seed))
        if truncation <= 0:
            raise ValueError(f"{self._label()} truncation: expected above 0; received {truncation}")
        rng = np.random.default_rng(seed)
        z = rng.normal(size=(n, self.latent_dim))
        while (far := np.abs(z) > truncation).any():
            z[far] = rng.normal(size=int(far.sum()))
        return z.astype(np.float32)

    def _latent(self, n: int | None, z: Any, seed: int | None, truncation: float | None) -> np.ndarray:
        if z is None:
            return self.noise(1 if n is None else n, seed, truncation)
        z = np.asarray(z, np.float32)
        if z.ndim != 2 or z.shape[1] != self.latent_dim:
            raise ValueError(f"{self._label()} z: expected noise (N, {self.latent_dim}); received shape {z.shape}")
        return z

    def generate(
        self, n: int | None = None, z: Any = None, seed: int | None = None, truncation: float | None = None,
        batch_size: int = 128,
    ) -> np.ndarray:  # fmt: skip
        """n samples, or one for each row of noise z."""
        latent = self._latent(n, z, seed, truncation)
        samples: np.ndarray = self._batched(
            "generate", lambda a: self.best_generator(a, training=False), [latent], batch_size
        )
        return samples

    sample = generate

    def interpolate(self, z0: Any, z1: Any, steps: int = 8, spherical: bool = True) -> np.ndarray:
        """Samples between noises z0 and z1 [N, latent_dim], on great circles or lines: [N, steps, ...]."""
        path = blend(self._latent(None, z0, None, None), self._latent(None, z1, None, None), steps, spherical)
        samples = self.generate(z=path.reshape(-1, self.latent_dim))
        return samples.reshape(len(path), steps, *samples.shape[1:])

    def discriminate(self, x: Any, batch_size: int = 128) -> np.ndarray:
        """The discriminator's scores of samples."""
        scores: np.ndarray = self._batched(
            "discriminate", lambda a: self.discriminator(a, training=False), [x], batch_size
        )
        return scores

    def anomaly_score(self, x: Any, steps: int = 200, weight: float = 0.1, seed: int = 0, **kwargs: Any) -> np.ndarray:
        """How far samples lie from what the generator can make (AnoGAN; FAnoGAN is the fast kind).

        The noise whose sample is nearest is searched by `steps` gradient steps; `weight` is that of the distance between
        the discriminator's features.
        """
        from berrante.models.generative.anogan import search_scores

        return search_scores(self, x, steps, weight, seed, **kwargs)


def blend(a: np.ndarray, b: np.ndarray, steps: int, spherical: bool = True) -> np.ndarray:
    """[N, steps, D] between the rows of a and b."""
    if a.shape != b.shape or steps < 2:
        raise ValueError(
            f"interpolate: expected equal shapes and 2 steps; received {a.shape}, {b.shape}, steps={steps}"
        )
    t = np.linspace(0.0, 1.0, steps, dtype=np.float64)[None, :, None]
    a64, b64 = a.astype(np.float64)[:, None], b.astype(np.float64)[:, None]
    line = (1 - t) * a64 + t * b64
    if spherical:
        norms = np.linalg.norm(a64, axis=-1, keepdims=True) * np.linalg.norm(b64, axis=-1, keepdims=True)
        angle = np.arccos(np.clip(np.sum(a64 * b64, -1, keepdims=True) / np.maximum(norms, 1e-12), -1, 1))
        sine = np.sin(angle)
        safe = np.maximum(sine, 1e-6)
        arc = (np.sin((1 - t) * angle) * a64 + np.sin(t * angle) * b64) / safe
        line = np.where(sine > 1e-6, arc, line)
    return line.astype(np.float32)


class WGAN(GAN):
    """A GAN whose loss is by default the Wasserstein distance with a gradient penalty and five critic updates a step.

    discriminator_extra_steps and gp_weight are keras.io's names for n_critic and gradient_penalty.
    """

    _default_loss = "wgan_gp"
    settings = ("latent_dim", "ema", "discriminator_extra_steps", "gp_weight")

    def __init__(
        self, generator: Any, discriminator: Any, latent_dim: int | None = None, ema: float | None = None,
        discriminator_extra_steps: int = 5, gp_weight: float = 10.0, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(generator, discriminator, latent_dim, ema, **kwargs)
        self.discriminator_extra_steps, self.gp_weight = discriminator_extra_steps, gp_weight
        self._default_critic = discriminator_extra_steps
        self._default_penalty = gp_weight


class ConditionalGAN(GAN):
    """A GAN of samples with classes: `fit(x, labels)`, `generate(labels=[3, 1, 4])`.

    A part with two inputs receives the class as its second: one-hot rows where it takes (N, num_classes), integers where it
    takes (N,) or (N, 1), as an Embedding does. A generator with one input of latent_dim + num_classes elements receives
    the class behind the noise; a discriminator with one input receives one more channel a class.

    Args:
        num_classes: labels are integers below it (or one-hot rows).
    """

    settings = ("latent_dim", "num_classes", "ema")

    def __init__(
        self, generator: Any, discriminator: Any, latent_dim: int | None = None, num_classes: int | None = None,
        ema: float | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        if num_classes is None or num_classes < 2:
            raise ValueError(f"ConditionalGAN: expected num_classes of at least 2; received {num_classes}")
        object.__setattr__(self, "num_classes", int(num_classes))
        super().__init__(generator, discriminator, latent_dim, ema, **kwargs)

    num_classes: int

    def _condition_size(self) -> int:
        return self.num_classes

    def _batch(self, data: Any) -> Batch:
        x, y, _ = unpack(data)
        if y is None:
            raise ValueError(f"{self._label()} y: expected labels, one class a sample; received None: fit(x, labels)")
        if len(y.shape) == 2 and y.shape[1] == self.num_classes:
            rows = ops.cast(y, "float32")
        else:
            rows = ops.one_hot(ops.reshape(ops.cast(y, "int32"), (-1,)), self.num_classes)
        n = x.shape[0]
        return Batch(self._noise(n), x, rows, n)

    def _generate(self, batch: Batch, training: bool) -> Any:
        return self._generate_of(self.generator, batch.inputs, batch.condition, training)

    def _generate_of(self, generator: Any, z: Any, rows: Any, training: bool) -> Any:
        inputs = getattr(generator, "inputs", [])
        if len(inputs) == 2:
            return generator([z, as_input(rows, inputs[1])], training=training)
        return generator(ops.concatenate([z, rows], axis=-1), training=training)

    def _judge(self, samples: Any, batch: Batch, training: bool) -> Any:
        return self._judge_with(samples, batch.condition, training)

    def _judge_with(self, samples: Any, rows: Any, training: bool) -> Any:
        inputs = getattr(self.discriminator, "inputs", [])
        if len(inputs) == 2:
            return self.discriminator([samples, as_input(rows, inputs[1])], training=training)
        shape = tuple(samples.shape)
        planes = ops.reshape(rows, (shape[0], *(1,) * (len(shape) - 2), self.num_classes))
        planes = ops.broadcast_to(planes, (*shape[:-1], self.num_classes))
        return self.discriminator(ops.concatenate([samples, planes], axis=-1), training=training)

    def _check_data(self, data: Any) -> None:
        super()._check_data(data)
        if data.data[1] is not None:
            one_hot_labels(f"{self._label()} y:", data.data[1], self.num_classes)

    def _rows(self, labels: Any, n: int | None, what: str) -> np.ndarray:
        if labels is None:
            raise ValueError(f"{self._label()} {what}: expected labels, one class a sample; received None")
        labels = np.full(n or 1, labels) if np.ndim(labels) == 0 else np.asarray(labels)
        rows = one_hot_labels(f"{self._label()} {what}:", labels, self.num_classes)
        if n is not None and len(rows) != n:
            raise ValueError(f"{self._label()} {what}: expected {n} labels; received {len(rows)}")
        return rows

    def generate(  # type: ignore[override]
        self, n: int | None = None, labels: Any = None, z: Any = None, seed: int | None = None,
        truncation: float | None = None, batch_size: int = 128,
    ) -> np.ndarray:  # fmt: skip
        """One sample of each class in `labels`, or n of a single class."""
        rows = self._rows(labels, n if z is None else len(np.asarray(z)), "generate")
        latent = self._latent(len(rows), z, seed, truncation)
        samples: np.ndarray = self._batched(
            "generate", lambda a, c: self._generate_of(self.best_generator, a, c, False), [latent, rows], batch_size
        )
        return samples

    sample = generate  # type: ignore[assignment]

    def interpolate(  # type: ignore[override]
        self, z0: Any, z1: Any, steps: int = 8, spherical: bool = True, labels: Any = None
    ) -> np.ndarray:
        """As GAN.interpolate, each row of one class."""
        path = blend(self._latent(None, z0, None, None), self._latent(None, z1, None, None), steps, spherical)
        rows = np.repeat(self._rows(labels, len(path), "interpolate"), steps, axis=0)
        samples = self.generate(labels=rows, z=path.reshape(-1, self.latent_dim))
        return samples.reshape(len(path), steps, *samples.shape[1:])

    def discriminate(self, x: Any, labels: Any = None, batch_size: int = 128) -> np.ndarray:  # type: ignore[override]
        """The discriminator's scores of samples as members of classes."""
        x = np.asarray(x)
        scores: np.ndarray = self._batched(
            "discriminate", lambda a, c: self._judge_with(a, c, False), [x, self._rows(labels, len(x), "discriminate")],
            batch_size,
        )  # fmt: skip
        return scores

    def anomaly_score(self, *args: Any, **kwargs: Any) -> np.ndarray:
        raise ValueError(
            f"{self._label()} anomaly_score: expected a GAN without classes; train a GAN on normal samples"
        )


def as_input(rows: Any, tensor: Any) -> Any:
    """One-hot rows as an Input takes them: rows, or integers (N,) or (N, 1)."""
    shape = tuple(tensor.shape)
    if len(shape) == 2 and shape[1] == rows.shape[1]:
        return rows
    labels = ops.argmax(rows, axis=-1)
    return ops.cast(ops.reshape(labels, (rows.shape[0], *shape[1:])), tensor.dtype)
