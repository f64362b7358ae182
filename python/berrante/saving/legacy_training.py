"""What compile() was called with, as legacy HDF5 files keep it (training_config), and back."""

from __future__ import annotations

import inspect
from typing import Any

from berrante.saving.guard import RefusedFile
from berrante.saving.registry import deserialize_keras_object, serialize_keras_object

_SPECIAL = ("accuracy", "acc", "crossentropy", "ce")


# --- reading --------------------------------------------------------------------------------------------------------


def compile_arguments(config: Any) -> dict[str, Any]:
    """Arguments of compile() from the training_config of any Keras."""
    if not isinstance(config, dict) or not isinstance(config.get("optimizer_config"), dict):
        raise RefusedFile("training_config: expected optimizer_config; it has none")
    optimizer = deserialize_keras_object(config["optimizer_config"])
    return {
        "optimizer": optimizer,
        "loss": _structure(config.get("loss"), _loss),
        "loss_weights": config.get("loss_weights"),
        "metrics": _metrics(config.get("metrics")),
        "weighted_metrics": _metrics(config.get("weighted_metrics")),
    }


def _is_object(x: Any) -> bool:
    return isinstance(x, dict) and "class_name" in x


def _structure(x: Any, make: Any) -> Any:
    if x is None:
        return None
    if isinstance(x, str) or _is_object(x):
        return make(x)
    if isinstance(x, dict):
        return {k: _structure(v, make) for k, v in x.items()}
    if isinstance(x, list):
        return [_structure(v, make) for v in x]
    raise RefusedFile(f"training_config: expected names, lists or dicts; received {type(x).__name__}")


def _without_function(x: dict[str, Any]) -> dict[str, Any]:
    """TF-Keras repeats the class' function in its config, and writes reductions that are gone."""
    config = {k: v for k, v in (x.get("config") or {}).items() if k not in ("fn", "dtype")}
    if config.get("reduction") in ("auto", "AUTO"):
        config["reduction"] = "sum_over_batch_size"
    return {**x, "config": config}


def _loss(x: Any) -> Any:
    from berrante import losses

    if isinstance(x, str):
        return x
    if x["class_name"] == "function":
        return losses.get(deserialize_keras_object(x))
    if x["class_name"] == "LossFunctionWrapper":
        return losses.get((x.get("config") or {}).get("fn"))
    return deserialize_keras_object(_without_function(x))


def _metric(x: Any) -> Any:
    from berrante import metrics

    if isinstance(x, str):
        return x
    config = x.get("config") or {}
    if x["class_name"] in ("MeanMetricWrapper", "SumOverBatchSizeMetricWrapper"):
        function, name = config.get("fn"), config.get("name")
        if name in _SPECIAL:
            return name
        metric = metrics.get(function)
        if isinstance(name, str):
            metric.name = name
        return metric
    if x["class_name"] == "function":
        return metrics.get(deserialize_keras_object(x))
    return deserialize_keras_object(_without_function(x))


def _metrics(x: Any) -> Any:
    """Metrics; TF-Keras nests those of a single output once more."""
    if isinstance(x, list) and len(x) == 1 and isinstance(x[0], list):
        x = x[0]
    return _structure(x, _metric)


# --- writing --------------------------------------------------------------------------------------------------------


def _written(x: Any, get: Any) -> Any:
    """Names in full, which every Keras knows ("mse" is read back by none but through get()); objects as nodes."""
    if x is None:
        return None
    if isinstance(x, (list, tuple)):
        return [_written(v, get) for v in x]
    if isinstance(x, dict):
        return {str(k): _written(v, get) for k, v in x.items()}
    if isinstance(x, str):
        if x in _SPECIAL:
            return x
        known = get(x)
        function = known if inspect.isfunction(known) else getattr(known, "fn", getattr(known, "_fn", None))
        return getattr(function, "__name__", x)
    if isinstance(x, type):
        x = x()
    if hasattr(x, "get_config"):
        node = serialize_keras_object(x)
        return {k: node[k] for k in ("class_name", "config") if k in node} if node["registered_name"] is None else node
    if callable(x):
        return getattr(x, "__name__", str(x))
    return x


def training_config(model: Any) -> dict[str, Any]:
    """The training_config of a compiled model."""
    from berrante import losses, metrics

    given = model._compile_arguments
    optimizer = serialize_keras_object(model.optimizer)
    usual = type(model.optimizer)._parameters()
    config = {k: v for k, v in optimizer["config"].items() if v is not None or usual.get(k) is not None}
    if not config.get("use_ema"):  # Keras 2 refuses arguments that it does not know
        config = {k: v for k, v in config.items() if not k.startswith(("use_ema", "ema_"))}
    return {
        "loss": _written(given["loss"], losses.get),
        "loss_weights": serialize_keras_object(given["loss_weights"]),
        "metrics": _written(given["metrics"], metrics.get),
        "weighted_metrics": _written(given["weighted_metrics"], metrics.get),
        "run_eagerly": bool(given["run_eagerly"]),
        "steps_per_execution": 1,
        "jit_compile": False,
        "sample_weight_mode": None,
        "optimizer_config": {"class_name": optimizer["class_name"], "config": config},
    }
