"""Callbacks, after keras.callbacks."""

from berrante.callbacks.backup import BackupAndRestore, SwapEMAWeights
from berrante.callbacks.callback import Callback, CallbackList
from berrante.callbacks.history import CSVLogger, History, ProgbarLogger, RemoteMonitor
from berrante.callbacks.monitor import EarlyStopping, ModelCheckpoint, MonitorCallback, ReduceLROnPlateau
from berrante.callbacks.simple import LambdaCallback, LearningRateScheduler, TerminateOnNaN
from berrante.callbacks.tensorboard import TensorBoard


def __getattr__(name: str) -> object:
    if name in ("SampleGrid", "ReconstructionGrid", "LatentTraversal", "WatchGAN"):  # loaded when first asked for
        from berrante import generative_callbacks

        return getattr(generative_callbacks, name)
    raise AttributeError(f"module 'berrante.callbacks' has no attribute {name!r}")
