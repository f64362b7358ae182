"""CycleGAN (Zhu et al., 2017): translates between two kinds of images without pairs."""

from __future__ import annotations

from typing import Any

import numpy as np

from berrante import ops
from berrante.data import unpack
from berrante.graph.tape import GradientTape
from berrante.graph.variable import Variable
from berrante.models.generative.adversarial import Adversarial, statistics_kept
from berrante.models.generative.base import check_range, final_activation
from berrante.models.steps import tracked


class CycleGAN(Adversarial):
    """G makes y of x, F makes x of y, and each undoes the other: `fit(x, y)` on unpaired images of equal number.

    Args:
        generator_G, generator_F: from x to y and from y to x. discriminator_X, discriminator_Y: judge x and y.
        lambda_cycle: the weight of |F(G(x)) - x| + |G(F(y)) - y|.
        lambda_identity: times lambda_cycle, that of |G(y) - y| + |F(x) - x|; 0 leaves it out.

    One optimizer trains both generators, another both discriminators. The loss is "lsgan" by default. Logs: d_loss and g_loss
    (sums of both sides), d_real, d_fake, cycle_loss.
    """

    parts: tuple[str, ...] = ("generator_G", "generator_F", "discriminator_X", "discriminator_Y")
    settings = ("lambda_cycle", "lambda_identity")
    _default_loss = "lsgan"
    generator_G: Any
    generator_F: Any
    discriminator_X: Any
    discriminator_Y: Any

    def __init__(
        self, generator_G: Any, generator_F: Any, discriminator_X: Any, discriminator_Y: Any, lambda_cycle: float = 10.0,
        lambda_identity: float = 0.5, name: str | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(name=name, **kwargs)
        for part, model in zip(self.parts, (generator_G, generator_F, discriminator_X, discriminator_Y), strict=True):
            self._add_part(part, model)
        for what, value in (("lambda_cycle", lambda_cycle), ("lambda_identity", lambda_identity)):
            if value < 0:
                raise ValueError(f"{self._label()} {what}: expected a weight of at least 0; received {value}")
        self.lambda_cycle, self.lambda_identity = float(lambda_cycle), float(lambda_identity)
        self._check_built()

    def _judges(self) -> list[Any]:
        return [self.discriminator_X, self.discriminator_Y]

    def _g_variables(self) -> list[Variable]:
        return self._trainable_of("generators", [self.generator_G, self.generator_F])

    def _d_variables(self) -> list[Variable]:
        return self._trainable_of("discriminators", [self.discriminator_X, self.discriminator_Y])

    def _term_names(self) -> list[str]:
        return ["cycle_loss"]

    def _images(self, data: Any) -> tuple[Any, Any]:
        x, y, _ = unpack(data)
        if y is None:
            raise ValueError(f"{self._label()} y: expected images of the other kind; received None: fit(x, y)")
        return x, y

    def _build_from(self, data: Any, batch: int) -> None:
        from berrante.data import specs_of
        from berrante.graph import trace

        with trace.tracing() as graph:
            x, y = self._images(data.restore([graph.add_input(s) for s in specs_of(data.leaves, batch)]))
            for model, image in ((self.generator_G, x), (self.generator_F, y)):
                model(image, training=False)
            for model, image in ((self.discriminator_X, x), (self.discriminator_Y, y)):
                model(image, training=False)

    def _side(self, judge: Any, real: Any, fake: Any) -> tuple[Any, Any, Any]:
        """The loss of one discriminator, and its scores."""
        a, b = judge(real, training=True), judge(fake, training=True)
        loss = self.game.discriminator(a, b, self._logits, self.label_smoothing)
        if self.gradient_penalty:
            penalty = self._penalty(judge, real, fake, lambda v: judge(v, training=True))
            loss = ops.add(loss, ops.multiply(penalty, float(self.gradient_penalty)))
        return loss, a, b

    def _made(self, x: Any, y: Any, training: bool) -> tuple[Any, Any]:
        return self.generator_G(x, training=training), self.generator_F(y, training=training)

    def _pair_loss(self, x: Any, y: Any, fake_x: Any, fake_y: Any, training: bool) -> tuple[Any, Any]:
        """The generators' loss, and the cycle's."""
        loss: Any = 0.0
        for judge, real, fake in ((self.discriminator_X, x, fake_x), (self.discriminator_Y, y, fake_y)):
            real_scores = ops.stop_gradient(judge(real, training=training)) if self.game.relative else None
            loss = ops.add(loss, self.game.generator(real_scores, judge(fake, training=training), self._logits))
        back_x = self.generator_F(fake_y, training=training)
        back_y = self.generator_G(fake_x, training=training)
        distance = lambda a, b: ops.mean(ops.absolute(ops.subtract(a, b)))
        cycle = ops.add(distance(back_x, x), distance(back_y, y))
        loss = ops.add(loss, ops.multiply(cycle, self.lambda_cycle))
        if self.lambda_identity:
            same = ops.add(
                distance(self.generator_G(y, training=training), y), distance(self.generator_F(x, training=training), x)
            )
            loss = ops.add(loss, ops.multiply(same, self.lambda_cycle * self.lambda_identity))
        return loss, cycle

    @tracked
    def train_step(self, data: Any) -> dict[str, Any]:
        """n_critic updates of both discriminators and one of both generators."""
        x, y = self._images(data)
        g_variables, d_variables = self._g_variables(), self._d_variables()
        g_tape = GradientTape(watch_accessed_variables=False)
        with g_tape:
            g_tape.watch(g_variables)
            fake_y, fake_x = self._made(x, y, True)
        for _ in range(self.n_critic):
            with GradientTape(watch_accessed_variables=False) as d_tape:
                d_tape.watch(d_variables)
                loss_x, real_x, score_x = self._side(self.discriminator_X, x, ops.stop_gradient(fake_x))
                loss_y, real_y, score_y = self._side(self.discriminator_Y, y, ops.stop_gradient(fake_y))
                d_loss = ops.add(loss_x, loss_y)
            self.d_optimizer.apply(d_tape.gradient(d_loss, d_variables), d_variables)
            self._clip(d_variables)
        with g_tape, statistics_kept(self.discriminator_X), statistics_kept(self.discriminator_Y):
            g_loss, cycle = self._pair_loss(x, y, fake_x, fake_y, True)
        self.g_optimizer.apply(g_tape.gradient(g_loss, g_variables), g_variables)
        self._log_pair(x.shape[0], d_loss, g_loss, (real_x, real_y), (score_x, score_y), cycle)
        return self.get_metrics_result()

    def _log_pair(self, size: int, d_loss: Any, g_loss: Any, real: Any, fake: Any, cycle: Any) -> None:
        real, fake = (ops.concatenate([ops.reshape(s, (-1,)) for s in scores]) for scores in (real, fake))
        self._log_all(size, d_loss, g_loss, real, fake, {"cycle_loss": cycle})

    @tracked
    def test_step(self, data: Any) -> dict[str, Any]:
        """The losses, without an update."""
        x, y = self._images(data)
        fake_y, fake_x = self._made(x, y, False)
        real = tuple(j(v, training=False) for j, v in ((self.discriminator_X, x), (self.discriminator_Y, y)))
        fake = tuple(j(v, training=False) for j, v in ((self.discriminator_X, fake_x), (self.discriminator_Y, fake_y)))
        sides = [
            self.game.discriminator(a, b, self._logits, self.label_smoothing) for a, b in zip(real, fake, strict=True)
        ]
        g_loss, cycle = self._pair_loss(x, y, fake_x, fake_y, False)
        self._log_pair(x.shape[0], ops.add(*sides), g_loss, real, fake, cycle)
        return self.get_metrics_result()

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        return self.generator_G(inputs, training=training)

    def _check_data(self, data: Any) -> None:
        x, y = data.data[:2]
        check_range(self._label(), "x", x, final_activation(self.generator_F))
        check_range(self._label(), "y", y, final_activation(self.generator_G))

    def translate(self, x: Any, batch_size: int = 32) -> np.ndarray:
        """Images of the second kind, made of x."""
        y: np.ndarray = self._batched("translate", lambda a: self.generator_G(a, training=False), [x], batch_size)
        return y

    def translate_back(self, y: Any, batch_size: int = 32) -> np.ndarray:
        """Images of the first kind, made of y."""
        x: np.ndarray = self._batched("translate_back", lambda a: self.generator_F(a, training=False), [y], batch_size)
        return x
