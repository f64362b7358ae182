"""Every family of operations over some shapes, against PyTorch and against what the machine can do at most."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from berrante_bench.op_cases import OpCase, Shape
from berrante_bench.report import Peak, table
from berrante_bench.turns import Settings, take_turns, workers

CONTENDERS = ("berrante", "torch", "torch_channels_last")


def _conv(n: int, side: int, c: int, k: int, kernel: int, stride: int = 1, groups: int = 1, mode: str = "forward",
          wrt: tuple[int, ...] = (), dilation: int = 1) -> OpCase:  # fmt: skip
    attrs = {"stride": stride, "dilation": dilation, "padding": "same" if stride == 1 else "valid", "groups": groups}
    return OpCase("conv2d", ((n, side, side, c), (kernel, kernel, c // groups, k), (k,)), attrs, mode, wrt)


def _convolutions() -> list[OpCase]:
    cases = []
    for n, side, c, k, kernel in ((128, 28, 1, 6, 5), (100, 22, 10, 10, 5), (64, 32, 64, 64, 3), (16, 14, 256, 256, 3),
                                  (32, 28, 128, 128, 1), (4, 48, 64, 128, 3)):  # fmt: skip
        cases.append(_conv(n, side, c, k, kernel))
        if c > 1:
            cases.append(_conv(n, side, c, k, kernel, mode="gradients", wrt=(0,)))
        cases.append(_conv(n, side, c, k, kernel, mode="gradients", wrt=(1,)))
    cases += [_conv(32, 32, 32, 64, 3, stride=2), _conv(32, 32, 32, 64, 3, stride=2, mode="gradients")]
    cases += [_conv(32, 28, 64, 64, 3, groups=64), _conv(32, 28, 64, 64, 3, groups=64, mode="gradients")]
    cases += [_conv(16, 28, 64, 64, 3, groups=4), _conv(16, 28, 32, 32, 3, dilation=2)]
    shapes = ((32, 14, 14, 64), (4, 4, 32, 64))
    return [*cases, *(OpCase("conv2d_transpose", shapes, {"stride": 2}, mode) for mode in ("forward", "gradients"))]


def _products() -> list[OpCase]:
    cases = []
    for m, k, n in ((128, 784, 512), (256, 256, 256), (1024, 1024, 1024), (1, 784, 512), (32, 1024, 2048)):
        for ta in (False, True):
            for tb in (False, True):
                shapes = ((k, m) if ta else (m, k), (n, k) if tb else (k, n))
                cases.append(OpCase("matmul", shapes, {"transpose_a": ta, "transpose_b": tb}))
    return [*cases, OpCase("matmul", ((32, 64, 64), (32, 64, 64)))]


def cases() -> list[OpCase]:
    """All of them, by family."""
    rows, flat = (4096, 1000), (1 << 22,)
    pooled: tuple[tuple[Shape, int], ...] = (((32, 56, 56, 64), 2), ((128, 28, 28, 6), 2), ((16, 28, 28, 64), 3))
    result = [*_products(), *_convolutions()]
    for pool in ("max_pool", "average_pool"):
        for image, size in pooled:
            attrs = {"size": size, "stride": 2}
            result += [OpCase(pool, (image,), attrs), OpCase(pool, (image,), attrs, "gradients")]
    result += [OpCase("upsample", ((16, 28, 28, 64),)), OpCase("upsample", ((16, 28, 28, 64),), {}, "gradients")]
    matrices: tuple[Shape, ...] = (rows, (128, 10))
    for shape in matrices:
        result += [OpCase("softmax", (shape,)), OpCase("softmax", (shape,), {}, "both")]
        result += [OpCase("cross_entropy", (shape, shape), {}, "both", (0,))]
    result += [OpCase("layer_norm", (rows, rows[1:], rows[1:]), {}, mode) for mode in ("forward", "both")]
    result += [OpCase("batch_norm", ((32, 28, 28, 64), (64,), (64,)), {}, mode) for mode in ("forward", "both")]
    for shape in (flat, (1 << 14,)):
        result += [OpCase("chain", (shape, shape, shape), {}, mode) for mode in ("forward", "both")]
        result += [OpCase(name, (shape,)) for name in ("tanh", "sigmoid", "exp", "gelu", "dropout")]
        result += [OpCase(name, (), {"shape": shape}) for name in ("random_uniform", "random_normal")]
    result += [OpCase(name, (rows,)) for name in ("sum", "sum_rows", "sum_columns")]
    result += [OpCase("transpose", (shape,), {"axes": axes}) for shape, axes in (
        ((2048, 2048), (1, 0)), ((16, 56, 56, 64), (0, 3, 1, 2)), ((16, 64, 56, 56), (0, 2, 3, 1)))]  # fmt: skip
    result += [OpCase("concatenate", (rows, rows)), OpCase("gather", ((10000, 128), (8192,)))]
    return [*result, OpCase("adam", (flat,) * 4), OpCase("adam", ((1 << 16,),) * 4)]


def measure(chosen: Sequence[OpCase], settings: Settings, peak: Peak) -> list[dict[str, Any]]:
    """One row a case."""
    rows = []
    with workers(CONTENDERS, settings) as running:
        for case in chosen:
            times = take_turns(running, case.task(), settings)
            flops, moved = case.flops(), case.bytes()
            row = {"op": case.label(), "mode": case.mode, "wrt": case.wrt, "flops": flops, "bytes": moved}
            row |= {"times": times.as_json()}
            peer = times.best_peer()
            if "berrante" in times.seconds:
                seconds = times.median("berrante")
                roof = max(flops / peak.gflops, moved / peak.gb_per_s) / 1e9
                row |= {"gflops": flops / seconds / 1e9, "gb_per_s": moved / seconds / 1e9, "of_roof": roof / seconds}
                if peer is not None:
                    row |= {"best_peer": peer, "ratio": times.ratio(peer)}
            rows.append(row)
            print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return rows


def show(rows: Sequence[dict[str, Any]]) -> None:
    """Times, the ratio to the better of PyTorch's formats, and speed in absolute terms."""
    lines = []
    for r in rows:
        mode = r["mode"] + "".join(f" {i}" for i in r["wrt"])
        peer = r["times"].get(r.get("best_peer", ""), {}).get("ms")
        of_roof = f"{r['of_roof']:.0%}" if "of_roof" in r else r["times"]["berrante"].get("failed")
        lines.append([r["op"], mode, r["times"]["berrante"].get("ms"), peer, r.get("ratio"), r.get("gflops"),
                      r.get("gb_per_s"), of_roof])  # fmt: skip
    print(table(["operation", "mode", "berrante ms", "PyTorch ms", "ratio", "GFLOP/s", "GB/s", "of roof"], lines))
