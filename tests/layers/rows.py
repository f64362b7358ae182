"""One row a layer: constructor arguments, input shape, output shape, weight shapes. A layer without a row fails a test.

Rows that hold for both layouts give their shapes as channels_last; `flip` says that channels_first must do the same with
the channels moved.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Shape = tuple[int, ...]


@dataclass
class Row:
    """A layer's row. `inputs` is one shape, or a list of them for layers of several inputs."""

    layer: str
    kwargs: dict[str, Any] | Callable[[Any], dict[str, Any]]
    inputs: Shape | list[Shape]
    output: Shape
    weights: dict[str, Shape] = field(default_factory=dict)
    flip: bool = False
    integers: int = 0  # inputs are whole numbers below this
    saves: bool = True
    blind: str = ""  # the end of the path of a weight that the output does not depend on
    apart: bool = False  # several inputs are arguments of their own
    gradient: bool = True  # whether something of the output depends smoothly on the input


def conv(*window: int, channels: int, filters: int) -> dict[str, Shape]:
    return {"kernel": (*window, channels, filters), "bias": (filters,)}


def heads(key_heads: int = 2) -> dict[str, Shape]:
    """Projections to two heads of 3 and back."""
    shapes: dict[str, Shape] = {}
    for name in ("query", "key", "value"):
        n = 2 if name == "query" else key_heads
        shapes |= {f"{name}/kernel": (4, n, 3), f"{name}/bias": (n, 3)}
    return {**shapes, "attention_output/kernel": (2, 3, 4), "attention_output/bias": (4,)}


