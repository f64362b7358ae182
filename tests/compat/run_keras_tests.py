"""Runs Keras' own unit tests, from a checkout of its sources, against berrante under the name keras, and counts.

    python tests/compat/run_keras_tests.py --source KERAS_2.2.4 --keras 2 [FILES...] [--failures N]
    python tests/compat/run_keras_tests.py --source KERAS_3.15 --keras 3 [FILES...]

Each file runs in a process of its own, with a time limit. Only the tests come from the checkout (and the helpers that
they import from keras.utils.test_utils or keras.src.testing); `keras` itself is berrante. Nothing of it is kept here.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

FILES_2 = [
    "activations_test.py", "constraints_test.py", "initializers_test.py", "losses_test.py", "metrics_test.py",
    "optimizers_test.py", "regularizers_test.py", "test_callbacks.py", "test_sequential_model.py",
    "engine/test_topology.py", "engine/test_training.py", "layers/advanced_activations_test.py",
    "layers/convolutional_test.py", "layers/core_test.py", "layers/embeddings_test.py", "layers/local_test.py",
    "layers/merge_test.py", "layers/noise_test.py", "layers/normalization_test.py", "layers/wrappers_test.py",
    "utils/conv_utils_test.py", "utils/generic_utils_test.py", "utils/io_utils_test.py", "utils/layer_utils_test.py",
    "utils/np_utils_test.py", "utils/data_utils_test.py", "legacy/interface_test.py", "wrappers/scikit_learn_test.py",
    "../test_model_saving.py", "../test_model_pickling.py", "../test_loss_masking.py", "../test_loss_weighting.py",
    "../test_dynamic_trainability.py", "../integration_tests/test_image_data_tasks.py",
    "../integration_tests/test_vector_data_tasks.py",
]  # fmt: skip
FOLDERS_3 = ["layers", "losses", "metrics", "optimizers", "callbacks", "models", "saving", "activations", "initializers",
             "regularizers", "constraints", "trainers"]  # fmt: skip

# What the child process runs: the names are taken before pytest collects anything.
CHILD = """
import importlib.util, sys
from pathlib import Path
source, version, report, files = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:]
import matplotlib; matplotlib.use("Agg")
from berrante.compat import install_as_keras
install_as_keras(version)
import keras
def take(name, path):
    spec = importlib.util.spec_from_file_location(name, path, submodule_search_locations=[str(path.parent)]
                                                  if path.name == "__init__.py" else None)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
wanted = []
if version == 2:
    take("keras.utils.test_utils", source / "keras/utils/test_utils.py")
    keras.utils.test_utils = sys.modules["keras.utils.test_utils"]
else:
    class Absent(type(sys)):
        def __getattr__(self, name):
            if name.startswith("__"):
                raise AttributeError(name)
            return lambda *args, **kwargs: (_ for _ in ()).throw(NotImplementedError("OutOfScope " + name))
    import keras.src
    for name in ("export", "quantizers", "dtype_policies", "distribution", "applications", "visualization",
                 "quantizers.quantizers", "quantizers.quantization_config", "quantizers.awq_config",
                 "quantizers.gptq_config", "quantizers.gptq", "quantizers.awq"):
        module = sys.modules["keras.src." + name] = Absent(name)
        module.__path__ = []
        setattr(keras.src, name, module)
    sys.modules["conftest"] = conftest = Absent("conftest")
    conftest.skip_if_backend = lambda *args: lambda test: test
    take("keras.src.testing.test_utils", source / "keras/src/testing/test_utils.py")
    take("keras.src.testing.test_case", source / "keras/src/testing/test_case.py")
    import re
    for helper in set(re.findall(r"from (keras[.]src[.][a-z0-9_.]*_test) import", Path(files[0]).read_text())):
        wanted.append(helper)
    take("keras.src.testing", source / "keras/src/testing/__init__.py")
import importlib
import keras.layers, keras.callbacks
class OutOfScope(NotImplementedError):
    pass
def absent(name):
    def __init__(self, *args, **kwargs):
        pass
    def __getattr__(self, attribute):
        raise OutOfScope(name)
    return type(name, (), {"__init__": __init__, "__getattr__": __getattr__, "__call__": lambda self, *a, **k: self.x})
NAMES = ("RNN SimpleRNN LSTM GRU SimpleRNNCell LSTMCell GRUCell StackedRNNCells Bidirectional CuDNNGRU CuDNNLSTM "
         "ConvLSTM2D ConvLSTM2DCell ConvRNN2D Conv3D Conv3DTranspose SpatialDropout3D MaxPooling3D AveragePooling3D "
         "GlobalMaxPooling3D GlobalAveragePooling3D UpSampling3D ZeroPadding3D Cropping3D LocallyConnected1D "
         "LocallyConnected2D Convolution3D AtrousConvolution1D EinsumDense ReversibleEmbedding AdaptiveAveragePooling1D "
         "AdaptiveAveragePooling2D AdaptiveAveragePooling3D AdaptiveMaxPooling1D AdaptiveMaxPooling2D "
         "AdaptiveMaxPooling3D MultiHeadAttention").split()
