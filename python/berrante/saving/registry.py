"""Objects to configs and back, in Keras 3's node format, by a fixed table of names.

A config names a class; only classes of this table and those that the user registered (or passes as custom objects) are
ever made. Nothing is imported by a name read from a file, and no code is read from files.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from berrante.dtype_policies import DTypePolicyMap
from berrante.graph.tensor import Tensor
from berrante.saving.names import (
    _CUSTOM,
    _NAMES,
    CustomObjectScope,
    _capture,
    _scope,
    capturing,
    custom_object_scope,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    live_functions,
    register_keras_serializable,
)

__all__ = [
    "CustomObjectScope", "ObjectSharingScope", "capturing", "custom_object_scope", "deserialize_keras_object",
    "deserialize_named", "get_custom_objects", "get_registered_name", "get_registered_object", "guarded", "live_functions",
    "register_keras_serializable", "serialize_config", "serialize_keras_object", "set_dialect",
]  # fmt: skip
_MAX_DEPTH = 64
_MODULES = {
    "layers": "keras.layers", "initializers": "keras.initializers", "regularizers": "keras.regularizers",
    "constraints": "keras.constraints", "losses": "keras.losses", "metrics": "keras.metrics",
    "optimizers": "keras.optimizers", "random": "keras.random", "models": "keras", "berrante": "berrante",
}  # fmt: skip

_builtin_cache: dict[str, dict[str, Any]] = {}
# Classes that stand in for the built-in ones of the same name, by family: those of Keras 2 under `berrante run --keras 2`.
_dialect: dict[str, dict[str, Any]] = {}


def set_dialect(classes: dict[str, dict[str, Any]]) -> None:
    """From now on configs make these classes (family -> name -> class) where they name the built-in ones."""
    _dialect.clear()
    _dialect.update(classes)


def _builtins() -> dict[str, dict[str, Any]]:
    """family -> class name -> class."""
    if not _builtin_cache:
        from berrante import constraints, initializers, layers, losses, metrics, models, optimizers, regularizers
        from berrante.generative_metrics import SAVED
        from berrante.models import generative
        from berrante.optimizers import schedules
        from berrante.random import SeedGenerator

        def table(*groups: Any) -> dict[str, Any]:
            return {getattr(cls, "exported_name", cls.__name__): cls for group in groups for cls in group}

        _builtin_cache.update(
            layers=table(layers.ALL), initializers=table(initializers.ALL), regularizers=table(regularizers.ALL),
            constraints=table(constraints.ALL), losses=table(losses.ALL), metrics=table(metrics.ALL),
            optimizers=table(optimizers.ALL, schedules.ALL, [optimizers.OptimizerMap]), random={"SeedGenerator": SeedGenerator},
            models={"Sequential": models.Sequential, "Functional": models.Model, "Model": models.Model},
            berrante=table(generative.ALL, generative.LAYERS, SAVED),
        )  # fmt: skip
    return _builtin_cache


def _family_of(cls: type) -> tuple[str, str] | None:
    for family, table in [*_dialect.items(), *_builtins().items()]:
        for name, known in table.items():
            if known is cls:
                return family, "Functional" if name == "Model" else name
    return None


def serialize_keras_object(obj: Any) -> Any:
    """JSON-ready data from which `deserialize_keras_object` makes an equal object."""
    if _scope.written is None:
        _scope.written = {}
        try:
            return _without_lone_ids(_serialize(obj), _scope.written)
        finally:
            _scope.written = None
    return _serialize(obj)


def _without_lone_ids(tree: Any, written: dict[int, int]) -> Any:
    """Keeps the identities of layers that stand in two places only."""
    stack = [tree]
    while stack:
        x = stack.pop()
        if isinstance(x, dict):
            if written.get(x.get("shared_object_id", -1), 2) == 1:
                del x["shared_object_id"]
            stack.extend(x.values())
        elif isinstance(x, (list, tuple)):
            stack.extend(x)
    return tree


def _serialize(obj: Any) -> Any:
    if obj is None or isinstance(obj, (str, bool, int, float)):
        return obj
    if isinstance(obj, np.generic):
        return obj.item()
    if isinstance(obj, (list, tuple)):
        items = [_serialize(x) for x in obj]
        return tuple(items) if isinstance(obj, tuple) else items  # JSON makes it a list
    if isinstance(obj, dict):
        return {str(k): _serialize(v) for k, v in obj.items()}
    if isinstance(obj, np.ndarray):
        return {"class_name": "__numpy__", "config": {"value": obj.tolist(), "dtype": str(obj.dtype)}}
    if isinstance(obj, Tensor) and not obj.is_symbolic:
        return {"class_name": "__tensor__", "config": {"value": obj.numpy().tolist(), "dtype": obj.dtype}}
    if isinstance(obj, bytes):
        return {"class_name": "__bytes__", "config": {"value": obj.decode()}}
    if isinstance(obj, slice):
        parts = {"start": obj.start, "stop": obj.stop, "step": obj.step}
        return {"class_name": "__slice__", "config": {k: _serialize(v) for k, v in parts.items()}}
    if obj is Ellipsis:
        return {"class_name": "__ellipsis__", "config": {}}
    if hasattr(obj, "get_config"):
        return _serialize_instance(obj)
    if callable(obj):
        return _serialize_function(obj)
    raise ValueError(f"cannot serialise {obj!r}: it has no get_config()")


def _known_as(obj: Any) -> str:
    return _NAMES[obj] if obj in _NAMES else _capture(obj, obj.__name__)


def _serialize_function(function: Any) -> Any:
    name = getattr(function, "__name__", type(function).__name__)
    if function in _NAMES:
        module, registered = getattr(function, "__module__", ""), _NAMES[function]
    elif _is_builtin_function(function, name):
        module, registered = "builtins", name
    elif _scope.live:
        return function
    else:
        if name == "<lambda>" and _scope.captured is None:
            raise ValueError(
                "a lambda cannot be saved, as loading it could lead to arbitrary code execution; define and register a "
                "function or a class instead"
            )
        name = registered = _capture(function, name)
        module = "builtins"
    return {"module": module, "class_name": "function", "config": name, "registered_name": registered}


def _serialize_instance(obj: Any) -> dict[str, Any]:
    from berrante.layers import Layer

    cls = type(obj)
    family = _family_of(cls)
    if family is not None:
        module, name, registered = _MODULES[family[0]], family[1], None
        if name == "Functional":
            module = "keras.src.models.functional"  # where Keras 3 has it
        if cls.__module__.endswith("schedules"):
            module = "keras.optimizers.schedules"
        if name.startswith("MedianPooling") or family[0] == "berrante":
            module, registered = "berrante", f"berrante>{name}"
    else:
        module, name = cls.__module__, cls.__name__
        registered = _known_as(cls)
    node: dict[str, Any] = {
        "module": module,
        "class_name": name,
        "config": serialize_config(obj.get_config()),
        "registered_name": registered,
    }
    build = obj.get_build_config() if hasattr(obj, "get_build_config") and getattr(obj, "built", False) else None
    if build and name != "InputLayer":
        node["build_config"] = serialize_config(build)
    if hasattr(obj, "get_compile_config"):
        compiled = obj.get_compile_config()
        if compiled is not None:
            node["compile_config"] = compiled
    if _scope.sharing is not None:
        node["shared_object_id"] = id(obj)
    elif isinstance(obj, Layer) and _scope.written is not None:
        _scope.written[id(obj)] = _scope.written.get(id(obj), 0) + 1
        node["shared_object_id"] = id(obj)
    return node


def serialize_config(config: dict[str, Any]) -> dict[str, Any]:
    """A config whose values are JSON-ready; nodes that are serialised already stay."""
    return {k: serialize_keras_object(v) for k, v in config.items()}


# --- back -----------------------------------------------------------------------------------------------------------


def _lookup(class_name: str, registered: Any, module: Any) -> Any:
    for name in (registered, class_name):
        if isinstance(name, str):
            target = get_registered_object(name)
            if target is not None:
                return target
    if isinstance(registered, str) and registered.startswith("berrante>"):
        class_name, registered = registered.split(">", 1)[1], None
    families = _builtins()
    foreign = isinstance(registered, str) and ">" in registered and not registered.startswith("keras")
    order = [f for f in families if isinstance(module, str) and f in module.split(".")] + list(families)
    for family in order:
        if class_name in families[family] or class_name in _dialect.get(family, ()):
            if not any(registered in table for table in families.values()):
                _refuse_other_name(registered, ("class", class_name))
            return _dialect.get(family, {}).get(class_name) or families[family][class_name]
    if not foreign:
        for full, target in _CUSTOM.items():
            if full.split(">")[-1] == class_name:
                return target
    return None


def deserialize_keras_object(config: Any, custom_objects: Any = None, safe_mode: bool = True, depth: int = 0) -> Any:
    """The object of a serialised config. Unknown names are a ValueError; safe_mode cannot be turned off."""
    with custom_object_scope(custom_objects or {}), _outermost(config):
        return _deserialize(config, depth)


@contextmanager
def ObjectSharingScope() -> Iterator[None]:
    """Inside, configs say of every object which it is, and objects of the same identity are made once."""
    outer, _scope.sharing = _scope.sharing, {}
    try:
        yield
    finally:
        _scope.sharing = outer


class WrongType(TypeError, ValueError):
    """A config holds something of another type than it must."""


@contextmanager
def guarded(config: Any) -> Iterator[None]:
    """Around the making of objects from a config: its size is checked, and how many weights it may ask for."""
    with _outermost(config):
        yield


@contextmanager
def _outermost(config: Any) -> Iterator[None]:
    from berrante.graph import variable
    from berrante.saving import guard

    if _scope.read is not None:
        yield
        return
    guard.check_config(config)
    _scope.read = {} if _scope.sharing is None else _scope.sharing
    try:
        if variable.has_budget():
            yield
        else:
            with variable.element_budget(guard.MAX_PARAMETERS, filled_later=False):
                yield
    finally:
        _scope.read = None


_DATA = {
    "__numpy__": lambda inner: _numbers(inner), "__tensor__": lambda inner: _numbers(inner),
    "__ellipsis__": lambda inner: Ellipsis, "__bytes__": lambda inner: inner["value"].encode(),
    "__slice__": lambda inner: slice(*(_deserialize(inner.get(k)) for k in ("start", "stop", "step"))),
    "DTypePolicy": lambda inner: inner["name"], "Policy": lambda inner: inner["name"],
    "DTypePolicyMap": lambda inner: DTypePolicyMap(inner.get("default_policy"), inner.get("policy_map")),
}  # fmt: skip


def _numbers(inner: dict[str, Any]) -> np.ndarray:
    kind = np.dtype(inner["dtype"])
    if kind.kind not in "fiub":
        raise ValueError(f"expected numbers in a config; received dtype {inner['dtype']!r}")
    return np.asarray(inner["value"], kind)


def _deserialize(config: Any, depth: int = 0) -> Any:
    if depth > _MAX_DEPTH:
        raise ValueError(f"the config is nested deeper than {_MAX_DEPTH} levels")
    if isinstance(config, (list, tuple)):
        parts = [_deserialize(x, depth + 1) for x in config]
        return tuple(parts) if type(config) is tuple else parts
    if not isinstance(config, dict):
        return config
    if "class_name" not in config or "config" not in config:
        return {k: _deserialize(v, depth + 1) for k, v in config.items()}
    name = config["class_name"]
    if not isinstance(name, str):
        raise ValueError(f"expected a class name; received {name!r}")
    if get_registered_object(name) is None:  # built in, maybe as Keras 1 or 2 wrote it
        from berrante.saving.legacy_config import migrate

        config = migrate(config)
    name, inner = config["class_name"], config["config"]
    if name in _DATA:
        try:
            return _DATA[name](inner)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{name}: expected its value; received {str(inner)[:80]} ({error!r})") from None
    if name == "function":
        return _function(inner, config.get("registered_name"))
    if name.startswith("__"):
        raise ValueError(f"refused: configs may not hold {name} (code is never read from files)")
    shared = config.get("shared_object_id")
    if shared is not None and _scope.read is not None and isinstance(shared, int) and shared in _scope.read:
        return _scope.read[shared]
    cls = _lookup(name, config.get("registered_name"), config.get("module"))
    if cls is None or not (isinstance(cls, type) or callable(cls)):
        raise ValueError(
            f"unknown class {name!r} (module {config.get('module')!r}): it is not built in; register it with "
            "@register_keras_serializable or pass custom_objects"
        )
    if not isinstance(cls, type):
        return cls
    obj = _make(cls, config, depth)
    if shared is not None and isinstance(shared, int) and _scope.read is not None:
        _scope.read[shared] = obj
    return obj


def _make(cls: Any, config: dict[str, Any], depth: int) -> Any:
    """The instance of a class that the config names. What a damaged config makes constructors raise is a ValueError."""
    name, inner = config["class_name"], config["config"]
    if not isinstance(inner, dict):
        raise WrongType(
            f"{name}: Expected 'config' to be a dict (a config of named values); received {type(inner).__name__}"
        )
    try:
        prepared = _prepare(cls, inner, depth)
        obj = cls.from_config(prepared) if hasattr(cls, "from_config") else cls(**prepared)
        build = config.get("build_config")
        if build and hasattr(obj, "build_from_config") and not getattr(obj, "built", True):
            obj.build_from_config(build)
        if config.get("compile_config") and hasattr(obj, "compile_from_config"):
            obj.compile_from_config(config["compile_config"])
    except (
        KeyError,
        AttributeError,
        IndexError,
        AssertionError,
        OverflowError,
        ZeroDivisionError,
        RecursionError,
    ) as error:
        if _is_users(cls):
            raise
        raise ValueError(f"{name}: the config is damaged ({error!r})") from error
    return obj


def _is_users(cls: type) -> bool:
    return cls.__module__.split(".")[0] != "berrante"


def _prepare(cls: type, config: dict[str, Any], depth: int) -> dict[str, Any]:
    """Nested initialisers, regularisers ... as objects; models, wrappers and user classes with a from_config of their own
    take configs as they are."""
    from berrante.layers import Layer
    from berrante.models import Model

    config = {k: v for k, v in config.items() if k not in ("quantization_config", "lora_rank", "shared_object_id")}
    if "dtype" in config and isinstance(config["dtype"], dict):
        config["dtype"] = _deserialize(config["dtype"], depth + 1)
    own = next((c for c in cls.__mro__ if "from_config" in vars(c)), None)
    if (issubclass(cls, Model) and cls._takes_layers(config)) or (own is not None and _is_users(own)):  # type: ignore[attr-defined]
        return config
    prepared: dict[str, Any] = {}
    for key, value in config.items():
        if issubclass(cls, Layer) and key in ("layer", "function", "backward_layer", "cell") and not _is_users(cls):
            prepared[key] = value  # from_config does it
        elif isinstance(value, (dict, list, tuple)) and _holds_nodes(value):
            prepared[key] = _deserialize(value, depth + 1)
        else:
            prepared[key] = tuple(value) if isinstance(value, list) and key in ("strides", "kernel_size") else value
    return prepared


def _holds_nodes(value: Any) -> bool:
    """Whether a serialised object is somewhere inside."""
    if isinstance(value, dict):
        return ("class_name" in value and "config" in value) or any(_holds_nodes(v) for v in value.values())
    return isinstance(value, (list, tuple)) and any(_holds_nodes(v) for v in value)


def _builtin_functions() -> dict[str, Any]:
    from berrante import activations, losses, metrics

    return {**metrics.FUNCTIONS, **losses.FUNCTIONS, **activations._BY_NAME}


def _is_builtin_function(function: Any, name: str) -> bool:
    return _builtin_functions().get(name) is function


def _refuse_other_name(registered: Any, known: Any) -> None:
    """A built-in object under the registered name of something else is a ValueError: the file means another one."""
    if (
        isinstance(registered, str)
        and registered not in ("", *known)
        and not registered.startswith(("keras", "berrante"))
    ):
        raise ValueError(
            f"refused: registered_name {registered!r} is not registered, and the config resolved to a Keras built-in, "
            f"{known[1]!r}; register it with @register_keras_serializable or pass custom_objects"
        )


def _function(name: Any, registered: Any) -> Any:
    if not isinstance(name, str):
        raise WrongType(f"Expected 'config' to be a non-null str (the unknown function's name); received {name!r}")
    for candidate in (registered, name):
        if isinstance(candidate, str):
            target = get_registered_object(candidate)
            if target is not None:
                return target
    known = _builtin_functions()
    if name in known:
        _refuse_other_name(registered, ("function", name, getattr(known[name], "__name__", name)))
        return known[name]
    for full, target in _CUSTOM.items():
        if full.split(">")[-1] == name:
            return target
    raise ValueError(f"unknown function {name!r}: register it with @register_keras_serializable or pass custom_objects")


def deserialize_named(identifier: Any, what: str) -> Any:
    """A custom object by plain name, or the object of a config."""
    if isinstance(identifier, dict):
        if "class_name" in identifier and "config" not in identifier:
            identifier = {**identifier, "config": {}}
        made = deserialize_keras_object(identifier)
        if isinstance(made, (str, dict)):
            raise ValueError(f"the config of a {what} names no class; received {identifier!r}")
        return made
    if not isinstance(identifier, str):
        raise ValueError(f"expected the name of a {what}; received {identifier!r}")
    target = _scope.objects.get(identifier) or _CUSTOM.get(identifier)
    if target is None:
        for full, registered in _CUSTOM.items():
            if full.split(">")[-1] == identifier:
                target = registered
    if target is None:
        raise ValueError(f"unknown {what} {identifier!r}")
    return target() if isinstance(target, type) else target
