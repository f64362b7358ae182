"""Keras 2 on berrante: thin subclasses and wrappers, whose differences stand in `berrante.compat.differences`."""

from __future__ import annotations

from typing import Any

from berrante.compat.keras2.layers import Input, Layer
from berrante.compat.keras2.models import Model, Sequential

__version__ = "2.2.4"


def dialect_classes() -> dict[str, dict[str, Any]]:
    """The classes that configs mean under Keras 2, by family and name."""
    from berrante.compat.keras2 import layers, optimizers

    return {
        "layers": layers.layer_classes(),
        "optimizers": dict(optimizers.CLASSES),
        "models": {"Sequential": Sequential, "Functional": Model, "Model": Model},
    }


__all__ = ["Input", "Layer", "Model", "Sequential"]