PARTS = "convolutional recurrent core pooling local wrappers convolutional_recurrent".split() if version == 2 else []
for name in NAMES:
    if not hasattr(keras.layers, name):
        value = absent(name)
        for module in [keras.layers, importlib.import_module("keras.src.layers"), *(importlib.import_module("keras.layers." + part) for part in PARTS)]:
            setattr(module, name, value)
for helper in wanted:  # what a test file imports from another
    take(helper, source / (helper.replace(".", "/") + ".py"))
import pytest
class Report:
    def __init__(self):
        self.lines = []
    def pytest_collectreport(self, report):
        if report.failed:
            self.lines.append(("error", report.nodeid, str(report.longrepr)[-3000:]))
    def pytest_runtest_logreport(self, report):
        if report.when == "call" or report.outcome == "failed" or (report.when == "setup" and report.skipped):
            self.lines.append((report.outcome, report.nodeid, str(report.longrepr)[-3000:] if report.failed else ""))
plugin = Report()
pytest.main(["-q", "-p", "no:cacheprovider", "--import-mode=importlib", "--noconftest", "-c", "/dev/null",
             "--rootdir", str(source), *files], plugins=[plugin])
import json
Path(report).write_text(json.dumps(plugin.lines))
"""


# What berrante leaves out: quantization, LoRA, 3-D and recurrent layers, CTC, element types beside float32.
OUT_OF_SCOPE = re.compile(
    "OutOfScope|quantiz|lora|CTC|TensorBoard|RemoteMonitor|GRU|LSTM|RNN|"
    "(Pool|Pooling|Conv|Padding|Cropping|UpSampling)3D|dtype of x does not match"
)


def first_error(text: str) -> str:
    """The first line that tells what went wrong."""
    lines = [line[2:] if line.startswith("E ") else line for line in text.splitlines() if line.startswith("E ")]
    return (lines or text.splitlines() or [""])[0].strip()


def reason_of(text: str) -> str:
    """The same without what differs from test to test."""
    return re.sub(r"0x[0-9a-f]+|\d+", "N", first_error(text))[:150]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--source", type=Path, required=True, help="a checkout of Keras")
    parser.add_argument("--keras", type=int, choices=(2, 3), required=True)
    parser.add_argument("--failures", type=int, default=0, help="how many failing tests to print in full")
    parser.add_argument("--reasons", type=int, default=20, help="how many reasons of failure to print")
    parser.add_argument("--timeout", type=int, default=200, help="seconds for one file")
    parser.add_argument("files", nargs="*")
    args = parser.parse_args()
    source = args.source.resolve()
    if args.keras == 2:
        root = source / "tests" / "keras"
        files = [root / f for f in args.files or FILES_2]
    else:
        root = source / "keras" / "src"
        files = [root / f for f in args.files] or [
            p
            for f in FOLDERS_3
            for p in sorted((root / f).rglob("*_test.py"))
            if not {"rnn", "attention", "preprocessing", "export"} & set(p.parts)
        ]
    totals: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    failed: list[tuple[str, str]] = []
    for file in files:
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder) / "report.json"
            test = file
            if args.keras == 3:  # away from its package, whose name is taken
                test = Path(shutil.copy(file, folder))
            command = [sys.executable, "-c", CHILD, str(source), str(args.keras), str(report), str(test)]
            environment = {**os.environ, "KERAS_HOME": os.environ.get("KERAS_HOME", str(Path.home() / ".keras"))}
            try:
                done = subprocess.run(
                    command, cwd=folder, env=environment, timeout=args.timeout, capture_output=True, text=True
                )
                said = done.stdout[-1500:] + done.stderr[-1500:]
            except subprocess.TimeoutExpired:
                said = f"took more than {args.timeout} s"
            lines = json.loads(report.read_text()) if report.exists() else [("error", str(file), said)]
        lines = [
            ("out of scope" if o == "failed" and OUT_OF_SCOPE.search(first_error(t)) else o, n, t) for o, n, t in lines
        ]
        counts = Counter(outcome for outcome, _, _ in lines)
        totals.update(counts)
        print(f"{file.relative_to(source) if file.is_relative_to(source) else file}: {dict(counts)}", flush=True)
        for outcome, name, text in lines:
            if outcome in ("failed", "error"):
                reasons[reason_of(text)] += 1
                failed.append((name, text))
    ran = totals["passed"] + totals["failed"] + totals["error"]
    share = 100 * totals["passed"] / max(ran, 1)
    print(f"\n{totals['passed']} of {ran} pass ({share:.1f}%), {totals['skipped']} are skipped by Keras itself,")
    print(f"{totals['out of scope']} use layers that are out of scope")
    for reason, n in reasons.most_common(args.reasons):
        print(f"{n:5d}  {reason}")
    for name, text in failed[: args.failures]:
        print("=" * 100, f"\n{name}\n{text}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
