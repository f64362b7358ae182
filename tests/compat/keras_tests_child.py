"""Runs one file of Keras' own tests in this process, with berrante under the name keras, and writes what happened as JSON.

    python keras_tests_child.py CHECKOUT VERSION REPORT EXCLUSIONS FILE

From the checkout come the tests and the helpers that they share (Keras' `testing` package, `keras.utils.test_utils` of
Keras 2, what one test file imports from another) and nothing else. Layers and modules that berrante leaves out stand
there as shells that raise OutOfScope with their name when a test uses one; a test that ends in that is excluded with this
name as the reason. EXCLUSIONS is a JSON file, pairs of a regular expression for test ids and a reason; such tests do not run.
"""

from __future__ import annotations

import functools
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any
from warnings import catch_warnings

import pytest

SOURCE = Path()
LAYERS = (
    "RNN SimpleRNN LSTM GRU SimpleRNNCell LSTMCell GRUCell StackedRNNCells Bidirectional CuDNNGRU CuDNNLSTM ConvLSTM1D "
    "ConvLSTM2D ConvLSTM3D ConvLSTM2DCell ConvRNN2D Conv3D Conv3DTranspose SpatialDropout3D MaxPooling3D AveragePooling3D "
    "GlobalMaxPooling3D GlobalAveragePooling3D UpSampling3D ZeroPadding3D Cropping3D Convolution3D MaxPool3D AvgPool3D "
    "GlobalMaxPool3D GlobalAvgPool3D AtrousConvolution1D EinsumDense ReversibleEmbedding AdaptiveAveragePooling3D AdaptiveMaxPooling3D MultiHeadAttention "
    "Attention AdditiveAttention GroupQueryAttention TFSMLayer TorchModuleWrapper JaxLayer FlaxLayer STFTSpectrogram "
    "MelSpectrogram HashedCrossing Hashing StringLookup IntegerLookup TextVectorization IndexLookup FeatureSpace"
).split()
PARTS_2 = "convolutional recurrent core pooling local wrappers convolutional_recurrent".split()
MODULES_3 = (
    "export dtype_policies dtype_policies.dtype_policy quantizers distribution applications visualization quantizers.quantizers quantizers.quantization_config "
    "quantizers.awq_config quantizers.gptq_config quantizers.gptq quantizers.awq distribution.distribution_lib "
    "layers.attention layers.attention.multi_head_attention layers.attention.attention backend.torch backend.jax "
    "backend.tensorflow"
).split()


# Names that Keras' tests import from its private modules: its backends' scopes, helpers of one layer, other packages.
NAMES_3 = {
    "dtype_policies": "QuantizedDTypePolicy QuantizedFloat8DTypePolicy GPTQDTypePolicy AWQDTypePolicy",
    "dtype_policies.dtype_policy": "QuantizedDTypePolicy QuantizedFloat8DTypePolicy GPTQDTypePolicy AWQDTypePolicy",
    "backend.common.remat": "RematScope RematMode get_current_remat_mode remat",
    "layers.core.einsum_dense": "_analyze_einsum_string",
    "utils.module_utils": "dmtree optree",
    "utils.tracking": "TrackedDict TrackedList TrackedOrderedDict TrackedSet",
    "ops.operation": "Operation",
    "ops.node": "Node KerasHistory",
    "ops.symbolic_arguments": "SymbolicArguments",
    "ops.function": "Function",
}  # fmt: skip
# What tests use of Keras' layer over the file system.
FILES = {
    "join": os.path.join, "exists": os.path.exists, "isdir": os.path.isdir, "listdir": os.listdir, "makedirs": os.makedirs,
    "remove": os.remove, "rmtree": shutil.rmtree, "copy": shutil.copy, "File": open, "is_remote_path": lambda path: False,
}  # fmt: skip
# Packages whose data loaders are tested with layers in them.
LOADERS = ("grain",)


class OutOfScope(NotImplementedError, AttributeError):
    """Raised by what berrante leaves out."""


