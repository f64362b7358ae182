"""Input and InputLayer: where functional models begin."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

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
        label = self._label()
        for argument, value, given in (
            ("input_shape", input_shape, "shape"),
            ("batch_input_shape", batch_input_shape, "batch_shape"),
        ):
            if value is not None:
                warnings.warn(f"Argument `{argument}` is deprecated. Use `{given}` instead.", UserWarning, stacklevel=3)
        for argument, asked in (("sparse", sparse), ("ragged", ragged)):
            if asked:
                raise ValueError(f"{label} `{argument}=True` is not supported: tensors are dense")
        shape = shape if shape is not None else input_shape
        full = batch_shape if batch_shape is not None else batch_input_shape
        if full is not None and (shape is not None or batch_size is not None):
            other = "shape" if shape is not None else "batch_size"
            raise ValueError(f"{label} you cannot pass both `{other}` and `batch_shape` at the same time")
        if input_tensor is not None:
            if not isinstance(input_tensor, KerasTensor):
                raise ValueError(
                    f"{label} Argument `input_tensor` must be a KerasTensor. Received: {type(input_tensor)}"
                )
            own = tuple(input_tensor.shape)
            shape_given = None if shape is None else (shape,) if isinstance(shape, int) else tuple(shape)
            given_dtype = None if dtype is None else dtype_policies.get(dtype).name
            for argument, fits in (
                ("shape", shape_given is None or shape_given == own[1:]),
                ("batch_shape", full is None or tuple(full) == own),
                ("batch_size", batch_size is None or batch_size == own[0]),
                ("dtype", given_dtype is None or given_dtype == input_tensor.dtype),
            ):
                if not fits:
                    raise ValueError(
                        f"{label} you cannot provide an incompatible `{argument}` with an `input_tensor`: that has shape {own} "
                        f"and dtype {input_tensor.dtype}"
                    )
            full, dtype = own, input_tensor.dtype
        if full is None:
            if shape is None:
                raise ValueError(f"{label} expected shape or batch_shape: you must pass a `shape` argument.")
            full = (batch_size, *((shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)))
        self.batch_shape = tuple(None if n is None else int(n) for n in full)
        self.optional = optional
        self.sparse, self.ragged = bool(sparse), bool(ragged)
        self._dtype_policy = dtype_policies.get(dtype or "float32")
        self.built = True
        tensor = input_tensor if input_tensor is not None else KerasTensor(self.batch_shape, self.dtype, self.name)
        self._nodes.append(FunctionalNode(self, (), {}, tensor))

    def call(self) -> None:
        """Nothing: the layer holds a placeholder."""

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
