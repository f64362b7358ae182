"""Layers, with the names and defaults of keras.layers, and median pooling."""

from typing import Any

from berrante.layers.activation import ELU, LeakyReLU, PReLU, ReLU, Softmax, ThresholdedReLU
from berrante.layers.adaptive import (
    AdaptiveAveragePooling1D,
    AdaptiveAveragePooling2D,
    AdaptiveMaxPooling1D,
    AdaptiveMaxPooling2D,
)
from berrante.layers.attention import AdditiveAttention, Attention
from berrante.layers.colors import (
    AutoContrast,
    RandomColorDegeneration,
    RandomGrayscale,
    RandomHue,
    RandomInvert,
    RandomPosterization,
    RandomSaturation,
    RandomSharpness,
    Solarization,
)
from berrante.layers.convolution import (
    Conv1D,
    Conv1DTranspose,
    Conv2D,
    Conv2DTranspose,
    Convolution1D,
    Convolution1DTranspose,
    Convolution2D,
    Convolution2DTranspose,
    Deconvolution2D,
    DepthwiseConv1D,
    DepthwiseConv2D,
    SeparableConv1D,
    SeparableConv2D,
    SeparableConvolution1D,
    SeparableConvolution2D,
)
from berrante.layers.core import Activation, Dense, Embedding, Identity, Lambda, Masking
from berrante.layers.effects import RandomColorJitter, RandomErasing, RandomGaussianBlur, RandomShear
from berrante.layers.einsum import EinsumDense
from berrante.layers.embedding import ReversibleEmbedding
from berrante.layers.grouped import GroupedQueryAttention, GroupQueryAttention
from berrante.layers.heads import MultiHeadAttention
from berrante.layers.images import (
    CenterCrop,
    RandomBrightness,
    RandomContrast,
    RandomCrop,
    RandomFlip,
    RandomRotation,
    RandomTranslation,
    RandomZoom,
    Resizing,
)
from berrante.layers.input import Input, InputLayer
from berrante.layers.layer import Layer
from berrante.layers.local import LocallyConnected1D, LocallyConnected2D
from berrante.layers.merging import (
    Add,
    Average,
    Concatenate,
    Dot,
    Maximum,
    Minimum,
    Multiply,
    Subtract,
    add,
    average,
    concatenate,
    dot,
    maximum,
    minimum,
    multiply,
    subtract,
)
from berrante.layers.mixing import CutMix, Equalization, MixUp, Pipeline
from berrante.layers.normalization import (
    BatchNormalization,
    GroupNormalization,
    LayerNormalization,
    Rescaling,
    RMSNormalization,
    UnitNormalization,
)
from berrante.layers.numbers import CategoryEncoding, Discretization, Normalization
from berrante.layers.pooling import (
    AveragePooling1D,
    AveragePooling2D,
    AvgPool1D,
    AvgPool2D,
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalAvgPool1D,
    GlobalAvgPool2D,
    GlobalMaxPool1D,
    GlobalMaxPool2D,
    GlobalMaxPooling1D,
    GlobalMaxPooling2D,
    MaxPool1D,
    MaxPool2D,
    MaxPooling1D,
    MaxPooling2D,
    MedianPooling1D,
    MedianPooling2D,
)
from berrante.layers.regularization import (
    ActivityRegularization,
    AlphaDropout,
    Dropout,
    GaussianDropout,
    GaussianNoise,
    SpatialDropout1D,
    SpatialDropout2D,
)
from berrante.layers.reshaping import (
    Cropping1D,
    Cropping2D,
    Flatten,
    Permute,
    RepeatVector,
    Reshape,
    UpSampling1D,
    UpSampling2D,
    ZeroPadding1D,
    ZeroPadding2D,
)
from berrante.layers.spec import InputSpec
from berrante.layers.wrappers import SpectralNormalization, TimeDistributed, Wrapper

ALL = tuple(value for value in list(globals().values()) if isinstance(value, type) and issubclass(value, Layer))


def serialize(layer: Layer) -> Any:
    """The layer's config, as keras.layers.serialize gives it."""
    from berrante.saving.registry import serialize_keras_object

    return serialize_keras_object(layer)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The layer of such a config, with new weights.

    Raises:
        ValueError: the config describes something else.
    """
    from berrante.saving.registry import deserialize_keras_object

    layer = deserialize_keras_object(config, custom_objects)
    if not isinstance(layer, Layer):
        raise ValueError(f"layers.deserialize: expected a layer's config; it describes {type(layer).__name__}")
    return layer
