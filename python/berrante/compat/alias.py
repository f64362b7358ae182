"""The modules called keras and tensorflow: a finder that makes them from tables of berrante's own modules.

Every alias is a module of its own whose names are copied from one or more sources, the first that has a name winning.
Paths that Keras had once (`keras.layers.convolutional`, `keras.utils.np_utils`, ...) lead to the module that has the
names now. Only modules in the tables are ever imported.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

_K2 = "berrante.compat.keras2."

# Alias path below keras -> sources for Keras 3. A source that does not exist (an optional part) is passed over.
_THREE: dict[str, tuple[str, ...]] = {
    "": ("berrante", "berrante.compat.keras3"),
    "activations": ("berrante.activations", "berrante.compat.serialization"),
    "backend": ("berrante.compat.keras3", "berrante.compat.backend"),
    "backend.config": ("berrante.compat.keras3",),
    "backend.image": ("berrante.ops.image", "berrante.ops.color"),
    "backend.numpy": ("berrante.ops",),
    "backend.random": ("berrante.random",),
    "callbacks": ("berrante.callbacks",),
    "config": ("berrante.compat.keras3",),
    "constraints": ("berrante.constraints", "berrante.compat.serialization"),
    "datasets": ("berrante.datasets",),
    "dtype_policies": ("berrante.dtype_policies",),
    "dtype_policies.dtype_policy": ("berrante.dtype_policies",),
    "initializers": ("berrante.initializers", "berrante.compat.serialization"),
    "layers": ("berrante.layers", "berrante.compat.serialization"),
    "legacy": ("berrante.compat.legacy",),
    "mixed_precision": ("berrante.mixed_precision", "berrante.dtype_policies"),
    "losses": ("berrante.losses", "berrante.compat.serialization"),
    "metrics": ("berrante.metrics", "berrante.compat.serialization"),
    "models": ("berrante.models",),
    "ops": ("berrante.ops", "berrante.compat.keras3_ops"),
    "ops.image": ("berrante.ops.image", "berrante.ops.color", "berrante.ops.warp"),
    "ops.random": ("berrante.random",),
    "optimizers": ("berrante.optimizers", "berrante.compat.serialization"),
    "optimizers.schedules": ("berrante.optimizers.schedules",),
    "preprocessing": ("berrante.preprocessing",),
    "preprocessing.image": ("berrante.preprocessing.image",),
    "preprocessing.sequence": ("berrante.preprocessing.sequence",),
    "preprocessing.text": ("berrante.preprocessing.text",),
    "random": ("berrante.random",),
    "regularizers": ("berrante.regularizers", "berrante.compat.serialization"),
    "saving": ("berrante.saving", "berrante.compat.saving_names"),
    "trainers": ("berrante.models.trainer", "berrante.data", "berrante.models.compiling"),
    "tree": ("berrante.compat.tree",),
    "utils": (
        "berrante.utils",
        "berrante.saving",
        "berrante.preprocessing",
        "berrante.compat.keras2.utils",
        "berrante.compat.keras3",
    ),
    "version": ("berrante.compat.keras3",),
    "wrappers": ("berrante.wrappers",),
}
# What Keras 2 has instead.
_TWO: dict[str, tuple[str, ...]] = {
    "": ("berrante.compat.keras2",),
    "activations": (_K2 + "activations", "berrante.activations"),
    "backend": ("berrante.compat.backend",),
    "callbacks": (_K2 + "callbacks", "berrante.callbacks"),
    "engine": (_K2 + "engine", _K2 + "layers"),
    "initializers": (_K2 + "initializers", "berrante.initializers"),
    "layers": (_K2 + "layers",),
    "losses": (_K2 + "losses", "berrante.losses"),
    "metrics": (_K2 + "metrics", "berrante.metrics"),
    "models": (_K2 + "models",),
    "optimizers": (_K2 + "optimizers",),
    "preprocessing.image": (_K2 + "image", "berrante.preprocessing.image"),
    "regularizers": (_K2 + "regularizers", "berrante.regularizers", "berrante.compat.serialization"),
    "utils": (_K2 + "utils", "berrante.utils", "berrante.saving"),
}
_DATASETS = ("boston_housing", "california_housing", "cifar10", "cifar100", "fashion_mnist", "imdb", "mnist", "reuters")
_THREE.update({f"datasets.{name}": (f"berrante.datasets.{name}",) for name in _DATASETS})
# Old paths and the paths that lead to the same names today.
_OLD_PATHS: dict[str, str] = {
    "objectives": "losses", "engine.base_layer": "engine", "engine.input_layer": "engine", "engine.network": "engine",
    "engine.saving": "engine", "engine.sequential": "engine", "engine.topology": "engine", "engine.training": "engine",
    "engine.training_arrays": "engine", "engine.training_generator": "engine", "engine.training_utils": "engine",
    "engine.functional": "engine", "engine.data_adapter": "engine", "engine.base_layer_utils": "engine",
    "optimizers.legacy": "optimizers", "callbacks.callbacks": "callbacks",
}  # fmt: skip
_OLD_PATHS.update(
    {
        f"layers.{part}": "layers"
        for part in (
            "advanced_activations", "convolutional", "convolutional_recurrent", "core", "cudnn_recurrent", "embeddings",
            "experimental", "experimental.preprocessing", "local", "merge", "noise", "normalization", "pooling",
            "recurrent", "wrappers", "preprocessing", "reshaping", "attention", "rnn", "regularization", "merging",
            "activation",
        )
    }
)  # fmt: skip
_OLD_PATHS.update(
    {
        f"utils.{part}": "utils"
        for part in (
            "conv_utils", "data_utils", "generic_utils", "io_utils", "layer_utils", "multi_gpu_utils", "np_utils",
            "test_utils", "vis_utils", "losses_utils",
        )
    }
)  # fmt: skip
_OLD_PATHS.update({f"backend.{part}": "backend" for part in ("common", "tensorflow_backend", "load_backend")})
_OLD_PATHS |= {"trainers.data_adapters": "trainers", "legacy.saving": "saving", "legacy.preprocessing": "preprocessing"}
_OLD_PATHS["wrappers.scikit_learn"] = "wrappers"
_OLD_PATHS["legacy.interfaces"] = _OLD_PATHS["legacy.layers"] = "legacy"
_THREE["engine"] = _TWO["engine"]
_TENSORFLOW: dict[str, tuple[str, ...]] = {
    "tensorflow": ("berrante.compat.tensorflow",),
    "tensorflow.compat": ("berrante.compat.tensorflow.v1",),
    "tensorflow.compat.v1": ("berrante.compat.tensorflow.v1",),
    "tensorflow.math": ("berrante.compat.tensorflow.math",),
    "tensorflow.random": ("berrante.compat.tensorflow.random",),
    "tensorflow.nn": ("berrante.compat.tensorflow.nn",),
    "tensorflow.image": ("berrante.compat.tensorflow.image",),
    "tensorflow.data": ("berrante.compat.tensorflow.data",),
    "tensorflow.config": ("berrante.compat.tensorflow.config",),
    "tensorflow.linalg": ("berrante.compat.tensorflow.linalg",),
    "tensorflow.python": ("berrante.compat.tensorflow",),
}
_ABSENT = {
    "applications": "berrante has no pretrained applications; build the network with layers, or load its weights",
    "quantizers": "berrante has no quantizers",
    "distribution": "berrante has no distribution API",
    "export": "berrante has no export API",
    "visualization": "berrante has no keras.visualization",
}
_ROOTS = ("keras", "tensorflow", "tf_keras")


class Alias(ModuleType):
    """A module whose names come from others."""

    _sources: tuple[ModuleType, ...]
    _path: str

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("__"):
            if _known(f"{self.__name__}.{name}", _Finder.version) is not None:
                return importlib.import_module(f"{self.__name__}.{name}")
            for source in self.__dict__.get("_sources", ()):
                if hasattr(source, name):
                    return getattr(source, name)
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r} (berrante stands for it)")


def _below(fullname: str) -> str | None:
    """`tensorflow.keras.layers.core` -> `layers.core`; None outside keras."""
    for prefix in ("tensorflow.python.keras", "tensorflow.keras", "tf_keras", "keras", "tensorflow.compat.v1.keras"):
        if fullname == prefix or fullname.startswith(prefix + "."):
            rest = fullname[len(prefix) + 1 :]
            for internal in ("src", "_tf_keras.keras", "api", "_legacy"):
                if rest == internal or rest.startswith(internal + "."):
                    rest = rest[len(internal) + 1 :]
            return rest
    return None


def _known(fullname: str, version: int) -> tuple[str, ...] | None:
    """The modules behind an alias that the tables name."""
    path = _below(fullname)
    if path is None:
        return _TENSORFLOW.get(fullname)
    path = _OLD_PATHS.get(path, path)
    return (_TWO.get(path) if version == 2 else None) or _THREE.get(path)


def sources_of(fullname: str, version: int) -> tuple[str, ...] | None:
    """The modules behind an alias, or None if there is no such alias.

    Below keras.src any module of a known part leads to the part: keras.src.layers.core.dense to keras.layers.
    """
    known = _known(fullname, version)
    while known is None and ".src." in fullname:
        fullname = fullname.rpartition(".")[0]
        known = _known(fullname, version) if _below(fullname) else None
    return known


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    version = 3

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname.split(".")[0] not in _ROOTS:
            return None
        sources = sources_of(fullname, self.version)
        below = _below(fullname)
        if sources is None or not any(_exists(s) for s in sources):
            reason = _ABSENT.get((below or "").split(".")[0], "berrante stands for it and has no such part")
            raise ModuleNotFoundError(f"No module named {fullname!r}: {reason}", name=fullname)
        return importlib.machinery.ModuleSpec(fullname, self, origin="berrante", is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return Alias(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        sources = sources_of(module.__name__, self.version) or ()
        found = tuple(importlib.import_module(s) for s in sources if _exists(s))
        module.__dict__["_sources"] = found
        for source in reversed(found):
            for name, value in vars(source).items():
                if name.startswith("_") or isinstance(value, ModuleType) or name == "annotations":
                    continue
                if _known(f"{module.__name__}.{name}", self.version) is None:  # submodules win over names
                    module.__dict__[name] = value
        if _below(module.__name__) == "" or module.__name__ == "tensorflow":
            module.__dict__["__version__"] = found[-1].__dict__["__version__"]


def _exists(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


_finder = _Finder()


def installed_version() -> int | None:
    """2 or 3 while the aliases stand, else None."""
    return _Finder.version if _finder in sys.meta_path else None


def install(version: int, tensorflow: bool = False) -> None:
    """Puts the finder first; `tensorflow` says that the script means tf.keras."""
    before = installed_version()
    if before is not None:
        if before != version:
            raise RuntimeError(f"install_as_keras: Keras {before} is already installed in this process")
        return
    for root in _ROOTS:
        if root in sys.modules:
            raise RuntimeError(f"install_as_keras: {root!r} was imported before; call install_as_keras() first")
    _Finder.version = version
    sys.meta_path.insert(0, _finder)
    importlib.import_module("berrante.compat.dialect").take(version, tensorflow)


def remove() -> None:
    """Takes the finder and all alias modules away."""
    if _finder in sys.meta_path:
        sys.meta_path.remove(_finder)
        importlib.import_module("berrante.compat.dialect").take(3)
    for name in [n for n, m in sys.modules.items() if isinstance(m, Alias)]:
        del sys.modules[name]
