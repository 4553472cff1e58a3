"""How the matrices of a product lie in memory, as a BLAS wants to be told."""

from __future__ import annotations

from itertools import pairwise
from math import prod
from typing import NamedTuple

from ..spec import Array


class Layout(NamedTuple):
    """A stack of matrices: rows (columns if `transposed`) lie `leading` elements apart.

    From one matrix of the stack to the next are `step` elements; 0 is one matrix for all.
    """

    transposed: bool
    leading: int
    step: int


def layout(x: Array, stack: tuple[int, ...]) -> Layout | None:
    """The layout of x (..., rows, columns) beside others whose leading axes are `stack`, if any.

    >>> import numpy as np
    >>> layout(np.zeros((5, 3)).T, ())
    Layout(transposed=True, leading=3, step=0)
    >>> layout(np.zeros((4, 6))[::2, ::2], ()) is None
    True
    """
    rows, columns = x.shape[-2:]
    row, column = (s // x.itemsize for s in x.strides[-2:])
    step = _step(x, stack)
    if step is None:
        return None
    # Where there is one row or column, how far the next would lie says nothing.
    across = columns if rows == 1 else row
    if (column == 1 or columns == 1) and across >= columns:
        return Layout(False, max(across, 1), step)
    along = rows if columns == 1 else column
    if (row == 1 or rows == 1) and along >= rows:
        return Layout(True, max(along, 1), step)
    return None


def _step(x: Array, stack: tuple[int, ...]) -> int | None:
    """Elements between the matrices of x along the whole stack, if that is one number."""
    leading, strides = x.shape[:-2], x.strides[:-2]
    if prod(leading) == 1:
        return 0
    if leading != stack:
        return None
    axes = [(n, s // x.itemsize) for n, s in zip(leading, strides, strict=True) if n != 1]
    for (_, outer), (n, inner) in pairwise(axes):
        if outer != n * inner:
            return None
    # A BLAS steps forward only.
    return axes[-1][1] if axes[-1][1] >= 0 else None
