"""ReversibleEmbedding, after keras.layers: a table of vectors that also turns vectors into scores for each word."""

from __future__ import annotations

from typing import Any

from berrante import ops
from berrante.layers.core import Embedding
from berrante.layers.masking import set_mask


class ReversibleEmbedding(Embedding):
    """Integers [...] -> [..., output_dim]; with `reverse=True` vectors [..., output_dim] -> scores [..., input_dim].

    Args:
        tie_weights: whether the way back uses the same table, transposed (Press and Wolf, 2016).
        reverse_dtype: accepted; the way back computes in float32.
        logit_soft_cap: scores are limited to this by cap * tanh(scores / cap).
    """

    fields = (*Embedding.fields, "tie_weights", "reverse_dtype", "logit_soft_cap")

    def __init__(
        self, input_dim: int, output_dim: int, tie_weights: bool = True, embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None, embeddings_constraint: Any = None, mask_zero: bool = False,
        reverse_dtype: Any = None, logit_soft_cap: float | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(
            input_dim, output_dim, embeddings_initializer, embeddings_regularizer, embeddings_constraint, mask_zero,
            **kwargs,
        )  # fmt: skip
        self.tie_weights, self.reverse_dtype, self.logit_soft_cap = tie_weights, reverse_dtype, logit_soft_cap

    def build(self, input_shape: Any = None) -> None:
        super().build(input_shape)
        if not self.tie_weights:
            self.reverse_embeddings = self.add_weight(
                (self.output_dim, self.input_dim), self.embeddings_initializer, name="reverse_embeddings"
            )

    def call(self, inputs: Any, reverse: bool = False) -> Any:
        if not reverse:
            y = super().call(inputs)
            if self.mask_zero:
                set_mask(y, super().compute_mask(inputs))
            return y
        kernel = ops.transpose(self.embeddings) if self.tie_weights else self.reverse_embeddings
        scores = ops.matmul(ops.cast(inputs, "float32"), kernel)
        if self.logit_soft_cap is not None:
            scores = ops.multiply(ops.tanh(ops.divide(scores, self.logit_soft_cap)), self.logit_soft_cap)
        return scores

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """None: the call sets the mask, as only one direction has one."""
        return None

    def compute_output_shape(self, input_shape: Any, reverse: bool = False) -> tuple[int | None, ...]:
        return (*input_shape[:-1], self.input_dim) if reverse else (*input_shape, self.output_dim)
