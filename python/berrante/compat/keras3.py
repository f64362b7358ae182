"""The version that `import keras` shows where berrante stands for Keras 3."""

__version__ = "3.15.1"
version = __version__
