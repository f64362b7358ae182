"""Autoencoders: an encoder and a decoder that learn the identity through a code; denoising, sparse and contractive ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from berrante import ops
from berrante.data import unpack
from berrante.graph.tape import GradientTape, flatten
from berrante.graph.variable import Variable
from berrante.layers import Dropout, GaussianNoise
from berrante.models.generative import tying
from berrante.models.generative.anomaly import REDUCTIONS, Anomaly, reduce_error
from berrante.models.generative.base import Generative, check_range, final_activation
from berrante.models.steps import tracked

# Codes up to this size get the exact Jacobian in the contractive penalty; larger ones an unbiased estimate.
EXACT_JACOBIAN = 32


class Autoencoder(Anomaly, Generative):
    """decoder(encoder(x)), trained to give x again. `fit(x)`; with `fit(x, y)` the target is y.

    Args:
        encoder, decoder: plain models.
        noise: what corrupts the input in training: a standard deviation of Gaussian noise, or a layer.
        sparsity: the weight of the code's penalty: the mean |code|, or with `sparsity_target` the divergence
            sum_j KL(target || mean activation of unit j), for codes between 0 and 1 (Ng, 2011).
        contractive: the weight of the mean squared Frobenius norm of d code / d x (Rifai et al., 2011).
        tied: the decoder's kernels are the encoder's, transposed: the last one's the first's, and so on.
        anomaly_reduction: how anomaly_score sums up the errors of a sample: "mse", "mae" or "max".

    Logs: loss, reconstruction_loss and, where used, sparsity_loss and contractive_loss (weighted).
    """

    parts: tuple[str, ...] = ("encoder", "decoder", "noise")
    settings: tuple[str, ...] = ("sparsity", "sparsity_target", "contractive", "tied", "anomaly_reduction")
    tied = False
    _default_loss: Any = "mse"
    encoder: Any
    decoder: Any
    noise: Any

    def __init__(
        self, encoder: Any, decoder: Any, noise: Any = None, sparsity: float | None = None,
        sparsity_target: float | None = None, contractive: float = 0.0, tied: bool = False,
        anomaly_reduction: str = "mse", name: str | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(name=name, **kwargs)
        self._setup_anomaly(anomaly_reduction, self._allowed_reductions())
        self._add_part("encoder", encoder)
        self._add_part("decoder", decoder)
        if isinstance(noise, (int, float)):
            noise = GaussianNoise(float(noise))
        self._add_part("noise", noise, optional=True)
        for what, value in (("sparsity", sparsity), ("contractive", contractive)):
            if value is not None and value < 0:
                raise ValueError(f"{self._label()} {what}: expected a weight of at least 0; received {value}")
        if sparsity_target is not None and not 0 < sparsity_target < 1:
            raise ValueError(f"{self._label()} sparsity_target: expected between 0 and 1; received {sparsity_target}")
        self.sparsity, self.sparsity_target, self.contractive = sparsity, sparsity_target, contractive
        self.tied = bool(tied)
        if self._check_built():
            tying.copy(self._pairs())

    def _allowed_reductions(self) -> tuple[str, ...]:
        return REDUCTIONS

    def compile(self, optimizer: Any = "adam", loss: Any = None, **kwargs: Any) -> None:  # type: ignore[override]
        """As Model.compile; the loss between target and reconstruction is mse by default."""
        super().compile(optimizer, self._default_loss if loss is None else loss, **kwargs)
        self._set_trackers(self._term_names())

    def _term_names(self) -> list[str]:
        names = ["reconstruction_loss"]
        names += ["sparsity_loss"] if self.sparsity else []
        return names + (["contractive_loss"] if self.contractive else [])

    def _known_output_names(self) -> list[str]:
        return ["reconstruction"]

    def _pairs(self) -> list[tying.Pair]:
        return tying.tied_pairs(self.encoder, self.decoder, self._label()) if self.tied else []

    def _train_variables(self) -> list[Variable]:
        copies = {id(other) for _, other in self._pairs()}
        return [v for v in super()._train_variables() if id(v) not in copies]

    def _prepare_training(self, data: Any, batch: int) -> None:
        super()._prepare_training(data, batch)
        tying.copy(self._pairs())

    # --- the step ---------------------------------------------------------------------------------------------------

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        return self.decoder(self.encoder(inputs, training=training), training=training)

    def _terms(self, x: Any, y: Any, weights: Any, training: bool) -> tuple[Any, Any, dict[str, Any]]:
        """Target, reconstruction and the weighted terms of the loss."""
        target = x if y is None else y
        corrupted = self.noise(x, training=True) if self.noise is not None and training else x
        code = self.encoder(corrupted, training=training)
        y_pred = self.decoder(code, training=training)
        self._check_shapes(target, y_pred)
        terms = {"reconstruction_loss": self._objectives.total_loss([target], [y_pred], [weights])}
        if self.sparsity:
            terms["sparsity_loss"] = ops.multiply(sparsity_penalty(code, self.sparsity_target), float(self.sparsity))
        if self.contractive:
            penalty = contractive_penalty(code, corrupted, self.seed_generator)
            terms["contractive_loss"] = ops.multiply(penalty, float(self.contractive))
        return target, y_pred, terms

    def _check_shapes(self, target: Any, y_pred: Any) -> None:
        if tuple(target.shape) != tuple(y_pred.shape):
            raise ValueError(
                f"{self._label()} expected the decoder to give the target's shape {tuple(target.shape)}; "
                f"received {tuple(y_pred.shape)}"
            )

    def _total(self, terms: dict[str, Any]) -> Any:
        """The sum of all terms and of the losses that layers added."""
        total: Any = None
        for value in [*terms.values(), *(ops.sum(loss) for loss in self.losses)]:
            total = value if total is None else ops.add(total, value)
        return total

    def _track_losses(self, loss: Any, terms: dict[str, Any], size: int) -> None:
        self._loss_tracker.update_state(loss, sample_weight=float(size))
        for name, value in terms.items():
            self._log(name, value, size)

    @tracked
    def train_step(self, data: Any) -> dict[str, Any]:
        """One update from x, or from (x, y)."""
        x, y, weights = unpack(data)
        variables = self._train_variables()
        with GradientTape() as tape:
            if self.contractive:
                tape.watch(x)
            target, y_pred, terms = self._terms(x, y, weights, True)
            loss = self._total(terms)
        self._track_losses(loss, terms, flatten(x)[0].shape[0])
        pairs = self._pairs()
        self.optimizer.apply(tying.gradients(tape, loss, variables, pairs), variables)
        tying.copy(pairs)
        return self.compute_metrics(x, target, y_pred, weights)

    @tracked
    def test_step(self, data: Any) -> dict[str, Any]:
        """The losses of x, or of (x, y), without noise."""
        x, y, weights = unpack(data)
        target, y_pred, terms = self._terms(x, y, weights, False)
        self._track_losses(self._total(terms), terms, flatten(x)[0].shape[0])
        return self.compute_metrics(x, target, y_pred, weights)

    def _check_data(self, data: Any) -> None:
        super()._check_data(data)
        x, y, _ = data.data
        check_range(self._label(), "x" if y is None else "y", x if y is None else y, final_activation(self.decoder))

    # --- use --------------------------------------------------------------------------------------------------------

    def encode(self, x: Any, batch_size: int = 128) -> np.ndarray:
        """The codes of samples."""
        codes: np.ndarray = self._batched("encode", lambda a: self.encoder(a, training=False), [x], batch_size)
        return codes

    def decode(self, code: Any, batch_size: int = 128) -> np.ndarray:
        """The samples of codes."""
        inputs = getattr(self.decoder, "inputs", None)
        expected = tuple(inputs[0].shape[1:]) if inputs else None
        given = np.shape(code)[1:]
        if expected is not None and (
            len(given) != len(expected) or any(e not in (None, n) for e, n in zip(expected, given, strict=True))
        ):
            shape = ", ".join(["N", *(str(n) for n in expected)])
            raise ValueError(f"{self._label()} decode: expected codes of shape ({shape}); received {np.shape(code)}")
        samples: np.ndarray = self._batched("decode", lambda a: self.decoder(a, training=False), [code], batch_size)
        return samples

    def reconstruct(self, x: Any, batch_size: int = 128) -> np.ndarray:
        """decode(encode(x))."""
        samples: np.ndarray = self._batched("reconstruct", lambda a: self._reconstruct(a), [x], batch_size)
        return samples

    def _reconstruct(self, x: Any) -> Any:
        return self(x, training=False)

    def interpolate(self, a: Any, b: Any, steps: int = 8) -> np.ndarray:
        """Samples whose codes lie on lines from those of a [N, ...] to those of b: [N, steps, ...]."""
        start, end = self.encode(a), self.encode(b)
        if start.shape != end.shape:
            raise ValueError(f"{self._label()} interpolate: expected equal shapes; received {start.shape}, {end.shape}")
        return self._decode_lines(start, end, steps)

    def _decode_lines(self, start: np.ndarray, end: np.ndarray, steps: int) -> np.ndarray:
        if steps < 2:
            raise ValueError(f"{self._label()} interpolate: expected at least 2 steps; received {steps}")
        t = np.linspace(0.0, 1.0, steps, dtype=np.float32).reshape(1, steps, *(1,) * (start.ndim - 1))
        codes = (1 - t) * start[:, None] + t * end[:, None]
        samples = self.decode(codes.reshape(-1, *start.shape[1:]))
        return samples.reshape(len(start), steps, *samples.shape[1:])

    def corrupt(self, x: Any, seed: int = 0) -> np.ndarray:
        """x [N, ...] as training sees it: with noise."""
        if self.noise is None:
            raise RuntimeError(f"{self._label()} has no noise: pass noise= to the constructor")
        state = [(g.state, g.state.numpy()) for g in self.noise._seed_generators]
        for variable, _ in state:
            variable.assign(np.array([seed, 0], np.int32))
        try:
            return np.asarray(self.noise(ops.convert_to_tensor(np.asarray(x, np.float32)), training=True))
        finally:
            for variable, value in state:
                variable.assign(value)

    def _score(self, x: Any, reduction: str) -> Any:
        return reduce_error(ops.subtract(x, self._reconstruct(x)), reduction)


def sparsity_penalty(code: Any, target: float | None) -> Any:
    """The mean |code|, or sum_j KL(target || mean_j) over units with means between 0 and 1."""
    code = ops.reshape(code, (code.shape[0], -1))
    if target is None:
        return ops.mean(ops.absolute(code))
    mean = ops.clip(ops.mean(code, axis=0), 1e-6, 1 - 1e-6)
    on = ops.multiply(ops.log(ops.divide(target, mean)), target)
    off = ops.multiply(ops.log(ops.divide(1 - target, ops.subtract(1.0, mean))), 1 - target)
    return ops.sum(ops.add(on, off))


def contractive_penalty(code: Any, x: Any, seed: Any = None) -> Any:
    """The batch's mean of ||d code / d x||_F^2. Codes above EXACT_JACOBIAN units: E |J^T v|^2 for one normal v."""
    from berrante import random
    from berrante.graph.gradients import gradients

    n = code.shape[0]
    code = ops.reshape(code, (n, -1))
    units = code.shape[1]
    if units <= EXACT_JACOBIAN:
        targets = [code[:, j] for j in range(units)]
    else:
        targets = [ops.sum(ops.multiply(code, random.normal((n, units), seed=seed)), axis=1)]
    total: Any = 0.0
    for target in targets:
        rows = gradients([target], [x])[0]
        if rows is not None:
            total = ops.add(total, ops.sum(ops.square(rows)))
    return ops.divide(total, float(n))


