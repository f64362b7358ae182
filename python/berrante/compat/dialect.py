"""What changes for the whole process when the names keras and tensorflow are taken, and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from berrante.graph.keras_tensor import KerasTensor, OpCall
from berrante.graph.tensor import Tensor
from berrante.graph.variable import Variable
from berrante.random import take_seeds_from


class StaticShape(tuple):  # type: ignore[type-arg]
    """A shape as TensorFlow 1 gave it."""

    def as_list(self) -> list[int | None]:
        """The extents, None for unknown ones."""
        return list(self)

    @property
    def ndims(self) -> int:
        return len(self)


def _history(x: KerasTensor) -> Any:
    if x.node is None:
        return None
    nodes = getattr(x.node.operation, "_nodes", [x.node])
    return x.node.operation, next((i for i, n in enumerate(nodes) if n is x.node), 0), x.index


def depends_on_training(node: Any) -> bool:
    """Whether a call gives something else while training: its layer takes the flag, and the call does not fix it."""
    own = getattr(node.operation, "_depends_on_training", lambda: False)()
    return bool(own) and not isinstance(node.kwargs.get("training"), (bool, int))


def _uses_learning_phase(x: KerasTensor) -> bool:
    """Whether training changes the value: a layer on the way takes the training flag."""
    seen: set[int] = set()
    waiting = [x]
    while waiting:
        node = waiting.pop().node
        if node is None or id(node) in seen:
            continue
        seen.add(id(node))
        if depends_on_training(node):
            return True
        waiting.extend(node.inputs)
    return False


def _needs_input(x: KerasTensor) -> bool:
    """Whether the value depends on a placeholder that is fed."""
    waiting, seen = [x], set[int]()
    while waiting:
        node = waiting.pop().node
        if node is None or not (node.inputs or isinstance(node.operation, OpCall)):
            return True
        if id(node) not in seen:
            seen.add(id(node))
            waiting.extend(node.inputs)
    return False


def _as_array(x: KerasTensor, dtype: Any = None, copy: Any = None) -> np.ndarray:
    """The value of what depends on no input, such as random numbers."""
    from berrante.compat.backend.symbolic import get_value

    if _needs_input(x):
        return _REFUSED(x)  # type: ignore[no-any-return]
    return np.asarray(get_value(x), dtype)


_REFUSED = KerasTensor.__array__
_PLACEHOLDER: dict[str, Any] = {
    "__array__": _as_array,
    "_keras_shape": property(lambda x: tuple(x.shape)),
    "_keras_history": property(_history),
    "_uses_learning_phase": property(_uses_learning_phase),
    "get_shape": lambda x: StaticShape(x.shape),
    "op": property(lambda x: x.node.operation if x.node is not None else x),
}
_VALUE: dict[str, Any] = {"get_shape": lambda x: StaticShape(x.shape)}


def take(version: int, tensorflow: bool = False) -> None:
    """Sets up version 2 (or tf.keras 2), or (3) berrante as it is."""
    from berrante.compat.backend.state import Mode
    from berrante.saving.registry import set_dialect

    Mode.placeholders = version == 2
    if version == 2:
        from berrante.compat.differences import TF_KERAS_RATES
        from berrante.compat.keras2 import dialect_classes, optimizers
        from berrante.compat.keras2.layer import Layer

        Layer.penalties_by_sample = tensorflow
        optimizers.use_rates(TF_KERAS_RATES if tensorflow else {})
        set_dialect(dialect_classes())
        take_seeds_from(lambda: int(np.random.randint(1 << 31, dtype=np.int64)))
        for cls, names in ((KerasTensor, _PLACEHOLDER), (Tensor, _VALUE), (Variable, _VALUE)):
            for name, value in names.items():
                setattr(cls, name, value)
        return
    set_dialect({})
    take_seeds_from(None)
    for cls, names in ((KerasTensor, _PLACEHOLDER), (Tensor, _VALUE), (Variable, _VALUE)):
        for name in names:
            if name in cls.__dict__:
                delattr(cls, name)
    KerasTensor.__array__ = _REFUSED  # type: ignore[method-assign]
