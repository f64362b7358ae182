"""Random layers, continued: einsum products and attention."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from parity.harness import Case
from parity.layer_cases import ACTIVATIONS, Rng, image, layer_case, maybe, pick, regularized, size, values, whole


def einsum_dense(rng: Rng) -> Case:
    a, b, c, d = (whole(rng, 1, 5) for _ in range(4))
    equation, output, shape, bias = pick(
        rng, ("ab,bc->ac", (d,), (a, b), "c"), ("abc,cd->abd", (b, d), (a, b, c), "d"),
        ("abc,cde->abde", (b, d, 2), (a, b, c), pick(rng, "d", "e", "de", "be")), ("...x,xy->...y", d, (a, b, c), "y"),
        ("abc,bcd->ad", (d,), (a, b, c), "d"), ("ab...,bc->ac...", (d,), (a, b, c), "c"),
        ("ibd,nd->ibn", (b, d), (a, b, c), pick(rng, "n", "bn")), ("...bc,bc->...b", (b,), (a, b, c), "b"),
    )  # fmt: skip
    if bias == "bn":
        output = (b, d)
    kwargs = {
        "equation": equation, "output_shape": output, "bias_axes": bias if maybe(rng) else None,
        "activation": pick(rng, None, *ACTIVATIONS),
    }  # fmt: skip
    regularized(rng, kwargs, "kernel", "bias")
    return layer_case(rng, "EinsumDense", kwargs, [shape], rtol=1e-3, atol=1e-4, config=False)


def attention(name: str) -> Callable[[Rng], Case]:
    def draw(rng: Rng) -> Case:
        n, t, s, d, e = (whole(rng, 1, 5) for _ in range(5))
        kwargs: dict[str, Any] = {"use_scale": maybe(rng)}
        if name == "Attention":
            kwargs["score_mode"] = pick(rng, "dot", "concat")
        shapes: list[tuple[int, ...]] = [(n, t, d), (n, s, e), (n, s, d)]
        if maybe(rng):
            shapes = [(n, t, d), (n, s, d)]
        return layer_case(rng, name, kwargs, shapes, nested=True, rtol=1e-3, atol=1e-4, backends=("jax",))

    return draw


def heads(rng: Rng) -> Case:
    """MultiHeadAttention and GroupQueryAttention in a model, with masks, causal or not."""
    n, t, s, d, e = (whole(rng, 1, 5) for _ in range(5))
    s = pick(rng, s, t)  # Keras takes the weights' shape to be [T, T]
    grouped, causal, scores, masked = maybe(rng, 0.4), maybe(rng, 0.3), s == t and maybe(rng), maybe(rng, 0.4)
    kwargs: dict[str, Any] = {"use_bias": maybe(rng, 0.8), "use_gate": maybe(rng, 0.3)}
    if maybe(rng, 0.3):
        kwargs["sliding_window"] = whole(rng, 1, 3)
    if grouped:
        few = whole(rng, 1, 3)
        kwargs |= {"head_dim": whole(rng, 1, 4), "num_key_value_heads": few, "num_query_heads": few * whole(rng, 1, 3)}
        e = d
    else:
        kwargs |= {"num_heads": whole(rng, 1, 3), "key_dim": whole(rng, 1, 4)}
        if maybe(rng, 0.4):
            kwargs["output_shape"] = pick(rng, 3, (2, 3))
    q, v = values(rng, (n, t, d)), values(rng, (n, s, e))
    if masked:
        v[rng.random((n, s)) < 0.4] = 0.0
        v[:, 0] = 1.0

    def make(k: Any) -> Any:
        layers = k.layers
        inputs = [layers.Input(x.shape[1:], batch_size=n) for x in (q, v)]
        query, value = inputs[0], layers.Masking()(inputs[1]) if masked else inputs[1]
        layer = layers.GroupQueryAttention(**kwargs) if grouped else layers.MultiHeadAttention(**kwargs)
        return k.Model(inputs, layer(query, value, use_causal_mask=causal, return_attention_scores=scores))

    label = {**kwargs, "causal": causal, "scores": scores, "masked": masked}
    return layer_case(
        rng, "GroupQueryAttention" if grouped else "MultiHeadAttention", label, [], arrays=[q, v], make=make,
        nested=True, rtol=1e-3, atol=1e-4, backends=("jax",), config=False,
    )  # fmt: skip


def reversible_embedding(rng: Rng) -> Case:
    kwargs = {
        "input_dim": whole(rng, 1, 7), "output_dim": whole(rng, 1, 5), "tie_weights": maybe(rng),
        "logit_soft_cap": pick(rng, None, 1.5),
    }  # fmt: skip
    x = rng.integers(0, kwargs["input_dim"], (2, whole(rng, 1, 4))).astype(np.int32)

    def make(k: Any) -> Any:
        inputs = k.layers.Input(x.shape[1:], batch_size=2, dtype="int32")
        layer = k.layers.ReversibleEmbedding(**kwargs)
        return k.Model(inputs, layer(k.layers.Dense(kwargs["output_dim"])(layer(inputs)), reverse=True))

    return layer_case(rng, "ReversibleEmbedding", kwargs, [], arrays=[x], make=make, rtol=1e-3, atol=1e-4, config=False)


def adaptive_pooling(rng: Rng) -> Case:
    n = whole(rng, 1, 2)
    name = pick(rng, "AdaptiveMaxPooling", "AdaptiveAveragePooling") + f"{n}D"
    data_format = pick(rng, "channels_last", "channels_first")
    shape = image(rng, n, data_format, 2, 9, whole(rng, 1, 3))
    least = min(shape[1:-1] if data_format == "channels_last" else shape[2:])
    return layer_case(
        rng, name, {"output_size": size(rng, n, 1, least), "data_format": data_format}, [shape], backends=("jax",)
    )


KINDS: dict[str, Callable[[Rng], Case]] = {
    "EinsumDense": einsum_dense,
    "Attention": attention("Attention"),
    "AdditiveAttention": attention("AdditiveAttention"),
    "heads": heads,
    "adaptive pooling": adaptive_pooling,
    "ReversibleEmbedding": reversible_embedding,
}