class Checkout(importlib.abc.MetaPathFinder):
    """Finds the tests' shared helpers in the checkout."""

    def __init__(self, source: Path, version: int) -> None:
        self.source = source
        pattern = (
            r"keras\.src\.(testing(\..*)?|.*_test|backend\.common\.backend_utils)"
            if version == 3
            else r"keras\.utils\.test_utils"
        )
        self.wanted = re.compile(pattern)

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if not self.wanted.fullmatch(fullname):
            return None
        base = self.source / fullname.replace(".", "/")
        if (base / "__init__.py").exists():
            return importlib.util.spec_from_file_location(
                fullname, base / "__init__.py", submodule_search_locations=[str(base)]
            )
        return importlib.util.spec_from_file_location(fullname, base.with_suffix(".py"))


class Shell(type):
    """The type of shells, whose own attributes are absent, too."""

    def __getattr__(cls, attribute: str) -> Any:
        if attribute.startswith("__") or "pytest" in attribute:
            raise AttributeError(attribute)
        raise OutOfScope(cls.__name__)


def absent(name: str, at_once: bool = False) -> type:
    """A class that can be made, and raises when anything is done with it (at_once: when it is made)."""

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        if at_once:
            raise OutOfScope(name)

    def __getattr__(self: Any, attribute: str) -> Any:
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        raise OutOfScope(name)

    def __call__(self: Any, *args: Any, **kwargs: Any) -> Any:
        raise OutOfScope(name)

    def __repr__(self: Any) -> str:
        raise OutOfScope(name)

    return Shell(
        name,
        (),
        {
            "__init__": __init__,
            "__getattr__": __getattr__,
            "__call__": __call__,
            "__enter__": __call__,
            "__exit__": None,
            "__repr__": __repr__,
        },
    )


class AbsentModule(ModuleType):
    """A module whose every name raises when called."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return absent(f"{self.__name__.removeprefix('keras.src.')}.{name}")


def install_shells(version: int) -> None:
    """Puts shells where the checkout's tests import what berrante has not."""
    import keras

    if version == 3:
        for name in MODULES_3:
            full = "keras.src." + name
            try:
                importlib.import_module(full)
                shell = getattr(sys.modules[full], "__file__", None) is None and not hasattr(
                    sys.modules[full], "_sources"
                )
            except ImportError:
                shell = True
            if shell:
                module = sys.modules[full] = AbsentModule(full)
                module.__path__ = []
                setattr(sys.modules[full.rpartition(".")[0]], full.rpartition(".")[2], module)
        for name, missing in NAMES_3.items():
            module = importlib.import_module("keras.src." + name)
            for one in missing.split():
                if not hasattr(module, one):
                    setattr(module, one, absent(f"{name}.{one}", at_once=True))
        for name in LOADERS:
            if importlib.util.find_spec(name) is None:
                sys.modules[name] = AbsentModule(name)
        packages = importlib.import_module("keras.src.utils.module_utils")
        packages.tensorflow = importlib.import_module("tensorflow")
        for name in ("tensorflow.summary", "tensorflow.python.eager"):  # their files test more than TensorFlow
            sys.modules[name] = AbsentModule(name)
        show_operations_and_files()
        files = importlib.import_module("keras.src.utils.file_utils")
        for name, function in FILES.items():
            if not hasattr(files, name):
                setattr(files, name, function)
        conftest = sys.modules["conftest"] = ModuleType("conftest")
        conftest.skip_if_backend = skip_if_backend  # type: ignore[attr-defined]
    parts = ["keras.layers." + p for p in PARTS_2] if version == 2 else ["keras.src.layers"]
    for name in LAYERS:
        if not hasattr(keras.layers, name):
            for path in ("keras.layers", *parts):
                setattr(importlib.import_module(path), name, absent(name))


