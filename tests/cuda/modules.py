"""The CUDA modules whose kernels can run here: the emulated one, and the real one where there is a device."""

from __future__ import annotations

import importlib
from typing import Any

import pytest


def module(name: str) -> Any:
    """A compiled module, or None where it was not built."""
    try:
        return importlib.import_module(f"berrante.{name}")
    except ImportError:
        return None


EMULATED, REAL = module("_cuda_emulated"), module("_cuda")
_missing = "the emulated module was not built (BERRANTE_CUDA_EMULATED)"
_no_device = "the CUDA module was not built" if REAL is None else "no CUDA device"

# Parameters for tests that run kernels.
RUNNING = [
    pytest.param(EMULATED, id="emulated", marks=pytest.mark.skipif(EMULATED is None, reason=_missing)),
    pytest.param(REAL, id="cuda", marks=pytest.mark.skipif(REAL is None or not REAL.devices(), reason=_no_device)),
]
# For tests of what needs no device.
BUILT = [pytest.param(m, id=name) for name, m in (("emulated", EMULATED), ("cuda", REAL)) if m is not None]
needs_emulator = pytest.mark.skipif(EMULATED is None, reason=_missing)
KERNELS = set((EMULATED or REAL).kernels()) if EMULATED or REAL else set()
