"""The two libraries behind one face: calling functions and layers on arrays, with gradients, in each one's own way.

Keras runs on JAX by default (`KERAS_BACKEND=torch` also works, and is quicker). We run traced into a program, as `fit` does.
"""

from __future__ import annotations

import os
import warnings
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


def flatten(x: Any) -> list[Any]:
    if isinstance(x, dict):
        return [z for key in sorted(x) for z in flatten(x[key])]
    return [z for y in x for z in flatten(y)] if isinstance(x, (list, tuple)) else [x]


def cotangent(shape: Sequence[int], salt: int = 0) -> np.ndarray:
    """The weights of a result's elements in the scalar that is differentiated: the same for both libraries."""
    key = zlib.crc32(repr((tuple(shape), salt)).encode())
    return np.random.default_rng(key).normal(size=tuple(shape)).astype(np.float32)


def draw_weight(name: str, shape: Sequence[int], index: int, seed: int) -> np.ndarray:
    """A weight's value from its place and shape; variances and the like are positive."""
    rng = np.random.default_rng([seed, index, *shape])
    w = rng.normal(size=tuple(shape)).astype(np.float32) * 0.5
    return np.abs(w) + 0.5 if "variance" in name else w


def _is_float(x: Any) -> bool:
    return "float" in str(getattr(x, "dtype", ""))


class Peer:
    """A library and how to differentiate with it."""

    name = ""
    backend = ""
    k: Any

    def function(
        self, function: Callable[..., Any], arrays: Sequence[np.ndarray], gradient: bool = True, traced: bool = True
    ) -> dict:  # fmt: skip
        """`function` on tensors of the arrays: results y0, y1 ... and gradients dx0 ... in the float arrays.

        traced=False: only at once, for functions that need values.
        """
        raise NotImplementedError

    def layer(
        self, layer: Any, arrays: Sequence[np.ndarray], training: bool = False, gradient: bool = True, seed: int = 0,
        nested: bool = False, state: bool = True, config: bool = True,
    ) -> dict[str, Any]:  # fmt: skip
        """A layer (or model) on arrays (as one list where nested), its weights drawn from a seed.

        Gives the weights' names and shapes, outputs y*, the sum of losses, gradients dx* and dw*, the state after.
        """
        shapes = [tuple(a.shape) for a in arrays]
        if not layer.built:
            inputs = [np.asarray(a) for a in arrays]
            layer(inputs if nested else inputs[0])
        self.set_weights(layer, seed)
        result: dict[str, Any] = {
            "weights": [(w.name, tuple(w.shape)) for w in layer.weights if "seed" not in w.path],
            "output_shape": plain(layer.compute_output_shape(shapes if nested else shapes[0])),
        }
        if config:
            result["config"] = plain_config(layer.get_config())
        result.update(self._layer(layer, arrays, training, gradient, nested))
        if state:
            for i, w in enumerate(layer.non_trainable_weights):
                result[f"state{i} {w.name}"] = np.asarray(self.k.ops.convert_to_numpy(w))
        return result

    def update(self, metric: Any, y: np.ndarray, p: np.ndarray, weights: np.ndarray | None) -> None:
        """A metric's state from a batch."""
        metric.update_state(y, self.k.ops.convert_to_tensor(p), sample_weight=weights)

    def optimizer_step(self, optimizer: Any, variables: Sequence[Any]) -> Callable[[Sequence[np.ndarray]], None]:
        """A function of gradients that makes one step."""
        convert = self.k.ops.convert_to_tensor
        return lambda grads: optimizer.apply([convert(g) for g in grads], list(variables))

    def set_weights(self, layer: Any, seed: int) -> None:
        for i, w in enumerate(w for w in layer.weights if "seed" not in w.path):
            w.assign(draw_weight(w.name, tuple(w.shape), i, seed))

    def _layer(self, layer: Any, arrays: Any, training: bool, gradient: bool, nested: bool) -> dict[str, Any]:
        raise NotImplementedError


def plain(shape: Any) -> Any:
    """A shape, or nesting of shapes, as tuples."""
    return tuple(plain(s) for s in shape) if isinstance(shape, (list, tuple)) else shape


# Written by newer Keras only, or not at all by older ones: files keep to what every Keras 3 reads.
_CONFIG_EXTRAS = {"renorm", "renorm_clipping", "renorm_momentum", "name", "trainable", "dtype"}


def plain_config(config: Any) -> Any:
    """A config without names, values of None, dtypes and the newest Keras' additions; numbers rounded to float32."""
    if isinstance(config, dict):
        kept = {k: plain_config(v) for k, v in config.items() if v is not None and k not in _CONFIG_EXTRAS}
        kept.pop("build_config", None)
        return dict(sorted(kept.items()))
    if isinstance(config, (list, tuple)):
        return [plain_config(x) for x in config]
    return float(np.float32(config)) if isinstance(config, float) else config


def _call(xs: Sequence[Any], nested: bool) -> Any:
    return list(xs) if nested else xs[0]


