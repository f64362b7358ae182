"""Single operations on a GPU: products and convolutions against cuBLAS and cuDNN (through PyTorch), and what only moves
memory in per cent of a measured copy's bandwidth. Times are those of the kernels alone, by CUDA events.
"""

from __future__ import annotations

from typing import Any

import numpy as np

GEMMS = [(n, n, n) for n in (512, 1024, 2048, 4096, 8192)] + [(128, 512, 784), (64, 4096, 25088)]
# N, H, W, C, K, kernel
CONVS = [(64, 56, 56, 64, 64, 3), (64, 28, 28, 128, 128, 3), (64, 14, 14, 256, 256, 3), (64, 7, 7, 512, 512, 3),
         (2, 224, 224, 64, 64, 3), (2, 14, 14, 512, 512, 3), (64, 56, 56, 256, 64, 1), (128, 28, 28, 1, 6, 5)]  # fmt: skip


def _ours(function: Any, shapes: list[tuple[int, ...]], kernel: str) -> float:
    """Seconds of the steps of one kernel's kind in a program of one operation."""
    from berrante.graph.program import Program
    from berrante.graph.tensor import TensorSpec

    program = Program(function, [TensorSpec(s) for s in shapes])
    program(*[np.random.default_rng(0).normal(size=s).astype(np.float32) for s in shapes])
    return sum(seconds for name, seconds in program.profile(20) if kernel in name)


def _theirs(function: Any) -> float:
    import torch

    for _ in range(5):
        function()
    best = float("inf")
    for _ in range(20):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        function()
        end.record()
        end.synchronize()
        best = min(best, start.elapsed_time(end) * 1e-3)
    return best


def _torch() -> Any:
    try:
        import torch
    except ImportError:
        return None
    return torch if torch.cuda.is_available() else None


def _cublas(torch: Any, dtype: Any, m: int, n: int, k: int) -> float:
    a, b = torch.randn(m, k, device="cuda", dtype=dtype), torch.randn(k, n, device="cuda", dtype=dtype)
    return _theirs(lambda: a @ b)


