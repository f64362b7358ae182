"""A hundred mutants of valid files; `fuzz_files.py --count N` runs as many as one likes."""

from __future__ import annotations

from fuzz_files import fuzz


def test_mutants_are_refused_or_load_whole() -> None:
    assert fuzz(100) == []
