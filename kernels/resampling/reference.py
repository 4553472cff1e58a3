"""Images x (n, c, h, w) at another size.

    nearest   out[i] = x[floor(i scale)]
    linear    out[i] = (1 - w) x[k] + w x[k + 1]  with k + w = i scale if `align_corners`, else
              max((i + 0.5) scale - 0.5, 0);  along both axes

`scale` is the step in x from one element of out to the next; at the end, places stay inside of x.
"""

from functools import lru_cache
from typing import Any

import numpy as np

from ..spec import Array

Pair = tuple[int, int]
Scales = tuple[float, float]
MODES = ("nearest", "linear")


def upsample_forward(
    xp: Any,
    out: Array,
    x: Array,
    *,
    mode: str,
    align_corners: bool,
    output: Pair,
    scale: Scales,
) -> None:
    """x (n, c, h, w), out (n, c, *output)."""
    down, across = (
        _matrix(xp, mode, align_corners, x.shape[2 + a], output[a], scale[a], x.dtype)
        for a in range(2)
    )
    if mode == "nearest":  # a product would make NaN of infinity
        out[...] = x[:, :, down.argmax(axis=1)][..., across.argmax(axis=1)]
    else:
        out[...] = down @ (x @ across.T)


def upsample_backward(
    xp: Any,
    dx: Array,
    dout: Array,
    *,
    size: Pair,
    mode: str,
    align_corners: bool,
    output: Pair,
    scale: Scales,
) -> None:
    """dout (n, c, *output), dx (n, c, *size)."""
    down, across = (
        _matrix(xp, mode, align_corners, size[a], output[a], scale[a], dx.dtype) for a in range(2)
    )
    dx[...] = down.T @ (dout @ across)


@lru_cache(maxsize=256)
def places(
    mode: str, align_corners: bool, size: int, output: int, scale: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each element of out along an axis: two neighbours in x, and the second one's weight."""
    i = np.arange(output)
    if mode == "nearest":
        # In float32, as PyTorch, so that a product just below an integer falls on the same side.
        first = np.floor(i.astype(np.float32) * np.float32(scale)).astype(np.int64)
        first = np.minimum(first, size - 1)
        return first, first, np.zeros(output)
    source = i * scale if align_corners else np.maximum((i + 0.5) * scale - 0.5, 0)
    first = np.minimum(source.astype(np.int64), size - 1)
    return first, np.minimum(first + 1, size - 1), np.clip(source - first, 0, 1)


def _matrix(
    xp: Any, mode: str, align_corners: bool, size: int, output: int, scale: float, dtype: Any
) -> Array:
    """(output, size): the weights of x's elements in those of out."""
    first, second, weight = places(mode, align_corners, size, output, scale)
    matrix = np.zeros((output, size))
    matrix[np.arange(output), first] += 1 - weight
    matrix[np.arange(output), second] += weight
    return xp.asarray(matrix, dtype=dtype)
