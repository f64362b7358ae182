"""Callbacks that compare a logged value with the best so far: early stopping, checkpoints, smaller learning rates.

After keras.callbacks: in mode "auto" losses and errors should fall, and metrics that know their direction follow it.
"""

from __future__ import annotations

import os
import warnings
from typing import Any

import numpy as np

from berrante.callbacks.callback import Callback
from berrante.optimizers.multi import learning_rates, parts_of
from berrante.utils.progbar import _print


class MonitorCallback(Callback):
    """The comparison.

    Args:
        monitor: the value's name in logs.
        mode: min, max or auto.
        baseline: what the first value is compared with; None takes it as the best.
        min_delta: smaller changes are no improvement.
    """

    def __init__(
        self, monitor: str = "val_loss", mode: str = "auto", baseline: Any = None, min_delta: float = 0
    ) -> None:
        super().__init__()
        if mode not in ("auto", "min", "max"):
            warnings.warn(f"{type(self).__name__} mode '{mode}' is unknown, fallback to auto mode.", stacklevel=3)
            mode = "auto"
        self.monitor, self.mode, self.best, self.min_delta = monitor, mode, baseline, abs(min_delta)
        # 1.0 where larger is better, -1.0 where smaller is, None before the first epoch's end.
        self._sign: float | None = None

    def _set_direction(self) -> None:
        if self._sign is None:
            direction = {"min": "down", "max": "up"}.get(self.mode) or self._direction_of_monitor()
            self._sign = 1.0 if direction == "up" else -1.0

    @property
    def monitor_op(self) -> Any:
        """ops.greater where larger values are better, ops.less where smaller ones are; None until that is known."""
        from berrante import ops

        return None if self._sign is None else ops.greater if self._sign > 0 else ops.less

    def _set_monitor_op(self) -> None:
        self._set_direction()

    def _direction_of_monitor(self) -> str:
        name = self.monitor.removeprefix("val_")
        direction = "down" if name == "loss" else None
        for metric in getattr(self.model, "metrics", []):
            if metric.name == name and getattr(metric, "_direction", None) is not None:
                direction = metric._direction
        return self._unknown_direction() if direction is None else direction

    def _unknown_direction(self) -> str:
        raise ValueError(
            f"{type(self).__name__} callback received monitor={self.monitor}, but it is not known whether that metric "
            "should be maximized or minimized. Pass `mode='max'` or `mode='min'`."
        )

    def _is_improvement(self, value: Any, reference: Any) -> bool:
        if reference is None:
            return True
        self._set_direction()
        sign = self._sign or -1.0
        return bool(sign * (value - reference) > self.min_delta)

    def _missing(self, what: str, logs: Any) -> None:
        warnings.warn(
            f"{what} conditioned on metric `{self.monitor}` which is not available. Available metrics are: "
            f"{','.join(logs or {})}",
            stacklevel=3,
        )


