"""SKLearnClassifier, SKLearnRegressor and SKLearnTransformer, after keras.wrappers (Keras 3).

They pass scikit-learn's check_estimator, for which fits are repeatable (the same data give the same model; set_random_seed
chooses which) and decision_function has one column for two classes.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, TransformerMixin
from sklearn.exceptions import DataConversionWarning
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from berrante import random
from berrante.models import Model, clone_model


@contextmanager
def _repeatable() -> Iterator[None]:
    """Seeds and draws start anew from the global seed, and go on afterwards where they were."""
    state, seeds = random._global.state, random._seeds
    before = state.numpy()
    state.assign(np.array([before[0], 0], np.int32))
    random._seeds = np.random.default_rng(int(before[0]) & 0xFFFFFFFF)
    try:
        yield
    finally:
        random._seeds = seeds
        state.assign(before)


class _Wrapper(BaseEstimator):
    """The common part.

    Args:
        model: a compiled Model, of which each fit trains a copy, or a function model(X, y, **model_kwargs) that gives one.
        warm_start: whether fit goes on with the model of the fit before.
        model_kwargs: for the function.
        fit_kwargs: for the model's fit.

    Attributes after fit: model_, history_, n_features_in_.
    """

    def __init__(
        self, model: Any, warm_start: bool = False, model_kwargs: dict[str, Any] | None = None,
        fit_kwargs: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        self.model, self.warm_start, self.model_kwargs, self.fit_kwargs = model, warm_start, model_kwargs, fit_kwargs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.non_deterministic = True
        return tags

    def __sklearn_clone__(self) -> Any:
        model = _copy(self.model) if isinstance(self.model, Model) else self.model
        return type(self)(model, self.warm_start, copy.deepcopy(self.model_kwargs), copy.deepcopy(self.fit_kwargs))

    @property
    def epoch_(self) -> int:
        """How many epochs the last fit made."""
        return len(self.history_.epoch) if hasattr(self, "history_") else 0

    def _make_model(self, X: np.ndarray, y: Any) -> Any:
        if self.warm_start and hasattr(self, "model_"):
            return self.model_
        model = (
            _copy(self.model) if isinstance(self.model, Model) else self.model(X=X, y=y, **(self.model_kwargs or {}))
        )
        if not model.compiled or not model.loss or not model.optimizer:
            raise RuntimeError("Given model needs to be compiled, and have a loss and an optimizer.")
        return model

    def fit(self, X: Any, y: Any, **kwargs: Any) -> Any:
        """Trains the model on X [N, features] and y; kwargs (sample_weight, callbacks ...) are the model's fit's."""
        X, y = validate_data(self, X, y, multi_output=True)
        if kwargs.get("sample_weight") is not None:
            kwargs["sample_weight"] = _check_sample_weight(kwargs["sample_weight"], X)
        y = self._encode(y, kwargs.get("sample_weight"))
        with _repeatable():
            model = self._make_model(X, y)
            self.history_ = model.fit(X, y, **{"verbose": 0, **(self.fit_kwargs or {}), **kwargs})
        self.model_ = model
        return self

    def _encode(self, y: np.ndarray, sample_weight: Any) -> np.ndarray:
        """Targets as the model takes them: [N, outputs]."""
        type_of_target(y, raise_unknown=True)
        self._one_column = y.ndim == 1
        return y.reshape(-1, 1) if y.ndim == 1 else y

    def _outputs(self, X: Any) -> Any:
        check_is_fitted(self)
        X = validate_data(self, X, reset=False)
        return self.model_.predict(X, verbose=0)

    def predict(self, X: Any) -> np.ndarray:
        """Predictions in the form that y had."""
        y = self._outputs(X)
        return np.squeeze(y, axis=1) if self._one_column and y.ndim == 2 else y

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        if "history_" in state:  # its model is the model_, which is kept as such
            history = copy.copy(state["history_"])
            history._model = None
            state["history_"] = history
        return state


class SKLearnClassifier(ClassifierMixin, _Wrapper):
    """A model of probabilities (or scores) [N, classes], trained on one-hot rows, as a classifier. classes_: its labels."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.poor_score = True
        return tags

    def _encode(self, y: np.ndarray, sample_weight: Any) -> np.ndarray:
        kind = type_of_target(y, raise_unknown=True)
        if kind not in ("binary", "multiclass"):
            raise ValueError(f"Only binary and multiclass target types are supported. Target type: {kind}")
        if y.ndim == 2:
            warnings.warn(
                "A column-vector y was passed when a 1d array was expected. Please change the shape of y to (n_samples,), "
                "for example using ravel().",
                DataConversionWarning,
                stacklevel=3,
            )
        labels = y.reshape(-1)
        present = labels if sample_weight is None else labels[np.asarray(sample_weight) > 0]
        if len(np.unique(present)) == 1:
            after = "" if sample_weight is None else " after leaving out samples whose sample_weight is 0"
            raise ValueError(f"Classifier can't train when only one class is present{after}.")
        self.classes_, places = np.unique(labels, return_inverse=True)
        return np.eye(len(self.classes_), dtype=np.float32)[places.reshape(-1)]

    def predict(self, X: Any) -> np.ndarray:
        """The most probable label of each sample."""
        places = np.argmax(self._outputs(X), axis=1)
        labels: np.ndarray = self.classes_[places]
        return labels

    def decision_function(self, X: Any) -> np.ndarray:
        """The model's outputs [N, classes]; for two classes the second one's lead [N]."""
        scores: np.ndarray = self._outputs(X)
        return scores[:, 1] - scores[:, 0] if scores.shape[1] == 2 else scores


class SKLearnRegressor(RegressorMixin, _Wrapper):
    """A model of numbers as a regressor."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True
        tags.target_tags.multi_output = True
        return tags

    def predict(self, X: Any) -> np.ndarray:
        """Predictions in the form that y had, as float64."""
        return super().predict(X).astype(np.float64)


class SKLearnTransformer(TransformerMixin, _Wrapper):
    """A model whose outputs are features, as a transformer."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        tags.target_tags.multi_output = True
        return tags

    def transform(self, X: Any) -> np.ndarray:
        """The model's outputs."""
        outputs: np.ndarray = self._outputs(X)
        return outputs


def _copy(model: Any) -> Any:
    """The model's architecture, weights and compilation anew."""
    twin = clone_model(model)
    twin.set_weights(model.get_weights())
    if model.compiled:
        twin.compile_from_config(model.get_compile_config())
    return twin
