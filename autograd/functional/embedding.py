"""Rows of a table by number."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...errors import DataError, DTypeError, OptionError, ShapeError
from ..functions.shape import TakeRows
from ..tape import apply
from ..tensor import Tensor, as_tensor


def embedding(index: Any, weight: Tensor, padding_idx: int | None = None) -> Tensor:
    """weight[index]: index (...) of integers, weight (num, dim), out (..., dim).

    The row `padding_idx` gets no gradient. Numbers outside [0, num) are an error where index is on
    the host; on a GPU, which is not waited for, their rows read NaN. The gradient by the weight
    adds rows in the order of the index, so that it is the same, bit for bit, every time.

    >>> import tercet as tc
    >>> embedding([[2, 0]], tc.tensor([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])).tolist()
    [[[4.0, 5.0], [0.0, 1.0]]]
    """
    if weight.ndim != 2:
        raise ShapeError(f"embedding: expected weight (num, dim), found {weight.shape}")
    rows = weight.shape[0]
    skip = check_padding(padding_idx, rows)
    numbers = as_tensor(index, weight.backend)
    if numbers.dtype.kind not in "iu":
        raise DTypeError(
            f"embedding: expected whole numbers that say which rows, found {numbers.dtype}. "
            "Convert them with .astype('int64')"
        )
    backend = numbers.backend
    if backend.free_bytes() is None and backend.recorder is None:  # in the host's memory
        check_numbers("embedding", numbers.data, rows)
    flat = numbers.astype("int64").reshape(math.prod(numbers.shape))
    out = apply(TakeRows, weight, flat, skip=skip)
    return out.reshape(*numbers.shape, weight.shape[1])


def check_padding(padding_idx: int | None, rows: int) -> int:
    """padding_idx counted from the front, or -1 for none; or an error."""
    if padding_idx is None:
        return -1
    if not -rows <= padding_idx < rows:
        raise OptionError(f"embedding: padding_idx {padding_idx} is outside [-{rows}, {rows})")
    return padding_idx % rows


def check_numbers(name: str, numbers: np.ndarray, rows: int) -> None:
    """An error that names the first number outside [0, rows)."""
    if not numbers.size or (numbers.min() >= 0 and numbers.max() < rows):
        return
    place = np.argwhere((numbers < 0) | (numbers >= rows))[0]
    raise DataError(
        f"{name}: number {int(numbers[tuple(place)])} at {tuple(map(int, place))} is outside "
        f"[0, {rows}): the table has {rows} rows. Number tokens from 0, or give it more rows"
    )
