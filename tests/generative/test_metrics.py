"""Metrics of images and samples against scikit-image, SciPy, scikit-learn and plain float64 sums."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import berrante
from berrante import generative_metrics as gm
from berrante import layers as L
from berrante import metrics as M

RNG = np.random.default_rng(0)
A = RNG.random((4, 24, 20, 3)).astype("float32")
B = np.clip(A + RNG.normal(0, 0.1, A.shape), 0, 1).astype("float32")


@pytest.mark.parametrize("scale", [1.0, 255.0])
def test_psnr_and_ssim_agree_with_scikit_image(scale: float) -> None:
    skimage = pytest.importorskip("skimage.metrics")
    a, b = A * scale, B * scale
    psnr = np.asarray(gm.psnr(a, b, scale))
    ssim = np.asarray(gm.ssim(a, b, scale))
    for i in range(4):
        assert psnr[i] == pytest.approx(skimage.peak_signal_noise_ratio(a[i], b[i], data_range=scale), rel=1e-5)
        expected = skimage.structural_similarity(
            a[i].astype(float), b[i].astype(float), data_range=scale, channel_axis=-1, gaussian_weights=True, sigma=1.5,
            use_sample_covariance=False,
        )  # fmt: skip
        assert ssim[i] == pytest.approx(expected, rel=1e-4)


def test_they_agree_with_torchmetrics() -> None:
    torch = pytest.importorskip("torch")
    theirs = pytest.importorskip("torchmetrics")
    a, b = (torch.from_numpy(x.transpose(0, 3, 1, 2)).double() for x in (A, B))
    psnr = theirs.functional.image.peak_signal_noise_ratio(b, a, data_range=1.0, dim=(1, 2, 3), reduction="none")
    np.testing.assert_allclose(np.asarray(gm.psnr(A, B)), psnr.numpy(), rtol=1e-5)
    # Theirs is the mean over images continued by reflection; ours, as scikit-image's, over whole windows alone.
    _, ssim = theirs.functional.image.structural_similarity_index_measure(
        b, a, data_range=1.0, reduction="none", return_full_image=True
    )
    np.testing.assert_allclose(np.asarray(gm.ssim(A, B)), ssim[..., 5:-5, 5:-5].mean((1, 2, 3)).numpy(), rtol=1e-4)
    truth, found = RNG.random((3, 6, 6, 1)) > 0.5, RNG.random((3, 6, 6, 1)) > 0.4
    for i in range(3):
        pair = [torch.from_numpy(x[i].ravel().astype("int32")) for x in (found, truth)]
        dice = theirs.functional.classification.binary_f1_score(*pair)
        assert np.asarray(gm.dice(truth, found))[i] == pytest.approx(float(dice), rel=1e-6)
    labels, guesses = (RNG.integers(0, 3, 50) for _ in range(2))
    iou = M.MeanIoU(num_classes=3)
    iou.update_state(labels, guesses)
    expected = theirs.functional.classification.multiclass_jaccard_index(
        torch.from_numpy(guesses), torch.from_numpy(labels), 3, average="macro"
    )
    assert float(iou.result()) == pytest.approx(float(expected), rel=1e-6)


def test_kernel_distance_agrees_with_torchmetrics() -> None:
    torch = pytest.importorskip("torch")
    kid = pytest.importorskip("torchmetrics.image.kid")
    x, y = RNG.normal(size=(9, 4)), RNG.normal(0.5, size=(9, 4))
    expected = kid.poly_mmd(torch.from_numpy(x), torch.from_numpy(y), degree=3, gamma=None, coef=1.0)
    assert gm.kernel_distance(x, y) == pytest.approx(float(expected), rel=1e-6)


def test_they_work_in_compile_and_in_files(tmp_path: Any) -> None:
    model = berrante.Sequential([L.Input((24, 20, 3)), L.Conv2D(3, 3, padding="same", activation="sigmoid")])
    model.compile("sgd", "mse", metrics=[M.PSNR(), M.SSIM(filter_size=7), M.DiceScore()])
    logs = model.evaluate(A, B, batch_size=3, verbose=0, return_dict=True)
    made = model.predict(A)
    assert logs["psnr"] == pytest.approx(float(np.mean(np.asarray(gm.psnr(B, made)))), rel=1e-5)
    assert logs["ssim"] == pytest.approx(float(np.mean(np.asarray(gm.ssim(B, made, filter_size=7)))), rel=1e-4)
    model.save(tmp_path / "m.keras")
    again = berrante.models.load_model(tmp_path / "m.keras")
    assert again.evaluate(A, B, batch_size=3, verbose=0, return_dict=True) == pytest.approx(logs)


def test_dice() -> None:
    a, b = (RNG.random((5, 6, 6, 1)) > 0.6 for _ in range(2))
    a[4], b[4] = False, False
    got = np.asarray(gm.dice(a, b))
    for i in range(4):
        assert got[i] == pytest.approx(2 * np.sum(a[i] & b[i]) / (a[i].sum() + b[i].sum()), rel=1e-6)
    assert got[4] == 1.0
    f1 = pytest.importorskip("sklearn.metrics").f1_score(a[0].ravel(), b[0].ravel())
    assert got[0] == pytest.approx(f1, rel=1e-6)


def test_frechet_distance_agrees_with_scipy() -> None:
    linalg = pytest.importorskip("scipy.linalg")
    x, y = RNG.normal(size=(60, 7)), RNG.normal(1.0, 2.0, size=(80, 7)) @ RNG.normal(size=(7, 7))
    identity = lambda v: v
    metric = gm.FID(identity)
    for part in (x[:20], x[20:]):
        metric.update_state(real=part.astype("float32"))
    metric.update_state(fake=y.astype("float32"))
    x, y = x.astype("float32").astype(float), y.astype("float32").astype(float)
    ca, cb = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root = linalg.sqrtm(ca @ cb).real
    expected = np.sum((x.mean(0) - y.mean(0)) ** 2) + np.trace(ca + cb - 2 * root)
    assert metric.result() == pytest.approx(expected, rel=1e-6)
    assert gm.FID(identity)(x, x) == pytest.approx(0.0, abs=1e-6)
    # More features than samples: singular covariances.
    assert gm.FID(identity)(x[:4], x[:4]) == pytest.approx(0.0, abs=1e-5)


def test_kernel_distance_is_the_double_sum() -> None:
    x, y = RNG.normal(size=(9, 4)), RNG.normal(0.5, size=(7, 4))
    k = lambda a, b: (a @ b / 4 + 1) ** 3
    xx = np.mean([k(x[i], x[j]) for i in range(9) for j in range(9) if i != j])
    yy = np.mean([k(y[i], y[j]) for i in range(7) for j in range(7) if i != j])
    xy = np.mean([k(a, b) for a in x for b in y])
    assert gm.kernel_distance(x, y) == pytest.approx(xx + yy - 2 * xy, rel=1e-9)
    same = gm.KID(lambda v: v, subsets=20, subset_size=50)
    pool = RNG.normal(size=(400, 4)).astype("float32")
    assert abs(same(pool[:200], pool[200:])) < 0.2 < same(pool[:200], pool[200:] + 1)


def test_inception_score() -> None:
    sure = np.eye(5)[np.arange(50) % 5]
    assert gm.InceptionScore(lambda v: v)(fake=sure) == pytest.approx(5.0, rel=1e-6)
    assert gm.InceptionScore(lambda v: v)(fake=np.full((50, 5), 0.2)) == pytest.approx(1.0, rel=1e-6)
    p = RNG.dirichlet(np.ones(4), 30)
    marginal = p.mean(0)
    expected = np.exp(np.mean([np.sum(row * np.log(row / marginal)) for row in p]))
    assert gm.inception_score(p)[0] == pytest.approx(expected, rel=1e-9)
    with pytest.raises(ValueError, match="do not sum to 1"):
        gm.InceptionScore(lambda v: v)(fake=np.ones((5, 3)))


def test_precision_and_recall_by_nearest_neighbours() -> None:
    neighbors = pytest.importorskip("sklearn.neighbors")
    real, fake = RNG.normal(size=(70, 3)), RNG.normal(0.8, 0.6, size=(60, 3))

    def share(points: np.ndarray, among: np.ndarray) -> float:
        radius = neighbors.NearestNeighbors(n_neighbors=4).fit(among).kneighbors(among)[0][:, -1]  # itself and three
        return np.mean([(np.linalg.norm(among - p, axis=1) <= radius).any() for p in points])

    metric = gm.PrecisionRecall(lambda v: np.asarray(v, float))
    got = metric(real.astype("float32"), fake.astype("float32"))
    assert got["precision"] == pytest.approx(share(fake, real), abs=1e-9)
    assert got["recall"] == pytest.approx(share(real, fake), abs=1e-9)


def test_the_default_extractor_knows_digits_and_says_what_it_is() -> None:
    pytest.importorskip("sklearn")
    from berrante.datasets import digits

    (_, _), (x, y) = digits.load_data(test_fraction=0.1)
    berrante.utils.set_random_seed(1)
    before = berrante.random._fresh_seed()
    with pytest.warns(UserWarning, match="not comparable with published ones by Inception"):
        fid = M.FID()
    berrante.utils.set_random_seed(1)
    assert berrante.random._fresh_seed() == before
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        score = M.InceptionScore()
    from berrante.zoo import digit_classifier

    assert np.mean(digit_classifier()(x).argmax(-1) == y) > 0.95
    large = np.repeat(np.repeat(x, 4, 1), 4, 2) * 2 - 1  # as a generator with tanh makes them, at another size
    np.testing.assert_allclose(digit_classifier()(large), digit_classifier()(x), rtol=1e-3, atol=1e-4)
    noise = RNG.random(x.shape).astype("float32")
    assert fid(x[:90], x[90:]) < fid(x[:90], noise)
    assert 6 < score(fake=x) <= 10 and score(fake=noise) < score(fake=x)


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 2 fake samples; received 0"):
        gm.FID(lambda v: v)(A[:, 0, 0])
    with pytest.raises(ValueError, match="filter_size=11; received 8 x 8"):
        gm.ssim(A[:, :8, :8], B[:, :8, :8])
    with pytest.raises(ValueError, match="more than k=3"):
        gm.precision_recall(A[:2, 0, 0], B[:2, 0, 0])
