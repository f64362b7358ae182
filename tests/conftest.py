"""Every test may run over another device: BERRANTE_DEVICE=emulated (or cuda) pytest ...

Tests compare with float64 references, so products keep float32's precision there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

if os.environ.get("BERRANTE_DEVICE", "cpu") != "cpu":
    os.environ.setdefault("BERRANTE_MATMUL_PRECISION", "float32")


@pytest.fixture
def on_cpu() -> Iterator[None]:
    """For tests of what only the CPU does: its layouts, its choice of kernels, its threads."""
    import berrante

    with berrante.device("cpu"):
        yield
