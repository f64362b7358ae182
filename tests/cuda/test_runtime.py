"""The CUDA runtime: where variables are, programs captured and not, batches from the host and from the device, errors.

Runs over the emulated device, and over a real one where there is one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import berrante
from berrante import ops
from berrante.graph.program import Program
from berrante.graph.tensor import TensorSpec
from berrante.graph.variable import Variable, flatten_variables
from berrante.runtime import cuda_program, devices
from berrante.runtime.device_arrays import DeviceArray
from berrante.runtime.devices import DeviceError, DeviceMemoryError
from cuda.modules import EMULATED, REAL, needs_emulator

DEVICES = [
    pytest.param("emulated", marks=needs_emulator),
    pytest.param("cuda", marks=pytest.mark.skipif(REAL is None or not REAL.devices(), reason="no CUDA device")),
]


@pytest.fixture(params=DEVICES)
def device(request: Any) -> Iterator[devices.Device]:
    with berrante.device(request.param) as chosen:
        yield chosen


def counter() -> tuple[Variable, Program]:
    """A variable, and a program that adds its input to it."""
    total = Variable(np.zeros(3, np.float32))

    def step(x: Any) -> Any:
        total.assign_add(x)
        return ops.multiply(x, 2.0)

    return total, Program(step, [TensorSpec((3,))])


def summing(batch: int) -> tuple[Variable, Program]:
    """Adds the batch's rows, weighed 1, 10, 100, ..., to a variable: shows rows and their order."""
    total = Variable(np.zeros(2, np.float32))

    def step(x: Any) -> None:
        for k in range(batch):
            total.assign_add(ops.multiply(x[k], 10.0**k))

    return total, Program(step, [TensorSpec((batch, 2))])


def test_names() -> None:
    assert devices.find_device("cpu").is_cpu
    with pytest.raises(ValueError, match=r'device: expected "cpu", "cuda" or "cuda:N"; received \'tpu\''):
        berrante.set_device("tpu")
    if EMULATED is not None:
        assert str(devices.find_device("emulated")) == "emulated:0"
        with pytest.raises(DeviceError, match="a number below 1"):
            devices.find_device("emulated:1")
    if REAL is not None and not REAL.devices():
        with pytest.raises(DeviceError, match="expected a CUDA device and its driver; found none"):
            devices.find_device("cuda")


@needs_emulator
def test_names_of_the_emulated_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BERRANTE_CUDA_EMULATED", "1")
    for name in ("cuda", "cuda:0", "gpu", "GPU:0", "/GPU:0", "/device:GPU:0"):
        assert str(devices.find_device(name)) == "emulated:0"


@needs_emulator
def test_the_current_device_is_a_thread_s_own_inside_a_with_block() -> None:
    from concurrent.futures import ThreadPoolExecutor

    before = berrante.current_device()
    with berrante.device("emulated"), ThreadPoolExecutor(1) as pool:
        assert str(berrante.current_device()) == "emulated:0"
        assert pool.submit(berrante.current_device).result() is before
    assert berrante.current_device() is before


def test_the_first_run_is_launched_and_later_ones_are_replayed(device: devices.Device) -> None:
    total, program = counter()
    x = np.array([1, 2, 3], np.float32)
    for k in range(1, 5):
        np.testing.assert_array_equal(program(x), x * 2)
        assert program._program.graphs == (k > 1)
    np.testing.assert_array_equal(total.numpy(), x * 4)


def test_captured_is_launched_to_the_bit(device: devices.Device) -> None:
    results = []
    for captured in (True, False):
        state = Variable(np.array([7, 0], np.int32))
        w = Variable(np.linspace(-1, 1, 1000, dtype=np.float32))

        def step(x: Any, state: Variable = state, w: Variable = w) -> Any:
            noise = berrante.random.normal((1000,), seed=3)
            w.assign(ops.subtract(w.value, ops.multiply(ops.tanh(ops.multiply(w.value, x)), noise)))
            state.assign_add(np.array([0, 1], np.int32))
            return ops.exp(w.value)

        program = Program(step, [TensorSpec((1000,))])
        program._program.set_captured(captured)
        x = np.random.default_rng(0).normal(size=1000).astype(np.float32)
        outputs = [program(x) for _ in range(4)]
        assert program._program.graphs == captured
        results.append((outputs, w.numpy(), state.numpy()))
    np.testing.assert_equal(results[0], results[1])


