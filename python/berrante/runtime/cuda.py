"""What `berrante info` says of CUDA."""

from __future__ import annotations

import importlib
import importlib.util


def cuda_status() -> str:
    """One line for people."""
    from berrante.runtime.devices import DeviceError, current_device

    if importlib.util.find_spec("berrante._cuda") is None:
        status = "not built (no CUDA compiler was found when berrante was installed)"
    else:
        devices = importlib.import_module("berrante._cuda").devices()
        status = f"built; {', '.join(devices)}" if devices else "built; no device or driver here"
    try:
        return f"{status}; programs run on {current_device()}"
    except DeviceError as e:
        return f"{status}; {e}"
