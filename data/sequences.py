"""Sequences of unequal length as one array."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import ShapeError


def pad_sequences(
    sequences: Sequence[Any], batch_first: bool = True, value: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """(padded, lengths) of arrays (length_i, ...), for a recurrent layer's `lengths`.

    `padded` is (n, longest, ...), or (longest, n, ...) where `batch_first` is False, with `value`
    after each end; `lengths` (n,) is int64. Raises ShapeError where there is no sequence, or where
    axes other than the first differ.

    >>> padded, lengths = pad_sequences([[1, 2, 3], [4]])
    >>> padded.tolist(), lengths.tolist()
    ([[1, 2, 3], [4, 0, 0]], [3, 1])
    """
    arrays = [np.asarray(s) for s in sequences]
    if not arrays or any(a.ndim == 0 or a.shape[1:] != arrays[0].shape[1:] for a in arrays):
        shapes = [a.shape for a in arrays[:5]]
        raise ShapeError(
            "pad_sequences takes at least one sequence, of shapes (length, ...) that agree but for "
            f"the length; found {len(arrays)}, the first of shapes {shapes}"
        )
    lengths = np.array([len(a) for a in arrays], np.int64)
    dtype = np.result_type(*arrays)
    padded = np.full((len(arrays), int(lengths.max()), *arrays[0].shape[1:]), value, dtype)
    for row, a in zip(padded, arrays, strict=True):
        row[: len(a)] = a
    return (padded if batch_first else np.ascontiguousarray(padded.swapaxes(0, 1))), lengths
