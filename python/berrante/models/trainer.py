"""compile, fit, evaluate, predict and the *_on_batch methods, after keras.Model.

A step (train_step, test_step, predict_step) is traced once per signature of a batch into a Program. With data in memory and
no callback that wants batches, many steps run in one call of the core; losses and metrics accumulate in variables that
are read only when shown.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from berrante import ops, random
from berrante.callbacks import Callback, CallbackList, History, ProgbarLogger
from berrante.data import ArrayData, Rounds, batches_of, specs_of, unpack, weigh_classes
from berrante.graph import trace
from berrante.graph.program import Program
from berrante.graph.tape import map_structure
from berrante.graph.tensor import Tensor
from berrante.graph.variable import Variable
from berrante.models.batches import check_positive, concatenate, is_stream, number, split, take
from berrante.models.compiling import CompiledObjectives
from berrante.models.steps import Steps

# Seconds that one call of the core may take: short enough for a lively progress bar and Ctrl-C.
_BUDGET = 0.1
_MAX_PROGRAMS = 32


class Trainer(Steps):
    """The training half of Model: compile, programs, loops."""

    name: str
    optimizer: Any
    run_eagerly: bool
    _programs: dict[Any, Any]

    def _setup_trainer(self) -> None:
        put = object.__setattr__
        put(self, "compiled", False)
        put(self, "stop_training", False)
        put(self, "optimizer", None)
        put(self, "loss", None)
        put(self, "_objectives", None)
        put(self, "_compile_arguments", None)
        put(self, "_compiled_trainable", None)
        put(self, "_loss_tracker", None)
        put(self, "_programs", {})
        put(self, "history", None)
        put(self, "run_eagerly", False)
        put(self, "_test_mode", False)

    # --- compile ----------------------------------------------------------------------------------------------------

    def compile(
        self, optimizer: Any = "rmsprop", loss: Any = None, loss_weights: Any = None, metrics: Any = None,
        weighted_metrics: Any = None, run_eagerly: bool = False, steps_per_execution: int = 1, jit_compile: Any = "auto",
        auto_scale_loss: bool = True, **kwargs: Any,
    ) -> None:  # fmt: skip
        """Chooses optimizer, loss and metrics. Which weights train is decided here, as `trainable` stands now."""
        if kwargs:
            raise TypeError(f"compile() got unexpected arguments: {', '.join(sorted(kwargs))}")
        from berrante import optimizers as module

        chosen = module.get(optimizer)
        self._compile_arguments = {
            "optimizer": chosen, "loss": loss, "loss_weights": loss_weights, "metrics": metrics,
            "weighted_metrics": weighted_metrics, "run_eagerly": run_eagerly,
            "steps_per_execution": steps_per_execution, "jit_compile": False,
        }  # fmt: skip
        object.__setattr__(self, "optimizer", chosen)
        object.__setattr__(self, "loss", loss)
        object.__setattr__(self, "run_eagerly", run_eagerly)
        self._objectives = None
        self._programs.clear()
        self.stop_training = False
        self.compiled = True
        from berrante.metrics import Mean

        object.__setattr__(self, "_loss_tracker", Mean(name="loss"))
        self._compiled_trainable = list(self.trainable_variables) if self.built else None  # type: ignore[attr-defined]
        names = self._known_output_names()
        if names is not None:
            self._make_objectives(list(names))

    def _known_output_names(self) -> list[str] | None:
        return None

    def _has_call(self) -> bool:
        raise NotImplementedError

    def _make_objectives(self, names: list[str | None]) -> None:
        a = self._compile_arguments
        self._objectives = CompiledObjectives(a["loss"], a["loss_weights"], a["metrics"], a["weighted_metrics"], names)

    def _require_compiled(self, method: str) -> None:
        if not self.compiled:
            raise RuntimeError(f'[model "{self.name}"] call compile() before {method}()')

    def _train_variables(self) -> list[Variable]:
        if self._compiled_trainable is None:
            self._compiled_trainable = list(self.trainable_variables)  # type: ignore[attr-defined]
        return self._compiled_trainable

    @property
    def metrics(self) -> list[Any]:
        """The loss tracker, compiled metrics, and those of the layers."""
        own = [self._loss_tracker] if self._loss_tracker is not None else []
        compiled = self._objectives.all_metrics if self._objectives is not None else []
        found = [m for layer in self._flatten_layers() for m in layer._metrics]  # type: ignore[attr-defined]
        return list(dict.fromkeys([*own, *compiled, *found]))

    @property
    def metrics_names(self) -> list[str]:
        return [m.name for m in self.metrics]

    def reset_metrics(self) -> None:
        for metric in self.metrics:
            metric.reset_state()

    # --- programs ---------------------------------------------------------------------------------------------------

    def _overrides(self, step: str) -> bool:
        function = getattr(type(self), step)
        return function is not getattr(Trainer, step) and not getattr(function, "tracked", False)

    def _program(self, kind: str, data: ArrayData, batch: int) -> Any:
        """The program of a step for batches like this data's."""
        specs = specs_of(data.leaves, batch)
        key = (kind, tuple(specs), str(map_structure(lambda a: a is None, list(data.data))), self._mode())
        program = self._programs.get(key)
        if program is not None and not program.stale:
            return program
        if kind == "train":
            self._prepare_training(data, batch)
        step = {"train": self.train_step, "test": self.test_step, "predict": self.predict_step}[kind]
        visible = kind == "predict" or self._overrides(f"{kind}_step")

        def function(*leaves: Tensor) -> Any:
            x, y, w = data.restore(leaves)
            result = step((x,) if kind == "predict" else (x, y, w))
            return result if visible else None

        program = Program(function, specs)
        if program.stale:  # the optimizer moved its variables while it was traced
            program = Program(function, specs)
        while len(self._programs) >= _MAX_PROGRAMS:
            self._programs.pop(next(iter(self._programs)))
        self._programs[key] = program
        return program

    def _mode(self) -> Any:
        """What a trace depends on beside shapes: which layers train."""
        return tuple(layer._trainable for layer in self._flatten_layers())  # type: ignore[attr-defined]

    def _optimizers(self) -> dict[str, Any]:
        """The optimizers by the names under which their state is saved."""
        return {} if self.optimizer is None else {"optimizer": self.optimizer}

    def _order_of_epoch(self, epoch: int, rng: np.random.Generator, size: int) -> np.ndarray:
        """The samples in the order of an epoch that shuffles them."""
        return rng.permutation(size)

    def _prepare_training(self, data: ArrayData, batch: int) -> None:
        """Builds the model and the optimizer before tracing, so that variables do not move afterwards."""
        if not self.built and self._has_call():  # type: ignore[attr-defined]
            self._build_from(data, batch)
        optimizer = self.optimizer
        if optimizer is not None and not optimizer.built and not self._overrides("train_step"):
            optimizer.build(self._train_variables())
            optimizer._flatten()

    def _build_from(self, data: ArrayData, batch: int) -> None:
        with trace.tracing() as graph:
            leaves = [graph.add_input(spec) for spec in specs_of(data.leaves, batch)]
            self(data.restore(leaves)[0], training=False)  # type: ignore[operator]

    def _run_eagerly(self, kind: str, batch: ArrayData) -> Any:
        tensors = [
            ops.convert_to_tensor(a, s.dtype) for a, s in zip(batch.leaves, specs_of(batch.leaves, 0), strict=True)
        ]
        x, y, w = batch.restore(tensors)
        if kind == "predict":
            return map_structure(np.asarray, self.predict_step((x,)))
        return (self.train_step if kind == "train" else self.test_step)((x, y, w))

    def _run_batch(self, kind: str, batch: ArrayData) -> Any:
        if self.run_eagerly:
            return self._run_eagerly(kind, batch)
        return self._program(kind, batch, batch.size)(*batch.leaves)

    def _logs(self, kind: str, result: Any) -> dict[str, Any]:
        """Results as Python numbers, by sorted name."""
        logs = result if self._overrides(f"{kind}_step") and isinstance(result, dict) else self.get_metrics_result()
        return {k: number(logs[k]) for k in sorted(logs)}

    # --- checks -----------------------------------------------------------------------------------------------------

    def _check_data(self, data: ArrayData) -> None:
        if data.size == 0:
            raise ValueError("x: expected at least one sample; received an empty array")
        y = data.data[1]
        if self._objectives is not None and isinstance(y, np.ndarray) and len(self._objectives.names) == 1:
            terms = self._objectives.losses
            fn = terms[0].loss if terms else None
            name = getattr(getattr(fn, "fn", None), "__name__", "")
            shape = self._output_shape()
            if name == "sparse_categorical_crossentropy" and shape and shape[-1] and y.size:
                if y.min() < 0 or y.max() >= shape[-1]:
                    if getattr(fn, "_fn_kwargs", {}).get("ignore_class") is None:
                        raise ValueError(
                            f"y: expected classes from 0 to {shape[-1] - 1}; received {y.min()} to {y.max()}"
                        )

    def _output_shape(self) -> Any:
        return None

    # --- fit --------------------------------------------------------------------------------------------------------

    def fit(
        self, x: Any = None, y: Any = None, batch_size: int | None = None, epochs: int = 1, verbose: Any = "auto",
        callbacks: Any = None, validation_split: float = 0.0, validation_data: Any = None, shuffle: bool = True,
        class_weight: Any = None, sample_weight: Any = None, initial_epoch: int = 0, steps_per_epoch: int | None = None,
        validation_steps: int | None = None, validation_batch_size: int | None = None, validation_freq: Any = 1,
    ) -> History:  # fmt: skip
        """Trains for a number of epochs and returns the History. Arguments and defaults are Keras'."""
        self._require_compiled("fit")
        check_positive("batch_size", batch_size)
        check_positive("steps_per_epoch", steps_per_epoch)
        verbose = 1 if verbose == "auto" else int(verbose)
        in_memory = not is_stream(x)
        train: Any = x
        if in_memory:
            train = ArrayData(x, y, sample_weight)
            if validation_split:
                train, validation_data = split(train, validation_split)
            if class_weight is not None:
                weights = weigh_classes(train.data[1], train.data[2], class_weight)
                train = ArrayData(train.data[0], train.data[1], weights)
            self._check_data(train)
            batch_size = min(batch_size or 32, train.size) if steps_per_epoch is None else batch_size or 32
        elif validation_split:
            raise ValueError("validation_split: expected arrays in memory; received a generator or dataset")
        elif not hasattr(x, "__len__") and steps_per_epoch is None and epochs > 1:
            steps_per_epoch = None  # a finite iterator ends its epochs itself
        if (
            validation_data is not None
            and not is_stream(validation_data)
            and not isinstance(validation_data, ArrayData)
        ):
            validation_data = ArrayData(*unpack(validation_data))
        history = History()
        bar = ProgbarLogger(verbose)
        listed = callbacks if isinstance(callbacks, (list, tuple)) else [callbacks] if callbacks is not None else []
        for callback in listed:
            if not isinstance(callback, Callback):
                raise TypeError(f"callbacks: expected Callback objects; received {callback!r}")
        hooks = CallbackList(
            [*listed, bar, history], self, {"epochs": epochs, "verbose": verbose, "steps": steps_per_epoch}
        )
        object.__setattr__(self, "history", history)
        self.stop_training = False
        rng = random.host_generator()
        hooks.on_train_begin()
        logs: dict[str, Any] = {}
        stream = iter(x) if not in_memory and not hasattr(x, "__getitem__") else None
        if not in_memory and stream is None and steps_per_epoch is not None:
            stream = Rounds(x, shuffle, rng)
        for epoch in range(initial_epoch, epochs):
            self.reset_metrics()
            hooks.on_epoch_begin(epoch)
            if in_memory:
                logs = self._epoch_in_memory(train, batch_size or 32, shuffle, rng, hooks, bar, epoch, steps_per_epoch)
            else:
                logs = self._epoch_of_stream(
                    stream or x, steps_per_epoch, shuffle, rng, hooks, bar, epoch, class_weight
                )
            due = (
                (epoch + 1) % validation_freq == 0 if isinstance(validation_freq, int) else epoch + 1 in validation_freq
            )
            if validation_data is not None and due:
                values = self._evaluate(validation_data, validation_batch_size or batch_size or 32, validation_steps)
                logs = logs | {f"val_{k}": v for k, v in values.items()}
            if verbose:
                bar.update(bar.steps or 0, logs, finalize=True)
            hooks.on_epoch_end(epoch, logs)
            if self.stop_training:
                break
        if getattr(self.optimizer, "use_ema", False):
            self.optimizer.finalize_variable_values()
        hooks.on_train_end(logs)
        return history

    def _epoch_in_memory(
        self, data: ArrayData, batch: int, shuffle: bool, rng: Any, hooks: CallbackList, bar: ProgbarLogger, epoch: int,
        steps: int | None,
    ) -> dict[str, Any]:  # fmt: skip
        n = data.size
        order = self._order_of_epoch(epoch, rng, n) if shuffle else None
        if steps is not None:  # Keras starts over when the samples are used up
            rows = order if order is not None else np.arange(n)
            order = np.resize(rows, steps * batch)
            n = steps * batch
        whole, rest = divmod(n, batch)
        total = whole + (rest > 0)
        bar.begin(epoch, total)
        if self.run_eagerly or hooks.wants_batches or self._overrides("train_step"):
            rows = np.arange(n) if order is None else order
            return self._steps(
                "train", (take(data, rows[k * batch : (k + 1) * batch]) for k in range(total)), hooks, bar
            )
        done = 0
        while done < whole:
            program = self._program("train", data, batch)
            done += program.run_batches(data.leaves, order, done, whole - done, _BUDGET)
            if bar.verbose == 1 and done < total:
                bar.update(done, self._logs("train", None))
        if rest:
            program = self._program("train", data, rest)
            tail = np.ascontiguousarray((np.arange(n) if order is None else order)[whole * batch :])
            program.run_batches(data.leaves, tail, 0, 1)
        return self._logs("train", None)

    def _epoch_of_stream(
        self, source: Any, steps: int | None, shuffle: bool, rng: Any, hooks: CallbackList, bar: ProgbarLogger,
        epoch: int, class_weight: Any,
    ) -> dict[str, Any]:  # fmt: skip
        length = len(source) if hasattr(source, "__len__") else None
        bar.begin(epoch, steps if steps is not None else length)
        if hasattr(source, "on_epoch_begin"):
            source.on_epoch_begin()

        def batches() -> Any:
            for b in batches_of(source, steps, shuffle, rng):
                if class_weight is not None:
                    b = ArrayData(b.data[0], b.data[1], weigh_classes(b.data[1], b.data[2], class_weight))
                yield b

        logs = self._steps("train", batches(), hooks, bar)
        if hasattr(source, "on_epoch_end"):
            source.on_epoch_end()
        return logs

    def _steps(self, kind: str, batches: Any, hooks: CallbackList | None, bar: ProgbarLogger | None) -> dict[str, Any]:
        """Batch by batch, with hooks."""
        result: Any = None
        logs: dict[str, Any] = {}
        k = -1
        for k, batch in enumerate(batches):
            if hooks is not None and hooks.wants_batches:
                hooks.on_train_batch_begin(k)
            result = self._run_batch(kind, batch)
            if hooks is not None and (hooks.wants_batches or (bar is not None and bar.verbose == 1)):
                logs = self._logs(kind, result)
                if hooks.wants_batches:
                    hooks.on_train_batch_end(k, logs)
                if bar is not None:
                    bar.update(k + 1, logs)
            if self.stop_training and kind == "train":
                break
        if k < 0:
            raise ValueError("x: expected at least one batch; the data gave none")
        if bar is not None and bar.bar is not None and bar.steps is None:
            bar.steps = bar.bar.target = k + 1
        return self._logs(kind, result)

    # --- evaluate and predict ---------------------------------------------------------------------------------------

    def evaluate(
        self, x: Any = None, y: Any = None, batch_size: int | None = None, verbose: Any = "auto",
        sample_weight: Any = None, steps: int | None = None, callbacks: Any = None, return_dict: bool = False, **_: Any,
    ) -> Any:  # fmt: skip
        """The loss and metrics over data: a list in the order of `metrics_names` (a number if there is one), or a dict."""
        self._require_compiled("evaluate")
        check_positive("batch_size", batch_size)
        data: Any = x if is_stream(x) else ArrayData(x, y, sample_weight)
        if isinstance(data, ArrayData):
            self._check_data(data)
        listed = callbacks if isinstance(callbacks, (list, tuple)) else [callbacks] if callbacks is not None else []
        hooks = CallbackList(listed, self, {})
        hooks.on_test_begin()
        logs = self._evaluate(data, batch_size or 32, steps)
        hooks.on_test_end(logs)
        if verbose not in (0, "0") and (verbose == 1 or verbose == 2):
            bar = ProgbarLogger(verbose)
            bar.begin(None, 1)
            bar.update(1, logs, finalize=True)
        return logs if return_dict else self._flat_results(logs)

    def _flat_results(self, logs: dict[str, Any]) -> Any:
        order = ["loss", *(k for k in self.get_metrics_result() if k != "loss")]
        values = [logs[k] for k in order if k in logs]
        return values[0] if len(values) == 1 else values

    def _evaluate(self, data: Any, batch: int, steps: int | None) -> dict[str, Any]:
        saved = [(m, [v.numpy() for v in m.variables]) for m in self.metrics]
        self.reset_metrics()
        try:
            if not isinstance(data, ArrayData):
                return self._steps("test", batches_of(data, steps, False, None), None, None)
            n = data.size if steps is None else min(data.size, steps * batch)
            whole, rest = divmod(n, batch)
            if self.run_eagerly or self._overrides("test_step"):
                parts = (data.rows(k * batch, min(n, (k + 1) * batch)) for k in range(whole + (rest > 0)))
                return self._steps("test", parts, None, None)
            done = 0
            while done < whole:
                done += self._program("test", data, batch).run_batches(data.leaves, None, done, whole - done, _BUDGET)
            if rest:
                tail = np.arange(whole * batch, n)
                self._program("test", data, rest).run_batches(data.leaves, tail, 0, 1)
            return self._logs("test", None)
        finally:
            for metric, values in saved:
                for v, value in zip(metric.variables, values, strict=True):
                    v.array[...] = value

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: Any = "auto",
        steps: int | None = None,
        callbacks: Any = None,
    ) -> Any:
        """Predictions as NumPy arrays, batch by batch."""
        check_positive("batch_size", batch_size)
        batch = batch_size or 32
        if is_stream(x):
            parts = [self._run_batch("predict", ArrayData(b.data[0])) for b in batches_of(x, steps, False, None)]
            return concatenate(parts)
        data = ArrayData(x)
        if data.size == 0:
            raise ValueError("x: expected at least one sample; received an empty array")
        n = data.size if steps is None else min(data.size, steps * batch)
        if n <= batch:
            part = data if n == data.size else data.rows(0, n)
            return self._run_batch("predict", part)
        return concatenate([self._run_batch("predict", data.rows(k, min(k + batch, n))) for k in range(0, n, batch)])

    def train_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, class_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """One update; gives the metrics since the last reset, as Keras 3 does."""
        self._require_compiled("train_on_batch")
        data = ArrayData(x, y, sample_weight)
        if class_weight is not None:
            data = ArrayData(data.data[0], data.data[1], weigh_classes(data.data[1], data.data[2], class_weight))
        self._check_data(data)
        logs = self._logs("train", self._run_batch("train", data))
        return logs if return_dict else self._flat_results(logs)

    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """The metrics of one batch (and those before it, since the last reset)."""
        self._require_compiled("test_on_batch")
        data = ArrayData(x, y, sample_weight)
        self._check_data(data)
        logs = self._logs("test", self._run_batch("test", data))
        return logs if return_dict else self._flat_results(logs)

    def predict_on_batch(self, x: Any) -> Any:
        """Predictions for one batch."""
        return self._run_batch("predict", ArrayData(x))
