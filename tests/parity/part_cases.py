"""Random activations, initializers (their statistics), regularizers and constraints."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from parity.harness import Case
from parity.layer_cases import ACTIVATIONS, maybe, pick, shape, values, whole
from parity.peers import plain_config

Rng = np.random.Generator


def activation(rng: Rng) -> Case:
    name = pick(rng, *ACTIVATIONS, "sparse_plus", "sparse_sigmoid", "squareplus", "glu")
    s = shape(rng, 2, 3)
    x = values(rng, (*s[:-1], 2 * s[-1])) * 3
    kwargs = {
        "relu": {"negative_slope": pick(rng, 0.0, 0.1), "max_value": pick(rng, None, 0.0, 2.0), "threshold": pick(rng, -1.5, 0.0, 0.3)}, "elu": {"alpha": 0.5}, "gelu": {"approximate": True},
        "leaky_relu": {"negative_slope": 0.05}, "softmax": {"axis": 1}, "log_softmax": {"axis": 1},
    }.get(name, {}) if maybe(rng) else {}  # fmt: skip

    def run(peer: Any) -> dict[str, Any]:
        function = peer.k.activations.get(name)
        result = peer.function(lambda a: function(a, **kwargs), [x])
        return {
            **result,
            "serialized": str(peer.k.activations.serialize(function)),
            "none": peer.k.activations.get(None).__name__,
        }

    return Case(f"{name}({x.shape}, {kwargs})", run, rtol=1e-3)


def initializer(rng: Rng) -> Case:
    """Mean, deviation and extremes of many draws agree within what chance allows; configs are equal."""
    name, kwargs = pick(
        rng, ("RandomNormal", {"mean": 0.3, "stddev": 0.2}), ("RandomUniform", {"minval": -0.3, "maxval": 0.7}), ("TruncatedNormal", {"mean": 0.1, "stddev": 0.5}),
        ("GlorotUniform", {}), ("GlorotNormal", {}), ("HeUniform", {}), ("HeNormal", {}), ("LecunUniform", {}), ("LecunNormal", {}),
        ("VarianceScaling", {"scale": 2.0, "mode": pick(rng, "fan_in", "fan_out", "fan_avg"), "distribution": pick(rng, "uniform", "truncated_normal", "untruncated_normal")}),
    )  # fmt: skip
    s = pick(rng, (100, 300), (3, 3, 40, 80), (5, 60, 100), (30000,))
    kwargs = {**kwargs, "seed": whole(rng, 0, 10**6)}

    def run(peer: Any) -> dict[str, Any]:
        one = getattr(peer.k.initializers, name)(**kwargs)
        x = np.asarray(peer.k.ops.convert_to_numpy(one(s)))
        again = np.asarray(peer.k.ops.convert_to_numpy(one(s)))
        scale = float(x.std()) or 1.0
        own = getattr(peer.k.initializers, name)(**{k: v for k, v in kwargs.items() if k != "seed"})
        fresh = bool((peer.k.ops.convert_to_numpy(own((3, 3))) == peer.k.ops.convert_to_numpy(own((3, 3)))).all())
        result = {
            "mean": np.asarray(x.mean() / scale), "deviation": np.asarray(np.log(x.std())), "shape": x.shape,
            "config": plain_config(one.get_config()), "repeats": bool((x == again).all()), "fresh": fresh,
        }  # fmt: skip
        if "Normal" not in name and kwargs.get("distribution") not in ("truncated_normal", "untruncated_normal"):
            result["extremes"] = np.asarray([x.min(), x.max()]) / scale
        return result

    return Case(f"{name}({kwargs}) of {s}", run, rtol=0.0, atol=0.04)


def fixed_initializer(rng: Rng) -> Case:
    name, kwargs, s = pick(
        rng, ("Zeros", {}, (3, 4)), ("Ones", {}, (2,)), ("Constant", {"value": 2.5}, (3, 2)), ("Identity", {"gain": 2.0}, (3, 4)), ("Identity", {}, (3,)),
        ("Orthogonal", {"gain": 1.5, "seed": 3}, (6, 4)), ("Orthogonal", {"seed": 3}, (4, 6)), ("Orthogonal", {"seed": 3}, (2, 2, 3, 5)), ("Orthogonal", {}, (3,)),
        ("VarianceScaling", {"scale": -1.0}, (2, 2)), ("VarianceScaling", {"mode": "fan"}, (2, 2)), ("VarianceScaling", {"distribution": "normall"}, (2, 2)),
    )  # fmt: skip

    def run(peer: Any) -> dict[str, Any]:
        x = np.asarray(peer.k.ops.convert_to_numpy(getattr(peer.k.initializers, name)(**kwargs)(s)))
        if name == "Orthogonal":  # the draw differs; its Gram matrix does not
            flat = x.reshape(-1, x.shape[-1])
            x = flat.T @ flat if flat.shape[0] >= flat.shape[1] else flat @ flat.T
        return {"x": x}

    return Case(f"{name}({kwargs}) of {s}", run, rtol=1e-4, atol=1e-5)


def regularizer(rng: Rng) -> Case:
    name, kwargs = pick(
        rng, ("L1", {"l1": 0.3}), ("L2", {"l2": 0.3}), ("L1L2", {"l1": 0.1, "l2": 0.2}), ("L1L2", {}), ("l1", {}), ("l2", {}), ("l1_l2", {"l1": 0.5}),
        ("OrthogonalRegularizer", {"factor": 0.2, "mode": pick(rng, "rows", "columns")}), ("orthogonal_regularizer", {"mode": "lines"}), ("L1", {"l1": -1.0}), ("L2", {"l2": float("inf")}),
    )  # fmt: skip
    s = shape(rng, 2, 2) if "rthogonal" in name else shape(rng, 1, 4)
    if name == "OrthogonalRegularizer":  # of one row Keras divides 0 by 0
        s = tuple(max(2, n) for n in s)
    x = values(rng, s)

    def run(peer: Any) -> dict[str, Any]:
        one = getattr(peer.k.regularizers, name)(**kwargs)
        again = type(one).from_config(one.get_config())
        return {**peer.function(again, [x]), "config": plain_config(one.get_config())}

    return Case(f"{name}({kwargs}) of {x.shape}", run)


def constraint(rng: Rng) -> Case:
    s = shape(rng, 1, 4)
    axis = pick(rng, 0, -1, tuple(range(len(s))))
    name, kwargs = pick(
        rng, ("MaxNorm", {"max_value": 0.8, "axis": axis}), ("NonNeg", {}), ("UnitNorm", {"axis": axis}), ("max_norm", {}), ("unit_norm", {}), ("non_neg", {}), ("min_max_norm", {}),
        ("MinMaxNorm", {"min_value": 0.5, "max_value": 0.9, "rate": pick(rng, 1.0, 0.4), "axis": axis}),
    )  # fmt: skip
    x = values(rng, s)

    def run(peer: Any) -> dict[str, Any]:
        one = getattr(peer.k.constraints, name)(**kwargs)
        again = type(one).from_config(one.get_config())
        return {**peer.function(again, [x], gradient=False), "config": plain_config(one.get_config())}

    return Case(f"{name}({kwargs}) of {x.shape}", run)


def by_name(rng: Rng) -> Case:
    """What `get` makes of names, and that it refuses others in the same way."""
    family, name = pick(
        rng, ("initializers", "he_normal"), ("initializers", "glorot_uniform"), ("initializers", "zeros"), ("initializers", "RandomNormal"), ("initializers", "uniform"), ("initializers", "normal"),
        ("initializers", "orthogonal"), ("initializers", "nothing"), ("regularizers", "l1"), ("regularizers", "L2"), ("regularizers", "l1l2"), ("regularizers", "nothing"), ("constraints", "max_norm"),
        ("constraints", "NonNeg"), ("constraints", "unit_norm"), ("constraints", "nothing"), ("activations", "nothing"), ("initializers", 3), ("regularizers", 3), ("constraints", 3), ("activations", 3),
        ("initializers", None), ("regularizers", None), ("constraints", None),
    )  # fmt: skip

    def run(peer: Any) -> dict[str, Any]:
        one = getattr(peer.k, family).get(name)
        return {"class": type(one).__name__, "config": plain_config(one.get_config()) if one is not None else None}

    return Case(f"{family}.get({name!r})", run)


KINDS: dict[str, Callable[[Rng], Case]] = {
    "activation": activation, "initializer": initializer, "fixed initializer": fixed_initializer, "regularizer": regularizer,
    "constraint": constraint, "by name": by_name,
}  # fmt: skip
