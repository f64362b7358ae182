"""berrante run: unmodified scripts and notebooks, the choice of version, arguments, paths, errors."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from berrante.compat.detect import choose_version

PERCEPTRON = """
from keras.models import Sequential
from keras.layers.core import Dense
from keras.optimizers import SGD
from keras.utils import np_utils
import numpy as np

x = np.array([[0, 1], [1, 1], [1, 0], [0, 0]])
y = np.array([1, 1, 1, 0])
model = Sequential()
model.add(Dense(1, input_dim=2, activation="sigmoid", init="one"))
model.compile(loss="binary_crossentropy", optimizer=SGD(lr=0.5), metrics=["accuracy"])
history = model.fit(x, y, batch_size=1, nb_epoch=60, verbose=0)
print("acc", history.history["acc"][-1], history.history["accuracy"][-1])
print("classes", model.predict_classes(x).ravel().tolist())
print("one-hot", np_utils.to_categorical([1, 0]).tolist())
"""


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "berrante", "run", *arguments], cwd=folder, capture_output=True, text=True, timeout=100
    )


def test_a_keras_2_script_runs_unchanged(tmp_path: Path) -> None:
    (tmp_path / "perceptron.py").write_text(PERCEPTRON)
    done = run(tmp_path, "perceptron.py")
    assert done.returncode == 0, done.stderr
    assert "acc 1.0 1.0" in done.stdout
    assert "classes [1, 1, 1, 0]" in done.stdout
    assert "one-hot [[0.0, 1.0], [1.0, 0.0]]" in done.stdout
    assert "taking Keras 2" in done.stderr and "nb_epoch=" in done.stderr


def test_arguments_folder_and_exit_status(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "helper.py").write_text("from keras.layers import Dense\nWIDTH = 3\n")
    (folder / "main.py").write_text(
        "import sys, helper, keras, tensorflow.keras as tk\n"
        "assert __name__ == '__main__' and keras.layers.Dense is tk.layers.Dense is helper.Dense\n"
        "print(sys.argv[1:], helper.WIDTH, keras.__version__[0])\nsys.exit(7)\n"
    )
    done = run(tmp_path, "--keras", "3", "project/main.py", "--lr", "1", "x")
    assert done.returncode == 7, done.stderr
    assert "['--lr', '1', 'x'] 3 3" in done.stdout
    assert run(tmp_path, "absent.py").returncode == 2


def test_notebooks_run_cell_by_cell(tmp_path: Path) -> None:
    cells = ["%matplotlib inline\nimport keras\n!pip install keras", "x = 20\n", "x + 1", "%%bash\nls", "display(x)"]
    document = {
        "cells": [{"cell_type": "markdown", "source": ["# Title"]}]
        + [{"cell_type": "code", "source": c.splitlines(keepends=True)} for c in cells]
    }
    (tmp_path / "n.ipynb").write_text(json.dumps(document))
    done = run(tmp_path, "--keras", "2", "n.ipynb")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["21", "20"]
    assert "skipped '%matplotlib inline'" in done.stderr and "skipped '%%bash'" in done.stderr


def test_what_is_absent_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("from keras.applications import VGG16\n")
    done = run(tmp_path, "--keras", "2", "a.py")
    assert done.returncode == 1
    assert "No module named 'keras.applications': berrante has no pretrained applications" in done.stderr


def test_a_real_keras_imported_before_is_not_replaced(tmp_path: Path) -> None:
    code = (
        "import sys, types; sys.modules['keras'] = types.ModuleType('keras')\n"
        "from berrante.compat import install_as_keras\n"
        "try:\n    install_as_keras(2)\nexcept RuntimeError as e:\n    print(e)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "'keras' was imported before" in done.stdout


@pytest.mark.parametrize(
    ("source", "version"),
    [
        ("from keras.optimizers import SGD\nSGD(lr=0.1)", 2),
        ("from keras.utils.np_utils import to_categorical", 2),
        ("import tensorflow.keras as k\nm.fit_generator(g)", 2),
        ("from keras import backend as K\nx = K.placeholder((2,))", 2),
        ("from keras.models import Sequential\nm.add(Dense(3, input_shape=(2,)))", 2),
        ("import keras\nkeras.ops.add(1, 2)", 3),
        ("import keras\nm.save('a.keras')", 3),
        ("import keras\n", 3),
        ("not python at all (", 3),
    ],
)
def test_the_version_follows_what_a_script_uses(source: str, version: int, tmp_path: Path) -> None:
    script = tmp_path / "s.py"
    script.write_text(source)
    choice = choose_version(script)
    assert choice.version == version and choice.reasons


def test_the_files_that_a_script_imports_count(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text("from keras.layers.convolutional import Conv2D")
    (tmp_path / "main.py").write_text("import keras\nfrom net import *\n")
    assert choose_version(tmp_path / "main.py").version == 2


GAN = """
import tensorflow as tf
from tensorflow.keras import layers
import numpy as np

