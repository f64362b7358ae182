"""Jupyter notebooks as modules: the code cells in order, IPython's magics left out, each cell's last value shown."""

from __future__ import annotations

import ast
import importlib.abc
import json
import linecache
import sys
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any


def read_cells(path: Path, quiet: bool = False) -> list[str]:
    """The sources of the code cells, without magics and shell commands; what is left out is named on standard error.

    Raises ValueError if the file is not a notebook.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        cells = document["cells"] if "cells" in document else document["worksheets"][0]["cells"]
        sources = [
            "".join(cell.get("source", cell.get("input", ""))) for cell in cells if cell.get("cell_type") == "code"
        ]
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise ValueError(f"{path}: expected a Jupyter notebook (JSON with code cells); {error}") from None
    return [_without_magics(source, number, quiet) for number, source in enumerate(sources, 1)]


def _without_magics(source: str, number: int, quiet: bool) -> str:
    def skip(what: str) -> None:
        if not quiet:
            print(f"berrante: cell {number}: skipped {what!r} (IPython only)", file=sys.stderr)

    stripped = source.lstrip()
    if stripped.startswith("%%"):
        first = stripped.splitlines()[0]
        skip(first)
        if first.split()[0] not in ("%%time", "%%timeit", "%%capture"):
            return ""
        source = "\n".join(stripped.splitlines()[1:])
    lines = []
    for line in source.split("\n"):
        text = line.strip()
        if text.startswith(("%", "!", "?")) or (text.endswith("?") and text[:-1].replace(".", "").isidentifier()):
            skip(text)
            indent = line[: len(line) - len(line.lstrip())]
            line = f"{indent}pass"
        lines.append(line)
    return "\n".join(lines)


class CellLoader(importlib.abc.InspectLoader):
    """Runs one cell in a module; tracebacks show the cell's own lines."""

    def __init__(self, path: Path, number: int, source: str) -> None:
        self.source = source
        self.name = f"{path}, cell {number}"

    def get_source(self, fullname: str) -> str:
        return self.source

    def get_code(self, fullname: str) -> CodeType:
        linecache.cache[self.name] = (len(self.source), None, self.source.splitlines(keepends=True), self.name)
        tree = ast.parse(self.source, self.name)
        if tree.body and isinstance(tree.body[-1], ast.Expr) and not self.source.rstrip().endswith(";"):
            last = tree.body[-1]
            shown = ast.Expr(ast.Call(ast.Name("__show__", ast.Load()), [last.value], []))
            tree.body[-1] = ast.fix_missing_locations(ast.copy_location(shown, last))
        return compile(tree, self.name, "exec")


def run_notebook(path: Path, module: ModuleType) -> None:
    """Runs all code cells in order in a module."""
    module.__dict__.update(__show__=show, display=show)
    for number, source in enumerate(read_cells(path), 1):
        CellLoader(path, number, source).exec_module(module)


def show(value: Any) -> None:
    """Prints a cell's value, as a notebook shows it."""
    if value is not None:
        print(repr(value))
