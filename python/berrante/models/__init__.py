"""Models, after keras.models, and the perceptron."""

from __future__ import annotations

from typing import Any

from berrante.models.clone import clone_model
from berrante.models.model import Model
from berrante.models.perceptron import Perceptron
from berrante.models.sequential import Sequential

Functional = Model
GENERATIVE = (
    "Autoencoder", "DenoisingAutoencoder", "SparseAutoencoder", "ContractiveAutoencoder", "VAE", "ConditionalVAE",
    "VQVAE", "GAN", "WGAN", "ConditionalGAN", "Pix2Pix", "CycleGAN", "SRGAN", "Inpainter", "TextToImageGAN", "FAnoGAN",
)  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in GENERATIVE:  # loaded when first asked for
        from berrante.models import generative

        return getattr(generative, name)
    raise AttributeError(f"module 'berrante.models' has no attribute {name!r}")


def load_model(filepath: Any, custom_objects: Any = None, compile: bool = True, safe_mode: bool = True) -> Any:
    """The model of a file."""
    from berrante.saving import load_model as load

    return load(filepath, custom_objects, compile, safe_mode)


def save_model(model: Any, filepath: Any, overwrite: bool = True, **kwargs: Any) -> None:
    """model.save."""
    from berrante.saving import save_model as save

    save(model, filepath, overwrite, **kwargs)


def model_from_json(json_string: str, custom_objects: Any = None) -> Any:
    """The model of to_json() of any Keras, with new weights. Text that is too large, too deep or no model is refused."""
    from berrante.saving.guard import RefusedFile, read_json
    from berrante.saving.registry import deserialize_keras_object

    model = deserialize_keras_object(read_json(json_string, "model_from_json"), custom_objects)
    if not isinstance(model, Model):
        raise RefusedFile(f"model_from_json: expected a model; the config describes {type(model).__name__}")
    return model
