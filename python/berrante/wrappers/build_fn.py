"""KerasClassifier and KerasRegressor, after Keras 2's keras.wrappers.scikit_learn: estimators from a function that builds."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from berrante.models import Sequential
from berrante.utils import to_categorical


class BaseWrapper(BaseEstimator):
    """A function build_fn(**arguments) that gives a compiled model, as an estimator.

    sk_params are arguments of build_fn, or of the model's fit, predict and evaluate (epochs, batch_size, verbose ...), so
    that a grid search may vary both. Without build_fn, a subclass's __call__ builds.
    """

    def __init__(self, build_fn: Any = None, **sk_params: Any) -> None:
        self.build_fn, self.sk_params = build_fn, sk_params
        self.check_params(sk_params)

    def _builder(self) -> Any:
        if self.build_fn is None:
            return self.__call__  # type: ignore[attr-defined]
        return self.build_fn if inspect.isroutine(self.build_fn) else self.build_fn.__call__

    def check_params(self, params: dict[str, Any]) -> None:
        """ValueError for a parameter that nothing takes."""
        methods = (Sequential.fit, Sequential.predict, Sequential.evaluate, self._builder())
        legal = {name for method in methods for name in inspect.signature(method).parameters} | {"nb_epoch"}
        anything = any(
            p.kind is inspect.Parameter.VAR_KEYWORD for p in inspect.signature(self._builder()).parameters.values()
        )
        for name in params:
            if name not in legal and not anything:
                raise ValueError(f"{name} is not a legal parameter")

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        return {**self.sk_params, "build_fn": self.build_fn}

    def set_params(self, **params: Any) -> Any:
        self.check_params({k: v for k, v in params.items() if k != "build_fn"})
        self.build_fn = params.pop("build_fn", self.build_fn)
        self.sk_params.update(params)
        return self

    def filter_sk_params(self, function: Any, override: dict[str, Any] | None = None) -> dict[str, Any]:
        """Those of sk_params that a function takes, and the overriding ones."""
        taken = inspect.signature(function).parameters
        return {**{k: v for k, v in self.sk_params.items() if k in taken}, **(override or {})}

    def fit(self, x: Any, y: Any, **kwargs: Any) -> Any:
        """Builds a model and trains it; gives its History."""
        builder = self._builder()
        self.model = builder(**self.filter_sk_params(builder))
        y = np.asarray(y)
        if _loss_name(self.model) == "categorical_crossentropy" and y.ndim != 2:
            y = to_categorical(y)
        arguments = self.filter_sk_params(Sequential.fit)
        if "nb_epoch" in self.sk_params:
            arguments["epochs"] = self.sk_params["nb_epoch"]
        return self.model.fit(np.asarray(x), y, **{**arguments, **kwargs})

    def _fitted(self) -> Any:
        if not hasattr(self, "model"):
            from sklearn.exceptions import NotFittedError

            raise NotFittedError(f"{type(self).__name__}: call fit() first")
        return self.model

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model")


def _loss_name(model: Any) -> Any:
    return getattr(model.loss, "__name__", getattr(model.loss, "name", model.loss))


class KerasClassifier(ClassifierMixin, BaseWrapper):
    """A classifier for labels of any kind, or one-hot rows. classes_: the labels."""

    def fit(self, x: Any, y: Any, **kwargs: Any) -> Any:
        y = np.asarray(y)
        if y.ndim == 2 and y.shape[1] > 1:
            self.classes_ = np.arange(y.shape[1])
        elif y.ndim == 1 or (y.ndim == 2 and y.shape[1] == 1):
            self.classes_ = np.unique(y)
            y = np.searchsorted(self.classes_, y)
        else:
            raise ValueError(f"Invalid shape for y: {y.shape}")
        self.n_classes_ = len(self.classes_)
        return super().fit(x, y, **kwargs)

    def predict(self, x: Any, **kwargs: Any) -> np.ndarray:
        """The label of each sample."""
        outputs = self._probabilities(x, kwargs)
        places = outputs.argmax(-1) if outputs.shape[-1] > 1 else (outputs > 0.5).astype(np.int32)
        labels: np.ndarray = self.classes_[places]
        return labels

    def predict_proba(self, x: Any, **kwargs: Any) -> np.ndarray:
        """The probability of each class [N, classes]."""
        outputs = self._probabilities(x, kwargs)
        return np.hstack([1 - outputs, outputs]) if outputs.shape[1] == 1 else outputs

    def _probabilities(self, x: Any, kwargs: dict[str, Any]) -> np.ndarray:
        arguments = self.filter_sk_params(Sequential.predict, kwargs)
        outputs: np.ndarray = self._fitted().predict(np.asarray(x), **arguments)
        return outputs

    def score(self, x: Any, y: Any, **kwargs: Any) -> float:
        """The accuracy, which the model must be compiled with."""
        model = self._fitted()
        y = np.searchsorted(self.classes_, y) if np.ndim(y) == 1 else np.asarray(y)
        if _loss_name(model) == "categorical_crossentropy" and y.ndim != 2:
            y = to_categorical(y, self.n_classes_)
        arguments = self.filter_sk_params(Sequential.evaluate, kwargs)
        logs = model.evaluate(np.asarray(x), y, **{**arguments, "return_dict": True})
        for name in ("accuracy", "acc"):
            if name in logs:
                return float(logs[name])
        raise ValueError(
            "The model is not configured to compute accuracy. You should pass `metrics=['accuracy']` to the "
            "`model.compile()` method."
        )


class KerasRegressor(RegressorMixin, BaseWrapper):
    """A regressor."""

    def predict(self, x: Any, **kwargs: Any) -> np.ndarray:
        """The prediction of each sample."""
        outputs = self._fitted().predict(np.asarray(x), **self.filter_sk_params(Sequential.predict, kwargs))
        return np.squeeze(outputs, axis=-1)

    def score(self, x: Any, y: Any, **kwargs: Any) -> float:
        """The loss, negated: larger is better."""
        arguments = self.filter_sk_params(Sequential.evaluate, kwargs)
        loss = self._fitted().evaluate(np.asarray(x), np.asarray(y), **arguments)
        return -float(loss[0] if isinstance(loss, list) else loss)
