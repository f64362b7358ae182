"""bench/gpu.py on the emulated device: that nothing in it waits for a card to fail."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from cuda.modules import needs_emulator

ROOT = Path(__file__).resolve().parent.parent.parent


@needs_emulator
def test_steps_and_operations() -> None:
    command = [
        sys.executable,
        "bench/gpu.py",
        "perceptron",
        "--quick",
        "--device",
        "emulated",
        "--contenders",
        "berrante",
    ]
    done = subprocess.run([*command, "--seconds", "0.01"], capture_output=True, text=True, cwd=ROOT, timeout=240)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("perceptron") and "berrante" in lines[0] and lines[0].endswith("ms")
    assert sum(line.startswith(("matmul", "conv", "{'operation'")) for line in lines) == 9
