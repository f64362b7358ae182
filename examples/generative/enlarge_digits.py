"""Digits of 2 x 2 pixels become 8 x 8 again; `berrante demo superres` does so with photographs, and with an adversary."""

import sys

import numpy as np
from PIL import Image

import berrante as keras
from berrante import metrics, zoo
from berrante.datasets import digits

epochs = int(sys.argv[1]) if len(sys.argv) > 1 else 40
keras.utils.set_random_seed(0)
(x, _), (x_test, _) = digits.load_data()


def shrink(images):
    return images.reshape(-1, 2, 4, 2, 4, 1).mean((2, 4))


generator = zoo.super_resolution((2, 2, 1), scale=4, filters=32, blocks=3)
model = keras.models.SRGAN(generator, zoo.patch_discriminator((8, 8, 1), 16), scale=4, reconstruction="mae")
model.compile(keras.optimizers.Adam(1e-3), keras.optimizers.Adam(1e-4))
model.fit(shrink(x), x, batch_size=32, epochs=epochs, verbose=0)
small = shrink(x_test)
bicubic = [np.asarray(Image.fromarray(a[..., 0]).resize((8, 8), Image.Resampling.BICUBIC)) for a in small]
psnr = lambda made: float(metrics.PSNR()(x_test, np.clip(made, 0, 1)))
print(f"PSNR bicubic {psnr(np.stack(bicubic)[..., None]):.1f} dB, network {psnr(model.upscale(small)):.1f} dB")
