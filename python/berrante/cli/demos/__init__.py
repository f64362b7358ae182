"""berrante demo NAME: the uses of the network models, each on real data, with pictures and figures."""

from __future__ import annotations

# Name -> (module, what it shows); loaded when asked for.
DEMOS = {
    "gan": ("generation", "new digits by a DCGAN, a WGAN-GP and a VAE"),
    "superres": ("superres", "photographs (or digits) at four times their size"),
    "inpaint": ("inpainting", "holes in digits filled"),
    "segment": ("segmentation", "objects cut out of photographs by U-Net and SegNet"),
    "text2image": ("text2image", "digits drawn from captions"),
    "anomaly": ("anomaly", "a digit that training never saw, found"),
    "autoencoder": ("autoencoder", "compression, denoising and a map of digits"),
}


def run(name: str, options: object) -> dict[str, float]:
    """Runs a demo; gives its figures."""
    import importlib

    # The module's name comes from the table above.
    return importlib.import_module(f"berrante.cli.demos.{DEMOS[name][0]}").run(options)  # type: ignore[no-any-return]
