"""Learning rate schedules against their formulas in float64."""

from __future__ import annotations

import math

import pytest

from berrante.optimizers import schedules


@pytest.mark.parametrize("t_mul", [1.0, 1.3, 1.5, 2.0, 3.0])
@pytest.mark.parametrize("first", [4, 10])
def test_cosine_restarts_also_where_a_restart_falls_on_a_step(t_mul: float, first: int) -> None:
    schedule = schedules.CosineDecayRestarts(0.5, first, t_mul=t_mul, m_mul=0.9, alpha=0.1)
    start, length, height = 0.0, float(first), 1.0
    for step in range(60):
        while step >= start + length - 1e-9:
            start, length, height = start + length, length * t_mul, height * 0.9
        wave = height * (1 + math.cos(math.pi * (step - start) / length)) / 2
        assert float(schedule(step)) == pytest.approx(0.5 * (0.9 * wave + 0.1), abs=1e-5), step
