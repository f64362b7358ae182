"""tensorflow.config: settings that scripts make and that mean nothing here."""

from __future__ import annotations

from typing import Any


def list_physical_devices(device_type: Any = None) -> list[Any]:
    """None: berrante manages devices itself."""
    return []


def run_functions_eagerly(run_eagerly: bool) -> None:
    """Accepted and ignored."""


def set_visible_devices(devices: Any, device_type: Any = None) -> None:
    """Accepted and ignored."""


class experimental:  # noqa: N801
    """Settings of GPU memory, accepted and ignored."""

    list_physical_devices = staticmethod(list_physical_devices)

    @staticmethod
    def set_memory_growth(device: Any, enable: bool) -> None:
        """Accepted and ignored."""

    @staticmethod
    def enable_op_determinism() -> None:
        """Always so."""
