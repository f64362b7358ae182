"""keras.callbacks of Keras 2: today's callbacks with the older arguments and habits."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from berrante import callbacks as core
from berrante.compat.keras2.tensorboard import TensorBoard as _TensorBoard


class Callback(core.Callback):
    """Hooks into training; `validation_data` is what fit was given."""

    validation_data: Any = None

    @property
    def model(self) -> Any:
        return self._model

    @model.setter
    def model(self, value: Any) -> None:
        self._model = value


class _ByName:
    """Keras 2 goes by the name where it does not know which way is better."""

    monitor: str

    def _direction_of_monitor(self) -> str:
        return "up" if "acc" in self.monitor or self.monitor.startswith("fmeasure") else "down"


class EarlyStopping(Callback, core.EarlyStopping):
    """Stops when a value no longer improves on the best (or the baseline); the best weights return when it stops."""

    def on_train_begin(self, logs: Any = None) -> None:
        super().on_train_begin(logs)
        self.wait, self.stopped_epoch = 0, 0
        self._best_value = self.baseline

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        value = (logs or {}).get(self.monitor)
        if value is None:
            warnings.warn(
                f"Early stopping conditioned on metric `{self.monitor}` which is not available. Available metrics are: "
                f"{','.join(logs or {})}",
                RuntimeWarning,
                stacklevel=2,
            )
            return
        up = self.mode == "max" or (self.mode == "auto" and "acc" in self.monitor)
        gain = float("inf") if self._best_value is None else (value - self._best_value) * (1 if up else -1)
        if gain > abs(self.min_delta):
            self._best_value = self.best = value
            self.wait = 0
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            return
        self.wait += 1
        if self.wait >= self.patience:
            self.stopped_epoch = epoch
            self.model.stop_training = True
            if self.restore_best_weights and self.best_weights is not None:
                if self.verbose > 0:
                    print("Restoring model weights from the end of the best epoch")
                self.model.set_weights(self.best_weights)

    def on_train_end(self, logs: Any = None) -> None:
        if self.stopped_epoch > 0 and self.verbose > 0:
            print(f"Epoch {self.stopped_epoch + 1:05d}: early stopping")


class ReduceLROnPlateau(_ByName, Callback, core.ReduceLROnPlateau):
    """Multiplies the rate by a factor when a value no longer improves; `epsilon` is the old name of min_delta."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "epsilon" in kwargs:
            warnings.warn(
                "`epsilon` argument is deprecated and will be removed, use `min_delta` instead.", stacklevel=2
            )
            kwargs["min_delta"] = kwargs.pop("epsilon")
        super().__init__(*args, **kwargs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        optimizer = self.model.optimizer
        if not hasattr(optimizer, "learning_rate"):  # an object that only has `lr`
            optimizer.learning_rate = np.asarray(optimizer.lr)
            super().on_epoch_end(epoch, logs)
            optimizer.lr.assign(np.float32(optimizer.learning_rate))
            del optimizer.learning_rate
        else:
            super().on_epoch_end(epoch, logs)


class ModelCheckpoint(_ByName, Callback, core.ModelCheckpoint):
    """Saves the model or its weights, under any file name, every `period` epochs."""

    def __init__(
        self, filepath: Any, monitor: str = "val_loss", verbose: int = 0, save_best_only: bool = False,
        save_weights_only: bool = False, mode: str = "auto", period: int = 1, save_freq: Any = "epoch", **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(filepath, monitor, verbose, save_best_only, save_weights_only, mode, save_freq, **kwargs)
        self.period, self._waited = period, 0

    def _check_path(self) -> None:
        """Any name will do."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._waited += 1
        if self._waited >= self.period:
            self._waited = 0
            super().on_epoch_end(epoch, logs)


class LambdaCallback(Callback, core.LambdaCallback):
    """Functions as hooks; other keywords become attributes, as in Keras 2."""

    def __init__(self, *args: Any, **hooks: Any) -> None:
        order = ("on_epoch_begin", "on_epoch_end", "on_batch_begin", "on_batch_end", "on_train_begin", "on_train_end")
        hooks = {**dict(zip(order, args)), **hooks}
        known = {k: v for k, v in hooks.items() if hasattr(core.Callback, k)}
        super().__init__(**known)
        for name, value in hooks.items():
            if name not in known:
                setattr(self, name, value)


class BaseLogger(Callback):
    """Accepted; fit averages metrics itself."""

    def __init__(self, stateful_metrics: Any = None) -> None:
        super().__init__()
        self.stateful_metrics = set(stateful_metrics or ())


class TensorBoard(Callback, _TensorBoard):
    """Logs for the program of that name."""


for _name, _base in list(vars(core).items()):
    if isinstance(_base, type) and issubclass(_base, core.Callback) and _name not in globals() and _name[0] != "_":
        globals()[_name] = type(_name, (Callback, _base), {"__module__": __name__, "__doc__": _base.__doc__})
