"""What autoencoders and adversarial networks share: plain models as parts, their configuration, methods as programs,
orders of epochs that a file can resume, and checks of data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from berrante.data import as_array, specs_of
from berrante.graph.program import Program
from berrante.layers.layer import Layer
from berrante.metrics import Mean
from berrante.models.model import Model
from berrante.random import SeedGenerator

_MAX_PROGRAMS = 16
# The values that an output activation can take.
RANGES = {"sigmoid": (0.0, 1.0), "hard_sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0), "hard_tanh": (-1.0, 1.0)}


class Generative(Model):
    """A model of plain models, its `parts`.

    Subclasses name the constructor's arguments: `parts` are models or layers (None allowed), `settings` plain values.
    """

    trackers: dict[str, Mean]
    _methods: dict[Any, Program]
    parts: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()

    def __init__(self, name: str | None = None, **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.seed_generator = SeedGenerator()
        object.__setattr__(self, "_methods", {})
        object.__setattr__(self, "trackers", {})

    def _add_part(self, name: str, part: Any, optional: bool = False) -> None:
        if not isinstance(part, Layer) and not (optional and part is None):
            raise TypeError(f"{self._label()} {name}: expected a model; received {part!r}")
        setattr(self, name, part)

    def _parts(self) -> list[Any]:
        return [p for p in (getattr(self, name) for name in self.parts) if p is not None]

    def _check_built(self) -> bool:
        """Whether all parts have their weights; then so has the model."""
        self.built = all(part.built for part in self._parts())
        return self.built

    # --- configuration ----------------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        from berrante.saving.registry import serialize_keras_object

        config: dict[str, Any] = {"name": self.name, "trainable": self._trainable, "dtype": self._dtype_config()}
        config.update({name: serialize_keras_object(getattr(self, name)) for name in self.parts})
        config.update({name: getattr(self, name) for name in self.settings})
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        from berrante.saving.registry import deserialize_keras_object

        parts = {k: deserialize_keras_object(config[k], custom_objects) for k in cls.parts if k in config}
        return cls(**{**config, **parts})

    def get_build_config(self) -> dict[str, Any] | None:
        return None  # the parts build themselves

    def _require_built(self, method: str) -> None:
        if not self.built and not self._check_built():
            raise RuntimeError(f"{self._label()} has no weights yet: call fit() or build its parts before {method}()")

    # --- training ---------------------------------------------------------------------------------------------------

    def _set_trackers(self, names: list[str]) -> None:
        """Means over an epoch of what the step logs under these names."""
        object.__setattr__(self, "trackers", {name: Mean(name=name) for name in names})

    def _log(self, name: str, value: Any, size: int) -> None:
        self.trackers[name].update_state(value, sample_weight=float(size))

    @property
    def metrics(self) -> list[Any]:
        """The loss tracker, the trackers of the step's terms, and compiled metrics."""
        return [*super().metrics, *self.trackers.values()]

    def _progress(self) -> int:
        """Updates made so far; saved with the optimizers."""
        return 0 if self.optimizer is None else int(self.optimizer.iterations.array.item())

    def _order_of_epoch(self, epoch: int, rng: np.random.Generator, size: int) -> np.ndarray:
        # From what a file keeps, so that training resumed from it sees the samples in the same order.
        key = int(self.seed_generator.state.array[0]) & 0xFFFFFFFF
        return np.random.default_rng([key, self._progress()]).permutation(size)

    # --- batches of one sample --------------------------------------------------------------------------------------

    def _trained_parts(self) -> list[Any]:
        """The parts that compute as in training."""
        return self._parts()

    def _check_batches(self, data: Any, batch_size: int, steps: int | None) -> None:
        if batch_size == 1 or (data.size % batch_size == 1 and steps is None):
            self._check_single(data, batch_size)

    def _program(self, kind: str, data: Any, batch: int) -> Any:
        if kind == "train" and batch == 1:
            self._check_single(data, 1)
        return super()._program(kind, data, batch)

    def _run_eagerly(self, kind: str, batch: Any) -> Any:
        if kind == "train" and batch.size == 1:
            self._check_single(batch, 1)
        return super()._run_eagerly(kind, batch)

    def _check_single(self, data: Any, batch_size: int) -> None:
        """Batch normalisation makes nothing of a single vector: each element is its own mean."""
        if not self.built and not self._check_built():
            self._prepare_training(data, batch_size)  # layers know what they normalise once they have weights
        for part in self._trained_parts():
            for layer in part._flatten_layers():
                spec = layer.input_spec
                if (
                    type(layer).__name__ != "BatchNormalization"
                    or spec is None
                    or spec.ndim != 2
                    or not layer.trainable
                ):
                    continue
                left = "received" if batch_size == 1 else f"{data.size} samples in batches of {batch_size} leave"
                raise ValueError(
                    f'{self._label()} batch_size: "{layer.name}" normalises vectors over a batch, which needs 2 or more; '
                    f"{left} a batch of 1; choose another batch_size or leave a sample out"
                )

    # --- methods as programs ----------------------------------------------------------------------------------------

    def _batched(self, method: str, function: Callable[..., Any], arrays: list[Any], batch_size: int = 128) -> Any:
        """A function of tensors over arrays, batch by batch; one array, or a list if the function gives several."""
        self._require_built(method)
        data = [as_array(a, method) for a in arrays]
        n = len(data[0])
        if n == 0:
            raise ValueError(f"{self._label()} {method}: expected at least one sample; received none")
        parts: list[Any] = []
        for start in range(0, n, batch_size):
            batch = [a[start : start + batch_size] for a in data]
            parts.append(self._method(method, function, batch)(*batch))
        if isinstance(parts[0], np.ndarray):
            return np.concatenate(parts)
        return [np.concatenate(group) for group in zip(*parts, strict=True)]

    def _method(self, method: str, function: Callable[..., Any], batch: list[np.ndarray]) -> Program:
        specs = specs_of(batch, len(batch[0]))
        key = (method, tuple(specs))
        programs = self._methods
        program = programs.get(key)
        if program is None or program.stale:
            while len(programs) >= _MAX_PROGRAMS:
                programs.pop(next(iter(programs)))
            program = programs[key] = Program(function, specs)
        return program


