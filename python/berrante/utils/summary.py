"""The table that model.summary() prints."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def _size(n: int) -> str:
    for unit, scale in (("GB", 1 << 30), ("MB", 1 << 20), ("KB", 1 << 10)):
        if n >= scale:
            return f"{n / scale:.2f} {unit}"
    return f"{n:.2f} B"


def _shape(layer: Any) -> str:
    try:
        output = layer.output
    except AttributeError:
        return "?"
    shapes = [str(tuple(t.shape)) for t in output] if isinstance(output, (list, tuple)) else [str(tuple(output.shape))]
    return ", ".join(shapes)


def print_summary(
    model: Any, line_length: int | None = None, positions: Any = None, print_fn: Callable[[str], Any] | None = None,
    expand_nested: bool = False, show_trainable: bool = False, layer_range: Any = None,
) -> None:  # fmt: skip
    """Layers with output shapes and parameters, then totals."""
    import io

    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    if not model.built:
        raise ValueError(f'[model "{model.name}"] is not built: call it on data, or give it an input shape, first')
    table = Table(width=line_length, show_lines=True)
    table.add_column("Layer (type)", overflow="fold")
    table.add_column("Output Shape", overflow="fold")
    table.add_column("Param #", justify="right", overflow="fold")
    if show_trainable:
        table.add_column("Trainable")

    def rows(layers: Any, depth: int) -> None:
        for layer in layers:
            name = f"{'  ' * depth}{layer.name} ({type(layer).__name__})"
            cells = [escape(name), _shape(layer), f"{sum(w.size for w in layer.weights):,}"]
            table.add_row(*cells, *(["Y" if layer.trainable else "N"] if show_trainable else []))
            if expand_nested and hasattr(layer, "layers"):
                rows(layer.layers, depth + 1)

    rows(model.layers, 0)
    total = sum(w.size for w in model.weights)
    trainable = sum(w.size for w in model.trainable_weights)
    buffer = io.StringIO()
    console = Console(file=buffer, width=line_length or 100) if print_fn else Console(width=line_length)
    console.print(f'[bold]Model: "{escape(model.name)}"[/bold]')
    console.print(table)
    for title, n in (("Total", total), ("Trainable", trainable), ("Non-trainable", total - trainable)):
        console.print(f"[bold] {title} params:[/bold] {n:,} ({_size(4 * n)})", highlight=False)
    if print_fn:
        print_fn(buffer.getvalue())
