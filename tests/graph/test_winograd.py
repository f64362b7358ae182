"""Winograd's algorithm: chosen where it repays its transforms, close to direct sums, and off when asked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from berrante import config, ops
from berrante.graph.gradients import gradients
from berrante.graph.program import Program
from berrante.graph.tensor import TensorSpec
from berrante.runtime import kernels
from references import convolve

pytestmark = pytest.mark.usefixtures("on_cpu")

WIDE = 48  # a multiple of every instruction set's lanes


def compiled(n: int, size: int, channels: int, taps: int = 3, **options: Any) -> Program:
    """A convolution followed by a relu, and the gradients of a sum of squares."""

    def step(x: Any, w: Any, b: Any) -> Any:
        y = ops.relu(ops.add(ops.conv(x, w, **options), b))
        return [y, *gradients([ops.sum(ops.square(y))], [x, w, b])]

    return Program(step, [TensorSpec(s) for s in ((n, size, size, channels), (taps, taps, channels, WIDE), (WIDE,))])


def kernels_of(program: Program) -> set[str]:
    return {s.kernel for s in program.plan.steps if s.kernel.startswith("conv2d")}


@pytest.fixture
def direct() -> Any:
    config.set_winograd(False)
    yield
    config.set_winograd(True)


def check(program: Program, padding: str, stride: int) -> None:
    """A program of `compiled` beside float64."""
    rng = np.random.default_rng(program.specs[0].shape[1])
    x, w, b = (rng.normal(size=spec.shape).astype(np.float32) for spec in program.specs)
    y, dx, dw, _ = program(x, w, b)
    before = convolve(x.astype(np.float64), w.astype(np.float64), stride, padding, 1, 1) + b
    expected = np.maximum(before, 0)
    np.testing.assert_allclose(y, expected, atol=1e-5 * np.abs(expected).max())
    # The adjoints, tested by one number each: <dx, u> and <dw, v> are directional derivatives.
    dy = 2 * expected * (before > 0)
    u, v = rng.normal(size=x.shape), rng.normal(size=w.shape)
    along_x = np.sum(dy * convolve(u, w.astype(np.float64), stride, padding, 1, 1))
    along_w = np.sum(dy * convolve(x.astype(np.float64), v, stride, padding, 1, 1))
    np.testing.assert_allclose(np.sum(dx * u), along_x, atol=1e-5 * np.linalg.norm(dx) * np.linalg.norm(u))
    np.testing.assert_allclose(np.sum(dw * v), along_w, atol=1e-5 * np.linalg.norm(dw) * np.linalg.norm(v))


@pytest.mark.parametrize(("size", "padding"), [(16, "same"), (15, "valid"), (13, "same")])
def test_winograd_agrees_with_float64(size: int, padding: str) -> None:
    program = compiled(4, size, WIDE, padding=padding)
    assert kernels_of(program) == {"conv2d_winograd", "conv2d_winograd_weight_grad"}
    check(program, padding, 1)


@pytest.mark.parametrize(
    ("size", "padding", "adjoint"),
    [(14, "same", "conv2d_winograd"), (32, "valid", "conv2d_winograd"), (16, "same", "conv2d_input_grad")],
)
def test_strided_convolutions_of_even_filters(size: int, padding: str, adjoint: str) -> None:
    """The phases of 16 pixels with padding are of 9, which leaves too much of 3 x 3 tiles empty."""
    program = compiled(16, size, WIDE, 4, padding=padding, strides=2)
    assert kernels_of(program) == {"conv2d_winograd", "conv2d_winograd_weight_grad", adjoint}
    check(program, padding, 2)


@pytest.mark.parametrize(
    ("n", "size", "channels", "options"),
    [
        (4, 16, WIDE, {"strides": 2}),
        (4, 16, WIDE, {"dilation_rate": 2}),
        (4, 16, 20, {}),  # no whole vectors of 8 or 16
        (1, 6, WIDE, {}),  # too few tiles
        (64, 7, WIDE, {"padding": "valid"}),  # 5 x 5 outputs leave most of 2 x 2 tiles empty
    ],
)
def test_what_does_not_repay_stays_direct(n: int, size: int, channels: int, options: dict[str, Any]) -> None:
    forward = Program(
        lambda x, w: ops.conv(x, w, **options),
        [TensorSpec((n, size, size, channels)), TensorSpec((3, 3, channels, WIDE))],
    )
    if channels % kernels.lanes() == 0 and channels < WIDE:
        pytest.skip("20 channels fill this machine's vectors")
    assert kernels_of(forward) == {"conv2d"}


def test_off_when_asked(direct: None) -> None:
    assert not config.winograd()
    assert kernels_of(compiled(4, 16, WIDE)) == {"conv2d", "conv2d_input_grad", "conv2d_weight_grad"}
