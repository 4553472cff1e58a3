"""Gathering by integer arrays and masks: an index is worked out on the host, rows are taken."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import OptionError, ShapeError
from .functions.shape import TakeRows
from .tape import apply

if TYPE_CHECKING:
    from .tensor import Tensor


def gather(x: Tensor, keys: tuple[Any, ...]) -> Tensor:
    """x[keys] for a mask, or for integer lists, arrays and tensors over the leading axes."""
    from .tensor import Tensor

    arrays = [k.numpy() if isinstance(k, Tensor) else np.asarray(k) for k in keys]
    if len(arrays) == 1 and arrays[0].dtype == bool:
        if arrays[0].shape != x.shape[: arrays[0].ndim]:
            raise ShapeError(
                f"a boolean mask of shape {arrays[0].shape} does not fit shape {x.shape}"
            )
        arrays = list(np.nonzero(arrays[0]))
    if len(arrays) > x.ndim or any(a.dtype.kind not in "iu" for a in arrays):
        raise OptionError(
            f"index {keys!r} on shape {x.shape}: expected integers and slices, or integer "
            "arrays for leading axes. Mix the two in two steps: x[rows][:, 1:3]"
        )
    leading = x.shape[: len(arrays)]
    for axis, (a, n) in enumerate(zip(arrays, leading, strict=True)):
        if a.size and not (-n <= int(a.min()) and int(a.max()) < n):
            raise ShapeError(
                f"index out of range on axis {axis} of shape {x.shape}: expected "
                f"[{-n}, {n}), found {int(a.min())} to {int(a.max())}"
            )
    wrapped = [np.where(a < 0, a + n, a) for a, n in zip(arrays, leading, strict=True)]
    if len(wrapped) > 1:
        wrapped = list(np.broadcast_arrays(*wrapped))
    flat = np.asarray(np.ravel_multi_index(wrapped, leading), np.int64)
    rows = x.reshape(math.prod(leading), math.prod(x.shape[len(arrays) :]))
    index = Tensor(x.backend.asarray(flat.reshape(-1)), x.backend)
    out: Tensor = apply(TakeRows, rows, index)
    return out.reshape(*flat.shape, *x.shape[len(arrays) :])
