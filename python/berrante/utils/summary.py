"""The table that model.summary() prints: character for character that of Keras 3, drawn by rich."""

from __future__ import annotations

import math
import re
import shutil
from collections.abc import Callable, Iterable
from typing import Any

from berrante.graph.tape import flatten, map_structure

_BYTES = {"bool": 1, "uint8": 1, "float16": 2, "bfloat16": 2, "float64": 8, "int64": 8}


def count_params(weights: Iterable[Any]) -> int:
    """The number of values in the weights."""
    return sum(math.prod(w.shape) for w in weights)


def _bytes(weights: Iterable[Any]) -> int:
    distinct = {id(w): w for w in weights}.values()
    return sum(math.prod(w.shape) * _BYTES.get(str(w.dtype), 4) for w in distinct)


def _readable(size: float) -> str:
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if size < 1024:
            return f"{size:.2f} {unit}"
        size /= 1024
    return f"{size:.2f} PB"


def _colour(text: Any, number: int) -> str:
    return f"[color({number})]{text}[/]"


def _number(x: Any) -> str:
    return _colour(x, 45 if x is None else 34)


def _output_shape(layer: Any) -> str:
    nodes = getattr(layer, "_nodes", None)
    shapes: Any
    if nodes:
        shapes = map_structure(lambda t: _Shape(t.shape), nodes[-1].structure)
    elif getattr(layer, "_build_shapes", None):
        try:
            shapes = _shapes(layer.compute_output_shape(layer._build_shapes))
        except (NotImplementedError, AttributeError, TypeError, ValueError):
            return "?"
    else:
        return "?"
    found = flatten(shapes)
    return str(found[0]) if len(found) == 1 else str(shapes).replace("'", "")


def _shapes(structure: Any) -> Any:
    """The shapes of a nesting, coloured; a tuple of numbers is one shape."""
    if isinstance(structure, dict):
        return {key: _shapes(value) for key, value in structure.items()}
    if all(n is None or isinstance(n, int) for n in structure):
        return _Shape(structure)
    return [_shapes(part) for part in structure]


class _Shape(str):
    """A shape, coloured."""

    def __new__(cls, shape: Any) -> _Shape:
        return super().__new__(cls, f"({', '.join(_number(n) for n in shape)})")


def _is_chain(graph: Any) -> bool:
    """Whether the calls of a functional model follow one another, each layer once."""
    sources = [id(t.node) for node in graph.nodes for t in node.inputs]
    layers = [id(node.operation) for node in graph.nodes]
    single = all(len(node.inputs) <= 1 for node in graph.nodes) and len(graph.inputs) == 1
    return single and len(set(sources)) == len(sources) and len(set(layers)) == len(layers)


def _connections(layer: Any, graph: Any) -> str:
    calls = {id(node) for node in graph.nodes}
    found = []
    for tensor in (t for node in layer._nodes if id(node) in calls for t in node.inputs):
        source = tensor.node
        index = source.operation._nodes.index(source)
        found.append(f"{source.operation.name}[{_number(index)}][{_number(tensor.index)}]")
    return ", ".join(found) or "-"


def type_name(layer: Any) -> str:
    """The name of a layer's class as Keras has it: functional models are Functional, an operation's call is Capitalised."""
    if not hasattr(layer, "count_params"):
        return "".join(part.capitalize() for part in layer.name.split("_"))
    name = type(layer).__name__
    return "Functional" if name == "Model" and layer._graph is not None else name


def _fields(layer: Any, prefix: str, graph: Any, show_trainable: bool) -> list[str]:
    from rich.markup import escape

    name = f"{escape(prefix + layer.name)} ({_colour(escape(type_name(layer)), 33)})"
    if not hasattr(layer, "built"):
        params = _number(0)
    else:
        params = _number(f"{count_params(layer.weights):,}") if layer.built else f"{_number(0)} (unbuilt)"
    fields = [name, _output_shape(layer), params]
    if graph is not None:
        fields.append(_connections(layer, graph))
    if show_trainable:
        if not getattr(layer, "weights", None):
            fields.append("[bold]-[/]")
        else:
            fields.append(f"[bold]{_colour('Y', 34) if layer.trainable else _colour('N', 9)}[/]")
    return fields


