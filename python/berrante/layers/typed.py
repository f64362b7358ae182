"""The dtypes of a layer: its policy, and `call` in the compute dtype, on inputs and weights of that type."""

from __future__ import annotations

from typing import Any

from berrante import dtype_policies
from berrante.graph.formats import ROUNDING, is_float
from berrante.graph.tensor import standard_dtype
from berrante.graph.trace import autocast
from berrante.layers.configuration import Configurable, is_users
from berrante.layers.masking import as_float_type


class Typed(Configurable):
    """What Layer knows of dtypes."""

    # Whether the layer is made of layers that have compute dtypes of their own (a model).
    _composed = False
    # Whether the layer computes in float32 whatever its policy; its output is of the compute dtype.
    _wide = False
    autocast: bool

    def call(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must define call()")

    @property
    def path(self) -> str:
        raise NotImplementedError

    def _compute(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """`call` in the layer's compute dtype: on float inputs of that type, with its weights read in that type."""
        kind = self._float_type()
        if kind is not None and self.autocast:
            types = (kind, "float32") if self._wide else (kind,)
            args = tuple(as_float_type(a, *types) for a in args)
            kwargs = {k: as_float_type(a, *types) for k, a in kwargs.items()}
        halved = kind in ROUNDING
        with autocast(kind if halved and self.autocast and not self._wide else None):
            outputs = self.call(*args, **kwargs)
        return outputs if kind is None or not halved or is_users(type(self)) else as_float_type(outputs, kind)

    def _float_type(self) -> str | None:
        """The compute dtype as tensors have it; None if it is no float's, or if inner layers have their own."""
        if self._composed and not is_users(type(self)):
            return None
        kind = standard_dtype(self.compute_dtype)
        return kind if is_float(kind) else None

    @property
    def dtype_policy(self) -> dtype_policies.DTypePolicy:
        """The dtypes of the layer's computation and weights."""
        policy = self._dtype_policy
        return policy[self.path] if isinstance(policy, dtype_policies.DTypePolicyMap) else policy

    @dtype_policy.setter
    def dtype_policy(self, value: Any) -> None:
        policy = dtype_policies.get(value)
        if isinstance(self._dtype_policy, dtype_policies.DTypePolicyMap):
            if self.path in self._dtype_policy:
                del self._dtype_policy[self.path]
            self._dtype_policy[self.path] = policy
        else:
            self._dtype_policy = policy

    @property
    def dtype(self) -> str:
        return self.dtype_policy.variable_dtype

    variable_dtype = dtype

    @property
    def compute_dtype(self) -> str:
        return self.dtype_policy.compute_dtype

    input_dtype = compute_dtype
