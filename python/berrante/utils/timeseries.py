"""timeseries_dataset_from_array: batches of sliding windows over a series, after keras.utils."""

from __future__ import annotations

from typing import Any

import numpy as np

from berrante.utils.batches import Dataset, wrapped


class Windows(Dataset):
    """Windows of a series, in batches (singly with batch_size None); with a seed in a new random order each epoch."""

    def __init__(
        self, data: np.ndarray, targets: np.ndarray | None, starts: np.ndarray, offsets: np.ndarray,
        batch_size: int | None, rng: np.random.RandomState | None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.data, self.targets, self.starts, self.offsets = data, targets, starts, offsets
        self.batch_size, self.rng = batch_size, rng
        self.on_epoch_end()

    def on_epoch_end(self) -> None:
        if self.rng is not None:
            self.rng.shuffle(self.starts)

    def __len__(self) -> int:
        return len(self.starts) if self.batch_size is None else -(-len(self.starts) // self.batch_size)

    def fetch(self, index: int) -> Any:
        at: Any = self.starts[index]
        if self.batch_size is not None:
            at = self.starts[index * self.batch_size : (index + 1) * self.batch_size]
        window = self.data[np.asarray(at)[..., None] + self.offsets]
        return wrapped(window if self.targets is None else (window, np.asarray(self.targets[at])))


def timeseries_dataset_from_array(
    data: Any, targets: Any, sequence_length: int, sequence_stride: int = 1, sampling_rate: int = 1,
    batch_size: int | None = 128, shuffle: bool = False, seed: int | None = None, start_index: int | None = None,
    end_index: int | None = None, format: str = "tf",
) -> Windows:  # fmt: skip
    """Batches (windows [batch, sequence_length, ...], targets) of a series; windows alone if targets is None.

    Window i starts at i * sequence_stride and takes every sampling_rate-th step; targets[i * sequence_stride] belongs to
    it. start_index, end_index: the part of the series to use. batch_size None: single windows. format (tf or grain) is
    accepted: what comes iterates as either does.
    """
    data = np.asarray(data)
    targets = None if targets is None else np.asarray(targets)
    n = len(data)
    if start_index is not None and not 0 <= start_index < n:
        raise ValueError(f"`start_index` must be from 0 to {n - 1}, within the data. Received: {start_index}")
    if end_index is not None and not (start_index or 0) < end_index < n:
        raise ValueError(
            f"`end_index` must be higher than `start_index` ({start_index or 0}) and lower than the length of the data "
            f"({n}). Received: end_index={end_index}"
        )
    for name, value in (("sampling_rate", sampling_rate), ("sequence_stride", sequence_stride)):
        if not 0 < value < n:
            raise ValueError(
                f"`{name}` must be higher than 0 and lower than the length of the data ({n}). Received: {name}={value}"
            )
    if sequence_length < 1 or (batch_size is not None and batch_size < 1):
        raise ValueError(
            "`sequence_length` and `batch_size` must be positive. Received: "
            f"sequence_length={sequence_length}, batch_size={batch_size}"
        )
    start, end = start_index or 0, n if end_index is None else end_index
    count = end - start - (sequence_length - 1) * sampling_rate
    if targets is not None:
        count = min(count, len(targets) - start)
    starts = np.arange(0, max(count, 0), sequence_stride)
    rng = np.random.RandomState(np.random.randint(10**6) if seed is None else seed) if shuffle else None
    rest = None if targets is None else targets[start:]
    offsets = np.arange(sequence_length) * sampling_rate
    return Windows(data[start:end], rest, starts, offsets, batch_size, rng)
