"""keras.legacy: Keras 1's merge layer."""

from berrante.compat.keras2.layers import merge

__all__ = ["merge"]
