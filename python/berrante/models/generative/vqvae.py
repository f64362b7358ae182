"""VQ-VAE (van den Oord et al., 2017): codes are entries of a learnt codebook."""

from __future__ import annotations

from typing import Any

import numpy as np

from berrante import ops
from berrante.graph.variable import Variable
from berrante.layers.layer import Layer
from berrante.models.generative.autoencoder import Autoencoder


class VectorQuantizer(Layer):
    """Replaces each vector [..., embedding_dim] by the nearest entry of a codebook.

    Gradients pass straight through to the input. In training it adds the loss
    mean (entry - sg(x))^2 + commitment * mean (sg(entry) - x)^2.

    Args:
        num_embeddings, embedding_dim: the codebook's extents.
        commitment: the weight that keeps inputs near their entries.
    """

    fields = ("num_embeddings", "embedding_dim", "commitment")

    def __init__(self, num_embeddings: int, embedding_dim: int, commitment: float = 0.25, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if num_embeddings < 2 or embedding_dim < 1:
            raise ValueError(
                f"{self._label()} expected at least 2 embeddings of at least 1 element; received "
                f"num_embeddings={num_embeddings}, embedding_dim={embedding_dim}"
            )
        self.num_embeddings, self.embedding_dim, self.commitment = num_embeddings, embedding_dim, commitment
        self.embeddings: Any = None

    def build(self, input_shape: Any) -> None:
        if input_shape[-1] != self.embedding_dim:
            raise ValueError(f"expected vectors of embedding_dim={self.embedding_dim}; received shape {input_shape}")
        self.embeddings = self.add_weight(
            (self.num_embeddings, self.embedding_dim), "random_uniform", name="embeddings"
        )

    def indices(self, x: Any) -> Any:
        """The nearest entries of [..., D], int32 [...]."""
        flat = ops.reshape(x, (-1, self.embedding_dim))
        table = self.embeddings.value
        # |x - e|^2 without |x|^2, which is the same for all entries.
        distance = ops.subtract(ops.sum(ops.square(table), axis=1), ops.multiply(ops.matmul(flat, table.T), 2.0))
        return ops.reshape(ops.argmin(distance, axis=-1), x.shape[:-1])

    def lookup(self, indices: Any) -> Any:
        """The entries of indices [...], as [..., D]."""
        return ops.take(self.embeddings.value, indices, axis=0)

    def quantize(self, x: Any) -> tuple[Any, Any, Any]:
        """The entry nearest to each vector, the two losses' sum, and the indices."""
        indices = self.indices(ops.stop_gradient(x))
        entry = self.lookup(indices)
        codebook = ops.mean(ops.square(ops.subtract(entry, ops.stop_gradient(x))))
        commitment = ops.mean(ops.square(ops.subtract(ops.stop_gradient(entry), x)))
        loss = ops.add(codebook, ops.multiply(commitment, self.commitment))
        return ops.add(x, ops.stop_gradient(ops.subtract(entry, x))), loss, indices

    def call(self, inputs: Any, training: bool = False) -> Any:
        y, loss, _ = self.quantize(inputs)
        if training:
            self.add_loss(loss)
        return y


class VQVAE(Autoencoder):
    """An autoencoder with a codebook: encode gives integers, decode takes them.

    Args:
        encoder: to features [N, ..., embedding_dim]. decoder: from them.
        num_embeddings, embedding_dim, commitment: those of the VectorQuantizer.

    Logs: loss, reconstruction_loss, vq_loss, perplexity (how many entries a batch uses evenly).
    """

    parts = ("encoder", "decoder", "quantizer")
    settings = ("num_embeddings", "embedding_dim", "commitment", "anomaly_reduction")

    def __init__(
        self, encoder: Any, decoder: Any, num_embeddings: int = 64, embedding_dim: int = 16, commitment: float = 0.25,
        quantizer: Any = None, anomaly_reduction: str = "mse", name: str | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        self.num_embeddings, self.embedding_dim, self.commitment = num_embeddings, embedding_dim, commitment
        self.quantizer = VectorQuantizer(num_embeddings, embedding_dim, commitment) if quantizer is None else quantizer
        super().__init__(encoder, decoder, anomaly_reduction=anomaly_reduction, name=name, **kwargs)
        if not self.quantizer.built:
            self.quantizer.build((None, embedding_dim))
            self.quantizer.built = True
        grid = self.encoder.outputs[0].shape[1:-1] if getattr(self.encoder, "outputs", None) else None
        if grid is not None and all(n is not None for n in grid):
            # The frequency of each entry at each place; uniform until fit_prior().
            shape = (int(np.prod(grid, dtype=np.int64)), num_embeddings)
            self.prior = Variable(np.full(shape, 1.0 / num_embeddings, np.float32), trainable=False, name="prior")
            self.grid = tuple(int(n) for n in grid)
        self._check_built()

    def _term_names(self) -> list[str]:
        return ["reconstruction_loss", "vq_loss", "perplexity"]

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        y, _, _ = self.quantizer.quantize(self.encoder(inputs, training=training))
        return self.decoder(y, training=training)

    def _terms(self, x: Any, y: Any, weights: Any, training: bool) -> tuple[Any, Any, dict[str, Any]]:
        target = x if y is None else y
        quantized, loss, indices = self.quantizer.quantize(self.encoder(x, training=training))
        y_pred = self.decoder(quantized, training=training)
        self._check_shapes(target, y_pred)
        used = ops.mean(ops.one_hot(ops.reshape(indices, (-1,)), self.num_embeddings), axis=0)
        entropy = ops.negative(ops.sum(ops.multiply(used, ops.log(ops.add(used, 1e-10)))))
        terms = {"reconstruction_loss": self._objectives.total_loss([target], [y_pred], [weights]), "vq_loss": loss}
        return target, y_pred, {**terms, "perplexity": ops.exp(entropy)}

    def _total(self, terms: dict[str, Any]) -> Any:
        return super()._total({k: v for k, v in terms.items() if k != "perplexity"})

    # --- use --------------------------------------------------------------------------------------------------------

    def encode(self, x: Any, batch_size: int = 128) -> np.ndarray:
        """The codebook's indices, int32 [N, ...]."""
        indices: np.ndarray = self._batched(
            "encode", lambda a: self.quantizer.indices(self.encoder(a, training=False)), [x], batch_size
        )
        return indices

    def decode(self, code: Any, batch_size: int = 128) -> np.ndarray:
        """The samples of indices [N, ...]."""
        code = np.asarray(code)
        if code.dtype.kind not in "iu" or (code.size and (code.min() < 0 or code.max() >= self.num_embeddings)):
            raise ValueError(
                f"{self._label()} decode: expected indices from 0 to {self.num_embeddings - 1}; received "
                f"{code.dtype} from {code.min() if code.size else '-'} to {code.max() if code.size else '-'}"
            )
        samples: np.ndarray = self._batched(
            "decode", lambda c: self.decoder(self.quantizer.lookup(c), training=False), [code.astype(np.int32)],
            batch_size,
        )  # fmt: skip
        return samples

    def interpolate(self, a: Any, b: Any, steps: int = 8) -> np.ndarray:
        """Samples on lines between the encoders' features, each quantised: [N, steps, ...]."""
        features = lambda x: self._batched("features", lambda v: self.encoder(v, training=False), [x])
        start, end = features(a), features(b)
        t = np.linspace(0.0, 1.0, steps, dtype=np.float32).reshape(1, steps, *(1,) * (start.ndim - 1))
        points = ((1 - t) * start[:, None] + t * end[:, None]).reshape(-1, *start.shape[1:])
        decode = lambda v: self.decoder(self.quantizer.quantize(v)[0], training=False)
        samples = self._batched("interpolate", decode, [points])
        return np.asarray(samples.reshape(len(start), steps, *samples.shape[1:]))

    def fit_prior(self, x: Any) -> None:
        """Counts how often each entry stands at each place, for sample(). Places are taken as independent."""
        codes = self.encode(x).reshape(-1, self.prior.shape[0])
        counts = np.stack([np.bincount(column, minlength=self.num_embeddings) for column in codes.T])
        self.prior.assign((counts / counts.sum(1, keepdims=True)).astype(np.float32))

    def sample(self, n: int, seed: int | None = None) -> np.ndarray:
        """n samples of indices drawn place by place from the prior (see fit_prior; rough, as places are dependent)."""
        rng = np.random.default_rng(seed)
        edges = np.cumsum(self.prior.array.astype(np.float64), axis=1)
        edges /= edges[:, -1:]
        draws = rng.random((n, len(edges)))
        codes = np.stack([np.searchsorted(edges[j], draws[:, j], side="right") for j in range(len(edges))], axis=1)
        return self.decode(np.minimum(codes, self.num_embeddings - 1).reshape(n, *self.grid).astype(np.int32))
