"""keras.utils of Keras 2 and its modules (np_utils, generic_utils, conv_utils, io_utils, layer_utils, vis_utils)."""

from __future__ import annotations

import inspect
import types
from typing import Any

import h5py
import numpy as np

from berrante.compat.keras2.enqueuers import GeneratorEnqueuer, OrderedEnqueuer, SequenceEnqueuer
from berrante.compat.keras2.h5dict import H5Dict, h5dict
from berrante.graph.keras_tensor import KerasTensor
from berrante.graph.tape import flatten
from berrante.layers.input import InputLayer
from berrante.saving.registry import custom_object_scope as _scope
from berrante.saving.registry import get_custom_objects
from berrante.utils import normalize, plot_model
from berrante.utils.files import hash_file as _hash_file
from berrante.utils.files import validate_file
from berrante.utils.progbar import Progbar


def to_categorical(y: Any, num_classes: int | None = None, dtype: Any = "float32") -> np.ndarray:
    """One-hot rows of integer classes; a last dimension of 1 is dropped."""
    from berrante.utils import to_categorical as today

    return today(y, num_classes).astype(dtype)


def custom_object_scope(*objects: Any) -> Any:
    """Inside, configs may name these objects: dicts of name and object."""
    return _scope({k: v for mapping in objects for k, v in mapping.items()})


CustomObjectScope = custom_object_scope


# --- generic_utils --------------------------------------------------------------------------------------------------


def has_arg(fn: Any, name: str, accept_all: bool = False) -> bool:
    """Whether a callable takes a keyword of this name (or any, by **kwargs)."""
    parameters = inspect.signature(fn).parameters
    if accept_all and any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return True
    found = parameters.get(name)
    return found is not None and found.kind in (found.POSITIONAL_OR_KEYWORD, found.KEYWORD_ONLY)


def to_list(x: Any, allow_tuple: bool = False) -> list[Any]:
    """A list as it is, anything else as its only element."""
    if isinstance(x, list):
        return x
    return list(x) if allow_tuple and isinstance(x, tuple) else [x]


def unpack_singleton(x: Any) -> Any:
    """The only element of a list, or the list."""
    return x[0] if len(x) == 1 else x


def object_list_uid(object_list: Any) -> str:
    """A text that tells lists of objects apart."""
    return ", ".join(str(abs(id(x))) for x in to_list(object_list))


def is_all_none(iterable_or_element: Any) -> bool:
    """Whether nothing but None is there."""
    return all(x is None for x in to_list(iterable_or_element, allow_tuple=True))


def slice_arrays(arrays: Any, start: Any = None, stop: Any = None) -> Any:
    """Rows of an array, or of each array of a list: a range, or positions."""
    if arrays is None:
        return [None]
    if isinstance(start, list) and stop is not None:
        raise ValueError("The stop argument has to be None if the value of start is a list.")
    chosen: Any = slice(start, stop)
    if hasattr(start, "__len__"):
        chosen = start.tolist() if hasattr(start, "tolist") else start
    if isinstance(arrays, list):
        return [None if x is None else x[chosen] for x in arrays]
    if hasattr(start, "__len__"):
        return arrays[chosen]
    return arrays[start:stop] if hasattr(start, "__getitem__") or hasattr(arrays, "__getitem__") else [None]


def func_dump(func: Any) -> tuple[Any, Any, Any]:
    """The function itself (never its code as text or bytes), its defaults and what its closure holds."""
    closure = tuple(c.cell_contents for c in func.__closure__) if func.__closure__ else None
    return func, func.__defaults__, closure


def func_load(code: Any, defaults: Any = None, closure: Any = None, globs: Any = None) -> Any:
    """The function that func_dump gave, in this process; ValueError for anything else: serialised code is never run."""
    if isinstance(code, (tuple, list)):
        code, defaults, closure = code
    if callable(code):
        if closure is None and defaults is None:
            return code
        cells = None
        if closure is not None:
            cells = tuple(c if isinstance(c, types.CellType) else types.CellType(c) for c in closure)
        made = types.FunctionType(code.__code__, globs or code.__globals__, code.__name__, defaults, cells)
        return made
    raise ValueError("func_load: refused to make a function from serialised code; register it and load it by name")


def transpose_shape(shape: Any, target_format: str, spatial_axes: Any) -> tuple[Any, ...]:
    """A channels_first shape in the target format."""
    if target_format == "channels_first":
        return tuple(shape[: spatial_axes[0]]) + (shape[-1],) + tuple(shape[i] for i in spatial_axes)
    if target_format == "channels_last":
        return tuple(shape)
    raise ValueError(f'The `data_format` argument must be one of "channels_first", "channels_last". Received: {shape}')


