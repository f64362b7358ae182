"""U-Net cuts digits out of noise; `berrante demo segment --path FOLDER` takes photographs with masks of your own."""

import sys

import numpy as np

import berrante as keras
from berrante import zoo
from berrante.datasets import digits

epochs = int(sys.argv[1]) if len(sys.argv) > 1 else 8
keras.utils.set_random_seed(0)
rng = np.random.default_rng(0)


def scenes(images, n):
    """n digits at random places of coloured noise [n, 16, 16, 3], and where they are [n, 16, 16, 1]."""
    x, y = rng.random((n, 16, 16, 3), np.float32), np.zeros((n, 16, 16, 1), np.float32)
    for image, mask, digit in zip(x, y, images[rng.integers(len(images), size=n)]):
        row, column = rng.integers(9, size=2)
        place = (slice(row, row + 8), slice(column, column + 8))
        image[place] = image[place] * (1 - digit) + digit * rng.random(3)
        mask[place] = digit > 0.4
    return x, y


(digits_seen, _), (digits_new, _) = digits.load_data()
x, y = scenes(digits_seen, 1500)
x_test, y_test = scenes(digits_new, 200)
model = zoo.unet((16, 16, 3), filters=8, depth=2)
model.compile("adam", "binary_crossentropy")
model.fit(x, y, batch_size=16, epochs=epochs, verbose=0)
found = model.predict(x_test, verbose=0) > 0.5
print(f"IoU of the digits: {(found & (y_test > 0)).sum() / (found | (y_test > 0)).sum():.2f}")
