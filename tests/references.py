"""Plain float64 references for windows over images."""

from __future__ import annotations

import numpy as np


def _padding(n: int, k: int, s: int, padding: str) -> tuple[int, int]:
    if padding == "valid":
        return 0, (n - k) // s + 1
    out = -(-n // s)
    return max((out - 1) * s + k - n, 0) // 2, out


def convolve(x: np.ndarray, w: np.ndarray, s: int, padding: str, d: int = 1, groups: int = 1) -> np.ndarray:
    n, h, width, c = x.shape
    kh, kw, cg, k = w.shape
    (top, oh), (left, ow) = (_padding(m, (q - 1) * d + 1, s, padding) for m, q in ((h, kh), (width, kw)))
    y = np.zeros((n, oh, ow, k))
    for i in range(oh):
        for j in range(ow):
            for a in range(kh):
                for b in range(kw):
                    r, q = i * s - top + a * d, j * s - left + b * d
                    if 0 <= r < h and 0 <= q < width:
                        for g in range(groups):
                            part = slice(g * (k // groups), (g + 1) * (k // groups))
                            y[:, i, j, part] += x[:, r, q, g * cg : (g + 1) * cg] @ w[a, b, :, part]
    return y


def pool(x: np.ndarray, kind: str, size: int, s: int, padding: str) -> np.ndarray:
    n, h, w, c = x.shape
    (top, oh), (left, ow) = (_padding(m, size, s, padding) for m in (h, w))
    y = np.zeros((n, oh, ow, c))
    reduce = {"max": np.max, "average": np.mean, "median": np.median}[kind]
    for i in range(oh):
        for j in range(ow):
            r, q = i * s - top, j * s - left
            window = x[:, max(r, 0) : min(r + size, h), max(q, 0) : min(q + size, w)]
            y[:, i, j] = reduce(window.reshape(n, -1, c), axis=1)
    return y


def resize_bilinear(x: np.ndarray, oh: int, ow: int) -> np.ndarray:
    _, h, w, _ = x.shape

    def weights(n: int, out: int) -> np.ndarray:
        m = np.zeros((out, n))
        for i in range(out):
            f = (i + 0.5) * n / out - 0.5
            low = int(np.floor(f))
            m[i, min(max(low, 0), n - 1)] += 1 - (f - low)
            m[i, min(max(low + 1, 0), n - 1)] += f - low
        return m

    return np.einsum("ih,jw,nhwc->nijc", weights(h, oh), weights(w, ow), x)
