"""Metrics of images and of generative models: PSNR, SSIM, Dice, and FID, KID, Inception Score, precision and recall over the
features of any model.

PSNR, SSIM and Dice are ordinary metrics for compile(). The others compare two sets of samples through a feature extractor.
Published FID, KID and Inception Score use Inception-v3's features, and only values by the same extractor compare: the
extractor used here by default is a small classifier of digits, trained at its first use, and the metrics say so.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from berrante import ops
from berrante.metrics import Mean, Metric

# --- pairs of images ------------------------------------------------------------------------------------------------


def psnr(y_true: Any, y_pred: Any, max_val: float = 1.0) -> Any:
    """10 log10(max_val^2 / mse) of each image [N, H, W, C], in decibels."""
    y_true, y_pred = ops.cast(y_true, "float32"), ops.cast(y_pred, "float32")
    error = ops.mean(ops.square(ops.subtract(y_true, y_pred)), axis=list(range(1, len(y_true.shape))))
    return ops.multiply(ops.log(ops.divide(float(max_val) ** 2, ops.maximum(error, 1e-20))), 10.0 / np.log(10.0))


def ssim(y_true: Any, y_pred: Any, max_val: float = 1.0, filter_size: int = 11, sigma: float = 1.5) -> Any:
    """The structural similarity (Wang et al., 2004) of each image [N, H, W, C], with a Gaussian window, k1 0.01, k2 0.03."""
    y_true, y_pred = ops.cast(y_true, "float32"), ops.cast(y_pred, "float32")
    n, h, w, c = y_true.shape
    if min(h, w) < filter_size:
        raise ValueError(f"ssim: expected images of at least filter_size={filter_size}; received {h} x {w}")
    at = np.arange(filter_size) - (filter_size - 1) / 2
    line = np.exp(-0.5 * (at / sigma) ** 2)
    window = np.outer(line, line)
    kernel = (window / window.sum()).astype(np.float32)[:, :, None, None]

    def smooth(x: Any) -> Any:
        planes = ops.reshape(ops.transpose(x, (0, 3, 1, 2)), (n * c, h, w, 1))
        return ops.conv(planes, kernel, padding="valid")

    a, b = smooth(y_true), smooth(y_pred)
    c1, c2 = (0.01 * max_val) ** 2, (0.03 * max_val) ** 2
    ab = ops.multiply(a, b)
    squares = ops.add(ops.square(a), ops.square(b))
    spread = ops.subtract(smooth(ops.add(ops.square(y_true), ops.square(y_pred))), squares)
    cross = ops.subtract(smooth(ops.multiply(y_true, y_pred)), ab)
    top = ops.multiply(ops.add(ops.multiply(ab, 2.0), c1), ops.add(ops.multiply(cross, 2.0), c2))
    bottom = ops.multiply(ops.add(squares, c1), ops.add(spread, c2))
    return ops.mean(ops.reshape(ops.divide(top, bottom), (n, -1)), axis=1)


def dice(y_true: Any, y_pred: Any, threshold: float | None = 0.5) -> Any:
    """2 |A and B| / (|A| + |B|) of each mask [N, ...]; 1 where both are empty. threshold=None takes soft masks."""
    y_true, y_pred = ops.cast(y_true, "float32"), ops.cast(y_pred, "float32")
    if threshold is not None:
        y_true, y_pred = (ops.cast(ops.greater(m, threshold), "float32") for m in (y_true, y_pred))
    axes = list(range(1, len(y_true.shape)))
    both = ops.sum(ops.multiply(y_true, y_pred), axis=axes)
    total = ops.add(ops.sum(y_true, axis=axes), ops.sum(y_pred, axis=axes))
    return ops.where(ops.equal(total, 0.0), 1.0, ops.divide(ops.multiply(both, 2.0), ops.maximum(total, 1e-12)))


class PSNR(Mean):
    """The mean peak signal-to-noise ratio of images in [0, max_val], in decibels."""

    def __init__(self, max_val: float = 1.0, name: str | None = "psnr", dtype: Any = None) -> None:
        super().__init__(name, dtype)
        self.max_val = float(max_val)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        super().update_state(psnr(y_true, y_pred, self.max_val), sample_weight)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "dtype": self.dtype, "max_val": self.max_val}


class SSIM(Mean):
    """The mean structural similarity of images in [0, max_val]."""

    def __init__(
        self,
        max_val: float = 1.0,
        filter_size: int = 11,
        sigma: float = 1.5,
        name: str | None = "ssim",
        dtype: Any = None,
    ) -> None:
        super().__init__(name, dtype)
        self.max_val, self.filter_size, self.sigma = float(max_val), filter_size, sigma

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        super().update_state(ssim(y_true, y_pred, self.max_val, self.filter_size, self.sigma), sample_weight)

    def get_config(self) -> dict[str, Any]:
        own = {"max_val": self.max_val, "filter_size": self.filter_size, "sigma": self.sigma}
        return {"name": self.name, "dtype": self.dtype, **own}


class DiceScore(Mean):
    """The mean Dice coefficient of masks."""

    def __init__(self, threshold: float | None = 0.5, name: str | None = "dice_score", dtype: Any = None) -> None:
        super().__init__(name, dtype)
        self.threshold = threshold

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        super().update_state(dice(y_true, y_pred, self.threshold), sample_weight)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "dtype": self.dtype, "threshold": self.threshold}


# --- sets of samples ------------------------------------------------------------------------------------------------


def frechet_distance(mean_a: Any, cov_a: Any, mean_b: Any, cov_b: Any) -> float:
    """|m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)), in float64."""
    mean_a, cov_a, mean_b, cov_b = (np.asarray(v, np.float64) for v in (mean_a, cov_a, mean_b, cov_b))
    values, vectors = np.linalg.eigh(cov_a)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    # (C_a C_b)^(1/2) has the eigenvalues of (root C_b root)^(1/2), which is symmetric.
    cross = np.linalg.eigvalsh(root @ cov_b @ root)
    trace = np.trace(cov_a) + np.trace(cov_b) - 2.0 * np.sqrt(np.maximum(cross, 0.0)).sum()
    return float(np.sum((mean_a - mean_b) ** 2) + trace)


def kernel_distance(a: Any, b: Any) -> float:
    """The unbiased squared MMD between rows, with the kernel (x . y / d + 1)^3 (Binkowski et al., 2018)."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    kernel = lambda x, y: (x @ y.T / x.shape[1] + 1.0) ** 3
    n, m = len(a), len(b)
    aa, bb = kernel(a, a), kernel(b, b)
    within = (aa.sum() - np.trace(aa)) / (n * (n - 1)) + (bb.sum() - np.trace(bb)) / (m * (m - 1))
    return float(within - 2.0 * kernel(a, b).mean())


