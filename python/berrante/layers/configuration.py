"""Configs of layers and models: what get_config writes, from_config reads, and what copying and pickling go through."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from berrante import activations, dtype_policies
from berrante.graph.variable import Variable


class Configurable:
    """The configuration half of Layer.

    A user's class need not define get_config if its constructor's arguments are plain values: they are kept as they were
    given (as Keras 3 does).
    """

    # Attributes that are constructor arguments of the same name: get_config writes them.
    fields: tuple[str, ...] = ()
    name: str
    built: bool
    activity_regularizer: Any
    _trainable: bool
    _dtype_policy: dtype_policies.DTypePolicy
    _variables: list[Variable]

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        instance = super().__new__(cls)
        if is_users(cls):
            object.__setattr__(instance, "_given", _arguments(cls, args, kwargs))
        return instance

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if inspect.isfunction(vars(cls).get("build")):
            cls.build = _remembering(vars(cls)["build"])  # type: ignore[method-assign]

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, as Keras writes them."""
        config: dict[str, Any] = {"name": self.name, "trainable": self._trainable, "dtype": self._dtype_config()}
        for field in self.fields:
            config[field] = config_value(field, getattr(self, field))
        if self.activity_regularizer is not None and "activity_regularizer" not in config:
            config["activity_regularizer"] = config_value("activity_regularizer", self.activity_regularizer)
        return self._with_given(config)

    def _with_given(self, config: dict[str, Any]) -> dict[str, Any]:
        """Adds the constructor's arguments of a user's class that does not define get_config."""
        given = getattr(self, "_given", None)
        if (
            given is None
            or is_users(definer(type(self), "get_config"))
            or not is_users(definer(type(self), "__init__"))
        ):
            return config
        for key, value in given.items():
            if not _is_plain(value):
                raise NotImplementedError(
                    f"{type(self).__name__} was made with {key}={value!r}, which a config cannot hold: define get_config()"
                )
        parameters = inspect.signature(type(self).__init__).parameters
        if not any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
            config = {k: v for k, v in config.items() if k in parameters}
        return {**config, **{k: v for k, v in given.items() if k not in ("name", "dtype", "trainable")}}

    def _dtype_config(self) -> Any:
        return dtype_policies.serialize(self._dtype_policy)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        return cls(**config)

    def get_build_config(self) -> dict[str, Any] | None:
        """What build was given: one input_shape, or several shapes by argument."""
        shapes = getattr(self, "_build_shapes", None)
        if shapes is None:
            return None
        return {"shapes_dict": dict(shapes)} if isinstance(shapes, ShapesByName) else {"input_shape": shapes}

    def build(self, input_shape: Any) -> None:
        """Makes the weights; subclasses that have any override it."""
        self.built = True

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Builds the layer for the shapes that get_build_config gave."""
        if self.built:
            return
        if config.get("input_shape") is not None:
            self.build(map_shapes(tuple, config["input_shape"]))
            self.built = True
        elif config.get("shapes_dict"):
            shapes = {k: None if v is None else map_shapes(tuple, v) for k, v in config["shapes_dict"].items()}
            known = inspect.signature(self.build).parameters
            if not set(shapes) <= set(known):
                raise ValueError(f"{type(self).__name__}.build: expected {list(known)}; received {list(shapes)}")
            self.build(**shapes)
            self.built = True

    # --- copies -----------------------------------------------------------------------------------------------------

    def __reduce__(self) -> Any:
        from berrante.saving.copying import pack, unpack

        return unpack, pack(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        from berrante.saving.copying import pack, unpack

        copy = unpack(*pack(self))
        memo[id(self)] = copy
        return copy


class ShapesByName(dict[str, Any]):
    """The shapes that a build of several arguments was given, by argument."""


def _remembering(build: Any) -> Any:
    """build, after which a layer counts as built and knows for which shape: also where it is called by hand."""

    @functools.wraps(build)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = build(self, *args, **kwargs)
        if not hasattr(self, "_optimizers"):  # models see to it themselves
            self.built = True
            if getattr(self, "_build_shapes", None) is None and (args or kwargs):
                names = list(inspect.signature(build).parameters)[1:]
                shapes = ShapesByName({**dict(zip(names, args, strict=False)), **kwargs})
                first = next(iter(shapes.values()))
                if first is not None:
                    object.__setattr__(self, "_build_shapes", shapes if len(names) > 1 else first)
        return result

    return wrapped


def is_users(cls: Any) -> bool:
    """Whether a class is defined outside of berrante."""
    return cls is not None and cls.__module__.split(".")[0] not in ("berrante", "builtins")


def definer(cls: type, method: str) -> type | None:
    """The class that defines a method for cls."""
    return next((c for c in cls.__mro__ if method in vars(c)), None)


def _arguments(cls: type, args: Any, kwargs: Any) -> dict[str, Any] | None:
    """The constructor's arguments by name; None where they cannot be told apart."""
    try:
        signature = inspect.signature(cls.__init__)  # type: ignore[misc]
        bound = signature.bind(None, *args, **kwargs)
    except (TypeError, ValueError):
        return None
    bound.apply_defaults()
    given: dict[str, Any] = {}
    for i, (key, value) in enumerate(bound.arguments.items()):
        kind = signature.parameters[key].kind
        if kind is inspect.Parameter.VAR_KEYWORD:
            given.update(value)
        elif kind is inspect.Parameter.VAR_POSITIONAL:
            if value:
                return None
        elif i:
            given[key] = value
    return given


def _is_plain(value: Any) -> bool:
    """Whether a config can hold it."""
    if value is None or isinstance(value, (str, bool, int, float, np.generic, np.ndarray)):
        return True
    if isinstance(value, (list, tuple)):
        return all(_is_plain(v) for v in value)
    if isinstance(value, dict):
        return all(isinstance(k, str) and _is_plain(v) for k, v in value.items())
    return hasattr(value, "get_config")


def map_shapes(function: Callable[[Any], Any], shapes: Any) -> Any:
    """Applies a function to each shape (a sequence of ints and Nones) of a nesting."""
    if isinstance(shapes, dict):
        return {k: map_shapes(function, v) for k, v in shapes.items()}
    if not isinstance(shapes, (list, tuple)):
        raise ValueError(f"expected a shape; received {shapes!r}")
    if all(n is None or isinstance(n, (int, np.integer)) for n in shapes):
        return function(shapes)
    return [map_shapes(function, s) for s in shapes]


def config_value(field: str, value: Any) -> Any:
    """A field as get_config gives it: activations by name, initializers and the like as nodes."""
    if field == "activation":
        return activations.serialize(value)
    if field.endswith(("initializer", "regularizer", "constraint")) and value is not None:
        from berrante.saving.registry import serialize_keras_object

        return serialize_keras_object(value)
    return value
