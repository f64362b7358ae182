"""Normalization, Discretization and CategoryEncoding, after keras.layers: features made ready, some by what data teaches.

`adapt(data)` looks at arrays or batches of them, on the host and once; the call is an ordinary traced computation.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from berrante import ops
from berrante.graph.tensor import Tensor
from berrante.layers.layer import Layer
from berrante.layers.spec import InputSpec


def batches_of(data: Any, label: str) -> Iterator[np.ndarray]:
    """The features in data: an array is one batch; of pairs (features, targets) the first counts."""
    if isinstance(data, (np.ndarray, Tensor)):
        yield np.asarray(data)
        return
    if not isinstance(data, Iterable) or isinstance(data, (str, bytes, dict)):
        raise TypeError(
            f"{label} adapt: Unsupported data type: expected arrays or batches; received {type(data).__name__}"
        )
    if not hasattr(data, "__len__") or not hasattr(data, "__getitem__") or isinstance(data, (list, tuple)):
        batches: Any = data
    else:  # a PyDataset
        sequence: Any = data
        batches = (sequence[i] for i in range(len(sequence)))
    for batch in batches:
        batch = batch[0] if isinstance(batch, (tuple, list)) and batch and hasattr(batch[0], "shape") else batch
        if not hasattr(batch, "shape"):
            raise TypeError(f"{label} adapt() expects arrays with a `.shape`; received {type(batch).__name__}")
        yield np.asarray(batch)


class Normalization(Layer):
    """(x - mean) / sqrt(variance), which `adapt` takes from data or the arguments give.

    Args:
        axis: the axes that have statistics of their own; None for one mean and variance of everything.
        mean, variance: given instead of adapt; they are aligned with the last of the kept axes.
        invert: x * sqrt(variance) + mean.
    """

    supports_masking = True
    mean: Any = None
    variance: Any = None

    def __init__(
        self, axis: Any = -1, mean: Any = None, variance: Any = None, invert: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.axis = () if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
        self.input_mean, self.input_variance, self.invert = mean, variance, invert
        if (mean is None) != (variance is None):
            raise ValueError(f"{self._label()} both `mean` and `variance` must be set; received {mean} and {variance}")
        if np.shape(mean) != np.shape(variance):
            raise ValueError(
                f"{self._label()} `mean` and `variance` must have the same shape; received {np.shape(mean)} and "
                f"{np.shape(variance)}"
            )
        if mean is not None and np.ndim(mean) > len(self.axis):
            raise ValueError(
                f"{self._label()} The rank of `mean` must be at most the number of axes ({len(self.axis)}); received "
                f"shape {np.shape(mean)}"
            )

    def build(self, input_shape: Any) -> None:
        if input_shape is None:
            return
        rank = len(input_shape)
        if any(not -rank <= a < rank for a in self.axis):
            raise ValueError(f"All `axis` values must be in the range [-{rank}, {rank}); received {self.axis}")
        self._keep_axis = tuple(sorted(a % rank for a in self.axis))
        if any(input_shape[a] is None for a in self._keep_axis):
            raise ValueError(
                f"All `axis` values to be kept must have a known shape; received axis {self.axis} of shape {input_shape}"
            )
        self._reduce_axis = tuple(a for a in range(rank) if a not in self._keep_axis)
        self._broadcast_shape = tuple(input_shape[a] if a in self._keep_axis else 1 for a in range(rank))
        if self.input_mean is None:
            kept = tuple(input_shape[a] for a in self._keep_axis)
            self.adapt_mean = self.add_weight(kept, "zeros", trainable=False, name="mean")
            self.adapt_variance = self.add_weight(kept, "ones", trainable=False, name="variance")
            # Keras keeps it for files of older versions.
            self.count = self.add_weight((), "zeros", dtype="int32", trainable=False, name="count")
        else:
            self.mean, self.variance = (self._spread(v, rank) for v in (self.input_mean, self.input_variance))
        self.input_spec = InputSpec(ndim=rank, axes={a: input_shape[a] for a in self._keep_axis})

    def _spread(self, value: Any, rank: int) -> np.ndarray:
        """Given statistics in the shape that broadcasts over inputs."""
        array = np.asarray(value, np.float32)
        shape = [1] * rank
        for i in range(1, array.ndim + 1):
            shape[self._keep_axis[-i]] = array.shape[-i]
        return np.broadcast_to(array.reshape(shape), self._broadcast_shape)

    def adapt(self, data: Any) -> None:
        """Takes mean and variance from an array, or from batches one after the other."""
        batches = batches_of(data, self._label())
        first = next(batches, None)
        if first is None:
            raise ValueError(f"{self._label()} adapt() received an empty iterable: expected at least one batch")
        if not self.built:
            self.build(first.shape)
        elif any(first.shape[a] != self._broadcast_shape[a] for a in self._keep_axis):
            raise ValueError(
                f"{self._label()} adapt() is being called with data with an incompatible shape {first.shape}; the layer "
                f"was built for {self._broadcast_shape}"
            )
        count, mean, square = 0.0, np.zeros(()), np.zeros(())
        for batch in itertools.chain([first], batches):
            if len(batch.shape) != len(first.shape) or any(batch.shape[a] != first.shape[a] for a in self._keep_axis):
                raise ValueError(
                    f"{self._label()} adapt() yielded a batch with incompatible shape {batch.shape}; expected "
                    f"{first.shape}"
                )
            x = batch.astype(np.float64)
            n = float(np.prod([batch.shape[a] for a in self._reduce_axis]))
            own, moved = x.mean(self._reduce_axis), count + n
            shift = own - mean  # Chan et al.'s update of the sum of squares
            square = square + x.var(self._reduce_axis) * n + shift**2 * (count * n / moved)
            mean, count = mean + shift * (n / moved), moved
        self.adapt_mean.assign(mean.astype(np.float32))
        self.adapt_variance.assign((square / count).astype(np.float32))

    def call(self, inputs: Any) -> Any:
        mean, variance = self.mean, self.variance
        if self.input_mean is None:
            mean, variance = (ops.reshape(v, self._broadcast_shape) for v in (self.adapt_mean, self.adapt_variance))
        x, deviation = ops.cast(inputs, "float32"), ops.maximum(ops.sqrt(variance), 1e-7)
        return (
            ops.add(ops.multiply(x, deviation), mean) if self.invert else ops.divide(ops.subtract(x, mean), deviation)
        )

    def compute_output_shape(self, input_shape: Any) -> Any:
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        given = {"mean": self.input_mean, "variance": self.input_variance}
        plain = {k: np.asarray(v).tolist() if v is not None else None for k, v in given.items()}
        return {**super().get_config(), "axis": self.axis, "invert": self.invert, **plain}


def encode_categories(indices: Any, mode: str, depth: int, weights: Any = None) -> Any:
    """Whole numbers below depth as `one_hot` vectors, as `multi_hot` ones of each sample's set, or as `count` of each."""
    x = ops.cast(indices, "int32")
    x = ops.expand_dims(x, -1) if len(x.shape) == 0 else x
    if mode == "one_hot":
        return ops.one_hot(ops.squeeze(x, -1) if len(x.shape) > 1 and x.shape[-1] == 1 else x, depth)
    hot = ops.one_hot(x, depth)
    axis = 1 if len(x.shape) > 1 else 0
    if mode == "multi_hot":
        return ops.max(hot, axis)
    return ops.sum(hot if weights is None else ops.multiply(hot, ops.expand_dims(weights, -1)), axis)


