"""Functions of networks (softmax, crossentropies, attention) and control flow."""

from __future__ import annotations

from typing import Any

import numpy as np

from parity.harness import Case
from parity.layer_cases import maybe, pick, shape, values, whole
from parity.op_draws import Kinds, Rng, op_case, registrar

KINDS: Kinds = {}
simple = registrar(KINDS)


@simple("softmax")
def _softmax(rng: Rng) -> Case:
    s = shape(rng, 2, 3)
    # Not sparsemax: Keras' does not sum to 1 (tests/ops checks ours).
    name = pick(rng, "softmax", "log_softmax")
    return op_case(name, [values(rng, s)], {"axis": pick(rng, -1, 1, 0)}, rtol=1e-3)


@simple("crossentropy")
def _crossentropy(rng: Rng) -> Case:
    n, c = whole(rng, 1, 4), whole(rng, 2, 5)
    logits, from_logits = values(rng, (n, c)), maybe(rng)
    p = (np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)).astype(np.float32)
    name = pick(rng, "binary_crossentropy", "categorical_crossentropy", "sparse_categorical_crossentropy")
    t = rng.random((n, c)).astype(np.float32)
    t = rng.integers(0, c, n).astype(np.int32) if name.startswith("sparse") else t / t.sum(-1, keepdims=True)
    target = t

    def run(peer: Any) -> dict[str, Any]:
        return peer.function(
            lambda y: getattr(peer.k.ops, name)(target, y, from_logits=from_logits), [logits if from_logits else p]
        )

    return Case(f"{name}({target.shape}, {from_logits})", run, rtol=1e-3)


@simple("attention")
def _attention(rng: Rng) -> Case:
    n, t, s, heads, h = (whole(rng, 1, 3) for _ in range(5))
    q, k, v = values(rng, (n, t, heads, h)), values(rng, (n, s, heads, h)), values(rng, (n, s, heads, h))
    return op_case(
        "dot_product_attention",
        [q, k, v],
        {"is_causal": maybe(rng), "scale": pick(rng, None, 0.3)},
        rtol=1e-3,
        backends=("jax",),
    )


@simple("gates")
def _gates(rng: Rng) -> Case:
    s = (whole(rng, 1, 3), 4, 2 * whole(rng, 1, 3))
    name, arrays, kwargs = pick(
        rng, ("glu", [values(rng, s)], {"axis": pick(rng, -1, 1)}), ("threshold", [values(rng, s)], {"threshold": 0.2, "default_value": -1.0}),
        ("psnr", [values(rng, s), values(rng, s)], {"max_val": 2.0}), ("layer_normalization", [values(rng, s)], {}), ("rms_normalization", [values(rng, s)], {}),
        ("cdist", [values(rng, (3, 2)), values(rng, (4, 2))], {}),
    )  # fmt: skip
    return op_case(name, arrays, kwargs, rtol=1e-3, backends=("jax",))


@simple("depth")
def _depth(rng: Rng) -> Case:
    b, fmt = whole(rng, 1, 3), pick(rng, "channels_last", "channels_first")
    c, h, w = b * b * whole(rng, 1, 2), b * whole(rng, 1, 2), b * whole(rng, 1, 2)
    x = values(rng, (2, c, h, w) if fmt == "channels_first" else (2, h, w, c))
    return op_case(
        pick(rng, "depth_to_space", "space_to_depth"), [x], {"block_size": b, "data_format": fmt}, backends=("jax",)
    )


@simple("control")
def _control(rng: Rng) -> Case:
    x, i = values(rng, (3, 2)), whole(rng, -1, 3)
    kind = whole(rng, 0, 5)

    def run(peer: Any) -> dict[str, Any]:
        o = peer.k.ops
        body = [
            lambda a: o.map(lambda r: r * 2.0, a),
            lambda a: o.scan(lambda c, r: (c + r, c * r), o.zeros((2,)), a),
            lambda a: o.associative_scan(lambda u, v: u + v, a),
            lambda a: o.switch(i, [lambda r: r, lambda r: r * 2.0, lambda r: r + 1.0], a),
            lambda a: o.select([a > 0.5, a > 0.0], [a, a * 2.0], -1.0),
            lambda a: o.fori_loop(0, 3, lambda j, c: c * a, a),
        ][kind]
        return peer.function(body, [x])

    return Case(f"control {kind} {i}", run, backends=("jax",))