def test_assigned_values_reach_the_device_and_come_back(device: devices.Device) -> None:
    total, program = counter()
    one = np.ones(3, np.float32)
    program(one)
    total.assign([5, 6, 7])
    program(one)
    np.testing.assert_array_equal(total.numpy(), [6, 7, 8])
    np.testing.assert_array_equal(np.asarray(total), [6, 7, 8])
    program(one)
    assert float(total.value.numpy()[0]) == 7


def test_members_of_a_flat_variable(device: devices.Device) -> None:
    a, b = Variable(np.ones((2, 2), np.float32)), Variable(np.full(3, 2, np.float32))
    flat = flatten_variables([a, b])

    def triple() -> None:
        flat.assign(ops.multiply(flat.value, 3.0))

    program = Program(triple, [])
    program()
    b.assign([1, 1, 1])  # one member on the host, while the device holds the newer values of the other
    program()
    np.testing.assert_array_equal(a.numpy(), np.full((2, 2), 9))
    np.testing.assert_array_equal(b.numpy(), [3, 3, 3])


def test_variables_move_between_devices(device: devices.Device) -> None:
    total, program = counter()
    x = np.array([1, 2, 3], np.float32)
    program(x)
    with berrante.device("cpu"):
        assert program.stale

        def again(x: Any) -> None:
            total.assign_add(x)

        on_cpu = Program(again, [TensorSpec((3,))])
        on_cpu(x)
        assert not on_cpu.stale
    program(x)
    with berrante.device("cpu"):
        on_cpu(x)
    np.testing.assert_array_equal(total.numpy(), x * 4)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64",
                                   "uint64", "bool"])  # fmt: skip
@pytest.mark.parametrize("resident", [True, False])
def test_batches(device: devices.Device, dtype: str, resident: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not resident:
        monkeypatch.setattr(cuda_program, "RESIDENT_PART", -1.0)
    rows = np.random.default_rng(0).integers(0, 2 if dtype == "bool" else 5, (9, 2)).astype(dtype)
    total, program = summing(2)
    numbers = rows.astype(np.float64)
    assert program.run_batches([rows], None, 1, 3) == 3
    expected = sum(numbers[k] + 10 * numbers[k + 1] for k in (2, 4, 6))
    np.testing.assert_allclose(total.numpy(), expected)
    total.assign(np.zeros(2))
    order = np.array([8, 0, 3, 1, 1, 7, 2, 6])
    assert program.run_batches([rows], order, 0, 4, budget=60.0) == 4
    expected = sum(numbers[order[k]] + 10 * numbers[order[k + 1]] for k in (0, 2, 4, 6))
    np.testing.assert_allclose(total.numpy(), expected)


@pytest.mark.parametrize("resident", [True, False])
def test_rows_that_do_not_exist(device: devices.Device, resident: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not resident:
        monkeypatch.setattr(cuda_program, "RESIDENT_PART", -1.0)
    total, program = summing(2)
    rows = np.ones((4, 2), np.float32)
    with pytest.raises(IndexError, match="row 4 is not among the 4 there are"):
        program.run_batches([rows], np.array([0, 4]), 0, 1)
    with pytest.raises(IndexError, match="leave the 4 rows there are"):
        program.run_batches([rows], None, 1, 2)
    with pytest.raises(ValueError, match="expected rows of 2 elements"):
        program.run_batches([np.ones((4, 3), np.float32)], None, 0, 1)
    np.testing.assert_array_equal(total.numpy(), [0, 0])


def test_a_spent_budget_stops_after_one_batch(device: devices.Device) -> None:
    _, program = summing(1)
    assert program.run_batches([np.ones((50, 2), np.float32)], None, 0, 50, budget=0.0) == 1


def test_many_batches_in_one_call(device: devices.Device) -> None:
    total, program = summing(1)
    rows = np.ones((200, 2), np.float32)
    assert program.run_batches([rows], None, 0, 200) == 200
    np.testing.assert_array_equal(total.numpy(), [200, 200])


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "uint8"])
def test_device_arrays_in_and_out(device: devices.Device, dtype: str) -> None:
    total, program = counter()
    given = np.array([1, 2, 3], dtype)
    result = program(DeviceArray.copy_of(device, given))
    assert isinstance(result, DeviceArray)
    np.testing.assert_array_equal(result.get(), given * 2.0)
    np.testing.assert_array_equal(total.numpy(), given)
    face = result.__cuda_array_interface__
    assert face["shape"] == (3,) and face["typestr"] == "<f4" and face["data"][0] == result.ptr


