"""A model as boxes and arrows: what plot_model draws and model_to_dot writes.

A layer is one box however often it is called, as in Keras; with expand_nested a nested model is a box with its layers in it.
"""

from __future__ import annotations

import html
from dataclasses import dataclass, field
from typing import Any

from berrante.graph.tape import map_structure
from berrante.utils.summary import type_name


@dataclass
class Labels:
    """What the boxes tell, after plot_model's arguments."""

    show_shapes: bool = False
    show_dtype: bool = False
    show_layer_names: bool = True
    show_layer_activations: bool = False
    show_trainable: bool = False


@dataclass(eq=False)
class Box:
    """A layer with rows of cells (text, kind), or a nested model with boxes and arrows of its own."""

    name: str
    rows: list[list[tuple[str, str]]] = field(default_factory=list)
    children: list[Box] = field(default_factory=list)
    edges: list[tuple[Box, Box]] = field(default_factory=list)
    # Where arrows into and out of a nested model end: the layers at its inputs and outputs.
    entries: list[Box] = field(default_factory=list)
    exits: list[Box] = field(default_factory=list)

    def entry(self, index: int) -> Box:
        return self.entries[min(index, len(self.entries) - 1)].entry(0) if self.entries else self

    def exit(self, index: int) -> Box:
        return self.exits[min(index, len(self.exits) - 1)].exit(0) if self.exits else self


def _activation(layer: Any) -> str | None:
    activation = getattr(layer, "activation", None)
    if activation is None:
        return None
    return str(getattr(activation, "name", None) or getattr(activation, "__name__", activation))


def _of_tensors(layer: Any, which: str, attribute: str) -> str:
    nodes = getattr(layer, "_nodes", None)
    if not nodes:
        return "?"
    tensors = nodes[0].structure if which == "output" else nodes[0].inputs
    if which == "input" and len(tensors) == 1:
        tensors = tensors[0]
    values = map_structure(lambda t: _Text(getattr(t, attribute)), tensors)
    return str(values).replace("{", "").replace("}", "")


class _Text(str):
    __repr__ = str.__str__


def _leaf(layer: Any, labels: Labels) -> Box:
    kind = type_name(layer)
    rows = [[(f"{layer.name} ({kind})" if labels.show_layer_names else kind, "title")]]
    activation = _activation(layer) if labels.show_layer_activations else None
    if activation is not None:
        rows.append([(f"Activation: {activation}", "plain")])
    cells = []
    if labels.show_shapes:
        if kind != "InputLayer":
            cells.append((f"Input shape: {_of_tensors(layer, 'input', 'shape')}", "plain"))
        cells.append((f"Output shape: {_of_tensors(layer, 'output', 'shape')}", "plain"))
    if labels.show_dtype:
        cells.append((f"Output dtype: {_of_tensors(layer, 'output', 'dtype')}", "plain"))
    if labels.show_trainable and getattr(layer, "weights", None):
        cells.append(("Trainable", "trainable") if layer.trainable else ("Non-trainable", "frozen"))
    return Box(layer.name, [*rows, cells] if cells else rows)


def model_box(model: Any, labels: Labels, expand_nested: bool = False) -> Box:
    """The model's layers as boxes; a model without a graph of layers is one box."""
    if not model.built:
        raise ValueError(
            f'[model "{model.name}"] has not yet been built: build it by calling `build()` or by calling the model on a '
            "batch of data"
        )
    graph = model._graph
    if graph is None:
        return Box(model.name, children=[_leaf(model, labels)])
    sequential = hasattr(model, "_stack")
    box = Box(model.name)
    boxes: dict[int, Box] = {}
    for layer in model.layers if sequential else graph.operations:
        nested = expand_nested and getattr(layer, "_graph", None) is not None
        boxes[id(layer)] = model_box(layer, labels, True) if nested else _leaf(layer, labels)
    box.children = list(boxes.values())
    for node in graph.nodes:
        for index, tensor in enumerate(node.inputs):
            source = None if tensor.node is None else boxes.get(id(tensor.node.operation))
            if source is None:  # a Sequential's Input is not drawn
                box.entries.append(boxes[id(node.operation)])
                continue
            edge = (source.exit(tensor.index), boxes[id(node.operation)].entry(index))
            if edge not in box.edges:
                box.edges.append(edge)
    if not sequential:
        box.entries = [boxes[id(t.node.operation)] for t in graph.inputs]
    box.exits = [boxes[id(t.node.operation)] for t in graph.outputs if id(t.node.operation) in boxes]
    return box


def to_dot(box: Box, rankdir: str = "TB", dpi: int = 200, splines: str = "ortho") -> str:
    """The boxes and arrows in Graphviz' language."""
    colours = {"title": "black", "plain": "white", "trainable": "forestgreen", "frozen": "firebrick"}
    numbers: dict[int, int] = {}

    def quoted(text: str) -> str:
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    def table(leaf: Box) -> str:
        span = max(len(row) for row in leaf.rows)
        text = '<table border="0" cellborder="1" bgcolor="black" cellpadding="10">'
        for row in leaf.rows:
            text += "<tr>"
            for i, (label, kind) in enumerate(row):
                columns = span - len(row) + 1 if i == len(row) - 1 else 1
                ink = "black" if kind == "plain" else "white"
                text += f'<td colspan="{columns}" bgcolor="{colours[kind]}"><font color="{ink}">{html.escape(label)}</font></td>'
            text += "</tr>"
        return text + "</table>"

    def body(inner: Box, indent: str) -> list[str]:
        lines = []
        for child in inner.children:
            if child.children:
                lines.append(f"{indent}subgraph {quoted(f'cluster_{child.name}')} {{")
                lines.append(f"{indent}  label={quoted(child.name)}; labeljust=l; style=dashed;")
                lines += [*body(child, indent + "  "), f"{indent}}}"]
            else:
                numbers[id(child)] = len(numbers)
                lines.append(f"{indent}n{numbers[id(child)]} [label=<{table(child)}>, margin=0, fontname=Helvetica];")
        return lines + [f"{indent}n{numbers[id(a)]} -> n{numbers[id(b)]} [penwidth=2];" for a, b in inner.edges]

    head = f"  rankdir={rankdir}; concentrate=true; dpi={dpi}; splines={splines}; node [shape=plain];"
    return "\n".join([f"digraph {quoted(box.name)} {{", head, *body(box, "  "), "}"]) + "\n"
