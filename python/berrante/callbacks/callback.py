"""Callback, the hooks into training, and CallbackList, which calls those of several, after keras.callbacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


class Callback:
    """Hooks into fit, evaluate and predict; `model` and `params` are set before.

    on_*_batch_end logs hold the values since the epoch began; what an on_epoch_end hook adds to logs lands in the History.
    """

    params: Any = None
    _model: Any = None
    # Whether hooks for batches, if there are any, must be called: many steps run in one call of the core without.
    by_batch = True

    def __init__(self) -> None:
        self.params = None
        self._model = None

    @property
    def model(self) -> Any:
        return self._model

    def set_params(self, params: dict[str, Any]) -> None:
        self.params = params

    def set_model(self, model: Any) -> None:
        self._model = model

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None: ...
    def on_epoch_end(self, epoch: int, logs: Any = None) -> None: ...
    def on_batch_begin(self, batch: int, logs: Any = None) -> None: ...
    def on_batch_end(self, batch: int, logs: Any = None) -> None: ...
    def on_train_begin(self, logs: Any = None) -> None: ...
    def on_train_end(self, logs: Any = None) -> None: ...
    def on_test_begin(self, logs: Any = None) -> None: ...
    def on_test_end(self, logs: Any = None) -> None: ...
    def on_predict_begin(self, logs: Any = None) -> None: ...
    def on_predict_end(self, logs: Any = None) -> None: ...
    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None: ...
    def on_test_batch_end(self, batch: int, logs: Any = None) -> None: ...
    def on_predict_batch_begin(self, batch: int, logs: Any = None) -> None: ...
    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None: ...

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.on_batch_begin(batch, logs=logs)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.on_batch_end(batch, logs=logs)


_BATCH_HOOKS = {
    "train": ("on_batch_begin", "on_batch_end", "on_train_batch_begin", "on_train_batch_end"),
    "test": ("on_test_batch_begin", "on_test_batch_end"),
    "predict": ("on_predict_batch_begin", "on_predict_batch_end"),
}


def python_numbers(logs: Any) -> Any:
    """Logs sorted by name, with Python floats where values are scalars; what came in nested dicts stands beside them."""
    if not isinstance(logs, dict):
        return {} if logs is None else logs
    result: dict[str, Any] = type(logs)()
    for name, value in sorted(logs.items()):
        if isinstance(value, dict):
            result.update(python_numbers(value))
            continue
        try:
            result[name] = value if isinstance(value, (float, str)) else float(np.asarray(value))
        except (TypeError, ValueError):
            result[name] = value
    return result


class CallbackList(Callback):
    """Calls the hooks of each of several callbacks.

    Args:
        callbacks: a callback or a nesting of lists of them.
        add_history, add_progbar: whether to add a History and a ProgbarLogger where there is none.
        model: given to the callbacks; params (epochs, steps, verbose): likewise.
    """

    def __init__(
        self, callbacks: Any = None, add_history: bool = False, add_progbar: bool = False, model: Any = None,
        **params: Any,
    ) -> None:  # fmt: skip
        from berrante.callbacks.history import History, ProgbarLogger

        super().__init__()
        self.callbacks: list[Any] = _flat(callbacks)
        for callback in self.callbacks:
            if not hasattr(callback, "set_model"):
                raise TypeError(f"callbacks: expected Callback objects; received {callback!r}")
        self._history = next((c for c in self.callbacks if isinstance(c, History)), None)
        self._progbar = next((c for c in self.callbacks if isinstance(c, ProgbarLogger)), None)
        if add_history and self._history is None:
            self._history = History()
            self.callbacks.append(self._history)
        if add_progbar and self._progbar is None:
            self._progbar = ProgbarLogger()
            self.callbacks.append(self._progbar)
        if model is not None:
            self.set_model(model)
        self.set_params(params)

    def set_params(self, params: dict[str, Any]) -> None:
        self.params = params
        for callback in self.callbacks if params else []:
            callback.set_params(params)

    def set_model(self, model: Any) -> None:
        super().set_model(model)
        if self._history is not None:
            object.__setattr__(model, "history", self._history)
        for callback in self.callbacks:
            callback.set_model(model)

    def wants_batches(self, kind: str) -> bool:
        """Whether a callback (but for the progress bar) has a hook for batches of train, test or predict.

        Without one, many steps run in one call of the core.
        """
        return any(
            getattr(type(c), hook, None) is not getattr(Callback, hook) or hook in c.__dict__
            for c in self.callbacks
            if c is not self._progbar and getattr(c, "by_batch", True)
            for hook in _BATCH_HOOKS[kind]
        )

    def show_batch(self, kind: str, batch: int, logs: dict[str, Any]) -> None:
        """Advances the progress bar alone."""
        if self._progbar is not None:
            getattr(self._progbar, f"on_{kind}_batch_end")(batch, logs)

    @property
    def shows_batches(self) -> bool:
        return self._progbar is not None and self._progbar.verbose == 1


def _flat(callbacks: Any) -> list[Any]:
    if callbacks is None:
        return []
    return [c for item in callbacks for c in _flat(item)] if isinstance(callbacks, (list, tuple)) else [callbacks]


def _with_index(hook: str) -> Callable[..., None]:
    def call(self: CallbackList, index: int, logs: Any = None) -> None:
        logs = python_numbers(logs)
        for callback in self.callbacks:
            getattr(callback, hook)(index, logs)

    call.__name__ = hook
    return call


def _plain(hook: str) -> Callable[..., None]:
    def call(self: CallbackList, logs: Any = None) -> None:
        logs = python_numbers(logs)
        for callback in self.callbacks:
            getattr(callback, hook)(logs)

    call.__name__ = hook
    return call


for _hook in [name for name in vars(Callback) if name.startswith("on_")]:
    setattr(CallbackList, _hook, (_with_index if "batch" in _hook or "epoch" in _hook else _plain)(_hook))
