"""Input and InputLayer: where functional models begin."""

from __future__ import annotations

from typing import Any

from berrante import dtype_policies
from berrante.graph.keras_tensor import FunctionalNode, KerasTensor
from berrante.layers.layer import Layer


class InputLayer(Layer):
    """The entry of a model: a placeholder of a shape."""

    def __init__(
        self, shape: Any = None, batch_size: int | None = None, dtype: Any = None, sparse: Any = None,
        batch_shape: Any = None, input_tensor: Any = None, optional: bool = False, name: str | None = None,
        ragged: Any = None, input_shape: Any = None, batch_input_shape: Any = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(name=name, **kwargs)
        shape = shape if shape is not None else input_shape
        full = batch_shape if batch_shape is not None else batch_input_shape
        if full is None:
            if shape is None:
                raise ValueError(f"{self._label()} expected shape or batch_shape; received neither")
            full = (batch_size, *((shape,) if isinstance(shape, int) else tuple(shape)))
        self.batch_shape = tuple(full)
        self.optional = optional
        self._dtype_policy = dtype_policies.get(dtype or "float32")
        self.built = True
        tensor = input_tensor if input_tensor is not None else KerasTensor(self.batch_shape, self.dtype, self.name)
        self._nodes.append(FunctionalNode(self, (), {}, tensor))

    def call(self) -> Any:
        raise ValueError(f"{self._label()} holds a placeholder and is never called")

    @property
    def output(self) -> Any:
        return self._nodes[0].structure

    def get_config(self) -> dict[str, Any]:
        return {
            "batch_shape": self.batch_shape, "dtype": self.dtype, "sparse": False, "ragged": False, "name": self.name,
            "optional": self.optional,
        }  # fmt: skip


def Input(
    shape: Any = None, batch_size: int | None = None, dtype: Any = None, sparse: Any = None, batch_shape: Any = None,
    name: str | None = None, tensor: Any = None, optional: bool = False, ragged: Any = None,
) -> Any:  # fmt: skip
    """A placeholder of a shape without the batch (or of a whole batch_shape)."""
    return InputLayer(
        shape, batch_size, dtype, sparse, batch_shape, tensor, optional, name or (None)
    ).output  # fmt: skip
