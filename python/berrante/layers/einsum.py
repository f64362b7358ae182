"""EinsumDense, after keras.layers: a dense layer whose product is any einsum of the input and one kernel."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from berrante import activations, constraints, initializers, ops, regularizers
from berrante.layers.core import refuse
from berrante.layers.layer import Layer
from berrante.layers.spec import InputSpec

_LETTERS = "[a-zA-Z]+"
_FORMS = (
    (rf"({_LETTERS}),({_LETTERS})->({_LETTERS})", ""),
    (rf"\.\.\.({_LETTERS}),({_LETTERS})->\.\.\.({_LETTERS})", "left"),
    (rf"({_LETTERS})\.\.\.,({_LETTERS})->({_LETTERS})\.\.\.", "right"),
)


class Plan(NamedTuple):
    """What an equation means for one input shape."""

    kernel: tuple[int, ...]
    bias: tuple[int, ...] | None
    output: tuple[int | None, ...]
    input_axes: list[int]  # the kernel's axes that are summed over
    output_axes: list[int]


def _parse(equation: str) -> tuple[tuple[str, str, str], str]:
    """The letters of input, kernel and output, and the side that `...` stands on."""
    for pattern, elided in _FORMS:
        match = re.fullmatch(pattern, equation.replace(" ", ""))
        if match:
            return (match[1], match[2], match[3]), elided
    raise ValueError(f"expected an equation of the form X,Y->Z, ...X,Y->...Z or X...,Y->Z...; received {equation!r}")


def plan_einsum(equation: str, bias_axes: str | None, input_shape: Any, output_shape: Any) -> Plan:
    """The shapes of kernel, bias and output.

    Args:
        equation: `ab,bc->ac`, with `...` for further axes on the left or on the right of input and output.
        bias_axes: the output's letters that the bias has extents for.
        input_shape: with the batch.
        output_shape: the output's extents after the batch; without those that `...` stands for.

    Raises ValueError for another form of equation, and where letters and extents do not agree.
    """
    (x, w, y), elided = _parse(equation)
    hidden = len(input_shape) - len(x)
    if hidden < 0 or (hidden and not elided):
        raise ValueError(f"expected {len(x)}-D input for {equation!r}; received shape {tuple(input_shape)}")
    output = [input_shape[0], *output_shape]
    if elided == "left":
        output[1:1] = input_shape[1:hidden]
    elif elided == "right":
        output += input_shape[len(input_shape) - hidden :]
    shift = hidden if elided == "left" else 0
    given = {c: input_shape[i + shift] for i, c in enumerate(x)}
    if len(output) < len(y) + hidden:
        raise ValueError(f"expected {len(y) - 1} extents in output_shape for {equation!r}; received {output_shape}")
    made = {c: output[i + shift] for i, c in enumerate(y)}
    _check_letters(equation, (x, w, y), given, made)
    output = [given.get(y[i - shift]) if n is None and 0 <= i - shift < len(y) else n for i, n in enumerate(output)]
    kernel: Any = tuple(made[c] if c in made and made[c] is not None else given.get(c, made.get(c)) for c in w)
    if any(n is None for n in kernel):
        raise ValueError(f"expected known extents for the kernel's axes {w!r}; received shape {tuple(input_shape)}")
    return Plan(
        kernel, _bias_shape(bias_axes, y, made, hidden if elided == "right" else 0), tuple(output),
        [i for i, c in enumerate(w) if c not in made], [i for i, c in enumerate(w) if c in made],
    )  # fmt: skip


def _check_letters(equation: str, specs: tuple[str, str, str], given: dict[str, Any], made: dict[str, Any]) -> None:
    x, w, y = specs
    for c in x:
        if c in made and made[c] is not None and made[c] != given[c]:
            raise ValueError(
                f"input shape and output shape do not match at shared dimension {c!r} of {equation!r}: the input has "
                f"{given[c]}, output_shape {made[c]}"
            )
    for c in y:
        if c not in x and c not in w:
            raise ValueError(f"dimension {c!r} of the output of {equation!r} is neither in the input nor in the kernel")
    for c in w:
        if c not in x and c not in y:
            raise ValueError(
                f"weight dimension {c!r} of {equation!r} did not have a match in the input {x!r} or the output {y!r}"
            )


def _bias_shape(bias_axes: str | None, y: str, made: dict[str, Any], trailing: int) -> tuple[int, ...] | None:
    """The bias' extents from its first letter on, 1 for letters that it does not have."""
    if bias_axes is None:
        return None
    for c in bias_axes:
        if c not in y:
            raise ValueError(f"bias dimension {c!r} was requested, but is not part of the output {y!r}")
    first = min(y.index(c) for c in bias_axes)
    return tuple(made[c] if c in bias_axes else 1 for c in y[first:]) + (1,) * trailing


class EinsumDense(Layer):
    """activation(einsum(equation, x, kernel) + bias).

    Args:
        equation: of input, kernel and output, such as `abc,cd->abd` or `...x,xy->...y`.
        output_shape: the output's extents without the batch; None where the input's is taken.
        bias_axes: letters of the output that the bias has extents for; None for no bias.

    With an initializer of scaled variance, fans are counted by the equation: kernel axes that are summed over are inputs.
    """

    fields = (
        "equation", "activation", "bias_axes", "kernel_initializer", "bias_initializer",
        "kernel_regularizer", "bias_regularizer", "kernel_constraint", "bias_constraint",
    )  # fmt: skip
    kernel: Any
    bias: Any = None

    def __init__(
        self, equation: str, output_shape: Any, activation: Any = None, bias_axes: str | None = None,
        kernel_initializer: Any = "glorot_uniform", bias_initializer: Any = "zeros", kernel_regularizer: Any = None,
        bias_regularizer: Any = None, kernel_constraint: Any = None, bias_constraint: Any = None,
        lora_rank: int | None = None, lora_alpha: float | None = None, quantization_config: Any = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(**kwargs)
        refuse(self._label(), lora_rank=lora_rank, lora_alpha=lora_alpha, quantization_config=quantization_config)
        self.equation, self.bias_axes = equation, bias_axes
        self.partial_output_shape = (output_shape,) if isinstance(output_shape, int) else tuple(output_shape)
        self.activation = activations.get(activation)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)

    def _plan(self, input_shape: Any) -> Plan:
        return plan_einsum(self.equation, self.bias_axes, input_shape, self.partial_output_shape)

    def _kernel_initializer_for(self, plan: Plan) -> Any:
        """The kernel's initializer, told which axes of the kernel are inputs and which outputs."""
        initializer = self.kernel_initializer
        if not isinstance(initializer, initializers.VarianceScaling) or initializer.input_axes is not None:
            return initializer
        axes = {"input_axes": plan.input_axes, "output_axes": plan.output_axes}
        return type(initializer).from_config({**initializer.get_config(), **axes})

    def build(self, input_shape: Any) -> None:
        plan = self._plan(input_shape)
        self.kernel = self.add_weight(
            plan.kernel, self._kernel_initializer_for(plan), regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint, name="kernel",
        )  # fmt: skip
        if plan.bias is not None:
            self.bias = self.add_weight(
                plan.bias, self.bias_initializer, regularizer=self.bias_regularizer, constraint=self.bias_constraint,
                name="bias",
            )  # fmt: skip
        self.input_spec = InputSpec(ndim=len(input_shape))

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        return self._plan(input_shape).output

    def call(self, inputs: Any) -> Any:
        y = ops.einsum(self.equation, inputs, self.kernel)
        return self.activation(y if self.bias is None else ops.add(y, self.bias))

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        return {**config, "output_shape": self.partial_output_shape}
