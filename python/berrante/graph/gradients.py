"""Reverse-mode differentiation: walks the nodes from targets back to sources and applies each one's gradient rule.

The rules emit operations, so the result can be differentiated again.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import Any

import numpy as np

from berrante.graph import rules
from berrante.graph.formats import is_float
from berrante.graph.primitives import broadcast_to, cast
from berrante.graph.tensor import DTYPES, Node, Tensor, TensorSpec


def _nodes_between(targets: Sequence[Tensor], sources: set[Tensor], barriers: Set[Tensor]) -> list[Node]:
    """The nodes on a path from a source to a target that crosses no barrier, oldest first."""
    order: dict[Node, None] = {}
    stack = [t.node for t in targets if t.node is not None]
    while stack:
        node = stack.pop()
        if node in order:
            continue
        order[node] = None
        stack.extend(t.node for t in node.inputs if t.node is not None and t not in sources and t not in barriers)
    useful: set[Node] = set()
    result = []
    for node in sorted(order, key=lambda n: n.position):
        if any(t in sources or (t.node in useful and t not in barriers) for t in node.inputs):
            useful.add(node)
            result.append(node)
    return result


def _zeros(spec: TensorSpec) -> Tensor:
    return broadcast_to(Tensor(TensorSpec((), spec.dtype), np.zeros((), DTYPES[spec.dtype])), spec.shape)


def gradients(
    targets: Sequence[Tensor],
    sources: Sequence[Tensor],
    output_gradients: Sequence[Any] | None = None,
    barriers: Set[Tensor] = frozenset(),
) -> list[Tensor | None]:
    """The gradient of the sum of all elements of `targets` in each source; None where a source has no influence.

    `output_gradients` weighs the targets' elements (default: ones). Nothing flows through `barriers`: values of variables,
    which a program may have computed itself before it read them.
    """
    source_set = set(sources)
    total: dict[Tensor, Tensor] = {}

    def add(tensor: Tensor, gradient: Tensor) -> None:
        known = total.get(tensor)
        total[tensor] = gradient if known is None else rules.add(known, gradient)

    for i, target in enumerate(targets):
        seed = None if output_gradients is None else output_gradients[i]
        if seed is None:
            kind = target.dtype if is_float(target.dtype) else "float32"
            seed = Tensor(TensorSpec((), kind), np.ones((), np.float32))
        add(target, broadcast_to(seed, target.shape))

    for node in reversed(_nodes_between(targets, source_set, barriers)):
        dys = [total.get(y) for y in node.outputs]
        if node.op.grad is None or all(dy is None for dy in dys):
            continue
        if len(dys) == 1:
            grads = node.op.grad(node, dys[0])
        else:
            grads = node.op.grad(
                node, *(_zeros(y.spec) if dy is None else dy for y, dy in zip(node.outputs, dys, strict=True))
            )
        for x, dx in zip(node.inputs, grads, strict=True):
            if dx is None or not is_float(x.dtype) or (x.node is None and x not in source_set):
                continue
            if dx.shape != x.shape:
                raise AssertionError(f"gradient rule of {node.op.name} gave shape {dx.shape} for {x.shape}")
            add(x, cast(dx, x.dtype))
    return [total.get(source) for source in sources]
