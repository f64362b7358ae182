"""Reading and transforming data before it reaches a model, after keras.preprocessing."""

from berrante.preprocessing import image, sequence, text
from berrante.utils.image_dataset import image_dataset_from_directory
from berrante.utils.timeseries import timeseries_dataset_from_array