class EarlyStopping(MonitorCallback):
    """Stops when a value has not improved for `patience` epochs.

    Args:
        monitor, min_delta, mode: see MonitorCallback.
        patience: epochs without improvement.
        verbose: 1 says so.
        baseline: only values better than this one count.
        restore_best_weights: whether the model ends with the best epoch's weights, stopped early or not.
        start_from_epoch: epochs before it are not looked at.
    """

    def __init__(
        self, monitor: str = "val_loss", min_delta: float = 0, patience: int = 0, verbose: int = 0, mode: str = "auto",
        baseline: float | None = None, restore_best_weights: bool = False, start_from_epoch: int = 0,
    ) -> None:  # fmt: skip
        super().__init__(monitor, mode, min_delta=min_delta)
        self.patience, self.verbose, self.baseline = patience, verbose, baseline
        self.restore_best_weights, self.start_from_epoch = restore_best_weights, start_from_epoch
        self.wait, self.stopped_epoch, self.best_epoch = 0, 0, 0
        self.best_weights: Any = None

    def on_train_begin(self, logs: Any = None) -> None:
        self.wait, self.stopped_epoch, self.best_epoch = 0, 0, 0
        self.best, self.best_weights = None, None

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._set_direction()
        value = self.get_monitor_value(logs)
        if value is None or epoch < self.start_from_epoch:
            return
        if self.restore_best_weights and self.best_weights is None:
            self.best_weights, self.best_epoch = self.model.get_weights(), epoch
        self.wait += 1
        if self._is_improvement(value, self.best):
            self.best, self.best_epoch = value, epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            if self.baseline is None or self._is_improvement(value, self.baseline):
                self.wait = 0
            return
        if self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Any = None) -> None:
        if self.stopped_epoch > 0 and self.verbose > 0:
            _print(f"Epoch {self.stopped_epoch + 1}: early stopping\n")
        if self.restore_best_weights and self.best_weights is not None:
            if self.verbose > 0:
                _print(f"Restoring model weights from the end of the best epoch: {self.best_epoch + 1}.\n")
            self.model.set_weights(self.best_weights)

    def get_monitor_value(self, logs: Any) -> Any:
        """The value in logs; None, with a warning, if it is not there."""
        value = (logs or {}).get(self.monitor)
        if value is None:
            self._missing("Early stopping", logs)
        return value


