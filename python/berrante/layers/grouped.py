"""GroupQueryAttention, after keras.layers: several query heads share one head of keys and values (Ainslie et al., 2023)."""

from __future__ import annotations

from typing import Any

from berrante import ops
from berrante.layers.activation import Softmax
from berrante.layers.einsum import EinsumDense
from berrante.layers.heads import HeadedAttention
from berrante.layers.masking import set_mask
from berrante.layers.regularization import Dropout


class GroupedQueryAttention(HeadedAttention):
    """Multi-head attention with fewer heads of keys and values: query [N, T, D], value [N, S, D] -> [N, T, D].

    Args:
        head_dim: the size of a head.
        num_query_heads, num_key_value_heads: the first is a multiple of the second.
        dropout, sliding_window, use_gate: as MultiHeadAttention's, and so are the call's arguments.
    """

    _query_dense: EinsumDense
    _key_dense: EinsumDense
    _gate_dense: EinsumDense
    _value_dense: EinsumDense
    _output_dense: EinsumDense
    exported_name = "GroupQueryAttention"  # under which Keras has it, and configs name it
    fields = (
        "head_dim", "num_query_heads", "num_key_value_heads", "use_bias", "use_gate", "dropout", "sliding_window",
        "kernel_initializer", "bias_initializer", "kernel_regularizer", "bias_regularizer", "kernel_constraint",
        "bias_constraint", "seed",
    )  # fmt: skip

    def __init__(
        self, head_dim: int, num_query_heads: int, num_key_value_heads: int, dropout: float = 0.0,
        use_bias: bool = True, sliding_window: int | None = None, flash_attention: bool | None = None,
        kernel_initializer: Any = "glorot_uniform", bias_initializer: Any = "zeros", kernel_regularizer: Any = None,
        bias_regularizer: Any = None, activity_regularizer: Any = None, kernel_constraint: Any = None,
        bias_constraint: Any = None, use_gate: bool = False, seed: int | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(**kwargs)
        if num_query_heads % num_key_value_heads:
            raise ValueError(
                f"{self._label()} `num_query_heads` must be divisible by `num_key_value_heads`; received "
                f"{num_query_heads} and {num_key_value_heads}"
            )
        self.head_dim, self._return_attention_scores = head_dim, False
        self.num_query_heads, self.num_key_value_heads = num_query_heads, num_key_value_heads
        self.num_repeats = num_query_heads // num_key_value_heads
        self._set_arguments(dropout, use_bias, sliding_window, flash_attention, use_gate, seed)
        self._set_weight_arguments(
            kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer, activity_regularizer,
            kernel_constraint, bias_constraint,
        )  # fmt: skip

    def build(  # type: ignore[override]
        self, query_shape: Any, value_shape: Any, key_shape: Any = None
    ) -> None:  # fmt: skip
        key_shape = value_shape if key_shape is None else key_shape
        for name, shape, heads in (
            ("query", query_shape, self.num_query_heads), ("key", key_shape, self.num_key_value_heads),
            *([("gate", query_shape, self.num_query_heads)] if self.use_gate else []),
            ("value", value_shape, self.num_key_value_heads),
        ):  # fmt: skip
            layer = self._projection(
                "abx,xyz->abyz", (None, heads, self.head_dim), "yz", name,
                activation="sigmoid" if name == "gate" else None,
            )  # fmt: skip
            layer.build(shape)
            setattr(self, f"_{name}_dense", layer)
        self._softmax = Softmax(axis=-1, dtype=self.dtype_policy)
        self._dropout_layer = Dropout(self.dropout, seed=self.seed, dtype=self.dtype_policy)
        self._output_dense = self._projection("abyz,yzx->abx", (None, query_shape[-1]), "x", "attention_output")
        self._output_dense.build((*query_shape[:-1], self.num_query_heads, self.head_dim))

    def _compute_attention(
        self, query: Any, key: Any, value: Any, attention_mask: Any = None, training: Any = None,
        use_causal_mask: bool = False,
    ) -> Any:  # fmt: skip
        """The heads' results and weights for projected tensors; a subclass may do it in another way."""
        if use_causal_mask:
            attention_mask = self._compute_attention_mask(
                query, value, attention_mask=attention_mask, use_causal_mask=True
            )
        equations = ("asyz,atyz->ayts", "ayts,asyz->atyz")
        return self._mix(equations, query, key, value, attention_mask, 1, training, self._return_attention_scores)

    def call(
        self, query: Any, value: Any, key: Any = None, query_mask: Any = None, value_mask: Any = None,
        key_mask: Any = None, attention_mask: Any = None, return_attention_scores: bool = False, training: Any = None,
        use_causal_mask: bool = False,
    ) -> Any:  # fmt: skip
        self._return_attention_scores = return_attention_scores
        key = value if key is None else key
        mask = self._compute_attention_mask(
            query, value, query_mask, value_mask, key_mask, attention_mask, use_causal_mask
        )
        gate = self._gate_dense(query) if self.use_gate else None
        k, v = (
            ops.repeat(layer(x), self.num_repeats, axis=2)
            for layer, x in ((self._key_dense, key), (self._value_dense, value))
        )
        y, weights = self._compute_attention(self._query_dense(query), k, v, mask, training)
        y = self._output_dense(y if gate is None else ops.multiply(y, gate))
        if query_mask is not None:
            set_mask(y, query_mask)
        return (y, weights) if return_attention_scores else y

    def compute_output_shape(  # type: ignore[override]
        self, query_shape: Any, value_shape: Any, key_shape: Any = None
    ) -> Any:  # fmt: skip
        if query_shape[-1] != value_shape[-1]:
            raise ValueError(
                f"The last dimension of `query_shape` and `value_shape` must be equal; received {query_shape} and "
                f"{value_shape}"
            )
        self._check_shapes(tuple(value_shape), tuple(value_shape if key_shape is None else key_shape))
        return tuple(query_shape)


GroupQueryAttention = GroupedQueryAttention
