"""TensorBoard: logs for the program of that name, written by the tensorboard package's own event writer."""

from __future__ import annotations

import os
import sys
import time
from types import ModuleType
from typing import Any

import numpy as np

from berrante.callbacks.callback import Callback
from berrante.optimizers.multi import learning_rates


class _Events:
    """One event file in a folder, in TensorFlow 2's formats."""

    def __init__(self, folder: str) -> None:
        # The package would import TensorFlow, whose name may lead elsewhere, for files that it writes as well itself.
        sys.modules.setdefault("tensorboard.compat.notf", ModuleType("tensorboard.compat.notf"))
        try:
            from tensorboard.summary.writer.event_file_writer import EventFileWriter
        except ImportError:
            raise ImportError("callbacks.TensorBoard needs the tensorboard package: pip install tensorboard") from None
        self._writer = EventFileWriter(folder)

    def _add(self, summary: Any, step: int) -> None:
        from tensorboard.compat.proto.event_pb2 import Event

        self._writer.add_event(Event(wall_time=time.time(), step=step, summary=summary))

    def scalar(self, tag: str, value: float, step: int) -> None:
        from tensorboard.plugins.scalar.summary_v2 import scalar_pb

        self._add(scalar_pb(tag, float(value)), step)

    def histogram(self, tag: str, values: np.ndarray, step: int) -> None:
        from tensorboard.plugins.histogram.summary_v2 import histogram_pb

        self._add(histogram_pb(tag, values), step)

    def image(self, tag: str, pixels: np.ndarray, step: int) -> None:
        """Pixels [H, W, 1, 3 or 4] from 0 to 1."""
        import io

        from PIL import Image
        from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
        from tensorboard.util.tensor_util import make_tensor_proto

        h, w, c = pixels.shape
        data = io.BytesIO()
        Image.fromarray((np.clip(pixels, 0, 1) * 255).astype(np.uint8).squeeze(-1) if c == 1 else
                        (np.clip(pixels, 0, 1) * 255).astype(np.uint8)).save(data, "PNG")  # fmt: skip
        metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="images"))
        tensor = make_tensor_proto([str(w).encode(), str(h).encode(), data.getvalue()])
        self._add(Summary(value=[Summary.Value(tag=tag, tensor=tensor, metadata=metadata)]), step)

    def text(self, tag: str, plugin: str, text: str, step: int) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
        from tensorboard.util.tensor_util import make_tensor_proto

        metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name=plugin, content=b"1"))
        value = Summary.Value(tag=tag, tensor=make_tensor_proto(text), metadata=metadata)
        self._add(Summary(value=[value]), step)

    def flush(self) -> None:
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


class TensorBoard(Callback):
    """Writes losses, metrics, the learning rate and, on demand, histograms and pictures of weights.

    Args:
        log_dir: the folder; `train` and `validation` lie in it.
        histogram_freq: epochs between histograms of weights; 0 for none.
        write_graph: whether to write the architecture.
        write_images: whether histograms come with pictures of the weights.
        write_steps_per_second: whether to log the speed.
        update_freq: "epoch", "batch" or a number of batches between entries.
        embeddings_freq: epochs between weight files for the projector; 0 for none.
        profile_batch, embeddings_metadata: accepted; there is no profile to write.
    """

    def __init__(
        self, log_dir: Any = "logs", histogram_freq: int = 0, write_graph: bool = True, write_images: bool = False,
        write_steps_per_second: bool = False, update_freq: Any = "epoch", profile_batch: Any = 0,
        embeddings_freq: int = 0, embeddings_metadata: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.log_dir, self.histogram_freq, self.write_graph = str(log_dir), histogram_freq, write_graph
        self.write_images, self.write_steps_per_second = write_images, write_steps_per_second
        self.update_freq = 1 if update_freq == "batch" else update_freq
        self.profile_batch, self.embeddings_freq = profile_batch, embeddings_freq
        self.embeddings_metadata = embeddings_metadata
        self.by_batch = self.update_freq != "epoch"
        self._writers: dict[str, _Events] = {}
        self._batches = self._epoch_steps = 0
        self._epoch_start = 0.0

    def _events(self, name: str) -> _Events:
        if name not in self._writers:
            self._writers[name] = _Events(os.path.join(self.log_dir, name))
        return self._writers[name]

    def set_model(self, model: Any) -> None:
        super().set_model(model)
        self._writers = {}
        if self.write_graph and type(model).__name__ in ("Functional", "Sequential", "Model") and model.built:
            try:
                text = model.to_json()
            except (ValueError, NotImplementedError):
                return  # a model whose config cannot be written has no graph to show
            self._events("train").text("keras", "graph_keras_model", text, 0)

    def on_train_begin(self, logs: Any = None) -> None:
        self._batches = self._epoch_steps = 0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._batches += 1
        if self.update_freq == "epoch" or self._batches % self.update_freq:
            return
        for name, value in (logs or {}).items():
            self._events("train").scalar(f"batch_{name}", value, self._batches)

    def on_test_end(self, logs: Any = None) -> None:
        optimizer = self.model.optimizer
        if optimizer is not None:
            for name, value in (logs or {}).items():
                step = int(np.asarray(optimizer.iterations))
                self._events("validation").scalar(f"evaluation_{name}_vs_iterations", value, step)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if self.write_steps_per_second:
            self._epoch_steps = int(np.asarray(self.model.optimizer.iterations))
            self._epoch_start = time.time()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs = dict(logs or {})
        optimizer = self.model.optimizer
        train = {k: v for k, v in logs.items() if not k.startswith("val_")}
        if optimizer is not None and logs:
            train.update(learning_rates(optimizer))
        if self.write_steps_per_second:
            steps = int(np.asarray(optimizer.iterations)) - self._epoch_steps
            train["steps_per_second"] = steps / max(time.time() - self._epoch_start, 1e-9)
        for name, value in train.items():
            self._events("train").scalar(f"epoch_{name}", value, epoch)
        for name, value in logs.items():
            if name.startswith("val_"):
                self._events("validation").scalar(f"epoch_{name[4:]}", value, epoch)
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            self._log_weights(epoch)
        if self.embeddings_freq and epoch % self.embeddings_freq == 0:
            path = os.path.join(self.log_dir, "train", f"keras_embedding.ckpt-{epoch}.weights.h5")
            os.makedirs(os.path.dirname(path), exist_ok=True)
            self.model.save_weights(path)
        for writer in self._writers.values():
            writer.flush()

    def _log_weights(self, epoch: int) -> None:
        events = self._events("train")
        for layer in self.model.layers:
            for weight in layer.weights:
                name = weight.path.replace(":", "_")
                events.histogram(f"{name}/histogram", weight.numpy(), epoch)
                pixels = _as_picture(weight.numpy()) if self.write_images else None
                if pixels is not None:
                    events.image(f"{name}/image", pixels, epoch)

    def on_train_end(self, logs: Any = None) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers = {}


def _as_picture(weight: np.ndarray) -> np.ndarray | None:
    """A vector or matrix as a grey picture [H, W, 1], its smallest value black; None for other ranks."""
    squeezed = np.squeeze(weight)
    if squeezed.ndim not in (1, 2):
        return None
    rows = np.atleast_2d(squeezed)
    rows = rows.T if rows.shape[0] > rows.shape[1] else rows
    low, high = rows.min(), rows.max()
    picture: np.ndarray = ((rows - low) / max(high - low, 1e-12))[..., None]
    return picture
