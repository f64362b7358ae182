"""Training as Keras 2 has it: its compile, its generators, its logs, symbolic losses, lenient input ranks."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from berrante import ops
from berrante.compat.backend.state import _Phase
from berrante.compat.differences import FIT_ARGUMENTS, GENERATOR_ARGUMENTS
from berrante.compat.keras2 import optimizers
from berrante.compat.keras2.fed import Fed
from berrante.compat.keras2.layer import Layer, frozen, rename_arguments
from berrante.compat.keras2.objectives import Logs, Objectives
from berrante.data import ArrayData
from berrante.graph.keras_tensor import KerasTensor, bound, value_of
from berrante.graph.op import as_tensor
from berrante.graph.tape import flatten
from berrante.layers.masking import get_mask, set_mask
from berrante.models.functional import FunctionGraph

_IGNORED = ("max_queue_size", "workers", "use_multiprocessing")


class Training(Fed, Layer):
    """What Keras 2's Model does otherwise than berrante's; it stands before it in the bases."""

    _symbolic_losses: list[KerasTensor]
    _known: dict[int, Any]

    def _setup(self) -> None:
        fresh = "_layers" not in self.__dict__
        super()._setup()
        if fresh:
            object.__setattr__(self, "_symbolic_losses", [])
            object.__setattr__(self, "_known", {})
            object.__setattr__(self, "_warned", set())

    # --- compile ----------------------------------------------------------------------------------------------------

    def compile(
        self, optimizer: Any, loss: Any = None, metrics: Any = None, loss_weights: Any = None,
        sample_weight_mode: Any = None, weighted_metrics: Any = None, target_tensors: Any = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        """Chooses optimizer, loss and metrics, in Keras 2's order of arguments."""
        self._set_targets(target_tensors)
        if isinstance(loss, dict) and self._known_output_names():  # type: ignore[attr-defined]
            unknown = [k for k in loss if k not in self._known_output_names()]  # type: ignore[attr-defined]
            if unknown:
                names = ", ".join(self._known_output_names())  # type: ignore[attr-defined]
                raise ValueError(f"Unknown entry in loss dictionary: {unknown[0]!r}; the outputs are {names}")
        self._set_weight_modes(sample_weight_mode)
        if loss_weights is not None and not isinstance(loss_weights, (list, dict)):
            raise TypeError(f"loss_weights: expected a list or dict; received {loss_weights!r}")
        known = {k: kwargs.pop(k) for k in ("run_eagerly", "steps_per_execution") if k in kwargs}
        for ignored in ("jit_compile", "experimental_run_tf_function", "options", "run_metadata"):
            kwargs.pop(ignored, None)
        super().compile(  # type: ignore[misc]
            optimizers.get(optimizer), loss, loss_weights, metrics, weighted_metrics, **known, **kwargs
        )

    def _make_objectives(self, names: list[str | None]) -> None:
        a: Any = self._compile_arguments  # type: ignore[attr-defined]
        objectives = Objectives(a["loss"], a["loss_weights"], a["metrics"], a["weighted_metrics"], names)
        object.__setattr__(self, "_objectives", objectives)

    def _require_compiled(self, method: str) -> None:
        super()._require_compiled(method)  # type: ignore[misc]
        if method != "evaluate":
            self._check_trainable()

    def summary(self, *args: Any, **kwargs: Any) -> None:
        """Prints the layers, their output shapes and parameters."""
        self._check_trainable()
        order = ("line_length", "positions", "print_fn")
        super().summary(**{**dict(zip(order, args)), **kwargs})  # type: ignore[misc]

    def _check_trainable(self) -> None:
        collected = getattr(self, "_compiled_trainable", None)
        if collected is not None and len(collected) != len(self.trainable_weights):
            warnings.warn(
                "Discrepancy between trainable weights and collected trainable weights, did you set `model.trainable` "
                "without calling `model.compile` after ?",
                UserWarning,
                stacklevel=4,
            )

    @property
    def metrics_names(self) -> list[str]:
        """loss, then each output's loss where there are several, then the metrics."""
        names = ["loss"]
        if self._objectives is not None:  # type: ignore[attr-defined]
            names.extend(self._objectives.results())  # type: ignore[attr-defined]
        return names

    # --- losses -----------------------------------------------------------------------------------------------------

    def add_loss(self, losses: Any, inputs: Any = None) -> None:
        """Adds to the loss: expressions of the model's placeholders, or values inside call()."""
        for loss in flatten(losses):
            if isinstance(loss, KerasTensor):
                self._symbolic_losses.append(loss)
                self._programs.clear()  # type: ignore[attr-defined]
            else:
                super().add_loss(loss)

    @property
    def losses(self) -> list[Any]:
        """Penalties, and what add_loss added: placeholders outside a step, values inside."""
        known = self._known
        symbolic = [value_of(loss, known) for loss in self._symbolic_losses] if known else self._symbolic_losses
        return [*super().losses, *symbolic]

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        graph: FunctionGraph | None = self._graph  # type: ignore[attr-defined]
        if graph is None:
            return super().call(inputs, training)
        if _Phase.fixed is not None:
            training = bool(_Phase.fixed)
        frozen.depth += not self._trainable
        try:
            outputs, known = graph.run_known(self._input_values(inputs), training)  # type: ignore[attr-defined]
        finally:
            frozen.depth -= not self._trainable
        object.__setattr__(self, "_known", known)
        return outputs

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The outputs' masks; a list of them where there are several outputs."""
        graph: FunctionGraph | None = self._graph  # type: ignore[attr-defined]
        if graph is None:
            return super().compute_mask(inputs, mask)
        if all(m is None for m in flatten(mask)) or any(isinstance(x, KerasTensor) for x in flatten(inputs)):
            masks = [t._keras_mask for t in graph.outputs]
        else:
            tensors = [as_tensor(x) for x in flatten(inputs)]
            for x, m in zip(tensors, flatten(mask), strict=True):
                set_mask(x, m)
            masks = [get_mask(y) for y in flatten(graph.run(tensors, False))]
        return masks if len(masks) > 1 else masks[0]

    def compute_loss(self, *args: Any, **kwargs: Any) -> Any:
        with bound(self._known):
            return super().compute_loss(*args, **kwargs)  # type: ignore[misc]

    def compute_metrics(self, *args: Any, **kwargs: Any) -> Any:
        with bound(self._known):
            return super().compute_metrics(*args, **kwargs)  # type: ignore[misc]

    # --- data -------------------------------------------------------------------------------------------------------

    def _fit_rank(self, value: Any, tensor: KerasTensor) -> Any:
        """As Keras 3, but a shape that does not fit is passed on with a warning: Keras 2's models often ran on it."""
        try:
            return super()._fit_rank(value, tensor)  # type: ignore[misc]
        except ValueError:
            shape = tuple(value.shape)
            if len(shape) == len(tensor.shape):
                raise
            if shape not in self.__dict__["_warned"]:
                self.__dict__["_warned"].add(shape)
                warnings.warn(
                    f"Model was constructed with shape {tensor.shape} for input {tensor.name!r}, but it was called on an "
                    f"input with incompatible shape {shape}.",
                    stacklevel=2,
                )
            return ops.cast(value, tensor.dtype)

    def _mode(self) -> Any:
        return _Phase.fixed, super()._mode()  # type: ignore[misc]

    def _logs(self, kind: str, result: Any) -> dict[str, Any]:
        return Logs(super()._logs(kind, result))  # type: ignore[misc]

    # --- methods ----------------------------------------------------------------------------------------------------

    def _flat_results(self, logs: dict[str, Any]) -> Any:
        """Keras 2 gives NumPy scalars."""
        values = super()._flat_results(logs)  # type: ignore[misc]
        return [np.float32(v) for v in values] if isinstance(values, list) else np.float32(values)

    def fit(self, *args: Any, **kwargs: Any) -> Any:
        """fit with Keras 2's names; the History's `acc` answers to `accuracy` too."""
        kwargs = rename_arguments("fit", FIT_ARGUMENTS, kwargs)
        for ignored in _IGNORED:
            kwargs.pop(ignored, None)
        args, kwargs = self._complete(args, kwargs)
        kwargs = self._check_weights(args, kwargs)
        self._check_classes(args[1] if len(args) > 1 else kwargs.get("y"), kwargs.get("class_weight"))
        validation = kwargs.get("validation_data")
        for callback in kwargs.get("callbacks") or []:
            if hasattr(callback, "validation_data") and isinstance(validation, (tuple, list)):
                callback.validation_data = _as_arrays(validation)
        history = super().fit(*args, **kwargs)  # type: ignore[misc]
        history.history = Logs(history.history)
        return history

    def _check_classes(self, y: Any, class_weight: Any) -> None:
        if not isinstance(class_weight, dict) or not isinstance(y, np.ndarray):
            return
        found = y.argmax(-1) if y.ndim > 1 and y.shape[-1] > 1 else y.reshape(-1)
        missing = set(np.unique(found).astype(int).tolist()) - {int(k) for k in class_weight}
        if missing and all(isinstance(k, (int, np.integer)) for k in class_weight):
            raise ValueError(f"class_weight: the classes {sorted(missing)} exist in the data but not in class_weight")

    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        for ignored in _IGNORED:
            kwargs.pop(ignored, None)
        args, kwargs = self._complete(args, kwargs)
        kwargs = self._check_weights(args, kwargs)
        return super().evaluate(*args, **kwargs)  # type: ignore[misc]

    def predict(self, *args: Any, **kwargs: Any) -> Any:
        for ignored in _IGNORED:
            kwargs.pop(ignored, None)
        args, kwargs = self._complete(args, kwargs, takes_y=False)
        return super().predict(*args, **kwargs)  # type: ignore[misc]

    def fit_generator(
        self, generator: Any, steps_per_epoch: Any = None, epochs: int = 1, verbose: int = 1, callbacks: Any = None,
        validation_data: Any = None, validation_steps: Any = None, class_weight: Any = None, max_queue_size: int = 10,
        workers: int = 1, use_multiprocessing: bool = False, shuffle: bool = True, initial_epoch: int = 0, **kwargs: Any,
    ) -> Any:  # fmt: skip
        """Trains on a generator of (x, y) or (x, y, sample_weight); a Keras 1 call gives samples an epoch instead."""
        renamed = rename_arguments("fit_generator", GENERATOR_ARGUMENTS, kwargs)
        steps_per_epoch = renamed.pop("steps_per_epoch", steps_per_epoch)
        epochs = renamed.pop("epochs", epochs)
        validation_steps = renamed.pop("validation_steps", validation_steps)
        for ignored in _IGNORED:
            renamed.pop(ignored, None)
        if (
            renamed.pop("use_multiprocessing", use_multiprocessing)
            and workers > 1
            and not hasattr(generator, "__getitem__")
        ):
            warnings.warn(
                "Using a generator with `use_multiprocessing=True` and multiple workers may duplicate your data. Please "
                "consider using the `keras.utils.Sequence` class.",
                stacklevel=2,
            )
        if renamed:
            raise TypeError(f"fit_generator got unexpected arguments: {', '.join(sorted(renamed))}")
        generator = _Restartable(generator)
        if "samples_per_epoch" in kwargs:
            steps_per_epoch = generator.steps_for(steps_per_epoch)
        if validation_data is not None and not isinstance(validation_data, tuple):
            validation_data = _Restartable(validation_data)
            if "nb_val_samples" in kwargs:
                validation_steps = validation_data.steps_for(validation_steps)
            validation_data = validation_data.source()
        return self.fit(
            generator.source(), None, epochs=epochs, verbose=verbose, callbacks=callbacks,
            validation_data=validation_data, validation_steps=validation_steps, class_weight=class_weight,
            shuffle=shuffle, initial_epoch=initial_epoch, steps_per_epoch=steps_per_epoch,
        )  # fmt: skip

    def evaluate_generator(
        self, generator: Any, steps: Any = None, max_queue_size: int = 10, workers: int = 1,
        use_multiprocessing: bool = False, verbose: int = 0, **kwargs: Any,
    ) -> Any:  # fmt: skip
        """evaluate on a generator."""
        steps = rename_arguments("evaluate_generator", GENERATOR_ARGUMENTS, kwargs).get("steps", steps)
        return self.evaluate(generator, steps=steps, verbose=verbose)

    def predict_generator(
        self, generator: Any, steps: Any = None, max_queue_size: int = 10, workers: int = 1,
        use_multiprocessing: bool = False, verbose: int = 0, **kwargs: Any,
    ) -> Any:  # fmt: skip
        """predict on a generator."""
        steps = rename_arguments("predict_generator", GENERATOR_ARGUMENTS, kwargs).get("steps", steps)
        return self.predict(generator, steps=steps, verbose=verbose)

    def train_on_batch(self, *args: Any, **kwargs: Any) -> Any:
        """One update; gives this batch's loss and metrics."""
        self.reset_metrics()  # type: ignore[attr-defined]
        kwargs.pop("reset_metrics", None)
        kwargs.update(zip(("sample_weight",), args[2:]))
        args, kwargs = self._complete(args[:2], kwargs)
        kwargs = self._check_weights(args, kwargs)
        return super().train_on_batch(*args, **kwargs)  # type: ignore[misc]

    def test_on_batch(self, *args: Any, **kwargs: Any) -> Any:
        """This batch's loss and metrics."""
        self.reset_metrics()  # type: ignore[attr-defined]
        kwargs.pop("reset_metrics", None)
        kwargs.update(zip(("sample_weight",), args[2:]))
        args, kwargs = self._complete(args[:2], kwargs)
        kwargs = self._check_weights(args, kwargs)
        return super().test_on_batch(*args, **kwargs)  # type: ignore[misc]

    def predict_on_batch(self, x: Any) -> Any:
        """Predictions for one batch."""
        return super().predict_on_batch(self._complete_inputs(x))  # type: ignore[misc]

    def _make_train_function(self) -> None:
        """Makes the optimizer's slots, as scripts that look at its weights expect."""
        self._require_compiled("_make_train_function")
        if not self.optimizer.built:  # type: ignore[attr-defined]
            self.optimizer.build(self._train_variables())  # type: ignore[attr-defined]

    def _make_test_function(self) -> None:
        """Nothing to prepare."""

    _make_predict_function = _make_test_function

    def predict_proba(self, x: Any, batch_size: int = 32, verbose: int = 0) -> Any:
        """predict, with a warning where the outputs are no probabilities."""
        predictions = self.predict(x, batch_size=batch_size, verbose=verbose)
        if predictions.min() < 0.0 or predictions.max() > 1.0:
            warnings.warn("Network returning invalid probability values", stacklevel=2)
        return predictions

    def predict_classes(self, x: Any, batch_size: int = 32, verbose: int = 0) -> Any:
        """The most probable class of each sample; for one output whether it exceeds 0.5."""
        predictions = self.predict(x, batch_size=batch_size, verbose=verbose)
        if predictions.shape[-1] > 1:
            return predictions.argmax(axis=-1)
        return (predictions > 0.5).astype("int32")


def _as_arrays(validation: Any) -> list[Any]:
    """What Keras 2's callbacks find: the inputs, the targets, a weight a sample."""
    x, y, *weights = validation
    arrays = [*flatten(x), *flatten(y)]
    return [*arrays, *(flatten(weights[0]) if weights else [np.ones(len(arrays[0]), np.float32)])]


class _Restartable:
    """A generator whose first batch can be looked at."""

    def __init__(self, generator: Any) -> None:
        self._generator = generator
        self._first: Any = None

    def steps_for(self, samples: int) -> int:
        """The number of batches of this many samples (Keras 1's argument)."""
        if hasattr(self._generator, "__getitem__"):
            batch = self._generator[0]
        else:
            batch = self._first = next(self._generator)
        size = len(flatten(batch[0] if isinstance(batch, (list, tuple)) else batch)[0])
        return max(1, int(np.ceil(samples / size)))

    def source(self) -> Any:
        if self._first is None:
            return self._generator
        first, rest = self._first, self._generator

        def again() -> Any:
            yield first
            yield from rest

        return again()
