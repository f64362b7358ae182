"""Attention layers and einsum products against float64 formulas, masks, and files shared with the real Keras."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import berrante as k


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def draw(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed + sum(shape)).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("causal", [False, True])
def test_multi_head_attention_is_its_formula(causal: bool) -> None:
    layer = k.layers.MultiHeadAttention(2, 3)
    q, v = draw(2, 4, 5), draw(2, 4, 6, seed=1)
    layer(q, v)
    for i, w in enumerate(layer.weights):
        w.assign(draw(*w.shape, seed=i))
    y, weights = layer(q, v, use_causal_mask=causal, return_attention_scores=True)
    w = [x.numpy().astype(np.float64) for x in layer.weights]
    qs, ks, vs = (np.einsum("nta,ahd->nthd", x, w[2 * i]) + w[2 * i + 1] for i, x in enumerate((q, v, v)))
    scores = np.einsum("nthd,nshd->nhts", qs, ks) / np.sqrt(3)
    scores = np.where(np.tri(4, dtype=bool), scores, -np.inf) if causal else scores
    want = np.einsum("nhts,nshd,hda->nta", softmax(scores), vs, w[6]) + w[7]
    np.testing.assert_allclose(weights, softmax(scores), atol=1e-5)
    np.testing.assert_allclose(y, want, atol=1e-4)


@pytest.mark.parametrize("kind", ["MultiHeadAttention", "GroupQueryAttention"])
def test_masked_values_do_not_count(kind: str) -> None:
    kwargs = {"num_heads": 2, "key_dim": 3} if kind == "MultiHeadAttention" else {}
    kwargs = kwargs or {"num_query_heads": 4, "num_key_value_heads": 2, "head_dim": 3}
    layer = getattr(k.layers, kind)(**kwargs)
    q, v = draw(2, 3, 4), draw(2, 5, 4, seed=1)
    v[:, 3:] = 0.0
    masked = k.layers.Masking()
    y = np.asarray(layer(masked(q), masked(v)))
    np.testing.assert_allclose(y, layer(q, v[:, :3]), atol=1e-5)
    seen = np.broadcast_to(np.arange(5) < 3, (2, 3, 5))
    np.testing.assert_allclose(y, layer(q, v, attention_mask=seen), atol=1e-5)


def test_attention_scores_and_masks() -> None:
    q, v = draw(2, 3, 4), draw(2, 5, 4, seed=1)
    seen = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]], bool)
    asked = np.array([[1, 1, 0], [1, 1, 1]], bool)
    y, weights = k.layers.Attention()([q, v], mask=[asked, seen], return_attention_scores=True)
    want = softmax(np.where(seen[:, None], q.astype(np.float64) @ v.swapaxes(1, 2), -np.inf))
    np.testing.assert_allclose(weights, want, atol=1e-5)
    np.testing.assert_allclose(y, np.where(asked[..., None], want @ v, 0.0), atol=1e-5)
    pairs = np.tanh(q[:, :, None].astype(np.float64) + v[:, None])
    y = k.layers.AdditiveAttention(use_scale=False)([q, v])
    np.testing.assert_allclose(y, softmax(pairs.sum(-1)) @ v, atol=1e-5)


@pytest.mark.parametrize(
    ("equation", "output", "message"),
    [
        ("ab,bc", 3, "expected an equation"),
        ("ab,bd->ae", 3, "'e' of the output"),
        ("ab,cd->ab", 2, "shared dimension 'b'"),
    ],
)
def test_equations_that_do_not_fit(equation: str, output: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        k.layers.EinsumDense(equation, output)(draw(2, 5))


def test_a_table_of_words_gives_scores_back() -> None:
    layer = k.layers.ReversibleEmbedding(5, 3, logit_soft_cap=2.0)
    x = draw(2, 4, 3)
    layer(np.array([[1, 2]]))
    scores = x.astype(np.float64) @ layer.embeddings.numpy().T
    np.testing.assert_allclose(layer(x, reverse=True), 2.0 * np.tanh(scores / 2.0), atol=1e-6)
    apart = k.layers.ReversibleEmbedding(5, 3, tie_weights=False, mask_zero=True)
    assert apart(np.array([[0, 2]]))._keras_mask.numpy().tolist() == [[False, True]]
    assert [w.name for w in apart.weights] == ["embeddings", "reverse_embeddings"]


def transformer(k: Any) -> Any:
    """A small encoder block."""
    inputs = k.layers.Input((6,), dtype="int32")
    x = k.layers.Embedding(11, 8, mask_zero=True)(inputs)
    y = k.layers.MultiHeadAttention(2, 4)(x, x)
    x = k.layers.LayerNormalization()(k.layers.Add()([x, y]))
    y = k.layers.GroupQueryAttention(4, 4, 2)(x, x)
    y = k.layers.EinsumDense("abc,cd->abd", (None, 8), bias_axes="d", activation="relu")(y)
    x = k.layers.Add()([x, k.layers.Attention(use_scale=True)([x, y])])
    return k.Model(inputs, k.layers.Dense(3)(k.layers.GlobalAveragePooling1D()(x)))


@pytest.mark.parametrize("suffix", [".keras", ".weights.h5"])
def test_files_go_both_ways(suffix: str, tmp_path: Any) -> None:
    keras = pytest.importorskip("keras")
    x = np.random.default_rng(0).integers(1, 11, (4, 6)).astype(np.int32)
    for writer, reader in ((k, keras), (keras, k)):
        model = transformer(writer)
        path = str(tmp_path / f"{writer.__name__}{suffix}")
        if suffix == ".keras":
            model.save(path)
            loaded = reader.models.load_model(path)
        else:
            model.save_weights(path)
            loaded = transformer(reader)
            loaded.load_weights(path)
        want = np.asarray(model.predict(x, verbose=0))
        np.testing.assert_allclose(np.asarray(loaded.predict(x, verbose=0)), want, atol=1e-5)


def test_a_transformer_learns() -> None:
    k.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    x = rng.integers(1, 11, (256, 6)).astype(np.int32)
    y = (x == 3).any(1).astype(np.int32)
    model = transformer(k)
    model.compile(
        k.optimizers.Adam(0.01), k.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"]
    )
    history = model.fit(x, y, batch_size=32, epochs=15, verbose=0).history
    assert history["accuracy"][-1] > 0.9
