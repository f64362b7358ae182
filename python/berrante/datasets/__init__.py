"""Data sets on this machine: MNIST from Keras' cache or idx files, and scikit-learn's bundled digits."""

from berrante.datasets import digits, mnist
