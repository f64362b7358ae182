"""An Inpainter fills holes in digits; `berrante demo inpaint` measures it beside classical fills."""

import sys

import numpy as np

import berrante as keras
from berrante import zoo
from berrante.datasets import digits
from berrante.generative_callbacks import save_grid

epochs = int(sys.argv[1]) if len(sys.argv) > 1 else 20
keras.utils.set_random_seed(0)
(x, _), (x_test, _) = digits.load_data()
generator = zoo.resnet_generator((8, 8, 2), channels=1, filters=16, blocks=3)  # the image and its mask
model = keras.models.Inpainter(generator, zoo.patch_discriminator((8, 8, 1), 16, depth=1), 10.0, 0.05)
model.compile(keras.optimizers.Adam(1e-3), keras.optimizers.Adam(2e-4))
model.fit(x, batch_size=32, epochs=epochs, verbose=0)
mask = np.zeros(x_test.shape[:3], bool)
mask[:, 2:5, 2:5] = True
filled = model.inpaint(x_test, mask)
error = lambda made: float(-10 * np.log10(np.mean((made - x_test)[mask] ** 2)))
print(
    f"PSNR in the holes: mean image {error(np.broadcast_to(x.mean(0), x_test.shape)):.1f} dB, filled {error(filled):.1f}"
)
save_grid(
    "filled.png", np.concatenate([np.where(mask[:10, ..., None], 0.5, x_test[:10]), filled[:10], x_test[:10]]), 10, 4
)
