"""`serialize`, `deserialize` and `get` for the modules of Keras 3 that have them."""

from __future__ import annotations
