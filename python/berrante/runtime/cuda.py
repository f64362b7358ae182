"""Whether there is a CUDA module and a device for it."""

from __future__ import annotations

import importlib
import importlib.util


def cuda_status() -> str:
    """One line for people."""
    if importlib.util.find_spec("berrante._cuda") is None:
        return "not built (no CUDA compiler was found when berrante was installed)"
    devices = importlib.import_module("berrante._cuda").devices()
    return f"built; {', '.join(devices)}" if devices else "built; no device or driver here"
