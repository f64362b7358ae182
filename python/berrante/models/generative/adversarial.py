"""The adversarial step: a discriminator and a generator, each with its optimizer, in one program.

The generator runs once a step: the discriminator learns from its samples with the gradient stopped, then the same
samples, judged by the updated discriminator, teach the generator. In its step the discriminator computes as in training
(batch statistics, dropout) but neither its weights nor its moving statistics change; additional steps of a critic leave the
generator's alone.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, NamedTuple

from berrante import ops, random
from berrante.graph import trace
from berrante.graph.tape import GradientTape
from berrante.graph.variable import Variable, flatten_variables
from berrante.models.generative import gan_losses
from berrante.models.generative.base import Generative, check_range, final_activation
from berrante.models.steps import tracked


class Batch(NamedTuple):
    """What a step works on: the generator's inputs, real samples, and what conditions both."""

    inputs: Any
    real: Any
    condition: Any
    size: int


class Adversarial(Generative):
    """The base of models with a generator and a discriminator. Subclasses say what a batch is.

    Args of compile:
        g_optimizer, d_optimizer: Adam(2e-4, beta_1=0.5) by default (Radford et al., 2015).
        loss: "minimax", "non_saturating", "lsgan", "wasserstein", "wgan_gp", "hinge", "relativistic" or a Keras loss;
            `loss_fn`, or `d_loss_fn` and `g_loss_fn`, are accepted as in keras.io's examples.
        n_critic: discriminator updates a step, each with new noise, on the same real samples.
        gradient_penalty: the weight of (|gradient| - 1)^2 between real and generated samples, 10 by default;
            wgan_gp alone uses it.
        clip_value: the largest absolute weight of the discriminator; 0.01 by default for "wasserstein".
        label_smoothing: real samples count as 1 minus this.
        aux_loss: a function of (real, fake) that is added to the generator's loss.

    Logs: d_loss, g_loss, and d_real and d_fake, the mean scores (probabilities where scores are log odds).
    """

    generator: Any
    discriminator: Any
    g_optimizer: Any
    d_optimizer: Any
    ema: float | None = None
    n_critic: int
    game: gan_losses.AdversarialLoss
    _logits: bool
    _average: Any
    parts: tuple[str, ...] = ("generator", "discriminator")
    _default_loss = "non_saturating"
    _default_critic = 1
    _default_penalty = 10.0

    def _setup_pair(self, generator: Any, discriminator: Any, ema: float | None) -> None:
        self._add_part("generator", generator)
        self._add_part("discriminator", discriminator)
        if ema is not None and not 0 < ema < 1:
            raise ValueError(f"{self._label()} ema: expected a momentum between 0 and 1; received {ema}")
        shared = set(map(id, generator.weights)) & set(map(id, discriminator.weights))
        if shared:
            raise ValueError(f"{self._label()} the generator and the discriminator share {len(shared)} weights")
        self.ema = ema
        self.ema_generator: Any = None
        object.__setattr__(self, "_average", None)
        if self._check_built():
            self._make_average()

    # --- compile ----------------------------------------------------------------------------------------------------

    def compile(  # type: ignore[override]
        self, g_optimizer: Any = None, d_optimizer: Any = None, loss: Any = None, n_critic: int | None = None,
        gradient_penalty: float | None = None, clip_value: float | None = None, label_smoothing: float = 0.0,
        aux_loss: Any = None, loss_fn: Any = None, d_loss_fn: Any = None, g_loss_fn: Any = None,
        run_eagerly: bool = False,
    ) -> None:  # fmt: skip
        """Chooses optimizers and losses; see the class."""
        loss = loss if loss is not None else loss_fn if loss_fn is not None else self._default_loss
        n_critic = self._default_critic if n_critic is None else n_critic
        gradient_penalty = self._default_penalty if gradient_penalty is None else gradient_penalty
        if isinstance(n_critic, bool) or int(n_critic) != n_critic or n_critic < 1:
            raise ValueError(f"{self._label()} n_critic: expected a positive integer; received {n_critic!r}")
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"{self._label()} label_smoothing: expected from 0 to 1; received {label_smoothing}")
        if g_optimizer is not None and g_optimizer is d_optimizer and not isinstance(g_optimizer, str):
            raise ValueError(f"{self._label()} expected two optimizers; received the same object for both")
        game = gan_losses.get(loss)
        if d_loss_fn is not None or g_loss_fn is not None:
            if d_loss_fn is None or g_loss_fn is None:
                raise ValueError(f"{self._label()} expected both d_loss_fn and g_loss_fn; received one")
            game = gan_losses.of_functions(d_loss_fn, g_loss_fn)
        for what, value in (("gradient_penalty", gradient_penalty), ("clip_value", clip_value)):
            if value is not None and value < 0:
                raise ValueError(f"{self._label()} {what}: expected at least 0; received {value}")
        clip = 0.01 if clip_value is None and loss in ("wasserstein", "wgan") else clip_value
        self._compile_arguments = {
            "g_optimizer": _optimizer(g_optimizer), "d_optimizer": _optimizer(d_optimizer), "loss": loss,
            "n_critic": int(n_critic), "gradient_penalty": gradient_penalty, "clip_value": clip_value,
            "label_smoothing": label_smoothing, "aux_loss": aux_loss, "d_loss_fn": d_loss_fn, "g_loss_fn": g_loss_fn,
            "run_eagerly": run_eagerly,
        }  # fmt: skip
        put = object.__setattr__
        for name in ("g_optimizer", "d_optimizer"):
            put(self, name, self._compile_arguments[name])
        put(self, "optimizer", self.g_optimizer)
        put(self, "game", game)
        put(self, "run_eagerly", run_eagerly)
        self.n_critic, self.label_smoothing, self.clip_value, self.aux_loss = (
            int(n_critic),
            label_smoothing,
            clip,
            aux_loss,
        )
        self.gradient_penalty = gradient_penalty if loss in ("wgan_gp", "wgan-gp") else 0.0
        self._check_game(loss)
        self._programs.clear()
        self.stop_training, self.compiled = False, True
        self._set_trackers(["d_loss", "g_loss", "d_real", "d_fake", *self._term_names()])

    def _judges(self) -> list[Any]:
        """The discriminators."""
        return [self.discriminator]

    def _check_game(self, loss: Any) -> None:
        self._logits = True
        for judge in self._judges():
            activation = final_activation(judge)
            if self.game.critic and activation in ("sigmoid", "softmax", "tanh"):
                raise ValueError(
                    f"{self._label()} loss={loss!r} needs a discriminator without {activation} at its end; "
                    "end it with a Dense(1) or a convolution without activation"
                )
            self._logits = activation != "sigmoid"
            names = {type(layer).__name__ for layer in judge._flatten_layers()}
            if self.gradient_penalty and "BatchNormalization" in names:
                warnings.warn(
                    f"{self._label()} the discriminator has BatchNormalization: it mixes the samples of a batch, while "
                    "the gradient penalty is meant for each alone; use LayerNormalization or none",
                    stacklevel=4,
                )

    def get_compile_config(self) -> dict[str, Any] | None:
        """The arguments of compile(), serialised."""
        if not self.compiled:
            return None
        from berrante.saving.registry import serialize_keras_object

        return {k: serialize_keras_object(v) for k, v in self._compile_arguments.items()}

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles with serialised arguments and makes the optimizers' slots."""
        from berrante.saving.registry import deserialize_keras_object

        self.compile(**{k: deserialize_keras_object(v) for k, v in config.items()})
        if self.built:
            self._build_optimizers()

    def _optimizers(self) -> dict[str, Any]:
        return {"d_optimizer": self.d_optimizer, "g_optimizer": self.g_optimizer} if self.compiled else {}

    def _g_variables(self) -> list[Variable]:
        return self._trainable_of("generator", [self.generator])

    def _d_variables(self) -> list[Variable]:
        return self._trainable_of("discriminator", [self.discriminator])

    def _trainable_of(self, what: str, models: Sequence[Any]) -> list[Variable]:
        found = [v for model in models for v in model.trainable_weights]
        if not found:
            raise ValueError(
                f"{self._label()} {what}: expected weights to train; received a model with trainable=False"
            )
        return found

    def _build_optimizers(self) -> None:
        for optimizer, variables in (
            (self.g_optimizer, self._g_variables()),
            (self.d_optimizer, self._d_variables()),
        ):
            if not optimizer.built:
                optimizer.build(variables)

    def _prepare_training(self, data: Any, batch: int) -> None:
        if not self.built and not self._check_built():
            self._build_from(data, batch)
            self._check_built()
        self._make_average()
        self._build_optimizers()
        for optimizer in (self.g_optimizer, self.d_optimizer):
            optimizer._flatten()

    def _build_from(self, data: Any, batch: int) -> None:
        from berrante.data import specs_of

        with trace.tracing() as graph:
            leaves = [graph.add_input(spec) for spec in specs_of(data.leaves, batch)]
            prepared = self._batch(data.restore(leaves))
            self._judge(self._generate(prepared, False), prepared, False)

    # --- averages ---------------------------------------------------------------------------------------------------

    def _make_average(self) -> None:
        """A twin of the generator for its averaged weights."""
        if self.ema is None or self.ema_generator is not None:
            return
        from berrante.models import clone_model

        twin = clone_model(self.generator)
        twin.set_weights(self.generator.get_weights())
        self.ema_generator = twin

    def _update_average(self) -> None:
        """average = m average + (1 - m) weight, m rising from 0.1 to `ema`; moving statistics are copied."""
        if self.ema is None:
            return
        t = ops.cast(self.g_optimizer.iterations.value, "float32")
        m = ops.minimum(ops.divide(ops.add(t, 1.0), ops.add(t, 10.0)), float(self.ema))
        own, twins = self.generator.trainable_weights, self.ema_generator.trainable_weights
        flat = self.g_optimizer._flat
        if flat is not None and flat.is_current and list(flat.members) == own:
            if self._average is None or not self._average.is_current:
                object.__setattr__(self, "_average", flatten_variables(twins))
            pairs: list[Any] = [(self._average, flat)]
        else:
            pairs = list(zip(twins, own, strict=True))
        for average, weight in pairs:
            average.assign(ops.add(ops.multiply(average.value, m), ops.multiply(weight.value, ops.subtract(1.0, m))))
        trained = set(own)
        for average, weight in zip(self.ema_generator.weights, self.generator.weights, strict=True):
            if weight not in trained:
                average.assign(weight.value)

    @property
    def best_generator(self) -> Any:
        """The generator that makes samples: with averaged weights where there are any."""
        return self.generator if self.ema_generator is None else self.ema_generator

    # --- the step ---------------------------------------------------------------------------------------------------

    def _batch(self, data: Any) -> Batch:
        raise NotImplementedError

    def _generate(self, batch: Batch, training: bool) -> Any:
        return self.generator(batch.inputs, training=training)

    def _judge(self, samples: Any, batch: Batch, training: bool) -> Any:
        return self.discriminator(samples, training=training)

    def _term_names(self) -> list[str]:
        """What _terms gives beside the adversarial term."""
        return []

    def _terms(self, batch: Batch, fake: Any) -> dict[str, tuple[float, Any]]:
        """Further terms of the generator's loss, by name: weight and value."""
        return {}

    _adversarial_weight = 1.0

    def _renew(self, batch: Batch) -> Batch:
        """The batch for another update of the discriminator: with new noise."""
        return batch

    def _discriminator_loss(self, batch: Batch, fake: Any) -> tuple[Any, Any, Any]:
        real_scores = self._judge(batch.real, batch, True)
        fake_scores = self._judge(fake, batch, True)
        loss = self.game.discriminator(real_scores, fake_scores, self._logits, self.label_smoothing)
        if self.gradient_penalty:
            penalty = self._penalty(self.discriminator, batch.real, fake, lambda x: self._judge(x, batch, True))
            loss = ops.add(loss, ops.multiply(penalty, float(self.gradient_penalty)))
        return loss, real_scores, fake_scores

    def _penalty(self, judge: Any, real: Any, fake: Any, score: Any) -> Any:
        """mean (|d score / d x| - 1)^2 at points between real and generated samples."""
        n = real.shape[0]
        share = random.uniform((n, *(1,) * (len(real.shape) - 1)), seed=self.seed_generator)
        mixed = ops.add(ops.multiply(real, share), ops.multiply(fake, ops.subtract(1.0, share)))
        with GradientTape(watch_accessed_variables=False) as tape, statistics_kept(judge):
            tape.watch(mixed)
            total = ops.sum(score(mixed))
        slope = ops.reshape(tape.gradient(total, mixed), (n, -1))
        norm = ops.sqrt(ops.add(ops.sum(ops.square(slope), axis=1), 1e-12))
        return ops.mean(ops.square(ops.subtract(norm, 1.0)))

    def _generator_loss(self, batch: Batch, fake: Any, training: bool) -> tuple[Any, dict[str, Any]]:
        scores = self._judge(fake, batch, training)
        real = ops.stop_gradient(self._judge(batch.real, batch, training)) if self.game.relative else None
        loss = ops.multiply(self.game.generator(real, scores, self._logits), float(self._adversarial_weight))
        logged = {}
        for name, (weight, value) in self._terms(batch, fake).items():
            loss, logged[name] = ops.add(loss, ops.multiply(value, float(weight))), value
        if self.aux_loss is not None:
            loss = ops.add(loss, ops.mean(self.aux_loss(batch.real, fake)))
        return loss, logged

    @tracked
    def train_step(self, data: Any) -> dict[str, Any]:
        """n_critic updates of the discriminator and one of the generator."""
        batch = self._batch(data)
        g_variables, d_variables = self._g_variables(), self._d_variables()
        for k in range(self.n_critic):
            last = k == self.n_critic - 1
            batch = self._renew(batch) if k else batch
            g_tape = GradientTape(watch_accessed_variables=False)
            with g_tape, nullcontext() if last else statistics_kept(self.generator):
                g_tape.watch(g_variables)
                fake = self._generate(batch, True)
            with GradientTape(watch_accessed_variables=False) as d_tape:
                d_tape.watch(d_variables)
                d_loss, real_scores, fake_scores = self._discriminator_loss(batch, ops.stop_gradient(fake))
            self.d_optimizer.apply(d_tape.gradient(d_loss, d_variables), d_variables)
            self._clip(d_variables)
        with g_tape, statistics_kept(self.discriminator):
            g_loss, terms = self._generator_loss(batch, fake, True)
        self.g_optimizer.apply(g_tape.gradient(g_loss, g_variables), g_variables)
        self._update_average()
        self._log_all(batch.size, d_loss, g_loss, real_scores, fake_scores, terms)
        return self.get_metrics_result()

    def _clip(self, variables: list[Variable]) -> None:
        if self.clip_value is None:
            return
        flat = self.d_optimizer._flat
        whole = flat is not None and flat.is_current and list(flat.members) == variables
        for v in [flat] if whole else variables:
            v.assign(ops.clip(v.value, -self.clip_value, self.clip_value))

    def _log_all(self, size: int, d_loss: Any, g_loss: Any, real: Any, fake: Any, terms: dict[str, Any]) -> None:
        show = ops.sigmoid if self.game.likely and self._logits else (lambda x: x)
        values = {"d_loss": d_loss, "g_loss": g_loss, "d_real": ops.mean(show(real)), "d_fake": ops.mean(show(fake))}
        for name, value in {**values, **terms}.items():
            self._log(name, value, size)

    @tracked
    def test_step(self, data: Any) -> dict[str, Any]:
        """Both losses, without an update and without a gradient penalty."""
        batch = self._batch(data)
        fake = self._generate(batch, False)
        real_scores, fake_scores = self._judge(batch.real, batch, False), self._judge(fake, batch, False)
        d_loss = self.game.discriminator(real_scores, fake_scores, self._logits, self.label_smoothing)
        g_loss, terms = self._generator_loss(batch, fake, False)
        self._log_all(batch.size, d_loss, g_loss, real_scores, fake_scores, terms)
        return self.get_metrics_result()

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        return self.generator(inputs, training=training)

    # --- fit --------------------------------------------------------------------------------------------------------

    def fit(  # type: ignore[override]
        self, x: Any = None, y: Any = None, batch_size: int | None = None, epochs: int = 1, verbose: Any = "auto",
        callbacks: Any = None, **kwargs: Any,
    ) -> Any:  # fmt: skip
        """As Model.fit. Warns, with advice, when training diverges or the generator collapses (callbacks.WatchGAN)."""
        from berrante.generative_callbacks import WatchGAN

        listed = list(callbacks) if isinstance(callbacks, (list, tuple)) else [callbacks] if callbacks else []
        if not any(isinstance(c, WatchGAN) for c in listed):
            listed.append(WatchGAN())
        return super().fit(x, y, batch_size, epochs, verbose, listed, **kwargs)

    def _check_data(self, data: Any) -> None:
        if data.size == 0:
            raise ValueError(f"{self._label()} x: expected at least one sample; received an empty array")
        what, real = self._real_of(data)
        check_range(self._label(), what, real, final_activation(self.generator))
        # What WatchGAN compares samples with.
        object.__setattr__(self, "_some_real", real[:64] if hasattr(real, "ndim") else None)

    def _real_of(self, data: Any) -> tuple[str, Any]:
        """The argument that holds real samples."""
        return "x", data.data[0]


def _optimizer(given: Any) -> Any:
    from berrante import optimizers

    return optimizers.Adam(2e-4, beta_1=0.5) if given is None else optimizers.get(given)


@contextmanager
def statistics_kept(model: Any) -> Iterator[None]:
    """Inside, a model may compute as in training; its weights that do not train are afterwards what they were."""
    trained = set(model.trainable_weights)
    variables = [v for v in model.weights if v not in trained]
    graph = trace.current()
    if graph is None:
        before = [v.numpy() for v in variables]
        yield
        for v, value in zip(variables, before, strict=True):
            v.assign(value)
        return
    known = [graph.updates.get(v) for v in variables]
    yield
    for v, value in zip(variables, known, strict=True):
        if value is not None:
            graph.updates[v] = value
        else:
            graph.updates.pop(v, None)
