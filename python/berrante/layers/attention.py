"""Attention and AdditiveAttention, after keras.layers: each query takes a mean of the values, weighted by its keys' scores."""

from __future__ import annotations

from typing import Any

import numpy as np

from berrante import ops, random
from berrante.layers.layer import Layer


class Attention(Layer):
    """softmax(scores) @ value for [query, value] or [query, value, key]: [N, T, D], [N, S, E], [N, S, D] -> [N, T, E].

    Args:
        use_scale: a trained scalar times the scores.
        score_mode: `dot` (query . key) or `concat` (sum(tanh(query + key)) times a trained scalar).
        dropout: the fraction of weights dropped in training.

    Call arguments:
        mask: [query_mask, value_mask]: queries whose result is 0, and values that get no weight.
        return_attention_scores: also give the weights [N, T, S].
        use_causal_mask: position i does not see values after i.
    """

    supports_masking = True
    fields: tuple[str, ...] = ("use_scale", "score_mode", "dropout", "seed")
    scale: Any = None
    concat_score_weight: Any = None

    def __init__(
        self, use_scale: bool = False, score_mode: str = "dot", dropout: float = 0.0, seed: int | None = None,
        **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(**kwargs)
        if score_mode not in ("dot", "concat"):
            raise ValueError(
                f"{self._label()} Invalid value for argument score_mode. Expected one of {{'dot', 'concat'}}. "
                f"Received: score_mode={score_mode}"
            )
        self.use_scale, self.score_mode, self.dropout, self.seed = use_scale, score_mode, dropout, seed
        if dropout > 0:
            self.seed_generator = random.SeedGenerator(seed)

    def build(self, input_shape: Any) -> None:
        self._check_list(input_shape, None)
        if self.use_scale:
            self.scale = self.add_weight((), "ones", name="scale")
        if self.score_mode == "concat":
            self.concat_score_weight = self.add_weight((), "ones", name="concat_score_weight")

    def _check_list(self, inputs: Any, mask: Any) -> None:
        if not isinstance(inputs, list):
            raise ValueError(f"must be called on a list [query, value] or [query, value, key]; received {inputs!r}")
        if len(inputs) not in (2, 3):
            raise ValueError(f"accepts inputs list of length 2 or 3; received length {len(inputs)}")
        if mask is not None and not isinstance(mask, (list, tuple)):
            raise ValueError(f"layer mask must be a list [query_mask, value_mask]; received {mask!r}")
        if mask is not None and len(mask) not in (2, 3):
            raise ValueError(f"accepts mask list of length 2 or 3; received length {len(mask)}")

    def _calculate_scores(self, query: Any, key: Any) -> Any:
        """[..., T, S]: how much each query asks for each key."""
        if self.score_mode == "dot":
            scores = ops.matmul(query, ops.swapaxes(key, -2, -1))
            return scores if self.scale is None else ops.multiply(scores, self.scale)
        pairs = ops.add(ops.expand_dims(query, -2), ops.expand_dims(key, -3))
        pairs = pairs if self.scale is None else ops.multiply(pairs, self.scale)
        return ops.multiply(self.concat_score_weight, ops.sum(ops.tanh(pairs), -1))

    def call(
        self, inputs: Any, mask: Any = None, training: bool = False, return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> Any:  # fmt: skip
        self._check_list(inputs, mask)
        query, value, key = inputs[0], inputs[1], inputs[-1]
        query_mask, value_mask = (None, None) if not mask else mask[:2]
        scores = self._calculate_scores(query, key)
        seen: Any = None if value_mask is None else ops.expand_dims(ops.cast(value_mask, "bool"), -2)
        if use_causal_mask:
            causal = np.tri(scores.shape[-2], scores.shape[-1], dtype=bool)[None]
            seen = causal if seen is None else ops.logical_and(seen, causal)
        if seen is not None:
            scores = ops.where(seen, scores, ops.subtract(scores, 1e9))
        weights = ops.softmax(scores)
        if training and self.dropout > 0:
            weights = random.dropout(weights, self.dropout, seed=self.seed_generator)
        y = ops.matmul(weights, value)
        if query_mask is not None:
            y = ops.where(ops.expand_dims(ops.cast(query_mask, "bool"), -1), y, 0.0)
        return (y, weights) if return_attention_scores else y

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The queries' mask."""
        self._check_list(inputs, mask)
        if mask is None or mask[0] is None:
            return None
        return ops.convert_to_tensor(mask[0])

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        return (*input_shape[0][:-1], input_shape[1][-1])


class AdditiveAttention(Attention):
    """Attention whose scores are sum(scale * tanh(query + key)), with a trained scale per feature (Bahdanau et al., 2014)."""

    fields = ("use_scale", "dropout", "seed")

    def __init__(self, use_scale: bool = True, dropout: float = 0.0, **kwargs: Any) -> None:
        super().__init__(use_scale=use_scale, dropout=dropout, **kwargs)

    def build(self, input_shape: Any) -> None:
        self._check_list(input_shape, None)
        if self.use_scale:
            self.scale = self.add_weight((input_shape[0][-1],), "glorot_uniform", name="scale")

    def _calculate_scores(self, query: Any, key: Any) -> Any:
        pairs = ops.tanh(ops.add(ops.expand_dims(query, -2), ops.expand_dims(key, -3)))
        return ops.sum(pairs if self.scale is None else ops.multiply(pairs, self.scale), -1)
