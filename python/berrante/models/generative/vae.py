"""Variational autoencoders (Kingma and Welling, 2013), with a weight on the divergence (Higgins et al., 2017), and
conditional ones (Sohn et al., 2015)."""

from __future__ import annotations

from typing import Any

import numpy as np

from berrante import ops, random
from berrante.data import unpack
from berrante.graph.tape import GradientTape, flatten
from berrante.layers import Dense, Flatten, Layer
from berrante.models.generative.anomaly import REDUCTIONS, reduce_error
from berrante.models.generative.autoencoder import Autoencoder
from berrante.models.generative.base import check_range, final_activation, one_hot_labels
from berrante.models.steps import tracked

_LOG_VAR_LIMIT = 20.0


class VAE(Autoencoder):
    """An encoder to a normal distribution over codes and a decoder; maximises the evidence lower bound.

    Args:
        encoder: gives features (two dense layers of `latent_dim` units are put on top), (mean, log variance), or
            (mean, log variance, sample).
        decoder: from codes [N, latent_dim] to samples. For "bce" its last activation is sigmoid or linear (logits).
        latent_dim: the code's size; needed only for an encoder of features.
        beta: the weight of the divergence.
        reconstruction: "bce" (pixels as Bernoulli probabilities, data in [0, 1]) or "mse" (a Gaussian of variance 1).

    Both terms are in nats per sample: sums over elements, means over the batch, as in keras.io's example. Logs: loss,
    reconstruction_loss, kl_loss (without beta).
    """

    parts = ("encoder", "decoder")
    settings: tuple[str, ...] = ("latent_dim", "beta", "reconstruction", "anomaly_reduction")
    _default_loss = None
    latent_dim: int

    def __init__(
        self, encoder: Any, decoder: Any, latent_dim: int | None = None, beta: float = 1.0,
        reconstruction: str = "bce", anomaly_reduction: str = "mse", name: str | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        if reconstruction not in ("bce", "mse"):
            raise ValueError(f"VAE: expected reconstruction bce or mse; received {reconstruction!r}")
        if beta < 0:
            raise ValueError(f"VAE: expected beta of at least 0; received {beta}")
        self.z_mean: Layer | None = None
        self.z_log_var: Layer | None = None
        super().__init__(encoder, decoder, anomaly_reduction=anomaly_reduction, name=name, **kwargs)
        self.beta, self.reconstruction = float(beta), reconstruction
        self.latent_dim = self._find_latent_dim(latent_dim)
        self._check_built()

    def _allowed_reductions(self) -> tuple[str, ...]:
        return (*REDUCTIONS, "elbo")

    def _find_latent_dim(self, given: int | None) -> int:
        """From the encoder's outputs; makes the two layers on top where it gives features."""
        outputs = getattr(self.encoder, "outputs", None) or []
        found = outputs[0].shape[-1] if len(outputs) in (2, 3) else None
        if found is not None and given is not None and found != given:
            raise ValueError(f"{self._label()} latent_dim: the encoder gives codes of {found}; received {given}")
        if found is None and given is None:
            raise ValueError(
                f"{self._label()} latent_dim: expected a size, as the encoder gives features; received None"
            )
        if len(outputs) == 1 and given is not None:
            self.z_mean = Dense(given, name="z_mean")
            self.z_log_var = Dense(given, name="z_log_var")
            features = int(np.prod(outputs[0].shape[1:]))
            for head in (self.z_mean, self.z_log_var):
                head.build((None, features))
                head.built = True
        decoder_input = getattr(self.decoder, "inputs", None)
        size = int(found if found is not None else given or 0)
        if decoder_input and decoder_input[0].shape[-1] not in (None, size, size + self._condition_size()):
            raise ValueError(
                f"{self._label()} decoder: expected inputs of latent_dim={size}; it takes {decoder_input[0].shape}"
            )
        return size

    def _condition_size(self) -> int:
        return 0

    def compile(self, optimizer: Any = "adam", loss: Any = None, **kwargs: Any) -> None:  # type: ignore[override]
        """As Model.compile; the losses are the model's own."""
        if loss is not None:
            raise ValueError(
                f'{self._label()} loss: expected None (the model has its own; choose reconstruction="bce" or "mse" in '
                f"the constructor); received {loss!r}"
            )
        super().compile(optimizer, None, **kwargs)

    def _term_names(self) -> list[str]:
        return ["reconstruction_loss", "kl_loss"]

    # --- the step ---------------------------------------------------------------------------------------------------

    def _encoder_inputs(self, x: Any, condition: Any) -> Any:
        return x

    def _decoder_inputs(self, z: Any, condition: Any) -> Any:
        return z

    def distribution(self, x: Any, condition: Any = None, training: bool = False) -> tuple[Any, Any, Any]:
        """Mean and log variance of the codes of x, and a sample."""
        outputs = flatten(self.encoder(self._encoder_inputs(x, condition), training=training))
        if len(outputs) == 1:
            assert self.z_mean is not None and self.z_log_var is not None
            features = Flatten()(outputs[0]) if len(outputs[0].shape) > 2 else outputs[0]
            outputs = [self.z_mean(features), self.z_log_var(features)]
        mean, log_var = outputs[0], ops.clip(outputs[1], -_LOG_VAR_LIMIT, _LOG_VAR_LIMIT)
        if len(outputs) == 3 and training:
            return mean, log_var, outputs[2]
        noise = random.normal(mean.shape, seed=self.seed_generator) if training else 0.0
        return mean, log_var, ops.add(mean, ops.multiply(ops.exp(ops.multiply(log_var, 0.5)), noise))

    def _decode(self, z: Any, condition: Any, training: bool) -> Any:
        return self.decoder(self._decoder_inputs(z, condition), training=training)

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        _, _, z = self.distribution(inputs, None, training)
        return self._probabilities(self._decode(z, None, training))

    def _logits(self) -> bool:
        return self.reconstruction == "bce" and final_activation(self.decoder) in ("linear", None)

    def _probabilities(self, y: Any) -> Any:
        return ops.sigmoid(y) if self._logits() else y

    def _nats(self, target: Any, y: Any) -> Any:
        """-log p(target | code) of each sample."""
        if self.reconstruction == "bce":
            loss = ops.binary_crossentropy(target, y, from_logits=self._logits())
        else:
            loss = ops.multiply(ops.square(ops.subtract(target, y)), 0.5)
        return ops.sum(loss, axis=list(range(1, len(target.shape))))

    def _objective(self, x: Any, condition: Any, weights: Any, training: bool) -> tuple[Any, dict[str, Any], Any]:
        """Reconstruction, the logged terms and the total."""
        mean, log_var, z = self.distribution(x, condition, training)
        y = self._decode(z, condition, training)
        self._check_shapes(x, y)
        nats, divergence = self._nats(x, y), kl_divergence(mean, log_var)
        if weights is not None:
            weights = ops.reshape(weights, (-1,))
            nats, divergence = ops.multiply(nats, weights), ops.multiply(divergence, weights)
        terms = {"reconstruction_loss": ops.mean(nats), "kl_loss": ops.mean(divergence)}
        weighted = {**terms, "kl_loss": ops.multiply(terms["kl_loss"], self.beta)}
        return self._probabilities(y), terms, self._total(weighted)

    def _unpack(self, data: Any) -> tuple[Any, Any, Any]:
        x, y, weights = unpack(data)
        if y is not None:
            raise ValueError(f"{self._label()} y: expected None, the samples are their own targets; received targets")
        return x, None, weights

    @tracked
    def train_step(self, data: Any) -> dict[str, Any]:
        """One update from x."""
        x, condition, weights = self._unpack(data)
        variables = self._train_variables()
        with GradientTape() as tape:
            y_pred, terms, loss = self._objective(x, condition, weights, True)
        self._track_losses(loss, terms, x.shape[0])
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        return self.compute_metrics(x, x, y_pred, weights)

    @tracked
    def test_step(self, data: Any) -> dict[str, Any]:
        """The losses of x at the mean codes."""
        x, condition, weights = self._unpack(data)
        y_pred, terms, loss = self._objective(x, condition, weights, False)
        self._track_losses(loss, terms, x.shape[0])
        return self.compute_metrics(x, x, y_pred, weights)

    def _check_data(self, data: Any) -> None:
        activation = "sigmoid" if self.reconstruction == "bce" else final_activation(self.decoder)
        check_range(self._label(), "x", data.data[0], activation)

    # --- use --------------------------------------------------------------------------------------------------------

    def encode(self, x: Any, sample: bool = False, seed: int | None = None, batch_size: int = 128) -> np.ndarray:  # type: ignore[override]
        """The mean codes of samples [N, latent_dim], or codes drawn around them."""
        mean, log_var = self._batched("encode", lambda a: list(self.distribution(a)[:2]), [x], batch_size)
        if not sample:
            return mean
        noise = np.random.default_rng(seed).normal(size=mean.shape).astype(np.float32)
        return mean + np.exp(0.5 * log_var) * noise

    def decode(self, code: Any, batch_size: int = 128) -> np.ndarray:
        """The samples of codes [N, latent_dim]."""
        samples: np.ndarray = self._batched(
            "decode", lambda z: self._probabilities(self._decode(z, None, False)), [self._codes(code)], batch_size
        )
        return samples

    def _codes(self, code: Any) -> np.ndarray:
        code = np.asarray(code, np.float32)
        if code.ndim != 2 or code.shape[1] != self.latent_dim:
            raise ValueError(f"{self._label()} expected codes (N, {self.latent_dim}); received shape {code.shape}")
        return code

    def _draw(self, n: int, seed: int | None) -> np.ndarray:
        return np.asarray(random.normal((n, self.latent_dim), seed=seed))

    def sample(self, n: int, seed: int | None = None) -> np.ndarray:
        """n new samples, of codes from the standard normal distribution."""
        return self.decode(self._draw(n, seed))

    def _score(self, x: Any, reduction: str) -> Any:
        if reduction != "elbo":
            return reduce_error(ops.subtract(x, self._reconstruct(x)), reduction)
        mean, log_var, z = self.distribution(x)
        return ops.add(self._nats(x, self._decode(z, None, False)), kl_divergence(mean, log_var))


def kl_divergence(mean: Any, log_var: Any) -> Any:
    """KL(N(mean, exp(log_var)) || N(0, 1)) of each row."""
    terms = ops.subtract(ops.add(ops.square(mean), ops.exp(log_var)), ops.add(log_var, 1.0))
    return ops.multiply(ops.sum(terms, axis=list(range(1, len(mean.shape)))), 0.5)


class ConditionalVAE(VAE):
    """A VAE of samples with classes: `fit(x, labels)`, `sample(n, labels)`.

    A part with two inputs receives the one-hot class as its second; a decoder with one input of latent_dim + num_classes
    elements receives the class behind the code; an encoder with one input sees the sample alone.

    Args:
        num_classes: labels are integers below it (or one-hot rows).
    """

    num_classes: int
    settings = ("latent_dim", "num_classes", "beta", "reconstruction", "anomaly_reduction")

    def __init__(
        self, encoder: Any, decoder: Any, latent_dim: int | None = None, num_classes: int | None = None, **kwargs: Any
    ) -> None:
        if num_classes is None or num_classes < 2:
            raise ValueError(f"ConditionalVAE: expected num_classes of at least 2; received {num_classes}")
        object.__setattr__(self, "num_classes", int(num_classes))
        super().__init__(encoder, decoder, latent_dim, **kwargs)

    def _condition_size(self) -> int:
        return self.num_classes

    def _encoder_inputs(self, x: Any, condition: Any) -> Any:
        return [x, condition] if len(self.encoder.inputs) == 2 else x

    def _decoder_inputs(self, z: Any, condition: Any) -> Any:
        if condition is None:
            raise ValueError(f"{self._label()} labels: expected classes; received None")
        return [z, condition] if len(self.decoder.inputs) == 2 else ops.concatenate([z, condition], axis=-1)

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        x, condition = flatten(inputs)
        _, _, z = self.distribution(x, condition, training)
        return self._probabilities(self._decode(z, condition, training))

    def _unpack(self, data: Any) -> tuple[Any, Any, Any]:
        x, y, weights = unpack(data)
        if y is None:
            raise ValueError(f"{self._label()} y: expected labels, one class a sample; received None: fit(x, labels)")
        if len(y.shape) == 2 and y.shape[1] == self.num_classes:
            return x, ops.cast(y, "float32"), weights
        return x, ops.one_hot(ops.reshape(ops.cast(y, "int32"), (-1,)), self.num_classes), weights

    def _check_data(self, data: Any) -> None:
        super()._check_data(data)
        if data.data[1] is not None:
            one_hot_labels(f"{self._label()} y:", data.data[1], self.num_classes)

    def _with(self, x: Any, labels: Any, what: str) -> list[Any]:
        if labels is None:
            raise ValueError(f"{self._label()} {what}: expected labels, one class a sample; received None")
        rows = one_hot_labels(f"{self._label()} {what}:", labels, self.num_classes)
        x = np.asarray(x)
        if len(x) != len(rows):
            raise ValueError(f"{self._label()} {what}: expected one label a sample; received {len(rows)} for {len(x)}")
        return [x, rows]

    def encode(  # type: ignore[override]
        self, x: Any, labels: Any = None, sample: bool = False, seed: int | None = None, batch_size: int = 128
    ) -> np.ndarray:
        """The mean codes of samples with their classes, or codes drawn around them."""
        mean, log_var = self._batched(
            "encode", lambda a, c: list(self.distribution(a, c)[:2]), self._with(x, labels, "encode"), batch_size
        )
        if not sample:
            return mean
        noise = np.random.default_rng(seed).normal(size=mean.shape).astype(np.float32)
        return mean + np.exp(0.5 * log_var) * noise

    def decode(self, code: Any, labels: Any = None, batch_size: int = 128) -> np.ndarray:  # type: ignore[override]
        """The samples of codes with classes."""
        arrays = self._with(self._codes(code), labels, "decode")
        samples: np.ndarray = self._batched(
            "decode", lambda z, c: self._probabilities(self._decode(z, c, False)), arrays, batch_size
        )
        return samples

    def reconstruct(self, x: Any, labels: Any = None, batch_size: int = 128) -> np.ndarray:  # type: ignore[override]
        """decode(encode(x, labels), labels)."""
        return self.decode(self.encode(x, labels, batch_size=batch_size), labels, batch_size)

    def sample(self, n: int | None = None, labels: Any = None, seed: int | None = None) -> np.ndarray:  # type: ignore[override]
        """New samples of the classes given; n of them, where one class is."""
        if labels is None:
            raise ValueError(f"{self._label()} sample: expected labels, one class a sample; received None")
        labels = np.full(n or 1, labels) if np.ndim(labels) == 0 else np.asarray(labels)
        if n is not None and len(labels) != n:
            raise ValueError(f"{self._label()} sample: expected {n} labels; received {len(labels)}")
        return self.decode(self._draw(len(labels), seed), labels)

    def interpolate(self, a: Any, b: Any, steps: int = 8, labels: Any = None) -> np.ndarray:  # type: ignore[override]
        """As Autoencoder.interpolate, all of the same classes."""
        start, end = self.encode(a, labels), self.encode(b, labels)
        t = np.linspace(0.0, 1.0, steps, dtype=np.float32).reshape(1, steps, 1)
        codes = ((1 - t) * start[:, None] + t * end[:, None]).reshape(-1, self.latent_dim)
        samples = self.decode(codes, np.repeat(np.asarray(labels), steps, axis=0))
        return samples.reshape(len(start), steps, *samples.shape[1:])

    def anomaly_score(  # type: ignore[override]
        self, x: Any, reduction: str | None = None, batch_size: int = 128, labels: Any = None
    ) -> np.ndarray:
        """The error of reconstructing each sample as its class."""
        chosen = self.anomaly_reduction if reduction is None else self._check_reduction(reduction)

        def score(a: Any, c: Any) -> Any:
            mean, log_var, z = self.distribution(a, c)
            y = self._decode(z, c, False)
            if chosen == "elbo":
                return ops.add(self._nats(a, y), kl_divergence(mean, log_var))
            return reduce_error(ops.subtract(a, self._probabilities(y)), chosen)

        arrays = self._with(x, labels, "anomaly_score")
        scores: np.ndarray = self._batched(f"anomaly_score_{chosen}", score, arrays, batch_size)
        return scores
