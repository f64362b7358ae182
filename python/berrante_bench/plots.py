"""Pictures of the results, as SVG: the roofline of the operations, the ratios of the grid, and how cost scales."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

Row = dict[str, Any]
_OURS, _PEER, _THIRD, _GREY = "#b8421f", "#2f5d8a", "#5a8a3a", "#777777"


def _newest(folder: Path, name: str) -> dict[str, Any] | None:
    """The results of that name with the most threads."""
    files = sorted(folder.glob(f"{name}_*_threads.json"), key=lambda f: int(f.stem.split("_")[-2]))
    result: dict[str, Any] | None = json.loads(files[-1].read_text()) if files else None
    return result


def _roofline(axes: Any, found: dict[str, Any]) -> None:
    peak = found["peak"]
    rows = [r for r in found["results"] if "gflops" in r and r["op"].split()[0] not in _MOVES]
    for r in rows:
        intensity = r["flops"] / r["bytes"]
        axes.plot(intensity, r["gflops"], "o", color=_OURS, ms=4)
        if "best_peer" in r:
            peer = r["flops"] / (r["times"][r["best_peer"]]["ms"] * 1e6)
            axes.plot(intensity, peer, "o", mfc="none", color=_PEER, ms=4)
    xs = [0.05, peak["gflops"] / peak["gb_per_s"], 2000]
    axes.loglog(xs, [x * peak["gb_per_s"] if i == 0 else peak["gflops"] for i, x in enumerate(xs)], color=_GREY)
    axes.plot([], [], "o", color=_OURS, label="berrante")
    axes.plot([], [], "o", mfc="none", color=_PEER, label="PyTorch, better format")
    axes.plot([], [], color=_GREY, label=f"{peak['gflops']:.0f} GFLOP/s, {peak['gb_per_s']:.0f} GB/s")
    axes.set(
        xlabel="FLOP a byte of least traffic",
        ylabel="GFLOP/s",
        title="Operations",
        xlim=(0.08, 1000),
        ylim=(0.05, 5 * peak["gflops"]),
    )
    axes.legend(frameon=False, fontsize=8)


_MOVES = ("transpose", "concatenate", "gather", "sum", "sum_rows", "sum_columns", "random_uniform", "random_normal")


def _grid(axes: Any, found: dict[str, Any]) -> None:
    for mode, color in (("forward", _OURS), ("both", _PEER)):
        ratios = sorted(r["ratio"] for r in found["results"] if r["mode"] == mode and "ratio" in r)
        label = "forward" if mode == "forward" else "with gradients"
        axes.plot([100 * (i + 0.5) / len(ratios) for i in range(len(ratios))], ratios, color=color, label=label)
    axes.axhline(1, color=_GREY, lw=0.8)
    axes.set(yscale="log", xlabel="% of shapes", ylabel="PyTorch's time / ours", title="Random shapes")
    axes.legend(frameon=False, fontsize=8)


def _batches(axes: Any, found: dict[str, Any]) -> None:
    rows = [r for r in found["results"] if r["kind"] == "batch"]
    for name, color in zip(dict.fromkeys(r["workload"] for r in rows), (_OURS, _PEER, _THIRD, _GREY)):
        points = [(r["batch"], r["us_per_sample"]) for r in rows if r["workload"] == name]
        axes.plot(*zip(*points), "o-", color=color, ms=3, label=name)
    axes.set(xscale="log", yscale="log", xlabel="batch", ylabel="µs a sample, training", title="Cost over the batch")
    axes.legend(frameon=False, fontsize=8)


def _networks(axes: Any, found: dict[str, Any]) -> None:
    rows = [r for r in found["results"] if "ratio" in r]
    names = [r["workload"] for r in rows]
    axes.barh(names, [r["ratio"] for r in rows], color=_OURS)
    for i, r in enumerate(rows):
        axes.text(r["ratio"], i, f" {r['best_peer']}", va="center", fontsize=7)
    axes.axvline(1, color=_GREY, lw=0.8)
    axes.set(
        xscale="log",
        xlabel="best peer's time / ours",
        title="Training steps",
        xlim=(0.5, 8 * max((r["ratio"] for r in rows), default=1.0)),
    )
    axes.invert_yaxis()


def _profile(axes: Any, found: dict[str, Any]) -> None:
    rows = [r for r in found["results"] if r["kind"] == "kernel"]
    names = list(dict.fromkeys(r["workload"] for r in rows))
    totals = {n: sum(r["ms"] for r in rows if r["workload"] == n) for n in names}
    left = dict.fromkeys(names, 0.0)
    for i, (label, kernels) in enumerate(_FAMILIES.items()):
        named = [k for family in _FAMILIES.values() for k in family]
        for n in names:
            own = [r for r in rows if r["workload"] == n]
            ms = sum(r["ms"] for r in own if (r["kernel"] in kernels if kernels else r["kernel"] not in named))
            axes.barh(n, 100 * ms / totals[n], left=left[n], color=_COLORS[i], label=label if n == names[0] else None)
            left[n] += 100 * ms / totals[n]
    axes.set(xlabel="% of a training step on one thread", title="Where the time goes", xlim=(0, 100))
    axes.invert_yaxis()
    axes.legend(frameon=False, fontsize=7, ncols=3, loc="upper center", bbox_to_anchor=(0.4, -0.16))


_FAMILIES: dict[str, tuple[str, ...]] = {
    "products": ("matmul",),
    "convolutions in the lanes": ("conv2d_lanes", "conv2d_lanes_input_grad", "conv2d_lanes_weight_grad"),
    "Winograd": ("conv2d_winograd", "conv2d_winograd_weight_grad"),
    "other convolutions": ("conv2d", "conv2d_input_grad", "conv2d_weight_grad"),
    "elementwise, optimizer": ("map",),
    "pooling": ("pool2d", "pool2d_grad"),
    "loops over slabs": ("loop",),
    "other": (),
}
_COLORS = ("#2f5d8a", "#b8421f", "#7a3b8f", "#d88c5a", "#5a8a3a", "#c9a227", "#3b9aa3", "#aaaaaa")


def _memory(axes: Any, found: dict[str, Any], workload: str = "lenet5") -> None:
    rows = [r for r in found["results"] if r["kind"] == "memory" and r["workload"] == workload]
    for i, r in enumerate(rows):
        life = r["last"] - r["first"] + 1
        axes.broken_barh([(r["first"], life)], (r["offset"] / 1e6, r["bytes"] / 1e6), color=_COLORS[i % 6], lw=0)
    top = max((r["offset"] + r["bytes"] for r in rows), default=0) / 1e6
    total = sum(r["bytes"] for r in rows) / 1e6
    title = f"{workload}: buffers of {total:.1f} MB in {top:.1f} MB"
    axes.set(xlabel="step of the program", ylabel="MB in the arena", title=title)


def _cores(axes: Any, found: dict[str, Any]) -> None:
    rows = [r for r in found["results"] if r["kind"] == "cores"]
    for i, name in enumerate(n for n in dict.fromkeys(r["workload"] for r in rows) if n != "perceptron"):
        points = [(r["threads"], r["ms"]) for r in rows if r["workload"] == name]
        axes.plot(
            [n for n, _ in points],
            [points[0][1] / ms for _, ms in points],
            "o-",
            ms=3,
            color=_COLORS[i % 7],
            label=name,
        )
    axes.plot([1, 64], [1, 64], color=_GREY, lw=0.8, ls=":")
    axes.set(xscale="log", yscale="log", xlabel="threads", ylabel="speed-up (model)", title="Where scaling ends")
    axes.legend(frameon=False, fontsize=7)


PICTURES: dict[str, tuple[str, Callable[[Any, dict[str, Any]], None]]] = {
    "roofline": ("ops", _roofline),
    "grid": ("grid", _grid),
    "batches": ("scaling", _batches),
    "training": ("train", _networks),
    "profile": ("profile", _profile),
    "memory": ("profile", _memory),
    "cores": ("profile", _cores),
}


def draw(results: Path, target: Path) -> Sequence[Path]:
    """Draws what there are results for, in place of older pictures; gives the files. Needs matplotlib."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    pyplot.rcParams.update({"svg.hashsalt": "berrante", "svg.fonttype": "none", "axes.spines.top": False,
                            "axes.spines.right": False, "font.size": 9})  # fmt: skip
    target.mkdir(parents=True, exist_ok=True)
    drawn = []
    for name, (source, picture) in PICTURES.items():
        found = _newest(results, source)
        if found is None:
            continue
        figure, axes = pyplot.subplots(figsize=(6, 3.6), layout="constrained")
        picture(axes, found)
        figure.savefig(target / f"{name}.svg", metadata={"Date": None})
        pyplot.close(figure)
        drawn.append(target / f"{name}.svg")
    return drawn
