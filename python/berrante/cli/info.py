"""berrante info."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import numpy as np


def cpu_name() -> str:
    """The processor's own name, where the system tells."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def print_info() -> None:
    """Version, CPU, instruction sets, threads, and CUDA."""
    import berrante
    from berrante.runtime import kernels
    from berrante.runtime.cuda import cuda_status

    print(f"berrante   {berrante.__version__} (Python {platform.python_version()}, NumPy {np.__version__})")
    print(f"CPU        {cpu_name()}, {os.cpu_count()} logical cores")
    forced = " by BERRANTE_ISA" if os.environ.get("BERRANTE_ISA") else ""
    print(f"ISA        {kernels.isa()}{forced} (this machine runs {', '.join(kernels.isas())})")
    print(f"threads    {kernels.num_threads()}")
    print(f"CUDA       {cuda_status()}")
