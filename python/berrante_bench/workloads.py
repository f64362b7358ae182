"""The networks that are trained and asked for predictions, as data: every contender builds them from the same list.

Layers: ("conv", filters, kernel, padding), ("pool", kind), ("up",), ("norm",), ("act", name), ("dense", units),
("dropout", rate), ("flatten",). Pooling and enlarging are by 2. Losses: mse, cross_entropy (over the last axis, one-hot
targets), and reconstruction: binary crossentropy against the input.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

Layers = tuple[tuple[Any, ...], ...]


@dataclass(frozen=True)
class Workload:
    """A network, its batch, and how it is trained."""

    name: str
    batch: int
    input_shape: tuple[int, ...]
    layers: Layers
    optimizer: str
    loss: str

    @property
    def logits(self) -> Layers:
        """The layers without a last softmax or sigmoid, for losses that take logits."""
        return self.layers if self.loss == "mse" else self.layers[:-1]

    def shapes(self) -> list[tuple[int, ...]]:
        """One sample's shape before every layer, and at the end."""
        shapes = [self.input_shape]
        for kind, *args in self.layers:
            shapes.append(_after(kind, args, shapes[-1]))
        return shapes

    def forward_flops(self) -> float:
        """Multiplications and additions of the layers with weights, for one sample."""
        return sum(_work(layer, a, b) for layer, a, b in zip(self.layers, self.shapes(), self.shapes()[1:]))

    def train_flops(self) -> float:
        """The same for a training step of the whole batch: three products a layer, two for the first one."""
        shapes = self.shapes()
        first = next(i for i, layer in enumerate(self.layers) if layer[0] in ("conv", "dense"))
        return self.batch * (3 * self.forward_flops() - _work(self.layers[first], shapes[first], shapes[first + 1]))


def _after(kind: str, args: list[Any], shape: tuple[int, ...]) -> tuple[int, ...]:
    if kind == "conv":
        lost = 0 if args[2] == "same" else args[1] - 1
        return shape[0] - lost, shape[1] - lost, args[0]
    if kind == "dense":
        return (*shape[:-1], args[0])
    if kind == "flatten":
        return (prod(shape),)
    if kind in ("pool", "up"):
        resized = [n * 2 if kind == "up" else n // 2 for n in shape[:2]]
        return resized[0], resized[1], shape[2]
    return shape


def _work(layer: tuple[Any, ...], before: tuple[int, ...], after: tuple[int, ...]) -> float:
    if layer[0] == "conv":
        return 2.0 * prod(after) * before[2] * layer[2] ** 2
    return 2.0 * prod(after) * before[-1] if layer[0] == "dense" else 0.0


def _conv(filters: int, kernel: int = 3, padding: str = "same", act: str = "relu", norm: bool = False) -> Layers:
    return (("conv", filters, kernel, padding), *((("norm",),) if norm else ()), ("act", act))


def _dense(units: int, act: str = "relu", dropout: float = 0.0) -> Layers:
    return (("dense", units), ("act", act), *((("dropout", dropout),) if dropout else ()))


_POOL, _MEAN, _UP, _FLAT = (("pool", "max"),), (("pool", "average"),), (("up",),), (("flatten",),)

WORKLOADS = {
    w.name: w
    for w in (
        Workload("perceptron", 1, (2,), _dense(1, "sigmoid"), "sgd", "mse"),
        Workload(
            "mlp", 128, (784,), _dense(512, dropout=0.2) + _dense(512, dropout=0.2) + _dense(10, "softmax"),
            "adam", "cross_entropy",
        ),
        Workload(
            "lenet5", 128, (28, 28, 1),
            _conv(6, 5, act="tanh") + _MEAN + _conv(16, 5, "valid", "tanh") + _MEAN + _FLAT + _dense(120, "tanh")
            + _dense(84, "tanh") + _dense(10, "softmax"),
            "adam", "cross_entropy",
        ),
        Workload(
            "emotion", 100, (48, 48, 3),
            _conv(10, 5, "valid") + _POOL + _conv(10, 5, "valid") + _POOL + _conv(10, 3, "valid") + _POOL + _FLAT
            + _dense(256, dropout=0.5) + _dense(128, dropout=0.5) + _dense(64, dropout=0.5) + _dense(32, dropout=0.5)
            + _dense(4, "softmax"),
            "adam", "cross_entropy",
        ),
        Workload(
            "vgg_like", 64, (32, 32, 3),
            _conv(64) + _conv(64) + _POOL + _conv(128) + _conv(128) + _POOL + _conv(256) + _POOL + _FLAT + _dense(256)
            + _dense(10, "softmax"),
            "adam", "cross_entropy",
        ),
        Workload(
            "dense_autoencoder", 256, (784,), _dense(128) + _dense(32) + _dense(128) + _dense(784, "sigmoid"),
            "adam", "reconstruction",
        ),
        Workload(
            "conv_autoencoder", 128, (28, 28, 1),
            _conv(16) + _POOL + _conv(8) + _POOL + _conv(8) + _UP + _conv(16) + _UP + _conv(1, act="sigmoid"),
            "adam", "reconstruction",
        ),
        Workload(
            "segmenter", 4, (96, 96, 3),
            _conv(32) + _POOL + _conv(64) + _POOL + _conv(128, norm=True) + _UP + _conv(64, norm=True) + _UP
            + _conv(32, norm=True) + _conv(2, act="softmax"),
            "adam", "cross_entropy",
        ),
    )
}  # fmt: skip


def of_task(task: dict[str, Any]) -> Workload:
    """The task's workload, with the task's batch if it names one."""
    w = WORKLOADS[task["workload"]]
    return replace(w, batch=task.get("batch", w.batch))


def data(w: Workload, samples: int | None = None, images: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Inputs, and targets as the loss wants them: one batch, or so many samples; as uint8 with `images`."""
    rng = np.random.default_rng(0)
    n = samples or w.batch
    x = rng.random((n, *w.input_shape), dtype=np.float32)
    if images:
        x = (x * 255).astype(np.uint8)
    out = w.shapes()[-1]
    if w.loss == "reconstruction":
        return x, x
    if w.loss == "mse":
        return x, rng.integers(0, 2, (n, *out)).astype(np.float32)
    return x, np.eye(out[-1], dtype=np.float32)[rng.integers(0, out[-1], (n, *out[:-1]))]
