"""LeNet-5 on scikit-learn's real digits; `berrante demo` does the same with pictures."""

import berrante as keras
from berrante.cli.demo import lenet5, load

keras.utils.set_random_seed(0)
x, y, x_test, y_test = load("digits", None)
model = lenet5()
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x, y, epochs=12, validation_data=(x_test, y_test), verbose=2)
print(f"test accuracy {model.evaluate(x_test, y_test, verbose=0)[1]:.2%}")