# --- conv_utils -----------------------------------------------------------------------------------------------------


def convert_kernel(kernel: np.ndarray) -> np.ndarray:
    """A kernel between Theano's convolution and TensorFlow's: turned by half a circle."""
    kernel = np.asarray(kernel)
    if not 3 <= kernel.ndim <= 5:
        raise ValueError(f"Invalid kernel shape: {kernel.shape}")
    turned = tuple(slice(None, None, -1) if i < kernel.ndim - 2 else slice(None) for i in range(kernel.ndim))
    return np.copy(kernel[turned])


def normalize_tuple(value: Any, n: int, name: str) -> tuple[int, ...]:
    """An int n times, or n ints."""
    if isinstance(value, int):
        return (value,) * n
    try:
        values = tuple(int(v) for v in value)
    except (TypeError, ValueError):
        values = ()
    if len(values) != n:
        raise ValueError(f"The `{name}` argument must be a tuple of {n} integers. Received: {value}")
    return values


def normalize_padding(value: str) -> str:
    """valid, same, causal or full, in lower case."""
    if value.lower() not in ("valid", "same", "causal", "full"):
        raise ValueError(f'The `padding` argument must be one of "valid", "same" (or "causal"). Received: {value}')
    return value.lower()


def conv_output_length(input_length: Any, filter_size: int, padding: str, stride: int, dilation: int = 1) -> Any:
    """How many places a window takes along a dimension."""
    if input_length is None:
        return None
    if padding not in ("same", "valid", "full", "causal"):
        raise AssertionError(f"padding: expected same, valid, full or causal; received {padding!r}")
    window = (filter_size - 1) * dilation + 1
    n = {"same": input_length, "causal": input_length, "full": input_length + window - 1}.get(
        padding, input_length - window + 1
    )
    return (n + stride - 1) // stride


def conv_input_length(output_length: Any, filter_size: int, padding: str, stride: int) -> Any:
    """The length that gives this many places."""
    if output_length is None:
        return None
    if padding not in ("same", "valid", "full"):
        raise AssertionError(f"padding: expected same, valid or full; received {padding!r}")
    pad = {"same": filter_size // 2, "valid": 0, "full": filter_size - 1}[padding]
    return (output_length - 1) * stride - 2 * pad + filter_size


def deconv_length(
    dim_size: Any, stride_size: int, kernel_size: int, padding: str, output_padding: Any, dilation: int = 1
) -> Any:
    """The length that a transposed convolution gives."""
    if dim_size is None:
        return None
    window = kernel_size + (kernel_size - 1) * (dilation - 1)
    if output_padding is None:
        extra = {"valid": max(window - stride_size, 0), "full": -(stride_size + window - 2)}.get(padding, 0)
        return dim_size * stride_size + extra
    pad = {"same": window // 2, "valid": 0, "full": window - 1}[padding]
    return (dim_size - 1) * stride_size + window - 2 * pad + output_padding


# --- io_utils -------------------------------------------------------------------------------------------------------


class HDF5Matrix:
    """Rows of a data set of an HDF5 file, read as they are asked for; optionally a range, and normalised."""

    refs: dict[str, h5py.File] = {}

    def __init__(
        self, datapath: str, dataset: str, start: int = 0, end: int | None = None, normalizer: Any = None
    ) -> None:
        file = self.refs.get(datapath)
        if file is None or not file:
            file = self.refs[datapath] = h5py.File(datapath, "r")
        self.data = file[dataset]
        self.start = start
        self.end = self.data.shape[0] if end is None else end
        self.normalizer = normalizer

    def __len__(self) -> int:
        return int(self.end - self.start)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            start, stop = key.start or 0, len(self) if key.stop is None else key.stop
            if stop + self.start > self.end:
                raise IndexError(f"rows {start} to {stop} are outside the {len(self)} rows")
            rows: Any = slice(start + self.start, stop + self.start)
        elif isinstance(key, (int, np.integer)):
            if key + self.start >= self.end:
                raise IndexError(f"row {key} is outside the {len(self)} rows")
            rows = key + self.start
        elif key is None:
            raise TypeError("expected a row, a range or positions; received None")
        else:
            places = np.asarray(key)
            if places.size and places.max() + self.start >= self.end:
                raise IndexError(f"row {places.max()} is outside the {len(self)} rows")
            values = np.stack([self.data[int(i) + self.start] for i in places])
            return values if self.normalizer is None else self.normalizer(values)
        values = self.data[rows]
        return values if self.normalizer is None else self.normalizer(values)

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return np.asarray(self[0 : len(self)], dtype=dtype)

    def _sample(self) -> Any:
        rows = self.data[self.start : self.start + 1]
        return rows if self.normalizer is None else self.normalizer(rows)

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self), *self._sample().shape[1:])

    @property
    def dtype(self) -> Any:
        return self._sample().dtype

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return int(np.prod(self.shape))