def _cudnn(torch: Any, dtype: Any, n: int, h: int, w: int, c: int, k: int, f: int) -> list[float]:
    """Seconds forward, of the input gradient and of the weight gradient, channels last."""

    def images(*shape: int) -> Any:
        return torch.randn(*shape, device="cuda", dtype=dtype).to(memory_format=torch.channels_last)

    x, v, dy = images(n, c, h, w), images(k, c, f, f), images(n, k, h, w)

    def back(*mask: bool) -> Any:
        return torch.ops.aten.convolution_backward(
            dy, x, v, None, [1, 1], [f // 2, f // 2], [1, 1], False, [0, 0], 1, [*mask, False]
        )

    return [
        _theirs(lambda: torch.nn.functional.conv2d(x, v, padding=f // 2)),
        _theirs(lambda: back(True, False)),
        _theirs(lambda: back(False, True)),
    ]


def gemms(precision: str, quick: bool, tiny: bool = False) -> list[dict[str, Any]]:
    from berrante import ops

    rows = []
    torch = _torch()
    for m, n, k in [(64, 64, 64)] if tiny else GEMMS[:4] if quick else GEMMS:
        work = 2e-12 * m * n * k
        row = {"m": m, "n": n, "k": k, "tflops": work / _ours(ops.matmul, [(m, k), (k, n)], "matmul")}
        if torch is not None:
            dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
            row["cublas tflops"] = work / _cublas(torch, dtype, m, n, k)
        rows.append(row)
    return rows


def _conv_gradient(which: int) -> Any:
    from berrante import ops
    from berrante.graph.tape import GradientTape

    def function(x: Any, kernel: Any, dy: Any) -> Any:
        with GradientTape() as tape:
            tape.watch([x, kernel])
            y = ops.conv(x, kernel, padding="same")
        return tape.gradient(y, [x, kernel][which], output_gradients=dy)

    return function


def convs(precision: str, quick: bool, tiny: bool = False) -> list[dict[str, Any]]:
    from berrante import ops

    rows = []
    torch = _torch()
    for n, h, w, c, k, f in [(1, 8, 8, 4, 8, 3)] if tiny else CONVS[:4] if quick else CONVS:
        work = 2e-12 * n * h * w * c * k * f * f
        shapes = [(n, h, w, c), (f, f, c, k), (n, h, w, k)]
        row: dict[str, Any] = {"N H W C K kernel": (n, h, w, c, k, f)}
        row["forward"] = work / _ours(lambda x, v: ops.conv(x, v, padding="same"), shapes[:2], "conv2d")
        row["input gradient"] = work / _ours(_conv_gradient(0), shapes, "conv2d_input_grad")
        row["weight gradient"] = work / _ours(_conv_gradient(1), shapes, "conv2d_weight_grad")
        if torch is not None:
            dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
            for name, seconds in zip(
                ("forward", "input gradient", "weight gradient"), _cudnn(torch, dtype, n, h, w, c, k, f)
            ):
                row[f"cudnn {name}"] = work / seconds
        rows.append(row)
    return rows


def memory_bound(tiny: bool = False) -> list[dict[str, Any]]:
    """Gigabytes a second of what an operation must read and write, beside a plain copy's."""
    from berrante import ops

    n = 1 << (12 if tiny else 26)
    images, square = ((1, 8, 8, 64), (64, 64)) if tiny else ((64, 128, 128, 64), (8192, 8192))
    cases: list[tuple[str, Any, list[tuple[int, ...]], float]] = [
        ("copy", ops.copy, [(n,)], 8.0 * n),
        ("add, relu", lambda a, b: ops.relu(ops.add(a, b)), [(n,), (n,)], 12.0 * n),
        ("sum", ops.sum, [(n,)], 4.0 * n),
        ("softmax of rows of 1000", ops.softmax, [(n // 1000, 1000)], 8.0 * n),
        ("channel mean and variance", lambda x: ops.moments(x, [0, 1, 2]), [images], 4.0 * n),
        ("max pooling", lambda x: ops.max_pool(x, 2), [images], 5.0 * n),
        ("transpose", lambda x: ops.transpose(x, (1, 0)), [square], 8.0 * n),
    ]
    rows: list[dict[str, Any]] = []
    for name, function, shapes, moved in cases:
        rows.append({"operation": name, "GB/s": 1e-9 * moved / _ours(function, shapes, "")})
    torch = _torch()
    if torch is not None:
        a = torch.empty(n, device="cuda")
        b = torch.empty_like(a)
        rows.append({"operation": "PyTorch's copy", "GB/s": 8e-9 * n / _theirs(lambda: b.copy_(a))})
    best = max(row["GB/s"] for row in rows if "copy" in row["operation"])
    for row in rows:
        row["of copy"] = row["GB/s"] / best
    return rows


def tables(quick: bool, device: str = "cuda") -> dict[str, Any]:
    """All tables, printed as they come; on another device at tiny sizes, which shows that everything here runs."""
    import berrante
    from berrante import config

    berrante.set_device(device)
    tiny = device != "cuda"
    result: dict[str, Any] = {}
    torch = _torch()
    if torch is not None:
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        torch.backends.cudnn.benchmark = True
    for precision in ("tf32",) if quick else ("tf32", "bfloat16"):
        config.set_matmul_precision(precision)
        for name, table in (("matmul", gemms), ("conv", convs)):
            rows = result[f"{name} {precision}, TFLOP/s"] = table(precision, quick, tiny)
            for row in rows:
                print(
                    name, precision, {k: round(v, 1) if isinstance(v, float) else v for k, v in row.items()}, flush=True
                )
    rows = result["memory"] = memory_bound(tiny)
    for row in rows:
        print({k: round(v, 2) if isinstance(v, float) else v for k, v in row.items()}, flush=True)
    return result
