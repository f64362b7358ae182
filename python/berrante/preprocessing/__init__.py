"""Reading and transforming data before it reaches a model, after keras.preprocessing."""

from berrante.preprocessing import image
