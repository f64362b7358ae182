"""Keras 2's update rules: optimizers of a script's own, K.function's updates, random numbers that are others each time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from berrante.compat import install_as_keras, uninstall


@pytest.fixture(autouse=True)
def keras2() -> Iterator[None]:
    install_as_keras(2)
    yield
    uninstall()


def own_optimizer() -> Any:
    """Gradient descent with momentum, in the way of Keras 2's own optimizers."""
    from keras import backend as K
    from keras.legacy import interfaces
    from keras.optimizers import Optimizer

    class Own(Optimizer):  # type: ignore[misc]
        def __init__(self, lr: float = 0.01, momentum: float = 0.0, decay: float = 0.0, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            with K.name_scope(self.__class__.__name__):
                self.iterations = K.variable(0, dtype="int64", name="iterations")
                self.lr = K.variable(lr, name="lr")
                self.momentum = K.variable(momentum, name="momentum")
                self.decay = K.variable(decay, name="decay")

        @interfaces.legacy_get_updates_support  # type: ignore[untyped-decorator]
        def get_updates(self, loss: Any, params: Any) -> Any:
            grads = self.get_gradients(loss, params)
            self.updates = [K.update_add(self.iterations, 1)]
            lr = self.lr * (1.0 / (1.0 + self.decay * K.cast(self.iterations, K.dtype(self.decay))))
            moments = [K.zeros(K.int_shape(p)) for p in params]
            self.weights = [self.iterations, *moments]
            for p, g, m in zip(params, grads, moments):
                v = self.momentum * m - lr * g
                self.updates.append(K.update(m, v))
                self.updates.append(K.update(p, p + v))
            return self.updates

        def get_config(self) -> Any:
            return {name: float(K.get_value(getattr(self, name))) for name in ("lr", "momentum", "decay")}

    return Own


def network() -> Any:
    from keras.layers import Dense
    from keras.models import Sequential

    np.random.seed(1)
    return Sequential([Dense(4, activation="tanh", input_dim=5), Dense(2)])


def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.random((50, 5)), rng.random((50, 2))


@pytest.mark.parametrize("clip", [{}, {"clipnorm": 0.1}])
def test_a_scripts_own_optimizer_trains_as_the_built_in_one(clip: Any) -> None:
    """Batches of two sizes, so that the rule is traced twice over the same moments."""
    from keras.optimizers import SGD

    x, y = data()
    losses = []
    for optimizer in (own_optimizer()(0.1, 0.9, 0.01, **clip), SGD(0.1, 0.9, 0.01, **clip)):
        model = network()
        model.compile(optimizer, "mse")
        losses.append(model.fit(x, y, batch_size=16, epochs=4, verbose=0, shuffle=False).history["loss"])
        assert [w.shape for w in optimizer.get_weights()] == [(), (5, 4), (4,), (4, 2), (2,)]
        assert optimizer.get_weights()[0] == 16
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-6)


def test_its_state_is_saved_and_goes_on(tmp_path: Any) -> None:
    from keras.models import load_model

    own = own_optimizer()
    x, y = data()
    model = network()
    model.compile(own(0.1, 0.9), "mse")
    model.fit(x, y, epochs=2, verbose=0, shuffle=False)
    model.save(str(tmp_path / "m.h5"))
    twin = load_model(str(tmp_path / "m.h5"), custom_objects={"Own": own})
    for m in (model, twin):
        m.fit(x, y, epochs=2, verbose=0, shuffle=False)
    for a, b in zip(model.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_get_updates_among_the_updates_of_a_function() -> None:
    """Reinforcement learning scripts train this way."""
    from keras import backend as K
    from keras.optimizers import Adam

    x, y = data()
    inputs, targets = K.placeholder((None, 5)), K.placeholder((None, 2))
    for optimizer in (Adam(0.05), own_optimizer()(0.1)):
        model, twin = network(), network()
        twin.set_weights(model.get_weights())
        loss = K.mean(K.square(model(inputs) - targets))
        step = K.function([inputs, targets], [loss], updates=optimizer.get_updates(loss, model.trainable_weights))
        found = [float(step([x, y])[0]) for _ in range(4)]
        twin.compile(type(optimizer)(**optimizer.get_config()), "mse")
        np.testing.assert_allclose(found, [twin.train_on_batch(x, y) for _ in range(4)], rtol=1e-5)


def test_updates_of_placeholders_wait_for_the_function() -> None:
    from keras import backend as K

    count, x = K.variable(1.0), K.placeholder(())
    f = K.function([x], [count + 0.0 * x], updates=[K.update_add(count, x)])
    assert [float(f([2.0])[0]) for _ in range(3)] == [1.0, 3.0, 5.0] and float(K.get_value(count)) == 7.0


@pytest.mark.parametrize("draw", ["random_normal", "random_uniform", "truncated_normal", "random_binomial"])
def test_random_numbers_are_others_at_each_run(draw: str) -> None:
    from keras import backend as K
    from keras.layers import Input, Lambda
    from keras.models import Model

    more = {"p": 0.5} if draw == "random_binomial" else {}
    r = getattr(K, draw)((40, 30), seed=3, **more)
    first, second = K.eval(r), K.eval(r)
    assert first.shape == (40, 30) and (first != second).any()
    assert abs((first.mean() + second.mean()) / 2 - {"random_binomial": 0.5, "random_uniform": 0.5}.get(draw, 0)) < 0.1
    assert np.array_equal(K.eval(getattr(K, draw)((40, 30), seed=3, **more)), first)  # the seed repeats the sequence
    x = K.placeholder((None, 30))
    f = K.function([x], [x + r])
    zeros = np.zeros((40, 30), np.float32)
    assert (f([zeros])[0] != f([zeros])[0]).any()
    inputs = Input((30,))
    noisy = Model(inputs, Lambda(lambda z: z + getattr(K, draw)((40, 30), seed=5, **more))(inputs))
    assert (noisy.predict(zeros, batch_size=40) != noisy.predict(zeros, batch_size=40)).any()
    closed_over = Model(inputs, Lambda(lambda z: z + r)(inputs))
    assert (closed_over.predict(zeros, batch_size=40) != closed_over.predict(zeros, batch_size=40)).any()
    with pytest.raises(TypeError, match="needs the value"):
        np.asarray(x)


def test_random_numbers_as_first_values_and_in_losses() -> None:
    from keras import backend as K
    from keras.layers import Dense
    from keras.models import Sequential

    model = Sequential(
        [Dense(3, input_dim=2, kernel_initializer=lambda shape, dtype=None: K.random_normal(shape) * 0.1)]
    )
    assert 0 < np.abs(model.get_weights()[0]).max() < 1
    assert K.get_value(K.variable(K.random_uniform((3, 2)))).shape == (3, 2)
    model.compile("sgd", lambda y, p: K.mean(K.square(p - y + K.random_normal(K.shape(p))), axis=-1))
    x = np.ones((4, 2), np.float32)
    assert model.test_on_batch(x, np.ones((4, 3))) != model.test_on_batch(x, np.ones((4, 3)))
    model.add_loss(K.mean(K.square(model.output + K.random_normal((4, 3)))))
    model.compile("sgd")
    assert model.test_on_batch(x, None) != model.test_on_batch(x, None)


def test_keras_3_draws_at_once() -> None:
    from berrante.compat import backend as K
    from berrante.compat import dialect

    dialect.take(3)
    try:
        assert np.asarray(K.random_normal((2, 3))).shape == (2, 3)
    finally:
        dialect.take(2)
