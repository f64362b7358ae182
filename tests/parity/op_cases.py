"""Random calls of berrante.ops functions that have a namesake in keras.ops: values and gradients, by family of functions."""

from __future__ import annotations

from parity import op_elementwise_cases, op_linear_cases, op_network_cases, op_shape_cases, op_statistics_cases
from parity.op_draws import Kinds

KINDS: Kinds = {
    **op_elementwise_cases.KINDS, **op_statistics_cases.KINDS, **op_linear_cases.KINDS, **op_shape_cases.KINDS,
    **op_network_cases.KINDS,
}  # fmt: skip
