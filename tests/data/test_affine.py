"""Affine maps of images against scipy.ndimage, and what must hold without it."""

from __future__ import annotations

import numpy as np
import pytest

from berrante.preprocessing.affine import FILL_MODES, affine_transform


def rotation(angle: float, scale: float = 1.0) -> np.ndarray:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * scale


@pytest.mark.parametrize("mode", FILL_MODES)
@pytest.mark.parametrize("order", range(6))
def test_against_scipy(order: int, mode: str) -> None:
    ndimage = pytest.importorskip("scipy.ndimage")
    rng = np.random.default_rng(order)
    for trial in range(12):
        # Orders above 1 with few pixels: scipy's own filters are approximations there, and so are they far outside.
        h, w = rng.integers(1, 40, 2) if order < 2 else rng.integers(24, 40, 2)
        x = rng.standard_normal((h, w, 3)).astype(np.float32 if trial % 2 else np.float64)
        matrix = np.eye(2) if trial % 4 == 0 else rotation(rng.uniform(-3, 3), rng.uniform(0.5, 2))
        offset = rng.integers(-9, 9, 2).astype(float) if trial % 4 == 0 else rng.uniform(-20, 20, 2)
        expected = [
            ndimage.affine_transform(x[..., c], matrix, offset, order=order, mode=mode, cval=0.7) for c in range(3)
        ]
        y = affine_transform(x, matrix, offset, order, mode, 0.7)
        assert y.dtype == x.dtype
        tolerance = 1e-6 if order < 4 or mode != "nearest" else 1e-3
        np.testing.assert_allclose(y, np.stack(expected, -1), rtol=0, atol=tolerance)


@pytest.mark.parametrize("dtype", ["uint8", "int32"])
def test_whole_numbers_are_rounded_as_scipy_does(dtype: str) -> None:
    ndimage = pytest.importorskip("scipy.ndimage")
    x = np.random.default_rng(0).integers(0, 256, (30, 31, 1)).astype(dtype)
    matrix, offset = rotation(0.3), np.array([3.0, -2.0])
    expected = ndimage.affine_transform(x[..., 0], matrix, offset, order=1, mode="reflect")
    np.testing.assert_array_equal(affine_transform(x, matrix, offset, 1, "reflect")[..., 0], expected)


@pytest.mark.parametrize("mode", FILL_MODES)
@pytest.mark.parametrize("order", range(6))
@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 5, 2), (2, 2, 1), (9, 4, 3), (130, 150, 1)])
def test_the_identity_gives_the_image_back(order: int, mode: str, shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).random(shape)
    before = x.copy()
    np.testing.assert_allclose(affine_transform(x, np.eye(2), np.zeros(2), order, mode), x, atol=1e-9)
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("constant", [9, 9, 0, 1, 2, 3]),
        ("nearest", [0, 0, 0, 1, 2, 3]),
        ("reflect", [1, 0, 0, 1, 2, 3]),
        ("mirror", [2, 1, 0, 1, 2, 3]),
        ("wrap", [3, 4, 0, 1, 2, 3]),
    ],
)
def test_what_lies_outside(mode: str, expected: list[int]) -> None:
    x = np.arange(6, dtype=np.float64).reshape(1, 6, 1)
    shifted = affine_transform(x, np.eye(2), np.array([0.0, -2.0]), 0, mode, 9.0)[0, :, 0]
    # scipy's "wrap" repeats with a period of n - 1: its first and last pixels are one.
    np.testing.assert_array_equal(shifted, expected)


def test_bad_arguments_name_themselves() -> None:
    x = np.zeros((2, 2, 1))
    with pytest.raises(ValueError, match="fill_mode.*'edge'"):
        affine_transform(x, np.eye(2), np.zeros(2), 1, "edge")
    with pytest.raises(ValueError, match="order.*6"):
        affine_transform(x, np.eye(2), np.zeros(2), 6)
