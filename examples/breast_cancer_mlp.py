"""A small network on scikit-learn's breast cancer data: 30 measurements, benign or malignant."""

from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

import berrante as keras

keras.utils.set_random_seed(0)
data = load_breast_cancer()
x = (data.data - data.data.mean(0)) / data.data.std(0)
x_train, x_test, y_train, y_test = train_test_split(x, data.target, test_size=0.25, random_state=0)
model = keras.Sequential(
    [
        keras.Input((30,)),
        keras.layers.Dense(16, activation="relu"),
        keras.layers.Dense(8, activation="relu"),
        keras.layers.Dense(1, activation="sigmoid"),
    ]
)
model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
model.fit(x_train, y_train, epochs=40, batch_size=16, validation_data=(x_test, y_test), verbose=2)
print(f"test accuracy {model.evaluate(x_test, y_test, verbose=0)[1]:.2%}")
