"""Training that survives an interruption (BackupAndRestore), and averaged weights for evaluation (SwapEMAWeights)."""

from __future__ import annotations

import json
import os
import shutil
from typing import Any

from berrante.callbacks.callback import Callback
from berrante.optimizers.multi import parts_of


class BackupAndRestore(Callback):
    """Writes weights and progress to a folder as training goes, and goes on from there when fit is called again.

    Args:
        backup_dir: the folder.
        save_freq: "epoch", or a number of batches.
        double_checkpoint: keeps the backup before as well, in case the last cannot be read.
        delete_checkpoint: whether the backup goes once training has ended.
    """

    def __init__(
        self, backup_dir: Any, save_freq: Any = "epoch", double_checkpoint: bool = False, delete_checkpoint: bool = True
    ) -> None:
        super().__init__()
        if not backup_dir:
            raise ValueError("Empty `backup_dir` argument passed")
        if save_freq != "epoch" and not isinstance(save_freq, int):
            raise ValueError(
                f"Invalid value for argument `save_freq`. Received: save_freq={save_freq}. Expected either 'epoch' or an "
                "integer value."
            )
        self.backup_dir, self.save_freq = os.fspath(backup_dir), save_freq
        self.double_checkpoint, self.delete_checkpoint = double_checkpoint, delete_checkpoint
        self._weights = os.path.join(self.backup_dir, "latest.weights.h5")
        self._metadata = os.path.join(self.backup_dir, "training_metadata.json")
        self._epoch = self._seen = self._last = 0
        self._before: Any = None  # what the metadata say of the weights that are there
        self.by_batch = save_freq != "epoch"

    def on_train_begin(self, logs: Any = None) -> None:
        try:
            self._load()
        except (OSError, ValueError):
            if not os.path.exists(self._weights + ".bkp"):
                raise
            shutil.copy(self._weights + ".bkp", self._weights)
            if os.path.exists(self._metadata + ".bkp"):
                shutil.copy(self._metadata + ".bkp", self._metadata)
            elif os.path.exists(self._metadata):
                os.remove(self._metadata)
            self._load()

    def _load(self) -> None:
        model = self.model
        if not model.built:
            raise ValueError(
                "To use the BackupAndRestore callback, you model must be built before you call `fit()`. Model "
                f"{model} is unbuilt. You can build it beforehand by calling it on a batch of data."
            )
        if os.path.exists(self._weights):
            model._build_optimizers()
            model.load_weights(self._weights)
            found = self._progress()
            if found is not None:
                self._before = {k: found.get(k) for k in ("epoch", "batch", "iterations")}
                object.__setattr__(model, "_initial_epoch", int(found["epoch"]))

    def _progress(self) -> Any:
        """What the metadata say of the weights that are there: they are written first, so they may be one backup ahead."""
        if not os.path.exists(self._metadata):
            return None
        with open(self._metadata) as file:
            found = json.load(file)
        if not isinstance(found, dict) or not isinstance(found.get("epoch"), int):
            raise ValueError(f"{self._metadata}: expected the epoch that was reached; it holds {str(found)[:100]}")
        before = found.get("before")
        if before is not None and found.get("iterations") != self._iterations() == before.get("iterations"):
            return before
        return found

    def _iterations(self) -> int | None:
        optimizer = self.model.optimizer
        return None if optimizer is None else int(optimizer._iterations.numpy())

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._epoch, self._last = epoch + 1, 0
        if self.save_freq == "epoch":
            self._save()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self.save_freq == "epoch":
            return
        again = batch <= self._last
        self._seen += batch + 1 if again else batch - self._last
        self._last = batch
        if self._seen >= self.save_freq:
            self._seen = 0
            self._save()

    def _save(self) -> None:
        os.makedirs(self.backup_dir, exist_ok=True)
        for path in (self._weights, self._metadata):
            if self.double_checkpoint and os.path.exists(path):
                shutil.copy(path, path + ".bkp")
        now = {"epoch": self._epoch, "batch": self._last, "iterations": self._iterations()}
        scratch = self._metadata + ".tmp"
        with open(scratch, "w") as file:
            json.dump({**now, "before": self._before}, file)
        os.replace(scratch, self._metadata)
        self.model.save_weights(self._weights, overwrite=True)
        self._before = now

    def on_train_end(self, logs: Any = None) -> None:
        object.__setattr__(self.model, "_initial_epoch", None)
        if self.delete_checkpoint and os.path.isdir(self.backup_dir):
            shutil.rmtree(self.backup_dir)


class SwapEMAWeights(Callback):
    """Puts the optimizer's averages (use_ema=True) into the model for evaluation and prediction, and back afterwards.

    swap_on_epoch: also at the end of each epoch, so that checkpoints hold the averages.
    """

    def __init__(self, swap_on_epoch: bool = False) -> None:
        super().__init__()
        self.swap_on_epoch = swap_on_epoch
        self._swapped = False

    def _pairs(self) -> Any:
        inner = getattr(self.model.optimizer, "inner_optimizer", self.model.optimizer)
        averaging = [optimizer for optimizer in parts_of(inner) if getattr(optimizer, "use_ema", False)]
        if not averaging:
            raise ValueError(
                "SwapEMAWeights must be used when `use_ema=True` is set on the optimizer. Received: "
                f"use_ema={getattr(self.model.optimizer, 'use_ema', None)}"
            )
        return [pair for o in averaging for pair in zip(o._trainable, o._model_variables_moving_average)]

    def _swap(self, to_averages: bool) -> None:
        if self._swapped == to_averages:
            return
        for variable, average in self._pairs():
            value = variable.numpy()
            variable.assign(average.numpy())
            average.assign(value)
        self._swapped = to_averages

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if self.swap_on_epoch:
            self._swap(False)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self.swap_on_epoch and not self._swapped:
            self._swap(True)
            if epoch == self.params["epochs"] - 1:
                for variable, average in self._pairs():
                    average.assign(variable.numpy())

    def on_test_begin(self, logs: Any = None) -> None:
        self._swap(True)

    def on_test_end(self, logs: Any = None) -> None:
        self._swap(False)

    def on_predict_begin(self, logs: Any = None) -> None:
        self._swap(True)

    def on_predict_end(self, logs: Any = None) -> None:
        self._swap(False)
