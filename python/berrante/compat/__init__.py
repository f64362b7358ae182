"""Scripts written for Keras run as they are: `keras`, `tensorflow.keras` and their submodules resolve to berrante.

`install_as_keras()` puts a finder in front of Python's own, for this process only; nothing called keras is installed or
written anywhere. Version 3 is berrante itself; version 2 adds the names, defaults and habits of Keras 2
(`berrante.compat.keras2`, whose differences stand in one table, `berrante.compat.differences`).
"""

from __future__ import annotations

import sys
from pathlib import Path

from berrante.compat import alias
from berrante.compat.detect import Choice, choose_version


def install_as_keras(version: int | None = None, script: str | Path | None = None) -> Choice:
    """From now on `import keras` and `import tensorflow` give berrante.

    Args:
        version: 2 or 3, whose names, defaults and habits to take. None decides by what the script uses and prints to
            the standard error stream which it took, and why.
        script: the file to decide by; by default the running script.

    Returns the choice: its `version` and the `reasons`.

    Raises ValueError for another version, and RuntimeError if another `keras` or `tensorflow` was imported before, or
    if the other version was installed before.
    """
    if version not in (None, 2, 3):
        raise ValueError(f"install_as_keras: expected version 2, 3 or None; received {version!r}")
    if version is None:
        installed = alias.installed_version()
        if installed is not None:
            return Choice(installed, ["it was installed before"])
        choice = choose_version(script or getattr(sys.modules.get("__main__"), "__file__", None))
        print(f"berrante: {choice}", file=sys.stderr)
    else:
        choice = Choice(version, ["asked for"])
    alias.install(choice.version, choice.tensorflow)
    return choice


def uninstall() -> None:
    """Takes the names away again; modules that imported them keep what they have."""
    alias.remove()
