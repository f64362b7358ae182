"""Objects to configs and back, in Keras 3's node format, by a fixed table of names.

A config names a class; only classes of this table and those that the user registered (or passes as custom objects) are
ever made. Nothing is imported by a name read from a file, and no code is read from files.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

_CUSTOM: dict[str, Any] = {}
_NAMES: dict[Any, str] = {}
_MAX_DEPTH = 64
_MODULES = {
    "layers": "keras.layers", "initializers": "keras.initializers", "regularizers": "keras.regularizers",
    "constraints": "keras.constraints", "losses": "keras.losses", "metrics": "keras.metrics",
    "optimizers": "keras.optimizers", "models": "keras", "berrante": "berrante",
}  # fmt: skip


class _Scope(threading.local):
    def __init__(self) -> None:
        self.objects: dict[str, Any] = {}
        self.live = False


_scope = _Scope()


def get_custom_objects() -> dict[str, Any]:
    """The global registry, to be read or added to."""
    return _CUSTOM


def register_keras_serializable(package: str = "Custom", name: str | None = None) -> Callable[[Any], Any]:
    """A decorator that lets files name a class or function as `package>name`."""

    def register(target: Any) -> Any:
        full = f"{package}>{name or target.__name__}"
        if isinstance(target, type) and not hasattr(target, "get_config"):
            raise ValueError(f"register_keras_serializable: {target.__name__} must define get_config()")
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

        def table(*groups: Any) -> dict[str, Any]:
            return {cls.__name__: cls for group in groups for cls in group}

        _builtin_cache.update(
            layers=table(layers.ALL), initializers=table(initializers.ALL), regularizers=table(regularizers.ALL),
            constraints=table(constraints.ALL), losses=table(losses.ALL), metrics=table(metrics.ALL),
            optimizers=table(optimizers.ALL, schedules.ALL),
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
    if obj is None or isinstance(obj, (str, bool, int, float)):
        return obj
    if isinstance(obj, np.generic):
        return obj.item()
    if isinstance(obj, (list, tuple)):
        return [serialize_keras_object(x) for x in obj]
    if isinstance(obj, dict):
        return {str(k): serialize_keras_object(v) for k, v in obj.items()}
    if isinstance(obj, np.ndarray):
        return {"class_name": "__numpy__", "config": {"value": obj.tolist(), "dtype": str(obj.dtype)}}
    if hasattr(obj, "get_config"):
        return _serialize_instance(obj)
    if callable(obj):
        name = getattr(obj, "__name__", type(obj).__name__)
        registered = _NAMES.get(obj)
        if registered is None and _scope.live:
            return obj
        if registered is None and name == "<lambda>":
            raise ValueError("a lambda cannot be saved; define and register a function or a class instead")
        module = "builtins" if registered is None else getattr(obj, "__module__", "")
        return {"module": module, "class_name": "function", "config": name, "registered_name": registered or name}
    raise ValueError(f"cannot serialise {obj!r}: it has no get_config()")


def _serialize_instance(obj: Any) -> dict[str, Any]:
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
        registered = _NAMES.get(cls) or name
    node = {
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
    return node


def serialize_config(config: dict[str, Any]) -> dict[str, Any]:
    """A config whose values are JSON-ready; nodes that are serialised already stay."""
    return {k: serialize_keras_object(v) for k, v in config.items()}


# --- back -----------------------------------------------------------------------------------------------------------


def _lookup(class_name: str, registered: Any, module: Any) -> Any:
    for name in (registered, class_name):
        if isinstance(name, str):
            if name in _scope.objects:
                return _scope.objects[name]
            if name in _CUSTOM:
                return _CUSTOM[name]
            for full, target in _CUSTOM.items():
                if full.split(">")[-1] == name:
                    return target
    if isinstance(registered, str) and registered.startswith("berrante>"):
        class_name, registered = registered.split(">", 1)[1], None
    if isinstance(registered, str) and ">" in registered and not registered.startswith("keras"):
        return None
    families = _builtins()
    order = [f for f in families if isinstance(module, str) and f in module.split(".")] + list(families)
    for family in order:
        if class_name in _dialect.get(family, ()):
            return _dialect[family][class_name]
        if class_name in families[family]:
            return families[family][class_name]
    return None


def deserialize_keras_object(config: Any, custom_objects: Any = None, safe_mode: bool = True, depth: int = 0) -> Any:
    """The object of a serialised config. Unknown names are a ValueError."""
    if custom_objects:
        with custom_object_scope(custom_objects):
            return deserialize_keras_object(config, depth=depth)
    if depth > _MAX_DEPTH:
        raise ValueError(f"the config is nested deeper than {_MAX_DEPTH} levels")
    if isinstance(config, (list, tuple)):
        return [deserialize_keras_object(x, depth=depth + 1) for x in config]
    if not isinstance(config, dict):
        return config
    if "class_name" not in config or "config" not in config:
        return {k: deserialize_keras_object(v, depth=depth + 1) for k, v in config.items()}
    name, inner = config["class_name"], config["config"]
    if not isinstance(name, str):
        raise ValueError(f"expected a class name; received {name!r}")
    if name == "__numpy__":
        return np.asarray(inner["value"], np.dtype(inner["dtype"]))
    if name == "function":
        return _function(inner, config.get("registered_name"))
    if name == "DTypePolicy":
        return inner["name"]
    if name.startswith("__"):
        raise ValueError(f"refused: configs may not hold {name} (code is never read from files)")
    cls = _lookup(name, config.get("registered_name"), config.get("module"))
    if cls is None or not (isinstance(cls, type) or callable(cls)):
        raise ValueError(
            f"unknown class {name!r} (module {config.get('module')!r}): it is not built in; register it with "
            "@register_keras_serializable or pass custom_objects"
        )
    if not isinstance(cls, type):
        return cls
    if not isinstance(inner, dict):
        raise ValueError(f"{name}: expected a config of named values; received {type(inner).__name__}")
    prepared = _prepare(cls, inner, depth)
    obj = cls.from_config(prepared) if hasattr(cls, "from_config") else cls(**prepared)
    build = config.get("build_config")
    if build and hasattr(obj, "build_from_config") and not getattr(obj, "built", True):
        obj.build_from_config(build)
    if config.get("compile_config") and hasattr(obj, "compile_from_config"):
        obj.compile_from_config(config["compile_config"])
    return obj


def _prepare(cls: type, config: dict[str, Any], depth: int) -> dict[str, Any]:
    """Nested initialisers, regularisers ... as objects; models take their layers' configs as they are."""
    from berrante.layers import Layer
    from berrante.models import Model

    config = {k: v for k, v in config.items() if k not in ("quantization_config", "lora_rank", "shared_object_id")}
    if issubclass(cls, Model):
        return config
    prepared: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, dict) and "class_name" in value and "config" in value:
            if issubclass(cls, Layer) and key in ("layer", "function"):
                prepared[key] = value  # from_config does it
            else:
                prepared[key] = deserialize_keras_object(value, depth=depth + 1)
        else:
            prepared[key] = tuple(value) if isinstance(value, list) and key in ("strides", "kernel_size") else value
    return prepared


def _function(name: Any, registered: Any) -> Any:
    from berrante import activations, losses, metrics

    for candidate in (registered, name):
        if isinstance(candidate, str):
            target = _scope.objects.get(candidate) or _CUSTOM.get(candidate)
            if target is not None:
                return target
    if isinstance(name, str):
        if name in activations._BY_NAME:
            return activations._BY_NAME[name]
        if name in losses.FUNCTIONS:
            return losses.FUNCTIONS[name]
        if name in metrics.FUNCTIONS:
            return metrics.FUNCTIONS[name]
    raise ValueError(f"unknown function {name!r}: register it with @register_keras_serializable or pass custom_objects")


def deserialize_named(identifier: Any, what: str) -> Any:
    """A custom object by plain name, or the object of a config."""
    if isinstance(identifier, dict):
        if "class_name" in identifier and "config" not in identifier:
            identifier = {**identifier, "config": {}}
        return deserialize_keras_object(identifier)
    target = _scope.objects.get(identifier) or _CUSTOM.get(identifier)
    if target is None:
        for full, registered in _CUSTOM.items():
            if full.split(">")[-1] == identifier:
                target = registered
    if target is None:
        raise ValueError(f"unknown {what} {identifier!r}")
    return target() if isinstance(target, type) else target
