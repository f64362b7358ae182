"""Jupyter notebooks as modules: the code cells in order, IPython's magics left out, each cell's last value shown."""

from __future__ import annotations

import ast
import importlib.abc
import json
import sys
from pathlib import Path
from types import CodeType
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


class NotebookLoader(importlib.abc.InspectLoader):
    """Makes a module of a notebook."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def get_source(self, fullname: str) -> str:
        return "\n\n".join(read_cells(self.path))

    def get_code(self, fullname: str) -> CodeType:
        body: list[ast.stmt] = []
        for number, cell in enumerate(read_cells(self.path), 1):
            tree = ast.parse(cell, f"{self.path}, cell {number}")
            if tree.body and isinstance(tree.body[-1], ast.Expr) and not cell.rstrip().endswith(";"):
                last = tree.body[-1]
                show = ast.Expr(ast.Call(ast.Name("__show__", ast.Load()), [last.value], []))
                tree.body[-1] = ast.copy_location(show, last)
            body.extend(ast.fix_missing_locations(tree).body)
        return compile(ast.Module(body, []), str(self.path), "exec")


def show(value: Any) -> None:
    """Prints a cell's value, as a notebook shows it."""
    if value is not None:
        print(repr(value))
