"""K.update and its like, and the update rules of Keras 2's own optimizers, which are lists of such updates.

In Keras 2 `K.update(x, new)` changes nothing by itself: the lists run once a step, and every new value is computed from the
old ones. While a rule is `recorded`, updates are therefore pairs of a variable and its new value, assigned together
afterwards; and variables that the rule makes on its way (its moments) are those that it made the first time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from berrante import ops
from berrante.graph.keras_tensor import KerasTensor
from berrante.graph.variable import Variable


class _Recording(threading.local):
    made: list[Variable] | None = None
    next = 0


_recording = _Recording()


@contextmanager
def recorded(made: list[Variable]) -> Iterator[None]:
    """Inside, updates wait, and the variables that are made are those of `made`, which grows where it is too short."""
    outer, place = _recording.made, _recording.next
    _recording.made, _recording.next = made, 0
    try:
        yield
    finally:
        _recording.made, _recording.next = outer, place


def kept(make: Callable[[], Variable]) -> Variable:
    """The variable that `make` gives, or gave in the same place when the rule was recorded before."""
    made = _recording.made
    if made is None:
        return make()
    if _recording.next == len(made):
        made.append(make())
    _recording.next += 1
    return made[_recording.next - 1]


def assign_all(updates: Any) -> None:
    """Assigns the new values of pairs, all computed before."""
    for update_ in updates:
        if isinstance(update_, tuple):
            update_[0].assign(update_[1])


def update(x: Any, new_x: Any) -> Any:
    """Assigns a new value to a variable; a pair for K.function where the value is a placeholder's."""
    if _recording.made is not None or isinstance(new_x, KerasTensor):
        return x, new_x
    return x.assign(new_x)


def update_add(x: Any, increment: Any) -> Any:
    """Adds to a variable."""
    return update(x, ops.add(x, increment))


def update_sub(x: Any, decrement: Any) -> Any:
    """Subtracts from a variable."""
    return update(x, ops.subtract(x, decrement))


def moving_average_update(x: Any, value: Any, momentum: float) -> Any:
    """x * momentum + value * (1 - momentum)."""
    return update(x, ops.add(ops.multiply(x, momentum), ops.multiply(value, 1.0 - momentum)))
