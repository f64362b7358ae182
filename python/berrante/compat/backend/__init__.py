"""keras.backend, commonly imported as K: what MLP, CNN, GAN and autoencoder scripts of Keras 2 use of it.

Tensors are berrante's: `K.variable` gives a variable, `K.placeholder` (and every Input) a placeholder whose operations
are recorded until `K.function` runs them.
"""

from berrante.compat.backend.math import *  # noqa: F403
from berrante.compat.backend.nn import *  # noqa: F403
from berrante.compat.backend.state import *  # noqa: F403
from berrante.compat.backend.state import _get_available_gpus
from berrante.compat.backend.symbolic import *  # noqa: F403
from berrante.compat.backend.updates import moving_average_update, update, update_add, update_sub
from berrante.graph.keras_tensor import KerasTensor
from berrante.graph.tensor import standard_dtype as standardize_dtype
from berrante.graph.variable import Variable