def _named(prefix: str, values: Sequence[Any]) -> dict[str, Any]:
    return {f"{prefix}{i}": None if v is None else np.asarray(v) for i, v in enumerate(values)}


class OurPeer(Peer):
    name = "berrante"

    def __init__(self) -> None:
        import berrante

        self.k = berrante

    def _trace(self, body: Callable[..., Any], arrays: Sequence[np.ndarray], weights: Sequence[Any]) -> list[Any]:
        from berrante.graph import trace
        from berrante.graph.gradients import gradients
        from berrante.graph.op import as_tensor
        from berrante.graph.program import Program

        ops = self.k.ops
        tensors = [as_tensor(a) for a in arrays]
        counts: list[int] = []
        missing: list[bool] = []

        def program(*xs: Any) -> list[Any]:
            outputs, losses, wanted = body(*xs)
            outputs = [as_tensor(y) for y in outputs]
            counts[:] = [len(outputs)]
            total = ops.convert_to_tensor(0.0)
            for y in outputs:
                if y.dtype == "float32":
                    total = total + ops.sum(ops.multiply(y, cotangent(y.shape)))
            loss = ops.convert_to_tensor(0.0)
            for x in losses:
                loss = loss + ops.sum(x)
            graph = trace.current()
            sources = [*wanted, *(graph.leaf(w) for w in weights)]
            grads = gradients([total + loss], sources) if sources else []
            missing[:] = [g is None for g in grads]
            grads = [ops.zeros(s.shape) if g is None else g for g, s in zip(grads, sources, strict=True)]
            return [*outputs, loss, *grads]

        results = Program(program, [t.spec for t in tensors])(*(t.numpy() for t in tensors))
        return [results[: counts[0]], results[counts[0]], results[counts[0] + 1 :]]

    def function(
        self, function: Callable[..., Any], arrays: Sequence[np.ndarray], gradient: bool = True, traced: bool = True
    ) -> dict:  # fmt: skip
        def body(*xs: Any) -> Any:
            return flatten(function(*xs)), [], [x for x in xs if x.dtype == "float32"] if gradient else []

        eager = [np.asarray(y) for y in flatten(function(*(self.k.ops.convert_to_tensor(a) for a in arrays)))]
        if not traced:
            return _named("y", eager)
        outputs, _, grads = self._trace(body, arrays, [])
        for one, at_once in zip(outputs, eager, strict=True):
            np.testing.assert_allclose(one, at_once, rtol=1e-5, atol=1e-5, err_msg="eager and traced differ")
        return {**_named("y", outputs), **_named("dx", grads)}

    def update(self, metric: Any, y: np.ndarray, p: np.ndarray, weights: np.ndarray | None) -> None:
        """At once, and traced into a program, which must do the same."""
        from berrante.graph.op import as_tensor
        from berrante.graph.program import Program

        before = [v.numpy() for v in metric.variables]
        metric.update_state(y, self.k.ops.convert_to_tensor(p), sample_weight=weights)
        at_once = [v.numpy() for v in metric.variables]
        for i, v in enumerate(metric.variables):  # some are made by the first batch
            v.assign(before[i] if i < len(before) else np.zeros(v.shape, v.dtype))
        arrays = [as_tensor(a) for a in (y, p, weights) if a is not None]
        Program(lambda *xs: metric.update_state(*xs), [a.spec for a in arrays])(*(a.numpy() for a in arrays))
        for v, value in zip(metric.variables, at_once, strict=True):
            np.testing.assert_allclose(v.numpy(), value, rtol=1e-5, atol=1e-6, err_msg="eager and traced differ")

    def optimizer_step(self, optimizer: Any, variables: Sequence[Any]) -> Callable[[Sequence[np.ndarray]], None]:
        """Traced into a program."""
        from berrante.graph.program import Program
        from berrante.graph.tensor import TensorSpec

        optimizer.build(list(variables))
        optimizer._flatten()
        program = Program(
            lambda *gs: optimizer.apply(list(gs), list(variables)), [TensorSpec(v.shape, "float32") for v in variables]
        )
        return lambda grads: None if program(*grads) is None else None

    def _layer(self, layer: Any, arrays: Any, training: bool, gradient: bool, nested: bool) -> dict[str, Any]:
        def body(*xs: Any) -> Any:
            y = layer(_call(xs, nested), training=training)
            floats = [x for x in xs if x.dtype == "float32"] if gradient else []
            return flatten(y), layer.losses, floats

        weights = list(layer.trainable_variables) if gradient else []
        outputs, loss, grads = self._trace(body, arrays, weights)
        n = len(grads) - len(weights)
        return {
            **_named("y", outputs), "loss": np.asarray(loss), **_named("dx", grads[:n]), **_named("dw", grads[n:])
        }  # fmt: skip


