"""Images from captions: a conditional GAN with a text encoder, whose discriminator also learns to refuse real images under
wrong captions (Reed et al., 2016)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from berrante import layers, ops, random
from berrante.data import unpack
from berrante.graph.variable import Variable
from berrante.models.generative.adversarial import Adversarial, Batch
from berrante.models.generative.base import check_range, final_activation

PADDING, UNKNOWN = 0, 1


def words_of(caption: str) -> list[str]:
    """The lower-case words of a caption."""
    return re.findall(r"\w+", caption.lower())


class TextToImageGAN(Adversarial):
    """`fit(captions, images)`, then `generate(["the digit seven"])`. It knows the words of its vocabulary alone.

    Args:
        generator: from [noise, text code] to images. discriminator: judges [image, text code].
        vocabulary: the words, most frequent first (see `vocabulary_of`).
        latent_dim: the noise's size; by default what the generator takes.
        max_words: captions are cut to it.
        text_encoder: from word numbers [N, max_words] (0 pads) to codes; by default embeddings, a convolution over
            neighbours, the maximum over places and a dense layer of `text_dim` units.
        mismatch: the weight of real images under wrong captions, as a share of the generated ones' weight.

    The text encoder learns with the discriminator.
    """

    parts: tuple[str, ...] = ("generator", "discriminator", "text_encoder")
    settings = ("vocabulary", "latent_dim", "max_words", "text_dim", "mismatch", "ema")
    text_encoder: Any

    def __init__(
        self, generator: Any, discriminator: Any, vocabulary: Sequence[str] = (), latent_dim: int | None = None,
        max_words: int = 12, text_encoder: Any = None, text_dim: int = 32, mismatch: float = 1.0,
        ema: float | None = None, name: str | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(name=name, **kwargs)
        if not vocabulary or not all(isinstance(w, str) for w in vocabulary):
            raise ValueError(f"{self._label()} vocabulary: expected words; received {vocabulary!r}")
        object.__setattr__(self, "vocabulary", list(vocabulary))
        object.__setattr__(self, "_numbers", {w: i + 2 for i, w in enumerate(vocabulary)})
        self.max_words, self.text_dim, self.mismatch = int(max_words), int(text_dim), float(mismatch)
        if text_encoder is None:
            text_encoder = default_text_encoder(len(self.vocabulary) + 2, self.max_words, self.text_dim)
        self._add_part("text_encoder", text_encoder)
        self._setup_pair(generator, discriminator, ema)
        inputs = getattr(generator, "inputs", [])
        if len(inputs) != 2 or len(getattr(discriminator, "inputs", [])) != 2:
            raise ValueError(
                f"{self._label()} expected a generator of [noise, text code] and a discriminator of [image, text code]"
            )
        self.latent_dim = int(inputs[0].shape[-1])
        if latent_dim is not None and latent_dim != self.latent_dim:
            raise ValueError(
                f"{self._label()} latent_dim: the generator takes {self.latent_dim} elements; received {latent_dim}"
            )
        self._check_built()

    vocabulary: list[str]
    _numbers: dict[str, int]

    # --- captions ---------------------------------------------------------------------------------------------------

    def tokens(self, captions: Sequence[str]) -> np.ndarray:
        """Word numbers [N, max_words]: 0 pads, 1 stands for unknown words."""
        if isinstance(captions, str) or not all(isinstance(c, str) for c in captions):
            raise ValueError(
                f"{self._label()} captions: expected a list of strings; received {type(captions).__name__}"
            )
        rows = np.zeros((len(captions), self.max_words), np.int32)
        for row, caption in zip(rows, captions, strict=True):
            numbers = [self._numbers.get(w, UNKNOWN) for w in words_of(caption)][: self.max_words]
            row[: len(numbers)] = numbers
        return rows

    # --- the step ---------------------------------------------------------------------------------------------------

    def fit(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """x: captions (or word numbers); y: images."""
        return super().fit(self._numbers_of(x), y, *args, **kwargs)

    def _numbers_of(self, x: Any) -> np.ndarray:
        if isinstance(x, (list, tuple)) and len(x) and isinstance(x[0], str):
            return self.tokens(x)
        x = np.asarray(x)
        if x.dtype.kind == "U":
            return self.tokens([str(s) for s in x])
        if x.ndim != 2 or x.dtype.kind not in "iu":
            raise ValueError(f"{self._label()} x: expected captions; received {x.dtype} of shape {x.shape}")
        return x.astype(np.int32)

    def _d_variables(self) -> list[Variable]:
        return self._trainable_of("discriminator", [self.discriminator, self.text_encoder])

    def _noise(self, n: int) -> Any:
        return random.normal((n, self.latent_dim), seed=self.seed_generator)

    def _batch(self, data: Any) -> Batch:
        x, y, _ = unpack(data)
        if y is None:
            raise ValueError(f"{self._label()} y: expected images; received None: fit(captions, images)")
        return Batch(self._noise(x.shape[0]), y, x, x.shape[0])

    def _renew(self, batch: Batch) -> Batch:
        return batch._replace(inputs=self._noise(batch.size))

    def _code(self, tokens: Any, training: bool) -> Any:
        return self.text_encoder(tokens, training=training)

    def _generate(self, batch: Batch, training: bool) -> Any:
        return self.generator(
            [batch.inputs, ops.stop_gradient(self._code(batch.condition, training))], training=training
        )

    def _judge(self, samples: Any, batch: Batch, training: bool) -> Any:
        return self.discriminator([samples, self._code(batch.condition, training)], training=training)

    def _discriminator_loss(self, batch: Batch, fake: Any) -> tuple[Any, Any, Any]:
        loss, real, made = super()._discriminator_loss(batch, fake)
        if self.mismatch:
            # The neighbour's caption is wrong, except where both happen to be alike.
            other = ops.roll(batch.condition, 1, axis=0)
            wrong = ops.cast(ops.any(ops.not_equal(other, batch.condition), axis=1), "float32")
            scores = ops.reshape(self._judge(batch.real, batch._replace(condition=other), True), (batch.size, -1))
            terms = ops.binary_crossentropy(ops.zeros_like(scores), scores, from_logits=self._logits)
            share = ops.divide(ops.sum(ops.multiply(ops.mean(terms, axis=1), wrong)), ops.maximum(ops.sum(wrong), 1.0))
            loss = ops.add(loss, ops.multiply(share, self.mismatch))
        return loss, real, made

    def _check_game(self, loss: Any) -> None:
        super()._check_game(loss)
        if self.mismatch and not (self.game.likely and not self.game.relative):
            raise ValueError(
                f'{self._label()} loss: mismatch={self.mismatch:g} works with "non_saturating" and "minimax"; '
                f"received {loss!r} (pass mismatch=0 for it)"
            )

    def _check_data(self, data: Any) -> None:
        check_range(self._label(), "y", data.data[1], final_activation(self.generator))

    def _real_of(self, data: Any) -> tuple[str, Any]:
        return "y", data.data[1]

    # --- use --------------------------------------------------------------------------------------------------------

    def generate(
        self, captions: Sequence[str], z: Any = None, seed: int | None = None, batch_size: int = 128
    ) -> np.ndarray:
        """One image a caption."""
        tokens = self.tokens(captions)
        z = np.asarray(random.normal((len(tokens), self.latent_dim), seed=seed) if z is None else z, np.float32)
        if z.shape != (len(tokens), self.latent_dim):
            raise ValueError(
                f"{self._label()} z: expected noise ({len(tokens)}, {self.latent_dim}); received shape {z.shape}"
            )
        images: np.ndarray = self._batched(
            "generate", lambda a, t: self.best_generator([a, self._code(t, False)], training=False), [z, tokens],
            batch_size,
        )  # fmt: skip
        return images


def vocabulary_of(captions: Sequence[str], size: int | None = None) -> list[str]:
    """The words of captions, most frequent first (then by alphabet), at most `size`."""
    counts = Counter(word for caption in captions for word in words_of(caption))
    return [word for word, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))][:size]


def default_text_encoder(words: int, max_words: int, units: int) -> Any:
    """Embeddings, a convolution over three neighbours, the maximum over places, a dense layer."""
    from berrante.models import Sequential

    return Sequential(
        [
            layers.Input((max_words,), dtype="int32"),
            layers.Embedding(words, units),
            layers.Conv1D(units, 3, padding="same", activation="relu"),
            layers.GlobalMaxPooling1D(),
            layers.Dense(units),
        ],
        name="text_encoder",
    )
