"""compile, fit, evaluate, predict and the *_on_batch methods, after keras.Model.

With data in memory and no callback that wants batches, many steps run in one call of the core; losses and metrics
accumulate in variables that are read only when shown.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from berrante import random
from berrante.callbacks import CallbackList, History
from berrante.data import ArrayData, weigh_classes
from berrante.graph.tape import flatten
from berrante.graph.variable import Variable
from berrante.models.batches import Batches, check_positive, concatenate, is_stream, split, validation_of
from berrante.models.compiling import CompiledObjectives, check_kinds, resolve_loss, resolve_metric
from berrante.models.programs import Programs

# Seconds that one call of the core may take: short enough for a lively progress bar and Ctrl-C.
_BUDGET = 0.1


class NotCompiledError(ValueError, RuntimeError):
    """A method that needs compile() was called before it (a ValueError in Keras 3, a RuntimeError in Keras 2)."""


class Trainer(Programs):
    """The training half of Model: compile, programs, loops."""

    name: str
    optimizer: Any
    run_eagerly: bool
    stop_training: bool
    stop_evaluating: bool
    stop_predicting: bool
    steps_per_execution: int
    _initial_epoch: int | None
    _programs: dict[Any, Any]

    def __init__(self) -> None:
        """For layers that get the training methods without being a Model: `class M(Trainer, Dense)`."""
        if "_programs" not in self.__dict__:
            self._setup_trainer()

    def _has_call(self) -> bool:
        return True

    def _setup_trainer(self) -> None:
        put = object.__setattr__
        put(self, "compiled", False)
        for flag in ("stop_training", "stop_evaluating", "stop_predicting"):
            put(self, flag, False)
        put(self, "steps_per_execution", 1)
        put(self, "_initial_epoch", None)
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
        """Chooses optimizer, loss and metrics. Which weights train is decided here, as `trainable` stands now.

        auto_scale_loss: with the policy mixed_float16, the optimizer is put into a LossScaleOptimizer.
        """
        if kwargs:
            raise TypeError(f"compile() got unexpected arguments: {', '.join(sorted(kwargs))}")
        from berrante import optimizers as module

        check_positive("steps_per_execution", steps_per_execution)
        chosen = module.get(optimizer)
        mixed = self.dtype_policy.name == "mixed_float16"  # type: ignore[attr-defined]
        if auto_scale_loss and mixed and chosen is not None and not isinstance(chosen, module.LossScaleOptimizer):
            chosen = module.LossScaleOptimizer(chosen, name="loss_scale_optimizer")
        check_kinds(loss_weights, metrics, weighted_metrics)
        self._compile_arguments = {
            "optimizer": chosen, "loss": loss, "loss_weights": loss_weights, "metrics": metrics,
            "weighted_metrics": weighted_metrics, "run_eagerly": run_eagerly,
            "steps_per_execution": steps_per_execution, "jit_compile": False,
        }  # fmt: skip
        object.__setattr__(self, "optimizer", chosen)
        object.__setattr__(self, "loss", loss)
        object.__setattr__(self, "run_eagerly", run_eagerly)
        object.__setattr__(self, "steps_per_execution", steps_per_execution)
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
        else:  # unknown names are an error here and now, too
            for spec in flatten(loss):
                resolve_loss(spec)
            for spec in flatten([metrics, weighted_metrics]):
                resolve_metric(spec)

    def _known_output_names(self) -> list[str] | None:
        return None

    def _make_objectives(self, names: list[str | None]) -> None:
        a = self._compile_arguments
        self._objectives = CompiledObjectives(
            a["loss"], a["loss_weights"], a["metrics"], a["weighted_metrics"], names, self._output_kind()
        )

    def _output_kind(self) -> type:
        """What holds the outputs, where that is known."""
        return list

    def _require_compiled(self, method: str) -> None:
        if not self.compiled:
            raise NotCompiledError(f'[model "{self.name}"] call compile() before {method}()')

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

    def _order_of_epoch(self, epoch: int, rng: np.random.Generator, size: int) -> np.ndarray:
        """The samples in the order of an epoch that shuffles them."""
        return rng.permutation(size)

    # --- fit --------------------------------------------------------------------------------------------------------

    def fit(
        self, x: Any = None, y: Any = None, batch_size: int | None = None, epochs: int = 1, verbose: Any = "auto",
        callbacks: Any = None, validation_split: float = 0.0, validation_data: Any = None, shuffle: bool = True,
        class_weight: Any = None, sample_weight: Any = None, initial_epoch: int = 0, steps_per_epoch: int | None = None,
        validation_steps: int | None = None, validation_batch_size: int | None = None, validation_freq: Any = 1,
    ) -> History:  # fmt: skip
        """Trains for a number of epochs and returns the History. Arguments and defaults are Keras'."""
        self._require_compiled("fit")
        for name, value in (
            ("batch_size", batch_size), ("steps_per_epoch", steps_per_epoch), ("validation_steps", validation_steps),
            ("validation_batch_size", validation_batch_size),
        ):  # fmt: skip
            check_positive(name, value)
        validates = _validation_epochs(validation_freq)
        if is_stream(x):
            _refuse_beside_stream(y, sample_weight, validation_split and validation_data is None)
            train: Any = x
        else:
            train = ArrayData(x, y, sample_weight)
            if validation_split and validation_data is None:
                train, validation_data = split(train, validation_split)
            if class_weight is not None:
                train = ArrayData(
                    train.data[0], train.data[1], weigh_classes(train.data[1], train.data[2], class_weight)
                )
                class_weight = None
        rng = random.host_generator()
        data = Batches(
            train, batch_size, steps_per_epoch, shuffle, rng, class_weight,
            lambda epoch, size: self._order_of_epoch(epoch, rng, size),
        )  # fmt: skip
        if data.in_memory:
            self._check_batches(data.arrays, data.batch_size, data.steps)
        validation = None
        if validation_data is not None:
            validation = Batches(validation_of(validation_data), validation_batch_size or batch_size, validation_steps)
        hooks = self._hooks(callbacks, verbose, epochs, data.count, history=True)
        self.stop_training = False
        logs: dict[str, Any] = {}
        hooks.on_train_begin()
        try:
            for epoch in range(self._initial_epoch or initial_epoch, epochs):
                self.reset_metrics()
                hooks.on_epoch_begin(epoch)
                found = self._epoch("train", data, hooks, epoch)
                if found is None:  # nothing left of an iterator
                    break
                logs = found
                if validation is not None and validates(epoch + 1):
                    values = self._evaluation(validation, hooks)
                    for name, value in values.items():
                        logs[f"val_{name}"] = value
                hooks.on_epoch_end(epoch, logs)
                if self.stop_training:
                    break
        finally:
            if getattr(self.optimizer, "use_ema", False) and epochs > 0:
                self.optimizer.finalize_variable_values(self._train_variables())
        hooks.on_train_end(logs)
        return self.history  # type: ignore[no-any-return,attr-defined]

    def _hooks(
        self, callbacks: Any, verbose: Any, epochs: int, steps: int | None, history: bool = False
    ) -> CallbackList:
        if isinstance(callbacks, CallbackList):
            return callbacks
        return CallbackList(
            callbacks, add_history=history, add_progbar=verbose != 0, verbose=verbose, epochs=epochs, steps=steps,
            model=self,
        )  # fmt: skip

    def _epoch(self, kind: str, data: Batches, hooks: CallbackList, epoch: int = 0) -> dict[str, Any] | None:
        """The logs of one pass; None if the data gave no batch."""
        by_hand = self.run_eagerly or hooks.wants_batches(kind) or self._overrides(f"{kind}_step")
        if data.in_memory and not by_hand:
            return self._epoch_in_core(kind, data, hooks, epoch)
        result: Any = None
        group, first, last = self.steps_per_execution, 0, -1  # type: ignore[attr-defined]
        logs: dict[str, Any] = {}
        shown = hooks.wants_batches(kind) or hooks.shows_batches
        for last, batch in enumerate(data.batches(epoch)):
            if last % group == 0:
                first = last
                getattr(hooks, f"on_{kind}_batch_begin")(first)
            result = self._run_batch(kind, batch)
            if (last + 1) % group == 0 or last + 1 == data.count:
                logs = self._logs(kind, result) if shown else {}
                getattr(hooks, f"on_{kind}_batch_end")(first + group - 1, logs)
                if self.stop_training if kind == "train" else self.stop_evaluating:  # type: ignore[attr-defined]
                    break
        return None if last < 0 else self._logs(kind, result)

    def _epoch_in_core(self, kind: str, data: Batches, hooks: CallbackList, epoch: int) -> dict[str, Any]:
        """Many steps in each call of the core."""
        arrays, size = data.arrays, data.batch_size
        order, n = data.rows(epoch)
        whole, rest = divmod(n, size)
        total = whole + (rest > 0)
        program = self._program(kind, arrays, size if whole else rest)
        if not data.checked:  # once: the same samples come in every epoch
            self._check_data(arrays)
            data.checked = True
        done = 0
        while done < whole:
            program = self._program(kind, arrays, size)
            done += program.run_batches(arrays.leaves, order, done, whole - done, _BUDGET)
            if hooks.shows_batches and done < total:
                hooks.show_batch(kind, done - 1, self._logs(kind, None))
        if rest:
            tail = np.arange(whole * size, n) if order is None else np.ascontiguousarray(order[whole * size :])
            self._program(kind, arrays, rest).run_batches(arrays.leaves, tail, 0, 1)
        logs = self._logs(kind, None)
        if hooks.shows_batches:
            hooks.show_batch(kind, total - 1, logs)
        return logs

    # --- evaluate and predict ---------------------------------------------------------------------------------------

    def evaluate(
        self, x: Any = None, y: Any = None, batch_size: int | None = None, verbose: Any = "auto",
        sample_weight: Any = None, steps: int | None = None, callbacks: Any = None, return_dict: bool = False,
        **kwargs: Any,
    ) -> Any:  # fmt: skip
        """The loss and metrics over data: a list in the order of `metrics_names` (a number if there is one), or a dict."""
        self._require_compiled("evaluate")
        if kwargs:
            raise ValueError(f"evaluate: arguments not recognized: {', '.join(sorted(kwargs))}")
        check_positive("batch_size", batch_size)
        check_positive("steps", steps)
        if is_stream(x):
            _refuse_beside_stream(y, sample_weight, False)
        data = Batches(x if is_stream(x) else ArrayData(x, y, sample_weight), batch_size, steps)
        logs = self._evaluation(data, self._hooks(callbacks, verbose, 1, data.count))
        return logs if return_dict else self._flat_results(logs)

    def _evaluation(self, data: Batches, hooks: CallbackList) -> dict[str, Any]:
        object.__setattr__(self, "stop_evaluating", False)
        hooks.on_test_begin()
        self.reset_metrics()
        data.restart()
        logs = self._epoch("test", data, hooks)
        if logs is None:
            raise ValueError("x: expected at least one batch to evaluate; the data gave none")
        hooks.on_test_end(logs)
        return logs

    def predict(
        self, x: Any, batch_size: int | None = None, verbose: Any = "auto", steps: int | None = None,
        callbacks: Any = None,
    ) -> Any:  # fmt: skip
        """Predictions as NumPy arrays, in the nesting of the model's outputs."""
        check_positive("batch_size", batch_size)
        check_positive("steps", steps)
        data = Batches(x if is_stream(x) else ArrayData(x), batch_size, steps)
        hooks = self._hooks(callbacks, verbose, 1, data.count)
        object.__setattr__(self, "stop_predicting", False)
        hooks.on_predict_begin()
        parts = []
        for k, batch in enumerate(data.batches(0)):
            hooks.on_predict_batch_begin(k)
            parts.append(self._run_batch("predict", batch.inputs()))
            hooks.on_predict_batch_end(k, {"outputs": parts[-1]})
            if self.stop_predicting:  # type: ignore[attr-defined]
                break
        if not parts:
            raise ValueError("x: expected at least one batch to predict; the data gave none")
        hooks.on_predict_end()
        return parts[0] if len(parts) == 1 else concatenate(parts)

    # --- single batches ---------------------------------------------------------------------------------------------

    def train_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, class_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """One update; gives the batch's loss and metrics."""
        self._require_compiled("train_on_batch")
        data = ArrayData(x, y, sample_weight)
        if class_weight is not None:
            data = ArrayData(data.data[0], data.data[1], weigh_classes(data.data[1], data.data[2], class_weight))
        return self._on_batch("train", data, return_dict)

    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """The loss and metrics of a batch."""
        self._require_compiled("test_on_batch")
        return self._on_batch("test", ArrayData(x, y, sample_weight), return_dict)

    def _on_batch(self, kind: str, data: ArrayData, return_dict: bool) -> Any:
        if data.size == 0:
            raise ValueError("x: expected at least one sample; received an empty array")
        self.reset_metrics()
        logs = self._logs(kind, self._run_batch(kind, data))
        return logs if return_dict else self._flat_results(logs)

    def predict_on_batch(self, x: Any) -> Any:
        """Predictions for one batch."""
        return self._run_batch("predict", ArrayData(x))


def _validation_epochs(frequency: Any) -> Any:
    """Whether to validate after the n-th epoch, n counted from 1."""
    if isinstance(frequency, int) and not isinstance(frequency, bool):
        check_positive("validation_freq", frequency)
        return lambda n: n % frequency == 0
    if isinstance(frequency, (list, tuple, set)):
        return lambda n: n in frequency
    raise ValueError(
        f"Expected `validation_freq` to be a list or int. Received: validation_freq={frequency} of the type "
        f"{type(frequency)}."
    )


def _refuse_beside_stream(y: Any, sample_weight: Any, splits: Any) -> None:
    for name, value in (("y", y), ("sample_weight", sample_weight)):
        if value is not None:
            raise ValueError(
                f"{name}: a generator or dataset gives it with its batches; received it as an argument as well"
            )
    if splits:
        raise ValueError("validation_split: expected arrays in memory; received a generator or dataset")