def show_operations_and_files() -> None:
    """Keras' classes of operations stand as shells beside berrante's functions; packages know the files in them."""
    import keras

    from berrante.compat import alias

    for family in ("numpy", "math", "nn", "image", "core", "linalg"):
        module = importlib.import_module(f"keras.src.ops.{family}")
        real = getattr(keras.ops, family, None)
        for target in {id(m): m for m in (module, real) if isinstance(m, ModuleType)}.values():
            outer = getattr(target, "__getattr__", None)
            target.__getattr__ = functools.partial(operation_class, outer, family)  # type: ignore[method-assign]

    plain = alias.Alias.__getattr__

    def look_further(self: Any, name: str) -> Any:
        try:
            return plain(self, name)
        except AttributeError:
            below = self.__name__.removeprefix("keras.src.").replace(".", "/")
            if self.__name__.startswith("keras.src.") and (SOURCE / "keras/src" / below / f"{name}.py").exists():
                return importlib.import_module(f"{self.__name__}.{name}")
            if self.__name__.startswith("keras.src.ops") and name[:1].isupper():
                return absent(f"operation class {name}")
            raise

    alias.Alias.__getattr__ = look_further  # type: ignore[method-assign]


def operation_class(outer: Any, family: str, name: str) -> Any:
    """A shell for a class of operations."""
    if name[:1].isupper():
        return absent(f"operation class {family}.{name}")
    if outer is not None:
        return outer(name)
    raise AttributeError(f"module 'keras.src.ops.{family}' has no attribute {name!r}")


def skip_if_backend(name: str, reason: str) -> Callable[[Any], Any]:
    """What the checkout's conftest has under this name."""
    import keras

    return pytest.mark.skipif(keras.backend.backend() == name, reason=reason)


def restore_old_packages() -> None:
    """What the tests use of SciPy and h5py of Keras 2's days."""
    import h5py
    import scipy
    import scipy.special

    misc = scipy.misc = ModuleType("scipy.misc")
    misc.logsumexp = scipy.special.logsumexp  # type: ignore[attr-defined]
    opened = h5py.File.__init__

    def __init__(self: Any, name: Any, mode: str = "a", **more: Any) -> None:  # today's mode is r
        opened(self, name, mode, **more)

    h5py.File.__init__ = __init__
    h5py.File.fid = property(lambda self: self.id)


class Report:
    """A pytest plugin: leaves excluded tests out and collects what became of the others."""

    def __init__(self, exclusions: list[tuple[str, str]], prefix: str) -> None:
        self.exclusions = [(re.compile(pattern), reason) for pattern, reason in exclusions]
        self.prefix = prefix
        self.lines: list[tuple[str, str, str]] = []

    def _name(self, nodeid: str) -> str:
        return self.prefix + nodeid[nodeid.index("::") :] if "::" in nodeid else self.prefix

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        kept = []
        for item in items:
            name = self._name(item.nodeid)
            reason = next((r for p, r in self.exclusions if p.fullmatch(name)), None)
            if reason is None:
                kept.append(item)
            else:
                self.lines.append(("excluded", name, reason))
        items[:] = kept

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.lines.append(("error", self._name(report.nodeid), str(report.longrepr)[-4000:]))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.failed or (report.when == "setup" and report.skipped):
            outcome, text = report.outcome, str(report.longrepr)[-4000:] if report.failed else ""
            left_out = re.search(r"^E +\S*OutOfScope: (.*)$", text, re.MULTILINE)
            if outcome == "failed" and left_out:
                outcome, text = "excluded", f"uses {left_out[1]}"  # type: ignore[assignment]
            if report.skipped and hasattr(report, "wasxfail"):
                outcome = "skipped"
            self.lines.append((outcome, self._name(report.nodeid), text))


def main(source: Path, version: int, report: Path, exclusions: Path, file: Path, prefix: str) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from berrante.compat import install_as_keras

    global SOURCE
    SOURCE = source
    install_as_keras(version)
    sys.meta_path.insert(0, Checkout(source, version))

    install_shells(version)
    if version == 2:
        restore_old_packages()
        warns = pytest.warns
        # pytest 3 recorded with warns(None), which today's refuses.
        pytest.warns = lambda kind=Warning, **more: catch_warnings(record=True) if kind is None else warns(kind, **more)  # type: ignore[assignment]
    plugin = Report(json.loads(exclusions.read_text()), prefix)
    arguments = ["-q", "-p", "no:cacheprovider", "--import-mode=importlib", "--noconftest", "-c", "/dev/null"]
    pytest.main([*arguments, "--rootdir", str(file.parent), str(file)], plugins=[plugin])
    report.write_text(json.dumps(plugin.lines))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4]), Path(sys.argv[5]), sys.argv[6])
