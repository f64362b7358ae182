"""TimeDistributed of Keras 2: its updates, and the masks that it takes from the layer inside."""

from __future__ import annotations

from typing import Any

from berrante import layers as core
from berrante import ops
from berrante.compat.keras2.layer import Layer
from berrante.graph.keras_tensor import KerasTensor, has_keras_tensor, infer_outputs, record


class TimeDistributed(Layer, core.TimeDistributed):
    """The layer on each step: [N, T, ...] -> [N, T, ...]."""

    @property
    def updates(self) -> list[Any]:
        """What the layer inside changes in a step, once this one was called."""
        inside = getattr(self.layer, "_moving", list)
        return inside() if self._trainable and self._nodes else []

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The inner layer's mask of all steps, or the input's mask over the steps; of a fixed batch the input's mask."""
        if isinstance(inputs, KerasTensor) and inputs.shape[0]:
            return mask
        arguments = (inputs,) if mask is None else (inputs, mask)
        if not has_keras_tensor(arguments):
            return self._mask_of_steps(*arguments)
        if infer_outputs(self._mask_of_steps, arguments, {}) is None:
            return None
        return record(self._mask_of_steps, arguments, {})

    def _mask_of_steps(self, inputs: Any, mask: Any = None) -> Any:
        n, t = inputs.shape[:2]
        rows = ops.reshape(inputs, (n * t, *inputs.shape[2:]))
        inner = mask if mask is None else ops.reshape(mask, (n * t, *mask.shape[2:]))
        # A layer that knows no masks is not asked: the steps keep the mask that they have.
        found = self.layer.compute_mask(rows, inner) if self.layer.supports_masking else None
        if found is not None:
            return ops.reshape(found, (n, t, *found.shape[1:]))
        if mask is None:
            return None
        axes = tuple(range(2, len(mask.shape)))
        return ops.any(mask, axis=axes) if axes else mask
