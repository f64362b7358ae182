"""A denoising autoencoder and a variational one; `berrante demo autoencoder` draws and measures them."""

import sys

import berrante as keras
from berrante import metrics, zoo
from berrante.datasets import digits

epochs = int(sys.argv[1]) if len(sys.argv) > 1 else 30
keras.utils.set_random_seed(0)
(x, _), (x_test, _) = digits.load_data()
denoiser = keras.models.DenoisingAutoencoder(*zoo.conv_autoencoder((8, 8, 1), None, (32, 32)), noise=0.3)
denoiser.compile(keras.optimizers.Adam(2e-3), metrics=[metrics.PSNR()])
denoiser.fit(x, batch_size=32, epochs=epochs, verbose=0)
noisy = denoiser.corrupt(x_test, seed=1)
psnr = lambda made: float(metrics.PSNR()(x_test, made))
print(f"PSNR noisy {psnr(noisy):.1f} dB, denoised {psnr(denoiser.denoise(noisy)):.1f} dB")

encoder = zoo.dense_autoencoder((8, 8, 1), 64, (128,), code_activation="relu")[0]
decoder = zoo.dense_autoencoder((8, 8, 1), 8, (128, 64))[1]
vae = keras.models.VAE(encoder, decoder, latent_dim=8)
vae.compile("adam")
history = vae.fit(x, batch_size=32, epochs=epochs, verbose=0).history
print({name: round(values[-1], 2) for name, values in history.items()})
print("four new digits:", vae.sample(4, seed=0).shape)
