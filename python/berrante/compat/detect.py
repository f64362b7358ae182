"""Which Keras a script was written for: 2 or 3, decided by names that only one of them has.

The script is parsed, not run; so are the Python files in its folder that it imports. What Keras 3 removed speaks for 2,
what Keras 3 brought speaks for 3; where both occur, the removed names count, because they cannot run under 3.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from pathlib import Path

# Module paths that Keras 3 no longer has.
_OLD_MODULES = (
    "keras.layers.convolutional", "keras.layers.core", "keras.layers.advanced_activations", "keras.layers.merge",
    "keras.layers.normalization", "keras.layers.pooling", "keras.layers.embeddings", "keras.layers.noise",
    "keras.layers.wrappers", "keras.layers.local", "keras.layers.recurrent", "keras.utils.np_utils",
    "keras.utils.vis_utils", "keras.utils.generic_utils", "keras.utils.data_utils", "keras.utils.conv_utils",
    "keras.utils.io_utils", "keras.utils.layer_utils", "keras.engine", "keras.wrappers", "keras.preprocessing.image",
    "keras.preprocessing.text", "keras.objectives", "keras.legacy",
)  # fmt: skip
_OLD_KEYWORDS = {
    "nb_epoch", "samples_per_epoch", "nb_val_samples", "nb_filter", "border_mode", "subsample", "dim_ordering",
    "output_dim", "W_regularizer", "b_regularizer", "init", "filter_length", "lr", "decay",
}  # fmt: skip
_OLD_METHODS = {
    "fit_generator", "evaluate_generator", "predict_generator", "predict_classes", "predict_proba", "to_yaml",
    "model_from_yaml", "get_output_at", "get_input_at",
}  # fmt: skip
_OLD_NAMES = {
    "Convolution2D", "Convolution1D", "Deconvolution2D", "Merge", "ImageDataGenerator", "AtrousConvolution2D",
    "KerasClassifier", "KerasRegressor", "np_utils",
}  # fmt: skip
_OLD_BACKEND = {
    "placeholder", "function", "gradients", "learning_phase", "in_train_phase", "set_session", "get_session", "variable",
    "image_dim_ordering", "set_image_dim_ordering", "get_value", "set_value", "batch_flatten", "int_shape", "eval",
    "random_normal", "mean", "sum", "square", "exp", "flatten", "dot",
}  # fmt: skip
_NEW_MODULES = ("keras.ops", "keras.random", "keras.saving", "keras.export", "keras.src", "keras.distribution")
_NEW_NAMES = {"set_random_seed", "SeedGenerator", "PyDataset", "StatelessScope"}
# What Keras 3 still takes, but scripts for Keras 2 had much more often; counts where nothing else tells.
_OLD_HABITS = {"input_dim", "input_length", "input_shape", "batch_input_shape"}
_MAX_FILES = 50


@dataclass
class Choice:
    """A version and what spoke for it; `tensorflow` says that only tensorflow.keras is imported."""

    version: int
    reasons: list[str] = field(default_factory=list)
    tensorflow: bool = False

    def __str__(self) -> str:
        return (
            f"taking Keras {self.version} ({', '.join(self.reasons)}); --keras 2 or 3 (version=...) decides otherwise"
        )


class _Signs(ast.NodeVisitor):
    """Collects what speaks for either version."""

    def __init__(self) -> None:
        self.old: dict[str, None] = {}
        self.new: dict[str, None] = {}
        self.habits: dict[str, None] = {}
        self.imports: list[str] = []
        self.plain = False
        self._backends: set[str] = set()

    def _module(self, name: str) -> None:
        self.imports.append(name)
        self.plain = self.plain or name.split(".")[0] == "keras"
        name = name.removeprefix("tensorflow.python.").removeprefix("tensorflow.")
        if name.split(".")[0] != "keras":
            return
        if any(name == m or name.startswith(m + ".") for m in _OLD_MODULES):
            self.old[name] = None
        if any(name == m or name.startswith(m + ".") for m in _NEW_MODULES):
            self.new[name] = None

    def visit_Import(self, node: ast.Import) -> None:
        for name in node.names:
            self._module(name.name)
            if name.name.endswith("keras.backend"):
                self._backends.add(name.asname or name.name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        module = node.module or ""
        if module:
            self._module(module)
        for name in node.names:
            if node.level == 0:
                full = f"{module}.{name.name}"
                self._module(full)
                if full.endswith("keras.backend"):
                    self._backends.add(name.asname or name.name)
                    self.habits["the backend"] = None
                if module == "__future__" and name.name in ("print_function", "absolute_import", "division"):
                    self.habits["__future__"] = None
            else:
                self.imports.append(name.name)
            if "keras" in module:
                if name.name in _OLD_NAMES or name.name in _OLD_METHODS:
                    self.old[name.name] = None
                if name.name in _NEW_NAMES:
                    self.new[name.name] = None

    def visit_Call(self, node: ast.Call) -> None:
        for keyword in node.keywords:
            if keyword.arg in _OLD_KEYWORDS:
                if keyword.arg in ("input_dim", "output_dim") and _called(node) == "Embedding":
                    continue
                self.old[f"{keyword.arg}="] = None
            if keyword.arg in _OLD_HABITS:
                self.habits[f"{keyword.arg}="] = None
        self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if node.attr in _OLD_METHODS or node.attr in _OLD_NAMES:
            self.old[node.attr] = None
        if isinstance(node.value, ast.Name):
            owner = node.value.id
            if owner in self._backends and node.attr in _OLD_BACKEND:
                self.old[f"{owner}.{node.attr}"] = None
            if owner == "keras" and node.attr in ("ops", "random", "saving"):
                self.new[f"keras.{node.attr}"] = None
        if node.attr in _NEW_NAMES:
            self.new[node.attr] = None
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if node.value in ("acc", "val_acc"):
            self.old[f"'{node.value}'"] = None
        elif isinstance(node.value, str) and node.value.endswith(".keras"):
            self.new["'.keras' files"] = None


def _called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def _source(path: Path) -> str:
    if path.suffix == ".ipynb":
        from berrante.compat.notebook import read_cells

        return "\n".join(cell for cell in read_cells(path, quiet=True))
    return path.read_text(encoding="utf-8", errors="replace")


def choose_version(script: str | Path | None) -> Choice:
    """The version that the script (with the files beside it that it imports) was written for; 3 where nothing tells."""
    if script is None or not Path(script).is_file():
        return Choice(3, ["there is no script to decide by"])
    signs = _Signs()
    waiting: list[Path] = [Path(script)]
    seen: set[Path] = set()
    while waiting and len(seen) < _MAX_FILES:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        before = len(signs.imports)
        try:
            signs.visit(ast.parse(_source(path)))
        except (SyntaxError, ValueError, OSError):
            continue
        for name in signs.imports[before:]:
            for folder in (Path(script).parent, path.parent):
                relative = folder.joinpath(*name.split("."))
                for candidate in (relative.with_suffix(".py"), relative / "__init__.py"):
                    if candidate.is_file():
                        waiting.append(candidate)
    if signs.old:
        return Choice(2, ["it uses " + ", ".join(list(signs.old)[:4])], not signs.plain)
    if signs.new:
        return Choice(3, ["it uses " + ", ".join(list(signs.new)[:4])])
    if signs.habits and signs.plain:
        return Choice(2, ["it looks like it: " + ", ".join(list(signs.habits)[:4])])
    return Choice(3, ["it uses nothing that only one of them has"])
