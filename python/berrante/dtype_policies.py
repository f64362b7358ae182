"""Dtype policies: the names that Keras scripts give to compute and variable dtypes, after keras.dtype_policies.

`mixed_bfloat16` and `mixed_float16` (and the plain 16-bit names) make layers compute in 16 bits: float inputs and weights are
rounded to the type, products are summed in float32, and every operation's result is rounded. Weights, losses, metrics,
optimizers and the statistics of normalisations stay float32. Other float dtypes compute in float32.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any

from berrante import config

_MIXED = {"mixed_float16": "float16", "mixed_bfloat16": "bfloat16"}
_global: DTypePolicy | None = None


def _known(name: str) -> bool:
    from berrante.graph.tensor import standard_dtype

    try:
        standard_dtype(name)
    except (ValueError, TypeError):
        return False
    return True


class DTypePolicy:
    """A compute dtype and a variable dtype by one name.

    Args:
        name: a dtype (`float32`), or `mixed_float16`, `mixed_bfloat16` (computation in the 16-bit type, variables in
            float32). None takes the global policy's.

    Raises TypeError for a name that is no str, ValueError for one that is unknown.
    """

    quantization_mode = None
    name: str

    def __init__(self, name: str | None = None) -> None:
        if name is None:
            name = dtype_policy().name
        if not isinstance(name, str):
            raise TypeError(f"DTypePolicy: 'name' must be a string, such as 'mixed_float16'; received {name!r}")
        if name not in _MIXED and not _known(name):
            raise ValueError(
                f"DTypePolicy: Cannot convert {name!r} to a mixed precision policy; expected a dtype, 'mixed_float16' or "
                "'mixed_bfloat16'"
            )
        self.name = name

    @property
    def compute_dtype(self) -> str:
        """The type of computations."""
        return _MIXED.get(self.name, self.name)

    @property
    def variable_dtype(self) -> str:
        """The type of weights."""
        return "float32" if self.name in _MIXED else self.name

    def convert_input(self, x: Any, autocast: bool, dtype: Any) -> Any:
        """x as a tensor; floats in the dtype with autocast."""
        from berrante import ops

        x = ops.convert_to_tensor(x)
        return ops.cast(x, dtype) if autocast and str(x.dtype).startswith(("float", "bfloat")) else x

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> DTypePolicy:
        return cls(**config)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self.get_config() == other.get_config()  # type: ignore[attr-defined]

    def __hash__(self) -> int:
        return hash((type(self).__name__, self.name))

    def __repr__(self) -> str:
        return f'<DTypePolicy "{self.name}">'


FloatDTypePolicy = DTypePolicy


class DTypePolicyMap(DTypePolicy, MutableMapping):  # type: ignore[type-arg]
    """Policies by the path of a layer, and a default for all others.

    Args:
        default_policy: a policy or its name; None is the global one.
        policy_map: path -> policy or name.
    """

    def __init__(self, default_policy: Any = None, policy_map: dict[str, Any] | None = None) -> None:
        if not isinstance(policy_map, (dict, type(None))):
            raise TypeError(f"DTypePolicyMap: If specified, `policy_map` must be a dict. Received: {policy_map!r}")
        self.default_policy = get(default_policy)
        self._map: dict[str, DTypePolicy] = {k: get(v) for k, v in (policy_map or {}).items()}
        self.name = f"map_{self.default_policy.name}"

    @property
    def compute_dtype(self) -> str:
        return self.default_policy.compute_dtype

    @property
    def variable_dtype(self) -> str:
        return self.default_policy.variable_dtype

    def __getitem__(self, path: str) -> DTypePolicy:
        return self._map.get(path, self.default_policy)

    def __setitem__(self, path: str, policy: Any) -> None:
        if path in self._map:
            raise ValueError(f"DTypePolicyMap: there is already a policy for {path!r}")
        self._map[path] = get(policy)

    def __delitem__(self, path: str) -> None:
        del self._map[path]

    def __contains__(self, path: object) -> bool:
        return path in self._map

    def __len__(self) -> int:
        return len(self._map)

    def __iter__(self) -> Iterator[str]:
        return iter(self._map)

    def get_config(self) -> dict[str, Any]:
        return {
            "default_policy": serialize(self.default_policy),
            "policy_map": {k: serialize(v) for k, v in self._map.items()},
        }

    __hash__ = DTypePolicy.__hash__

    def __repr__(self) -> str:
        return f"<DTypePolicyMap default={self.default_policy.name} {sorted(self._map)}>"


def dtype_policy() -> DTypePolicy:
    """The global policy; that of floatx unless set."""
    return _global if _global is not None else DTypePolicy(config.floatx())


def set_dtype_policy(policy: Any) -> None:
    """Sets the policy of layers made from now on without one of their own."""
    global _global
    _global = None if policy is None else get(policy)


def get(identifier: Any) -> DTypePolicy:
    """A policy from a policy, its name, its config or None (the global one)."""
    if identifier is None:
        return dtype_policy()
    if isinstance(identifier, DTypePolicy):
        return identifier
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if isinstance(identifier, str):
        return DTypePolicy(identifier)
    name = getattr(identifier, "name", None) or getattr(identifier, "__name__", None)
    if isinstance(name, str) and _known(name):
        return DTypePolicy(name)
    raise ValueError(
        f"dtype_policies.get: cannot interpret {identifier!r} as a dtype policy (Invalid `policy` argument)"
    )


def serialize(policy: DTypePolicy) -> dict[str, Any]:
    """The policy as a config node, as Keras writes it."""
    return {
        "module": "keras", "class_name": type(policy).__name__, "config": policy.get_config(), "registered_name": None,
    }  # fmt: skip


def deserialize(node: Any, custom_objects: Any = None) -> DTypePolicy:
    """The policy of a config node; older files write a name alone.

    Raises ValueError for another class.
    """
    if not isinstance(node, dict):
        return get(node)
    config = node.get("config", node)
    kind = node.get("class_name", "DTypePolicy")
    if kind in ("DTypePolicy", "FloatDTypePolicy", "Policy", "PolicyV1"):
        return DTypePolicy(config.get("name"))
    if kind == "DTypePolicyMap":
        return DTypePolicyMap(config.get("default_policy"), config.get("policy_map"))
    raise ValueError(f"dtype_policies.deserialize: expected DTypePolicy or DTypePolicyMap; received {kind!r}")
