"""The examples of generative models run as a user runs them, for two epochs, and print the figures they promise."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "generative"
# What each prints (numbers by pattern), and the files it leaves.
PROMISED = {
    "generate_digits": (r"'d_loss': \d", ["gan.keras", "digits.gif"]),
    "enlarge_digits": r"PSNR bicubic [\d.]+ dB, network [\d.]+ dB",
    "fill_holes": (r"mean image [\d.]+ dB, filled [\d.]+", ["filled.png"]),
    "cut_out_digits": r"IoU of the digits: 0\.\d+",
    "draw_from_text": (r"mean of their digit: \d+%", ["drawn.png"]),
    "denoise_and_sample": r"PSNR noisy [\d.]+ dB, denoised [\d.]+ dB",
}


def test_every_example_is_listed() -> None:
    assert sorted(p.stem for p in EXAMPLES.glob("*.py")) == sorted(PROMISED)


@pytest.mark.parametrize("name", list(PROMISED))
def test_example(name: str, tmp_path: Path) -> None:
    for package in ("sklearn", "PIL"):
        pytest.importorskip(package)
    promised = PROMISED[name]
    pattern, files = promised if isinstance(promised, tuple) else (promised, [])
    command = [sys.executable, str(EXAMPLES / f"{name}.py"), "2"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert re.search(pattern, result.stdout), result.stdout
    for file in files:
        assert (tmp_path / file).stat().st_size > 100
