"""keras.callbacks.TensorBoard of Keras 2: its arguments, its tags, and what it draws from the validation data.

Everything lies in `log_dir` itself under the names of the logs (`loss`, `acc`, `val_loss`, `lr`). Histograms show weights,
their gradients and the layers' outputs over the validation data. Where Keras 2 keeps embeddings in TensorFlow's
checkpoints, here they are tables (`<layer>_embedding.tsv`), which the projector reads as well.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from berrante.callbacks.tensorboard import TensorBoard as CoreTensorBoard
from berrante.compat.backend.symbolic import function
from berrante.graph.tape import GradientTape, flatten


class TensorBoard(CoreTensorBoard):
    """Writes losses, metrics, histograms and embeddings, in Keras 2's order of arguments.

    Args:
        histogram_freq: epochs between histograms, which need validation data in arrays; 0 for none.
        batch_size: samples that go through the network at once for histograms and embeddings.
        write_grads: whether histograms come with those of the weights' gradients.
        embeddings_freq: epochs between tables of `embeddings_layer_names` over `embeddings_data`; 0 for none.
        embeddings_metadata: a file of labels, or one for each layer's name.
        update_freq: "batch", "epoch" or a number of samples between entries.
    """

    validation_data: Any = None

    def __init__(
        self, log_dir: str = "./logs", histogram_freq: int = 0, batch_size: int = 32, write_graph: bool = True,
        write_grads: bool = False, write_images: bool = False, embeddings_freq: int = 0,
        embeddings_layer_names: Any = None, embeddings_metadata: Any = None, embeddings_data: Any = None,
        update_freq: Any = "epoch", **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(log_dir, histogram_freq, write_graph, write_images, update_freq=update_freq, **kwargs)
        self.embeddings_freq, self.embeddings_metadata = embeddings_freq, embeddings_metadata or {}
        self.batch_size, self.write_grads = batch_size, write_grads
        self.embeddings_layer_names, self.embeddings_data = embeddings_layer_names, embeddings_data
        self._samples = self._written = 0

    def _events(self, name: str) -> Any:
        return super()._events("")  # everything in log_dir itself

    def on_train_begin(self, logs: Any = None) -> None:
        super().on_train_begin(logs)
        self._samples = self._written = 0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        logs = logs or {}
        if self.update_freq == "epoch":
            return
        self._samples += int(logs.get("size", (self.params or {}).get("batch_size") or 1))
        if self._samples - self._written >= self.update_freq:
            self._written = self._samples
            self._write(logs, self._samples)

    def on_test_end(self, logs: Any = None) -> None:
        """Keras 2 has no such entries."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self.histogram_freq and not self.validation_data:
            raise ValueError(
                "TensorBoard: with histogram_freq validation_data must be provided, and cannot be a generator; received "
                f"histogram_freq={self.histogram_freq} and no validation data in arrays"
            )
        if self.embeddings_freq and self.embeddings_data is None:
            raise ValueError("To visualize embeddings, embeddings_data must be provided.")
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            self._log_weights(epoch)
            self._log_outputs(epoch)
            if self.write_grads:
                self._log_gradients(epoch)
        if self.embeddings_freq and epoch % self.embeddings_freq == 0:
            self._write_embeddings()
        self._write(logs or {}, epoch if self.update_freq == "epoch" else self._samples)
        self._events("").flush()

    def _write(self, logs: Any, step: int) -> None:
        for name, value in logs.items():
            if name not in ("batch", "size"):
                self._events("").scalar(name, float(np.mean(value)), step)

    def _validation(self) -> tuple[list[Any], list[Any]]:
        """The inputs and the targets, a batch of at most `batch_size`."""
        inputs = len(self.model.inputs)
        first = [a[: self.batch_size] for a in self.validation_data]
        return first[:inputs], first[inputs : inputs + len(self.model.outputs)]

    def _log_outputs(self, epoch: int) -> None:
        named = [(layer.name, flatten(layer.output)) for layer in self.model.layers if len(layer._nodes) == 1]
        run = function(self.model.inputs, [y for _, outputs in named for y in outputs])
        values = iter(run(self._validation()[0]))
        for name, outputs in named:
            for i in range(len(outputs)):
                tag = f"{name}_out" if len(outputs) == 1 else f"{name}_out_{i}"
                self._events("").histogram(tag, next(values), epoch)

    def _log_gradients(self, epoch: int) -> None:
        xs, ys = self._validation()
        x, y = (parts[0] if len(parts) == 1 else parts for parts in (xs, ys))
        weights = self.model.trainable_weights
        with GradientTape() as tape:
            loss = self.model.compute_loss(x, y, self.model(x, training=False))
        for weight, gradient in zip(weights, tape.gradient(loss, weights), strict=True):
            if gradient is not None:
                self._events("").histogram(f"{weight.path.replace(':', '_')}_grad", np.asarray(gradient), epoch)

    def _write_embeddings(self) -> None:
        """A table for each layer, and the projector's list of them."""
        names = self.embeddings_layer_names or [
            layer.name for layer in self.model.layers if type(layer).__name__ == "Embedding"
        ]
        found = [layer for layer in self.model.layers if layer.name in names]
        if not found:
            return
        data = self.embeddings_data if isinstance(self.embeddings_data, (list, tuple)) else [self.embeddings_data]
        run = function(self.model.inputs, [layer.output for layer in found])
        batches = [
            run([a[i : i + self.batch_size] for a in data]) for i in range(0, len(data[0]), self.batch_size)
        ]  # fmt: skip
        metadata = self.embeddings_metadata
        lines = []
        os.makedirs(self.log_dir, exist_ok=True)
        for k, layer in enumerate(found):
            rows = np.concatenate([batch[k].reshape(len(batch[k]), -1) for batch in batches])
            table = f"{layer.name}_embedding.tsv"
            np.savetxt(os.path.join(self.log_dir, table), rows, fmt="%.6g", delimiter="\t")
            labels = metadata if isinstance(metadata, str) else metadata.get(layer.name)
            about = [f'tensor_name: "{layer.name}"', f'tensor_path: "{table}"']
            if labels:
                about.append(f'metadata_path: "{labels}"')
            lines.append("embeddings {\n" + "".join(f"  {line}\n" for line in about) + "}\n")
        with open(os.path.join(self.log_dir, "projector_config.pbtxt"), "w") as file:
            file.write("".join(lines))
