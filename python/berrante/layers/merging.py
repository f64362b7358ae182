"""Layers of several inputs, and their lower-case functional forms, after keras.layers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

from berrante import ops
from berrante.layers.layer import Layer
from berrante.layers.masking import get_mask


class Merge(Layer):
    """Combines a list of tensors element by element; shapes broadcast."""

    supports_masking = True

    def build(self, input_shape: Any) -> None:
        if not isinstance(input_shape, (list, tuple)) or not isinstance(input_shape[0], (list, tuple)):
            raise ValueError(f"expected a list of at least two inputs; received shape {input_shape}")
        if len(input_shape) < 1:
            raise ValueError("expected a list of inputs; received an empty one")

    def _casts_integers(self) -> bool:
        return False

    def merge(self, inputs: Sequence[Any]) -> Any:
        raise NotImplementedError

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """A step counts if it does in any input; no mask unless every input has one."""
        self._check_masks(inputs, previous_mask)
        if previous_mask is None or any(m is None for m in previous_mask):
            return None
        return reduce(ops.logical_or, previous_mask)

    def _check_masks(self, inputs: Any, mask: Any) -> None:
        """Raises ValueError unless there is one mask (or None) for each input."""
        if mask is None:
            return
        for name, value in (("mask", mask), ("inputs", inputs)):
            if not isinstance(value, (list, tuple)):
                raise ValueError(f"{self._label()} `{name}` should be a list. Received: {name}={value!r}")
        if len(mask) != len(inputs):
            raise ValueError(
                f"{self._label()} the lists `inputs` and `mask` should have the same length. Received: {len(inputs)} inputs, "
                f"{len(mask)} masks"
            )

    def call(self, inputs: Sequence[Any]) -> Any:
        rank = max(len(x.shape) for x in inputs)
        # As in Keras, missing dimensions are put after the batch.
        same = [x if len(x.shape) == rank else ops.reshape(x, (x.shape[0], *(1,) * (rank - len(x.shape)), *x.shape[1:]))
                for x in inputs]  # fmt: skip
        return self.merge(same)


def _expanded(x: Any) -> Any:
    """A tensor's mask in the tensor's own shape; None where it has none."""
    mask = get_mask(x)
    return None if mask is None else ops.broadcast_to(ops.expand_dims(mask, -1), x.shape)


class _Extreme(Merge):
    """What a mask leaves out does not count: there the other inputs' values stand."""

    @staticmethod
    def _choose(a: Any, b: Any) -> Any:
        raise NotImplementedError

    def merge(self, inputs: Sequence[Any]) -> Any:
        result, seen = inputs[0], _expanded(inputs[0])
        for x in inputs[1:]:
            mask = _expanded(x)
            x = x if mask is None else ops.where(mask, x, result)
            result = result if seen is None else ops.where(seen, result, x)
            seen = None if seen is None or mask is None else ops.logical_or(seen, mask)
            result = self._choose(result, x)
        return result


class Add(Merge):
    """The sum of the inputs."""

    def merge(self, inputs: Sequence[Any]) -> Any:
        return reduce(ops.add, inputs)


class Subtract(Merge):
    """The first input minus the second."""

    def merge(self, inputs: Sequence[Any]) -> Any:
        if len(inputs) != 2:
            raise ValueError(f"a `Subtract` layer should be called on exactly 2 inputs; received {len(inputs)}")
        return ops.subtract(*inputs)


class Multiply(Merge):
    """The product of the inputs."""

    def merge(self, inputs: Sequence[Any]) -> Any:
        """What a mask leaves out counts as 1, and as 0 where all inputs leave it out."""
        masks = [_expanded(x) for x in inputs]
        pairs = zip(inputs, masks, strict=True)
        product = reduce(ops.multiply, [x if m is None else ops.where(m, x, ops.ones_like(x)) for x, m in pairs])
        if any(m is None for m in masks):
            return product
        return ops.where(reduce(ops.logical_or, masks), product, ops.zeros_like(product))


