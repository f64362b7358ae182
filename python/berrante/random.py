"""Random tensors, with the names of keras.random. Philox4x32-10: element i of a draw is a function of the seed and i.

A seed is an int (a fixed draw), a SeedGenerator (a new draw each time, inside programs too), an int32[2] tensor, or
None: the global generator, which `set_random_seed` resets.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from berrante.graph import trace
from berrante.graph.elementwise import Elementwise, MicroBuilder
from berrante.graph.op import as_tensor
from berrante.graph.primitives import cast, floating, reshape, slice_
from berrante.graph.tensor import DTYPES, Node, Tensor, TensorSpec
from berrante.graph.variable import Variable
from berrante.ops import creation, nn, reduction
from berrante.ops import elementwise as e
from berrante.ops.arithmetic import erfinv
from berrante.ops.shape import take

Shape = Sequence[int]


class SeedGenerator:
    """A seed that changes with every draw.

    Args:
        seed: a whole number; None takes one from the system.
    """

    def __init__(
        self, seed: int | None = None, name: str = "seed_generator", backend: Any = None, **kwargs: Any
    ) -> None:
        if kwargs:
            raise ValueError(f"Unrecognized keyword arguments: {sorted(kwargs)}")
        if seed is None:
            seed = _fresh_seed()
        if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
            raise ValueError(f"Argument `seed` must be an integer. Received: seed={seed!r}")
        self._initial_seed = int(seed)
        self.name = name
        self.state = Variable(
            np.array([_int32(self._initial_seed), 0], np.int32),
            dtype="int32",
            trainable=False,
            name="seed_generator_state",
        )

    def next(self, ordered: bool = True) -> Tensor:
        """The current seed; the next call gives another."""
        seed = self.state.value
        # A concrete value is a view of the state's own memory, which the assignment changes.
        current = Tensor(seed.spec, seed.value.copy()) if seed.value is not None else seed
        self.state.assign(e.add(current, np.array([0, 1], np.int32)))
        return current

    def get_config(self) -> dict[str, Any]:
        return {"seed": self._initial_seed}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> SeedGenerator:
        return cls(**config)


def _int32(n: int) -> int:
    n &= 0xFFFFFFFF
    return n - (1 << 32) if n >= 1 << 31 else n


def _from_the_system() -> int:
    """31 random bits (the module `secrets` takes long to import)."""
    return int.from_bytes(os.urandom(4), "little") >> 1


_global = SeedGenerator(_from_the_system())
_seeds: np.random.Generator | None = None


_seed_source: Callable[[], int] | None = None


def take_seeds_from(source: Callable[[], int] | None) -> None:
    """Draws without a seed of their own, and SeedGenerator(None), take their seeds from a function; None ends that.

    Under Keras 2 this is NumPy's global generator, so that `np.random.seed(...)` repeats initial values and orders.
    """
    global _seed_source
    _seed_source = source


def set_global_seed(seed: int) -> None:
    """Restarts the global generator, and the seeds that SeedGenerator(None) takes."""
    global _seeds
    _seeds = np.random.default_rng(seed)
    _global.state.assign(np.array([_int32(seed), 0], np.int32))


def _fresh_seed() -> int:
    if _seed_source is not None:
        return _seed_source()
    return int(_seeds.integers(1 << 31)) if _seeds is not None else _from_the_system()


def make_default_seed() -> int:
    """A fresh seed; repeatable after `set_random_seed`."""
    return _fresh_seed()


def global_seed_generator() -> SeedGenerator:
    """The generator that draws where no seed is given."""
    return _global


def draw_seed(seed: Any) -> Tensor:
    """The int32[2] tensor of any kind of seed."""
    if seed is None and _seed_source is not None and trace.current() is None:
        seed = _seed_source()
    if seed is None:
        return _global.next()
    if isinstance(seed, SeedGenerator):
        return seed.next()
    if isinstance(seed, (int, np.integer)):
        return Tensor(TensorSpec((2,), "int32"), np.array([_int32(int(seed)), 0], np.int32))
    if isinstance(seed, str):
        raise ValueError(
            "Argument `seed` must be either an integer or an instance of `SeedGenerator`. Received: "
            f"seed={seed!r} (of type {type(seed)})"
        )
    t = as_tensor(seed)
    if t.shape != (2,) or t.dtype != "int32":
        raise ValueError(
            f"expected a seed: an int, a SeedGenerator or an int32 tensor of shape (2,); received {seed!r}"
        )
    return t


def _words(seed: Tensor) -> list[Tensor]:
    return [reshape(slice_(seed, (i,), (1,)), ()) for i in (0, 1)]


def _micro(name: str) -> Any:
    def micro(b: MicroBuilder, node: Node, a: Any, c: Any) -> Any:
        return b.emit(name, a, c)

    return micro


_uniform = Elementwise("random_uniform", _micro("uniform"))
_normal = Elementwise("random_normal", _micro("normal"))
_bits = Elementwise("random_bits", _micro("bits"))


def _dropout_micro(b: MicroBuilder, node: Node, x: Any, s0: Any, s1: Any) -> Any:
    rate = node.attrs["rate"]
    kept = b.emit("le_f", b.constant(rate), b.emit("uniform", s0, s1))
    return b.emit("select", kept, b.emit("mul_f", x, b.constant(1.0 / (1.0 - rate))), b.constant(0.0))


def _grad_dropout(node: Node, dy: Tensor) -> list[Tensor | None]:
    # The same seed gives the same mask again; nothing is stored.
    return [_dropout(dy, *node.inputs[1:], **node.attrs), None, None]


class _Dropout(Elementwise):
    def prepare(self, inputs: Sequence[Any]) -> tuple[Tensor, ...]:
        return tuple(as_tensor(x) for x in inputs)


_dropout = _Dropout("dropout", _dropout_micro, _grad_dropout)


def _draw(op: Elementwise, size: Shape, seed: Any, dtype: str) -> Tensor:
    result: Tensor = op(*_words(draw_seed(seed)), shape=tuple(int(n) for n in size), dtype=dtype)
    return result


def uniform(shape: Shape, minval: float = 0.0, maxval: float = 1.0, dtype: Any = None, seed: Any = None) -> Tensor:
    """Uniform in [minval, maxval)."""
    u = _draw(_uniform, shape, seed, "float32")
    return cast(
        u if (minval, maxval) == (0.0, 1.0) else e.add(e.multiply(u, maxval - minval), minval), dtype or "float32"
    )


def normal(shape: Shape, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None) -> Tensor:
    """The normal distribution."""
    z = _draw(_normal, shape, seed, "float32")
    return cast(z if (mean, stddev) == (0.0, 1.0) else e.add(e.multiply(z, stddev), mean), dtype or "float32")


def truncated_normal(
    shape: Shape, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None
) -> Tensor:
    """The normal distribution without what lies further than two standard deviations from the mean.

    By the inverse of the distribution function: Acklam's rational approximation in float64 at once, erfinv in a program.
    """
    drawn = _draw(_uniform, shape, seed, "float32")
    low = 0.5 * math.erfc(math.sqrt(2.0))
    if drawn.is_symbolic:
        within = e.multiply(e.subtract(e.multiply(e.add(drawn, 2.0**-25), 2.0), 1.0), 1.0 - 2.0 * low)
        return e.add(e.multiply(erfinv(within), stddev * math.sqrt(2.0)), mean)
    u = drawn.numpy().astype(np.float64)
    z = _normal_quantile(low + (u + 2.0**-25) * (1.0 - 2.0 * low))
    return as_tensor((np.clip(z, -2.0, 2.0) * stddev + mean).astype(DTYPES["float32"]))


def _normal_quantile(p: np.ndarray) -> np.ndarray:
    a = (
        -39.69683028665376,
        220.9460984245205,
        -275.9285104469687,
        138.3577518672690,
        -30.66479806614716,
        2.506628277459239,
    )
    b = (-54.47609879822406, 161.5858368580409, -155.6989798598866, 66.80131188771972, -13.28068155288572, 1.0)
    c = (
        -0.007784894002430293,
        -0.3223964580411365,
        -2.400758277161838,
        -2.549732539343734,
        4.374664141464968,
        2.938163982698783,
    )
    d = (0.007784695709041462, 0.3224671290700398, 2.445134137142996, 3.754408661907416, 1.0)
    q = p - 0.5
    middle = q * np.polyval(a, q * q) / np.polyval(b, q * q)
    t = np.sqrt(-2.0 * np.log(np.minimum(p, 1.0 - p)))
    tail = np.sign(q) * -np.polyval(c, t) / np.polyval(d, t)
    result: np.ndarray = np.where(np.abs(q) <= 0.47575, middle, tail)
    return result


def randint(shape: Shape, minval: int, maxval: int, dtype: Any = "int32", seed: Any = None) -> Tensor:
    """Whole numbers in [minval, maxval)."""
    if maxval <= minval:
        raise ValueError(f"[randint] expected maxval above minval; received {minval} and {maxval}")
    u = _draw(_uniform, shape, seed, "float32")
    n = e.minimum(cast(e.multiply(u, float(maxval - minval)), "int32"), maxval - minval - 1)
    return cast(e.add(n, int(minval)), dtype)


def dropout(inputs: Any, rate: float, noise_shape: Shape | None = None, seed: Any = None) -> Tensor:
    """Sets a fraction `rate` of the elements to 0 and scales the others by 1 / (1 - rate).

    Where noise_shape is 1, a whole dimension shares its fate.
    """
    x = floating(inputs)
    if not 0 <= rate <= 1:
        raise ValueError(f"[dropout] expected rate from 0 to 1; received {rate}")
    if rate == 0:
        return x
    if rate == 1:
        return e.multiply(x, 0.0)
    words = _words(draw_seed(seed))
    if noise_shape is None:
        result: Tensor = _dropout(x, *words, rate=float(rate), dtype=x.dtype)
        return result
    mask_shape = tuple(n if m is None else int(m) for m, n in zip(noise_shape, x.shape, strict=True))
    mask: Tensor = _dropout(creation.ones(mask_shape), *words, rate=float(rate), dtype="float32")
    return e.multiply(x, mask)


def bernoulli(shape: Shape, p: float = 0.5, dtype: Any = "float32", seed: Any = None) -> Tensor:
    """1 with probability p, else 0."""
    return cast(e.less(_draw(_uniform, shape, seed, "float32"), p), dtype)


def binomial(shape: Shape, counts: int, probabilities: float, seed: Any = None, dtype: Any = "float32") -> Tensor:
    """Successes among a number of trials."""
    return cast(reduction.sum(bernoulli((*shape, int(counts)), probabilities, seed=seed), -1), dtype)


def categorical(logits: Any, num_samples: int, dtype: Any = "int32", seed: Any = None) -> Tensor:
    """Classes drawn from each row of logits [N, K], as [N, num_samples] (Gumbel's maximum)."""
    x = floating(logits)
    u = _draw(_uniform, (x.shape[0], num_samples, x.shape[1]), seed, "float32")
    gumbel = e.negative(e.log(e.negative(e.log(e.add(u, 2.0**-25)))))
    return cast(reduction.argmax(e.add(reshape(nn.log_softmax(x), (x.shape[0], 1, x.shape[1])), gumbel), -1), dtype)


def shuffle(x: Any, axis: int = 0, seed: Any = None) -> Tensor:
    """Rows (along an axis) in random order."""
    x = as_tensor(x)
    return take(x, reduction.argsort(_draw(_uniform, (x.shape[axis],), seed, "float32")), axis)


def gamma(shape: Shape, alpha: float, dtype: Any = None, seed: Any = None) -> Tensor:
    """The gamma distribution, drawn at once by NumPy's generator from the seed."""
    words = draw_seed(seed).numpy().view(np.uint32)
    return as_tensor(np.random.default_rng(words).gamma(alpha, size=tuple(shape)).astype(np.float32))


def host_generator() -> np.random.Generator:
    """NumPy's generator for orders of data; `set_random_seed` makes its seeds repeatable."""
    return np.random.default_rng(_fresh_seed())