ROWS = [
    Row("Dense", {"units": 4}, (2, 3), (2, 4), {"kernel": (3, 4), "bias": (4,)}),
    Row("Dense", {"units": 2, "use_bias": False, "activation": "relu"}, (2, 5, 3), (2, 5, 2), {"kernel": (3, 2)}),
    Row("Embedding", {"input_dim": 6, "output_dim": 3}, (2, 4), (2, 4, 3), {"embeddings": (6, 3)}, integers=6),
    Row("EinsumDense", {"equation": "abc,cde->abde", "output_shape": (None, 3, 4), "bias_axes": "de"}, (2, 5, 6), (2, 5, 3, 4), {"kernel": (6, 3, 4), "bias": (3, 4)}),
    Row("EinsumDense", {"equation": "...x,xy->...y", "output_shape": 4, "activation": "tanh"}, (2, 5, 6), (2, 5, 4), {"kernel": (6, 4)}),
    Row("ReversibleEmbedding", {"input_dim": 6, "output_dim": 3}, (2, 4), (2, 4, 3), {"embeddings": (6, 3)}, integers=6),
    Row("Attention", {"use_scale": True}, [(2, 3, 4), (2, 5, 4)], (2, 3, 4), {"scale": ()}),
    Row("Attention", {"score_mode": "concat"}, [(2, 3, 4), (2, 5, 6), (2, 5, 4)], (2, 3, 6), {"concat_score_weight": ()}),
    Row("AdditiveAttention", {}, [(2, 3, 4), (2, 5, 4)], (2, 3, 4), {"scale": (4,)}),
    Row("MultiHeadAttention", {"num_heads": 2, "key_dim": 3, "sliding_window": 2}, [(2, 3, 4), (2, 3, 4)], (2, 3, 4), heads(), apart=True, blind="key/bias"),
    Row("GroupedQueryAttention", {"num_query_heads": 2, "num_key_value_heads": 1, "head_dim": 3}, [(2, 3, 4), (2, 5, 4)], (2, 3, 4), heads(1), apart=True, blind="key/bias"),
    Row("Activation", {"activation": "tanh"}, (2, 3), (2, 3)),
    Row("Lambda", lambda k: {"function": lambda x: x * 2.0}, (2, 3), (2, 3), saves=False),
    Row("Masking", {}, (2, 4, 3), (2, 4, 3)),
    Row("Identity", {}, (2, 3), (2, 3)),
    Row("Conv1D", {"filters": 4, "kernel_size": 3}, (2, 7, 2), (2, 5, 4), conv(3, channels=2, filters=4), flip=True),
    Row("Conv1D", {"filters": 4, "kernel_size": 3, "padding": "causal", "strides": 2}, (2, 7, 2), (2, 4, 4), conv(3, channels=2, filters=4)),
    Row("Conv2D", {"filters": 4, "kernel_size": (3, 2), "strides": 2, "padding": "same"}, (2, 7, 6, 2), (2, 4, 3, 4), conv(3, 2, channels=2, filters=4), flip=True),
    Row("Conv2D", {"filters": 4, "kernel_size": 3, "groups": 2, "dilation_rate": 2}, (2, 7, 6, 2), (2, 3, 2, 4), conv(3, 3, channels=1, filters=4)),
    Row("Conv1DTranspose", {"filters": 4, "kernel_size": 3, "strides": 2}, (2, 5, 2), (2, 11, 4), {"kernel": (3, 4, 2), "bias": (4,)}, flip=True),
    Row("Conv2DTranspose", {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same"}, (2, 5, 3, 2), (2, 10, 6, 4), {"kernel": (3, 3, 4, 2), "bias": (4,)}, flip=True),
    Row("DepthwiseConv1D", {"kernel_size": 3, "depth_multiplier": 2}, (2, 7, 2), (2, 5, 4), {"kernel": (3, 2, 2), "bias": (4,)}, flip=True),
    Row("DepthwiseConv2D", {"kernel_size": 3, "depth_multiplier": 2}, (2, 7, 6, 2), (2, 5, 4, 4), {"kernel": (3, 3, 2, 2), "bias": (4,)}, flip=True),
    Row("SeparableConv1D", {"filters": 5, "kernel_size": 3}, (2, 7, 2), (2, 5, 5), {"depthwise_kernel": (3, 2, 1), "pointwise_kernel": (1, 2, 5), "bias": (5,)}, flip=True),
    Row("SeparableConv2D", {"filters": 5, "kernel_size": 3, "depth_multiplier": 2}, (2, 7, 6, 2), (2, 5, 4, 5), {"depthwise_kernel": (3, 3, 2, 2), "pointwise_kernel": (1, 1, 4, 5), "bias": (5,)}, flip=True),
    *(Row(f"{kind}Pooling1D", {"pool_size": 2}, (2, 7, 3), (2, 3, 3), flip=True) for kind in ("Max", "Average", "Median")),
    *(Row(f"{kind}Pooling2D", {"pool_size": 3, "strides": 2, "padding": "same"}, (2, 7, 6, 3), (2, 4, 3, 3), flip=True) for kind in ("Max", "Average", "Median")),
    *(Row(f"Global{kind}Pooling1D", {}, (2, 7, 3), (2, 3), flip=True) for kind in ("Max", "Average")),
    *(Row(f"Global{kind}Pooling2D", {"keepdims": True}, (2, 7, 6, 3), (2, 1, 1, 3), flip=True) for kind in ("Max", "Average")),
    *(Row(f"Adaptive{kind}Pooling1D", {"output_size": 3}, (2, 7, 3), (2, 3, 3), flip=True) for kind in ("Max", "Average")),
    *(Row(f"Adaptive{kind}Pooling2D", {"output_size": (2, 5)}, (2, 7, 6, 3), (2, 2, 5, 3), flip=True) for kind in ("Max", "Average")),
    Row("ReLU", {"max_value": 2.0, "negative_slope": 0.1, "threshold": 0.2}, (2, 3), (2, 3)),
    Row("LeakyReLU", {}, (2, 3), (2, 3)),
    Row("PReLU", {"shared_axes": [1]}, (2, 4, 3), (2, 4, 3), {"alpha": (1, 3)}),
    Row("ELU", {"alpha": 0.5}, (2, 3), (2, 3)),
    Row("ThresholdedReLU", {"theta": 0.1}, (2, 3), (2, 3)),
    Row("Softmax", {"axis": 1}, (2, 4, 3), (2, 4, 3)),
    *(Row(kind, {}, [(2, 3, 4), (2, 3, 4), (2, 1, 4)], (2, 3, 4)) for kind in ("Add", "Multiply", "Average", "Maximum", "Minimum")),
    Row("Subtract", {}, [(2, 3), (2, 3)], (2, 3)),
    Row("Concatenate", {"axis": 1}, [(2, 3, 4), (2, 2, 4)], (2, 5, 4)),
    Row("Dot", {"axes": 1, "normalize": True}, [(2, 3), (2, 3)], (2, 1)),
    Row("BatchNormalization", {}, (4, 5, 3), (4, 5, 3), {n: (3,) for n in ("gamma", "beta", "moving_mean", "moving_variance")}),
    Row("LayerNormalization", {"axis": [1, 2]}, (2, 4, 3), (2, 4, 3), {"gamma": (4, 3), "beta": (4, 3)}),
    Row("RMSNormalization", {}, (2, 4, 3), (2, 4, 3), {"scale": (3,)}),
    Row("GroupNormalization", {"groups": 2}, (2, 5, 4), (2, 5, 4), {"gamma": (4,), "beta": (4,)}),
    Row("UnitNormalization", {}, (2, 3), (2, 3)),
    Row("SpectralNormalization", lambda k: {"layer": k.layers.Dense(4)}, (2, 3), (2, 4), {"kernel": (3, 4), "vector_u": (1, 4), "bias": (4,)}),
    Row("TimeDistributed", lambda k: {"layer": k.layers.Dense(4)}, (2, 5, 3), (2, 5, 4), {"kernel": (3, 4), "bias": (4,)}),
    Row("Dropout", {"rate": 0.4, "noise_shape": (None, 1, 3)}, (2, 4, 3), (2, 4, 3)),
    Row("SpatialDropout1D", {"rate": 0.4}, (2, 4, 3), (2, 4, 3)),
    Row("SpatialDropout2D", {"rate": 0.4}, (2, 4, 5, 3), (2, 4, 5, 3), flip=True),
    Row("GaussianNoise", {"stddev": 0.3}, (2, 3), (2, 3)),
    Row("GaussianDropout", {"rate": 0.4}, (2, 3), (2, 3)),
    Row("AlphaDropout", {"rate": 0.4}, (2, 3), (2, 3)),
    Row("ActivityRegularization", {"l1": 0.1, "l2": 0.2}, (2, 3), (2, 3)),
    Row("Flatten", {}, (2, 4, 5, 3), (2, 60)),
    Row("Reshape", {"target_shape": (3, -1)}, (2, 6, 4), (2, 3, 8)),
    Row("Permute", {"dims": (2, 1)}, (2, 6, 4), (2, 4, 6)),
    Row("RepeatVector", {"n": 5}, (2, 3), (2, 5, 3)),
    Row("UpSampling1D", {"size": 3}, (2, 4, 3), (2, 12, 3)),
    Row("UpSampling2D", {"size": (2, 3), "interpolation": "bilinear"}, (2, 4, 5, 3), (2, 8, 15, 3), flip=True),
    Row("UpSampling2D", {"size": (3, 2), "interpolation": "bicubic"}, (2, 4, 5, 3), (2, 12, 10, 3), flip=True),
    Row("ZeroPadding1D", {"padding": (1, 2)}, (2, 4, 3), (2, 7, 3), flip=True),
    Row("ZeroPadding2D", {"padding": ((1, 2), (0, 3))}, (2, 4, 5, 3), (2, 7, 8, 3), flip=True),
    Row("Cropping1D", {"cropping": (1, 2)}, (2, 5, 3), (2, 2, 3)),
    Row("Cropping2D", {"cropping": ((1, 1), (0, 2))}, (2, 4, 5, 3), (2, 2, 3, 3), flip=True),
    Row("LocallyConnected1D", {"filters": 4, "kernel_size": 3}, (2, 7, 2), (2, 5, 4), {"kernel": (5, 6, 4), "bias": (5, 4)}, flip=True),
    Row("LocallyConnected2D", {"filters": 4, "kernel_size": (3, 2), "strides": 2}, (2, 7, 6, 2), (2, 3, 3, 4), {"kernel": (9, 12, 4), "bias": (3, 3, 4)}, flip=True),
    Row("Resizing", {"height": 3, "width": 7}, (2, 4, 5, 3), (2, 3, 7, 3), flip=True),
    Row("CenterCrop", {"height": 3, "width": 4}, (2, 6, 5, 3), (2, 3, 4, 3), flip=True),
    Row("RandomFlip", {"mode": "horizontal", "seed": 1}, (2, 4, 5, 3), (2, 4, 5, 3), flip=True),
    Row("RandomRotation", {"factor": 0.2, "seed": 1}, (2, 4, 5, 3), (2, 4, 5, 3), flip=True),
    Row("RandomTranslation", {"height_factor": 0.2, "width_factor": (-0.1, 0.3), "seed": 1}, (2, 4, 5, 3), (2, 4, 5, 3), flip=True),
    Row("RandomZoom", {"height_factor": 0.2, "seed": 1}, (2, 4, 5, 3), (2, 4, 5, 3), flip=True),
    Row("RandomContrast", {"factor": 0.2, "seed": 1}, (2, 4, 5, 3), (2, 4, 5, 3), flip=True),
    Row("RandomBrightness", {"factor": 0.2, "seed": 1}, (2, 4, 5, 3), (2, 4, 5, 3), flip=True),
    Row("RandomShear", {"x_factor": 0.2, "y_factor": (0.1, 0.3), "seed": 1}, (2, 4, 5, 3), (2, 4, 5, 3), flip=True),
    Row("RandomHue", {"factor": 0.2, "seed": 1}, (2, 4, 5, 3), (2, 4, 5, 3), flip=True),
    Row("RandomSaturation", {"factor": (0.2, 0.7), "seed": 1}, (2, 4, 5, 3), (2, 4, 5, 3), flip=True),
    Row("RandomInvert", {"factor": 0.5, "seed": 1}, (2, 4, 5, 3), (2, 4, 5, 3), flip=True),
    Row("RandomGrayscale", {"factor": 0.5, "seed": 1}, (2, 4, 5, 3), (2, 4, 5, 3), flip=True),
    Row("RandomColorDegeneration", {"factor": 0.5, "seed": 1}, (2, 4, 5, 3), (2, 4, 5, 3), flip=True),
    Row("RandomPosterization", {"factor": (2, 6), "seed": 1}, (2, 4, 5, 3), (2, 4, 5, 3), flip=True, gradient=False),
    Row("RandomSharpness", {"factor": 0.5, "value_range": (-2, 2), "seed": 1}, (2, 4, 5, 3), (2, 4, 5, 3), flip=True),
    Row("RandomColorJitter", {"brightness_factor": 0.2, "contrast_factor": 0.3, "seed": 1}, (2, 4, 5, 3), (2, 4, 5, 3), flip=True),
    Row("MixUp", {"alpha": 0.4, "seed": 1}, (2, 4, 5, 3), (2, 4, 5, 3), flip=True),
    Row("CutMix", {"factor": 1.0, "seed": 1}, (2, 4, 5, 3), (2, 4, 5, 3), flip=True),
    Row("Equalization", {"value_range": (0, 1)}, (2, 4, 5, 3), (2, 4, 5, 3), flip=True, gradient=False),
    Row("Pipeline", lambda k: {"layers": [k.layers.Rescaling(2.0), k.layers.RandomFlip(seed=1)]}, (2, 4, 5, 3), (2, 4, 5, 3)),
    Row("RandomErasing", {"fill_value": 0.5, "seed": 1}, (2, 4, 5, 3), (2, 4, 5, 3), flip=True),
    Row("RandomGaussianBlur", {"kernel_size": 3, "value_range": (-2, 2), "seed": 1}, (2, 4, 5, 3), (2, 4, 5, 3), flip=True),
    Row("Solarization", {"addition_factor": 0.2, "threshold_factor": 0.5, "seed": 1}, (2, 4, 5, 3), (2, 4, 5, 3), flip=True),
    Row("AutoContrast", {}, (2, 4, 5, 3), (2, 4, 5, 3), flip=True),
    Row("Normalization", {}, (2, 4, 3), (2, 4, 3), {"mean": (3,), "variance": (3,), "count": ()}),
    Row("Normalization", {"axis": None, "mean": 1.0, "variance": 4.0}, (2, 3), (2, 3)),
    Row("Discretization", {"bin_boundaries": [-0.5, 0.0, 1.0]}, (2, 3), (2, 3), gradient=False),
    Row("CategoryEncoding", {"num_tokens": 6, "output_mode": "count"}, (2, 4), (2, 6), integers=6),
    Row("RandomCrop", {"height": 3, "width": 4, "seed": 1}, (2, 6, 5, 3), (2, 3, 4, 3), flip=True),
    Row("Rescaling", {"scale": 0.5, "offset": 1.0}, (2, 3), (2, 3)),
]  # fmt: skip

# The bases, which compute nothing, and Input's own layer.
WITHOUT_ROW = {"Layer", "InputLayer", "Wrapper"}
