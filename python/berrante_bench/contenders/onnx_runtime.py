"""onnxruntime: predictions of the same network, as an ONNX graph in its own order of images (NCHW)."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from berrante_bench.contenders import Steps
from berrante_bench.workloads import Workload, data, of_task

_ACTIVATIONS = {"relu": "Relu", "tanh": "Tanh", "sigmoid": "Sigmoid", "softmax": "Softmax"}


class _Graph:
    """Nodes in a chain, and their weights."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.weights: list[Any] = []
        self.last = "x"
        self.rng = np.random.default_rng(0)

    def weight(self, *shape: int) -> str:
        value = self.rng.normal(0, 0.05, shape).astype(np.float32)
        return self.constant(np.abs(value) if len(shape) == 1 else value)

    def constant(self, value: np.ndarray) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(value, name))
        return name

    def add(self, kind: str, *weights: str, **attrs: Any) -> None:
        result = f"y{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, [self.last, *weights], [result], **attrs))
        self.last = result

    def layer(self, kind: str, args: list[Any], shape: tuple[int, ...]) -> None:
        if kind == "conv":
            filters, k, padding = args
            pad = k // 2 if padding == "same" else 0
            self.add("Conv", self.weight(filters, shape[2], k, k), self.weight(filters), pads=[pad] * 4)
        elif kind == "dense":
            self.add("Gemm", self.weight(shape[-1], args[0]), self.weight(args[0]))
        elif kind == "pool":
            self.add("MaxPool" if args[0] == "max" else "AveragePool", kernel_shape=[2, 2], strides=[2, 2])
        elif kind == "up":
            scales = self.constant(np.array([1, 1, 2, 2], np.float32))
            attrs = {"mode": "nearest", "nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"}
            self.add("Resize", "", scales, **attrs)
        elif kind == "norm":
            self.add("BatchNormalization", *(self.weight(shape[2]) for _ in range(4)))
        elif kind == "act":
            self.add(_ACTIVATIONS[args[0]], **({"axis": 1} if args[0] == "softmax" else {}))
        elif kind == "flatten":
            self.add("Flatten")


def _model(w: Workload, shape: tuple[int, ...]) -> bytes:
    graph = _Graph()
    for (kind, *args), before in zip(w.layers, w.shapes()):
        graph.layer(kind, args, before)
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    y = helper.make_tensor_value_info(graph.last, TensorProto.FLOAT, None)
    made = helper.make_model(
        helper.make_graph(graph.nodes, w.name, [x], [y], graph.weights), opset_imports=[helper.make_opsetid("", 17)]
    )
    made.ir_version = 9
    result: bytes = made.SerializeToString()
    return result


def predict(task: dict[str, Any], option: str) -> Steps:
    """Predictions of one batch."""
    w = of_task(task)
    x, _ = data(w)
    if x.ndim == 4:
        x = np.ascontiguousarray(x.transpose(0, 3, 1, 2))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(os.environ["OMP_NUM_THREADS"])
    session = onnxruntime.InferenceSession(_model(w, x.shape), options, providers=["CPUExecutionProvider"])

    def run(steps: int) -> None:
        for _ in range(steps):
            session.run(None, {"x": x})

    return run
