"""Callbacks, after keras.callbacks. Those that few scripts need are loaded when first asked for."""

from __future__ import annotations

from berrante.callbacks.callback import Callback, CallbackList
from berrante.callbacks.history import CSVLogger, History, ProgbarLogger, RemoteMonitor
from berrante.callbacks.monitor import EarlyStopping, ModelCheckpoint, MonitorCallback, ReduceLROnPlateau
from berrante.callbacks.simple import LambdaCallback, LearningRateScheduler, TerminateOnNaN

_LATER = ("BackupAndRestore", "SwapEMAWeights", "TensorBoard")


def __getattr__(name: str) -> object:
    if name in _LATER:
        from berrante.callbacks import backup, tensorboard

        return getattr(tensorboard if name == "TensorBoard" else backup, name)
    if name in ("SampleGrid", "ReconstructionGrid", "LatentTraversal", "WatchGAN"):
        from berrante import generative_callbacks

        return getattr(generative_callbacks, name)
    raise AttributeError(f"module 'berrante.callbacks' has no attribute {name!r}")
