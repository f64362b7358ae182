"""Random preprocessing: colours of images by given transformations, normalization, bins and categories, drawn statistics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from parity.harness import Case
from parity.layer_cases import Rng, maybe, pick, whole
from parity.peers import plain_config


def color(rng: Rng) -> Case:
    """A colour layer's arithmetic, what is drawn being given."""
    top = pick(rng, 1.0, 255.0)
    data_format = pick(rng, "channels_last", "channels_first")
    n, h, w = (whole(rng, 1, 6) for _ in range(3))
    x = (rng.random((n, h, w, 3)) * top).astype(np.float32)
    f = rng.random(n).astype(np.float32)
    four = f[:, None, None, None]
    mask = np.broadcast_to(rng.random((n, h, w, 1)) < 0.4, x.shape)
    name, kwargs, drawn = pick(
        rng, ("RandomHue", {"factor": 0.5}, {"factor": f - 0.5}), ("RandomSaturation", {"factor": 0.5}, {"factor": f * 3}),
        ("RandomInvert", {"factor": 0.5}, {"apply_inversion": f > 0.5}), ("RandomSharpness", {"factor": 0.5}, {"factor": f}),
        ("RandomColorDegeneration", {"factor": 0.5}, {"factor": four}),
        ("RandomPosterization", {"factor": (2, 6)}, {"shift_factor": rng.integers(0, 8, n).astype(np.uint8)}),
        ("Solarization", {"addition_factor": 0.3}, {"additions": four * 99, "thresholds": four * 200}),
        ("AutoContrast", {}, {}),
        ("RandomErasing", {}, {"apply_erasing": f > 0.3, "batch_masks": mask, "fill_value": x[::-1].copy()}),
        ("RandomGaussianBlur", {"kernel_size": pick(rng, 3, (5, 3))},
         {"should_apply_blur": f > 0.3, "blur_factor": rng.random(2).astype(np.float32) + 0.3}),
    )  # fmt: skip
    kwargs = {**kwargs, "value_range": (0, top), "data_format": data_format}
    if name != "AutoContrast":
        kwargs["seed"] = 3
    else:  # Keras takes its extremes over channels and rows in channels_first
        data_format = kwargs["data_format"] = "channels_last"
    if data_format == "channels_first":
        x = np.moveaxis(x, -1, 1)
        drawn = {k: np.moveaxis(v, -1, 1) if v.shape == (n, h, w, 3) else v for k, v in drawn.items()}

    def run(peer: Any) -> dict[str, Any]:
        layer = getattr(peer.k.layers, name)(**kwargs)
        convert, back = peer.k.ops.convert_to_tensor, peer.k.ops.convert_to_numpy
        y = layer.transform_images(convert(x), {k: convert(v) for k, v in drawn.items()}, training=True)
        kept = layer(convert(x), training=False)
        return {"y": np.asarray(back(y)), "kept": np.asarray(back(kept)), "config": plain_config(layer.get_config())}

    return Case(f"{name}({kwargs}) on {x.shape}", run, rtol=1e-3, atol=1e-3 * top, backends=("jax",))


def normalization(rng: Rng) -> Case:
    rank = whole(rng, 1, 3)
    shape = tuple(whole(rng, 2, 5) for _ in range(rank + 1))
    axis = pick(rng, -1, None, whole(rng, 1, rank), tuple(range(1, rank + 1)))
    invert, given = maybe(rng, 0.3), maybe(rng, 0.3)
    x, data = (rng.normal(3, 2, size=shape).astype(np.float32) for _ in range(2))
    kwargs: dict[str, Any] = {"axis": axis, "invert": invert}
    if given:
        kwargs |= {"mean": 1.5, "variance": 2.0}

    def run(peer: Any) -> dict[str, Any]:
        layer = peer.k.layers.Normalization(**kwargs)
        if not given:
            layer.adapt(data)
        y = layer(peer.k.ops.convert_to_tensor(x))
        weights = {w.name: np.asarray(peer.k.ops.convert_to_numpy(w)) for w in layer.weights}
        return {"y": np.asarray(peer.k.ops.convert_to_numpy(y)), **weights, "config": plain_config(layer.get_config())}

    return Case(f"Normalization({kwargs}) on {shape}", run, rtol=1e-3, atol=1e-4)