def test_device_arrays_in_eager_operations(device: devices.Device) -> None:
    x = DeviceArray.copy_of(device, np.arange(4, dtype=np.float32))
    np.testing.assert_array_equal(ops.add(x, 1.0).numpy(), [1, 2, 3, 4])
    v = Variable(np.zeros(4, np.float32))
    v.assign(x)
    np.testing.assert_array_equal(v.numpy(), [0, 1, 2, 3])
    np.testing.assert_array_equal(x[1:3].get(), [1, 2])
    np.testing.assert_array_equal(x[[0, 3]], [0, 3])


def test_random_numbers_are_the_cpu_s(device: devices.Device) -> None:
    for draw, tolerance in ((berrante.random.uniform, 0), (berrante.random.normal, 1e-6)):
        got = draw((1001,), seed=5).numpy()
        with berrante.device("cpu"):
            expected = draw((1001,), seed=5).numpy()
        np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)


def test_two_threads(device: devices.Device) -> None:
    from concurrent.futures import ThreadPoolExecutor

    program = Program(lambda x: ops.sin(x), [TensorSpec((100,))])
    inputs = [np.full(100, k, np.float32) for k in range(20)]
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(program, inputs))
    for x, y in zip(inputs, results, strict=True):
        np.testing.assert_allclose(y, np.sin(x), rtol=1e-6)


@needs_emulator
def test_two_devices() -> None:
    try:
        EMULATED.set_emulator(devices=2)
        totals = []
        with berrante.device("emulated:0"):
            total, program = counter()
            program(np.ones(3, np.float32))
        with berrante.device("emulated:1") as second:
            assert str(second) == "emulated:1" and program.stale
            other = Program(lambda x: totals.append(total.assign_add(x)), [TensorSpec((3,))])
            other(np.ones(3, np.float32))
            assert EMULATED.Memory(8, 1).ptr
        program(np.ones(3, np.float32))
        np.testing.assert_array_equal(total.numpy(), [3, 3, 3])
    finally:
        EMULATED.set_emulator()


@needs_emulator
def test_out_of_memory_says_so_and_changes_nothing() -> None:
    with berrante.device("emulated"):
        total, program = counter()
        program(np.ones(3, np.float32))
        huge = Variable(np.zeros(1, np.float32))
        huge.storage.array = np.broadcast_to(np.float32(0), (1 << 58,))  # asks for an exabyte
        with pytest.raises(DeviceMemoryError, match=r"emulated:0: out of memory for .* MiB are free"):
            huge.storage.on(devices.find_device("emulated"))
        program(np.ones(3, np.float32))
        np.testing.assert_array_equal(total.numpy(), [2, 2, 2])


@needs_emulator
def test_a_failing_device_leaves_the_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    with berrante.device("emulated") as device:
        total, program = counter()
        program(np.ones(3, np.float32))
        with pytest.raises(DeviceError, match="emulated:0: .*; no value was lost"), device.errors():
            device.module.self_test("divergent", np.zeros(1), np.zeros(1), 1)
            raise AssertionError("the test kernel must fail")
        np.testing.assert_array_equal(total.numpy(), [1, 1, 1])
        program(np.ones(3, np.float32))
        np.testing.assert_array_equal(total.numpy(), [2, 2, 2])
        # Lost for good: reading fails, too. The host's last values stay.
        np.testing.assert_array_equal(total.numpy(), [2, 2, 2])
        program(np.ones(3, np.float32))

        class Broken:
            CudaError = device.module.CudaError

            @staticmethod
            def copy_out(*_: Any) -> None:
                raise device.module.CudaError("the device is lost")

            @staticmethod
            def free_memory(*_: Any) -> int:
                return 0

        monkeypatch.setattr(device, "_module", Broken)
        with pytest.raises(DeviceError, match="the device is lost; [1-9][0-9]* variables' buffers have the values"):
            total.numpy()
        np.testing.assert_array_equal(total.numpy(), [2, 2, 2])


@needs_emulator
def test_a_program_without_a_kernel_says_which() -> None:
    instructions = [("to_lanes", [(0, 0, 0, (1, 1))], [(0, 0, 0, (1, 1, 8))], {})]
    with pytest.raises(ValueError, match=r"\[to_lanes\] there is no CUDA kernel of this name"):
        EMULATED.Program(instructions, 64, [], [], [])
    with pytest.raises(ValueError, match="leaves its space of 64 bytes"):
        EMULATED.Program([], 64, [], [(0, 32, 0, (9,))], [])


def test_precision_names() -> None:
    from berrante import config

    before = config.matmul_precision()
    try:
        config.set_matmul_precision("highest")
        assert config.matmul_precision() == "float32"
        with pytest.raises(ValueError, match="set_matmul_precision: expected tf32, float32"):
            config.set_matmul_precision("double")
    finally:
        config.set_matmul_precision(before)
