"""Who takes part: berrante and its peers, each a module with a function for every kind of task.

A task is a dict with a "kind": "train", "predict", "fit", "generative" and "op" ask for a function that does a number of
steps. Peers' code is what their users would write in their fastest ordinary form, and never imports berrante.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

Steps = Callable[[int], None]


class Contender(NamedTuple):
    """A module of this package, the option that its functions get, and the packages whose versions count."""

    module: str
    option: str
    packages: tuple[str, ...]


CONTENDERS = {
    "berrante": Contender("ours", "", ("berrante", "numpy")),
    "torch": Contender("pytorch", "", ("torch",)),
    "torch_channels_last": Contender("pytorch", "channels_last", ("torch",)),
    "torch_compile": Contender("pytorch", "compile", ("torch",)),
    "jax": Contender("plain_jax", "", ("jax", "jaxlib", "optax")),
    "keras_jax": Contender("keras3", "jax", ("keras", "jax")),
    "keras_torch": Contender("keras3", "torch", ("keras", "torch")),
    "keras_tensorflow": Contender("keras3", "tensorflow", ("keras", "tensorflow")),
    "onnxruntime": Contender("onnx_runtime", "", ("onnxruntime",)),
}


def prepare(contender: str, task: Mapping[str, Any]) -> Steps:
    """The contender's steps for a task; raises what its library raises, and LookupError for a kind that it has not."""
    entry = CONTENDERS[contender]
    module = importlib.import_module(f"berrante_bench.contenders.{entry.module}")
    function = getattr(module, task["kind"], None)
    if function is None:
        raise LookupError(f"no {task['kind']}")
    steps: Steps = function(task, entry.option)
    return steps
