"""Variables: state that programs read and update in place.

A variable's elements live in a `Storage`, a flat buffer that several variables can share: an optimizer moves the
parameters that it trains into one storage (`flatten_variables`), so that the update, the gradients and a checkpoint each
touch a single buffer. Programs are bound to addresses; when a variable moves, the programs bound to it become stale and
are built again at their next call.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from berrante.graph import scopes, trace
from berrante.graph.formats import is_float
from berrante.graph.tensor import DTYPES, Tensor, TensorSpec, standard_dtype
from berrante.runtime.device_arrays import to_host
from berrante.runtime.placement import Mirror

if TYPE_CHECKING:
    from berrante.graph.program import Program


class _Budget(threading.local):
    """What the variables made while a file is loaded may still hold, and whether they are filled afterwards."""

    def __init__(self) -> None:
        self.elements: int | None = None
        self.filled_later = False


_budget = _Budget()


@contextmanager
def element_budget(elements: int, filled_later: bool = True) -> Iterator[None]:
    """Inside, all new variables together may hold at most so many elements: more is a ValueError, before any allocation.

    With filled_later, layers start their weights at 0 instead of running initializers: the file has the values.
    """
    outer = _budget.elements, _budget.filled_later
    _budget.elements, _budget.filled_later = elements, filled_later
    try:
        yield
    finally:
        _budget.elements, _budget.filled_later = outer


def has_budget() -> bool:
    """Whether an element_budget is in force."""
    return _budget.elements is not None


def are_filled_later() -> bool:
    """Whether weights that are made now are assigned from a file at once."""
    return _budget.filled_later


def _spend(name: str, shape: Sequence[int]) -> None:
    if _budget.elements is not None:
        size = 1
        for n in shape:
            size *= int(n)
        if size > _budget.elements:
            raise ValueError(
                f'variable "{name}": refused, shape {tuple(shape)} asks for more elements than the file holds or loading '
                "allows"
            )
        _budget.elements -= size


def _stored(dtype: Any) -> str:
    """The dtype of a variable: floats of all sizes are kept as float32."""
    kind = standard_dtype(dtype)
    return "float32" if is_float(kind) else kind


class Storage(Mirror):
    """A flat, 64-byte aligned buffer of one dtype, with a copy on the device where programs use it."""

    __slots__ = ()

    def __init__(self, size: int, dtype: str) -> None:
        itemsize = DTYPES[dtype].itemsize
        raw = np.zeros(size * itemsize + 64, np.uint8)
        start = -raw.ctypes.data % 64
        super().__init__(raw[start : start + size * itemsize].view(DTYPES[dtype]))


class Variable:
    """A tensor that keeps its value between calls.

    Args:
        initializer: an array-like first value, or a callable `(shape, dtype=...)` that gives it.
        shape: required with a callable.
        dtype: default float32, or the array's own (float64 becomes float32).
        trainable: whether optimizers may change it.
        name: shown in messages; need not be unique.
    """

    __array_priority__ = 100
    __array_ufunc__ = None

    def __init__(
        self,
        initializer: Any,
        shape: Sequence[int] | None = None,
        dtype: Any = None,
        trainable: bool = True,
        name: str = "variable",
        **_: Any,
    ) -> None:
        if callable(initializer):
            if shape is None:
                raise ValueError(f'variable "{name}": an initializer needs a shape; received shape=None')
            kind = _stored(dtype or "float32")
            _spend(name, shape)
            with trace.suspended():
                value = np.asarray(initializer(tuple(int(n) for n in shape), dtype=kind))
        else:
            value = np.asarray(initializer)
            kind = _stored(dtype or value.dtype)
        if shape is not None and tuple(shape) != value.shape:
            raise ValueError(f'variable "{name}": expected a value of shape {tuple(shape)}; received {value.shape}')
        self.shape: tuple[int, ...] = value.shape
        self.dtype = kind
        self.trainable = trainable
        self.autocast = True  # may be read in a layer's 16-bit dtype
        self.name = name
        outer = scopes.current_path()
        self.path = f"{outer}/{name}" if outer else name
        self.constraint: Callable[[Any], Any] | None = None
        self.regularizer: Callable[[Any], Any] | None = None
        self.overwrite_with_gradient = False
        self._programs: weakref.WeakSet[Program] = weakref.WeakSet()
        self._place(Storage(value.size, kind), 0)
        self._array[...] = value

    def __reduce__(self) -> Any:
        """For copies and pickles: the value and what it is, without its place and the programs that know that."""
        kept = {
            k: getattr(self, k)
            for k in ("trainable", "autocast", "name", "path", "constraint", "regularizer", "overwrite_with_gradient")
        }
        return Variable, (self.numpy(), self.shape, self.dtype), kept

    def _place(self, storage: Storage, offset: int) -> None:
        self.storage = storage
        self.offset = offset
        self._array = storage.array[offset : offset + self.size].reshape(self.shape)

    def move_to(self, storage: Storage, offset: int) -> None:
        """Moves the value; programs bound to the old place are built again when next called."""
        self.storage.pull()
        value = self._array
        self._place(storage, offset)
        storage.pull()
        self._array[...] = value
        storage.touched()
        for program in list(self._programs):
            program.stale = True
        self._programs.clear()

    def bind(self, program: Program) -> None:
        """Tells the variable that a program holds its address."""
        self._programs.add(program)

    @property
    def spec(self) -> TensorSpec:
        return TensorSpec(self.shape, self.dtype)

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def value(self) -> Tensor:
        """The current value: symbolic inside a trace; in 16 bits inside a layer that computes so."""
        scope = scopes.stateless_scope()
        kept = None if scope is None else scope.get_current_value(self)
        value = trace.read(self) if kept is None else kept
        kind = trace.state.autocast
        if kind is None or self.dtype != "float32" or not self.autocast:
            return value
        from berrante.graph.primitives import cast

        return cast(value, kind)

    @property
    def array(self) -> np.ndarray:
        """The memory itself, a NumPy view. To change the value, assign: a device may hold the newer copy."""
        self.storage.pull()
        return self._array

    def numpy(self) -> np.ndarray:
        """A copy of the value."""
        return self.array.copy()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if trace.current() is not None:
            return np.asarray(self.value, dtype=dtype)
        return self.array.astype(dtype or self._array.dtype)

    def assign(self, value: Any) -> Any:
        """Replaces the value: at once, or at this point of the program that is being traced. Returns the variable."""
        scope = scopes.stateless_scope()
        if scope is not None:
            return self._assign_in(scope, value)
        if trace.current() is not None:
            trace.assign(self, value)
            return self
        array = to_host(value)
        if array.shape != self.shape:
            raise ValueError(f'variable "{self.name}": expected a value of shape {self.shape}; received {array.shape}')
        if array.dtype.kind not in "fiub" and array.dtype.name != "bfloat16":
            raise ValueError(f'variable "{self.name}": expected real numbers; received dtype {array.dtype}')
        if self.storage.array.size != self.size:
            self.storage.pull()  # the rest of the buffer keeps its values
        self._array[...] = array
        self.storage.touched()
        return self

    def _assign_in(self, scope: scopes.StatelessScope, value: Any) -> Any:
        from berrante.graph.op import as_tensor
        from berrante.graph.primitives import cast

        tensor = as_tensor(value)
        if tensor.shape != self.shape:
            raise ValueError(f'variable "{self.name}": expected a value of shape {self.shape}; received {tensor.shape}')
        scope.add_update((self, cast(tensor, self.dtype)))
        return self

    def assign_add(self, value: Any) -> Any:
        return self.assign(self.value + value)  # type: ignore[operator]

    def assign_sub(self, value: Any) -> Any:
        return self.assign(self.value - value)  # type: ignore[operator]

    def __float__(self) -> float:
        return float(self.value)

    def __int__(self) -> int:
        return int(self.value)

    def __bool__(self) -> bool:
        return bool(self.value)

    def __len__(self) -> int:
        return len(self.value)

    def __repr__(self) -> str:
        return f"<Variable path={self.path} shape={self.shape} dtype={self.dtype}>"

    __hash__ = object.__hash__


def flatten_variables(variables: Sequence[Variable], name: str = "flat") -> Variable:
    """Moves float32 variables into one storage, one after the other, and returns the variable that covers them all.

    Assigning the flat variable assigns every member, inside a trace too.
    """
    for variable in variables:
        if variable.dtype != "float32":
            raise ValueError(f'variable "{variable.name}": expected float32; received {variable.dtype}')
    storage = Storage(sum(v.size for v in variables), "float32")
    offset = 0
    for variable in variables:
        variable.move_to(storage, offset)
        offset += variable.size
    flat = Variable.__new__(FlatVariable)
    Variable.__init__(flat, np.zeros(0, np.float32), name=name)
    flat.shape = (offset,)
    flat._place(storage, 0)
    flat.members = tuple(variables)
    return flat


class FlatVariable(Variable):
    """A view over variables that lie side by side in one storage."""

    members: tuple[Variable, ...]

    @property
    def is_current(self) -> bool:
        """False once a member has moved elsewhere."""
        return all(member.storage is self.storage for member in self.members)
