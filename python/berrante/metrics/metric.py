"""Metric: running state over batches, after keras.metrics.Metric. update_state is traced; result reads what accumulated."""

from __future__ import annotations

from typing import Any

import numpy as np

from berrante import ops
from berrante.graph import trace
from berrante.graph.tape import flatten
from berrante.graph.tensor import standard_dtype
from berrante.graph.variable import Variable

EPSILON = 1e-7


def divide_no_nan(a: Any, b: Any) -> Any:
    """a / b, and 0 where b is 0."""
    empty = ops.equal(b, 0.0)
    return ops.where(empty, 0.0, ops.divide(a, ops.where(empty, 1.0, b)))


def add_to(variable: Variable, value: Any) -> None:
    """Accumulates into a variable."""
    variable.assign(ops.add(variable.value, value))


class Metric:
    """State that `update_state` accumulates, `result` reads and `reset_state` sets back to its initial values.

    Args:
        dtype: of the state; float32 by default.
        name: in logs; by default the class's name in snake case.

    Variables and metrics assigned to attributes, also in lists and dicts, are part of the state.
    """

    # "up" or "down": which way is better, for callbacks in mode "auto".
    _direction: str | None = None
    _variables: list[Variable]
    _initial: list[np.ndarray]
    _metrics: list[Metric]

    def __init__(self, dtype: Any = None, name: str | None = None) -> None:
        from berrante.layers.layer import snake_case, unique_name

        self.name = name or unique_name(snake_case(type(self).__name__))
        self._dtype = standard_dtype("int32" if dtype == "int" else dtype or "float32")
        for attribute in ("_variables", "_initial", "_metrics"):
            self.__dict__[attribute] = []

    def __setattr__(self, name: str, value: Any) -> None:
        if "_variables" in self.__dict__:
            nested = isinstance(value, (list, tuple, dict)) and not name.startswith("_")
            for item in flatten(value) if nested else [value]:
                self._track(item)
        object.__setattr__(self, name, value)

    def _track(self, value: Any) -> None:
        if isinstance(value, Metric):
            if not any(value is m for m in self._metrics):
                self._metrics.append(value)
        elif isinstance(value, Variable) and not any(value is v for v in self._variables):
            self._variables.append(value)
            self._initial.append(value.numpy())

    @property
    def dtype(self) -> str:
        return self._dtype

    def add_variable(
        self, shape: Any, initializer: Any, dtype: Any = None, aggregation: str = "sum", name: str | None = None
    ) -> Variable:
        """A piece of state, of the metric's own: layers and optimizers do not see it."""
        from berrante import initializers

        if "_variables" not in self.__dict__:
            raise RuntimeError(f"{type(self).__name__}.__init__ must call super().__init__() first")
        initializer = initializers.get("zeros" if initializer is None else initializer)
        with trace.suspended():
            variable = Variable(initializer, tuple(shape), dtype or "float32", False, name or "variable")
        variable.path = f"{self.name}/{variable.name}"
        self._variables.append(variable)
        self._initial.append(variable.numpy())
        return variable

    def add_weight(
        self, shape: Any = (), initializer: Any = None, dtype: Any = None, name: str | None = None
    ) -> Variable:
        if isinstance(shape, str):  # Keras 2: name first
            shape, name = (), shape
        return self.add_variable(shape, initializer, dtype, name=name)

    @property
    def variables(self) -> list[Variable]:
        return [*self._variables, *(v for metric in self._metrics for v in metric.variables)]

    def reset_state(self) -> None:
        """Back to the initial values, at once."""
        for variable, value in zip(self._variables, self._initial, strict=True):
            variable.assign(value)
        for metric in self._metrics:
            metric.reset_state()

    def reset_states(self) -> None:
        """reset_state under Keras 2's name."""
        self.reset_state()

    def update_state(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must define update_state()")

    def result(self) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must define result()")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.update_state(*args, **kwargs)
        return self.result()

    # --- without state: the values come and go as arguments -----------------------------------------------------------

    def _with_state(self, values: Any, function: Any) -> tuple[list[Any], Any]:
        """Runs a function with other values in the variables; gives the values afterwards and the function's result."""
        variables = self.variables
        if len(values) != len(variables):
            raise ValueError(
                f"{type(self).__name__}: expected {len(variables)} metric_variables; received {len(values)}"
            )
        own = [v.numpy() for v in variables]
        try:
            for v, value in zip(variables, values, strict=True):
                v.assign(value)
            result = function()
            return [ops.convert_to_tensor(v.numpy()) for v in variables], result
        finally:
            for v, value in zip(variables, own, strict=True):
                v.assign(value)

    def stateless_update_state(self, metric_variables: Any, *args: Any, **kwargs: Any) -> list[Any]:
        """update_state on the given values of the variables; gives the new ones."""
        return self._with_state(metric_variables, lambda: self.update_state(*args, **kwargs))[0]

    def stateless_result(self, metric_variables: Any) -> Any:
        """result for the given values of the variables."""
        return self._with_state(metric_variables, self.result)[1]

    def stateless_reset_state(self) -> list[Any]:
        """The values of the variables after reset_state."""
        return self._with_state([v.numpy() for v in self.variables], self.reset_state)[0]

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "dtype": self.dtype}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"
