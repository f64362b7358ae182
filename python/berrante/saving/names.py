"""Names under which classes and functions are known to configs: those the user registered, those of a scope, and how a
thread is serialising or making objects at the moment. Nothing here imports anything by name.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_CUSTOM: dict[str, Any] = {}
_NAMES: dict[Any, str] = {}


class _Scope(threading.local):
    def __init__(self) -> None:
        self.objects: dict[str, Any] = {}  # custom objects by name
        self.live = False  # functions that no name stands for stay objects
        self.captured: dict[str, Any] | None = None  # the user's classes and functions that serialising meets
        self.written: dict[int, int] | None = None  # how often serialising has met a layer, by identity
        self.read: dict[Any, Any] | None = None  # layers made so far, by shared_object_id
        self.sharing: dict[Any, Any] | None = None  # the same for a whole ObjectSharingScope


_scope = _Scope()


def get_custom_objects() -> dict[str, Any]:
    """The global registry, to be read or added to."""
    return _CUSTOM


def register_keras_serializable(package: str = "Custom", name: str | None = None) -> Callable[[Any], Any]:
    """A decorator that lets files name a class or function as `package>name`."""

    def register(target: Any) -> Any:
        full = f"{package}>{name or target.__name__}"
        if isinstance(target, type) and not hasattr(target, "get_config"):
            raise ValueError(
                f"Cannot register a class that does not have a get_config() method; received {target.__name__}"
            )
        _CUSTOM[full] = target
        _NAMES[target] = full
        return target

    return register


@contextmanager
def custom_object_scope(custom_objects: dict[str, Any]) -> Iterator[None]:
    """Inside, configs may name these objects, by plain or registered names."""
    outer = _scope.objects
    _scope.objects = {**outer, **(custom_objects or {})}
    try:
        yield
    finally:
        _scope.objects = outer


CustomObjectScope = custom_object_scope


@contextmanager
def live_functions() -> Iterator[None]:
    """Inside, functions that no name stands for stay objects in configs: for copies in memory, never for files."""
    outer, _scope.live = _scope.live, True
    try:
        yield
    finally:
        _scope.live = outer


def get_registered_name(obj: Any) -> str:
    """The name under which a class or function is registered; its own name if it is not."""
    return _NAMES[obj] if obj in _NAMES else str(obj.__name__)


def get_registered_object(name: str, custom_objects: Any = None, module_objects: Any = None) -> Any:
    """The class or function of a name; None if there is none."""
    for table in (_scope.objects, _CUSTOM, custom_objects or {}, module_objects or {}):
        if name in table:
            return table[name]
    return None


@contextmanager
def capturing(objects: dict[str, Any]) -> Iterator[None]:
    """Inside, the user's classes and functions that are serialised are put into `objects`, registered or not."""
    outer = _scope.captured
    _scope.captured = objects
    try:
        yield
    finally:
        _scope.captured = outer


def _capture(obj: Any, name: str) -> str:
    """The name under which a user's class or function is found again."""
    if _scope.captured is None:
        return name
    unique, n = name, 1
    while _scope.captured.get(unique, obj) is not obj:
        unique, n = f"{name}#{n}", n + 1
    _scope.captured[unique] = obj
    return unique
