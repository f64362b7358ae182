"""Tied weights: a decoder whose kernels are the encoder's, turned round.

The decoder stays a plain model with kernels of its own, so it works and is saved as any other. But they do not train: each step
adds their gradients to those of the encoder's kernels and then copies the encoder's kernels into them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from berrante import ops
from berrante.graph.variable import Variable

Pair = tuple[Variable, Variable]


def _kernels(model: Any) -> list[Variable]:
    return [v for layer in model._flatten_layers() if isinstance(v := getattr(layer, "kernel", None), Variable)]


def tied_pairs(encoder: Any, decoder: Any, label: str) -> list[Pair]:
    """(the encoder's kernel, the decoder's): the first with the last, and so on inwards."""
    own, others = _kernels(encoder), list(reversed(_kernels(decoder)))
    expected = [_turned_shape(v) for v in own]
    received = [tuple(v.shape) for v in others]
    if expected != received or not own:
        raise ValueError(
            f"{label} tied: expected a decoder that mirrors the encoder, with kernels of shapes {expected[::-1]} (dense "
            f"layers for dense ones, transposed convolutions for convolutions); received {received[::-1]}"
        )
    return list(zip(own, others, strict=True))


def _turned_shape(kernel: Variable) -> tuple[int, ...]:
    shape = tuple(kernel.shape)
    return shape[::-1] if len(shape) == 2 else shape


def turned(kernel: Any) -> Any:
    """A dense kernel transposed; a convolution's is the kernel of its transposed convolution as it is."""
    return ops.transpose(kernel) if len(kernel.shape) == 2 else kernel


def copy(pairs: Sequence[Pair]) -> None:
    """Puts the encoder's kernels into the decoder."""
    for own, other in pairs:
        other.assign(turned(own.value))


def gradients(tape: Any, loss: Any, variables: list[Variable], pairs: Sequence[Pair]) -> list[Any]:
    """Those of `variables`, with the shares that come through the decoder's copies."""
    place = {id(v): i for i, v in enumerate(variables)}
    found = tape.gradient(loss, [*variables, *(other for _, other in pairs)])
    result, shares = found[: len(variables)], found[len(variables) :]
    for (own, _), share in zip(pairs, shares, strict=True):
        at = place.get(id(own))
        if at is not None and share is not None:
            result[at] = turned(share) if result[at] is None else ops.add(result[at], turned(share))
    return result  # type: ignore[no-any-return]
