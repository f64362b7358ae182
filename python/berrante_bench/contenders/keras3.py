"""Keras 3 on JAX, PyTorch or TensorFlow: the same calls as berrante's."""

from __future__ import annotations

import os
from typing import Any

from berrante_bench.contenders import Steps, keras3_generative, keras_style
from berrante_bench.workloads import of_task


def _library(backend: str) -> Any:
    os.environ["KERAS_BACKEND"] = backend
    threads = int(os.environ["OMP_NUM_THREADS"])
    if backend == "tensorflow":
        import tensorflow

        tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
        tensorflow.config.threading.set_inter_op_parallelism_threads(1)
    import keras

    return keras


def train(task: dict[str, Any], option: str) -> Steps:
    """Training steps on one batch."""
    return keras_style.train_steps(_library(option), of_task(task))


def fit(task: dict[str, Any], option: str) -> Steps:
    """Epochs over images in memory."""
    return keras_style.fit_epochs(_library(option), of_task(task), task["samples"])


def predict(task: dict[str, Any], option: str) -> Steps:
    """Predictions of one batch."""
    return keras_style.predictions(_library(option), of_task(task))


def generative(task: dict[str, Any], option: str) -> Steps:
    """Training steps of a generative model on one batch."""
    return keras3_generative.generative(_library(option), task, option)
