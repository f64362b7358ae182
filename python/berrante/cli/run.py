"""berrante run: a script or notebook written for Keras, run unchanged on berrante."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from pathlib import Path


def run_script(script: str, arguments: Sequence[str], version: int | None) -> int:
    """Runs a file as `__main__` with its own arguments; `keras` and `tensorflow.keras` mean berrante.

    Args:
        script: a Python file or a Jupyter notebook (.ipynb).
        arguments: what the script finds in sys.argv after its name.
        version: the Keras whose habits to take, 2 or 3; None decides by what the script uses.

    Returns 0; what the script raises (SystemExit included) passes through.
    """
    from berrante.compat import install_as_keras

    path = Path(script)
    if not path.is_file():
        print(f"berrante run: there is no file {script!r}", file=sys.stderr)
        return 2
    install_as_keras(version, path)
    sys.argv = [script, *arguments]
    sys.path.insert(0, str(path.resolve().parent))
    if path.suffix == ".ipynb":
        _run_notebook(path)
    else:
        runpy.run_path(script, run_name="__main__")
    return 0


def _run_notebook(path: Path) -> None:
    from berrante.compat.notebook import NotebookLoader, show

    loader = NotebookLoader(path)
    module = module_from_spec(ModuleSpec("__main__", loader, origin=str(path)))
    module.__file__ = str(path)
    module.__dict__.update(__show__=show, display=show)
    before = sys.modules["__main__"]
    sys.modules["__main__"] = module
    try:
        loader.exec_module(module)
    finally:
        sys.modules["__main__"] = before
