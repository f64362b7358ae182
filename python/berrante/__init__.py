"""berrante: Keras' API on a small compiled core of hand-written kernels.

Use it as Keras: `import berrante as keras`.
"""

from berrante import (
    activations,
    callbacks,
    constraints,
    initializers,
    layers,
    losses,
    metrics,
    models,
    ops,
    optimizers,
    random,
    regularizers,
    utils,
)
from berrante.callbacks import Callback
from berrante.graph.keras_tensor import KerasTensor
from berrante.graph.tape import GradientTape
from berrante.graph.variable import Variable
from berrante.initializers import Initializer
from berrante.layers import Input, InputSpec, Layer
from berrante.losses import Loss
from berrante.metrics import Metric
from berrante.models import Functional, Model, Sequential
from berrante.optimizers import Optimizer
from berrante.random import SeedGenerator
from berrante.regularizers import Regularizer
from berrante.runtime.devices import current_device, device, set_device
from berrante.runtime.kernels import isa, num_threads, set_num_threads

__version__ = "0.1.0"


# Loaded when first asked for: they need files or other packages.
_LAZY = {
    name: name
    for name in (
        "cli",
        "compat",
        "config",
        "datasets",
        "dtype_policies",
        "mixed_precision",
        "preprocessing",
        "saving",
        "wrappers",
        "zoo",
    )
}
_LAZY |= {"backend": "compat.backend", "tree": "compat.tree"}


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module 'berrante' has no attribute {name!r}")
    import importlib

    return importlib.import_module(f"berrante.{_LAZY[name]}")


def version() -> str:
    """berrante's version."""
    return __version__
