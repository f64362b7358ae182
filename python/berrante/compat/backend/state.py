"""K's settings and session: float type, image layout, unique names, the learning phase."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from berrante.config import epsilon, floatx, image_data_format, set_epsilon, set_floatx, set_image_data_format
from berrante.graph.keras_tensor import KerasTensor
from berrante.layers.layer import call_context

_uids: Counter[str] = Counter()
_ORDERINGS = {"tf": "channels_last", "th": "channels_first"}


class _Phase:
    """The learning phase: a placeholder until it is set."""

    placeholder = KerasTensor((), "int32", "keras_learning_phase")
    fixed: int | None = None


class Mode:
    """Whether K's random numbers are placeholders that draw anew at each run, as in Keras 2; values at once otherwise."""

    placeholders = False


def backend() -> str:
    """The name that scripts compare: Keras 2's default, or ours under Keras 3."""
    from berrante.compat.alias import installed_version

    return "tensorflow" if installed_version() == 2 else "berrante"


def get_uid(prefix: str = "") -> int:
    """1, 2, ... for each prefix."""
    _uids[prefix] += 1
    return _uids[prefix]


def reset_uids() -> None:
    """Counts from 1 again."""
    _uids.clear()


def clear_session(free_memory: bool = True) -> None:
    """Starts naming anew and forgets cached programs and the learning phase."""
    from berrante.utils import clear_session as clear

    clear()
    reset_uids()
    _Phase.fixed = None


def learning_phase() -> Any:
    """1 or 0 where it is known (set, or inside a layer's call), else a placeholder for K.function."""
    if _Phase.fixed is not None:
        return _Phase.fixed
    if call_context.depth:
        return int(bool(call_context.training))
    return _Phase.placeholder


def set_learning_phase(value: int) -> None:
    """Fixes the phase: 0 testing, 1 training."""
    if value not in (0, 1):
        raise ValueError(f"set_learning_phase: expected 0 or 1; received {value!r}")
    _Phase.fixed = int(value)


class Session:
    """Stands for TensorFlow 1's session; nothing needs one here."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.graph = self

    def run(self, fetches: Any, feed_dict: Any = None) -> Any:
        """The values of tensors, given those of placeholders."""
        from berrante.compat.backend.symbolic import function

        many = isinstance(fetches, (list, tuple))
        feed = dict(feed_dict or {})
        results = function(list(feed), list(fetches) if many else [fetches])(list(feed.values()))
        return results if many else results[0]

    def close(self) -> None:
        """Does nothing."""

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        pass


_session = Session()


@contextmanager
def name_scope(name: str) -> Iterator[None]:
    """Accepted: names here need no scopes."""
    yield


def get_session() -> Session:
    """The one session."""
    return _session


def set_session(session: Any) -> None:
    """Accepted and ignored."""


def _get_available_gpus() -> list[str]:
    """Keras 2's tests ask for it."""
    return []


def manual_variable_initialization(value: bool) -> None:
    """Accepted and ignored: variables have values from the start."""


def cast_to_floatx(x: Any) -> Any:
    """An array (or tensor) of the default float type."""
    if hasattr(x, "spec") or isinstance(x, KerasTensor):
        from berrante import ops

        return ops.cast(x, floatx())
    return np.asarray(x, dtype=floatx() if floatx() != "bfloat16" else "float32")


def normalize_data_format(value: Any) -> str:
    """channels_last or channels_first; None is the setting."""
    value = image_data_format() if value is None else str(value).lower()
    if value not in _ORDERINGS.values():
        raise ValueError(f"data_format: expected channels_last or channels_first; received {value!r}")
    return value


def image_dim_ordering() -> str:
    """Keras 1's name of the image layout: tf or th."""
    return next(k for k, v in _ORDERINGS.items() if v == image_data_format())


def set_image_dim_ordering(dim_ordering: str) -> None:
    """Keras 1's: tf or th."""
    if dim_ordering not in _ORDERINGS:
        raise ValueError(f"set_image_dim_ordering: expected tf or th; received {dim_ordering!r}")
    set_image_data_format(_ORDERINGS[dim_ordering])
