"""berrante convert and berrante summary: files of models, weights and configs from one format to another."""

from __future__ import annotations

import os
import sys
from typing import Any


def _load(path: str) -> Any:
    """The model of a file: an archive, HDF5, or a JSON config (without weights)."""
    from berrante.models import load_model, model_from_json
    from berrante.saving.guard import MAX_JSON_BYTES, RefusedFile, regular_file

    if path.endswith(".json"):
        regular_file(path)
        if os.path.getsize(path) > MAX_JSON_BYTES:
            raise RefusedFile(f"{path}: {os.path.getsize(path)} bytes of JSON, more than {MAX_JSON_BYTES}")
        with open(path, encoding="utf-8") as file:
            return model_from_json(file.read())
    return load_model(path)


def _fail(error: Exception) -> int:
    print(f"berrante: {error}", file=sys.stderr)
    return 1


def print_summary(path: str) -> int:
    """Prints the layers of a saved model, and its optimizer."""
    try:
        model = _load(path)
    except (OSError, ValueError, TypeError) as error:
        return _fail(error)
    model.summary()
    if model.optimizer is not None:
        steps = int(model.optimizer.iterations.numpy())
        print(f"Compiled with {type(model.optimizer).__name__}, {steps} steps so far")
    return 0


def convert(source: str, target: str, config: str | None = None, overwrite: bool = False) -> int:
    """Reads a file of any Keras and writes another; nothing is written if it cannot be read.

    The target's name decides: `.keras`, `.weights.h5` (weights in Keras 3's layout), `.weights` (weights as Keras 2 wrote
    them), `.json` (the config), anything else a legacy HDF5 model. A file of weights alone needs the config of its model.
    """
    from berrante.saving import save_model, save_weights
    from berrante.saving.guard import write_bytes

    try:
        if os.path.exists(target) and not overwrite:
            raise FileExistsError(f"{target!r} exists; pass --overwrite to replace it")
        model = _load(config if config is not None else source)
        if config is not None:
            model.load_weights(source)
        if target.endswith(".json"):
            write_bytes(target, model.to_json().encode())
        elif target.endswith((".weights.h5", ".weights")):
            save_weights(model, target)
        else:
            save_model(model, target)
    except (OSError, ValueError, TypeError) as error:
        return _fail(error)
    print(f"{source} -> {target}")
    return 0