class CategoryEncoding(Layer):
    """Whole numbers below num_tokens as vectors.

    Args:
        num_tokens: how many there are.
        output_mode: `multi_hot` (which of them a sample has), `one_hot` (one vector a number) or `count`.

    Call arguments:
        count_weights: of the inputs' shape, what each counts; with `count` only.
    """

    fields = ("num_tokens", "output_mode")

    def __init__(
        self, num_tokens: int | None = None, output_mode: str = "multi_hot", sparse: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        output_mode = "multi_hot" if output_mode == "binary" else output_mode
        if output_mode not in ("multi_hot", "one_hot", "count"):
            raise ValueError(
                f"{self._label()} Unknown arg for output_mode: {output_mode}; expected multi_hot, one_hot or count"
            )
        if num_tokens is None:
            raise ValueError(f"{self._label()} num_tokens must be set to use this layer")
        if num_tokens < 1:
            raise ValueError(f"{self._label()} `num_tokens` must be >= 1; received {num_tokens}")
        if sparse:
            raise ValueError(f"{self._label()} sparse tensors are not supported; received sparse=True")
        self.num_tokens, self.output_mode = num_tokens, output_mode

    def _casts_integers(self) -> bool:
        return False

    def call(self, inputs: Any, count_weights: Any = None) -> Any:
        if count_weights is not None and self.output_mode != "count":
            raise ValueError(f"`count_weights` is not used when `output_mode` is {self.output_mode!r}")
        return encode_categories(ops.convert_to_tensor(inputs), self.output_mode, self.num_tokens, count_weights)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        kept = tuple(input_shape)
        if self.output_mode == "one_hot":
            kept = kept[:-1] if len(kept) > 1 and kept[-1] == 1 else kept
        else:
            kept = (kept[:1] + kept[2:]) if len(kept) > 1 else ()
        return (*kept, self.num_tokens)


class Discretization(Layer):
    """The number of the bin that each value falls into.

    Args:
        bin_boundaries: the bins' upper ends, which belong to the next bin; or
        num_bins: so many bins with about equally many values of what `adapt` sees.
        epsilon: the precision of adapt's quantiles.
        output_mode: `int`, or vectors as CategoryEncoding's.
    """

    _summary: np.ndarray

    def __init__(
        self, bin_boundaries: Any = None, num_bins: int | None = None, epsilon: float = 0.01, output_mode: str = "int",
        sparse: bool = False, dtype: Any = None, name: str | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(name=name, dtype=dtype, **kwargs)
        if sparse:
            raise ValueError(f"{self._label()} `sparse=True` cannot be used: sparse tensors are not supported")
        if output_mode not in ("int", "one_hot", "multi_hot", "count"):
            raise ValueError(
                f"{self._label()} expected output_mode int, one_hot, multi_hot or count; received {output_mode!r}"
            )
        if num_bins is not None and num_bins < 0:
            raise ValueError(f"{self._label()} `num_bins` must be greater than or equal to 0; received {num_bins}")
        if num_bins is not None and bin_boundaries is not None:
            raise ValueError(f"{self._label()} Both `num_bins` and `bin_boundaries` should not be set; received both")
        if num_bins is None and bin_boundaries is None:
            raise ValueError(f"{self._label()} You need to set either `num_bins` or `bin_boundaries`; received neither")
        self.bin_boundaries = None if bin_boundaries is None else [float(b) for b in bin_boundaries]
        self.num_bins, self.epsilon, self.output_mode = num_bins, epsilon, output_mode
        self.reset_state()

    def adapt(self, data: Any, steps: int | None = None) -> None:
        """Takes the boundaries from an array, or from (at most `steps`) batches."""
        if self.num_bins is None:
            raise ValueError(
                f"{self._label()} Cannot adapt a layer that was made with `bin_boundaries`; give `num_bins`"
            )
        self.reset_state()
        for batch in itertools.islice(batches_of(data, self._label()), steps):
            self.update_state(batch)
        self.finalize_state()

    def update_state(self, data: Any) -> None:
        """Adds a batch to the summary of values [2, n]: values in order, and how many each stands for."""
        values = np.sort(np.asarray(data, np.float32), axis=None)
        step = max(len(values) * self.epsilon, 1.0)
        kept = values[int(step - 1) :: int(step)]
        merged = np.concatenate([[kept, np.full(len(kept), step, np.float32)], self._summary], axis=1)
        self._summary = _compress(merged[:, np.argsort(merged[0])], self.epsilon)

    def finalize_state(self) -> None:
        """Boundaries from the summary."""
        if self.num_bins is not None:
            self.bin_boundaries = _compress(self._summary, 1.0 / self.num_bins)[0, :-1].tolist()

    def reset_state(self) -> None:
        """Forgets what adapt has seen."""
        self._summary = np.zeros((2, 0), np.float32)

    def call(self, inputs: Any) -> Any:
        if self.bin_boundaries is None:
            raise ValueError("You need to either pass `bin_boundaries` or call `adapt(data)` before using the layer")
        bins = ops.digitize(ops.cast(inputs, "float32"), np.asarray(self.bin_boundaries, np.float32))
        if self.output_mode == "int":
            return ops.cast(bins, "int32")
        return encode_categories(bins, self.output_mode, len(self.bin_boundaries) + 1)

    def get_config(self) -> dict[str, Any]:
        return {
            "bin_boundaries": self.bin_boundaries, "num_bins": self.num_bins, "epsilon": self.epsilon,
            "output_mode": self.output_mode, "sparse": False, "name": self.name, "dtype": self.dtype,
        }  # fmt: skip

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Discretization:
        boundaries = config.get("bin_boundaries")
        if boundaries is None or config.get("num_bins") is None:
            return cls(**config)
        layer = cls(**{**config, "bin_boundaries": None})  # one that was adapted
        layer.bin_boundaries = [float(b) for b in boundaries]
        return layer


def _compress(summary: np.ndarray, epsilon: float) -> np.ndarray:
    """The summary at 1 / epsilon quantiles, between whose values it is linear; a short one stays."""
    if summary.shape[1] * epsilon < 1:
        return summary
    quantiles = epsilon + np.arange(0.0, 1.0, epsilon)
    weights = summary[1].cumsum()
    values = np.interp(quantiles, weights / weights[-1], summary[0])
    counts = np.interp(quantiles, weights / weights[-1], weights)
    return np.stack([values, np.diff(counts, prepend=0.0)]).astype(np.float32)
