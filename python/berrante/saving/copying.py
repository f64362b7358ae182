"""Copies of models and layers, for copy.deepcopy and pickling: through the bytes of a `.keras` archive.

The user's own classes and functions travel beside the archive as objects (a pickle refers to them by name, as pickles
do), so they need not be registered.
"""

from __future__ import annotations

import io
from typing import Any

from berrante.saving.keras_v3 import read_model, to_bytes
from berrante.saving.registry import capturing, custom_object_scope


def pack(obj: Any) -> tuple[bytes, dict[str, Any]]:
    """The archive of a model or layer, and the user's classes and functions in it by the names that it uses."""
    objects: dict[str, Any] = {}
    with capturing(objects):
        data = to_bytes(obj)
    return data, objects


def unpack(data: bytes, objects: dict[str, Any]) -> Any:
    """What was packed."""
    with custom_object_scope(objects):
        return read_model(io.BytesIO(data), what="copy")
