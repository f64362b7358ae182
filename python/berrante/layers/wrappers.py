"""Layers around layers, after keras.layers."""

from __future__ import annotations

from typing import Any

from berrante import ops
from berrante.layers.layer import Layer


class Wrapper(Layer):
    """Holds another layer."""

    def __init__(self, layer: Layer, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(layer, Layer):
            raise ValueError(f"{self._label()} expected a layer; received {layer!r}")
        self.layer = layer

    def get_config(self) -> dict[str, Any]:
        from berrante.saving.registry import serialize_keras_object

        return {**super().get_config(), "layer": serialize_keras_object(self.layer)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        from berrante.saving.registry import deserialize_keras_object

        layer = config["layer"]
        return cls(**{**config, "layer": deserialize_keras_object(layer) if isinstance(layer, dict) else layer})


class TimeDistributed(Wrapper):
    """The layer on each step: [N, T, ...] -> [N, T, ...]."""

    def build(self, input_shape: Any) -> None:
        if not self.layer.built:
            self.layer.build((input_shape[0], *input_shape[2:]))
            self.layer.built = True

    def call(self, inputs: Any, training: bool = False) -> Any:
        n, t = inputs.shape[:2]
        y = self.layer(ops.reshape(inputs, (n * t, *inputs.shape[2:])), **self._flag(training))
        return ops.reshape(y, (n, t, *y.shape[1:]))

    def _flag(self, training: bool) -> dict[str, Any]:
        return {"training": training} if "training" in self.layer._arguments() else {}
