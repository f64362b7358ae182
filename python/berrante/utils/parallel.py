"""One pool of Python threads for the images of a batch: NumPy and Pillow release the GIL while they work."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

from berrante.runtime.kernels import num_threads


@lru_cache(maxsize=1)
def _pool(process: int, threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="berrante-images")


def each(function: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
    """[function(item) for item in items], by as many threads as the kernels use; a forked child gets its own pool."""
    items = list(items)
    threads = num_threads()
    if threads == 1 or len(items) < 2:
        return [function(item) for item in items]
    return list(_pool(os.getpid(), threads).map(function, items))
