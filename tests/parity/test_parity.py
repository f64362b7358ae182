"""A few random comparisons with the installed Keras; `python tests/parity/run.py --count N` makes many."""

from __future__ import annotations

import os

import pytest

from parity import harness

COUNTS = {
    "layers": 12,
    "more layers": 10,
    "preprocessing": 15,
    "ops": 12,
    "parts": 12,
    "losses": 21,
    "metrics": 21,
    "optimizers": 14,
    "fit": 6,
}


@pytest.fixture(scope="module")
def peers():  # type: ignore[no-untyped-def]
    os.environ.setdefault("KERAS_BACKEND", "jax")
    pytest.importorskip("keras")
    from parity.peers import KerasPeer, OurPeer

    return OurPeer(), KerasPeer()


@pytest.mark.parametrize("family", list(harness.FAMILIES))
def test_random_cases_agree_with_keras(family: str, peers) -> None:  # type: ignore[no-untyped-def]
    ours, theirs = peers
    report = harness.run([family], COUNTS.get(family, 40), 1, ours, theirs, say=lambda _: None)
    assert report.cases > 0
    assert not report.failures, "\n".join(report.failures or [])


def test_a_difference_is_found() -> None:
    """The comparison itself can fail: values, shapes, NaN, plain values, one-sided exceptions."""
    import numpy as np

    case = harness.Case("", lambda peer: {})
    one = {"y": np.ones(3)}
    assert not harness.differences(case, one, {"y": np.ones(3)})
    for other in ({"y": np.ones(3) + 1e-3}, {"y": np.ones(4)}, {"y": np.array([1, 1, np.nan])}, {"z": 1}, ValueError()):
        assert harness.differences(case, one, other)
        assert harness.differences(case, other, one)
    assert harness.differences(case, KeyError(), ValueError())
    assert not harness.differences(case, ValueError("a"), ValueError("b"))
