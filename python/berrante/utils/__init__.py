"""Helpers, after keras.utils. What is not needed for training is loaded when it is first asked for."""

from __future__ import annotations

from typing import Any

from berrante.data import PyDataset, Sequence, pack, unpack_x_y_sample_weight
from berrante.utils.progbar import Progbar

# Names of keras.utils, and the module of this package (or of the one above) that has each.
_LAZY = {
    "saving.registry": (
        "CustomObjectScope",
        "custom_object_scope",
        "deserialize_keras_object",
        "get_custom_objects",
        "get_registered_name",
        "get_registered_object",
        "register_keras_serializable",
        "serialize_keras_object",
    ),
    "utils.archives": ("extract_archive",),
    "utils.plotting": ("model_to_dot", "plot_model"),
    "utils.files": ("get_file", "hash_file", "validate_file"),
    "utils.image_dataset": ("image_dataset_from_directory",),
    "utils.images": ("array_to_img", "img_to_array", "load_img", "save_img"),
    "utils.numeric": ("normalize", "to_categorical"),
    "utils.sequences": ("pad_sequences",),
    "utils.split": ("split_dataset",),
    "utils.summary": ("print_summary",),
    "utils.timeseries": ("timeseries_dataset_from_array",),
}
_HOME = {name: module for module, names in _LAZY.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'berrante.utils' has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(f"berrante.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})


def set_random_seed(seed: int) -> None:
    """Seeds Python, NumPy and berrante; the same seed gives the same bits."""
    import random

    import numpy as np

    from berrante.random import set_global_seed

    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise ValueError(f"Expected `seed` argument to be an integer. Received: seed={seed} (of type {type(seed)})")
    random.seed(int(seed))
    np.random.seed(seed)
    set_global_seed(int(seed))


def clear_session(free_memory: bool = True) -> None:
    """Starts the naming of layers anew and forgets cached programs."""
    from berrante.graph import eager
    from berrante.layers.layer import reset_names

    reset_names()
    eager.clear()


def get_source_inputs(tensor: Any) -> list[Any]:
    """The Input tensors that a tensor of a functional model is computed from."""
    found: dict[int, Any] = {}
    seen: set[int] = set()
    waiting = [tensor]
    while waiting:
        t = waiting.pop()
        if id(t) in seen:
            continue
        seen.add(id(t))
        if t.node is None or not t.node.inputs:
            found[id(t)] = t
        else:
            waiting.extend(reversed(t.node.inputs))
    return list(found.values())


def pack_x_y_sample_weight(x: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """What a data set gives for a batch: x alone, or a tuple of what there is."""
    return pack(x, y, None if y is None else sample_weight)


def is_keras_tensor(x: Any) -> bool:
    """Whether x is a placeholder of the functional API."""
    from berrante.graph.keras_tensor import KerasTensor

    return isinstance(x, KerasTensor)
