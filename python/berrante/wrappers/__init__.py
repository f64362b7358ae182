"""Models as scikit-learn estimators, after keras.wrappers: Keras 3's SKLearn* and Keras 2's KerasClassifier, KerasRegressor.

Loaded when first asked for: they need scikit-learn.
"""

from __future__ import annotations

from typing import Any

_HERE = {
    "SKLearnClassifier": "estimators", "SKLearnRegressor": "estimators", "SKLearnTransformer": "estimators",
    "BaseWrapper": "build_fn", "KerasClassifier": "build_fn", "KerasRegressor": "build_fn",
}  # fmt: skip
__all__ = list(_HERE)


def __getattr__(name: str) -> Any:
    if name not in _HERE:
        raise AttributeError(f"module 'berrante.wrappers' has no attribute {name!r}")
    try:
        from berrante.wrappers import build_fn, estimators
    except ImportError:
        raise ImportError(f"{name} requires `scikit-learn` to be installed. Run `pip install scikit-learn`.") from None
    value = getattr(estimators if _HERE[name] == "estimators" else build_fn, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
