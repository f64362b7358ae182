"""Masks of time steps, which travel with tensors from layer to layer and to the loss, as in Keras.

A mask is a bool tensor, True where a step counts. It is kept on the tensor itself (`_keras_mask`), so it exists on real and
traced tensors alike; placeholders of the functional API carry none, since their graph is replayed on tensors.
"""

from __future__ import annotations

import warnings
from typing import Any

from berrante.graph.formats import is_float
from berrante.graph.primitives import cast
from berrante.graph.tape import flatten, map_structure
from berrante.graph.tensor import Tensor


def get_mask(x: Any) -> Any:
    """The mask of a tensor, or None."""
    return getattr(x, "_keras_mask", None)


def set_mask(x: Any, mask: Any) -> None:
    """Gives a tensor a mask."""
    if isinstance(x, Tensor):
        x._keras_mask = mask


def as_float_type(structure: Any, *dtypes: str) -> Any:
    """Float tensors in their nesting, cast to these dtypes one after the other; they keep their masks."""

    def convert(x: Any) -> Any:
        if not isinstance(x, Tensor) or not is_float(x.dtype):
            return x
        y = x
        for dtype in dtypes:
            y = cast(y, dtype)
        if y is not x:
            set_mask(y, get_mask(x))
        return y

    return map_structure(convert, structure)


def masks_of(structure: Any) -> Any:
    """The masks of tensors in their own nesting."""
    return map_structure(get_mask, structure)


def has_mask(structure: Any) -> bool:
    return any(get_mask(x) is not None for x in flatten(structure))


def carry_mask(layer: Any, inputs: Any, outputs: Any, previous: Any) -> None:
    """Sets the masks that `layer.compute_mask` gives on outputs that have none yet; warns where a layer drops one."""
    if not layer.supports_masking:
        if any(m is not None for m in flatten(previous)):
            warnings.warn(
                f"{layer._label()} does not support masking: it drops the mask of its input, and later layers see none",
                stacklevel=3,
            )
        return
    results = flatten(outputs)
    if all(get_mask(y) is not None for y in results):
        return
    masks = layer.compute_mask(inputs, previous)
    if masks is None:
        return
    for y, mask in zip(results, flatten(masks), strict=False):
        if mask is not None and get_mask(y) is None:
            set_mask(y, mask)
