"""Losses of a discriminator and a generator, on the discriminator's scores of real and generated samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from berrante import ops


@dataclass(frozen=True)
class AdversarialLoss:
    """The two sides of a game.

    discriminator(real, fake, logits, smoothing) and generator(real, fake, logits) give scalars; `logits` says that scores
    are not yet probabilities. A `critic` has unbounded scores. `relative` losses need the real scores in the generator's
    step too; `likely` ones have scores that are log odds.
    """

    discriminator: Callable[[Any, Any, bool, float], Any]
    generator: Callable[[Any, Any, bool], Any]
    critic: bool = False
    relative: bool = False
    likely: bool = False


def _bce(scores: Any, target: float, logits: bool) -> Any:
    return ops.mean(ops.binary_crossentropy(ops.full_like(scores, target), scores, from_logits=logits))


def _square(scores: Any, target: float) -> Any:
    return ops.multiply(ops.mean(ops.square(ops.subtract(scores, target))), 0.5)


def _cross_entropy_d(real: Any, fake: Any, logits: bool, smoothing: float) -> Any:
    return ops.add(_bce(real, 1.0 - smoothing, logits), _bce(fake, 0.0, logits))


def _relativistic_d(real: Any, fake: Any, logits: bool, smoothing: float) -> Any:
    a, b = ops.subtract(real, ops.mean(fake)), ops.subtract(fake, ops.mean(real))
    return ops.add(_bce(a, 1.0 - smoothing, True), _bce(b, 0.0, True))


def _wasserstein_d(real: Any, fake: Any, logits: bool, smoothing: float) -> Any:
    return ops.subtract(ops.mean(fake), ops.mean(real))


def _hinge_d(real: Any, fake: Any, logits: bool, smoothing: float) -> Any:
    return ops.add(
        ops.mean(ops.relu(ops.subtract(1.0, real))),
        ops.mean(ops.relu(ops.add(1.0, fake))),
    )


def _least_squares_d(real: Any, fake: Any, logits: bool, smoothing: float) -> Any:
    return ops.add(_square(real, 1.0 - smoothing), _square(fake, 0.0))


def _minus_mean(real: Any, fake: Any, logits: bool) -> Any:
    return ops.negative(ops.mean(fake))


LOSSES = {
    # Goodfellow et al., 2014: the generator descends log(1 - D(fake)), which saturates while D is sure.
    "minimax": AdversarialLoss(
        _cross_entropy_d, lambda real, fake, logits: ops.negative(_bce(fake, 0.0, logits)), likely=True
    ),
    # The same paper's remedy: it descends -log D(fake).
    "non_saturating": AdversarialLoss(
        _cross_entropy_d, lambda real, fake, logits: _bce(fake, 1.0, logits), likely=True
    ),
    # Mao et al., 2017.
    "lsgan": AdversarialLoss(_least_squares_d, lambda real, fake, logits: _square(fake, 1.0)),
    # Arjovsky et al., 2017, with clipped weights; Gulrajani et al., 2017, with a penalty on gradients.
    "wasserstein": AdversarialLoss(_wasserstein_d, _minus_mean, critic=True),
    "wgan_gp": AdversarialLoss(_wasserstein_d, _minus_mean, critic=True),
    # Lim and Ye, 2017.
    "hinge": AdversarialLoss(_hinge_d, _minus_mean, critic=True),
    # Jolicoeur-Martineau, 2018: real samples against the average generated one, and the other way round.
    "relativistic": AdversarialLoss(
        _relativistic_d,
        lambda real, fake, logits: _relativistic_d(fake, real, True, 0.0),
        critic=True,
        relative=True,
        likely=True,
    ),
}
_ALIASES = {"least_squares": "lsgan", "wgan": "wasserstein", "wgan-gp": "wgan_gp", "gan": "non_saturating"}


def get(loss: Any) -> AdversarialLoss:
    """The losses of a name, or of a Keras loss, called as loss(1, D(real)) + loss(0, D(fake)) and loss(1, D(fake))."""
    if isinstance(loss, AdversarialLoss):
        return loss
    if isinstance(loss, str):
        name = _ALIASES.get(loss, loss)
        if name in LOSSES:
            return LOSSES[name]
    if callable(loss):
        return _of_keras_loss(loss)
    raise ValueError(f"loss: expected {', '.join(LOSSES)}, or a loss of (y_true, y_pred); received {loss!r}")


def _of_keras_loss(loss: Callable[[Any, Any], Any]) -> AdversarialLoss:
    def value(scores: Any, target: float) -> Any:
        return ops.mean(loss(ops.full_like(scores, target), scores))

    return AdversarialLoss(
        lambda real, fake, logits, smoothing: ops.add(value(real, 1.0 - smoothing), value(fake, 0.0)),
        lambda real, fake, logits: value(fake, 1.0),
    )


def of_functions(d_loss: Callable[[Any, Any], Any], g_loss: Callable[[Any], Any]) -> AdversarialLoss:
    """From d_loss(real scores, fake scores) and g_loss(fake scores), as keras.io's WGAN example passes them."""
    return AdversarialLoss(
        lambda real, fake, logits, smoothing: d_loss(real, fake), lambda real, fake, logits: g_loss(fake)
    )
