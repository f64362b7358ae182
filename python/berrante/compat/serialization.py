"""`serialize` and `deserialize` for the modules of Keras that have them."""

from __future__ import annotations

from berrante.saving.registry import deserialize_keras_object as deserialize
from berrante.saving.registry import serialize_keras_object as serialize
