"""Files as Keras 1, Keras 2 and TF-Keras wrote them, built with h5py from arrays: for tests of reading them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np


def initializer(scale: float = 1.0) -> dict[str, Any]:
    config = {"scale": scale, "mode": "fan_avg", "distribution": "uniform", "seed": None}
    return {"class_name": "VarianceScaling", "config": config}


def weighted(name: str, **arguments: Any) -> dict[str, Any]:
    """The config of a layer with a kernel, as Keras 2.2 wrote it."""
    return {
        "name": name, "trainable": True, "use_bias": True, "kernel_initializer": initializer(),
        "bias_initializer": {"class_name": "Zeros", "config": {}}, "kernel_regularizer": None,
        "bias_regularizer": None, "activity_regularizer": None, "kernel_constraint": None, "bias_constraint": None,
        **arguments,
    }  # fmt: skip


def conv(name: str, **arguments: Any) -> dict[str, Any]:
    convolution = {
        "strides": [1, 1], "padding": "valid", "data_format": "channels_last", "dilation_rate": [1, 1],
        "activation": "relu",
    }  # fmt: skip
    return weighted(name, **{**convolution, **arguments})


# conv - batch norm - leaky relu - pool - flatten - dropout - dense, as Keras 2.2.2 wrote a Sequential: a bare list.
SEQUENTIAL: list[dict[str, Any]] = [
    {
        "class_name": "Conv2D",
        "config": conv("conv2d_1", batch_input_shape=[None, 8, 8, 2], dtype="float32", filters=3, kernel_size=[3, 3]),
    },
    {
        "class_name": "BatchNormalization",
        "config": {
            "name": "batch_normalization_1", "trainable": True, "axis": [3], "momentum": 0.99, "epsilon": 0.001,
            "center": True, "scale": True, "beta_initializer": {"class_name": "Zeros", "config": {}},
            "gamma_initializer": {"class_name": "Ones", "config": {}},
            "moving_mean_initializer": {"class_name": "Zeros", "config": {}},
            "moving_variance_initializer": {"class_name": "Ones", "config": {}}, "beta_regularizer": None,
            "gamma_regularizer": {"class_name": "L1L2", "config": {"l1": 0.0, "l2": 0.009999999776482582}},
            "beta_constraint": None, "gamma_constraint": {"class_name": "MaxNorm", "config": {"max_value": 2, "axis": 0}},
        },
    },
    {"class_name": "LeakyReLU", "config": {"name": "leaky_re_lu_1", "trainable": True, "alpha": 0.20000000298023224}},
    {
        "class_name": "MaxPooling2D",
        "config": {
            "name": "max_pooling2d_1", "trainable": True, "pool_size": [2, 2], "padding": "valid", "strides": [2, 2],
            "data_format": "channels_last",
        },
    },
    {"class_name": "Flatten", "config": {"name": "flatten_1", "trainable": True, "data_format": "channels_last"}},
    {
        "class_name": "Dropout",
        "config": {"name": "dropout_1", "trainable": True, "rate": 0.5, "noise_shape": None, "seed": None},
    },
    {"class_name": "Dense", "config": weighted("dense_1", units=4, activation="softmax")},
]  # fmt: skip

LAYERS: dict[str, list[tuple[str, tuple[int, ...]]]] = {
    "conv2d_1": [("kernel", (3, 3, 2, 3)), ("bias", (3,))],
    "batch_normalization_1": [("gamma", (3,)), ("beta", (3,)), ("moving_mean", (3,)), ("moving_variance", (3,))],
    "leaky_re_lu_1": [], "max_pooling2d_1": [], "flatten_1": [], "dropout_1": [],
    "dense_1": [("kernel", (27, 4)), ("bias", (4,))],
}  # fmt: skip
TRAINED = [
    (layer, name, shape) for layer, own in LAYERS.items() for name, shape in own if not name.startswith("moving")
]


def some_weights(seed: int = 0) -> dict[str, list[np.ndarray]]:
    rng = np.random.default_rng(seed)
    return {layer: [(rng.random(shape) + 0.1).astype(np.float32) for _, shape in own] for layer, own in LAYERS.items()}


def write_weights(group: Any, weights: dict[str, list[np.ndarray]], version: str | None = "2.2.4") -> None:
    group.attrs["layer_names"] = [name.encode() for name in weights]
    if version is not None:
        group.attrs["backend"] = b"tensorflow"
        group.attrs["keras_version"] = version.encode()
    for layer, arrays in weights.items():
        own = group.create_group(layer)
        names = [f"{layer}/{name}:0" for name, _ in LAYERS[layer]]
        own.attrs["weight_names"] = [n.encode() for n in names]  # an empty list becomes a float array, as it did
        for name, array in zip(names, arrays, strict=True):
            own.create_dataset(name, data=array)


def training(optimizer: str, **config: Any) -> dict[str, Any]:
    return {
        "optimizer_config": {"class_name": optimizer, "config": config}, "loss": "categorical_crossentropy",
        "metrics": ["accuracy"], "sample_weight_mode": None, "loss_weights": None,
    }  # fmt: skip


def write_model(
    path: Path, weights: dict[str, list[np.ndarray]], settings: dict[str, Any], state: list[tuple[str, Any]],
    config: Any = None,
) -> None:  # fmt: skip
    """A whole model; `state` is the optimizer's, in order."""
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = b"2.2.4"
        file.attrs["backend"] = b"tensorflow"
        file.attrs["model_config"] = json.dumps(config or {"class_name": "Sequential", "config": SEQUENTIAL}).encode()
        file.attrs["training_config"] = json.dumps(settings).encode()
        write_weights(file.create_group("model_weights"), weights)
        group = file.create_group("optimizer_weights")
        group.attrs["weight_names"] = [name.encode() for name, _ in state]
        for name, value in state:
            group.create_dataset(name, data=value)
