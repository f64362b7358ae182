"""A DCGAN learns to draw digits: two plain models in a GAN. `berrante demo gan` measures it beside a WGAN-GP and a VAE."""

import sys

import berrante as keras
from berrante import callbacks, zoo
from berrante.datasets import digits

epochs = int(sys.argv[1]) if len(sys.argv) > 1 else 120
keras.utils.set_random_seed(0)
(x, _), _ = digits.load_data()
generator, discriminator = zoo.dcgan((8, 8, 1), latent_dim=32, filters=32)
gan = keras.models.GAN(generator, discriminator, ema=0.99)
gan.compile(
    g_optimizer=keras.optimizers.Adam(1e-3, beta_1=0.5),
    d_optimizer=keras.optimizers.Adam(2e-4, beta_1=0.5),
    label_smoothing=0.1,
)
grid = callbacks.SampleGrid("digits-{epoch:04d}.png", n=64, every=max(1, epochs // 6), gif="digits.gif")
history = gan.fit(x * 2 - 1, batch_size=64, epochs=epochs, verbose=0, callbacks=[grid])
gan.save("gan.keras")  # both models and both optimizers: fit goes on from it to the same bits
print({name: round(values[-1], 3) for name, values in history.history.items()})
print("pictures: digits-*.png, and digits.gif of the whole training")
