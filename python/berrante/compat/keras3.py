"""What Keras 3 has beside berrante's own modules: its version, and the names of keras.backend and keras.config."""

from __future__ import annotations

from typing import Any

import numpy as np

from berrante import ops
from berrante.compat.backend.state import backend, clear_session, get_uid
from berrante.compat.backend.symbolic import is_keras_tensor, is_tensor
from berrante.config import epsilon, floatx, image_data_format, set_epsilon, set_floatx, set_image_data_format
from berrante.dtype_policies import dtype_policy, set_dtype_policy
from berrante.graph.keras_tensor import KerasTensor
from berrante.graph.tensor import standard_dtype
from berrante.graph.variable import Variable
from berrante.layers.masking import get_mask as get_keras_mask
from berrante.layers.masking import set_mask as set_keras_mask
from berrante.ops import cast, cond, convert_to_numpy, convert_to_tensor, shape, vectorized_map
from berrante.random import SeedGenerator

__version__ = "3.15.1"
SUPPORTS_SPARSE_TENSORS = SUPPORTS_RAGGED_TENSORS = SUPPORTS_COMPLEX_DTYPES = IS_THREAD_SAFE = False
_traceback_filtering = True


def version() -> str:
    """The version of Keras that berrante stands for."""
    return __version__


def standardize_dtype(dtype: Any) -> str:
    """The name of a dtype; ValueError for what is none."""
    if dtype is None:
        return floatx()
    name = getattr(dtype, "name", dtype)
    if isinstance(name, str) and name in ("bfloat16", "string"):
        return name
    try:
        return "int64" if dtype is int else str(np.dtype(dtype).name)
    except TypeError:
        raise ValueError(f"Invalid dtype: {dtype}") from None


def is_float_dtype(dtype: Any) -> bool:
    """Whether a dtype holds real numbers."""
    return "float" in standardize_dtype(dtype)


def is_int_dtype(dtype: Any) -> bool:
    """Whether a dtype holds whole numbers."""
    return "int" in standardize_dtype(dtype)


def result_type(*dtypes: Any) -> str:
    """The dtype of an operation on these."""
    return standard_dtype(np.result_type(*(standard_dtype(getattr(d, "dtype", d)) for d in dtypes)))


def device(name: Any) -> Any:
    """A context that changes nothing: berrante chooses devices itself."""
    from contextlib import nullcontext

    return nullcontext()


def in_symbolic_scope() -> bool:
    """Whether a program is being traced: tensors have shapes, but no values yet."""
    from berrante.graph import trace

    return trace.current() is not None


def enable_traceback_filtering() -> None:
    """Accepted; tracebacks are whole."""
    global _traceback_filtering
    _traceback_filtering = True


def disable_traceback_filtering() -> None:
    """Accepted; tracebacks are whole."""
    global _traceback_filtering
    _traceback_filtering = False


def is_traceback_filtering_enabled() -> bool:
    """What was set last."""
    return _traceback_filtering


def enable_interactive_logging() -> None:
    """Accepted: logging is interactive."""


def disable_interactive_logging() -> None:
    """Accepted and ignored."""


def is_interactive_logging_enabled() -> bool:
    """True."""
    return True


global_policy, set_global_policy = dtype_policy, set_dtype_policy


def enable_unsafe_deserialization() -> None:
    """Refused: nothing may turn the guards of files off."""
    raise ValueError("enable_unsafe_deserialization: berrante never runs code from files; register classes instead")


def enable_flash_attention() -> None:
    """Accepted: it asks for a faster way where there is one, and attention has only the plain way here."""


def disable_flash_attention() -> None:
    """Nothing to do: there is none."""


def is_flash_attention_enabled() -> bool:
    """False."""
    return False


def removesuffix(text: str, suffix: str) -> str:
    """The text without an ending (keras.src.utils has it)."""
    return text.removesuffix(suffix)


def name_scope(name: str, **_: Any) -> Any:
    """A context that changes nothing: names of variables come from their layers."""
    from contextlib import nullcontext

    return nullcontext()
