"""Layered drawing of a directed graph: boxes in ranks along the arrows, few crossings, neighbours under one another.

Sugiyama's method: cycles are cut, ranks are longest paths, long edges get bends in the ranks between, the order in each rank
follows the neighbours' mean, and the coordinates are the closest to the neighbours' that keep the boxes apart.
"""

from __future__ import annotations

from collections.abc import Sequence

Point = tuple[float, float]
_SWEEPS = 8


def _acyclic(n: int, edges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The edges without those that lead back to a box on the way."""
    following: list[list[int]] = [[] for _ in range(n)]
    for a, b in edges:
        following[a].append(b)
    state, kept = [0] * n, []
    for root in range(n):
        stack = [(root, iter(following[root]))] if not state[root] else []
        state[root] = state[root] or 1
        while stack:
            node, rest = stack[-1]
            after = next(rest, None)
            if after is None:
                state[node] = 2
                stack.pop()
            elif state[after] != 1:
                kept.append((node, after))
                if not state[after]:
                    state[after] = 1
                    stack.append((after, iter(following[after])))
    return kept


def _ranks(n: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """The length of the longest path to each box."""
    rank = [0] * n
    for _ in range(n):
        before = list(rank)
        for a, b in edges:
            rank[b] = max(rank[b], rank[a] + 1)
        if rank == before:
            break
    return rank


def _closest(wanted: list[float], apart: list[float]) -> list[float]:
    """The coordinates nearest (in squares) to the wanted ones with at least these distances between neighbours."""
    offset, total = [0.0], 0.0
    for distance in apart:
        total += distance
        offset.append(total)
    blocks: list[tuple[float, int]] = []  # pooled means that would otherwise decrease
    for w, o in zip(wanted, offset):
        mean, size = w - o, 1
        while blocks and blocks[-1][0] > mean:
            last, count = blocks.pop()
            mean, size = (mean * size + last * count) / (size + count), size + count
        blocks.append((mean, size))
    means = [mean for mean, size in blocks for _ in range(size)]
    return [m + o for m, o in zip(means, offset)]


def place(
    sizes: Sequence[Point], edges: Sequence[tuple[int, int]], gap: Point = (24.0, 34.0)
) -> tuple[list[Point], list[list[Point]]]:
    """(the boxes' centres, the bends of each edge); y grows along the arrows. sizes: (width, height) of each box."""
    n = len(sizes)
    forward = _acyclic(n, edges)
    rank = _ranks(n, forward)
    width, height = [w for w, _ in sizes], [h for _, h in sizes]
    # Bends are boxes without a height in the ranks that an edge passes.
    links: list[tuple[int, int]] = []
    bends: list[list[int]] = []
    for a, b in edges:
        chain = [a]
        if (a, b) in forward:
            for r in range(rank[a] + 1, rank[b]):
                rank.append(r)
                width.append(8.0)
                height.append(0.0)
                chain.append(len(rank) - 1)
        chain.append(b)
        bends.append(chain[1:-1])
        links += zip(chain, chain[1:])
    near: list[list[int]] = [[] for _ in rank]
    for a, b in links:
        if a != b:
            near[a].append(b)
            near[b].append(a)
    rows: list[list[int]] = [[] for _ in range(max(rank, default=0) + 1)]
    for v, r in enumerate(rank):
        rows[r].append(v)
    x = [0.0] * len(rank)
    for row in rows:
        for i, v in enumerate(row):
            x[v] = i - (len(row) - 1) / 2

    def wanted(v: int, up: bool) -> float:
        others = [x[u] for u in near[v] if (rank[u] < rank[v]) == up and rank[u] != rank[v]]
        return sum(others) / len(others) if others else x[v]

    for sweep in range(_SWEEPS):
        for row in rows if sweep % 2 == 0 else reversed(rows):
            row.sort(key=lambda v: wanted(v, sweep % 2 == 0))
            for i, v in enumerate(row):
                x[v] = i - (len(row) - 1) / 2
    for row in rows:
        apart = [(width[a] + width[b]) / 2 + gap[0] for a, b in zip(row, row[1:])]
        for v, at in zip(row, _closest([0.0] * len(row), apart)):
            x[v] = at
    for sweep in range(_SWEEPS):
        for row in rows if sweep % 2 == 0 else reversed(rows):
            apart = [(width[a] + width[b]) / 2 + gap[0] for a, b in zip(row, row[1:])]
            for v, at in zip(row, _closest([wanted(v, sweep % 2 == 0) for v in row], apart)):
                x[v] = at
    y, top = [0.0] * len(rank), 0.0
    for row in rows:
        tallest = max((height[v] for v in row), default=0.0)
        for v in row:
            y[v] = top + tallest / 2
        top += tallest + gap[1]
    points = list(zip(x, y))
    return points[:n], [[points[v] for v in chain] for chain in bends]
