"""What Keras 3 has beside berrante's own modules: its version, and the names of keras.backend and keras.config."""

from __future__ import annotations

from typing import Any

import numpy as np

from berrante import ops
from berrante.compat.backend.state import backend, clear_session, get_uid
from berrante.compat.backend.symbolic import is_keras_tensor, is_tensor
from berrante.config import epsilon, floatx, image_data_format, set_epsilon, set_floatx, set_image_data_format
from berrante.dtype_policies import dtype_policy, set_dtype_policy
from berrante.graph.keras_tensor import KerasTensor, infer_outputs
from berrante.graph.scopes import StatelessScope, current_path, get_stateless_scope, in_stateless_scope, name_scope
from berrante.graph.tensor import standard_dtype
from berrante.graph.variable import Variable
from berrante.layers.masking import get_mask as get_keras_mask
from berrante.layers.masking import set_mask as set_keras_mask
from berrante.ops import cast, cond, convert_to_numpy, convert_to_tensor, vectorized_map
from berrante.ops import shape as shape
from berrante.random import SeedGenerator

__version__ = "3.15.1"
SUPPORTS_SPARSE_TENSORS = SUPPORTS_RAGGED_TENSORS = SUPPORTS_COMPLEX_DTYPES = IS_THREAD_SAFE = False
_traceback_filtering = True


# Keras' dtypes. All are accepted; those that are not berrante's own are taken as the nearest that is.
INT_TYPES = ("uint8", "uint16", "uint32", "int8", "int16", "int32", "int64")
FLOAT_TYPES = ("bfloat16", "float16", "float32", "float64")
FLOAT8_TYPES = ("float8_e4m3fn", "float8_e5m2")
COMPLEX_TYPES = ("complex64", "complex128")
ALLOWED_DTYPES = {"bool", "string", *INT_TYPES, *FLOAT_TYPES, *FLOAT8_TYPES, *COMPLEX_TYPES}


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


def compute_output_spec(function: Any, *args: Any, **kwargs: Any) -> Any:
    """The placeholders that a function of tensors gives for placeholders, without values."""
    return infer_outputs(function, args, kwargs)


def standardize_shape(shape: Any) -> tuple[int | None, ...]:
    """A shape as a tuple of ints and Nones; ValueError for what is none."""
    if not isinstance(shape, (list, tuple)):
        if shape is None:
            raise ValueError("Undefined shapes are not supported.")
        if not hasattr(shape, "__iter__"):
            raise ValueError(f"Cannot convert '{shape}' to a shape.")
    for n in shape:
        if n is not None and (isinstance(n, bool) or not isinstance(n, (int, np.integer))):
            raise ValueError(f"Cannot convert '{shape}' to a shape. Found invalid dimension '{n}' of type '{type(n)}'.")
        if n is not None and n < 0:
            raise ValueError(f"Cannot convert '{shape}' to a shape. Negative dimensions are not allowed.")
    return tuple(None if n is None else int(n) for n in shape)


def random_seed_dtype() -> str:
    """The dtype of seeds."""
    return "int32"


class AutocastScope:
    """Keras casts variables inside to a float type; here all are float32, and nothing changes."""

    def __init__(self, dtype: Any = None) -> None:
        self.dtype = None if dtype is None else standardize_dtype(dtype)
        if self.dtype is not None and not is_float_dtype(self.dtype):
            raise ValueError(
                "`AutocastScope` can only be used with a floating-point dtype, such as 'float16'. Received: "
                f"dtype={self.dtype}"
            )

    def __enter__(self) -> AutocastScope:
        return self

    def __exit__(self, *_: object) -> None:
        pass
