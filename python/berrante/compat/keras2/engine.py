"""keras.engine and its modules: the names that scripts import from there."""

from __future__ import annotations

from typing import Any

import numpy as np

from berrante.compat.keras2.layer import Layer, Node
from berrante.compat.keras2.layers import Input, InputLayer, InputSpec
from berrante.compat.keras2.losses import weighted_masked_objective
from berrante.compat.keras2.models import (
    Model,
    Sequential,
    load_model,
    model_from_config,
    model_from_json,
    model_from_yaml,
    save_model,
)
from berrante.compat.keras2.utils import get_source_inputs, slice_arrays, to_list

Container = Network = Model


def make_batches(size: int, batch_size: int) -> list[tuple[int, int]]:
    """(start, end) of each batch."""
    return [(i, min(size, i + batch_size)) for i in range(0, size, batch_size)]


def batch_shuffle(index_array: np.ndarray, batch_size: int) -> np.ndarray:
    """Shuffles whole batches; an incomplete last one stays last."""
    whole = len(index_array) // batch_size * batch_size
    blocks = index_array[:whole].reshape(-1, batch_size)
    np.random.shuffle(blocks)
    return np.append(blocks.flatten(), index_array[whole:])


def check_num_samples(ins: Any, batch_size: Any = None, steps: Any = None, steps_name: str = "steps") -> Any:
    """The number of samples, or None where `steps` is given."""
    if steps is not None:
        if batch_size is not None:
            raise ValueError(f"If {steps_name} is set, the `batch_size` must be None.")
        return None
    if not ins or not hasattr(ins[0], "shape"):
        raise ValueError(f"If your data is in the form of symbolic tensors, you should specify the `{steps_name}`")
    return int(ins[0].shape[0])


def check_array_length_consistency(inputs: Any, targets: Any, weights: Any = None) -> None:
    """ValueError unless all arrays have as many samples; what is None has none."""

    def lengths(what: str, arrays: Any) -> set[int]:
        found = {0 if a is None else int(np.shape(a)[0]) for a in to_list(arrays)} if arrays is not None else {0}
        if len(found) > 1:
            raise ValueError(f"All {what} arrays should have the same number of samples. Got {sorted(found)}")
        return found

    found = {w: lengths(w, a) for w, a in (("input", inputs), ("target", targets), ("weight", weights))}
    if len(set().union(*found.values())) > 1:
        raise ValueError(f"Input, target and weight arrays should have the same number of samples. Found {found}")


def check_loss_and_target_compatibility(targets: Any, loss_fns: Any, output_shapes: Any) -> None:
    """ValueError for targets whose shapes do not fit the losses, with what to do about it."""
    from berrante.compat.keras2 import losses

    same_shape = {losses.mean_squared_error, losses.binary_crossentropy, losses.categorical_crossentropy}
    for y, loss, shape in zip(targets, loss_fns, output_shapes, strict=False):
        if y is None or loss is None:
            continue
        if losses.get(loss) is losses.categorical_crossentropy and y.shape[-1] == 1:
            raise ValueError(
                f"You are passing a target array of shape {y.shape} while using as loss `categorical_crossentropy`, which "
                "expects rows of zeros and a one; use to_categorical on it, or the loss `sparse_categorical_crossentropy`"
            )
        if losses.get(loss) in same_shape:
            for extent, expected in zip(y.shape[1:], shape[1:]):
                if expected is not None and extent != expected:
                    raise ValueError(
                        f"A target array with shape {y.shape} was passed for an output of shape {shape} while using as "
                        f"loss `{losses.get(loss).__name__}`. This loss expects targets to have the same shape as the output."
                    )


def standardize_weights(y: Any, sample_weight: Any = None, class_weight: Any = None, mode: Any = None) -> np.ndarray:
    """A weight a sample, from sample and class weights."""
    from berrante.data import weigh_classes

    if sample_weight is not None:
        sample_weight = np.asarray(sample_weight)
        if mode == "temporal" and sample_weight.ndim != 2:
            raise ValueError(f"sample_weight: expected 2 dimensions with sample_weight_mode=temporal; received {mode}")
    if class_weight is not None:
        return weigh_classes(np.asarray(y), sample_weight, class_weight)
    if sample_weight is not None:
        return sample_weight
    shape = y.shape[:1] if mode is None else y.shape[:2]
    return np.ones(shape, np.float32)


def preprocess_weights_for_loading(
    layer: Any, weights: Any, original_keras_version: Any = None, original_backend: Any = None, reshape: bool = False
) -> list[Any]:
    """A layer's arrays as today's layers hold them: Keras 1's channels_first kernels are (out, in, rows, columns)."""
    arrays = [np.asarray(w) for w in weights]
    if hasattr(layer, "layers"):  # a model: its layers' trainable weights, then the others
        converted: list[Any] = []
        for kind in ("trainable_weights", "non_trainable_weights"):
            for inner in layer.layers:
                n = len(getattr(inner, kind))
                own, arrays = arrays[:n], arrays[n:]
                if n:
                    converted += preprocess_weights_for_loading(
                        inner, own, original_keras_version, original_backend, reshape
                    )
        return converted
    if str(original_keras_version or "1") == "1" and arrays:
        kind = type(layer).__name__
        if kind == "Conv1D" and arrays[0].ndim == 4:
            arrays[0] = arrays[0][:, 0]
        if kind == "Conv2D" and arrays[0].ndim == 4 and getattr(layer, "data_format", "") == "channels_first":
            arrays[0] = np.transpose(arrays[0], (2, 3, 1, 0))
        if kind == "Conv2DTranspose" and arrays[0].ndim == 4:
            first = getattr(layer, "data_format", "") == "channels_first"
            arrays[0] = np.transpose(arrays[0], (2, 3, 0, 1) if first else (0, 1, 3, 2))
    if reshape:
        wanted = [w.shape for w in layer.weights]
        arrays = [a.reshape(s) if a.size == int(np.prod(s)) else a for a, s in zip(arrays, wanted, strict=False)]
    return arrays


__all__ = [
    "Container", "Input", "InputLayer", "InputSpec", "Layer", "Model", "Network", "Node", "Sequential",
    "get_source_inputs", "load_model", "make_batches", "model_from_config", "model_from_json", "model_from_yaml",
    "preprocess_weights_for_loading", "save_model", "slice_arrays", "to_list", "weighted_masked_objective",
]  # fmt: skip
