"""Models as scikit-learn estimators: its own checks, pipelines, grid searches, pickles."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

import berrante
from berrante import layers as L

sklearn = pytest.importorskip("sklearn", minversion="1.6")


def mlp(X: Any, y: Any, loss: str, activation: str | None = None, units: int = 20) -> Any:
    model = berrante.Sequential(
        [L.Input((X.shape[1],)), L.Dense(units, activation="relu"), L.Dense(y.shape[1], activation=activation)]
    )
    model.compile(berrante.optimizers.Adam(0.05), loss)
    return model


CLASSIFIER = {"loss": "categorical_crossentropy", "activation": "softmax"}
ESTIMATORS = {
    "SKLearnClassifier": (CLASSIFIER, 30), "SKLearnRegressor": ({"loss": "mse"}, 5), "SKLearnTransformer": ({"loss": "mse"}, 2),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ESTIMATORS)
def test_scikit_learns_own_checks_pass(name: str) -> None:
    from sklearn.utils.estimator_checks import check_estimator

    berrante.utils.set_random_seed(0)
    arguments, epochs = ESTIMATORS[name]
    estimator = getattr(berrante.wrappers, name)(mlp, model_kwargs=arguments, fit_kwargs={"epochs": epochs})
    results = check_estimator(estimator, on_fail=None, on_skip=None)
    failed = {r["check_name"]: str(r["exception"])[:300] for r in results if r["status"] == "failed"}
    assert not failed
    assert sum(r["status"] == "passed" for r in results) > 30


def digits() -> tuple[np.ndarray, np.ndarray]:
    x, y = sklearn.datasets.load_digits(return_X_y=True)
    return x[:400].astype("float32") / 16.0, y[:400]


def test_in_a_pipeline_and_pickled() -> None:
    import sklearn.datasets
    import sklearn.pipeline
    import sklearn.preprocessing

    x, y = digits()
    names = np.array([f"digit {i}" for i in range(10)])[y]
    wrapped = berrante.wrappers.SKLearnClassifier(mlp, model_kwargs=CLASSIFIER, fit_kwargs={"epochs": 10})
    chain = sklearn.pipeline.make_pipeline(sklearn.preprocessing.StandardScaler(), wrapped).fit(x, names)
    assert chain.score(x, names) > 0.9 and chain.predict(x[:3])[0].startswith("digit")
    again = pickle.loads(pickle.dumps(chain))
    np.testing.assert_array_equal(again.predict(x), chain.predict(x))


def test_a_model_instance_stays_as_it_is() -> None:
    x = np.random.default_rng(0).random((40, 3)).astype("float32")
    model = mlp(x, x[:, :1], "mse")
    before = model.get_weights()
    estimator = berrante.wrappers.SKLearnRegressor(model, fit_kwargs={"epochs": 3}).fit(x, x[:, 0])
    assert estimator.predict(x).shape == (40,) and estimator.epoch_ == 3
    for a, b in zip(before, model.get_weights()):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(RuntimeError, match="needs to be compiled"):
        berrante.wrappers.SKLearnRegressor(berrante.Sequential([L.Input((3,)), L.Dense(1)])).fit(x, x[:, 0])


def build(units: int = 8, loss: str = "categorical_crossentropy") -> Any:
    model = berrante.Sequential([L.Input((64,)), L.Dense(units, activation="relu"), L.Dense(10, activation="softmax")])
    model.compile("adam", loss, metrics=["accuracy"])
    return model


def test_keras_2s_classifier_in_a_grid_search() -> None:
    import sklearn.datasets
    from sklearn.model_selection import GridSearchCV

    x, y = digits()
    wrapped = berrante.wrappers.KerasClassifier(build, epochs=15, verbose=0)
    search = GridSearchCV(wrapped, {"units": [2, 30], "batch_size": [16]}, cv=2).fit(x, y)
    assert search.best_params_["units"] == 30 and search.best_score_ > 0.6
    best = search.best_estimator_
    assert best.predict_proba(x[:5]).shape == (5, 10) and best.predict(x[:5]).shape == (5,)
    with pytest.raises(ValueError, match="depth is not a legal parameter"):
        berrante.wrappers.KerasClassifier(build, depth=3)
    with pytest.raises(sklearn.exceptions.NotFittedError):
        wrapped.predict(x)


def test_keras_2s_regressor() -> None:
    def line() -> Any:
        model = berrante.Sequential([L.Input((1,)), L.Dense(1)])
        model.compile(berrante.optimizers.Adam(0.1), "mse")
        return model

    x = np.linspace(-1, 1, 60).astype("float32").reshape(-1, 1)
    regressor = berrante.wrappers.KerasRegressor(line, epochs=60, verbose=0)
    regressor.fit(x, 3 * x[:, 0] + 1)
    assert regressor.score(x, 3 * x[:, 0] + 1) > -1e-3
    np.testing.assert_allclose(regressor.predict(x), 3 * x[:, 0] + 1, atol=0.1)