tf.random.set_seed(1)
g = tf.keras.Sequential([tf.keras.Input((4,)), layers.Dense(8, activation="relu"), layers.Dense(2)])
d = tf.keras.Sequential([tf.keras.Input((2,)), layers.Dense(8), layers.LeakyReLU(), layers.Dense(1)])
bce = tf.keras.losses.BinaryCrossentropy(from_logits=True)
g_opt, d_opt = tf.keras.optimizers.Adam(1e-2), tf.keras.optimizers.Adam(1e-2)
data = tf.data.Dataset.from_tensor_slices(np.random.normal(3, 1, (64, 2)).astype("float32")).shuffle(64).batch(16)

@tf.function
def step(real):
    noise = tf.random.normal([tf.shape(real)[0], 4])
    with tf.GradientTape() as g_tape, tf.GradientTape() as d_tape:
        fake = g(noise, training=True)
        on_real, on_fake = d(real, training=True), d(fake, training=True)
        g_loss = bce(tf.ones_like(on_fake), on_fake)
        d_loss = tf.reduce_mean(tf.concat([bce(tf.ones_like(on_real), on_real) * tf.ones(1),
                                           bce(tf.zeros_like(on_fake), on_fake) * tf.ones(1)], axis=0))
    g_opt.apply_gradients(zip(g_tape.gradient(g_loss, g.trainable_variables), g.trainable_variables))
    d_opt.apply_gradients(zip(d_tape.gradient(d_loss, d.trainable_variables), d.trainable_variables))
    return float(g_loss)

before = float(tf.reduce_mean(g(np.zeros((1, 4), "float32") + 1)))
for epoch in range(20):
    for real in data:
        loss = step(real)
after = float(tf.reduce_mean(g(np.zeros((1, 4), "float32") + 1)))
print("moved", abs(after - before) > 0.01, np.isfinite(loss))
try:
    tf.quantization
except AttributeError as error:
    print(error)
"""


def test_a_training_loop_written_for_tensorflow(tmp_path: Path) -> None:
    (tmp_path / "gan.py").write_text(GAN)
    done = run(tmp_path, "gan.py")
    assert done.returncode == 0, done.stderr
    assert "moved True True" in done.stdout
    assert "module 'tensorflow' has no attribute 'quantization'" in done.stdout


def test_a_notebooks_traceback_shows_the_cell(tmp_path: Path) -> None:
    document = {"cells": [{"cell_type": "code", "source": ["x = 1\n"]}, {"cell_type": "code", "source": ["\nx / 0"]}]}
    (tmp_path / "n.ipynb").write_text(json.dumps(document))
    done = run(tmp_path, "n.ipynb")
    assert done.returncode == 1
    assert "n.ipynb, cell 2" in done.stderr and "x / 0" in done.stderr and "ZeroDivisionError" in done.stderr
