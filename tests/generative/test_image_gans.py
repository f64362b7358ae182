"""Image-to-image networks, CycleGAN, text to image, anomaly search: losses from the parts' own predictions, methods, files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import berrante
from berrante import layers as L
from berrante.models import GAN, SRGAN, CycleGAN, FAnoGAN, Inpainter, Pix2Pix, TextToImageGAN, load_model
from berrante.models.generative import vocabulary_of

RNG = np.random.default_rng(0)
X = RNG.random((6, 8, 8, 1)).astype("float32")
Y = RNG.random((6, 8, 8, 1)).astype("float32")


def translator(channels: int = 1, scale: int = 1, size: int = 8) -> Any:
    layers = [L.Input((size, size, channels)), L.Conv2D(4, 3, padding="same", activation="relu")]
    if scale > 1:
        layers.append(L.UpSampling2D(scale))
    return berrante.Sequential([*layers, L.Conv2D(1, 3, padding="same", activation="sigmoid")])


def judge(channels: int = 1) -> Any:
    return berrante.Sequential(
        [
            L.Input((8, 8, channels)),
            L.Conv2D(4, 3, strides=2, padding="same"),
            L.LeakyReLU(),
            L.Conv2D(1, 3, padding="same"),
        ]
    )


def evaluate(model: Any, x: Any, y: Any = None) -> dict[str, float]:
    return model.evaluate(x, y, batch_size=len(x), verbose=0, return_dict=True)


def bce(scores: np.ndarray, target: float) -> float:
    s = scores.astype(float)
    return float(np.mean(np.logaddexp(0, -s) if target else np.logaddexp(0, s)))


def every_model() -> dict[str, Any]:
    berrante.utils.set_random_seed(1)
    captions = ["the digit one", "number two", "a three here"] * 2
    return {
        "pix2pix": (Pix2Pix(translator(), judge(2), l1_weight=7.0), X, Y),
        "srgan": (SRGAN(translator(1, 4, 2), judge(), scale=4, adversarial_weight=0.5), X, None),
        "inpainter": (Inpainter(translator(2), judge(), l1_weight=3.0), X, None),
        "cyclegan": (CycleGAN(translator(), translator(), judge(), judge()), X, Y),
        "text": (text_model(captions), captions, X),
    }


def text_model(captions: list[str]) -> Any:
    z, t = L.Input((4,)), L.Input((6,))
    image, c = L.Input((8, 8, 1)), L.Input((6,))
    g = berrante.Model([z, t], L.Reshape((8, 8, 1))(L.Dense(64, activation="sigmoid")(L.Concatenate()([z, t]))))
    d = berrante.Model([image, c], L.Dense(1)(L.Concatenate()([L.Flatten()(image), c])))
    return TextToImageGAN(g, d, vocabulary_of(captions), max_words=4, text_dim=6)


def use(model: Any, x: Any) -> np.ndarray:
    """What the model makes."""
    if isinstance(model, TextToImageGAN):
        return model.generate(x, seed=1)
    if isinstance(model, SRGAN):
        return model.upscale(x[:, ::4, ::4])
    if isinstance(model, Inpainter):
        return model.inpaint(x, np.arange(64).reshape(1, 8, 8).repeat(6, 0) % 3 == 0)
    return model.translate(x)


@pytest.mark.parametrize("name", list(every_model()))
def test_training_changes_all_parts_and_files_resume_to_the_bit(name: str, tmp_path: Path) -> None:
    model, x, y = every_model()[name]
    model.compile()
    before = [[w.copy() for w in part.get_weights()] for part in model._parts()]
    history = model.fit(x, y, batch_size=3, epochs=2, verbose=0).history
    assert {"d_loss", "g_loss", "d_real", "d_fake"} <= set(history) and np.isfinite(list(history.values())).all()
    for old, part in zip(before, model._parts()):
        assert any(not np.array_equal(a, b) for a, b in zip(old, part.get_weights())), part.name
    model.save(tmp_path / "m.keras")
    again = load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(use(again, x), use(model, x))
    assert use(model, x).shape == X.shape
    for m in (model, again):
        m.fit(x, y, batch_size=3, epochs=2, verbose=0)
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_losses_of_pix2pix() -> None:
    model = Pix2Pix(translator(), judge(2), l1_weight=7.0)
    model.compile()
    made = model.generator.predict(X)
    real, fake = (model.discriminator.predict(np.concatenate([X, y], -1)) for y in (Y, made))
    logs = evaluate(model, X, Y)
    l1 = float(np.mean(np.abs(made - Y)))
    assert logs["reconstruction_loss"] == pytest.approx(l1, rel=1e-5)
    assert logs["d_loss"] == pytest.approx(bce(real, 1) + bce(fake, 0), rel=1e-5)
    assert logs["g_loss"] == pytest.approx(bce(fake, 1) + 7 * l1, rel=1e-5)


def test_losses_of_srgan_and_its_low_images() -> None:
    model = SRGAN(translator(1, 4, 2), judge(), scale=4, content_weight=2.0, adversarial_weight=0.5)
    model.compile()
    low = X.reshape(6, 2, 4, 2, 4, 1).mean((2, 4))
    made = model.upscale(low)
    mse = float(np.mean((made - X) ** 2))
    expected = 2 * mse + 0.5 * bce(model.discriminator.predict(made), 1)
    for data in ((X, None), (low, X)):
        assert evaluate(model, *data)["g_loss"] == pytest.approx(expected, rel=1e-5)
    extractor = berrante.Sequential([L.Input((8, 8, 1)), L.Conv2D(3, 3, strides=2)])
    with_features = SRGAN(model.generator, judge(), scale=4, feature_extractor=extractor, adversarial_weight=0.0)
    with_features.compile()
    distance = float(np.mean((extractor.predict(made) - extractor.predict(X)) ** 2))
    assert evaluate(with_features, X)["g_loss"] == pytest.approx(distance, rel=1e-4)
    frozen = extractor.get_weights()
    with_features.fit(X, verbose=0)
    np.testing.assert_array_equal(frozen[0], extractor.get_weights()[0])


def test_an_inpainter_changes_nothing_outside_the_hole() -> None:
    model = Inpainter(translator(2), judge(), hole=(0.25, 0.5))
    mask = np.zeros((6, 8, 8), bool)
    mask[:, 2:5, 3:7] = True
    filled = model.inpaint(X, mask)
    np.testing.assert_array_equal(filled[~mask], X[~mask])
    made = model.generator.predict(np.concatenate([X * ~mask[..., None], mask[..., None]], -1))
    np.testing.assert_allclose(filled[mask], made[mask], rtol=1e-6)
    hidden = X.copy()
    hidden[mask] = 9.0  # what lies under the mask must not matter
    np.testing.assert_array_equal(model.inpaint(hidden, mask)[mask], filled[mask])
    masks = np.asarray(model._random_masks((400, 8, 8, 1)))[..., 0]
    rows, columns = masks.max(2).sum(1), masks.max(1).sum(1)
    assert set(np.unique(masks)) == {0.0, 1.0} and np.all(masks.sum((1, 2)) == rows * columns)
    assert rows.min() >= 1 and rows.max() <= 5 and 2 <= rows.mean() <= 4
    assert masks.mean(0).min() > 0 and len({m.tobytes() for m in masks}) > 100


def test_losses_of_cyclegan() -> None:
    model = CycleGAN(translator(), translator(), judge(), judge(), lambda_cycle=4.0, lambda_identity=0.5)
    model.compile()
    G, F, DX, DY = (p.predict for p in model._parts())
    fake_y, fake_x = G(X), F(Y)
    l1 = lambda a, b: float(np.mean(np.abs(a - b)))
    square = lambda s, t: 0.5 * float(np.mean((s - t) ** 2))
    cycle = l1(F(fake_y), X) + l1(G(fake_x), Y)
    logs = evaluate(model, X, Y)
    assert logs["cycle_loss"] == pytest.approx(cycle, rel=1e-4)
    d = sum(square(D(real), 1) + square(D(fake), 0) for D, real, fake in ((DX, X, fake_x), (DY, Y, fake_y)))
    assert logs["d_loss"] == pytest.approx(d, rel=1e-4)
    same = l1(G(Y), Y) + l1(F(X), X)
    assert logs["g_loss"] == pytest.approx(
        square(DX(fake_x), 1) + square(DY(fake_y), 1) + 4 * cycle + 2 * same, rel=1e-4
    )


def test_captions_and_the_loss_of_wrong_ones() -> None:
    captions = ["the digit one", "number two", "a three here"] * 2
    model = text_model(captions)
    assert model.vocabulary[:2] == ["a", "digit"] and len(model.vocabulary) == 8
    tokens = model.tokens(["The DIGIT, one!", "unknown words", "one two three here a digit"])
    one, digit, the = (model._numbers[w] for w in ("one", "digit", "the"))
    assert tokens.tolist()[0] == [the, digit, one, 0] and tokens.tolist()[1] == [1, 1, 0, 0] and tokens[2].all()
    model.compile(berrante.optimizers.SGD(0.0), berrante.optimizers.SGD(0.0))
    code = model.text_encoder.predict(model.tokens(captions))
    # The first three scores of a real image, a wrong caption and a made image, in the loss that one step reports.
    state = model.seed_generator.state.numpy()
    z = np.asarray(berrante.random.normal((6, 4), seed=berrante.ops.convert_to_tensor(state)))
    made = model.generator.predict([z, code])
    score = lambda images, c: model.discriminator.predict([images, c])
    wrong = np.roll(code, 1, 0)
    expected = bce(score(X, code), 1) + bce(score(made, code), 0) + bce(score(X, wrong), 0)
    logs = model.fit(captions, X, batch_size=6, verbose=0, shuffle=False).history
    assert logs["d_loss"][0] == pytest.approx(expected, rel=1e-4)


def vector_gan() -> Any:
    berrante.utils.set_random_seed(4)
    g = berrante.Sequential([L.Input((2,)), L.Dense(16, activation="tanh"), L.Dense(5)])
    d = berrante.Sequential([L.Input((5,)), L.Dense(8, activation="tanh"), L.Dense(1)])
    return GAN(g, d)


def test_a_search_finds_what_the_generator_can_make() -> None:
    model = vector_gan()
    possible = model.generate(20, seed=3)
    strange = possible + RNG.normal(size=possible.shape).astype("float32") * 2
    a, b = model.anomaly_score(possible, steps=150), model.anomaly_score(strange, steps=150)
    assert a.shape == (20,) and np.median(a) < 0.05 and a.mean() < 0.2 * b.mean()


def test_an_encoder_learns_the_generators_inverse() -> None:
    gan = vector_gan()
    x = gan.generate(256, seed=1)
    encoder = berrante.Sequential([L.Input((5,)), L.Dense(32, activation="relu"), L.Dense(2)])
    model = FAnoGAN(encoder, gan.generator, gan.discriminator)
    model.compile(berrante.optimizers.Adam(1e-2))
    before = gan.get_weights()
    history = model.fit(x, epochs=15, verbose=0).history
    for a, b in zip(before, gan.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert history["loss"][-1] < 0.2 * history["loss"][0]
    strange = x + RNG.normal(size=x.shape).astype("float32")
    assert model.anomaly_score(x).mean() < 0.2 * model.anomaly_score(strange).mean()
    model.calibrate(x)
    assert model.is_anomaly(x).mean() < 0.02 and model.is_anomaly(strange).mean() > 0.7


def test_a_saved_encoder_keeps_its_generator(tmp_path: Path) -> None:
    gan = vector_gan()
    x = gan.generate(32, seed=1)
    model = FAnoGAN(berrante.Sequential([L.Input((5,)), L.Dense(2)]), gan.generator, gan.discriminator)
    model.compile("adam")
    model.fit(x, verbose=0)
    model.save(tmp_path / "f.keras")
    np.testing.assert_allclose(load_model(tmp_path / "f.keras").anomaly_score(x), model.anomaly_score(x), rtol=1e-6)


@pytest.mark.parametrize("width", [2, 3])
def test_the_mean_of_all_views_turns_with_the_image(width: int) -> None:
    """What one view gives does not; of images that are no squares, there are mirrored views alone."""
    generator = berrante.Sequential(
        [L.Input((2, width, 1)), L.Conv2D(4, 3, padding="same", activation="relu"), L.UpSampling2D(4)]
        + [L.Conv2D(1, 3, padding="same")]
    )
    judge = berrante.Sequential([L.Input((8, 4 * width, 1)), L.Flatten(), L.Dense(1)])
    model = SRGAN(generator, judge, scale=4)
    x = RNG.random((3, 2, width, 1)).astype("float32")
    turned = lambda a: np.rot90(a, 1 if width == 2 else 2, (1, 2))[:, ::-1]
    large = model.upscale(x, ensemble=True)
    np.testing.assert_allclose(model.upscale(turned(x), ensemble=True), turned(large), atol=1e-6)
    assert np.abs(model.upscale(turned(x).copy()) - turned(model.upscale(x))).max() > 1e-3
    assert np.abs(large - model.upscale(x)).max() > 1e-3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ready(Pix2Pix(translator(), judge(2))).fit(X), r"expected target images.*fit\(x, y\)"),
        (lambda: ready(Pix2Pix(translator(), judge(2))).fit(X, Y[:, :4]), "expected images of the targets' shape"),
        (lambda: ready(Pix2Pix(translator(), judge(2))).fit(X, Y * 255), "y: expected values from 0 to 1"),
        (lambda: SRGAN(translator(1, 4, 2), judge(), scale=1), "scale to be a whole number of at least 2"),
        (lambda: ready(SRGAN(translator(1, 4, 2), judge(), scale=4)).fit(X[:, :3, :3], X), "4 times as large"),
        (lambda: Inpainter(translator(2), judge(), hole=(0.5, 0.2)), "hole: expected two fractions in order"),
        (lambda: Inpainter(translator(2), judge()).inpaint(X, np.ones((6, 4, 4))), "mask: expected shape"),
        (lambda: ready(CycleGAN(translator(), translator(), judge(), judge())).fit(X), "images of the other kind"),
        (lambda: ready(text_model(["one"])).fit(["one"] * 6), "expected images"),
        (lambda: ready(text_model(["one"])).fit(X, X), "expected captions"),
        (lambda: text_model(["one"]).generate("one"), "expected a list of strings"),
        (lambda: ready(text_model(["one"]), loss="hinge"), "mismatch"),
    ],
)  # fmt: skip
def test_bad_input_is_refused(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def ready(model: Any, **options: Any) -> Any:
    model.compile(**options)
    return model
