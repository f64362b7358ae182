"""The enqueuers of keras.utils.data_utils: batches from Sequences and generators, one after the other.

Keras 2 filled a queue from threads or processes; here `get()` makes each batch when it is asked for.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any


class SequenceEnqueuer:
    """The base: start, get, stop."""

    def __init__(self, sequence: Any, use_multiprocessing: bool = False) -> None:
        self.sequence = sequence
        self.use_multiprocessing = use_multiprocessing
        self._running = False

    def is_running(self) -> bool:
        """Between start() and stop()."""
        return self._running

    def start(self, workers: int = 1, max_queue_size: int = 10) -> None:
        """Lets get() give batches."""
        self._running = True

    def stop(self, timeout: float | None = None) -> None:
        """Ends get()."""
        self._running = False

    def get(self) -> Iterator[Any]:
        """The batches."""
        raise NotImplementedError(f"{type(self).__name__} must define get()")


class OrderedEnqueuer(SequenceEnqueuer):
    """The batches of a Sequence, epoch after epoch, in order or shuffled."""

    def __init__(self, sequence: Any, use_multiprocessing: bool = False, shuffle: bool = False) -> None:
        super().__init__(sequence, use_multiprocessing)
        self.shuffle = shuffle

    def get(self) -> Iterator[Any]:
        while self._running:
            order = list(range(len(self.sequence)))
            if self.shuffle:
                random.shuffle(order)
            for i in order:
                if not self._running:
                    return
                batch = self.sequence[i]
                if batch is not None:
                    yield batch
            if hasattr(self.sequence, "on_epoch_end"):
                self.sequence.on_epoch_end()


class GeneratorEnqueuer(SequenceEnqueuer):
    """What a generator gives, until it ends."""

    def __init__(
        self, sequence: Any, use_multiprocessing: bool = False, wait_time: Any = None, random_seed: Any = None
    ) -> None:
        super().__init__(sequence, use_multiprocessing)

    def get(self) -> Iterator[Any]:
        while self._running:
            try:
                batch = next(self.sequence)
            except StopIteration:
                return
            if batch is not None:
                yield batch
