"""Every kernel of csrc/ops.def has a CUDA form, but for the CPU's layouts."""

from __future__ import annotations

import pytest

from berrante import _cpu
from cuda.modules import EMULATED, KERNELS, REAL
from cuda.test_cuda_kernels import CPU_ONLY


@pytest.mark.skipif(EMULATED is None and REAL is None, reason="no CUDA module was built")
def test_no_kernel_is_missing() -> None:
    assert set(_cpu.schema()) - KERNELS == CPU_ONLY
