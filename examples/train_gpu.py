"""LeNet-5 on digits on whatever device there is: the same script for the CPU and a GPU.

    python examples/train_gpu.py [cpu | cuda | cuda:1]

Without an argument berrante chooses: the first GPU where CuPy, a driver and a card are there, else the CPU
(BERRANTE_DEVICE in the environment says otherwise).
"""

import sys
import time

import numpy as np
from sklearn.datasets import load_digits

import berrante as keras
from berrante import layers

if len(sys.argv) > 1:
    keras.set_device(sys.argv[1])
keras.utils.set_random_seed(0)

digits = load_digits()
x = (digits.images[..., None] / 16).astype(np.float32)
y = digits.target
x_train, y_train, x_test, y_test = x[:1500], y[:1500], x[1500:], y[1500:]

model = keras.Sequential(
    [
        keras.Input((8, 8, 1)),
        layers.Conv2D(6, 5, padding="same", activation="tanh"),
        layers.AveragePooling2D(),
        layers.Conv2D(16, 3, activation="tanh"),
        layers.Flatten(),
        layers.Dense(120, activation="tanh"),
        layers.Dense(84, activation="tanh"),
        layers.Dense(10, activation="softmax"),
    ]
)
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
start = time.perf_counter()
model.fit(x_train, y_train, batch_size=64, epochs=20, verbose=0)
seconds = time.perf_counter() - start
loss, accuracy = model.evaluate(x_test, y_test, verbose=0)
print(f"{keras.current_device()}: test accuracy {accuracy:.3f} on {len(x_test)} digits, 20 epochs in {seconds:.2f} s")

# Arrays that lie on the device already are taken without a copy, and give predictions there.
try:
    import cupy
except ImportError:
    cupy = None
if cupy is not None and not keras.current_device().is_cpu:
    predictions = model.predict(cupy.asarray(x_test), verbose=0)
    print(f"predictions as {type(predictions).__module__}.{type(predictions).__name__}, shape {predictions.shape}")