class ReduceLROnPlateau(MonitorCallback):
    """Multiplies the learning rate by `factor` when a value has not improved for `patience` epochs.

    After a reduction nothing counts for `cooldown` epochs; the rate does not fall below min_lr.
    """

    def __init__(
        self, monitor: str = "val_loss", factor: float = 0.1, patience: int = 10, verbose: int = 0, mode: str = "auto",
        min_delta: float = 1e-4, cooldown: int = 0, min_lr: float = 0.0, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(monitor, mode, min_delta=min_delta)
        if factor >= 1.0:
            raise ValueError(f"ReduceLROnPlateau does not support a factor >= 1.0. Received factor={factor}")
        self.factor, self.min_lr, self.patience = factor, min_lr, patience
        self.verbose, self.cooldown = verbose, cooldown
        self.cooldown_counter = self.wait = 0

    def on_train_begin(self, logs: Any = None) -> None:
        self.best, self.cooldown_counter, self.wait = None, 0, 0

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._set_direction()
        logs = {} if logs is None else logs
        logs.update(learning_rates(self.model.optimizer))
        value = logs.get(self.monitor)
        if value is None:
            self._missing("Learning rate reduction is", logs)
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
            self.wait = 0
        if self._is_improvement(value, self.best):
            self.best, self.wait = value, 0
        elif not self.in_cooldown():
            self.wait += 1
            if self.wait >= self.patience and self._reduce(epoch):
                self.cooldown_counter, self.wait = self.cooldown, 0

    def _reduce(self, epoch: int) -> bool:
        return any([self._reduce_one(optimizer, epoch) for optimizer in parts_of(self.model.optimizer)])

    def _reduce_one(self, optimizer: Any, epoch: int) -> bool:
        old = float(np.asarray(optimizer.learning_rate))
        if old <= np.float32(self.min_lr):
            return False
        new = max(old * self.factor, self.min_lr)
        optimizer.learning_rate = new
        if self.verbose > 0:
            _print(f"\nEpoch {epoch + 1}: ReduceLROnPlateau reducing learning rate to {new}.\n")
        return True

    def in_cooldown(self) -> bool:
        return self.cooldown_counter > 0


class ModelCheckpoint(MonitorCallback):
    """Saves the model (or its weights) after epochs or batches, optionally the best only.

    Args:
        filepath: may hold {epoch}, {batch} and names of logs, with formats.
        monitor, mode: see MonitorCallback, for save_best_only.
        save_weights_only: the weights alone.
        save_freq: "epoch", or a number of batches.
        initial_value_threshold: a value that the first one must beat.
    """

    def __init__(
        self, filepath: Any, monitor: str = "val_loss", verbose: int = 0, save_best_only: bool = False,
        save_weights_only: bool = False, mode: str = "auto", save_freq: Any = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:  # fmt: skip
        super().__init__(monitor, mode, initial_value_threshold)
        if save_freq != "epoch" and not isinstance(save_freq, int):
            raise ValueError(f"Unrecognized save_freq: {save_freq}. Expected save_freq are 'epoch' or integer values")
        self.filepath, self.verbose, self.save_freq = os.fspath(filepath), verbose, save_freq
        self.save_best_only, self.save_weights_only = save_best_only, save_weights_only
        self.by_batch = save_freq != "epoch"
        self._check_path()
        self._current_epoch = self._seen = 0
        self._last: int | None = None

    def _check_path(self) -> None:
        if self.save_weights_only:
            if not self.filepath.endswith(".weights.h5"):
                raise ValueError(
                    "When using `save_weights_only=True` in `ModelCheckpoint`, the filepath provided must end in "
                    f"`.weights.h5` (Keras weights format). Received: filepath={self.filepath}"
                )
        elif not self.filepath.endswith((".keras", ".h5")):
            raise ValueError(
                f"The filepath provided must end in `.keras` (Keras model format). Received: filepath={self.filepath}"
            )

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._current_epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self.save_freq == "epoch":
            return
        again = self._last is None or batch <= self._last
        self._seen += batch + 1 if again else batch - (self._last or 0)
        self._last = batch
        if self._seen >= self.save_freq:
            self._seen = 0
            self._save_model(self._current_epoch, batch, logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self.save_freq == "epoch":
            self._save_model(epoch, None, logs)

    def _save_model(self, epoch: int, batch: int | None, logs: Any) -> None:
        logs = logs or {}
        path = self._path(epoch, batch, logs)
        if not self._is_due(epoch, logs, path):
            return
        if os.path.isdir(path):
            raise OSError(
                "Please specify a non-directory filepath for ModelCheckpoint. Filepath used is an existing directory: "
                f"{path}"
            )
        if os.path.dirname(path):
            os.makedirs(os.path.dirname(path), exist_ok=True)
        (self.model.save_weights if self.save_weights_only else self.model.save)(path, overwrite=True)
        if self.verbose > 0:
            _print(f"\nEpoch {epoch + 1}: finished saving model to {path}\n")

    def _is_due(self, epoch: int, logs: dict[str, Any], path: str) -> bool:
        if not self.save_best_only:
            return self._say(f"\nEpoch {epoch + 1}: saving model to {path}")
        value = logs.get(self.monitor)
        if value is None:
            warnings.warn(f"Can save best model only with {self.monitor} available.", stacklevel=4)
            return True
        if np.ndim(value) > 0:
            warnings.warn(
                f"Can save best model only when `monitor` is a scalar value. Received: {value}. Falling back to "
                "`save_best_only=False`.",
                stacklevel=4,
            )
            return True
        best = "None" if self.best is None else f"{self.best:.5f}"
        self._set_direction()
        if not self._is_improvement(value, self.best):
            self._say(f"\nEpoch {epoch + 1}: {self.monitor} did not improve from {best}")
            return False
        self.best = value
        return self._say(
            f"\nEpoch {epoch + 1}: {self.monitor} improved from {best} to {value:.5f}, saving model to {path}"
        )

    def _say(self, text: str) -> bool:
        if self.verbose > 0:
            _print(text + "\n")
        return True

    def _path(self, epoch: int, batch: int | None, logs: dict[str, Any]) -> str:
        own = {} if batch is None or "batch" in logs else {"batch": batch + 1}
        try:
            return self.filepath.format(epoch=epoch + 1, **own, **logs)
        except KeyError as error:
            raise KeyError(f'Failed to format this callback filepath: "{self.filepath}". Reason: {error}') from error