class KerasPeer(Peer):
    name = "keras"

    def optimizer_step(self, optimizer: Any, variables: Sequence[Any]) -> Callable[[Sequence[np.ndarray]], None]:
        """On JAX compiled once, or its many small operations take seconds."""
        if self.backend != "jax":
            return super().optimizer_step(optimizer, variables)
        import jax

        optimizer.build(list(variables))
        program = jax.jit(optimizer.stateless_apply)

        def step(grads: Sequence[np.ndarray]) -> None:
            state = [v.value for v in optimizer.variables]
            values, state = program(state, list(grads), [v.value for v in variables])
            for v, value in zip([*variables, *optimizer.variables], [*values, *state], strict=True):
                v.assign(value)

        return step

    def __init__(self) -> None:
        os.environ.setdefault("KERAS_BACKEND", "jax")
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import keras

        self.k = keras
        self.backend = keras.backend.backend()
        if self.backend not in ("jax", "torch"):
            raise RuntimeError(f"expected KERAS_BACKEND jax or torch; it is {self.backend}")

    def function(
        self, function: Callable[..., Any], arrays: Sequence[np.ndarray], gradient: bool = True, traced: bool = True
    ) -> dict:  # fmt: skip
        if not traced:
            tensors = [self.k.ops.convert_to_tensor(a) for a in arrays]
            return _named("y", [self.k.ops.convert_to_numpy(y) for y in flatten(function(*tensors))])

        def body(xs: Sequence[Any], _: Any) -> Any:
            return flatten(function(*xs)), [], []

        outputs, _, grads, _, _ = self._differentiate(body, arrays, [], gradient)
        return {**_named("y", outputs), **_named("dx", grads)}

    def _layer(self, layer: Any, arrays: Any, training: bool, gradient: bool, nested: bool) -> dict[str, Any]:
        kwargs = {"training": training} if layer._call_has_training_arg else {}
        trainable, fixed = layer.trainable_variables, layer.non_trainable_variables
        state = [v.value for v in fixed]

        def body(xs: Sequence[Any], weights: Sequence[Any]) -> Any:
            # As stateless_call, which leaves out the layer's own activity regulariser.
            mapping = [*zip(trainable, weights, strict=True), *zip(fixed, state, strict=True)]
            with self.k.StatelessScope(state_mapping=mapping, collect_losses=True) as scope:
                y = layer(_call(xs, nested), **kwargs)
                losses = layer.losses
            return flatten(y), losses, [scope.get_current_value(v) for v in fixed]

        weights = [v.value for v in trainable]
        outputs, loss, dx, dw, after = self._differentiate(body, arrays, weights, gradient)
        for variable, value in zip(fixed, after, strict=True):
            variable.assign(value)
        return {**_named("y", outputs), "loss": np.asarray(loss), **_named("dx", dx), **_named("dw", dw)}

    def _differentiate(self, body: Any, arrays: Any, weights: Any, gradient: bool) -> Any:
        return (self._jax if self.backend == "jax" else self._torch)(body, arrays, weights, gradient)

    def _jax(self, body: Any, arrays: Any, weights: Any, gradient: bool) -> Any:
        import jax
        import jax.numpy as jnp

        xs = [jnp.asarray(a) for a in arrays]
        floats = [i for i, x in enumerate(xs) if _is_float(x)]

        def scalar(sources: Any) -> Any:
            own, w = list(xs), sources[1]
            for i, x in zip(floats, sources[0], strict=True):
                own[i] = x
            outputs, losses, after = body(own, w)
            total = sum((jnp.sum(y * cotangent(y.shape)) for y in outputs if _is_float(y)), jnp.zeros(()))
            loss = sum((jnp.sum(x) for x in losses), jnp.zeros(()))
            return total + loss, (outputs, loss, after)

        sources = ([xs[i] for i in floats], list(weights))
        if not gradient:
            _, (outputs, loss, after) = jax.jit(scalar)(sources)
            return [np.asarray(y) for y in outputs], loss, [], [], after
        (_, (outputs, loss, after)), (dx, dw) = jax.jit(jax.value_and_grad(scalar, has_aux=True))(sources)
        return [np.asarray(y) for y in outputs], loss, dx, dw, after

    def _torch(self, body: Any, arrays: Any, weights: Any, gradient: bool) -> Any:
        import torch

        xs = [torch.tensor(a) for a in arrays]
        leaves = [x.requires_grad_() for x in xs if _is_float(x)]
        ws = [w.detach().clone().requires_grad_() for w in weights]
        outputs, losses, after = body(xs, ws)
        total = torch.zeros(())
        for y in outputs:
            if _is_float(y):
                total = total + (y * torch.tensor(cotangent(tuple(y.shape)))).sum()
        loss = torch.zeros(())
        for x in losses:
            loss = loss + x.sum()
        total = total + loss
        grads = [None] * (len(leaves) + len(ws))
        if gradient and total.requires_grad:
            grads = list(torch.autograd.grad(total, [*leaves, *ws], allow_unused=True))
        if gradient:
            grads = [torch.zeros_like(s) if g is None else g for g, s in zip(grads, [*leaves, *ws], strict=True)]
        else:
            grads = []
        values = [g.detach().numpy() for g in grads]
        n = len(leaves) if gradient else 0
        return (
            [y.detach().numpy() for y in outputs], loss.detach().numpy(), values[:n], values[n:],
            [a.detach() for a in after],
        )  # fmt: skip