def ask_to_proceed_with_overwrite(filepath: Any) -> bool:
    """Asks whether a file may be replaced."""
    answer = input(f"[WARNING] {filepath} already exists - overwrite? [y/n]").strip().lower()
    while answer not in ("y", "n"):
        answer = input('Enter "y" (overwrite) or "n" (cancel).').strip().lower()
    if answer == "y":
        print("[TIP] Next time specify overwrite=True!")
    return answer == "y"


# --- layer_utils ----------------------------------------------------------------------------------------------------


def get_source_inputs(tensor: Any, layer: Any = None, node_index: Any = None) -> list[Any]:
    """The Inputs that a tensor comes from."""
    found: dict[int, KerasTensor] = {}
    waiting, seen = [tensor], set()
    while waiting:
        t = waiting.pop()
        if id(t) in seen:
            continue
        seen.add(id(t))
        if t.node is None or isinstance(t.node.operation, InputLayer):
            found[id(t)] = t
        else:
            waiting.extend(reversed(t.node.inputs))
    return list(found.values())


def print_summary(model: Any, line_length: Any = None, positions: Any = None, print_fn: Any = None) -> None:
    """Prints the layers, their output shapes and parameters."""
    from berrante.utils.summary import print_summary as show

    show(model, **{k: v for k, v in (("line_length", line_length), ("print_fn", print_fn)) if v is not None})


def count_params(weights: Any) -> int:
    """The number of elements of weights, each counted once."""
    return int(sum(np.prod(w.shape, dtype=np.int64) for w in {id(w): w for w in weights}.values()))


def convert_all_kernels_in_model(model: Any) -> None:
    """Turns every convolution's kernel by half a circle (between Theano and TensorFlow)."""
    for layer in model.layers:
        if "Conv" in type(layer).__name__ and getattr(layer, "weights", None):
            kernel = layer.weights[0]
            kernel.assign(convert_kernel(kernel.numpy()))


def convert_dense_weights_data_format(
    dense: Any, previous_feature_map_shape: Any, target_data_format: str = "channels_first"
) -> None:
    """Reorders a Dense layer's rows for flattened images of the other layout."""
    kernel, bias = dense.get_weights()
    for i in range(kernel.shape[1]):
        if target_data_format == "channels_first":
            c, h, w = previous_feature_map_shape
            kernel[:, i] = np.transpose(kernel[:, i].reshape(h, w, c), (2, 0, 1)).ravel()
        else:
            h, w, c = previous_feature_map_shape
            kernel[:, i] = np.transpose(kernel[:, i].reshape(c, h, w), (1, 2, 0)).ravel()
    dense.set_weights([kernel, bias])


def multi_gpu_model(model: Any, gpus: Any = None, **kwargs: Any) -> Any:
    """The model itself: berrante spreads work over one machine's cores (or one GPU) by itself."""
    return model


def model_to_dot(*args: Any, **kwargs: Any) -> Any:
    """Needs graphviz, which berrante does not use; plot_model draws without it."""
    raise NotImplementedError("model_to_dot needs pydot; plot_model(model, to_file) draws the model without it")


# --- test_utils -----------------------------------------------------------------------------------------------------


def get_test_data(
    num_train: int = 1000, num_test: int = 500, input_shape: Any = (10,), output_shape: Any = (2,),
    classification: bool = True, num_classes: int = 2,
) -> Any:  # fmt: skip
    """Easy random data for a test: ((x_train, y_train), (x_test, y_test))."""
    n = num_train + num_test
    if classification:
        y: Any = np.random.randint(0, num_classes, (n,))
        x = np.zeros((n, *input_shape), np.float32)
        x += y.reshape((n,) + (1,) * len(input_shape)) + np.random.normal(0, 0.7, (n, *input_shape))
    else:
        level = np.random.random((n,))
        x = level.reshape((n,) + (1,) * len(input_shape)) + np.random.normal(0, 0.7, (n, *input_shape))
        y = level.reshape((n,) + (1,) * len(output_shape)) + np.random.normal(0, 0.7, (n, *output_shape))
    return (x[:num_train], y[:num_train]), (x[num_train:], y[num_train:])


__all__ = [
    "CustomObjectScope", "HDF5Matrix", "Progbar", "convert_kernel", "custom_object_scope", "flatten",
    "get_custom_objects", "get_source_inputs", "multi_gpu_model", "normalize", "plot_model", "to_categorical",
]  # fmt: skip
