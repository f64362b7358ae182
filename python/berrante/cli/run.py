"""berrante run: a script or notebook written for Keras, run unchanged on berrante."""

from __future__ import annotations

import runpy
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType


def run_script(script: str, arguments: Sequence[str], version: int | None) -> int:
    """Runs a file as `__main__` with its own arguments; `keras` and `tensorflow.keras` mean berrante.

    Args:
        script: a Python file or a Jupyter notebook (.ipynb).
        arguments: what the script finds in sys.argv after its name.
        version: the Keras whose habits to take, 2 or 3; None decides by what the script uses.

    Returns 0, or 1 after an exception, whose traceback starts at the script; SystemExit and Ctrl-C pass through.
    """
    from berrante.compat import install_as_keras

    path = Path(script)
    if not path.is_file():
        print(f"berrante run: there is no file {script!r}", file=sys.stderr)
        return 2
    install_as_keras(version, path)
    sys.argv = [script, *arguments]
    sys.path.insert(0, str(path.resolve().parent))
    try:
        if path.suffix == ".ipynb":
            _run_notebook(path)
        else:
            runpy.run_path(script, run_name="__main__")
    except Exception as error:
        trace = error.__traceback__
        while trace is not None and not trace.tb_frame.f_code.co_filename.startswith(script):
            trace = trace.tb_next
        sys.stdout.flush()
        traceback.print_exception(type(error), error, trace or error.__traceback__)
        return 1
    return 0


def _run_notebook(path: Path) -> None:
    from berrante.compat.notebook import run_notebook

    module = ModuleType("__main__")
    module.__file__ = str(path)
    before = sys.modules["__main__"]
    sys.modules["__main__"] = module
    try:
        run_notebook(path, module)
    finally:
        sys.modules["__main__"] = before