def final_activation(model: Any) -> str | None:
    """The name of a model's last activation; None where it cannot be told."""
    layer = model
    while isinstance(layer, Model):
        if layer._graph is not None:
            node = layer._graph.outputs[0].node
            layer = node.operation if node is not None else None
        elif getattr(layer, "layers", None):
            layer = layer.layers[-1]
        else:
            return None
    # Layers that move elements about keep the activation before them.
    inner = getattr(layer, "layer", None)
    layer = inner if isinstance(inner, Layer) else layer
    if type(layer).__name__ in ("Reshape", "Flatten", "Cropping2D", "UpSampling2D") and isinstance(model, Model):
        before = [x for x in model.layers if x is not layer]
        return final_activation(before[-1]) if before else None
    function = getattr(layer, "activation", None)
    return getattr(function, "__name__", None) if function is not None else None


def check_range(label: str, what: str, images: Any, activation: str | None) -> None:
    """Raises where images lie outside what the output's activation can give."""
    if activation not in RANGES or not isinstance(images, np.ndarray) or not images.size:
        return
    low, high = RANGES[activation]
    a, b = float(images.min()), float(images.max())
    slack = 1e-3 * (high - low)
    if a < low - slack or b > high + slack or not np.isfinite(a + b):
        advice = "x / 127.5 - 1" if low < 0 else "x / 255"
        raise ValueError(
            f"{label} {what}: expected values from {low:g} to {high:g}, which is what the output's {activation} gives; "
            f"received {a:g} to {b:g}. Images of bytes become such by {advice}"
        )


def one_hot_labels(label: str, y: Any, num_classes: int) -> np.ndarray:
    """Integer labels [N] or rows [N, num_classes] as float32 rows."""
    y = np.asarray(y)
    if y.ndim == 2 and y.shape[1] == num_classes and num_classes > 1:
        return y.astype(np.float32)
    flat = y.reshape(-1)
    if flat.size != len(y) or (flat.dtype.kind == "f" and not np.all(flat == np.floor(flat))):
        raise ValueError(f"{label} expected labels (N,) or one-hot rows (N, {num_classes}); received shape {y.shape}")
    if flat.size and (flat.min() < 0 or flat.max() >= num_classes):
        raise ValueError(f"{label} expected labels from 0 to {num_classes - 1}; received {flat.min()} to {flat.max()}")
    return np.eye(num_classes, dtype=np.float32)[flat.astype(np.int64)]
