"""Random models, drawn once as plain data and built in either library: sequential, functional (shared layers, several inputs and
outputs, bare operations, models within models) and subclassed; with their optimizers, losses and metrics.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from parity import optimizer_cases
from parity.layer_cases import maybe, pick, whole

Rng = np.random.Generator
Shape = tuple[int, ...]


@dataclass
class Part:
    """An initializer, regularizer, constraint, layer, optimizer ... by name, to be made in either library."""

    family: str
    name: str
    kwargs: dict[str, Any] = field(default_factory=dict)

    def make(self, k: Any) -> Any:
        module = k
        for part in self.family.split("."):
            module = getattr(module, part)
        return getattr(module, self.name)(**{key: made(k, value) for key, value in self.kwargs.items()})


def made(k: Any, value: Any) -> Any:
    return value.make(k) if isinstance(value, Part) else value


@dataclass
class Step:
    """A call of layer number `layer`, of an operation, or of an inner model, on earlier tensors."""

    what: Any  # a Part, the name of an operation, or a Spec
    inputs: list[int]
    layer: int = -1


@dataclass
class Spec:
    """A model as data: the shapes of its inputs, its steps, and which tensors are its outputs."""

    form: str
    inputs: list[Shape]
    steps: list[Step]
    outputs: list[int]


OPERATIONS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "add": lambda k, x, y: x + y, "mul": lambda k, x, y: k.ops.tanh(x) * y, "scale": lambda k, x, y: 0.5 * x - 1.0,
    "maximum": lambda k, x, y: k.ops.maximum(x, y), "abs": lambda k, x, y: k.ops.sqrt(k.ops.abs(x) + 0.1),
    "keep": lambda k, x, y: x - k.ops.mean(x, axis=-1, keepdims=True), "clip": lambda k, x, y: k.ops.clip(x, -2.0, 2.0),
    "where": lambda k, x, y: k.ops.where(x > 0, x, y), "div": lambda k, x, y: x / (1.0 + k.ops.square(y)),
}  # fmt: skip


def build(k: Any, spec: Spec) -> Any:
    """The model in library `k`."""
    if spec.form == "sequential":
        return k.Sequential([k.Input(spec.inputs[0]), *(step.what.make(k) for step in spec.steps)])
    if spec.form == "subclass":
        return _subclass(k, spec)
    tensors = [k.Input(s, name=f"input_{i}") for i, s in enumerate(spec.inputs)]
    layers: dict[int, Any] = {}
    starts = list(tensors)
    for step in spec.steps:
        xs = [tensors[i] for i in step.inputs]
        if isinstance(step.what, str):
            tensors.append(OPERATIONS[step.what](k, xs[0], xs[-1]))
            continue
        if step.layer not in layers:
            layers[step.layer] = build(k, step.what) if isinstance(step.what, Spec) else step.what.make(k)
        tensors.append(layers[step.layer](xs if len(xs) > 1 else xs[0]))
    ends = [tensors[i] for i in spec.outputs]
    return k.Model(starts if len(starts) > 1 else starts[0], ends if len(ends) > 1 else ends[0])


def _subclass(k: Any, spec: Spec) -> Any:
    class Net(k.Model):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.parts = [step.what.make(k) for step in spec.steps[:-1]]
            self.head = {"last": spec.steps[-1].what.make(k)}

        def call(self, x: Any, training: Any = None) -> Any:
            for part in self.parts:  # Keras tells only those of training that are told by hand
                x = part(x, training=training)
            return self.head["last"](x)

    model = Net()
    model(k.ops.zeros((1, *spec.inputs[0])))
    return model


# --- drawing --------------------------------------------------------------------------------------------------------


def initializer(rng: Rng) -> Any:
    return pick(
        rng, "he_normal", "lecun_uniform", Part("initializers", "RandomNormal", {"stddev": 0.3, "seed": 3}),
        Part("initializers", "VarianceScaling", {"scale": 0.5, "mode": "fan_out"}), Part("initializers", "Orthogonal"),
        Part("initializers", "TruncatedNormal", {"stddev": 0.2}), "glorot_normal",
    )  # fmt: skip


def regularizer(rng: Rng) -> Any:
    return pick(
        rng,
        "l1",
        "l2",
        Part("regularizers", "L1L2", {"l1": 0.01, "l2": 0.02}),
        Part("regularizers", "L2", {"l2": 0.03}),
    )


def constraint(rng: Rng) -> Any:
    return pick(
        rng, "non_neg", "unit_norm", Part("constraints", "MaxNorm", {"max_value": 1.5, "axis": 0}),
        Part("constraints", "MinMaxNorm", {"min_value": 0.1, "max_value": 2.0, "rate": 0.7}),
    )  # fmt: skip


def weighted(rng: Rng, **kwargs: Any) -> dict[str, Any]:
    """Arguments of a layer with kernel and bias."""
    prefix = "depthwise" if "depth_multiplier" in kwargs and "filters" not in kwargs else "kernel"
    if "depth_multiplier" not in kwargs or prefix == "depthwise":
        if maybe(rng, 0.4):
            kwargs[f"{prefix}_initializer"] = initializer(rng)
        if maybe(rng, 0.3):
            kwargs[f"{prefix}_regularizer"] = regularizer(rng)
        if maybe(rng, 0.2):
            kwargs[f"{prefix}_constraint"] = constraint(rng)
    if maybe(rng, 0.2):
        kwargs["use_bias"] = False
    if maybe(rng, 0.2):
        kwargs["activity_regularizer"] = regularizer(rng)
    if maybe(rng, 0.15):
        kwargs["trainable"] = False
    kwargs["activation"] = pick(rng, None, "relu", "tanh", "softplus", "leaky_relu", "gelu", "hard_sigmoid", "selu")
    return kwargs


def _layer(name: str, **kwargs: Any) -> Part:
    return Part("layers", name, kwargs)


def anywhere(rng: Rng) -> Part:
    """A layer that takes any shape and keeps it."""
    return pick(
        rng, _layer("Activation", activation=pick(rng, "relu", "sigmoid", "softsign", "mish")), _layer("LeakyReLU", negative_slope=0.1),
        _layer("BatchNormalization", momentum=0.9, scale=maybe(rng)), _layer("BatchNormalization", gamma_regularizer="l2", beta_constraint="non_neg"),
        _layer("LayerNormalization", center=maybe(rng)), _layer("PReLU", alpha_initializer="ones"), _layer("ELU", alpha=0.4), _layer("Softmax"),
        _layer("ReLU", max_value=3.0, negative_slope=0.1), _layer("Dropout", rate=0.0), _layer("UnitNormalization"), _layer("Rescaling", scale=0.5, offset=0.1),
        _layer("RMSNormalization"), _layer("Identity"), _layer("ActivityRegularization", l2=0.01), _layer("GroupNormalization", groups=1),
    )  # fmt: skip


def layer_for(rng: Rng, rank: int) -> Part:
    """A layer for one sample of so many dimensions, each of at least 3."""
    if maybe(rng, 0.45):
        return anywhere(rng)
    n = whole(rng, 3, 5)
    if rank == 1:
        return pick(
            rng, _layer("Dense", **weighted(rng, units=n)), _layer("Dense", **weighted(rng, units=n)), _layer("Reshape", target_shape=(-1, 1)),
            _layer("RepeatVector", n=3),
        )  # fmt: skip
    if rank == 2:
        return pick(
            rng, _layer("Conv1D", **weighted(rng, filters=n, kernel_size=2, padding=pick(rng, "same", "causal"))), _layer("Permute", dims=(2, 1)),
            _layer("SeparableConv1D", **weighted(rng, filters=n, kernel_size=2, depth_multiplier=2, padding="same")), _layer("Flatten"),
            _layer("DepthwiseConv1D", **weighted(rng, kernel_size=2, depth_multiplier=2, padding="same")), _layer("UpSampling1D"), _layer("ZeroPadding1D"),
            _layer("Conv1DTranspose", **weighted(rng, filters=n, kernel_size=3, strides=2)), _layer("TimeDistributed", layer=_layer("Dense", **weighted(rng, units=n))),
            _layer("GlobalMaxPooling1D"), _layer("AveragePooling1D", pool_size=2, padding="same"), _layer("Dense", **weighted(rng, units=n)), _layer("SpatialDropout1D", rate=0.0),
        )  # fmt: skip
    return pick(
        rng, _layer("Conv2D", **weighted(rng, filters=n, kernel_size=(2, 3), padding="same")), _layer("Conv2D", **weighted(rng, filters=4, kernel_size=1, strides=(1, 2))),
        _layer("SeparableConv2D", **weighted(rng, filters=n, kernel_size=2, depth_multiplier=2, padding="same")), _layer("Flatten"), _layer("Cropping2D", cropping=((0, 1), (0, 0))),
        _layer("DepthwiseConv2D", **weighted(rng, kernel_size=2, depth_multiplier=2, padding="same")), _layer("ZeroPadding2D", padding=((1, 0), (0, 2))),
        _layer("Conv2DTranspose", **weighted(rng, filters=n, kernel_size=3, strides=2, padding="same")), _layer("MaxPooling2D", pool_size=2, strides=1),
        _layer("UpSampling2D", interpolation=pick(rng, "nearest", "bilinear")), _layer("GlobalAveragePooling2D"), _layer("Permute", dims=(2, 1, 3)), _layer("SpatialDropout2D", rate=0.0),
    )  # fmt: skip


_RANKS = {"Flatten": 1, "Reshape": 2, "RepeatVector": 2}


def rank_after(part: Part, rank: int) -> int:
    return 1 if part.name.startswith("Global") else _RANKS.get(part.name, rank)


def input_shape(rng: Rng) -> Shape:
    return pick(rng, (5,), (6, 4), (6, 5, 4), (5,))


HEAD = {1: [], 2: [_layer("Flatten")], 3: [_layer("GlobalAveragePooling2D")]}
OUTPUTS = 3


def chain(rng: Rng, form: str) -> Spec:
    """A stack of layers with OUTPUTS numbers at the end."""
    shape = input_shape(rng)
    rank, parts = len(shape), []
    for _ in range(whole(rng, 1, 5)):
        part = layer_for(rng, rank)
        parts.append(part)
        rank = rank_after(part, rank)
    parts += [*HEAD[rank], _layer("Dense", **weighted(rng, units=OUTPUTS))]
    return Spec(form, [shape], [Step(part, []) for part in parts], [])


def graph(rng: Rng, depth: int = 0, width: int = 5, inputs: int = 0) -> Spec:
    """A functional model over vectors of one width: any two tensors may be added, any layer shared; images at its start."""
    n = inputs or pick(rng, 1, 1, 2)
    shapes: list[Shape] = [(width,) if inputs else pick(rng, (width,), (6, 6, 3), (4, 3)) for _ in range(n)]
    steps: list[Step] = []
    known: list[int] = []  # tensors of the width
    shared: list[tuple[Any, int]] = []

    def add(what: Any, xs: list[int], layer: int | None = None) -> int:
        steps.append(Step(what, xs, len(steps) if layer is None else layer))
        return n + len(steps) - 1

    for i, shape in enumerate(shapes):
        x = i
        if len(shape) > 1:
            for _ in range(whole(rng, 0, 2)):
                part = layer_for(rng, len(shape))
                if rank_after(part, len(shape)) == len(shape):
                    x = add(part, [x])
            x = add(_layer("Flatten"), [x])
            x = add(_layer("Dense", **weighted(rng, units=width)), [x])
        known.append(x)
    for _ in range(whole(rng, 2, 6)):
        a, b = (known[int(rng.integers(len(known)))] for _ in range(2))
        kind = rng.random()
        if kind < 0.3:
            part = pick(rng, anywhere(rng), _layer("Dense", **weighted(rng, units=width)))
            known.append(add(part, [a]))
            shared.append((part, len(steps) - 1))
        elif kind < 0.45 and shared:
            part, layer = shared[int(rng.integers(len(shared)))]
            known.append(add(part, [a], layer))
        elif kind < 0.65:
            known.append(add(_layer(pick(rng, "Add", "Multiply", "Average", "Maximum", "Minimum", "Subtract")), [a, b]))
        elif kind < 0.85:
            known.append(add(pick(rng, *OPERATIONS), [a, b]))
        elif depth == 0:
            ends = pick(rng, 1, 1, 2)
            inner = graph(rng, 1, width, ends)
            inner.outputs = inner.outputs[:1]
            part, xs = inner, [a, b][:ends]
            known.append(add(part, xs))
            shared += [(part, len(steps) - 1)] if ends == 1 else []
    outputs = [known[-1]] if depth or maybe(rng) else [known[-1], known[-2]]
    if not depth:
        outputs = [add(_layer("Dense", units=OUTPUTS), [x]) for x in outputs]
    return Spec("functional", shapes, steps, outputs)


def model(rng: Rng, form: str = "") -> Spec:
    form = form or pick(rng, "sequential", "functional", "functional", "subclass")
    return graph(rng) if form == "functional" else chain(rng, form)


@dataclass
class Training:
    optimizer: Part
    loss: Any
    metrics: Any

    def compile(self, k: Any, net: Any) -> None:
        net.compile(self.optimizer.make(k), made(k, self.loss), metrics=[made(k, m) for m in self.metrics] or None)


def training(rng: Rng, name: str = "", outputs: int = 1) -> Training:
    name = name or pick(rng, *optimizer_cases.TABLE)
    kwargs = {**optimizer_cases.common(rng), **optimizer_cases.TABLE[name](rng)}
    kwargs = {n: v for n, v in kwargs.items() if "ema" not in n}  # Keras on JAX gives away the averages' memory
    rate: Any = 0.01
    if maybe(rng, 0.3):
        schedule, arguments = optimizer_cases.schedule_of(rng)
        if schedule != "CosineDecayRestarts":  # at whole steps rounding decides whether it restarts
            rate = Part("optimizers.schedules", schedule, arguments)
    loss = pick(
        rng, "mse", "mean_absolute_error", Part("losses", "Huber", {"delta": 0.6}), "log_cosh",
        Part("losses", "MeanSquaredError", {"reduction": "sum"}), Part("losses", "LogCosh", {"name": "own"}),
    )  # fmt: skip
    metrics = (
        [] if outputs > 1 else pick(rng, [], ["mae"], ["mse", Part("metrics", "RootMeanSquaredError", {"name": "r"})])
    )
    return Training(Part("optimizers", name, {"learning_rate": rate, **kwargs}), loss, metrics)
