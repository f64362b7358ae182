"""Layers around layers, after keras.layers."""

from __future__ import annotations

from typing import Any

from berrante import initializers, ops
from berrante.layers.layer import Layer
from berrante.layers.spec import InputSpec


class Wrapper(Layer):
    """Holds another layer."""

    def __init__(self, layer: Layer, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(layer, Layer):
            raise ValueError(
                f"{self._label()} Layer {layer!r} supplied to Wrapper isn't a supported layer type. Please ensure wrapped layer "
                "is a valid Keras layer."
            )
        self.layer = layer

    def get_config(self) -> dict[str, Any]:
        from berrante.saving.registry import serialize_keras_object

        return {**super().get_config(), "layer": serialize_keras_object(self.layer)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        from berrante.saving.registry import deserialize_keras_object

        layer = config["layer"]
        return cls(**{**config, "layer": deserialize_keras_object(layer) if isinstance(layer, dict) else layer})


class TimeDistributed(Wrapper):
    """The layer on each step: [N, T, ...] -> [N, T, ...].

    All steps are one batch for the layer, unless it takes a mask or draws statistics of its batch: then each is its own.
    """

    supports_masking = True

    def build(self, input_shape: Any) -> None:
        if not isinstance(input_shape, (list, tuple)) or len(input_shape) < 3:
            raise ValueError(f"expected input of at least 3-D; received shape {input_shape}")
        if not self.layer.built:
            self.layer.build((input_shape[0], *input_shape[2:]))
            self.layer.built = True

    def call(self, inputs: Any, training: bool = False, mask: Any = None) -> Any:
        n, t = inputs.shape[:2]
        if mask is not None and (len(mask.shape) < 2 or tuple(mask.shape[:2]) != (n, t)):
            raise ValueError(f"expected a mask of shape ({n}, {t}); received shape {tuple(mask.shape)}")
        arguments = self.layer._arguments()
        kwargs = {"training": training} if "training" in arguments else {}
        if training and "training" in arguments or (mask is not None and "mask" in arguments):
            steps = []
            for i in range(t):
                if mask is not None and "mask" in arguments:
                    kwargs["mask"] = mask[:, i]
                steps.append(self.layer(inputs[:, i], **kwargs))
            return ops.stack(steps, 1)
        y = self.layer(ops.reshape(inputs, (n * t, *inputs.shape[2:])), **kwargs)
        return ops.reshape(y, (n, t, *y.shape[1:]))


class SpectralNormalization(Wrapper):
    """Divides the layer's kernel by its largest singular value, estimated by power iteration (Miyato et al., 2018).

    Each call in training replaces the kernel by the divided one, and the vector of the iteration by a better one.
    """

    fields = ("power_iterations",)
    kernel: Any

    def __init__(self, layer: Layer, power_iterations: int = 1, **kwargs: Any) -> None:
        super().__init__(layer, **kwargs)
        if power_iterations <= 0:
            raise ValueError(
                f"{self._label()} `power_iterations` should be greater than zero. Received: "
                f"`power_iterations={power_iterations}`"
            )
        self.power_iterations = power_iterations

    def build(self, input_shape: Any) -> None:
        if not self.layer.built:
            self.layer.build(input_shape)
            self.layer.built = True
        self.input_spec = InputSpec(min_ndim=1, axes={-1: input_shape[-1]})
        kernel = getattr(self.layer, "kernel", None)
        kernel = getattr(self.layer, "embeddings", None) if kernel is None else kernel
        if kernel is None:
            raise ValueError(
                f"expected a layer with weights to normalise; {type(self.layer).__name__} object has no attribute 'kernel' nor "
                "'embeddings'"
            )
        self.kernel = kernel  # tracked here too, as in Keras: first in the order of weights
        self.vector_u = self.add_weight(
            (1, kernel.shape[-1]), initializers.TruncatedNormal(stddev=0.02), trainable=False, name="vector_u"
        )

    def call(self, inputs: Any, training: bool = False) -> Any:
        if training:
            u, w = self._normalized()
            zero = ops.all(ops.equal(self.kernel.value, 0.0))
            self.vector_u.assign(ops.where(zero, self.vector_u.value, u))
            self.kernel.assign(ops.where(zero, self.kernel.value, w))
        return self.layer(inputs)

    def _normalized(self) -> tuple[Any, Any]:
        """The vector after the iterations, and the kernel divided by its singular value."""
        w = ops.reshape(self.kernel, (-1, self.kernel.shape[-1]))
        u = self.vector_u.value
        for _ in range(self.power_iterations):
            v = ops.normalize(ops.matmul(u, ops.transpose(w)), axis=None)
            u = ops.normalize(ops.matmul(v, w), axis=None)
        u, v = ops.stop_gradient(u), ops.stop_gradient(v)
        sigma = ops.matmul(ops.matmul(v, w), ops.transpose(u))
        return u, ops.reshape(ops.divide(w, sigma), self.kernel.shape)
