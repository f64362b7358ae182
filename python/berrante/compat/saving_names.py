"""Names of keras.src.saving and keras.src.legacy.saving that scripts import, in terms of berrante's one loader."""

from __future__ import annotations

from typing import Any

from berrante.saving import load_model, load_weights, save_model, save_weights
from berrante.saving.registry import ObjectSharingScope


def save_model_to_hdf5(model: Any, filepath: Any, overwrite: bool = True, include_optimizer: bool = True) -> None:
    """Writes a model as legacy HDF5, whatever the name."""
    save_model(model, filepath, overwrite, include_optimizer, "h5")


def load_model_from_hdf5(
    filepath: Any, custom_objects: Any = None, compile: bool = True, safe_mode: bool = True
) -> Any:
    """The model of a legacy HDF5 file."""
    return load_model(filepath, custom_objects, compile)


def save_weights_to_hdf5_group(f: Any, model: Any) -> None:
    """Writes a model's weights into an open h5py file or group."""
    from berrante.saving.legacy_h5 import LAYOUT_VERSION
    from berrante.saving.legacy_weights import write_group

    write_group(model, f, LAYOUT_VERSION)


def load_weights_from_hdf5_group(f: Any, model: Any) -> None:
    """Reads a model's weights from an open h5py file or group, in order."""
    load_weights(model, f)


def load_weights_from_hdf5_group_by_name(f: Any, model: Any, skip_mismatch: bool = False) -> None:
    """Reads the weights of layers of the same name from an open h5py file or group."""
    load_weights(model, f, skip_mismatch=skip_mismatch, by_name=True)


def save_weights_only(model: Any, filepath: Any, **kwargs: Any) -> None:
    """save_weights."""
    save_weights(model, filepath, **kwargs)


def load_weights_only(model: Any, filepath: Any, skip_mismatch: bool = False, **kwargs: Any) -> None:
    """load_weights."""
    load_weights(model, filepath, skip_mismatch, **kwargs)