class DenoisingAutoencoder(Autoencoder):
    """An autoencoder that sees corrupted inputs and must give clean ones (Vincent et al., 2008).

    Args:
        noise: a standard deviation (kind="gaussian"), a fraction of elements set to 0 (kind="masking"), or a layer.
    """

    def __init__(self, encoder: Any, decoder: Any, noise: Any = 0.3, kind: str = "gaussian", **kwargs: Any) -> None:
        if kind not in ("gaussian", "masking"):
            raise ValueError(f"DenoisingAutoencoder: expected kind gaussian or masking; received {kind!r}")
        if isinstance(noise, (int, float)) and kind == "masking":
            noise = InputMasking(float(noise))
        super().__init__(encoder, decoder, noise=noise, **kwargs)

    def denoise(self, x: Any, batch_size: int = 128) -> np.ndarray:
        """Clean samples of noisy ones."""
        return self.reconstruct(x, batch_size)


class InputMasking(Dropout):
    """Dropout that does not scale what it keeps."""

    def call(self, inputs: Any, training: bool = False) -> Any:
        y = super().call(inputs, training=training)
        return ops.multiply(y, 1.0 - self.rate) if training and self.rate else y


class SparseAutoencoder(Autoencoder):
    """An autoencoder whose code is mostly near 0."""

    def __init__(
        self, encoder: Any, decoder: Any, sparsity: float = 1e-3, sparsity_target: float | None = None, **kwargs: Any
    ) -> None:
        super().__init__(encoder, decoder, sparsity=sparsity, sparsity_target=sparsity_target, **kwargs)


class ContractiveAutoencoder(Autoencoder):
    """An autoencoder whose code changes little with its input (Rifai et al., 2011)."""

    def __init__(self, encoder: Any, decoder: Any, contractive: float = 1e-3, **kwargs: Any) -> None:
        super().__init__(encoder, decoder, contractive=contractive, **kwargs)
