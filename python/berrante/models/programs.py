"""Programs of steps: traced once per signature of a batch, kept, run; and what is checked before they run.

Which steps may run many at a time in one call of the core is decided here, too: those whose logs are all metrics.
"""

from __future__ import annotations

import os
import threading
from typing import Any

import numpy as np

from berrante import ops
from berrante.data import ArrayData, pack, specs_of
from berrante.graph import trace
from berrante.graph.formats import outside
from berrante.graph.program import Program
from berrante.graph.tape import map_structure
from berrante.graph.tensor import Tensor
from berrante.models.batches import number
from berrante.models.steps import Steps
from berrante.runtime.device_arrays import public, to_host
from berrante.runtime.devices import current_device

_MAX_PROGRAMS = 32


class _Tracing:
    """One thread traces at a time, in any model: tracing builds layers and moves variables. A forked child starts anew."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        self.lock = threading.RLock()


_tracing = _Tracing()


class Programs(Steps):
    """The programs of a model's steps."""

    run_eagerly: bool
    _programs: dict[Any, Any]

    def _overrides(self, step: str) -> bool:
        function = getattr(type(self), step)
        return function is not getattr(Steps, step) and not getattr(function, "tracked", False)

    def _program(self, kind: str, data: ArrayData, batch: int) -> Any:
        """The program of a step for batches like this data's."""
        specs = specs_of(data.leaves, batch)
        key = (kind, tuple(specs), str(map_structure(lambda a: a is None, list(data.data))), self._mode())
        program = self._programs.get(key)
        if program is not None and not program.stale:
            return program
        with _tracing.lock:
            program = self._programs.get(key)
            if program is None or program.stale:
                program = self._trace(kind, data, batch, specs)
                while len(self._programs) >= _MAX_PROGRAMS:
                    self._programs.pop(next(iter(self._programs)), None)
                self._programs[key] = program
        return program

    def _trace(self, kind: str, data: ArrayData, batch: int, specs: list[Any]) -> Program:
        if kind == "train":
            self._prepare_training(data, batch)
        step = {"train": self.train_step, "test": self.test_step, "predict": self.predict_step}[kind]
        visible = kind == "predict" or self._overrides(f"{kind}_step")

        def function(*leaves: Tensor) -> Any:
            x, y, w = data.restore(leaves)
            result = step((x,) if kind == "predict" else pack(x, y, w))
            return result if visible else None

        program = Program(function, specs)
        return Program(function, specs) if program.stale else program  # stale: the optimizer moved its variables

    def _mode(self) -> Any:
        """What a trace depends on beside shapes: the device, and which layers train."""
        return (current_device(), *(layer._trainable for layer in self._flatten_layers()))  # type: ignore[attr-defined]

    def _optimizers(self) -> dict[str, Any]:
        """The optimizers by the names under which their state is saved."""
        return {} if self.optimizer is None else {"optimizer": self.optimizer}

    def _build_optimizers(self) -> None:
        """Makes the slots of the optimizers, where they are not made yet."""
        if self.optimizer is not None and not self.optimizer.built:
            self.optimizer.build(self._train_variables())

    def _prepare_training(self, data: ArrayData, batch: int) -> None:
        """Builds the model and the optimizer before tracing, so that variables do not move afterwards."""
        own_step = self._overrides("train_step")
        if not self.built and (not own_step or self._has_call()):  # type: ignore[attr-defined]
            self._build_from(data, batch)
        optimizer = self.optimizer
        if own_step:
            return
        if optimizer is None and not hasattr(type(self).train_step, "tracked"):
            raise ValueError(f'[model "{self.name}"] expected an optimizer to train with; compiled with optimizer=None')
        if optimizer is not None and not optimizer.built:
            self._build_optimizers()
            optimizer._flatten()

    def _has_call(self) -> bool:
        raise NotImplementedError

    def _build_from(self, data: ArrayData, batch: int) -> None:
        with trace.tracing() as graph:
            leaves = [graph.add_input(spec) for spec in specs_of(data.leaves, batch)]
            self(data.restore(leaves)[0], training=False)  # type: ignore[operator]

    def _run_eagerly(self, kind: str, batch: ArrayData) -> Any:
        tensors = [
            ops.convert_to_tensor(to_host(a), s.dtype)
            for a, s in zip(batch.leaves, specs_of(batch.leaves, 0), strict=True)
        ]
        x, y, w = batch.restore(tensors)
        if kind == "predict":
            return map_structure(np.asarray, self.predict_step((x,)))
        if kind == "train" and not self.built:  # type: ignore[attr-defined]
            self._build_from(batch, batch.size)
        return (self.train_step if kind == "train" else self.test_step)(pack(x, y, w))

    def _run_batch(self, kind: str, batch: ArrayData) -> Any:
        if self.run_eagerly:
            self._check_data(batch)
            return self._run_eagerly(kind, batch)
        program = self._program(kind, batch, batch.size)
        if kind != "predict":
            self._check_data(batch)
        result = map_structure(public, program(*batch.leaves))
        dtypes = iter(program.output_dtypes)
        return map_structure(lambda x: None if x is None else outside(x, next(dtypes)), result)

    def _logs(self, kind: str, result: Any) -> dict[str, Any]:
        """Results as Python numbers, by sorted name."""
        logs = result if self._overrides(f"{kind}_step") and isinstance(result, dict) else self.get_metrics_result()
        return {k: number(logs[k]) for k in sorted(logs)}

    def _flat_results(self, logs: dict[str, Any]) -> Any:
        """Logs as Keras lists them: the loss, metrics by name, outputs' losses, the rest sorted; a number if it is one."""
        names = ["loss"]
        if self._objectives is not None:
            names += [m.name for m in self._objectives.all_metrics]
        names += [m.name for m in self.metrics]
        order = [*dict.fromkeys(n for n in names if n in logs)]
        values = [logs[k] for k in [*order, *sorted(k for k in logs if k not in order)]]
        return values[0] if len(values) == 1 else values

    # --- checks -----------------------------------------------------------------------------------------------------

    def _check_batches(self, data: ArrayData, batch_size: int, steps: int | None) -> None:
        """For subclasses: raises before fit's first batch where batches of this size will not do."""

    def _check_data(self, data: ArrayData) -> None:
        """Integer labels must name classes that the output has; Keras would give NaN or nonsense."""
        if data.size == 0:
            raise ValueError("x: expected at least one sample; received an empty array")
        objectives, y = self._objectives, data.data[1]
        if objectives is None or y is None or not objectives.classes:
            return
        for i, (classes, ignored) in objectives.classes.items():
            labels = objectives.targets(y)[i]
            if labels is None or not labels.size:
                continue
            labels = to_host(labels)
            if ignored is not None:
                labels = labels[labels != ignored]
            if labels.size and not (labels.min() >= 0 and labels.max() < classes):
                name = f' of output "{objectives.names[i]}"' if len(objectives.names) > 1 else ""
                raise ValueError(
                    f"y{name}: expected classes from 0 to {classes - 1}; received {labels.min()} to {labels.max()}"
                )
