"""The house rules that no other tool checks: imports point downward, kernels keep to themselves, files stay small."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "python" / "berrante"
CSRC = ROOT / "csrc"

# A package may import those before it (and itself). What is not named here stands above them all.
LAYERS = [
    {"_cpu", "_cuda"},
    {"runtime"},
    {"graph"},
    {"ops", "random"},
    {"initializers", "regularizers", "constraints", "activations"},
    {"layers", "losses", "metrics", "optimizers", "data"},
    {"models", "callbacks", "saving", "utils", "datasets"},
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
# Lazy imports inside functions that name a class for serialisation.
ALLOWED = {"saving.registry", "saving"}


def python_files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("berrante."):
            found.add(node.module.removeprefix("berrante."))
        elif isinstance(node, ast.ImportFrom) and node.module == "berrante":
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.Import):
            found.update(a.name.removeprefix("berrante.") for a in node.names if a.name.startswith("berrante."))
    return found


@pytest.mark.parametrize("path", python_files(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_downward(path: Path) -> None:
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if own not in RANK:
        return
    for module in imports(path):
        top = module.split(".")[0]
        if module in ALLOWED or top in ALLOWED or top not in RANK:
            continue
        assert RANK[top] <= RANK[own], f"{path.relative_to(ROOT)} imports berrante.{module}, which stands above it"


def test_only_runtime_imports_the_compiled_modules() -> None:
    for path in python_files():
        if path.relative_to(PACKAGE).parts[0] != "runtime":
            assert not imports(path) & {"_cpu", "_cuda"}, path


def test_the_package_reads_nothing_dangerous() -> None:
    for path in python_files():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in ("eval", "exec", "__import__"), f"{path}:{node.lineno}"
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                names = [a.name for a in node.names] + [getattr(node, "module", "") or ""]
                assert not {"pickle", "marshal", "shelve", "dill"} & set(names), f"{path}:{node.lineno}"


def test_file_sizes() -> None:
    for path in [*python_files(), *CSRC.rglob("*")]:
        if path.suffix not in (".py", ".cpp", ".h", ".cu", ".cuh"):
            continue
        limit = 800 if path.parent.name == "ops" and path.suffix != ".py" else 500
        lines = len(path.read_text().splitlines())
        assert lines <= limit, f"{path.relative_to(ROOT)} has {lines} lines, more than {limit}"


def test_kernels_include_only_core_and_their_device() -> None:
    for path in (CSRC / "ops").glob("*_cpu.cpp"):
        for include in re.findall(r'#include\s+([<"][^>"]+[>"])', path.read_text()):
            assert re.match(r'["<](\.\./core/|\.\./cpu/|cstddef|cstdint|cstring)', include), f"{path.name}: {include}"


def test_pybind11_stays_in_bindings() -> None:
    for path in CSRC.rglob("*"):
        if path.is_file() and "pybind11" in path.read_text():
            assert path.parent.name == "bindings", path
