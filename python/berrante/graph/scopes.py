"""Scopes around variables, after Keras: `name_scope`, which prefixes the paths of variables made inside, and
`StatelessScope`, inside which variables read given values and assignments are kept in the scope instead of made.

Both are per thread. A stateless scope covers reading and assigning (`Variable.value`, `assign`), not the memory itself.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from berrante.graph.variable import Variable


class _Scopes(threading.local):
    def __init__(self) -> None:
        self.names: list[name_scope] = []
        self.stateless: list[StatelessScope] = []


_scopes = _Scopes()


class name_scope:
    """Inside, paths of new variables begin with the name.

    Args:
        name: without slashes.
        caller: a scope of the same caller inside its own changes nothing.
        deduplicate: False: also then it does.
        override_parent: a path that stands for the scopes outside.
    """

    def __init__(
        self, name: str, caller: Any = None, deduplicate: bool = True, override_parent: str | None = None
    ) -> None:
        if not isinstance(name, str) or "/" in name:
            raise ValueError(
                f"Argument `name` must be a string and cannot contain character `/`. Received: name={name!r}"
            )
        self.name, self.caller, self.deduplicate = name, caller, deduplicate
        self.override_parent = override_parent
        self._entered = False

    def __enter__(self) -> name_scope:
        outer = _scopes.names[-1] if _scopes.names else None
        same = outer is not None and self.caller is not None and (outer.caller, outer.name) == (self.caller, self.name)
        self._entered = not (self.deduplicate and same)
        if self._entered:
            _scopes.names.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        if self._entered and _scopes.names:
            _scopes.names.pop()


def current_path() -> str:
    """The names of the scopes around, joined by slashes."""
    parts: list[str] = []
    for scope in _scopes.names:
        if scope.override_parent is not None:
            parts = [part for part in scope.override_parent.split("/") if part]
        parts.append(scope.name)
    return "/".join(parts)


class StatelessScope:
    """Inside, variables have the values of `state_mapping`, and assignments change only the scope.

    Args:
        state_mapping: pairs of variable and value.
        collect_losses, initialize_variables: accepted, as in Keras.
    """

    def __init__(
        self, state_mapping: Sequence[tuple[Any, Any]] | None = None, collect_losses: bool = False,
        initialize_variables: bool = True,
    ) -> None:  # fmt: skip
        from berrante.graph.op import as_tensor
        from berrante.graph.variable import Variable

        self.collect_losses, self.initialize_variables = collect_losses, initialize_variables
        self.losses: list[Any] = []
        self._values: dict[Variable, Any] = {}
        for variable, value in state_mapping or ():
            if not isinstance(variable, Variable):
                raise ValueError(
                    f"Invalid reference variable in StatelessScope: all keys in argument `mapping` must be Variable instances. "
                    f"Received instead: {variable!r}"
                )
            tensor = as_tensor(value)
            if tensor.shape != variable.shape:
                raise ValueError(
                    "Invalid variable value in StatelessScope: all values in argument `mapping` must be tensors with a shape "
                    f"that matches the corresponding variable's: expected {variable.shape}; received {tensor.shape}"
                )
            self._values[variable] = tensor

    def __enter__(self) -> StatelessScope:
        _scopes.stateless.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        _scopes.stateless.pop()

    def add_loss(self, loss: Any) -> None:
        self.losses.append(loss)

    def add_update(self, update: tuple[Any, Any]) -> None:
        self._values[update[0]] = update[1]

    def get_current_value(self, variable: Any) -> Any:
        """What the variable is inside the scope; None where nothing says."""
        return self._values.get(variable)


def stateless_scope() -> StatelessScope | None:
    """The innermost scope."""
    return _scopes.stateless[-1] if _scopes.stateless else None


def in_stateless_scope() -> bool:
    """Whether a StatelessScope is in force."""
    return bool(_scopes.stateless)


get_stateless_scope = stateless_scope
