"""Digits drawn from captions; `berrante demo text2image` draws two in one picture and measures. It knows these words alone."""

import sys

import numpy as np

import berrante as keras
from berrante import layers as L
from berrante.datasets import digits
from berrante.generative_callbacks import save_grid
from berrante.models.generative import vocabulary_of

epochs = int(sys.argv[1]) if len(sys.argv) > 1 else 60
words = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
keras.utils.set_random_seed(0)
(x, y), _ = digits.load_data()
forms = ["the digit {}", "a {}", "draw the number {}"]
captions = [forms[i % 3].format(words[label]) for i, label in enumerate(y)]

noise, text = L.Input((32,)), L.Input((48,))
h = L.Reshape((2, 2, 64))(L.Dense(256)(L.Concatenate()([noise, text])))
h = L.Conv2DTranspose(32, 4, 2, padding="same")(L.ReLU()(L.BatchNormalization(momentum=0.9)(h)))
h = L.Conv2DTranspose(1, 4, 2, padding="same", activation="tanh")(L.ReLU()(L.BatchNormalization(momentum=0.9)(h)))
generator = keras.Model([noise, text], h)
image, text = L.Input((8, 8, 1)), L.Input((48,))
h = L.LeakyReLU(0.2)(L.Conv2D(32, 4, 2, padding="same")(image))
h = L.LeakyReLU(0.2)(L.Dense(128)(L.Flatten()(L.LeakyReLU(0.2)(L.Conv2D(64, 4, 2, padding="same")(h)))))
discriminator = keras.Model([image, text], L.Add()([L.Dense(1)(h), L.Dot(axes=1)([h, L.Dense(128)(text)])]))

model = keras.models.TextToImageGAN(
    generator, discriminator, vocabulary_of(captions), max_words=4, text_dim=48, ema=0.99
)
model.compile(keras.optimizers.Adam(5e-4, beta_1=0.5), keras.optimizers.Adam(5e-4, beta_1=0.5))
model.fit(captions, x * 2 - 1, batch_size=64, epochs=epochs, verbose=0)
drawn = model.generate([f"the digit {word}" for word in words] * 3, seed=0)
save_grid("drawn.png", drawn, columns=10, zoom=4)
means = np.stack([x[y == label].mean(0) for label in range(10)]) * 2 - 1
near = np.argmin(((drawn[:, None] - means) ** 2).sum((2, 3, 4)), axis=1)
print(
    f"drawn.png: zero to nine, three times; nearest to the mean of their digit: {np.mean(near == np.arange(30) % 10):.0%}"
)
