"""What the families of operations share: the case of one function, arrays to call it with, a table of kinds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from parity.harness import Case

Rng = np.random.Generator
Kinds = dict[str, Callable[[Rng], Case]]
BOTH = ("jax", "torch")


def op_case(
    name: str, arrays: list[Any], kwargs: dict[str, Any] | None = None, args: tuple[Any, ...] = (),
    gradient: bool = True, traced: bool = True, listed: bool = False, **options: Any,
) -> Case:  # fmt: skip
    """The case of one function: tensors first (as one list where listed), then fixed arguments."""
    kwargs = kwargs or {}

    def run(peer: Any) -> dict[str, Any]:
        function: Any = peer.k.ops
        for part in name.split("."):
            function = getattr(function, part)

        def call(*xs: Any) -> Any:
            return function(list(xs), *args, **kwargs) if listed else function(*xs, *args, **kwargs)

        return peer.function(call, arrays, gradient=gradient, traced=traced)

    shapes = [f"{x.shape} {x.dtype}" for x in arrays]
    return Case(f"{name}({', '.join(shapes)}, {args}, {kwargs})", run, **options)


def ranged(rng: Rng, s: tuple[int, ...], low: float, high: float) -> np.ndarray:
    return rng.uniform(low, high, s).astype(np.float32)


def apart(rng: Rng, s: tuple[int, ...]) -> np.ndarray:
    """Different values in random order: order and extremes are clear."""
    return (rng.permutation(int(np.prod(s))).reshape(s) / 3.0 - 2.1).astype(np.float32)


def registrar(kinds: Kinds) -> Callable[[str], Callable[[Callable[[Rng], Case]], Callable[[Rng], Case]]]:
    """A decorator that puts a draw into a table under a name."""

    def simple(name: str) -> Callable[[Callable[[Rng], Case]], Callable[[Rng], Case]]:
        def register(draw: Callable[[Rng], Case]) -> Callable[[Rng], Case]:
            kinds[name] = draw
            return draw

        return register

    return simple
