"""tensorflow.compat.v1: the session names that scripts for Keras on TensorFlow 1 mention."""

from __future__ import annotations

from typing import Any

from berrante.compat.backend.state import Session, get_session
from berrante.compat.tensorflow.random import set_seed as set_random_seed


class ConfigProto:
    """Takes any setting and ignores it."""

    def __init__(self, **settings: Any) -> None:
        self.gpu_options = GPUOptions()
        self.__dict__.update(settings)


class GPUOptions:
    """Takes any setting and ignores it."""

    def __init__(self, **settings: Any) -> None:
        self.__dict__.update(settings)


def placeholder(dtype: Any, shape: Any = None, name: str | None = None) -> Any:
    """A value that comes later."""
    from berrante.compat.backend.symbolic import placeholder as made

    return made(shape, dtype=dtype, name=name)


def global_variables_initializer() -> None:
    """Variables have values from the start."""


def get_default_graph() -> Session:
    """Something to enter as a context."""
    session = get_session()
    session.as_default = lambda: session  # type: ignore[attr-defined]
    return session


def disable_eager_execution() -> None:
    """Accepted and ignored."""


disable_v2_behavior = enable_eager_execution = disable_eager_execution
