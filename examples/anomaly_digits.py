"""An autoencoder that has never seen a zero finds zeros; `berrante demo anomaly` compares five methods on all digits."""

import berrante as keras
from berrante import zoo
from berrante.datasets import digits

keras.utils.set_random_seed(0)
(x, y), (x_test, y_test) = digits.load_data()
normal = x[y != 0]
model = keras.models.Autoencoder(*zoo.dense_autoencoder((8, 8, 1), code=8, units=(64, 32)))
model.compile("adam")
model.fit(normal, batch_size=32, epochs=40, verbose=0)
model.calibrate(normal, quantile=0.95)
found = model.is_anomaly(x_test)
print(f"zeros found: {found[y_test == 0].mean():.0%}; other digits taken for strange: {found[y_test != 0].mean():.0%}")
