"""The benchmarks at a tiny scale: they run, and every contender computes the same thing."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from berrante_bench import grid, networks, ops, plots, profile, report, scaling, start
from berrante_bench.cli import main
from berrante_bench.contenders import ours_ops
from berrante_bench.op_cases import OpCase, operands
from berrante_bench.turns import Settings, take_turns, workers
from berrante_bench.workloads import WORKLOADS, Workload, data

BRIEF = Settings(threads=1, rounds=2, seconds=0.002)
PEAK = report.Peak(100.0, 10.0)


def test_arithmetic_of_the_workloads() -> None:
    # 784 x 512, 512 x 512, 512 x 10: three products each, but two for the first.
    products = [784 * 512, 512 * 512, 512 * 10]
    assert WORKLOADS["mlp"].train_flops() == 128 * 2 * (3 * sum(products) - products[0])
    assert WORKLOADS["segmenter"].shapes()[-1] == (96, 96, 2)
    w = Workload("one", 2, (5, 5, 3), (("conv", 4, 3, "valid"), ("act", "relu"), ("pool", "max")), "sgd", "mse")
    assert w.shapes() == [(5, 5, 3), (3, 3, 4), (3, 3, 4), (1, 1, 4)]
    assert w.forward_flops() == 2 * 9 * 4 * 27


@pytest.mark.parametrize("name", WORKLOADS)
def test_our_models_are_the_workloads(name: str) -> None:
    import berrante
    from berrante_bench.contenders.keras_style import build

    w = replace(WORKLOADS[name], batch=2)
    assert build(berrante, w).output_shape == (None, *w.shapes()[-1])
    x, y = data(w, 3)
    assert x.shape == (3, *w.input_shape)
    assert y.shape == (3, *w.shapes()[-1])


def test_operations_cost_what_their_definition_says() -> None:
    attrs = {"stride": 2, "dilation": 1, "padding": "valid", "groups": 3}
    case = OpCase("conv2d", ((4, 9, 7, 6), (3, 3, 2, 12), (12,)), attrs)
    assert case.output() == (4, 4, 3, 12)
    assert case.flops() == 2 * (4 * 4 * 3 * 12) * (3 * 3 * 2)
    assert case.bytes() == 4 * (4 * 9 * 7 * 6 + 3 * 3 * 2 * 12 + 12 + 4 * 4 * 3 * 12)
    assert replace(case, mode="both").flops() == 3 * case.flops()
    assert replace(case, mode="gradients", wrt=(0,)).flops() == case.flops()
    product = OpCase("matmul", ((5, 7), (3, 5)), {"transpose_a": True, "transpose_b": True})
    assert product.output() == (7, 3)
    assert product.flops() == 2 * 7 * 3 * 5
    assert "transpose_a" in product.label()


def test_the_grid_is_drawn_by_its_seed() -> None:
    first = list(grid.draw(60, 3))
    assert first == list(grid.draw(60, 3))
    assert first != list(grid.draw(60, 4))
    assert len({case.label() for case in first}) == 60
    assert {case.op for case in first} == {"conv2d", "dense"}
    assert any(case.attrs.get("groups", 1) > 1 for case in first)


SMALL = {
    "conv2d": ((2, 7, 8, 4), (3, 3, 4, 5), (5,)), "conv2d_transpose": ((2, 5, 6, 4), (4, 4, 3, 4)),
    "dense": ((3, 4), (4, 5), (5,)), "matmul": ((4, 3), (5, 4)), "max_pool": ((2, 7, 8, 3),),
    "average_pool": ((2, 7, 8, 3),), "upsample": ((2, 3, 4, 5),), "batch_norm": ((4, 3, 3, 2), (2,), (2,)),
    "layer_norm": ((3, 5), (5,), (5,)), "cross_entropy": ((3, 5), (3, 5)), "chain": ((3, 5),) * 3, "adam": ((9,),) * 4,
    "concatenate": ((3, 4), (3, 2)), "gather": ((5, 3), (4,)), "transpose": ((2, 3, 4, 5),),
}  # fmt: skip
ATTRS: dict[str, dict[str, Any]] = {
    "conv2d": {"stride": 1, "dilation": 2, "padding": "same", "groups": 1}, "conv2d_transpose": {"stride": 2},
    "max_pool": {"size": 3, "stride": 2}, "average_pool": {"size": 2, "stride": 2}, "transpose": {"axes": (0, 3, 1, 2)},
    "matmul": {"transpose_a": True, "transpose_b": True},
}  # fmt: skip
RANDOM = ("random_uniform", "random_normal", "dropout")


@pytest.mark.parametrize("name", [name for name in ours_ops._OPS if name not in RANDOM])
def test_pytorch_computes_the_same(name: str) -> None:
    torch = pytest.importorskip("torch")
    from berrante_bench.contenders import pytorch_ops

    case = OpCase(name, SMALL.get(name, ((3, 5),)), ATTRS.get(name, {}))
    ours = ours_ops._OPS[name](*operands(case.task()), **case.attrs)
    tensors = pytorch_ops.tensors(case.task(), "")
    theirs = pytorch_ops._OPS[name](*tensors, **case.attrs)
    if name == "adam":  # in place; PyTorch corrects the averages for their first step's bias
        ours, theirs = ours[1:], [tensors[2], tensors[3]]
    else:
        ours, theirs = [ours], [theirs]
    for mine, other in zip(ours, theirs, strict=True):
        array = np.asarray(mine)
        values = other.detach().permute(0, 2, 3, 1) if other.ndim == 4 and name in pytorch_ops.OF_IMAGES else other
        assert values.shape == array.shape
        if name != "transpose":
            assert array.shape == case.output()
        np.testing.assert_allclose(array, values.detach().numpy(), rtol=2e-5, atol=2e-6)
    assert torch.is_tensor(theirs[0])


@pytest.mark.parametrize("mode", ["forward", "both", "gradients"])
def test_our_operations_run_in_turns(mode: str) -> None:
    chosen = [
        OpCase(n, SMALL.get(n, ((3, 5),)), ATTRS.get(n, {}), mode, (0,)) for n in ours_ops._OPS if n not in RANDOM
    ]
    chosen = [c for c in chosen if mode == "forward" or c.op not in ("adam",)]
    with workers(["berrante"], BRIEF) as running:
        for case in chosen:
            times = take_turns(running, case.task(), BRIEF)
            assert not times.failures, case
            assert len(times.seconds["berrante"]) == 2
            assert times.median("berrante") > 0


def test_every_listed_operation_has_both_sides() -> None:
    pytest.importorskip("torch")
    from berrante_bench.contenders import pytorch_ops

    assert {case.op for case in ops.cases()} <= set(ours_ops._OPS) == set(pytorch_ops._OPS)


@pytest.mark.parametrize("contender", ["torch", "jax", "onnxruntime"])
def test_peers(contender: str) -> None:
    task = {"kind": "predict" if contender == "onnxruntime" else "train", "workload": "conv_autoencoder", "batch": 2}
    with workers([contender], BRIEF) as running:
        if not running[contender].setup(task):
            assert running[contender].failure.startswith("ModuleNotFoundError")
            pytest.skip(running[contender].failure)
        assert running[contender].turn(1) > 0


def test_a_contender_that_fails_is_named_and_the_others_go_on() -> None:
    with workers(["berrante", "onnxruntime"], BRIEF) as running:
        times = take_turns(
            running, {"kind": "op", "op": "tanh", "shapes": [[4]], "attrs": {}, "mode": "forward", "wrt": []}, BRIEF
        )
        assert set(times.seconds) == {"berrante"}
        assert times.failures["onnxruntime"]
        assert "failed" in times.as_json()["onnxruntime"]
        times = take_turns(
            running, {"kind": "op", "op": "nonsense", "shapes": [], "attrs": {}, "mode": "forward"}, BRIEF
        )
        assert "nonsense" in times.failures["berrante"]


def test_ratios_are_taken_round_by_round() -> None:
    from berrante_bench.turns import Times

    times = Times({"berrante": [1.0, 10.0, 1.0], "a": [2.0, 20.0, 3.0], "b": [4.0, 4.0, 4.0]}, {})
    assert times.best_peer() == "a"
    assert times.ratio("a") == 2.0


def test_a_profile_covers_every_step_and_more_cores_never_beat_perfect_sharing() -> None:
    rows = profile.measure(["mlp"], repeats=1)
    program = profile.training_program("mlp")
    assert sum(r["calls"] for r in rows if r["kind"] == "kernel") == len(program.profile(1))
    assert max(r["offset"] + r["bytes"] for r in rows if r["kind"] == "memory") == program.arena_size
    times = {r["threads"]: r["ms"] for r in rows if r["kind"] == "cores"}
    assert all(times[n] >= times[1] / n for n in profile.CORES)
    profile.show(rows)


def test_the_model_of_more_cores() -> None:
    works = [profile.Work(1e-3, 1e6, [8]), profile.Work(1e-3, 1e6, [1, 3]), profile.Work(1e-4, 100.0, [1])]
    assert profile.predict(works, 1) == pytest.approx(2.1e-3)
    # Eight tasks over four threads; three tasks take one turn; the small step is one thread's. Four barriers of four threads.
    assert profile.predict(works, 4) == pytest.approx(1e-3 / 4 + 1e-3 / 3 + 1e-4 + 4 * 4 * 50e-9)
    # Ten slabs over four threads: two each, and two that all share, in bodies of one stage with three tasks a slab.
    loop = profile.Work(1e-3, 1e6, [10], 10, [(1e5, [3])])
    assert profile.predict([loop], 4) == pytest.approx(0.2e-3 + 0.2e-3 * 2 / 6 + 3 * 4 * 50e-9)


def test_start_measures_a_fresh_process() -> None:
    row = start.measure("perceptron", ["berrante"], replace(BRIEF, rounds=1))[0]
    assert 0 < row["import_s"] < row["first_step_s"]
    assert 0 < row["import_mb"] <= row["peak_mb"]
    assert row["install_mb"] > 1


def test_scaling_compares_threads_and_instruction_sets() -> None:
    rows = scaling.measure(replace(BRIEF, threads=2), ["perceptron", "mlp"], batches=(16, 32))
    assert {r["batch"] for r in rows if r["kind"] == "batch"} == {16, 32}
    assert {r["as"] for r in rows if r["kind"] == "threads"} == {"1", "2"}
    assert all(r["ms"] > 0 for r in rows)
    scaling.show(rows)


def test_command_line_writes_results_and_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    common = [
        "--contenders",
        "berrante",
        "--threads",
        "1",
        "--rounds",
        "1",
        "--seconds",
        "0.002",
        "--out",
        str(tmp_path),
    ]
    sections = ["train", "predict", "fit", "plots"]
    assert main([*sections, "--workloads", "perceptron", "mlp", "--samples", "256", *common]) == 0
    shown = capsys.readouterr().out
    assert "mlp (128)" in shown
    found = json.loads((tmp_path / "train_1_threads.json").read_text())
    assert found["peak"]["gflops"] > 0.1
    assert {"machine", "versions", "made"} <= found.keys()
    row = next(r for r in found["results"] if r["workload"] == "mlp")
    assert 0 < row["of_floor"]
    assert row["times"]["berrante"]["ms"] > 0
    assert (tmp_path / "training.svg").stat().st_size > 1000


def test_pictures_of_all_results(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    times = {"berrante": {"ms": 1.0}, "torch": {"ms": 2.0}}
    op = {"op": "matmul 2x2", "flops": 1e9, "bytes": 1e8, "gflops": 50.0, "times": times, "best_peer": "torch"}
    shape = [{"mode": mode, "ratio": 2.0} for mode in ("forward", "both")]
    batch = [{"kind": "batch", "workload": "mlp", "batch": b, "us_per_sample": 3.0} for b in (16, 32)]
    network = {"workload": "mlp", "ratio": 1.5, "best_peer": "torch"}
    steps = [
        {"kind": "kernel", "workload": "lenet5", "kernel": "matmul", "calls": 2, "ms": 1.0},
        {"kind": "memory", "workload": "lenet5", "first": 0, "last": 3, "offset": 0, "bytes": 640},
        {"kind": "cores", "workload": "lenet5", "threads": 1, "ms": 2.0},
    ]
    for name, rows in {"profile": steps, "ops": [op], "grid": shape, "scaling": batch, "train": [network]}.items():
        report.write(tmp_path, name, BRIEF, PEAK, rows)
    assert {p.stem for p in plots.draw(tmp_path, tmp_path / "pictures")} == set(plots.PICTURES)


def test_both_ways_to_start_it() -> None:
    root = Path(__file__).resolve().parents[2]
    for command in (["bench"], ["-m", "berrante", "bench"]):
        shown = subprocess.run([sys.executable, *command, "--help"], cwd=root, capture_output=True, text=True)
        assert "roofline" in shown.stdout or "grid" in shown.stdout


def test_tables(capsys: pytest.CaptureFixture[str]) -> None:
    lines = report.table(["name", "x"], [["a", 1.23456], ["long", None], ["b", 1234.6]]).splitlines()
    assert lines[2:] == ["a     1.23", "long     -", "b     1234"] or lines[2:] == [
        "a     1.23",
        "long     -",
        "b     1235",
    ]
    row = {"workload": "mlp", "batch": 1, "times": {"berrante": {"ms": 1.0}, "torch": {"failed": "no torch"}}}
    networks.show([row])
    assert "torch: no torch" in capsys.readouterr().out