def discretization(rng: Rng) -> Case:
    shape = tuple(whole(rng, 1, 6) for _ in range(whole(rng, 1, 2)))
    x, data = rng.normal(size=shape).astype(np.float32), rng.normal(size=whole(rng, 2, 300)).astype(np.float32)
    kwargs: dict[str, Any] = {"output_mode": pick(rng, "int", "one_hot", "multi_hot", "count")}
    adapted = maybe(rng)
    if adapted:
        kwargs |= {"num_bins": whole(rng, 2, 7), "epsilon": pick(rng, 0.01, 0.1)}
    else:
        kwargs["bin_boundaries"] = sorted(float(np.float32(b)) for b in rng.normal(size=whole(rng, 1, 5)))

    def run(peer: Any) -> dict[str, Any]:
        layer = peer.k.layers.Discretization(**kwargs)
        if adapted:
            layer.reset_state()  # as adapt, for which Keras needs TensorFlow
            for part in (data[: len(data) // 2], data[len(data) // 2 :]):
                layer.update_state(part)
            layer.finalize_state()
        y = layer(peer.k.ops.convert_to_tensor(x))
        return {"y": np.asarray(peer.k.ops.convert_to_numpy(y)), "bins": np.asarray(layer.bin_boundaries)}

    return Case(f"Discretization({kwargs}) on {shape}, {len(data)} to adapt to", run)


def category_encoding(rng: Rng) -> Case:
    shape = tuple(whole(rng, 1, 5) for _ in range(whole(rng, 1, 2)))
    kwargs = {"num_tokens": whole(rng, 1, 6), "output_mode": pick(rng, "one_hot", "multi_hot", "count")}
    x = rng.integers(0, kwargs["num_tokens"], shape).astype(np.int32)
    weights = rng.random(shape).astype(np.float32) if kwargs["output_mode"] == "count" and maybe(rng) else None

    def run(peer: Any) -> dict[str, Any]:
        layer = peer.k.layers.CategoryEncoding(**kwargs)
        more = {} if weights is None else {"count_weights": peer.k.ops.convert_to_tensor(weights)}
        y = layer(peer.k.ops.convert_to_tensor(x), **more)
        shapes = {"shape": tuple(layer.compute_output_shape(shape))}
        return {"y": np.asarray(peer.k.ops.convert_to_numpy(y)), **shapes, "config": plain_config(layer.get_config())}

    return Case(f"CategoryEncoding({kwargs}) on {shape}, weights {weights is not None}", run)


def statistics(rng: Rng) -> Case:
    """Random layers in training: masks and noise differ, what they are like does not."""
    rate = float(pick(rng, 0.1, 0.25, 0.5, 0.8))
    x = np.full((64, 16, 16, 8), float(pick(rng, 1.0, -2.0, 0.5)), np.float32)
    name, kwargs = pick(
        rng, ("Dropout", {"rate": rate}), ("Dropout", {"rate": rate, "noise_shape": (64, 1, 16, 8)}),
        ("GaussianNoise", {"stddev": rate}), ("GaussianDropout", {"rate": rate}), ("AlphaDropout", {"rate": rate}),
        ("SpatialDropout2D", {"rate": rate}), ("RandomInvert", {"factor": rate, "value_range": (0, 1)}),
    )  # fmt: skip
    seed = whole(rng, 0, 999)

    def run(peer: Any) -> dict[str, Any]:
        layer = getattr(peer.k.layers, name)(**kwargs, seed=seed)
        convert = peer.k.ops.convert_to_tensor
        first, second = (np.asarray(peer.k.ops.convert_to_numpy(layer(convert(x), training=True))) for _ in range(2))
        axes = [a for a in range(4) if np.ptp(first, axis=a).max() < 1e-6]  # along which all share one fate
        return {
            "mean": np.asarray(first.mean()), "std": np.asarray(first.std()), "shared": axes,
            "zeros": np.asarray((first == 0).mean()), "fresh": not np.array_equal(first, second),
            "kinds": len(np.unique(np.round(first, 3))) > 3, "dtype": str(first.dtype),
        }  # fmt: skip

    few = name in ("SpatialDropout2D", "RandomInvert")  # one draw for each image or channel
    spread = abs(float(x[0, 0, 0, 0])) * 5 + 5
    return Case(f"{name}({kwargs}) of {x[0, 0, 0, 0]}", run, rtol=0.0, atol=spread * (0.2 if few else 0.02))


KINDS: dict[str, Callable[[Rng], Case]] = {
    "colours": color,
    "Normalization": normalization,
    "Discretization": discretization,
    "CategoryEncoding": category_encoding,
    "statistics": statistics,
}
