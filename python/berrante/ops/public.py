"""The decorator of public operations: calls with functional placeholders are recorded instead of run."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

from berrante.graph.keras_tensor import KerasTensor, record

F = TypeVar("F", bound=Callable[..., Any])


def _has_placeholder(x: Any) -> bool:
    if isinstance(x, KerasTensor):
        return True
    if isinstance(x, (list, tuple)):
        return any(_has_placeholder(y) for y in x)
    return isinstance(x, dict) and any(_has_placeholder(y) for y in x.values())


def public(function: F) -> F:
    """Makes a function of tensors work on KerasTensors too."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        for x in args:
            if _has_placeholder(x):
                return record(call, args, kwargs)
        for x in kwargs.values():
            if _has_placeholder(x):
                return record(call, args, kwargs)
        return function(*args, **kwargs)

    return cast(F, call)
