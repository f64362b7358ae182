"""THE table: where Keras 2 (2.2.4) differs from Keras 3, as data. The classes of `compat.keras2` read it.

Sources: Keras 2.2.4 run and read; see each section's comment. What is not data (update rules, reductions) stands in the
class that the comment names.
"""

from __future__ import annotations

from typing import Any

# Optimizers: constructor arguments in Keras 2's order with its defaults. None for epsilon means K.epsilon().
OPTIMIZERS: dict[str, dict[str, Any]] = {
    "SGD": {"lr": 0.01, "momentum": 0.0, "decay": 0.0, "nesterov": False},
    "RMSprop": {"lr": 0.001, "rho": 0.9, "epsilon": None, "decay": 0.0},
    "Adagrad": {"lr": 0.01, "epsilon": None, "decay": 0.0},
    "Adadelta": {"lr": 1.0, "rho": 0.95, "epsilon": None, "decay": 0.0},
    "Adam": {"lr": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": None, "decay": 0.0, "amsgrad": False},
    "Adamax": {"lr": 0.002, "beta_1": 0.9, "beta_2": 0.999, "epsilon": None, "decay": 0.0},
    "Nadam": {"lr": 0.002, "beta_1": 0.9, "beta_2": 0.999, "epsilon": None, "schedule_decay": 0.004},
}
# Rates that tf.keras 2 had instead, for scripts that import tensorflow.keras.
TF_KERAS_RATES = {"Adadelta": 0.001, "Adagrad": 0.001, "Adamax": 0.001, "Nadam": 0.001}

# Layers: Keras 1's argument names (still taken by Keras 2, with a warning) and today's.
_WEIGHTS = {
    "init": "kernel_initializer", "W_regularizer": "kernel_regularizer", "b_regularizer": "bias_regularizer",
    "W_constraint": "kernel_constraint", "b_constraint": "bias_constraint", "bias": "use_bias",
}  # fmt: skip
_POOLING = {"border_mode": "padding", "dim_ordering": "data_format"}
_CONV2D = {"nb_filter": "filters", "subsample": "strides", **_POOLING, **_WEIGHTS}
_CONV1D = {
    "nb_filter": "filters", "filter_length": "kernel_size", "subsample_length": "strides", "border_mode": "padding",
    **_WEIGHTS,
}  # fmt: skip
_RECURRENT = {
    "output_dim": "units", "init": "kernel_initializer", "inner_init": "recurrent_initializer",
    "inner_activation": "recurrent_activation", "W_regularizer": "kernel_regularizer",
    "b_regularizer": "bias_regularizer", "U_regularizer": "recurrent_regularizer", "dropout_W": "dropout",
    "dropout_U": "recurrent_dropout", "consume_less": "implementation",
}  # fmt: skip
LAYER_ARGUMENTS: dict[str, dict[str, str]] = {
    "Dense": {"output_dim": "units", **_WEIGHTS},
    "Dropout": {"p": "rate"},
    "SpatialDropout1D": {"p": "rate"},
    "SpatialDropout2D": {"p": "rate", "dim_ordering": "data_format"},
    "SpatialDropout3D": {"p": "rate", "dim_ordering": "data_format"},
    "GaussianDropout": {"p": "rate"},
    "GaussianNoise": {"sigma": "stddev"},
    "Embedding": {
        "init": "embeddings_initializer", "W_regularizer": "embeddings_regularizer",
        "W_constraint": "embeddings_constraint",
    },
    "PReLU": {"init": "alpha_initializer"},
    "Conv1D": _CONV1D,
    "Conv2D": _CONV2D,
    "Conv2DTranspose": _CONV2D,
    "Conv3D": _CONV2D,
    "SeparableConv2D": {k: v for k, v in _CONV2D.items() if k != "init"},
    "MaxPooling1D": {"pool_length": "pool_size", "stride": "strides", "border_mode": "padding"},
    "AveragePooling1D": {"pool_length": "pool_size", "stride": "strides", "border_mode": "padding"},
    "MaxPooling2D": _POOLING,
    "AveragePooling2D": _POOLING,
    "MaxPooling3D": _POOLING,
    "AveragePooling3D": _POOLING,
    "GlobalMaxPooling2D": {"dim_ordering": "data_format"},
    "GlobalAveragePooling2D": {"dim_ordering": "data_format"},
    "UpSampling1D": {"length": "size"},
    "UpSampling2D": {"dim_ordering": "data_format"},
    "ZeroPadding2D": {"dim_ordering": "data_format"},
    "Cropping2D": {"dim_ordering": "data_format"},
    "BatchNormalization": {"beta_init": "beta_initializer", "gamma_init": "gamma_initializer"},
    "LSTM": _RECURRENT,
    "GRU": _RECURRENT,
    "SimpleRNN": _RECURRENT,
}  # fmt: skip
# Values of such arguments.
LAYER_VALUES: dict[str, dict[Any, Any]] = {
    "data_format": {"tf": "channels_last", "th": "channels_first", "default": None},
    "implementation": {"cpu": 0, "mem": 1, "gpu": 2},
}
# Layers: defaults that were others.
LAYER_DEFAULTS: dict[str, dict[str, Any]] = {
    "LSTM": {"recurrent_activation": "hard_sigmoid"},
    "GRU": {"recurrent_activation": "hard_sigmoid", "reset_after": False},
    "ConvLSTM2D": {"recurrent_activation": "hard_sigmoid"},
}
# Activations: hard_sigmoid was clip(0.2 x + 0.5, 0, 1) (compat.keras2.activations); the others are the same.
# Batch normalisation: `trainable = False` does not stop it from using the batch, and the moving variance takes
# n / (n - 1 - epsilon) times the batch's (compat.keras2.layers.BatchNormalization).
# Bilinear up-sampling: no half-pixel centres (compat.keras2.layers.UpSampling2D).
# Penalties on a layer's outputs: their sum over the batch, not the mean over its samples (compat.keras2.layer).
# Losses: the weighted sum is divided by the number of weights that are not 0 (compat.keras2.losses.WeightedLoss).
# Clipping: `clipnorm` bounds the norm of all gradients together (compat.keras2.optimizers).
# Metrics: "accuracy" goes by the output's width and the loss; its key is "acc", and "accuracy" answers too
# (compat.keras2.metrics).
# train_on_batch and test_on_batch give this batch's values, not those since the last reset
# (compat.keras2.training).
# Seeds: those not given come from NumPy's global generator, as `np.random.seed(...)` in scripts expects
# (compat.dialect).
# Names: the first Dense is dense_1 (compat.keras2.layer).

# fit and its generators: Keras 1's argument names.
FIT_ARGUMENTS = {"nb_epoch": "epochs"}
GENERATOR_ARGUMENTS = {
    "samples_per_epoch": "steps_per_epoch", "nb_epoch": "epochs", "nb_val_samples": "validation_steps",
    "val_samples": "steps", "nb_worker": "workers", "pickle_safe": "use_multiprocessing",
    "max_q_size": "max_queue_size",
}  # fmt: skip

# Keys of logs and the names by which they also answer.
LOG_ALIASES = {"acc": "accuracy", "accuracy": "acc", "lr": "learning_rate", "learning_rate": "lr"}
METRIC_KEYS = {"accuracy": "acc", "acc": "acc", "crossentropy": "ce", "ce": "ce"}
