"""berrante, as its users run it."""

from __future__ import annotations

from typing import Any

from berrante_bench.contenders import Steps, keras_style
from berrante_bench.contenders.ours_generative import generative as generative
from berrante_bench.contenders.ours_ops import op as op
from berrante_bench.workloads import of_task


def _library() -> Any:
    import berrante

    return berrante


def train(task: dict[str, Any], option: str) -> Steps:
    """Training steps on one batch."""
    return keras_style.train_steps(_library(), of_task(task))


def fit(task: dict[str, Any], option: str) -> Steps:
    """Epochs over images in memory."""
    return keras_style.fit_epochs(_library(), of_task(task), task["samples"])


def predict(task: dict[str, Any], option: str) -> Steps:
    """Predictions of one batch."""
    return keras_style.predictions(_library(), of_task(task))
