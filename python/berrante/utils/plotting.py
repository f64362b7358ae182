"""plot_model: the layers as boxes, their calls as arrows, drawn by matplotlib (no graphviz)."""

from __future__ import annotations

from typing import Any


def plot_model(
    model: Any, to_file: str = "model.png", show_shapes: bool = False, show_dtype: bool = False,
    show_layer_names: bool = True, rankdir: str = "TB", expand_nested: bool = False, dpi: int = 120, **_: Any,
) -> None:  # fmt: skip
    """Writes a PNG. Layers are ranked by their distance from the inputs."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    if model._graph is None:
        raise ValueError(f'[model "{model.name}"] has no graph to draw: give it an input shape first')
    rank: dict[int, int] = {}
    nodes = model._graph.nodes
    for node in nodes:
        rank[id(node)] = 1 + max((rank.get(id(t.node), -1) for t in node.inputs), default=-1)
    rows: dict[int, list[Any]] = {}
    for node in nodes:
        rows.setdefault(rank[id(node)], []).append(node)
    width = max(len(row) for row in rows.values())
    figure, axis = plt.subplots(figsize=(3.2 * width, 0.9 * len(rows)), dpi=dpi)
    place: dict[int, tuple[float, float]] = {}
    for level, row in rows.items():
        for i, node in enumerate(row):
            x, y = i - (len(row) - 1) / 2, -level
            place[id(node)] = (x, y)
            text = type(node.operation).__name__
            if show_layer_names:
                text = f"{node.operation.name}\n{text}"
            if show_shapes:
                text += "\n" + ", ".join(str(t.shape) for t in node.outputs)
            box = {"boxstyle": "round,pad=0.4", "facecolor": "#eef3fa", "edgecolor": "#33506e"}
            axis.text(x, y, text, ha="center", va="center", fontsize=8, bbox=box, zorder=2)
    for node in nodes:
        for tensor in node.inputs:
            if tensor.node is not None and id(tensor.node) in place:
                axis.annotate(
                    "", place[id(node)], place[id(tensor.node)],
                    arrowprops={"arrowstyle": "->", "color": "#33506e", "shrinkA": 16, "shrinkB": 16}, zorder=1,
                )  # fmt: skip
    axis.set_xlim(-width / 2 - 0.2, width / 2 + 0.2)
    axis.set_ylim(-max(rows) - 0.7, 0.7)
    axis.axis("off")
    figure.savefig(to_file, bbox_inches="tight")
    plt.close(figure)
