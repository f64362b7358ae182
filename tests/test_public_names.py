"""Names that are loaded when first asked for are there."""

from __future__ import annotations

import pytest

import berrante
from berrante import utils


@pytest.mark.parametrize("name", sorted(berrante._LAZY))
def test_modules(name: str) -> None:
    assert getattr(berrante, name).__name__ == f"berrante.{berrante._LAZY[name]}"


@pytest.mark.parametrize("name", sorted(utils._HOME))
def test_utils(name: str) -> None:
    assert callable(getattr(utils, name))


def test_unknown_names() -> None:
    for module in (berrante, utils):
        with pytest.raises(AttributeError, match="no_such_name"):
            module.no_such_name  # noqa: B018


def test_packing() -> None:
    assert utils.pack_x_y_sample_weight(1) == 1 and utils.pack_x_y_sample_weight([1]) == ([1],)
    assert utils.pack_x_y_sample_weight(1, 2) == (1, 2) and utils.pack_x_y_sample_weight(1, 2, 3) == (1, 2, 3)
    assert utils.is_keras_tensor(berrante.Input((2,))) and not utils.is_keras_tensor(2)
