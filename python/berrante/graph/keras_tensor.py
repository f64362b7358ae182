"""KerasTensor: the placeholder of the functional API, whose batch size (and other extents) may be unknown.

`Input(...)` makes the first ones. Calling a layer or a `berrante.ops` function on them records a `FunctionalNode` instead
of computing; `models.functional` replays these nodes on tensors. Output shapes come from tracing the operation twice
with different stand-ins for the unknown extents: whatever differs between the two is unknown in the output.
"""

from __future__ import annotations

import itertools
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from berrante.graph import trace
from berrante.graph.elementwise import BroadcastError
from berrante.graph.tape import flatten, map_structure
from berrante.graph.tensor import Tensor, TensorSpec, standard_dtype
from berrante.graph.trace import tracing

# Divisible by what networks divide by, and large enough for a stack of poolings.
_STAND_INS = (96, 192)
_names = itertools.count()


class KerasTensor:
    """A symbolic value with a shape that may hold None, a dtype, and the node that produces it."""

    __array_priority__ = 100
    __array_ufunc__ = None
    sparse = ragged = False  # tensors are dense

    def __init__(
        self, shape: Any, dtype: Any = "float32", name: str | None = None, *, sparse: bool = False, ragged: bool = False
    ) -> None:
        if sparse or ragged:
            raise ValueError(f"KerasTensor: sparse and ragged tensors are not supported; received shape {shape}")
        self.shape: tuple[int | None, ...] = tuple(None if n is None else int(n) for n in shape)
        self.dtype = standard_dtype(dtype)
        self.name = name or f"keras_tensor_{next(_names)}"
        self.node: FunctionalNode | None = None
        self.index = 0
        self._keras_mask: Any = None

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def _refuse(self, what: str) -> Any:
        raise TypeError(
            f"{what} needs the value of {self!r}, a placeholder of the functional API that has none. Build with layers "
            "and berrante.ops functions only."
        )

    def __bool__(self) -> bool:
        return self._refuse("Python control flow (if, while, and, or, not)")

    def __array__(self, *_: Any, **__: Any) -> Any:
        return self._refuse("Conversion to a NumPy array")

    def __float__(self) -> float:
        return self._refuse("float()")

    def __int__(self) -> int:
        return self._refuse("int()")

    def __iter__(self) -> Any:
        if not self.shape or self.shape[0] is None:
            raise TypeError(f"cannot iterate over {self!r}, whose first extent is unknown")
        return (self[i] for i in range(self.shape[0]))  # type: ignore[index]

    def __repr__(self) -> str:
        return f"<KerasTensor shape={self.shape} dtype={self.dtype} name={self.name}>"

    __hash__ = object.__hash__


class FunctionalNode:
    """One call of an operation (a layer, or an OpCall) on KerasTensors."""

    def __init__(self, operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any], outputs: Any) -> None:
        self.operation = operation
        self.args = args
        self.kwargs = kwargs
        self.inputs: list[KerasTensor] = [x for x in flatten([list(args), kwargs]) if isinstance(x, KerasTensor)]
        self.structure = outputs
        self.outputs: list[KerasTensor] = flatten(outputs)
        for i, output in enumerate(self.outputs):
            output.node, output.index = self, i
        self._consumers: list[weakref.ref[FunctionalNode]] = []
        for producer in {id(t.node): t.node for t in self.inputs if t.node is not None}.values():
            producer._consumers.append(weakref.ref(self))

    @property
    def consumers(self) -> list[FunctionalNode]:
        """The calls that take an output of this one."""
        return [node for node in (ref() for ref in self._consumers) if node is not None]


class OpCall:
    """A `berrante.ops` function as an operation of a functional model."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.name = function.__name__
        self._nodes: list[FunctionalNode] = []

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)


def has_keras_tensor(*structure: Any) -> bool:
    """Whether a KerasTensor is among the arguments, also inside lists, tuples and dicts."""
    return any(isinstance(x, KerasTensor) for x in flatten(list(structure)))


def infer_outputs(function: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
    """The KerasTensors that `function(*args, **kwargs)` would give, in its own nesting."""
    stand_ins = _STAND_INS
    for _ in range(2):
        try:
            return _inferred(function, args, kwargs, stand_ins)
        except BroadcastError as error:
            # An unknown extent beside a known one is that one, as in Keras.
            known = [n for n in error.extents if n not in stand_ins]
            if len(known) != 1 or stand_ins is not _STAND_INS:
                raise
            stand_ins = (known[0], known[0])
    raise AssertionError


def _inferred(function: Callable[..., Any], args: Any, kwargs: dict[str, Any], stand_ins: tuple[int, int]) -> Any:
    runs = []
    unknown = False
    for stand_in in stand_ins:
        with tracing() as graph:

            def fill(x: Any, stand_in: int = stand_in, graph: Any = graph) -> Any:
                nonlocal unknown
                if not isinstance(x, KerasTensor):
                    return x
                unknown = unknown or None in x.shape
                return graph.add_input(TensorSpec(tuple(stand_in if n is None else n for n in x.shape), x.dtype))

            runs.append(function(*map_structure(fill, args), **map_structure(fill, kwargs)))
        if not unknown:
            runs.append(runs[0])
            break
    first, second = flatten(runs[0]), flatten(runs[1])
    outputs = iter(
        KerasTensor(tuple(m if m == n else None for m, n in zip(a.shape, b.shape, strict=True)), a.dtype)
        if isinstance(a, Tensor) or hasattr(a, "shape")
        else a
        for a, b in zip(first, second, strict=True)
    )
    return map_structure(lambda _: next(outputs), runs[0])


_bound = threading.local()


@contextmanager
def bound(values: dict[int, Any]) -> Iterator[None]:
    """Inside, operations on placeholders whose values are known (by id) compute with those values.

    This is what lets a loss function use tensors of the model that it closed over.
    """
    outer = getattr(_bound, "values", None)
    _bound.values = values
    try:
        yield
    finally:
        _bound.values = outer


def value_of(x: KerasTensor, known: dict[int, Any]) -> Any:
    """The placeholder's value, computed from known ones as far as needed; the placeholder itself if that fails."""
    if id(x) in known:
        return known[id(x)]
    node = x.node
    if node is None or not (node.inputs or isinstance(node.operation, OpCall)):
        return x
    inputs = {id(t): value_of(t, known) for t in node.inputs}
    if any(isinstance(v, KerasTensor) for v in inputs.values()):
        return x

    def fill(a: Any) -> Any:
        return inputs[id(a)] if isinstance(a, KerasTensor) else a

    outputs = flatten(node.operation(*map_structure(fill, node.args), **map_structure(fill, node.kwargs)))
    known.update({id(t): v for t, v in zip(node.outputs, outputs, strict=True)})
    return known[id(x)]


def record(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Records a call of a `berrante.ops` function on KerasTensors; runs it where their values are bound."""
    values = getattr(_bound, "values", None)
    graph = trace.current()
    if values is None and graph is not None and any(isinstance(x, Tensor) for x in flatten([list(args), kwargs])):
        values = graph.placeholders  # beside values of a step, what depends on no input has one, too
    if values is not None:

        def fill(x: Any) -> Any:
            return value_of(x, values) if isinstance(x, KerasTensor) else x

        args, kwargs = map_structure(fill, args), map_structure(fill, kwargs)
        if not has_keras_tensor(args, kwargs):
            return function(*args, **kwargs)
    call = OpCall(function)
    node = FunctionalNode(call, args, kwargs, infer_outputs(function, args, kwargs))
    call._nodes.append(node)
    return node.structure
