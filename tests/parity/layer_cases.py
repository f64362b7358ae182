"""Random layers: each kind is a layer with arguments and input shapes drawn at random, some of them invalid on purpose."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from parity.harness import Case

Rng = np.random.Generator

ACTIVATIONS = [
    "linear", "relu", "sigmoid", "tanh", "softmax", "elu", "selu", "softplus", "softsign", "hard_sigmoid",
    "exponential", "leaky_relu", "gelu", "silu", "swish", "relu6", "mish", "log_softmax", "hard_silu", "hard_swish",
    "celu", "hard_tanh", "log_sigmoid", "tanh_shrink", "soft_shrink", "hard_shrink",
]  # fmt: skip


def pick(rng: Rng, *options: Any) -> Any:
    return options[int(rng.integers(len(options)))]


def whole(rng: Rng, low: int, high: int) -> int:
    """A whole number from low to high, both included."""
    return int(rng.integers(low, high + 1))


def maybe(rng: Rng, chance: float = 0.5) -> bool:
    return bool(rng.random() < chance)


def values(rng: Rng, shape: Sequence[int], dtype: str = "float32") -> np.ndarray:
    if dtype == "uint8":
        return rng.integers(0, 256, shape).astype(np.uint8)
    if dtype == "int32":
        return rng.integers(-5, 6, shape).astype(np.int32)
    return rng.normal(size=shape).astype(np.float32)


def layer_case(
    rng: Rng, name: str, kwargs: dict[str, Any], shapes: list[tuple[int, ...]], training: bool = False,
    dtype: str = "float32", nested: bool = False, arrays: list[np.ndarray] | None = None,
    make: Callable[[Any], Any] | None = None, **options: Any,
) -> Case:  # fmt: skip
    """The case of one layer. `make(k)` builds it where plain arguments do not do."""
    xs = arrays if arrays is not None else [values(rng, s, dtype) for s in shapes]
    seed = whole(rng, 0, 10**6)
    config = options.pop("config", True)
    gradient = options.pop("gradient", all(x.dtype == np.float32 for x in xs))

    def run(peer: Any) -> dict[str, Any]:
        layer = make(peer.k) if make is not None else getattr(peer.k.layers, name)(**kwargs)
        return peer.layer(layer, xs, training=training, gradient=gradient, seed=seed, nested=nested, config=config)

    return Case(f"{name}({kwargs}) on {[x.shape for x in xs]} {xs[0].dtype} training={training}", run, **options)


def regularized(rng: Rng, kwargs: dict[str, Any], *names: str) -> dict[str, Any]:
    for name in names:
        if maybe(rng, 0.2):
            kwargs[f"{name}_regularizer"] = pick(rng, "l1", "l2", "l1l2")
    return kwargs


def size(rng: Rng, n: int, low: int, high: int) -> Any:
    return whole(rng, low, high) if maybe(rng) else tuple(whole(rng, low, high) for _ in range(n))


def image(rng: Rng, n: int, data_format: str, low: int, high: int, channels: int) -> tuple[int, ...]:
    spatial = tuple(whole(rng, low, high) for _ in range(n))
    batch = whole(rng, 1, 3)
    return (batch, channels, *spatial) if data_format == "channels_first" else (batch, *spatial, channels)


def formats(rng: Rng, name: str) -> str:
    """channels_first only where Keras on JAX computes it on a CPU."""
    return pick(rng, "channels_last", "channels_last", "channels_first")


def conv(name: str, n: int) -> Callable[[Rng], Case]:
    def draw(rng: Rng) -> Case:
        groups = pick(rng, 1, 1, 2, 3)
        channels = groups * whole(rng, 1, 3)
        kwargs: dict[str, Any] = {
            "filters": groups * whole(rng, 1, 4), "kernel_size": size(rng, n, 1, 4), "groups": groups,
            "padding": pick(rng, *["valid", "same", "causal"][: 3 if n == 1 else 2]), "use_bias": maybe(rng, 0.8),
            "data_format": formats(rng, name), "activation": pick(rng, None, *ACTIVATIONS),
        }  # fmt: skip
        kwargs["dilation_rate" if maybe(rng, 0.3) else "strides"] = size(rng, n, 1, 3)
        if kwargs["padding"] == "causal" and kwargs["data_format"] == "channels_first":
            kwargs["padding"] = "valid"
        regularized(rng, kwargs, "kernel", "bias", "activity")
        return layer_case(rng, name, kwargs, [image(rng, n, kwargs["data_format"], 3, 9, channels)])

    return draw


def conv_transpose(name: str, n: int) -> Callable[[Rng], Case]:
    def draw(rng: Rng) -> Case:
        kwargs: dict[str, Any] = {
            "filters": whole(rng, 1, 4), "kernel_size": size(rng, n, 1, 5), "strides": size(rng, n, 1, 3),
            "padding": pick(rng, "valid", "same"), "use_bias": maybe(rng, 0.8), "data_format": formats(rng, name),
            "activation": pick(rng, None, "relu", "tanh"),
        }  # fmt: skip
        if maybe(rng, 0.2):
            kwargs["strides"], kwargs["dilation_rate"] = 1, size(rng, n, 1, 2)
        elif maybe(rng, 0.3):
            s = kwargs["strides"]
            kwargs["output_padding"] = tuple(whole(rng, 0, m - 1) for m in ((s,) * n if isinstance(s, int) else s))
        regularized(rng, kwargs, "kernel", "bias", "activity")
        s = image(rng, n, kwargs["data_format"], 1, 7, whole(rng, 1, 4))
        return layer_case(rng, name, kwargs, [s], backends=("jax",))

    return draw


def depthwise(name: str, n: int) -> Callable[[Rng], Case]:
    separable = name.startswith("Separable")

    def draw(rng: Rng) -> Case:
        kwargs: dict[str, Any] = {"filters": whole(rng, 1, 4)} if separable else {}
        kwargs.update(
            kernel_size=size(rng, n, 1, 4), strides=whole(rng, 1, 3), padding=pick(rng, "valid", "same"),
            depth_multiplier=whole(rng, 1, 3), use_bias=maybe(rng, 0.8), data_format=formats(rng, name),
            activation=pick(rng, None, "relu", "tanh"),
        )  # fmt: skip
        if maybe(rng, 0.25):
            kwargs["strides"], kwargs["dilation_rate"] = 1, size(rng, n, 1, 2)
        regularized(rng, kwargs, "depthwise", "bias", "activity", *(["pointwise"] if separable else []))
        return layer_case(rng, name, kwargs, [image(rng, n, kwargs["data_format"], 4, 9, whole(rng, 1, 4))])

    return draw


def pooling(name: str, n: int) -> Callable[[Rng], Case]:
    def draw(rng: Rng) -> Case:
        kwargs = {
            "pool_size": size(rng, n, 1, 4), "strides": pick(rng, None, size(rng, n, 1, 3)),
            "padding": pick(rng, "valid", "same"), "data_format": formats(rng, name),
        }  # fmt: skip
        s = image(rng, n, kwargs["data_format"], 2, 9, whole(rng, 1, 4))
        uneven = name.startswith("Average") and kwargs["padding"] == "same"
        return layer_case(rng, name, kwargs, [s], backends=("jax",) if uneven else ("jax", "torch"))

    return draw


def global_pooling(name: str, n: int) -> Callable[[Rng], Case]:
    def draw(rng: Rng) -> Case:
        kwargs = {"data_format": formats(rng, name), "keepdims": maybe(rng)}
        return layer_case(rng, name, kwargs, [image(rng, n, kwargs["data_format"], 1, 6, whole(rng, 1, 4))])

    return draw


def shape(rng: Rng, low: int = 2, high: int = 4, most: int = 5) -> tuple[int, ...]:
    return tuple(whole(rng, 1, most) for _ in range(whole(rng, low, high)))


def dense(rng: Rng) -> Case:
    kwargs = {"units": whole(rng, 1, 6), "activation": pick(rng, None, *ACTIVATIONS), "use_bias": maybe(rng, 0.8)}
    regularized(rng, kwargs, "kernel", "bias", "activity")
    return layer_case(rng, "Dense", kwargs, [shape(rng)], dtype=pick(rng, "float32", "float32", "uint8", "int32"))


def activation(rng: Rng) -> Case:
    return layer_case(rng, "Activation", {"activation": pick(rng, *ACTIVATIONS)}, [shape(rng)])


def embedding(rng: Rng) -> Case:
    kwargs = {"input_dim": whole(rng, 1, 7), "output_dim": whole(rng, 1, 5), "mask_zero": maybe(rng, 0.3)}
    regularized(rng, kwargs, "embeddings")
    x = rng.integers(0, kwargs["input_dim"], shape(rng, 1, 3)).astype(pick(rng, np.int32, np.float32, np.uint8))
    return layer_case(rng, "Embedding", kwargs, [], arrays=[x])


def plain_layer(name: str, arguments: Callable[[Rng], dict[str, Any]], low: int = 2, high: int = 4) -> Any:
    def draw(rng: Rng) -> Case:
        return layer_case(rng, name, arguments(rng), [shape(rng, low, high)], training=maybe(rng))

    return draw


def prelu(rng: Rng) -> Case:
    s = shape(rng, 2, 4)
    axes = [i for i in range(1, len(s)) if maybe(rng)]
    kwargs = {"alpha_initializer": pick(rng, "zeros", "ones"), "shared_axes": axes or None}
    regularized(rng, kwargs, "alpha")
    return layer_case(rng, "PReLU", kwargs, [s])


def softmax(rng: Rng) -> Case:
    s = shape(rng, 2, 4)
    axis = pick(rng, -1, 1, len(s) - 1, (1, -1) if len(s) > 2 else -1)
    return layer_case(rng, "Softmax", {"axis": axis}, [s])


def reshape(rng: Rng) -> Case:
    s = shape(rng, 2, 4, 4)
    target = list(s[1:])
    rng.shuffle(target)
    if maybe(rng):
        target[whole(rng, 0, len(target) - 1)] = -1
    if maybe(rng, 0.1):
        target.append(2)
    return layer_case(rng, "Reshape", {"target_shape": tuple(int(n) for n in target)}, [s])


def permute(rng: Rng) -> Case:
    s = shape(rng, 2, 5, 4)
    return layer_case(rng, "Permute", {"dims": tuple(int(i) + 1 for i in rng.permutation(len(s) - 1))}, [s])


def flatten(rng: Rng) -> Case:
    return layer_case(
        rng, "Flatten", {"data_format": pick(rng, None, "channels_last", "channels_first")}, [shape(rng, 1, 5)]
    )


def border(name: str, key: str, n: int) -> Callable[[Rng], Case]:
    def draw(rng: Rng) -> Case:
        most = 2 if key == "cropping" else 3
        pairs = tuple((whole(rng, 0, most), whole(rng, 0, most)) for _ in range(n))
        value = pick(rng, whole(rng, 0, most), tuple(p[0] for p in pairs), pairs) if n > 1 else pick(rng, 1, pairs[0])
        kwargs = {key: value}
        data_format = "channels_last"
        if n == 2:
            kwargs["data_format"] = data_format = formats(rng, name)
        return layer_case(rng, name, kwargs, [image(rng, n, data_format, 4, 7, whole(rng, 1, 3))])

    return draw


def upsampling2d(rng: Rng) -> Case:
    kwargs = {
        "size": size(rng, 2, 1, 3), "interpolation": pick(rng, "nearest", "bilinear"), "data_format": formats(rng, "")
    }  # fmt: skip
    return layer_case(rng, "UpSampling2D", kwargs, [image(rng, 2, kwargs["data_format"], 1, 5, whole(rng, 1, 3))])


def upsampling1d(rng: Rng) -> Case:
    return layer_case(rng, "UpSampling1D", {"size": whole(rng, 1, 3)}, [shape(rng, 3, 3)])


def merging(name: str) -> Callable[[Rng], Case]:
    def draw(rng: Rng) -> Case:
        s = shape(rng, 1, 4)
        n = 2 if name == "Subtract" else whole(rng, 2, 4)
        shapes = [tuple(1 if i and maybe(rng, 0.15) else m for i, m in enumerate(s)) for _ in range(n)]
        return layer_case(rng, name, {}, shapes, nested=True)

    return draw


def concatenate(rng: Rng) -> Case:
    s = shape(rng, 2, 4)
    axis = pick(rng, -1, whole(rng, 1, len(s) - 1))
    shapes = [
        tuple(whole(rng, 1, 4) if i == axis % len(s) else m for i, m in enumerate(s)) for _ in range(whole(rng, 2, 4))
    ]
    if maybe(rng, 0.1):
        shapes[0] = shapes[0][:-1] + (shapes[0][-1] + 1,)
    return layer_case(rng, "Concatenate", {"axis": axis}, shapes, nested=True)


def dot(rng: Rng) -> Case:
    n, k = whole(rng, 1, 3), whole(rng, 1, 4)
    a, b = (
        [n, *(whole(rng, 1, 4) for _ in range(whole(rng, 1, 2)))],
        [n, *(whole(rng, 1, 4) for _ in range(whole(rng, 1, 2)))],
    )
    i, j = whole(rng, 1, len(a) - 1), whole(rng, 1, len(b) - 1)
    a[i] = b[j] = k
    axes: Any = (i, j) if i != j or maybe(rng) else i
    return layer_case(rng, "Dot", {"axes": axes, "normalize": maybe(rng)}, [tuple(a), tuple(b)], nested=True)


def batch_normalization(rng: Rng) -> Case:
    s = tuple(m + 1 for m in shape(rng, 2, 4))
    kwargs = {
        "axis": pick(rng, -1, whole(rng, 1, len(s) - 1)), "momentum": pick(rng, 0.99, 0.5), "scale": maybe(rng, 0.8),
        "epsilon": pick(rng, 1e-3, 1e-2), "center": maybe(rng, 0.8),
    }  # fmt: skip
    regularized(rng, kwargs, "beta", "gamma")
    return layer_case(rng, "BatchNormalization", kwargs, [s], training=maybe(rng), rtol=1e-3, atol=1e-4)


def layer_normalization(rng: Rng) -> Case:
    s = tuple(m + 1 for m in shape(rng, 2, 4))
    axes = sorted(int(i) for i in rng.permutation(range(1, len(s)))[: whole(rng, 1, len(s) - 1)])
    kwargs: dict[str, Any] = {
        "axis": pick(rng, -1, axes), "scale": maybe(rng, 0.8), "center": maybe(rng, 0.8),
        "epsilon": pick(rng, 1e-3, 1e-2),
    }  # fmt: skip
    if maybe(rng, 0.15):
        kwargs["rms_scaling"] = True
    regularized(rng, kwargs, "beta", "gamma")
    backends = ("jax", "torch") if kwargs["axis"] == -1 or axes[-1] == len(s) - 1 else ("jax",)
    return layer_case(rng, "LayerNormalization", kwargs, [s], rtol=1e-3, atol=1e-4, backends=backends)


def group_normalization(rng: Rng) -> Case:
    groups = whole(rng, 1, 3)
    channels = groups * whole(rng, 1, 3) + (1 if maybe(rng, 0.1) else 0)
    s = [m + 1 for m in shape(rng, 2, 4)]
    axis = pick(rng, -1, whole(rng, 1, len(s) - 1))
    s[axis] = channels
    kwargs = {
        "groups": pick(rng, groups, groups, -1),
        "axis": axis,
        "scale": maybe(rng, 0.8),
        "center": maybe(rng, 0.8),
    }
    regularized(rng, kwargs, "beta", "gamma")
    return layer_case(rng, "GroupNormalization", kwargs, [tuple(s)], rtol=1e-3, atol=1e-4)


def axis_layer(name: str) -> Callable[[Rng], Case]:
    def draw(rng: Rng) -> Case:
        s = shape(rng, 2, 4)
        axes = sorted(int(i) for i in rng.permutation(range(1, len(s)))[: whole(rng, 1, len(s) - 1)])
        return layer_case(rng, name, {"axis": pick(rng, -1, axes)}, [s], rtol=1e-3, atol=1e-4, backends=("jax",))

    return draw


def wrapped(rng: Rng, k: Any, kind: int, units: int) -> Any:
    layers = k.layers
    return [
        lambda: layers.Dense(units, activation="tanh"),
        lambda: layers.Conv1D(units, 2, padding="same"),
        lambda: layers.BatchNormalization(),
        lambda: layers.Activation("softmax"),
        lambda: layers.Dropout(0.0),
    ][kind]()  # fmt: skip


def time_distributed(rng: Rng) -> Case:
    kind, units = whole(rng, 0, 4), whole(rng, 1, 3)
    s = shape(rng, 4, 4) if kind == 1 else shape(rng, 3, 4)
    return layer_case(
        rng, "TimeDistributed", {"layer": f"number {kind}, {units} units"}, [s], training=kind == 2 and maybe(rng),
        make=lambda k: k.layers.TimeDistributed(wrapped(rng, k, kind, units)), rtol=1e-3, atol=1e-4, config=False,
    )  # fmt: skip


def spectral_normalization(rng: Rng) -> Case:
    convolution, iterations, units = maybe(rng), whole(rng, 1, 3), whole(rng, 1, 4)

    def make(k: Any) -> Any:
        inner = k.layers.Conv1D(units, 2) if convolution else k.layers.Dense(units)
        return k.layers.SpectralNormalization(inner, power_iterations=iterations)

    s = (2, 4, 3) if convolution else shape(rng, 2, 2)
    kwargs = {"layer": "Conv1D" if convolution else "Dense", "units": units, "power_iterations": iterations}
    return layer_case(
        rng, "SpectralNormalization", kwargs, [s], training=maybe(rng), make=make, rtol=1e-3, atol=1e-4,
        config=False, gradient=False,
    )  # fmt: skip


def masked_model(rng: Rng) -> Case:
    """Masking (or an Embedding that masks zeros) before layers that use or pass on masks."""
    embedding, n, t = maybe(rng), whole(rng, 1, 3), whole(rng, 2, 5)
    tail = [whole(rng, 0, 6) for _ in range(whole(rng, 1, 3))]
    pool, training = maybe(rng), maybe(rng)
    if embedding:
        x = rng.integers(0, 4, (n, t)).astype(np.int32)
        x[:, 0] = 1
    else:
        x = values(rng, (n, t, 3))
        x[rng.random((n, t)) < 0.4] = 0.0
        x[:, 0] = 1.0

    def make(k: Any) -> Any:
        layers = k.layers
        y = inputs = layers.Input(x.shape[1:], batch_size=n, dtype=str(x.dtype))
        y = layers.Embedding(4, 3, mask_zero=True)(y) if embedding else layers.Masking()(y)
        for kind in tail:
            y = [
                lambda: layers.Dense(3), lambda: layers.BatchNormalization(), lambda: layers.Activation("tanh"),
                lambda: layers.Softmax(1) if False else layers.LeakyReLU(), lambda: layers.LayerNormalization(),
                lambda: layers.TimeDistributed(layers.Dense(2)), lambda: layers.Dropout(0.0),
            ][kind]()(y)  # fmt: skip
        y = layers.Add()([y, layers.Activation("tanh")(y)])
        return k.Model(inputs, layers.GlobalAveragePooling1D()(y) if pool else y)

    label = f"{'Embedding' if embedding else 'Masking'}, {tail}, {'pooled' if pool else 'steps'}"
    return layer_case(
        rng, "model", {"masked": label}, [], training=training, make=make, arrays=[x], rtol=1e-3, atol=1e-4,
        config=False,
    )  # fmt: skip


def resizing(rng: Rng) -> Case:
    kwargs: dict[str, Any] = {
        "height": whole(rng, 1, 7), "width": whole(rng, 1, 7), "data_format": pick(rng, "channels_last", "channels_first"),
        "interpolation": pick(rng, "nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"),
    }  # fmt: skip
    if maybe(rng, 0.4):
        kwargs[pick(rng, "crop_to_aspect_ratio", "pad_to_aspect_ratio")] = True
    if maybe(rng, 0.3) and kwargs["interpolation"] != "nearest":
        kwargs["antialias"] = True
    s = image(rng, 2, kwargs["data_format"], 2, 7, 2)
    return layer_case(rng, "Resizing", kwargs, [s[1:] if maybe(rng, 0.2) else s], backends=("jax",), rtol=1e-3)


def center_crop(rng: Rng) -> Case:
    kwargs = {
        "height": whole(rng, 1, 6),
        "width": whole(rng, 1, 6),
        "data_format": pick(rng, "channels_last", "channels_first"),
    }
    s = image(rng, 2, kwargs["data_format"], 3, 7, 2)
    return layer_case(rng, "CenterCrop", kwargs, [s[1:] if maybe(rng, 0.2) else s], backends=("jax",))


def random_image(rng: Rng) -> Case:
    """The random layers where nothing is left to chance: both ends of the range are the same, or it is not training."""
    f, g = (float(np.float32(rng.uniform(-0.4, 0.4))) for _ in range(2))
    name, kwargs = pick(
        rng, ("RandomRotation", {"factor": (f, f)}), ("RandomTranslation", {"height_factor": (f, f), "width_factor": (g, g)}),
        ("RandomZoom", {"height_factor": (f, f), "width_factor": (g, g)}), ("RandomZoom", {"height_factor": (f, f)}),
        ("RandomBrightness", {"factor": (f, f), "value_range": (-1, 1)}),
    )  # fmt: skip
    if name not in ("RandomBrightness",):
        kwargs = {
            **kwargs, "fill_mode": pick(rng, "reflect", "wrap", "constant", "nearest"), "fill_value": 0.3,
            "interpolation": pick(rng, "bilinear", "bilinear", "nearest"),
        }  # fmt: skip
    kwargs["data_format"] = pick(rng, "channels_last", "channels_first")
    s = image(rng, 2, kwargs["data_format"], 3, 7, 2)
    smooth = kwargs.get("interpolation") != "nearest"
    return layer_case(
        rng, name, {**kwargs, "seed": 3}, [s], training=maybe(rng, 0.8), backends=("jax",), rtol=2e-3, atol=2e-4,
        gradient=smooth,
    )  # fmt: skip


KINDS: dict[str, Callable[[Rng], Case]] = {
    "Dense": dense,
    "Activation": activation,
    "Embedding": embedding,
    **{name: conv(name, n) for name, n in (("Conv1D", 1), ("Conv2D", 2))},
    **{name: conv_transpose(name, n) for name, n in (("Conv1DTranspose", 1), ("Conv2DTranspose", 2))},
    **{
        f"{kind}Conv{n}D": depthwise(f"{kind}Conv{n}D", n) for kind in ("Depthwise", "Separable") for n in (1, 2)
    },
    **{f"{kind}Pooling{n}D": pooling(f"{kind}Pooling{n}D", n) for kind in ("Max", "Average") for n in (1, 2)},
    **{
        f"Global{kind}Pooling{n}D": global_pooling(f"Global{kind}Pooling{n}D", n)
        for kind in ("Max", "Average") for n in (1, 2)
    },
    "ReLU": plain_layer(
        "ReLU", lambda rng: {
            "max_value": pick(rng, None, 1.0, 6.0), "negative_slope": pick(rng, 0.0, 0.2), "threshold": pick(rng, 0.0, 0.3)
        },
    ),
    "LeakyReLU": plain_layer("LeakyReLU", lambda rng: pick(rng, {}, {"negative_slope": 0.1})),
    "ELU": plain_layer("ELU", lambda rng: pick(rng, {}, {"alpha": 0.5})),
    "PReLU": prelu,
    "Softmax": softmax,
    "Flatten": flatten,
    "Reshape": reshape,
    "Permute": permute,
    "RepeatVector": plain_layer("RepeatVector", lambda rng: {"n": whole(rng, 1, 4)}, 2, 2),
    "ZeroPadding1D": border("ZeroPadding1D", "padding", 1),
    "ZeroPadding2D": border("ZeroPadding2D", "padding", 2),
    "Cropping1D": border("Cropping1D", "cropping", 1),
    "Cropping2D": border("Cropping2D", "cropping", 2),
    "UpSampling1D": upsampling1d,
    "UpSampling2D": upsampling2d,
    **{name: merging(name) for name in ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum")},
    "Concatenate": concatenate,
    "Dot": dot,
    "BatchNormalization": batch_normalization,
    "LayerNormalization": layer_normalization,
    "GroupNormalization": group_normalization,
    "RMSNormalization": axis_layer("RMSNormalization"),
    "UnitNormalization": axis_layer("UnitNormalization"),
    "TimeDistributed": time_distributed,
    "SpectralNormalization": spectral_normalization,
    "masked model": masked_model,
    "Resizing": resizing,
    "CenterCrop": center_crop,
    "random images": random_image,
    "Identity": plain_layer("Identity", lambda rng: {}),
    "Masking": plain_layer("Masking", lambda rng: {}, 3, 3),
    "ActivityRegularization": plain_layer("ActivityRegularization", lambda rng: {"l1": 0.1, "l2": 0.2}),
}  # fmt: skip
