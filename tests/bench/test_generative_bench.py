"""The generative benchmarks: everyone trains the same networks, and their steps run."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest

from berrante_bench import workloads_generative
from berrante_bench.contenders import ours_generative, prepare

SMALL = {"BATCH": 4, "FILTERS": 4, "LATENT": 6, "CRITIC": 2}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """All networks at a small size."""
    shrink(monkeypatch, ours_generative, workloads_generative)
    return monkeypatch


def shrink(monkeypatch: pytest.MonkeyPatch, *modules: Any) -> None:
    for module in modules:
        for name, value in SMALL.items():
            if hasattr(module, name):
                monkeypatch.setattr(module, name, value)


def sizes(model: Any) -> list[int]:
    return sorted(int(np.prod(w.shape)) for w in model.trainable_weights)


@pytest.mark.parametrize("name", workloads_generative.GENERATIVE)
def test_pytorch_trains_the_same_networks(name: str, small: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    from berrante_bench.contenders import pytorch_generative as theirs

    shrink(small, theirs)
    if name != "vae":
        model, norm = ours_generative._model(name), name == "dcgan"
        for own, other in ((model.generator, theirs._generator()), (model.discriminator, theirs._discriminator(norm))):
            assert sizes(own) == sorted(p.numel() for p in other.parameters())
    for contender in ("berrante", "torch", "torch_channels_last"):
        prepare(contender, {"kind": "generative", "workload": name})(2)


@pytest.mark.parametrize("name", workloads_generative.GENERATIVE)
def test_keras_trains_the_same_networks(name: str, small: pytest.MonkeyPatch) -> None:
    if os.environ.get("KERAS_BACKEND", "torch") != "torch":
        pytest.skip("Keras is set to another backend")
    pytest.importorskip("torch")
    small.setenv("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras")
    if keras.backend.backend() != "torch":
        pytest.skip("Keras has been loaded with another backend")
    from berrante_bench.contenders import keras3_generative as theirs

    shrink(small, theirs)
    model = ours_generative._model(name)
    if name == "vae":
        made = theirs._vae(keras)
        ours = sum(sizes(model))
    else:
        made = theirs._adversarial(keras, name == "wgan_gp")
        ours = sum(sizes(model.generator)) + sum(sizes(model.discriminator))
    assert sum(sizes(made)) == ours
    theirs.generative(keras, {"workload": name}, "torch")(2)
