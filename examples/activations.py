"""Every activation, drawn into activations.png."""

import sys

import matplotlib
import numpy as np

from berrante import activations

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

target = sys.argv[1] if len(sys.argv) > 1 else "activations.png"
names = [n for n in activations.NAMES if n not in ("softmax", "log_softmax", "threshold", "swish", "hard_swish")]
x = np.linspace(-4, 4, 401, dtype=np.float32)
figure, axes = plt.subplots(5, 5, figsize=(14, 12))
for axis, name in zip(axes.flat, names):
    axis.plot(x, np.asarray(activations.get(name)(x)))
    axis.set_title(name)
    axis.grid(alpha=0.3)
figure.tight_layout()
figure.savefig(target)
print(f"{len(names)} activations in {target}")
