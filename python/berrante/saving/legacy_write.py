"""A model's config in the forms that Keras 2 wrote into HDF5 and Keras 3 still reads.

Functional models are `Model` with calls as `[[layer, node, tensor, kwargs]]`, inputs have a batch_input_shape, initializers
are VarianceScaling, regularizers L1L2, and arguments that Keras 2 does not know are left out where they have their
defaults. What Keras 2 cannot express (models within models, tensors by keyword) keeps Keras 3's form.
"""

from __future__ import annotations

from typing import Any

from berrante.saving.operation_config import is_operation
from berrante.saving.registry import serialize_keras_object

Config = dict[str, Any]
_DEFAULTS: Config = {
    "groups": 1, "synchronized": False, "keepdims": False, "optional": False, "ragged": False, "sparse": False,
    "output_padding": None, "quantization_config": None, "seed": None, "renorm": False, "renorm_clipping": None,
    "renorm_momentum": 0.99, "lora_rank": None, "lora_alpha": None, "autocast": True,
}  # fmt: skip
_SCALINGS = {
    "GlorotUniform": (1.0, "fan_avg", "uniform"), "GlorotNormal": (1.0, "fan_avg", "normal"),
    "HeUniform": (2.0, "fan_in", "uniform"), "HeNormal": (2.0, "fan_in", "normal"),
    "LecunUniform": (1.0, "fan_in", "uniform"), "LecunNormal": (1.0, "fan_in", "normal"),
}  # fmt: skip


def model_config(model: Any) -> Config:
    """Class and config of a model."""
    return _layer(serialize_keras_object(model))


def _layer(node: Config) -> Config:
    """A layer's or a model's node."""
    name, config, registered = node["class_name"], node["config"], node.get("registered_name")
    if name == "Functional" and registered is None:
        return {"class_name": "Model", "config": _functional(config)}
    if name == "Sequential" and registered is None:
        made = {"name": config["name"], "trainable": config.get("trainable", True)}
        made["layers"] = [_layer(layer) for layer in config["layers"]]
        if config.get("build_input_shape") is not None:
            made["build_input_shape"] = config["build_input_shape"]
        return {"class_name": name, "config": made}
    if registered is not None or is_operation(node):  # the user's own, or what Keras 2 has no words for
        return {k: node[k] for k in ("module", "class_name", "config", "registered_name")}
    return {"class_name": name, "config": _arguments(name, config)}


def _functional(config: Config) -> Config:
    layers = []
    # The first call of a nested model is number 0 in Keras 3 and 1 in Keras 2: such models keep Keras 3's form.
    nested = any(node["class_name"] in ("Functional", "Sequential") for node in config["layers"])
    for node in config["layers"]:
        calls = [_call(c) for c in node["inbound_nodes"]]
        if nested or any(c is None for c in calls):
            calls = node["inbound_nodes"]
        layers.append({**_layer(node), "name": node["name"], "inbound_nodes": calls})
    ends = {k: [config[k]] if _is_history(config[k]) else config[k] for k in ("input_layers", "output_layers")}
    return {**config, "layers": layers, **ends}


def _is_history(x: Any) -> bool:
    return isinstance(x, list) and len(x) == 3 and isinstance(x[0], str) and isinstance(x[1], int)


def _history(x: Any) -> Any:
    return x["config"]["keras_history"] if isinstance(x, dict) and x.get("class_name") == "__keras_tensor__" else None


def _call(call: Config) -> Any:
    """A call as Keras 2 wrote it; None if it has more than one argument, or tensors by keyword."""
    args, kwargs = call["args"], {k: v for k, v in call["kwargs"].items() if v is not None}
    if len(args) != 1 or any(isinstance(v, (dict, list)) for v in kwargs.values()):
        return None
    histories = [_history(x) for x in (args[0] if isinstance(args[0], list) else [args[0]])]
    if any(h is None for h in histories) or not histories:
        return None
    return [[*h, kwargs] for h in histories]


def _arguments(name: str, config: Config) -> Config:
    made = {k: _value(v) for k, v in config.items() if k not in _DEFAULTS or v != _DEFAULTS[k]}
    if name == "GroupNormalization":  # which Keras 2 does not have, and whose groups are 32
        made["groups"] = config["groups"]
    if name == "InputLayer":
        made["batch_input_shape"] = made.pop("batch_shape")
    if name == "LeakyReLU" and "negative_slope" in made:
        made["alpha"] = made.pop("negative_slope")
    return made


def _value(x: Any) -> Any:
    """An argument: initializers, regularizers and the like without Keras 3's module names."""
    if not isinstance(x, dict) or "class_name" not in x:
        return x
    name, config = x["class_name"], x.get("config")
    if x.get("registered_name") is not None or not isinstance(config, dict):
        return x
    if name == "DTypePolicy":
        return config["name"]
    if name in _SCALINGS:
        scale, mode, distribution = _SCALINGS[name]
        config = {"scale": scale, "mode": mode, "distribution": distribution, "seed": config.get("seed")}
        return {"class_name": "VarianceScaling", "config": config}
    if name in ("L1", "L2"):
        return {"class_name": "L1L2", "config": {"l1": config.get("l1", 0.0), "l2": config.get("l2", 0.0)}}
    if "layers" in config or "name" in config:
        return {"module": x.get("module"), **_layer(x), "registered_name": None}  # a wrapped layer
    return {"class_name": name, "config": {k: v for k, v in config.items() if v is not None or k == "seed"}}
