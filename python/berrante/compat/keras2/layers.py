"""keras.layers of Keras 2: every layer of berrante as a Keras 2 layer, and those that differ written out."""

from __future__ import annotations

from typing import Any

import numpy as np

from berrante import layers as core
from berrante import ops
from berrante.compat.backend.state import get_uid
from berrante.compat.keras2.dense import Highway, MaxoutDense  # noqa: F401
from berrante.compat.keras2.layer import Layer, frozen
from berrante.compat.keras2.memory import for_memory
from berrante.compat.keras2.wrappers import TimeDistributed  # noqa: F401
from berrante.graph.keras_tensor import KerasTensor
from berrante.layers import InputSpec


class InputLayer(Layer, core.InputLayer):
    """Where a model begins."""

    def __init__(
        self, input_shape: Any = None, batch_size: Any = None, batch_input_shape: Any = None, dtype: Any = None,
        input_tensor: Any = None, sparse: bool = False, name: str | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        shape = kwargs.pop("shape", None)
        batch_shape = kwargs.pop("batch_shape", batch_input_shape)
        if input_tensor is not None and batch_shape is None and input_shape is None:
            batch_shape = tuple(input_tensor.shape)
        name = name or f"input_{get_uid('input')}"
        super().__init__(
            shape=input_shape if shape is None else shape, batch_size=batch_size, batch_shape=batch_shape, dtype=dtype,
            name=name, **kwargs,
        )  # fmt: skip
        if isinstance(input_tensor, KerasTensor):
            self._nodes[0].structure = input_tensor
            self._nodes[0].outputs = [input_tensor]
            if input_tensor.node is None:
                input_tensor.node, input_tensor.index = self._nodes[0], 0
        elif input_tensor is not None:
            self.output._fed = input_tensor  # compat.keras2.fed


def Input(
    shape: Any = None, batch_shape: Any = None, name: str | None = None, dtype: Any = None, sparse: bool = False,
    tensor: Any = None, **kwargs: Any,
) -> Any:  # fmt: skip
    """A placeholder of a shape without the batch (or of a whole batch_shape)."""
    if batch_shape is None and tensor is None and shape is None and "batch_size" not in kwargs:
        raise ValueError("Input: expected shape or batch_shape; received neither")
    return InputLayer(
        shape=shape, batch_shape=batch_shape, name=name, dtype=dtype, input_tensor=tensor, **kwargs
    ).output


class BatchNormalization(Layer, core.BatchNormalization):
    """Normalises by the batch in training, trainable or not; the moving variance is nearly the unbiased one."""

    def __init__(self, axis: Any = -1, *args: Any, **kwargs: Any) -> None:
        for gone in ("mode", "renorm", "fused"):  # Keras 1 and TensorFlow
            kwargs.pop(gone, None)
        super().__init__(axis[0] if isinstance(axis, (list, tuple)) else axis, *args, **kwargs)

    def call(self, inputs: Any, training: bool = False, mask: Any = None) -> Any:
        if not training:
            return core.BatchNormalization.call(self, inputs, False)
        axis = self.axis % len(inputs.shape)
        axes = [i for i in range(len(inputs.shape)) if i != axis]
        mean, variance = ops.moments(inputs, axes)
        if self._trainable and not frozen.depth:
            self._move(mean, variance, axes, inputs.shape)
        return ops.batch_normalization(inputs, mean, variance, self.axis, self.beta, self.gamma, self.epsilon)

    @property
    def updates(self) -> list[Any]:
        """The moving averages, unless frozen or only ever called with training=False."""
        calls = [node for node in self._nodes if node.kwargs.get("training") is not False]
        return self._moving() if self._trainable and calls else []

    def _moving(self) -> list[Any]:
        return [self.moving_mean, self.moving_variance]

    def _move(self, mean: Any, variance: Any, axes: list[int], shape: Any) -> None:
        """The moving averages; Keras 2 leaves those of frozen layers and models alone."""
        n = float(np.prod([shape[i] for i in axes]))
        unbiased = ops.multiply(variance, n / max(n - (1.0 + self.epsilon), self.epsilon))
        for moving, new in ((self.moving_mean, mean), (self.moving_variance, unbiased)):
            change = ops.multiply(ops.subtract(moving.value, ops.stop_gradient(new)), 1.0 - self.momentum)
            moving.assign(ops.subtract(moving.value, change))


def _legacy_bilinear(n: int, factor: int) -> np.ndarray:
    """The matrix [n * factor, n] of linear interpolation without half-pixel centres."""
    at = np.arange(n * factor) / factor
    low = np.floor(at).astype(int)
    matrix = np.zeros((n * factor, n), np.float32)
    rows = np.arange(n * factor)
    np.add.at(matrix, (rows, low), 1.0 - (at - low))
    np.add.at(matrix, (rows, np.minimum(low + 1, n - 1)), at - low)
    return matrix


class UpSampling2D(Layer, core.UpSampling2D):
    """Repeats rows and columns, or interpolates as TensorFlow 1 did."""

    def call(self, inputs: Any) -> Any:
        if self.interpolation != "bilinear":
            return core.UpSampling2D.call(self, inputs)
        first = self.data_format == "channels_first"
        x = ops.moveaxis(inputs, 1, -1) if first else inputs
        rows, columns = (_legacy_bilinear(x.shape[i + 1], self.size[i]) for i in (0, 1))
        x = ops.tensordot(x, rows.T, [[1], [0]])  # [N, W, C, H']
        y = ops.transpose(ops.tensordot(x, columns.T, [[1], [0]]), (0, 2, 3, 1))  # [N, C, H', W'] -> [N, H', W', C]
        return ops.moveaxis(y, -1, 1) if first else y


class LeakyReLU(Layer, core.LeakyReLU):
    """x above 0, else alpha * x; Keras 2 took any alpha."""

    def __init__(self, alpha: float = 0.3, **kwargs: Any) -> None:
        super().__init__(negative_slope=0.3, **kwargs)
        self.negative_slope = float(alpha)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config["alpha"] = config.pop("negative_slope")
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        config = dict(config)
        if "negative_slope" in config:
            config["alpha"] = config.pop("negative_slope")
        return cls(**config)


class Embedding(Layer, core.Embedding):
    """Rows of a table."""

    def __init__(self, input_dim: int, output_dim: int, *args: Any, **kwargs: Any) -> None:
        kwargs.pop("dropout", None)  # Keras 1
        shape, length = kwargs.get("input_shape"), kwargs.get("input_length")
        if shape is not None and length is not None:
            lengths = (length,) if isinstance(length, int) else tuple(length)
            if len(lengths) != len(shape) or any(a is not None and a != b for a, b in zip(lengths, shape)):
                raise ValueError(f"Embedding: input_length={length} does not fit input_shape={shape}")
            kwargs.pop("input_length")
        elif isinstance(length, (list, tuple)):
            kwargs["input_shape"] = tuple(kwargs.pop("input_length"))
        super().__init__(input_dim, output_dim, *args, **kwargs)


class Lambda(Layer, core.Lambda):
    """A Python function as a layer."""

    def __init__(
        self, function: Any, output_shape: Any = None, mask: Any = None, arguments: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(function, output_shape, mask, arguments, **kwargs)

    def get_config(self) -> dict[str, Any]:
        with for_memory():
            return super().get_config()

    def _depends_on_training(self) -> bool:
        import inspect

        return "training" in inspect.signature(self.function).parameters


class _Conv2DArguments:
    """Keras 1's Conv2D(filters, rows, columns) and nb_row=, nb_col=."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if len(args) >= 3 and isinstance(args[1], int) and isinstance(args[2], int):
            args = (args[0], (args[1], args[2]), *args[3:])
        elif len(args) == 2 and "nb_col" in kwargs:
            args = (args[0], (args[1], kwargs.pop("nb_col")))
        elif "nb_row" in kwargs and "nb_col" in kwargs:
            kwargs["kernel_size"] = (kwargs.pop("nb_row"), kwargs.pop("nb_col"))
        kwargs.pop("output_shape", None)  # Keras 1's Deconvolution2D
        if (
            type(self).__name__ == "Conv2DTranspose"
            and len(args) > 2
            and isinstance(args[2], tuple)
            and len(args[2]) > 2
        ):
            args = (*args[:2], *args[3:])
        if "atrous_rate" in kwargs:
            kwargs["dilation_rate"] = kwargs.pop("atrous_rate")
        super().__init__(*args, **kwargs)


class Conv2D(_Conv2DArguments, Layer, core.Conv2D):  # type: ignore[misc]
    """[N, H, W, C] -> [N, H', W', filters]."""


class Conv2DTranspose(_Conv2DArguments, Layer, core.Conv2DTranspose):  # type: ignore[misc]
    """The transposed convolution."""


class SeparableConv2D(_Conv2DArguments, Layer, core.SeparableConv2D):  # type: ignore[misc]
    """A depthwise convolution, then a pointwise one."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "init" in kwargs:
            kwargs["depthwise_initializer"] = kwargs["pointwise_initializer"] = kwargs.pop("init")
        super().__init__(*args, **kwargs)


class Conv1D(Layer, core.Conv1D):
    """[N, L, C] -> [N, L', filters]."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "input_dim" in kwargs:
            kwargs["input_shape"] = (kwargs.pop("input_length", None), kwargs.pop("input_dim"))
        if "atrous_rate" in kwargs:
            kwargs["dilation_rate"] = kwargs.pop("atrous_rate")
        super().__init__(*args, **kwargs)


class ZeroPadding2D(Layer, core.ZeroPadding2D):
    """Zeros around images; Keras 1 named the sides in a dict."""

    def __init__(self, padding: Any = (1, 1), *args: Any, **kwargs: Any) -> None:
        if isinstance(padding, dict):
            sides = [padding.get(f"{side}_pad", 0) for side in ("top", "bottom", "left", "right")]
            padding = (tuple(sides[:2]), tuple(sides[2:]))
        super().__init__(padding, *args, **kwargs)


class Dropout(Layer, core.Dropout):
    """Zeroes a share of the inputs in training; Keras 2 brought any rate into [0, 1]."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        rate = args[0] if args else kwargs.pop("rate", None) if "rate" in kwargs else kwargs.pop("p", None)
        if rate is None:
            raise TypeError("Dropout: expected rate")
        super().__init__(min(1.0, max(0.0, rate)), *args[1:], **kwargs)


class Dot(Layer, core.Dot):
    """Products of two inputs' vectors along axes."""

    def __init__(self, axes: Any, normalize: bool = False, **kwargs: Any) -> None:
        super().__init__(axes=axes, normalize=normalize, **kwargs)


class _Merge:
    """Keras 2's merges take two inputs at least (subtract exactly two)."""

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(inputs, (list, tuple)) or len(inputs) < 2:
            raise ValueError(f"A merge layer should be called on a list of at least 2 inputs. Got {inputs}")
        return super().__call__(inputs, *args, **kwargs)  # type: ignore[misc]

    def build(self, input_shape: Any) -> None:
        if not isinstance(input_shape, list) or len(input_shape) < 2:
            raise ValueError(f"A merge layer should be called on a list of at least 2 inputs. Got {input_shape}")
        if type(self).__name__ == "Subtract" and len(input_shape) != 2:
            raise ValueError(f"A `Subtract` layer should be called on exactly 2 inputs. Got {len(input_shape)}")
        super().build(input_shape)  # type: ignore[misc]

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        if mask is not None:
            if not isinstance(mask, list):
                raise ValueError("`mask` should be a list.")
            if not isinstance(inputs, list):
                raise ValueError("`inputs` should be a list.")
            if len(mask) != len(inputs):
                raise ValueError("The lists `inputs` and `mask` should have the same length.")
        return super().compute_mask(inputs, mask)  # type: ignore[misc]


def _keras2(base: type) -> type:
    """A built-in layer as a Keras 2 layer."""
    merge = base.__module__.endswith("merging") and base.__name__ != "Merge"
    bases: tuple[type, ...] = (Layer, _Merge, base) if merge else (Layer, base)
    return type(base.__name__, bases, {"__module__": __name__, "__doc__": base.__doc__})


_WRITTEN = {name for name, value in list(globals().items()) if isinstance(value, type) and issubclass(value, Layer)}
for _base in core.ALL:
    if _base.__name__ not in _WRITTEN and _base is not core.Layer:
        globals()[_base.__name__] = _keras2(_base)

_ALIASES = {
    "Convolution1D": "Conv1D", "Convolution2D": "Conv2D", "Convolution3D": "Conv3D", "Deconvolution2D": "Conv2DTranspose",
    "Convolution2DTranspose": "Conv2DTranspose", "SeparableConvolution2D": "SeparableConv2D",
    "SeparableConvolution1D": "SeparableConv1D", "MaxPool1D": "MaxPooling1D", "MaxPool2D": "MaxPooling2D",
    "MaxPool3D": "MaxPooling3D", "AvgPool1D": "AveragePooling1D", "AvgPool2D": "AveragePooling2D",
    "AvgPool3D": "AveragePooling3D", "GlobalMaxPool1D": "GlobalMaxPooling1D", "GlobalMaxPool2D": "GlobalMaxPooling2D",
    "GlobalAvgPool1D": "GlobalAveragePooling1D", "GlobalAvgPool2D": "GlobalAveragePooling2D",
    "AtrousConvolution2D": "Conv2D", "AtrousConv2D": "Conv2D",
}  # fmt: skip
for _alias, _name in _ALIASES.items():
    if _name in globals():
        globals()[_alias] = globals()[_name]

_MERGES = {
    "add": "Add", "subtract": "Subtract", "multiply": "Multiply", "average": "Average", "maximum": "Maximum",
    "minimum": "Minimum", "concatenate": "Concatenate", "dot": "Dot",
}  # fmt: skip


def _merge_function(name: str) -> Any:
    def function(inputs: Any, *args: Any, **kwargs: Any) -> Any:
        return globals()[_MERGES[name]](*args, **kwargs)(inputs)

    function.__name__, function.__doc__ = name, f"{_MERGES[name]}(...)(inputs)."
    return function


for _name in _MERGES:
    globals()[_name] = _merge_function(_name)


def merge(inputs: Any, mode: Any = "sum", concat_axis: int = -1, dot_axes: Any = -1, name: str | None = None) -> Any:
    """Keras 1's merge: sum, mul, ave, max, concat, dot, cos, or a function of the list."""
    if callable(mode):
        return Lambda(mode, name=name)(inputs)
    made: dict[str, Any] = {
        "sum": lambda: globals()["Add"](name=name), "mul": lambda: globals()["Multiply"](name=name),
        "ave": lambda: globals()["Average"](name=name), "max": lambda: globals()["Maximum"](name=name),
        "concat": lambda: globals()["Concatenate"](concat_axis, name=name), "dot": lambda: Dot(dot_axes, name=name),
        "cos": lambda: Dot(dot_axes, True, name=name),
    }  # fmt: skip
    if mode not in made:
        raise ValueError(f"merge: expected mode {', '.join(made)} or a function; received {mode!r}")
    return made[mode]()(inputs)


def layer_classes() -> dict[str, type]:
    """Name -> class of all layers here."""
    return {
        name: value
        for name, value in globals().items()
        if isinstance(value, type) and issubclass(value, core.Layer) and value.__name__ == name and name[0] != "_"
    }


def deserialize(config: dict[str, Any], custom_objects: Any = None) -> Any:
    """The layer of {class_name, config}."""
    from berrante.saving.registry import deserialize_keras_object

    return deserialize_keras_object(config, custom_objects)


def serialize(layer: Any) -> dict[str, Any]:
    """{class_name, config} of a layer."""
    from berrante.saving.registry import serialize_config

    return {"class_name": type(layer).__name__, "config": serialize_config(layer.get_config())}
