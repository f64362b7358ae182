"""Training curves: each value that fit reported, by epoch, beside that of the validation data."""

from __future__ import annotations

import os
from typing import Any


def plot_history(history: dict[str, list[Any]], epochs: dict[str, list[int]], path: Any = None) -> Any:
    """A matplotlib figure with a panel for each value, at the epochs that have it.

    Written to a file if a path is given, else left for pyplot to show.
    """
    names = [name for name in history if not name.startswith("val_")]
    if not names:
        raise ValueError("plot: there is nothing to draw, no epoch has ended")
    size = (5 * min(len(names), 4), 4 * -(-len(names) // 4))
    if path is None:
        import matplotlib.pyplot as plt

        figure = plt.figure(figsize=size)
    else:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        figure = Figure(figsize=size)
        FigureCanvasAgg(figure)
    axes = figure.subplots(-(-len(names) // 4), min(len(names), 4), squeeze=False)
    for axis, name in zip(axes.flat, names):
        for key, label in ((name, "training"), (f"val_{name}", "validation")):
            if key in history:
                marker = "." if len(history[key]) < 30 else ""
                axis.plot([e + 1 for e in epochs[key]], history[key], label=label, marker=marker)
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.set_xlabel("epoch")
        axis.set_title(name, parse_math=False)
        axis.grid(alpha=0.3)
        axis.legend()
    for axis in axes.flat[len(names) :]:
        axis.axis("off")
    figure.tight_layout()
    if path is not None:
        figure.savefig(os.fspath(path))
    return figure
