"""keras.mixed_precision: the global dtype policy, and the scaling of losses that float16 needs."""

from berrante.dtype_policies import DTypePolicy, dtype_policy, set_dtype_policy
from berrante.optimizers import LossScaleOptimizer

Policy = DTypePolicy
global_policy = dtype_policy
set_global_policy = set_dtype_policy

__all__ = [
    "DTypePolicy", "LossScaleOptimizer", "Policy", "dtype_policy", "global_policy", "set_dtype_policy",
    "set_global_policy",
]  # fmt: skip
