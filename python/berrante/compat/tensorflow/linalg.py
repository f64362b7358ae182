"""tensorflow.linalg."""

from __future__ import annotations

from berrante.compat.tensorflow.math import l2_normalize
from berrante.ops import diag, einsum, eye, matmul, norm, tensordot, trace
