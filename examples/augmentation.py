"""A network that has seen random views of 400 of scikit-learn's digits reads crooked ones better."""

import sys

import matplotlib
import numpy as np

import berrante as keras
from berrante import layers
from berrante.preprocessing.image import ImageDataGenerator

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

(x, y), (x_test, y_test) = keras.datasets.digits.load_data()
x, y = x[:400], y[:400]
generator = ImageDataGenerator(
    rotation_range=25, width_shift_range=0.15, height_shift_range=0.15, zoom_range=0.1, fill_mode="constant"
)
crooked = np.concatenate([generator.random_transform(image, seed=i)[None] for i, image in enumerate(x_test)])


def train(batches):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(keras.optimizers.Adam(0.005), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(batches, epochs=25, verbose=0)
    return model.evaluate(crooked, y_test, verbose=0)[1]


print(
    f"test accuracy on crooked digits, trained on straight ones   {train(ImageDataGenerator().flow(x, y, seed=0)):.2%}"
)
print(f"test accuracy on crooked digits, trained on random views    {train(generator.flow(x, y, seed=0)):.2%}")

target = sys.argv[1] if len(sys.argv) > 1 else "augmentation.png"
figure, axes = plt.subplots(4, 10, figsize=(10, 4.4))
np.random.seed(0)
views = [x[:10], *([generator.random_transform(image) for image in x[:10]] for _ in range(3))]
for row, images in zip(axes, views):
    for axis, image in zip(row, images):
        axis.imshow(image[..., 0], cmap="gray_r", vmin=0, vmax=1)
        axis.axis("off")
figure.suptitle("ten digits, and three random views of each")
figure.savefig(target)
print(f"what the network sees is in {target}")
