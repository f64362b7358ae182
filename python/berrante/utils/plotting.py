"""plot_model and model_to_dot: a model's layers as boxes and arrows, drawn by matplotlib; Graphviz is not needed.

Sizes are in points. Each nested model is laid out by itself and is then one box among its neighbours.
"""

from __future__ import annotations

import io
import os
import sys
from typing import Any

from berrante.utils.layered import Point, place
from berrante.utils.model_graph import Box, Labels, model_box, to_dot

_FILL = {"title": "black", "plain": "white", "trainable": "forestgreen", "frozen": "firebrick"}
_SIZE = {"title": 12.0, "plain": 10.0, "trainable": 10.0, "frozen": 10.0}
_PAD = 7.0
_MARGIN = 16.0  # inside the frame of a nested model
_MAX_PIXELS = 60_000  # along a side; a picture of more would need gigabytes


def _text_width(text: str, kind: str) -> float:
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    weight = "bold" if kind == "title" else "normal"
    return float(
        TextPath((0, 0), text or " ", prop=FontProperties(weight=weight), size=_SIZE[kind]).get_extents().width
    )


def _row_height(row: list[tuple[str, str]]) -> float:
    return max(_SIZE[kind] for _, kind in row) * 1.2 + 2 * _PAD


class _Layout:
    """Where everything goes: `at` the corner (left, top) of each box, `size` its extents, `bends` those of edges."""

    def __init__(self, rankdir: str) -> None:
        self.sideways = rankdir in ("LR", "RL")
        self.backwards = rankdir in ("BT", "RL")
        self.at: dict[int, Point] = {}
        self.size: dict[int, Point] = {}
        self.bends: dict[tuple[int, int], list[Point]] = {}

    def measure(self, box: Box) -> None:
        """Sizes of all boxes, and places within the box that holds them."""
        if not box.children:
            widths = [sum(_text_width(*cell) + 2 * _PAD for cell in row) for row in box.rows]
            self.size[id(box)] = max(widths), sum(_row_height(row) for row in box.rows)
            return
        owner: dict[int, int] = {}
        for i, child in enumerate(box.children):
            self.measure(child)
            for leaf in _leaves(child):
                owner[id(leaf)] = i
        swap = (lambda p: (p[1], p[0])) if self.sideways else (lambda p: p)
        sizes = [swap(self.size[id(child)]) for child in box.children]
        edges = [(owner[id(a)], owner[id(b)]) for a, b in box.edges]
        centres, bends = place(sizes, edges)
        if self.backwards:
            centres = [(x, -y) for x, y in centres]
            bends = [[(x, -y) for x, y in points] for points in bends]
        centres, bends = [swap(c) for c in centres], [[swap(p) for p in points] for points in bends]
        corners = [
            (x - self.size[id(c)][0] / 2, y - self.size[id(c)][1] / 2) for (x, y), c in zip(centres, box.children)
        ]
        points = [*corners, *(p for b in bends for p in b)]
        ends = [(x + self.size[id(c)][0], y + self.size[id(c)][1]) for (x, y), c in zip(corners, box.children)]
        left, top = min(x for x, _ in points) - _MARGIN, min(y for _, y in points) - _MARGIN - 14.0
        right = max(x for x, _ in [*ends, *points]) + _MARGIN
        bottom = max(y for _, y in [*ends, *points]) + _MARGIN
        self.size[id(box)] = max(right - left, _text_width(box.name, "plain") + 2 * _PAD), bottom - top
        for (x, y), child in zip(corners, box.children):
            self.at[id(child)] = x - left, y - top
        for (a, b), route in zip(box.edges, bends):
            self.bends[id(a), id(b)] = [(x - left, y - top) for x, y in route]

    def settle(self, box: Box, origin: Point) -> None:
        """Turns places within boxes into places in the picture."""
        x0, y0 = self.at[id(box)] = origin
        for a, b in box.edges:
            self.bends[id(a), id(b)] = [(x0 + x, y0 + y) for x, y in self.bends[id(a), id(b)]]
        for child in box.children:
            x, y = self.at[id(child)]
            self.settle(child, (x0 + x, y0 + y))

    def port(self, box: Box, out: bool) -> Point:
        """The middle of the side where arrows leave or arrive."""
        (x, y), (w, h) = self.at[id(box)], self.size[id(box)]
        far = out != self.backwards
        return (x + w if far else x, y + h / 2) if self.sideways else (x + w / 2, y + h if far else y)


def _leaves(box: Box) -> list[Box]:
    return [leaf for child in box.children for leaf in _leaves(child)] if box.children else [box]


def _draw_leaf(axis: Any, box: Box, layout: _Layout) -> None:
    from matplotlib.patches import Rectangle

    (left, y), (width, _) = layout.at[id(box)], layout.size[id(box)]
    for row in box.rows:
        height = _row_height(row)
        widths = [_text_width(*cell) + 2 * _PAD for cell in row]
        stretch = (width - sum(widths)) / len(row)
        x = left
        for (text, kind), w in zip(row, widths):
            w += stretch
            axis.add_patch(
                Rectangle((x, y), w, height, facecolor=_FILL[kind], edgecolor="black", linewidth=0.8, zorder=3)
            )
            axis.text(
                x + w / 2, y + height / 2, text, ha="center", va="center", fontsize=_SIZE[kind], zorder=4,
                color="black" if kind == "plain" else "white", fontweight="bold" if kind == "title" else "normal",
                parse_math=False,
            )  # fmt: skip
            x += w
        y += height