def inception_score(probabilities: Any, splits: int = 1) -> tuple[float, float]:
    """exp(E KL(p(y|x) || p(y))) over `splits` parts of the rows: mean and standard deviation (Salimans et al., 2016)."""
    p = np.asarray(probabilities, np.float64)
    scores = []
    for part in np.array_split(p, splits):
        marginal = part.mean(axis=0, keepdims=True)
        ratio = np.log(np.maximum(part, 1e-16)) - np.log(np.maximum(marginal, 1e-16))
        scores.append(np.exp(np.mean(np.sum(part * ratio, axis=1))))
    return float(np.mean(scores)), float(np.std(scores))


def precision_recall(real: Any, fake: Any, k: int = 3) -> tuple[float, float]:
    """The shares of fake rows within real ones' k-nearest-neighbour balls, and the other way round
    (Kynkaanniemi et al., 2019)."""
    real, fake = np.asarray(real, np.float64), np.asarray(fake, np.float64)
    if min(len(real), len(fake)) <= k:
        raise ValueError(f"precision_recall: expected more than k={k} samples; received {len(real)} and {len(fake)}")

    def squared(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        cross = np.sum(x**2, 1)[:, None] + np.sum(y**2, 1)[None] - 2.0 * x @ y.T
        return np.maximum(cross, 0.0)

    def share(points: np.ndarray, among: np.ndarray) -> float:
        own = squared(among, among)
        np.fill_diagonal(own, np.inf)
        radius = np.partition(own, k - 1, axis=1)[:, k - 1]
        return float(np.mean((squared(points, among) <= radius[None] * (1.0 + 1e-9)).any(axis=1)))

    return share(fake, real), share(real, fake)


def _warn_once(what: str) -> None:
    warnings.warn(
        f"{what}: no feature_extractor was given, so a small classifier trained on scikit-learn's digits is used. The value is "
        "not comparable with published ones by Inception-v3, only with others by this extractor",
        stacklevel=4,
    )


class _FeatureMetric(Metric):
    """Collects features of real and generated samples in update_state(real, fake); either may be None.

    feature_extractor: a model, or a function of arrays, that gives [N, ...]; None: `digit_classifier`.
    """

    _needs = "features"

    def __init__(self, feature_extractor: Any = None, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(dtype, name)
        self.is_inception = False
        if feature_extractor is None:
            _warn_once(type(self).__name__)
            from berrante.zoo.classifiers import digit_classifier

            feature_extractor = digit_classifier(self._needs)
        self.feature_extractor = feature_extractor
        self.reset_state()

    def reset_state(self) -> None:
        """Forgets all samples."""
        self._features: dict[str, list[np.ndarray]] = {"real": [], "fake": []}

    def _extract(self, images: Any) -> np.ndarray:
        extractor = self.feature_extractor
        values = extractor.predict(images, verbose=0) if hasattr(extractor, "predict") else extractor(images)
        values = np.asarray(values, np.float64)
        return values.reshape(len(values), -1)

    def update_state(self, real: Any = None, fake: Any = None, sample_weight: Any = None) -> None:
        """Adds samples of either kind."""
        for kind, images in (("real", real), ("fake", fake)):
            if images is not None:
                self._features[kind].append(self._extract(np.asarray(images, np.float32)))

    def _of(self, kind: str, least: int = 2) -> np.ndarray:
        parts = self._features[kind]
        if sum(map(len, parts)) < least:
            raise ValueError(
                f"{type(self).__name__}: expected at least {least} {kind} samples; received {sum(map(len, parts))}"
            )
        return np.concatenate(parts)

    def __call__(self, real: Any = None, fake: Any = None) -> Any:
        """The value for these sets alone."""
        self.reset_state()
        self.update_state(real, fake)
        return self.result()

    def get_config(self) -> dict[str, Any]:
        raise ValueError(f"{type(self).__name__} cannot be saved: it holds a feature extractor")


class FID(_FeatureMetric):
    """The Frechet distance between features (Heusel et al., 2017). 0 for equal means and covariances.

    Not the published FID unless the extractor is Inception-v3's pool; it falls as the number of samples grows.
    """

    def result(self) -> float:
        real, fake = self._of("real"), self._of("fake")
        return frechet_distance(
            real.mean(0), np.cov(real, rowvar=False).reshape(real.shape[1], -1),
            fake.mean(0), np.cov(fake, rowvar=False).reshape(fake.shape[1], -1),
        )  # fmt: skip


class KID(_FeatureMetric):
    """The kernel distance between features, a mean over `subsets` draws of `subset_size` samples. About 0 for equal sets."""

    def __init__(
        self, feature_extractor: Any = None, subsets: int = 10, subset_size: int = 1000, seed: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(feature_extractor, **kwargs)
        self.subsets, self.subset_size, self.seed = subsets, subset_size, seed

    def result(self) -> float:
        real, fake = self._of("real"), self._of("fake")
        size = min(self.subset_size, len(real), len(fake))
        if size == len(real) == len(fake):
            return kernel_distance(real, fake)
        rng = np.random.default_rng(self.seed)
        draw = lambda rows: rows[rng.choice(len(rows), size, replace=False)]
        return float(np.mean([kernel_distance(draw(real), draw(fake)) for _ in range(self.subsets)]))


class InceptionScore(_FeatureMetric):
    """How sure and how varied a classifier's verdicts on generated samples are: from 1 to the number of classes.

    The extractor gives probabilities. Called as update_state(fake=images).
    """

    _needs = "probabilities"

    def __init__(self, feature_extractor: Any = None, splits: int = 1, **kwargs: Any) -> None:
        super().__init__(feature_extractor, **kwargs)
        self.splits = splits

    def result(self) -> float:
        p = self._of("fake", 1)
        if np.any(p < -1e-6) or np.any(np.abs(p.sum(axis=1) - 1.0) > 1e-3):
            raise ValueError("InceptionScore: expected an extractor of probabilities; its rows do not sum to 1")
        return inception_score(p, self.splits)[0]


class PrecisionRecall(_FeatureMetric):
    """Precision (are generated samples like real ones?) and recall (are all real ones covered?), as a dict."""

    def __init__(self, feature_extractor: Any = None, k: int = 3, **kwargs: Any) -> None:
        super().__init__(feature_extractor, **kwargs)
        self.k = k

    def result(self) -> dict[str, float]:
        precision, recall = precision_recall(self._of("real", self.k + 1), self._of("fake", self.k + 1), self.k)
        return {"precision": precision, "recall": recall}


# Those that a file can name.
SAVED = (PSNR, SSIM, DiceScore)
