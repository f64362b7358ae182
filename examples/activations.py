"""Every activation, drawn into activations.png."""

import sys

import matplotlib
import numpy as np

from berrante import activations

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

target = sys.argv[1] if len(sys.argv) > 1 else "activations.png"
# Not those of a whole axis, nor the second names.
others = ("softmax", "log_softmax", "sparsemax", "glu", "threshold", "swish", "hard_swish")
names = [n for n in activations.NAMES if n not in others]
x = np.linspace(-4, 4, 401, dtype=np.float32)
figure, axes = plt.subplots(-(-len(names) // 5), 5, figsize=(14, 14))
for axis, name in zip(axes.flat, names):
    axis.plot(x, np.asarray(activations.get(name)(x)))
    axis.set_title(name)
    axis.grid(alpha=0.3)
figure.tight_layout()
figure.savefig(target)
print(f"{len(names)} activations in {target}")
