"""keras.callbacks of Keras 2: today's callbacks with the older arguments and habits."""

from __future__ import annotations

import warnings
from typing import Any

from berrante import callbacks as core


class Callback(core.Callback):
    """Hooks into training; `validation_data` is what fit was given."""

    validation_data: Any = None

    @property
    def model(self) -> Any:
        return self._model

    @model.setter
    def model(self, value: Any) -> None:
        self._model = value


class EarlyStopping(Callback, core.EarlyStopping):
    """Stops when a value no longer improves; the best weights come back only if it stopped."""

    def on_train_end(self, logs: Any = None) -> None:
        if self.restore_best_weights and not self.stopped_epoch:
            self.best_weights = None
        super().on_train_end(logs)


class ReduceLROnPlateau(Callback, core.ReduceLROnPlateau):
    """Multiplies the rate by a factor when a value no longer improves; `epsilon` is the old name of min_delta."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "epsilon" in kwargs:
            warnings.warn(
                "`epsilon` argument is deprecated and will be removed, use `min_delta` instead.", stacklevel=2
            )
            kwargs["min_delta"] = kwargs.pop("epsilon")
        super().__init__(*args, **kwargs)


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


for _name, _base in list(vars(core).items()):
    if isinstance(_base, type) and issubclass(_base, core.Callback) and _name not in globals() and _name[0] != "_":
        globals()[_name] = type(_name, (Callback, _base), {"__module__": __name__, "__doc__": _base.__doc__})
