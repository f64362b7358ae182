"""Settings of the process: what keras.config has (the float type, the fuzz factor, the layout of images), and the use of
Winograd's algorithm."""

from __future__ import annotations

from typing import Any

from berrante.graph.passes.winograd import set_winograd as set_winograd
from berrante.graph.passes.winograd import winograd as winograd
from berrante.runtime.precision import matmul_precision as matmul_precision
from berrante.runtime.precision import set_matmul_precision as set_matmul_precision

_values: dict[str, Any] = {"floatx": "float32", "epsilon": 1e-7, "image_data_format": "channels_last"}
_FLOATS = ("float16", "float32", "float64", "bfloat16")
_FORMATS = ("channels_last", "channels_first")


def floatx() -> str:
    """The default float type's name, and with it that of the dtype policy; variables are float32 whatever it says."""
    return str(_values["floatx"])


def set_floatx(value: str) -> None:
    """Sets the name that floatx() gives."""
    if value not in _FLOATS:
        raise ValueError(f"set_floatx: expected {', '.join(_FLOATS)}; received {value!r}")
    _values["floatx"] = str(value)


def epsilon() -> float:
    """The fuzz factor, 1e-7 unless set."""
    return float(_values["epsilon"])


def set_epsilon(value: float) -> None:
    """Sets the number that epsilon() gives."""
    _values["epsilon"] = float(value)


def image_data_format() -> str:
    """channels_last or channels_first: what layers take whose data_format is None."""
    return str(_values["image_data_format"])


def set_image_data_format(data_format: str) -> None:
    """Sets the layout for layers made from now on without a data_format of their own."""
    if data_format not in _FORMATS:
        raise ValueError(f"set_image_data_format: expected {' or '.join(_FORMATS)}; received {data_format!r}")
    _values["image_data_format"] = str(data_format)


def dtype_policy() -> Any:
    """The global dtype policy: that of floatx() unless set."""
    from berrante import dtype_policies

    return dtype_policies.dtype_policy()


def set_dtype_policy(policy: Any) -> None:
    """Sets the dtype policy of layers made from now on; a float32 policy at first."""
    from berrante import dtype_policies

    dtype_policies.set_dtype_policy(policy)
