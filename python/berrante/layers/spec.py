"""What a layer accepts: InputSpec, and the check of an input against it with messages that name the layer."""

from __future__ import annotations

from typing import Any

from berrante.graph.keras_tensor import KerasTensor
from berrante.graph.tensor import Tensor


class InputSpec:
    """What a layer accepts: rank, extents of some axes, dtype."""

    def __init__(
        self, dtype: Any = None, shape: Any = None, ndim: int | None = None, max_ndim: int | None = None,
        min_ndim: int | None = None, axes: dict[int, int | None] | None = None, allow_last_axis_squeeze: bool = False,
        name: str | None = None, optional: bool = False,
    ) -> None:  # fmt: skip
        self.dtype = dtype
        self.shape = None if shape is None else tuple(shape)
        self.ndim = len(self.shape) if self.shape is not None else ndim
        self.max_ndim, self.min_ndim = max_ndim, min_ndim
        self.axes = axes or {}

    def get_config(self) -> dict[str, Any]:
        return {
            "dtype": self.dtype, "shape": self.shape, "ndim": self.ndim, "max_ndim": self.max_ndim,
            "min_ndim": self.min_ndim, "axes": self.axes,
        }  # fmt: skip

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> InputSpec:
        return cls(**config)


def check_input(spec: Any, x: Any, label: str, data_format: str | None = None) -> None:
    """Raises ValueError where an input (or one of a list of them) does not fit its spec."""
    if isinstance(spec, (list, tuple)):
        xs = list(x) if isinstance(x, (list, tuple)) else [x]
        if len(xs) != len(spec):
            raise ValueError(f"{label} expected {len(spec)} inputs; received {len(xs)}")
        for one, value in zip(spec, xs, strict=True):
            check_input(one, value, label, data_format)
        return
    if not isinstance(spec, InputSpec) or not isinstance(x, (Tensor, KerasTensor)):
        return
    rank, shape = len(x.shape), tuple(x.shape)
    if spec.ndim is not None and rank != spec.ndim:
        raise ValueError(
            f"{label} expected {spec.ndim}-D input{_layout(spec.ndim, data_format)}; received shape {shape}"
        )
    if spec.min_ndim is not None and rank < spec.min_ndim:
        raise ValueError(f"{label} expected input of at least {spec.min_ndim}-D; received shape {shape}")
    if spec.max_ndim is not None and rank > spec.max_ndim:
        raise ValueError(f"{label} expected input of at most {spec.max_ndim}-D; received shape {shape}")
    for axis, extent in spec.axes.items():
        if extent is not None and shape[axis] is not None and shape[axis] != extent:
            raise ValueError(
                f"{label} input is incompatible with the layer: expected extent {extent} at axis {axis}; received shape {shape}"
            )
    if spec.shape is not None:
        for wanted, extent in zip(spec.shape, shape, strict=True):
            if wanted is not None and extent is not None and wanted != extent:
                raise ValueError(f"{label} expected shape {spec.shape}; received shape {shape}")


def _layout(rank: int, data_format: str | None) -> str:
    """` (N, H, W, C)` for layers of images."""
    letters = {3: ["N", "L", "C"], 4: ["N", "H", "W", "C"]}.get(rank)
    if letters is None or data_format is None:
        return ""
    if data_format == "channels_first":
        letters = [letters[0], letters[-1], *letters[1:-1]]
    return f" ({', '.join(letters)})"
