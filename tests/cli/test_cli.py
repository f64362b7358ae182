"""The command line and the examples, run as a user runs them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments: str, cwd: Path) -> str:
    result = subprocess.run(
        [sys.executable, *arguments], cwd=cwd, capture_output=True, text=True, env=dict(os.environ, COLUMNS="100")
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_demo(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    pytest.importorskip("matplotlib")
    out = run("-m", "berrante", "demo", cwd=tmp_path)
    accuracy = float(
        next(line for line in out.splitlines() if line.startswith("test accuracy")).split()[-1].rstrip("%")
    )
    assert accuracy > 97
    for name in ("lenet5.keras", "training.png", "predictions.png"):
        assert (tmp_path / "berrante-demo" / name).stat().st_size > 1000
    assert "lenet5" in run("-m", "berrante", "summary", "berrante-demo/lenet5.keras", cwd=tmp_path)


def test_info(tmp_path: Path) -> None:
    out = run("-m", "berrante", "info", cwd=tmp_path)
    assert all(word in out for word in ("CPU", "ISA", "threads", "CUDA"))


@pytest.mark.parametrize("name", [p.name for p in sorted((ROOT / "examples").glob("*.py"))])
def test_examples(name: str, tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    pytest.importorskip("matplotlib")
    out = run(str(ROOT / "examples" / name), cwd=tmp_path)
    expected = {"perceptron.py": "converged", "convolution.py": "42", "activations.py": "activations in"}
    expected["anomaly_digits.py"] = "zeros found"
    assert expected.get(name, "test accuracy") in out


def test_import_brings_no_slow_packages(tmp_path: Path) -> None:
    code = (
        "import sys, berrante; print([m for m in ('h5py', 'rich', 'matplotlib', 'PIL', 'sklearn') if m in sys.modules])"
    )
    assert run("-c", code, cwd=tmp_path).strip() == "[]"
