"""K's variables, placeholders, functions and gradients.

A placeholder is a `KerasTensor`, as an Input is; operations on it are recorded. `function` compiles what was recorded
between inputs and outputs into a program, one per shape. Operations on variables alone run at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from berrante import ops
from berrante.compat.backend.state import _Phase, floatx, get_uid, learning_phase
from berrante.compat.backend.updates import kept
from berrante.graph import trace
from berrante.graph.gradients import gradients as gradients_of
from berrante.graph.keras_tensor import FunctionalNode, KerasTensor, OpCall
from berrante.graph.op import as_tensor
from berrante.graph.program import Program
from berrante.graph.tensor import Tensor, TensorSpec, standard_dtype
from berrante.graph.variable import Variable
from berrante.layers.layer import Layer
from berrante.models.functional import FunctionGraph
from berrante.ops.public import public


def variable(value: Any, dtype: Any = None, name: str | None = None, constraint: Any = None) -> Variable:
    """A variable with a first value."""
    if hasattr(value, "tocoo"):
        value = value.toarray()

    def make() -> Variable:
        made = Variable(
            np.asarray(value), dtype=standard_dtype(dtype or floatx()), name=name or f"Variable_{get_uid('var')}"
        )
        made.constraint = constraint
        return made

    return kept(make)


def constant(value: Any, dtype: Any = None, shape: Any = None, name: str | None = None) -> Tensor:
    """A tensor that never changes."""
    array = np.asarray(value)
    if shape is not None:
        array = np.broadcast_to(array, tuple(shape)) if array.size == 1 else array.reshape(tuple(shape))
    return as_tensor(ops.cast(array, standard_dtype(dtype or floatx())))


def placeholder(
    shape: Any = None, ndim: int | None = None, dtype: Any = None, sparse: bool = False, name: str | None = None
) -> KerasTensor:
    """A value that comes later, by K.function."""
    if shape is None:
        if ndim is None:
            raise ValueError("placeholder: expected shape or ndim; received neither")
        shape = (None,) * ndim
    return KerasTensor(tuple(shape), dtype or floatx(), name)


def is_placeholder(x: Any) -> bool:
    """Whether x waits for a value of its own."""
    from berrante.layers.input import InputLayer

    return isinstance(x, KerasTensor) and (x.node is None or isinstance(x.node.operation, InputLayer))


def is_tensor(x: Any) -> bool:
    """Tensors, variables and placeholders."""
    return isinstance(x, (Tensor, Variable, KerasTensor))


def is_keras_tensor(x: Any) -> bool:
    """Whether a layer (or Input) gave x. ValueError for what is no tensor at all."""
    if not is_tensor(x):
        raise ValueError(f"is_keras_tensor: expected a tensor; received {type(x).__name__}")
    return isinstance(x, KerasTensor) and x.node is not None and isinstance(x.node.operation, Layer)


def is_sparse(x: Any) -> bool:
    """False: there are no sparse tensors here."""
    return False


def to_dense(x: Any) -> Any:
    """x, or the dense array of a SciPy matrix."""
    return x.toarray() if hasattr(x, "toarray") else x


def int_shape(x: Any) -> Any:
    """The shape as a tuple, None for unknown extents."""
    shape = getattr(x, "shape", None)
    return None if shape is None else tuple(shape)


@public
def shape(x: Any) -> Tensor:
    """The shape as a tensor."""
    return as_tensor(np.asarray(as_tensor(x).shape, np.int32))


def ndim(x: Any) -> int:
    """The number of dimensions."""
    return len(x.shape)


def dtype(x: Any) -> str:
    """The name of the element type."""
    return str(x.dtype)


def count_params(x: Any) -> int:
    """The number of elements."""
    return int(np.prod([n for n in x.shape], dtype=np.int64))


def get_variable_shape(x: Any) -> tuple[int, ...]:
    """The shape of a variable."""
    return tuple(x.shape)


def batch_get_value(xs: Any) -> list[Any]:
    """The values of several variables."""
    return [get_value(x) for x in xs]


def set_value(x: Any, value: Any) -> None:
    """Gives a variable another value."""
    x.assign(np.asarray(value))


def batch_set_value(tuples: Any) -> None:
    """Gives several variables other values: pairs of a variable and a value."""
    for x, value in tuples:
        set_value(x, value)


def get_value(x: Any) -> Any:
    """The value of a variable or tensor as a NumPy array."""
    if isinstance(x, KerasTensor):
        return function([], [x])([])[0]
    if isinstance(x, Variable):
        return x.numpy()
    return np.asarray(x)


eval = get_value


class Function:
    """What K.function gives: called with a list of arrays, it gives a list of arrays."""

    def __init__(self, inputs: Any, outputs: Any, updates: Any = None, name: str | None = None) -> None:
        self._single = not isinstance(outputs, (list, tuple))
        self.inputs = list(inputs)
        self.outputs = [outputs] if self._single else list(outputs)
        self.name = name
        self._updates: list[tuple[Variable, Any]] = []
        self._steps: list[Any] = []  # what an optimizer's get_updates gave
        for update in updates or []:
            if isinstance(update, tuple):
                self._updates.append(update)
            elif hasattr(update, "gradients_for_step"):
                self._steps.append((update, update.gradients_for_step()))
            elif not isinstance(update, Variable):
                raise TypeError(
                    f"K.function: expected updates as pairs of a variable and its new value; received {update!r}"
                )
        for x in self.inputs:
            if not isinstance(x, KerasTensor):
                raise TypeError(f"K.function: expected placeholders as inputs; received {x!r}")
        self._phase = next((i for i, x in enumerate(self.inputs) if x is _Phase.placeholder), None)
        self._fed = [x for x in self.inputs if x is not _Phase.placeholder]
        new = [*(new for _, new in self._updates), *(g for _, gradients in self._steps for g in gradients)]
        wanted = [x for x in [*self.outputs, *new] if isinstance(x, KerasTensor)]
        self._graph = FunctionGraph(self._fed, wanted) if wanted else None
        self._programs: dict[Any, Program] = {}

    def __call__(self, inputs: Any) -> list[Any]:
        if not isinstance(inputs, (list, tuple)):
            raise TypeError("K.function: `inputs` should be a list")
        if len(inputs) != len(self.inputs):
            raise ValueError(f"K.function: expected {len(self.inputs)} inputs; received {len(inputs)}")
        training = bool(np.asarray(inputs[self._phase])) if self._phase is not None else _Phase.fixed == 1
        arrays = [np.asarray(a) for i, a in enumerate(inputs) if i != self._phase]
        key = (training, tuple((a.shape, x.dtype) for a, x in zip(arrays, self._fed, strict=True)))
        program = self._programs.get(key)
        if program is None or program.stale:
            specs = [TensorSpec(a.shape, x.dtype) for a, x in zip(arrays, self._fed, strict=True)]
            program = self._programs[key] = Program(lambda *leaves: self._trace(leaves, training), specs)
        results: list[Any] = program(*arrays)
        return results

    def _trace(self, leaves: tuple[Tensor, ...], training: bool) -> list[Any]:
        values: dict[int, Any] = {}
        if self._graph is not None:
            computed = self._graph.run(list(leaves), training)
            values = {id(t): v for t, v in zip(self._graph.outputs, computed, strict=True)}

        def value(x: Any) -> Any:
            return values[id(x)] if isinstance(x, KerasTensor) else as_tensor(x)

        results = [value(x) for x in self.outputs]
        for target, new in [(v, value(new)) for v, new in self._updates]:
            target.assign(new)
        for step, found in self._steps:
            step.run([value(g) for g in found])
        return results


def function(inputs: Any, outputs: Any, updates: Any = None, **kwargs: Any) -> Function:
    """A callable from arrays for `inputs` (placeholders) to the values of `outputs`; `updates` are assigned afterwards.

    Args:
        updates: pairs of a variable and its new value.
        kwargs: `name`; others raise ValueError, as Keras' do.
    """
    unknown = set(kwargs) - {"name", "options", "run_metadata", "feed_dict", "fetches"}
    if unknown:
        raise ValueError(f"Invalid argument {sorted(unknown)[0]!r} passed to K.function")
    if kwargs.get("fetches") or kwargs.get("feed_dict"):
        raise ValueError("K.function: fetches and feed_dict need TensorFlow sessions, which berrante has not")
    return Function(inputs, outputs, updates, kwargs.get("name"))


def gradients(loss: Any, variables: Any) -> list[Any]:
    """The gradient of a (summed) loss in placeholders, intermediate tensors or variables, as placeholders themselves."""
    many = isinstance(variables, (list, tuple))
    sources = list(variables) if many else [variables]
    if not isinstance(loss, KerasTensor):
        current = trace.current()
        if current is None:
            raise ValueError("K.gradients: expected a loss of placeholders; on values use a GradientTape")
        leaves = [current.leaf(v) if isinstance(v, Variable) else as_tensor(v) for v in sources]
        return list(gradients_of([as_tensor(loss)], leaves))

    def grad(target: Any, source: Any) -> Any:
        leaf = trace.current().leaf(source) if isinstance(source, Variable) else source  # type: ignore[union-attr]
        value = gradients_of([target], [leaf])[0]
        return ops.zeros_like(leaf) if value is None else value

    results = []
    for source in sources:
        output = KerasTensor(source.shape, "float32")
        FunctionalNode(OpCall(grad), (loss, source), {}, output)
        results.append(output)
    return results


def stop_gradient(variables: Any) -> Any:
    """The same values, through which no gradient flows."""
    if isinstance(variables, (list, tuple)):
        return [ops.stop_gradient(v) for v in variables]
    return ops.stop_gradient(variables)


class PhaseSwitch(Layer):
    """The first of two inputs in training, the second otherwise."""

    def call(self, inputs: Any, training: bool = False) -> Any:
        return inputs[0] if training else inputs[1]


def _value(x: Any) -> Any:
    return x() if callable(x) and not is_tensor(x) else x


def in_train_phase(x: Any, alt: Any, training: Any = None) -> Any:
    """x in training, alt otherwise; each a tensor or a function that gives one."""
    phase = learning_phase() if training is None else training
    if not isinstance(phase, KerasTensor):
        return _value(x) if phase in (1, True) else _value(alt)
    return PhaseSwitch()([_value(x), _value(alt)])


def in_test_phase(x: Any, alt: Any, training: Any = None) -> Any:
    """x in testing, alt in training."""
    return in_train_phase(alt, x, training)


def switch(condition: Any, then_expression: Any, else_expression: Any) -> Any:
    """Where the condition holds the first, else the second; each a tensor or a function that gives one."""
    then, other = _value(then_expression), _value(else_expression)
    return _switch(condition, then, other)


@public
def _switch(condition: Any, then: Any, other: Any) -> Any:
    condition, then, other = (as_tensor(x) for x in (condition, then, other))
    if len(condition.shape) > len(then.shape):
        raise ValueError(
            f"K.switch: expected a condition of at most the rank of the expressions; received {condition.shape} and "
            f"{then.shape}"
        )
    if len(condition.shape) < len(then.shape):
        condition = ops.reshape(condition, (*condition.shape, *(1,) * (len(then.shape) - len(condition.shape))))
    return ops.where(ops.cast(condition, "bool"), then, other)


def map_fn(fn: Callable[[Any], Any], elems: Any, name: Any = None, dtype: Any = None) -> Any:
    """fn of every row, stacked."""
    return ops.stack([fn(x) for x in elems])


def foldl(fn: Callable[[Any, Any], Any], elems: Any, initializer: Any = None, name: Any = None) -> Any:
    """fn(fn(x0, x1), x2) ..., from the left."""
    rows = list(elems)
    total = rows.pop(0) if initializer is None else initializer
    for row in rows:
        total = fn(total, row)
    return total


def foldr(fn: Callable[[Any, Any], Any], elems: Any, initializer: Any = None, name: Any = None) -> Any:
    """The same from the right."""
    return foldl(fn, list(elems)[::-1], initializer)


def print_tensor(x: Any, message: str = "") -> Any:
    """x; prints it where it has a value."""
    if isinstance(x, Tensor) and not x.is_symbolic:
        print(message, x.numpy())
    return x