class Average(Merge):
    """The mean of the inputs."""

    def merge(self, inputs: Sequence[Any]) -> Any:
        return ops.divide(reduce(ops.add, inputs), float(len(inputs)))


class Maximum(_Extreme):
    """The largest of the inputs."""

    _choose = staticmethod(ops.maximum)


class Minimum(_Extreme):
    """The smallest of the inputs."""

    _choose = staticmethod(ops.minimum)


class Concatenate(Merge):
    """The inputs one after the other along an axis."""

    fields = ("axis",)

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis

    def call(self, inputs: Sequence[Any]) -> Any:
        shapes = [list(x.shape) for x in inputs]
        for shape in shapes:
            if -len(shape) <= self.axis < len(shape):
                shape[self.axis] = 0
        if any(shape != shapes[0] for shape in shapes):
            raise ValueError(
                "a `Concatenate` layer requires inputs with matching shapes except for the concatenation axis "
                f"({self.axis}). Received: {[tuple(x.shape) for x in inputs]}"
            )
        return ops.concatenate(inputs, self.axis)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """A step counts if any of its features does; inputs without a mask count."""
        self._check_masks(inputs, previous_mask)
        if previous_mask is None or all(m is None for m in previous_mask):
            return None
        wide = []
        for x, mask in zip(inputs, previous_mask, strict=True):
            full = ops.ones_like(x, dtype="bool") if mask is None else mask
            if len(full.shape) < len(x.shape):
                full = ops.broadcast_to(ops.expand_dims(full, -1), x.shape)
            wide.append(full)
        return ops.any(ops.concatenate(wide, self.axis), axis=-1)


class Dot(Merge):
    """Products of two inputs' vectors along axes; normalize gives cosines."""

    fields = ("axes", "normalize")

    def __init__(self, axes: Any, normalize: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axes, self.normalize = axes, normalize

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return None

    def call(self, inputs: Sequence[Any]) -> Any:
        if len(inputs) != 2:
            raise ValueError(f"expected exactly 2 inputs; received {len(inputs)}")
        a, b = inputs
        axes = [self.axes] * 2 if isinstance(self.axes, int) else list(self.axes)
        ia, ib = axes[0] % len(a.shape), axes[1] % len(b.shape)
        if self.normalize:
            a, b = ops.normalize(a, ia), ops.normalize(b, ib)
        la, lb = "ncdefg"[: len(a.shape)], "nxyzuv"[: len(b.shape)]
        la, lb = la[:ia] + "k" + la[ia + 1 :], lb[:ib] + "k" + lb[ib + 1 :]
        y = ops.einsum(f"{la},{lb}->n{(la[1:] + lb[1:]).replace('k', '')}", a, b)
        return ops.expand_dims(y, -1) if len(y.shape) == 1 else y


def add(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """Add()(inputs)."""
    return Add(**kwargs)(inputs)


def subtract(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """Subtract()(inputs)."""
    return Subtract(**kwargs)(inputs)


def multiply(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """Multiply()(inputs)."""
    return Multiply(**kwargs)(inputs)


def average(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """Average()(inputs)."""
    return Average(**kwargs)(inputs)


def maximum(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """Maximum()(inputs)."""
    return Maximum(**kwargs)(inputs)


def minimum(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """Minimum()(inputs)."""
    return Minimum(**kwargs)(inputs)


def concatenate(inputs: Sequence[Any], axis: int = -1, **kwargs: Any) -> Any:
    """Concatenate(axis)(inputs)."""
    return Concatenate(axis, **kwargs)(inputs)


def dot(inputs: Sequence[Any], axes: Any = -1, normalize: bool = False, **kwargs: Any) -> Any:
    """Dot(axes, normalize)(inputs)."""
    return Dot(axes, normalize, **kwargs)(inputs)
