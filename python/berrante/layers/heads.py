"""MultiHeadAttention and GroupQueryAttention, after keras.layers (Vaswani et al., 2017; Ainslie et al., 2023).

Queries, keys and values are projected to heads by EinsumDense, [N, ..., D] -> [N, ..., heads, dim]; each head mixes the
values over the attention axes; the last projection joins the heads again.
"""

from __future__ import annotations

import math
import string
from typing import Any

import numpy as np

from berrante import constraints, initializers, ops, regularizers
from berrante.layers.activation import Softmax
from berrante.layers.einsum import EinsumDense
from berrante.layers.layer import Layer
from berrante.layers.masking import set_mask
from berrante.layers.regularization import Dropout


class HeadedAttention(Layer):
    """What both layers share: arguments of the projections, masks, and the weighted mean itself."""

    supports_masking = True
    _softmax: Softmax
    _dropout_layer: Dropout

    def _set_arguments(
        self, dropout: float, use_bias: bool, sliding_window: int | None, flash_attention: bool | None,
        use_gate: bool, seed: int | None,
    ) -> None:  # fmt: skip
        if sliding_window is not None and (not isinstance(sliding_window, int) or sliding_window <= 0):
            raise ValueError(
                f"{self._label()} `sliding_window` must be `None` or a positive integer; received {sliding_window!r}"
            )
        if flash_attention and dropout > 0:
            raise ValueError(
                f"{self._label()} Dropout is not supported when flash attention is enabled. Received: {dropout}"
            )
        if flash_attention:
            raise ValueError(f"{self._label()} flash attention is not supported; received flash_attention=True")
        self.dropout, self.use_bias, self.use_gate, self.seed = dropout, use_bias, use_gate, seed
        self.sliding_window = sliding_window

    def _set_weight_arguments(
        self, kernel_initializer: Any, bias_initializer: Any, kernel_regularizer: Any, bias_regularizer: Any,
        activity_regularizer: Any, kernel_constraint: Any, bias_constraint: Any,
    ) -> None:  # fmt: skip
        """What the projections' weights start from and are held to."""
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        # of each projection's output, not of the layer's own
        self._projection_regularizer = regularizers.get(activity_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        return {**config, "activity_regularizer": regularizers.serialize(self._projection_regularizer)}

    def _projection(self, equation: str, extents: Any, bias_axes: str, name: str, **kwargs: Any) -> EinsumDense:
        """A projection with initializers of its own: one initializer would draw the same values for all."""
        kernel, bias = (type(i).from_config(i.get_config()) for i in (self.kernel_initializer, self.bias_initializer))
        layer = EinsumDense(
            equation, extents, bias_axes=bias_axes if self.use_bias else None, name=name, kernel_initializer=kernel,
            bias_initializer=bias, kernel_regularizer=self.kernel_regularizer, bias_regularizer=self.bias_regularizer,
            activity_regularizer=self._projection_regularizer, kernel_constraint=self.kernel_constraint,
            bias_constraint=self.bias_constraint, dtype=self.dtype_policy, **kwargs,
        )  # fmt: skip
        layer.supports_masking = True  # the masks count in the mixing; none is lost here
        return layer

    def _compute_attention_mask(
        self, query: Any, value: Any, query_mask: Any = None, value_mask: Any = None, key_mask: Any = None,
        attention_mask: Any = None, use_causal_mask: bool = False,
    ) -> Any:  # fmt: skip
        """What each query may see, [N or 1, T, S]: where every mask that is given allows it; None for all."""
        t, s = query.shape[1], value.shape[1]
        parts = [] if attention_mask is None else [attention_mask]
        if query_mask is not None:
            parts.append(ops.expand_dims(ops.cast(query_mask, "bool"), -1))
        parts += [ops.expand_dims(ops.cast(m, "bool"), -2) for m in (value_mask, key_mask) if m is not None]
        if use_causal_mask:
            parts.append(np.tri(t, s, dtype=bool)[None])
        if self.sliding_window is not None:
            parts.append((np.abs(np.arange(t)[:, None] - np.arange(s)) < self.sliding_window)[None])
        mask = None
        for part in parts:
            part = ops.cast(part, "bool")
            mask = part if mask is None else ops.logical_and(mask, part)
        return mask

    def _mix(
        self, equations: tuple[str, str], q: Any, k: Any, v: Any, mask: Any, axes: int, training: Any, weighed: bool
    ) -> tuple[Any, Any]:  # fmt: skip
        """The values' means and, where `weighed`, their weights: softmax of the scaled products where the mask allows it.

        A query that may see nothing takes the mean of all values, or nothing where weights are asked for or dropped: Keras
        has one way for each.
        """
        if mask is not None:
            for _ in range(len(q.shape) - 2 + axes - len(mask.shape) + 1):
                mask = ops.expand_dims(mask, -2 * axes - 1)
        scale = 1.0 / math.sqrt(q.shape[-1])
        if len(q.shape) == 4 and self.dropout == 0.0 and not weighed:
            return ops.dot_product_attention(q, k, v, mask=mask, scale=scale), None
        weights = self._softmax(ops.einsum(equations[0], k, ops.multiply(q, scale)), mask=mask)
        kept = self._dropout_layer(weights, training=training) if self.dropout > 0.0 else weights
        return ops.einsum(equations[1], kept, v), weights

    def _check_shapes(self, value_shape: Any, key_shape: Any) -> None:
        if value_shape[1:-1] != key_shape[1:-1]:
            raise ValueError(
                f"All dimensions of `value` and `key`, except the last one, must be equal; received shapes {value_shape} "
                f"and {key_shape}"
            )


class MultiHeadAttention(HeadedAttention):
    """Attention in several heads at once: query [N, T, D], value [N, S, E] and key (the value) -> [N, T, D].

    Args:
        num_heads, key_dim, value_dim: heads, and the size of each for queries and keys and for values (key_dim).
        dropout: the fraction of weights dropped in training.
        output_shape: the last projection's extents; the query's last one by default.
        attention_axes: axes that are attended over; all but the batch and the features.
        sliding_window: queries only see keys less than this far away.
        use_gate: a sigmoid gate on the heads' results.

    Call arguments:
        attention_mask: [N, T, S], True where a query may see a key. Masks of query, value and key count too.
        return_attention_scores: also give the weights [N, heads, T, S].
        use_causal_mask: position i does not see keys after i.
    """

    query_dense: EinsumDense
    _gate_dense: EinsumDense
    key_dense: EinsumDense
    value_dense: EinsumDense
    output_dense: EinsumDense
    fields = (
        "num_heads", "key_dim", "value_dim", "dropout", "use_bias", "use_gate", "attention_axes", "sliding_window",
        "kernel_initializer", "bias_initializer", "kernel_regularizer", "bias_regularizer", "kernel_constraint",
        "bias_constraint", "seed",
    )  # fmt: skip

    def __init__(
        self, num_heads: int, key_dim: int, value_dim: int | None = None, dropout: float = 0.0, use_bias: bool = True,
        output_shape: Any = None, attention_axes: Any = None, sliding_window: int | None = None,
        flash_attention: bool | None = None, kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros", kernel_regularizer: Any = None, bias_regularizer: Any = None,
        activity_regularizer: Any = None, kernel_constraint: Any = None, bias_constraint: Any = None,
        use_gate: bool = False, seed: int | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(**kwargs)
        for name, value in (("num_heads", num_heads), ("key_dim", key_dim), ("value_dim", value_dim)):
            if (not isinstance(value, int) or value <= 0) and not (name == "value_dim" and value is None):
                raise ValueError(
                    f"{self._label()} Received an invalid value for argument `{name}`, expected a positive integer: {value!r}"
                )
        self.num_heads, self.key_dim, self.value_dim = num_heads, key_dim, value_dim or key_dim
        if output_shape is not None and not isinstance(output_shape, (int, list, tuple)):
            raise ValueError(
                f"{self._label()} Invalid `output_shape`: expected an int or a tuple; received {output_shape!r}"
            )
        self._output_shape = (output_shape,) if isinstance(output_shape, int) else output_shape and tuple(output_shape)
        if attention_axes is not None and not isinstance(attention_axes, (int, list, tuple)):
            raise ValueError(
                f"{self._label()} `attention_axes` must be an int, list, or tuple; received {attention_axes!r}"
            )
        axes = (attention_axes,) if isinstance(attention_axes, int) else attention_axes
        self.attention_axes: Any = axes if axes is None else tuple(axes)
        self._set_arguments(dropout, use_bias, sliding_window, flash_attention, use_gate, seed)
        self._set_weight_arguments(
            kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer, activity_regularizer,
            kernel_constraint, bias_constraint,
        )  # fmt: skip

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "output_shape": self._output_shape}

    def build(  # type: ignore[override]
        self, query_shape: Any, value_shape: Any, key_shape: Any = None
    ) -> None:  # fmt: skip
        key_shape = value_shape if key_shape is None else key_shape
        self._check_shapes(value_shape, key_shape)
        for name, shape, size in (
            ("query", query_shape, self.key_dim), ("key", key_shape, self.key_dim),
            *([("gate", query_shape, self.value_dim)] if self.use_gate else []),
            ("value", value_shape, self.value_dim),
        ):  # fmt: skip
            free = string.ascii_lowercase[: len(shape) - 1]
            layer = self._projection(
                f"{free}x,xyz->{free}yz", (*[None] * (len(shape) - 2), self.num_heads, size), "yz", name,
                activation="sigmoid" if name == "gate" else None,
            )  # fmt: skip
            layer.build(shape)
            setattr(self, "_gate_dense" if name == "gate" else f"{name}_dense", layer)
        rank = len(query_shape)
        axes = tuple(range(1, rank - 1)) if self.attention_axes is None else self.attention_axes
        self.attention_axes = tuple(a if a >= 0 else rank + a for a in axes)
        n = len(self.attention_axes)
        self._softmax = Softmax(axis=tuple(range(-n, 0)), dtype=self.dtype_policy)
        self._dropout_layer = Dropout(self.dropout, seed=self.seed, dtype=self.dtype_policy)
        extents = self._output_shape or (query_shape[-1],)
        free, made = string.ascii_lowercase[: rank - 1], string.ascii_uppercase[: len(extents)]
        self.output_dense = self._projection(
            f"{free}yz,yz{made}->{free}{made}", (*[None] * (rank - 2), *extents), made, "attention_output"
        )
        self.output_dense.build((*query_shape[:-1], self.num_heads, self.value_dim))

    def _equations(self, rank: int) -> tuple[str, str]:
        """einsums of keys with queries, and of weights with values, for projected tensors of a rank."""
        free = rank - 2
        query = list(string.ascii_lowercase[:free])
        key = [c.upper() if i in self.attention_axes else c for i, c in enumerate(query)]
        batch = [c for i, c in enumerate(query) if i not in self.attention_axes]
        seen, asked = ([side[i] for i in self.attention_axes] for side in (key, query))
        q, k, w = "".join(query), "".join(key), "".join([*batch, "y", *asked, *seen])
        return f"{k}yz,{q}yz->{w}", f"{w},{k}yz->{q}yz"

    def _compute_attention(
        self, query: Any, key: Any, value: Any, attention_mask: Any = None, training: Any = None,
        return_attention_scores: bool = False, use_causal_mask: bool = False,
    ) -> Any:  # fmt: skip
        """The heads' results and weights for projected tensors; a subclass may do it in another way."""
        if use_causal_mask:
            attention_mask = self._compute_attention_mask(
                query, value, attention_mask=attention_mask, use_causal_mask=True
            )
        equations = self._equations(len(query.shape))
        axes = len(self.attention_axes)
        return self._mix(equations, query, key, value, attention_mask, axes, training, return_attention_scores)

    def call(
        self, query: Any, value: Any, key: Any = None, query_mask: Any = None, value_mask: Any = None,
        key_mask: Any = None, attention_mask: Any = None, return_attention_scores: bool = False, training: Any = None,
        use_causal_mask: bool = False,
    ) -> Any:  # fmt: skip
        key = value if key is None else key
        mask = self._compute_attention_mask(
            query, value, query_mask, value_mask, key_mask, attention_mask, use_causal_mask
        )
        gate = self._gate_dense(query) if self.use_gate else None
        y, weights = self._compute_attention(
            self.query_dense(query), self.key_dense(key), self.value_dense(value), mask, training,
            return_attention_scores,
        )  # fmt: skip
        y = self.output_dense(y if gate is None else ops.multiply(y, gate))
        if query_mask is not None:
            set_mask(y, query_mask)
        return (y, weights) if return_attention_scores else y

    def compute_output_shape(  # type: ignore[override]
        self, query_shape: Any, value_shape: Any, key_shape: Any = None
    ) -> Any:  # fmt: skip
        self._check_shapes(tuple(value_shape), tuple(value_shape if key_shape is None else key_shape))
        return (*query_shape[:-1], *(self._output_shape or (query_shape[-1],)))
