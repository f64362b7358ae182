"""The executor and the thread pool under concurrency: resizing, parallel callers, forks. ThreadSanitizer runs them too."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from berrante.graph import rules
from berrante.graph.primitives import reduce
from berrante.graph.program import Program
from berrante.graph.tensor import Tensor, TensorSpec
from berrante.graph.variable import Variable
from berrante.runtime import kernels


@pytest.fixture(autouse=True)
def _restore_threads() -> Iterator[None]:
    before = kernels.num_threads()
    yield
    kernels.set_num_threads(before)


def work(n: int = 300_000) -> Program:
    """Large enough to wake the pool: several phases of each kind."""

    def function(x: Tensor) -> list[Tensor]:
        y = rules.multiply(rules.add(x, 1.0), 0.5)
        total = reduce(y, (0,), "sum")
        return [total, rules.add(y, total)]

    return Program(function, [TensorSpec((n,))])


def test_results_do_not_depend_on_the_number_of_threads() -> None:
    x = np.random.default_rng(0).normal(size=300_000).astype(np.float32)
    results = []
    for threads in (1, 2, 7):
        kernels.set_num_threads(threads)
        results.append(work()(x))
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_workers_that_come_late() -> None:
    """More workers than cores: some are always a phase behind, or asleep."""
    x = np.random.default_rng(1).normal(size=300_000).astype(np.float32)
    kernels.set_num_threads(1)
    program = work(300_000)
    expected = program(x)
    kernels.set_num_threads(9)
    for _ in range(100):
        for a, b in zip(expected, program(x), strict=True):
            np.testing.assert_array_equal(a, b)


def test_many_callers_of_one_and_of_several_programs() -> None:
    kernels.set_num_threads(2)
    x = np.linspace(0, 1, 300_000, dtype=np.float32)
    shared = work()
    expected = shared(x)
    failures: list[str] = []

    def call(program: Program) -> None:
        for _ in range(10):
            got = program(x)
            if not all(np.array_equal(a, b) for a, b in zip(expected, got, strict=True)):
                failures.append("differs")

    threads = [threading.Thread(target=call, args=(shared if i % 2 else work(),)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_resizing_while_others_run() -> None:
    x = np.linspace(0, 1, 300_000, dtype=np.float32)
    program = work()
    expected = program(x)
    stop = threading.Event()

    def resize() -> None:
        n = 1
        while not stop.is_set():
            n = n % 4 + 1
            kernels.set_num_threads(n)

    thread = threading.Thread(target=resize)
    thread.start()
    try:
        for _ in range(30):
            for a, b in zip(expected, program(x), strict=True):
                np.testing.assert_array_equal(a, b)
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_batches_accumulate_in_order(threads: int) -> None:
    kernels.set_num_threads(threads)
    total = Variable(np.zeros((), np.float32))

    def function(x: Tensor) -> None:
        total.assign(rules.add(total.value, reduce(x, (0, 1), "sum")))

    program = Program(function, [TensorSpec((4, 50_000))])
    rows = np.arange(20, dtype=np.uint8)[:, None].repeat(50_000, 1)
    order = np.random.default_rng(1).permutation(20)
    assert program.run_batches([rows], order, 0, 5) == 5
    assert float(total.array) == rows.sum(dtype=np.float64)


def test_a_spent_budget_stops_after_a_batch() -> None:
    total = Variable(np.zeros((), np.float32))

    def function(x: Tensor) -> None:
        total.assign(rules.add(total.value, 1.0))

    program = Program(function, [TensorSpec((1, 2))])
    assert program.run_batches([np.zeros((100, 2), np.float32)], None, 0, 100, 0.0) == 1
    assert float(total.array) == 1.0


@pytest.mark.parametrize(("first", "count"), [(0, 6), (5, 1), (-1, 2), (2, -1)])
def test_batches_outside_the_data_are_refused(first: int, count: int) -> None:
    program = Program(lambda x: reduce(x, (0, 1), "sum"), [TensorSpec((4, 3))])
    with pytest.raises(IndexError):
        program.run_batches([np.zeros((20, 3), np.float32)], None, first, count)


def test_rows_outside_the_data_are_refused() -> None:
    program = Program(lambda x: reduce(x, (0, 1), "sum"), [TensorSpec((2, 3))])
    with pytest.raises(IndexError, match="row 7"):
        program.run_batches([np.zeros((4, 3), np.float32)], np.array([0, 7, 1, 2]), 0, 2)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.skipif(os.environ.get("BERRANTE_SANITIZED") == "thread", reason="ThreadSanitizer does not follow forks")
def test_fork_leaves_both_processes_working() -> None:
    kernels.set_num_threads(2)
    x = np.linspace(0, 1, 300_000, dtype=np.float32)
    program = work()
    expected = program(x)
    pid = os.fork()
    if pid == 0:
        ok = all(np.array_equal(a, b) for a, b in zip(expected, program(x), strict=True))
        os._exit(0 if ok else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    for a, b in zip(expected, program(x), strict=True):
        np.testing.assert_array_equal(a, b)
