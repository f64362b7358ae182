"""pad_sequences: sequences of one length, after keras.utils."""

from __future__ import annotations

from typing import Any

import numpy as np


def pad_sequences(
    sequences: Any, maxlen: int | None = None, dtype: Any = "int32", padding: str = "pre", truncating: str = "pre",
    value: Any = 0.0,
) -> np.ndarray:  # fmt: skip
    """An array [number of sequences, maxlen, ...]: shorter ones filled with value, longer ones cut, before or after.

    maxlen: the longest one's length if None. padding, truncating: "pre" or "post". dtype: `object` for strings.
    """
    if not hasattr(sequences, "__len__"):
        raise ValueError("`sequences` must be iterable.")
    for name, kind in (("Padding", padding), ("Truncating", truncating)):
        if kind not in ("pre", "post"):
            raise ValueError(f'{name} type "{kind}" not understood; expected "pre" or "post"')
    for sequence in sequences:
        if not hasattr(sequence, "__len__"):
            raise ValueError(f"`sequences` must be a list of iterables. Found non-iterable: {sequence}")
    if maxlen is None:
        if not len(sequences):
            raise ValueError("`sequences` is empty, so there is no length to pad to; give `maxlen`")
        maxlen = max(len(s) for s in sequences)
    elif maxlen < 1:
        raise ValueError(f"`maxlen`: expected a positive integer; received {maxlen}")
    text = np.issubdtype(dtype, np.str_) or np.issubdtype(dtype, np.bytes_)
    if isinstance(value, str) and dtype is not object and not text:
        raise ValueError(
            f"`dtype` {dtype} is not compatible with `value`'s type: {type(value)}\nYou should set `dtype=object` for "
            "variable length strings."
        )
    shape = next((np.asarray(s).shape[1:] for s in sequences if len(s)), ())
    padded = np.full((len(sequences), maxlen, *shape), value, dtype=dtype)
    for index, sequence in enumerate(sequences):
        if not len(sequence):
            continue
        kept = np.asarray(sequence[-maxlen:] if truncating == "pre" else sequence[:maxlen], dtype=dtype)
        if kept.shape[1:] != shape:
            raise ValueError(
                f"Shape of sample {kept.shape[1:]} of sequence at position {index} is different from expected shape "
                f"{shape}"
            )
        padded[index, slice(maxlen - len(kept), None) if padding == "pre" else slice(len(kept))] = kept
    return padded