def _rows(layer: Any, level: int, graph: Any, expand_nested: bool, show_trainable: bool) -> list[list[str]]:
    prefix = "   " * level + "└ " if level else ""
    rows = [_fields(layer, prefix, graph, show_trainable)]
    if expand_nested:
        for inner in getattr(layer, "layers", None) or ():
            rows += _rows(inner, level + 1, graph, expand_nested, show_trainable)
    return rows


def _range(layers: list[Any], layer_range: Any) -> slice:
    """From the first layer whose name matches the first pattern to the last that matches the second."""
    if layer_range is None:
        return slice(None)
    if len(layer_range) != 2 or not all(isinstance(pattern, str) for pattern in layer_range):
        raise ValueError(f"layer_range must be a list or tuple of two strings. Received: {layer_range}")
    first, last = ([i for i, l in enumerate(layers) if re.match(pattern, l.name)] for pattern in layer_range)
    if not first or not last:
        raise ValueError(f"Passed layer_names do not match the layer names in the model. Received: {layer_range}")
    if min(first) > max(last):
        return slice(min(last), max(first) + 1)
    return slice(min(first), max(last) + 1)


def _table(
    model: Any, line_length: int | None, positions: Any, expand_nested: bool, show_trainable: bool, layer_range: Any
) -> Any:
    from rich.table import Column, Table

    functional = model._graph is not None and not hasattr(model, "_stack")
    graph = model._graph if functional and not _is_chain(model._graph) else None
    layers = model._graph.operations if functional else model.layers
    header = ["Layer (type)", "Output Shape", "Param #"]
    alignment = ["left", "left", "right"]
    if graph is None:
        default_length, positions = 88, positions or [0.45, 0.80, 1.0]
    else:
        default_length, positions = 108, positions or [0.3, 0.56, 0.74, 1.0]
        header.append("Connected to")
        alignment.append("left")
    if show_trainable:
        default_length += 12
        positions = [p * 0.90 for p in positions] + [1.0]
        header.append("Trainable")
        alignment.append("center")
    length = line_length or min(default_length, shutil.get_terminal_size().columns - 4)
    columns, used = [], 0
    for title, justify, position in zip(header, alignment, positions):
        width = int(position * length) - used
        if width < 4:
            raise ValueError("Insufficient console width to print summary.")
        columns.append(Column(title, justify=justify, width=width))  # type: ignore[arg-type]
        used += width
    table = Table(*columns, width=length, show_lines=True)
    for layer in layers[_range(layers, layer_range)]:
        for row in _rows(layer, 0, graph, expand_nested, show_trainable):
            table.add_row(*row)
    return table


def print_summary(
    model: Any, line_length: int | None = None, positions: Any = None, print_fn: Callable[[str], Any] | None = None,
    expand_nested: bool = False, show_trainable: bool = False, layer_range: Any = None,
) -> None:  # fmt: skip
    """Layers with output shapes, parameters and, unless they form a chain, what they are connected to; then totals.

    line_length: the table's width (88, 108 with connections, at most the terminal's). positions: where columns end, as
    fractions of it. print_fn: called once, with the whole text. expand_nested: rows for the layers of nested models.
    show_trainable: a column for it. layer_range: (first, last), patterns of layer names.
    """
    from rich.console import Console
    from rich.markup import escape

    table = _table(model, line_length, positions, expand_nested, show_trainable, layer_range)
    groups = [("Trainable", model.trainable_weights), ("Non-trainable", model.non_trainable_weights)]
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None and getattr(optimizer, "built", False):
        groups.append(("Optimizer", optimizer.variables))
    total = sum(count_params(weights) for _, weights in groups), sum(_bytes(weights) for _, weights in groups)
    totals = [("Total", total)] + [(title, (count_params(ws), _bytes(ws))) for title, ws in groups]
    console = (
        Console(highlight=False, force_terminal=False, color_system=None) if print_fn else Console(highlight=False)
    )
    if print_fn:
        console.begin_capture()
    console.print(f'[bold]Model: "{escape(model.name)}"[/]')
    console.print(table)
    for title, (count, size) in totals:
        console.print(f"[bold] {title} params: [/]{_number(f'{count:,}')} ({_readable(size)})")
    if print_fn:
        print_fn(console.end_capture())
