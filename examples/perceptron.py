"""The perceptron learns AND and OR; XOR shows its limit."""

import numpy as np

from berrante.models import Perceptron

inputs = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
for name, targets in {"AND": [0, 0, 0, 1], "OR": [0, 1, 1, 1], "XOR": [0, 1, 1, 0]}.items():
    neuron = Perceptron(max_epochs=100).fit(inputs, targets)
    says = "converged" if neuron.converged_ else "cannot converge: no line separates the classes"
    print(f"{name:3s} -> {neuron.predict(inputs)}  weights {neuron.weights}, bias {neuron.bias}: {says}")