def _draw(axis: Any, box: Box, layout: _Layout, top: bool) -> None:
    from matplotlib.patches import FancyArrowPatch, Rectangle
    from matplotlib.path import Path

    if not box.children:
        _draw_leaf(axis, box, layout)
        return
    if not top:
        (x, y), (w, h) = layout.at[id(box)], layout.size[id(box)]
        axis.add_patch(Rectangle((x, y), w, h, fill=False, linestyle="--", edgecolor="black", linewidth=0.8, zorder=1))
        axis.text(x + _PAD, y + 5.0, box.name, ha="left", va="top", fontsize=10.0, parse_math=False)
    for child in box.children:
        _draw(axis, child, layout, False)
    for a, b in box.edges:
        points = [layout.port(a, True), *layout.bends[id(a), id(b)], layout.port(b, False)]
        axis.add_patch(
            FancyArrowPatch(
                path=Path(points),
                arrowstyle="-|>",
                mutation_scale=10,
                color="black",
                linewidth=1.2,
                zorder=2,
                shrinkA=0,
                shrinkB=0,
            )  # fmt: skip
        )


class Drawing:
    """A model's picture, with the methods of pydot's Dot that scripts use: create, write, write_png, to_string."""

    def __init__(self, box: Box, rankdir: str, dpi: int, splines: str) -> None:
        if rankdir not in ("TB", "LR", "BT", "RL"):
            raise ValueError(f'rankdir: expected "TB", "LR", "BT" or "RL"; received {rankdir!r}')
        if dpi <= 0:
            raise ValueError(f"dpi: expected a positive number; received {dpi}")
        self.box, self.rankdir, self.dpi, self.splines = box, rankdir, dpi, splines

    def to_string(self) -> str:
        """The same graph in Graphviz' language."""
        return to_dot(self.box, self.rankdir, self.dpi, self.splines)

    def create(self, prog: Any = None, format: str = "png") -> bytes:
        """The picture's bytes: png, svg, pdf, or what else matplotlib writes; "dot" for Graphviz' language."""
        if format in ("dot", "gv", "raw"):
            return self.to_string().encode()
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        layout = _Layout(self.rankdir)
        layout.measure(self.box)
        layout.settle(self.box, (0.0, 0.0))
        width, height = layout.size[id(self.box)]
        dpi = min(float(self.dpi), _MAX_PIXELS * 72 / max(width, height))
        figure = Figure(figsize=(width / 72, height / 72), dpi=dpi)
        FigureCanvasAgg(figure)
        axis = figure.add_axes((0.0, 0.0, 1.0, 1.0))
        axis.set_xlim(0, width)
        axis.set_ylim(height, 0)
        axis.axis("off")
        _draw(axis, self.box, layout, True)
        out = io.BytesIO()
        figure.savefig(out, format=format, dpi=dpi)
        return out.getvalue()

    def write(self, path: Any, prog: Any = None, format: str = "png") -> bool:
        """Writes the picture to a file."""
        from berrante.saving.guard import write_atomically

        picture = self.create(format=format)

        def put(temporary: str) -> None:
            with open(temporary, "wb") as file:
                file.write(picture)

        write_atomically(os.fspath(path), put)
        return True

    def __getattr__(self, name: str) -> Any:
        # write_png, create_svg and the like.
        for method in ("write", "create"):
            if name.startswith(f"{method}_"):
                return lambda *args, **kwargs: getattr(self, method)(
                    *args, format=name.removeprefix(f"{method}_"), **kwargs
                )
        raise AttributeError(f"Drawing has no attribute {name!r}")


def model_to_dot(
    model: Any, show_shapes: bool = False, show_dtype: bool = False, show_layer_names: bool = True, rankdir: str = "TB",
    expand_nested: bool = False, dpi: int = 200, subgraph: bool = False, show_layer_activations: bool = False,
    show_trainable: bool = False, splines: str = "ortho", **kwargs: Any,
) -> Drawing:  # fmt: skip
    """The model's layers as a Drawing, which stands for Keras' pydot.Dot: create(), write(), to_string().

    show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable: what the boxes tell. rankdir: "TB"
    downwards, "LR" to the right, "BT", "RL". expand_nested: the layers of nested models in frames. dpi: pixels per inch.
    subgraph and splines are for Graphviz alone.
    """
    if kwargs.pop("layer_range", None) is not None:
        raise ValueError("Argument `layer_range` is no longer supported.")
    if kwargs:
        raise ValueError(f"Unrecognized keyword arguments: {kwargs}")
    labels = Labels(show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable)
    return Drawing(model_box(model, labels, expand_nested), rankdir, dpi, splines)


def plot_model(
    model: Any, to_file: Any = "model.png", show_shapes: bool = False, show_dtype: bool = False,
    show_layer_names: bool = False, rankdir: str = "TB", expand_nested: bool = False, dpi: int = 200,
    show_layer_activations: bool = False, show_trainable: bool = False, splines: str = "ortho", **kwargs: Any,
) -> Any:  # fmt: skip
    """Draws the model into a file, in the format of its suffix (png without one); arguments as model_to_dot's.

    In a notebook the picture is returned, to be shown.
    """
    drawing = model_to_dot(
        model, show_shapes, show_dtype, show_layer_names, rankdir, expand_nested, dpi,
        show_layer_activations=show_layer_activations, show_trainable=show_trainable, splines=splines, **kwargs,
    )  # fmt: skip
    to_file = os.fspath(to_file)
    suffix = os.path.splitext(to_file)[1][1:].lower() or "png"
    drawing.write(to_file, format=suffix)
    if "IPython" in sys.modules and suffix != "pdf":
        from IPython.display import Image

        return Image(filename=to_file)
    return None
