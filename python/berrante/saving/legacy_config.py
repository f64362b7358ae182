"""Configs of Keras 1, Keras 2 and TF-Keras as Keras 3 would have written them.

One node (class_name and config) at a time: `migrate` gives the class' present name and the arguments' present names and
forms. Nodes that need nothing stay as they are, so it may run on any node.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Config = dict[str, Any]

_CLASSES = {
    "Model": "Functional", "Container": "Functional", "Network": "Functional", "Graph": "Functional",
    "Convolution1D": "Conv1D", "Convolution2D": "Conv2D", "AtrousConvolution1D": "Conv1D",
    "AtrousConvolution2D": "Conv2D", "AtrousConv1D": "Conv1D", "AtrousConv2D": "Conv2D",
    "Deconvolution2D": "Conv2DTranspose", "Convolution2DTranspose": "Conv2DTranspose",
    "SeparableConvolution1D": "SeparableConv1D", "SeparableConvolution2D": "SeparableConv2D",
    "Convolution3D": "Conv3D", "BatchNormalizationV1": "BatchNormalization", "BatchNormalizationV2": "BatchNormalization",
    "SyncBatchNormalization": "BatchNormalization", "TimeDistributedDense": "Dense", "LSTMV1": "LSTM", "GRUV1": "GRU",
    "L1L2Regularizer": "L1L2", "WeightRegularizer": "L1L2", "ActivityRegularizer": "L1L2",
    "Uniform": "RandomUniform", "Normal": "RandomNormal", "Zero": "Zeros", "One": "Ones",
    "GlorotUniformV2": "GlorotUniform", "GlorotNormalV2": "GlorotNormal", "RandomUniformV2": "RandomUniform",
    "RandomNormalV2": "RandomNormal", "TruncatedNormalV2": "TruncatedNormal", "ZerosV2": "Zeros", "OnesV2": "Ones",
    "VarianceScalingV2": "VarianceScaling", "ConstantV2": "Constant", "OrthogonalV2": "Orthogonal",
    "Maxnorm": "MaxNorm", "Nonneg": "NonNeg", "Unitnorm": "UnitNorm", "MeanSquaredErrorV2": "MeanSquaredError",
}  # fmt: skip
# Keras 1's argument names that mean the same everywhere.
_ARGUMENTS = {
    "nb_filter": "filters", "border_mode": "padding", "subsample": "strides", "subsample_length": "strides",
    "filter_length": "kernel_size", "dim_ordering": "data_format", "init": "kernel_initializer",
    "inner_init": "recurrent_initializer", "inner_activation": "recurrent_activation", "bias": "use_bias",
    "W_regularizer": "kernel_regularizer", "b_regularizer": "bias_regularizer", "U_regularizer": "recurrent_regularizer",
    "W_constraint": "kernel_constraint", "b_constraint": "bias_constraint", "U_constraint": "recurrent_constraint",
    "dropout_W": "dropout", "dropout_U": "recurrent_dropout", "pool_length": "pool_size", "stride": "strides",
    "p": "rate", "length": "size", "beta_init": "beta_initializer", "gamma_init": "gamma_initializer",
    "atrous_rate": "dilation_rate", "input_dtype": "dtype", "batch_input_shape": "batch_input_shape",
}  # fmt: skip
_FORMATS = {"tf": "channels_last", "th": "channels_first", "default": None}
_MERGES = {
    "sum": "Add", "mul": "Multiply", "ave": "Average", "max": "Maximum", "concat": "Concatenate", "dot": "Dot",
    "cos": "Dot",
}  # fmt: skip
OPTIMIZERS = {"SGD", "RMSprop", "Adagrad", "Adadelta", "Adam", "Adamax", "Nadam", "AdamW", "Ftrl", "Lion", "Lamb"}
_DROPPED: dict[str, tuple[str, ...]] = {
    "DepthwiseConv2D": ("groups", "kernel_initializer", "kernel_regularizer", "kernel_constraint", "filters"),
    "DepthwiseConv1D": ("groups", "kernel_initializer", "kernel_regularizer", "kernel_constraint", "filters"),
    "SeparableConv2D": ("groups", "kernel_initializer", "kernel_regularizer", "kernel_constraint"),
    "SeparableConv1D": ("groups", "kernel_initializer", "kernel_regularizer", "kernel_constraint"),
    "Conv2DTranspose": ("groups", "output_shape"), "Conv1DTranspose": ("groups", "output_shape"),
    "BatchNormalization": ("mode", "fused", "virtual_batch_size", "adjustment"),
    "Lambda": ("module", "function_type", "output_shape_type", "output_shape_module", "output_shape"),
    "Dense": ("input_length",), "Flatten": (), "TimeDistributed": (),
}  # fmt: skip


def migrate(node: Config) -> Config:
    """The node as Keras 3 would write it; its children are migrated when they are read."""
    name, config = node["class_name"], node["config"]
    if node.get("registered_name") is not None and ">" in str(node["registered_name"]):
        return node  # a class of the user's
    if name.startswith(("Custom>", "Addons>", "keras>", "TFOpLambda>")) and name.split(">", 1)[1] in OPTIMIZERS:
        name = name.split(">", 1)[1]
    if name == "Merge" and isinstance(config, dict):
        name, config = _merge(config)
    if isinstance(config, list) and name == "Sequential":
        config = {"layers": [_named(layer) for layer in config]}
    name = str(_CLASSES.get(name, name))
    if not isinstance(config, dict):
        return {**node, "class_name": name, "config": config}
    config = dict(config)
    if name in OPTIMIZERS:
        config = _optimizer(name, config)
    elif name in ("Functional", "Sequential"):
        config.pop("keras_version", None)
    else:
        config = _layer(name, config)
    return {**node, "class_name": name, "config": config}


def _named(layer: Any) -> Any:
    """Keras 1 once wrote layers of a stack as their bare configs, with the class under `name`."""
    if isinstance(layer, dict) and "class_name" not in layer and "name" in layer:
        config = {k: v for k, v in layer.items() if k not in ("name", "custom_name")}
        if layer.get("custom_name"):
            config["name"] = layer["custom_name"]
        return {"class_name": layer["name"], "config": config}
    return layer


def _layer(name: str, config: Config) -> Config:
    """Arguments of layers, initializers, regularizers, constraints, losses and metrics."""
    is_embedding = name in ("Embedding", "ReversibleEmbedding")
    if not is_embedding and ("output_dim" in config or "nb_feature" in config):
        config["units"] = config.pop("output_dim", None)
    if not is_embedding and "batch_input_shape" in config:
        config.pop("input_dim", None)
        config.pop("input_length", None)
    if is_embedding:
        for old, new in (("init", "embeddings_initializer"), ("W_regularizer", "embeddings_regularizer"),
                         ("W_constraint", "embeddings_constraint")):  # fmt: skip
            if old in config:
                config.setdefault(new, config.pop(old))
        for gone in ("dropout", "activity_regularizer", "input_length"):
            config.pop(gone, None)
    if name == "PReLU" and "init" in config:
        config["alpha_initializer"] = config.pop("init")
    if "nb_row" in config and "nb_col" in config:
        config["kernel_size"] = [config.pop("nb_row"), config.pop("nb_col")]
    if name.startswith("SeparableConv") and "init" in config:
        config["depthwise_initializer"] = config["pointwise_initializer"] = config.pop("init")
    if name == "GaussianNoise" and "sigma" in config:
        config["stddev"] = config.pop("sigma")
    for old, new in _ARGUMENTS.items():
        if old in config and old != new:
            value = config.pop(old)
            config.setdefault(new, value)
    if config.get("data_format") in _FORMATS:
        config["data_format"] = _FORMATS[config["data_format"]]
    if name == "LeakyReLU" and "alpha" in config:
        config["negative_slope"] = _number(config.pop("alpha"))
    if name in ("ReLU", "ThresholdedReLU", "ELU"):
        config = {k: _number(v) for k, v in config.items()}
    if name == "BatchNormalization" and isinstance(config.get("axis"), list) and len(config["axis"]) == 1:
        config["axis"] = config["axis"][0]
    if name == "MaxNorm" and "m" in config:
        config["max_value"] = config.pop("m")
    if name == "MinMaxNorm" and "low" in config:
        config["min_value"], config["max_value"] = config.pop("low"), config.pop("high")
    if name in ("ZeroPadding1D", "ZeroPadding2D") and isinstance(config.get("padding"), dict):
        p = config["padding"]
        config["padding"] = [
            [p.get("top_pad", 0), p.get("bottom_pad", 0)],
            [p.get("left_pad", 0), p.get("right_pad", 0)],
        ]
    if name == "ZeroPadding2D" and isinstance(config.get("padding"), list) and len(config["padding"]) == 4:
        top, bottom, left, right = config["padding"]
        config["padding"] = [[top, bottom], [left, right]]
    if name == "Lambda" and isinstance(config.get("function"), list):
        raise ValueError("refused: a Lambda's code in a file is never run; register its function under a name")
    for key in (k for k in config if k.endswith(("regularizer", "constraint"))):
        config[key] = _keras_1_object(config[key])
    if name in _INITIALIZERS and "name" not in config:  # there is a layer Identity too, and layers have names
        known = ("seed", "value", "gain", "input_axes", "output_axes", *_INITIALIZERS[name])
        config = {k: v for k, v in config.items() if k in known}
    dropped = _DROPPED.get(name, ())
    return {k: v for k, v in config.items() if k not in dropped}


_INITIALIZERS: dict[str, tuple[str, ...]] = {
    "Zeros": (), "Ones": (), "Constant": ("value",), "RandomNormal": ("mean", "stddev"),
    "TruncatedNormal": ("mean", "stddev"), "RandomUniform": ("minval", "maxval"),
    "VarianceScaling": ("scale", "mode", "distribution"), "Orthogonal": ("gain",), "Identity": ("gain",),
    "GlorotUniform": (), "GlorotNormal": (), "HeUniform": (), "HeNormal": (), "LecunUniform": (), "LecunNormal": (),
}  # fmt: skip


def _number(value: Any) -> Any:
    """A float that TF-Keras wrote as an array."""
    if isinstance(value, dict) and "value" in value:
        value = value["value"]
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value


def _keras_1_object(value: Any) -> Any:
    """{"name": class, arguments ...} as a node."""
    if isinstance(value, dict) and "class_name" not in value and isinstance(value.get("name"), str):
        return {"class_name": value["name"], "config": {k: v for k, v in value.items() if k != "name"}}
    return value


def _merge(config: Config) -> tuple[Any, Config]:
    """Keras 1's Merge as the layer of its mode."""
    mode = config.get("mode", "sum")
    if mode not in _MERGES or "layers" in config:
        raise ValueError(f"Merge: mode {mode!r} of Keras 1 with inner layers or Python code is not supported")
    made: Config = {k: config[k] for k in ("name", "trainable") if k in config}
    if mode == "concat":
        made["axis"] = config.get("concat_axis", -1)
    if mode in ("dot", "cos"):
        axes = config.get("dot_axes", -1)
        made.update(axes=axes[0] if isinstance(axes, list) and len(axes) == 1 else axes, normalize=mode == "cos")
    return _MERGES[mode], made


