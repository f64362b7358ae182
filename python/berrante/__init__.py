"""berrante: Keras' API on a small compiled core."""
