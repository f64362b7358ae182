"""The slides' convolution: a 5 x 5 image and a 3 x 3 kernel that moves the pixel above into each place."""

import numpy as np

from berrante import ops

image = np.array(
    [
        [35, 40, 41, 45, 50],
        [40, 40, 42, 46, 52],
        [42, 46, 50, 55, 55],
        [48, 52, 56, 58, 60],
        [56, 60, 65, 70, 75],
    ],
    np.float32,
)
kernel = np.array([[0, 1, 0], [0, 0, 0], [0, 0, 0]], np.float32)
result = ops.conv(image.reshape(1, 5, 5, 1), kernel.reshape(3, 3, 1, 1), padding="same").numpy()[0, :, :, 0]
print(result)
print(f"in the middle, over the 50: {result[2, 2]:.0f}")
