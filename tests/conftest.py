"""Tests compare with float64 references, so on a GPU products keep float32's precision."""

from __future__ import annotations

import os

if os.environ.get("BERRANTE_DEVICE", "cpu") != "cpu":
    os.environ.setdefault("BERRANTE_MATMUL_PRECISION", "float32")