def _optimizer(name: str, config: Config) -> Config:
    """lr and decay, and what only TensorFlow knows."""
    if "lr" in config:
        config.setdefault("learning_rate", config.pop("lr"))
    decay = config.pop("decay", 0.0) or config.pop("initial_decay", 0.0)
    rate = config.get("learning_rate")
    if decay and name != "Nadam" and isinstance(rate, (int, float)):  # Nadam's was its momentum schedule
        config["learning_rate"] = {
            "class_name": "InverseTimeDecay", "module": "keras.optimizers.schedules",
            "config": {"initial_learning_rate": rate, "decay_steps": 1, "decay_rate": decay},
        }  # fmt: skip
    for unknown in ("jit_compile", "is_legacy_optimizer", "schedule_decay", "initial_decay"):
        config.pop(unknown, None)
    if config.get("epsilon", 0) is None:
        config["epsilon"] = 1e-7
    if "ema_overwrite_frequency" in config and not config.get("use_ema"):
        config["ema_overwrite_frequency"] = None
    return config


# --- calls ----------------------------------------------------------------------------------------------------------


def _is_history(x: Any) -> bool:
    return isinstance(x, list) and len(x) in (3, 4) and isinstance(x[0], str) and isinstance(x[1], int)


def modern_call(call: Any, reference: Callable[[list[Any]], Any]) -> tuple[list[Any], Config]:
    """Arguments of one call, from `[[layer, node, tensor, kwargs], ...]`; `reference` makes a tensor of a history."""
    if isinstance(call, dict):
        return [{k: reference(v[:3]) if _is_history(v) else v for k, v in call.items()}], {}
    if _is_history(call):
        call = [call]
    if not isinstance(call, list) or not call or not all(_is_history(entry) for entry in call):
        raise ValueError(f"expected the inputs of a layer's call; received {str(call)[:100]}")
    kwargs: Config = {}
    for entry in call:
        for k, v in (entry[3] if len(entry) == 4 and isinstance(entry[3], dict) else {}).items():
            if k in ("mask", "training") and not isinstance(v, bool):
                continue
            kwargs[k] = reference(v[:3]) if _is_history(v) else v
    tensors = [reference(entry[:3]) for entry in call]
    return [tensors[0] if len(tensors) == 1 else tensors], kwargs
