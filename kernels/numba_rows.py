"""Exponentials over the rows of a matrix, as softmax and cross-entropy need them.

A row may have ten elements: too few for a vector loop of its own, and the exponential's long chain
of operations would be waited for row by row. So short rows go in stretches that stay in the first
cache, and the exponentials of a stretch are one flat loop. A long row saves that loop's pass.
"""

from typing import Any

import numpy as np
from numba.extending import register_jitable

from .numba_intrinsics import maximum
from .numba_loop import FAST
from .numba_math import exp

SHORT_ROW = 64
STRETCH = 1024  # elements

INSIDE: Any = {"fastmath": FAST, "error_model": "numpy", "forceinline": True}


@register_jitable
def rows_of_stretch(columns: Any) -> Any:
    """Rows of so many columns that go together."""
    return max(STRETCH // max(columns, 1), 1)


@register_jitable(**INSIDE)
def exponentials(e: Any, top: Any, total: Any, x: Any) -> None:
    """e = exp(x - top), its sums over rows in `total`, the rows' maxima in `top`.

    x: (rows, columns); e: (rows * columns,); top, total: (rows,).
    """
    rows, columns = x.shape
    long, zero = columns >= SHORT_ROW, x.dtype.type(0)
    for r in range(rows):
        u, v = x[r], e[columns * r : columns * (r + 1)]
        largest, value = x.dtype.type(-np.inf), zero
        for j in range(u.size):
            largest = maximum(largest, u[j])
        top[r] = largest
        if long:
            for j in range(u.size):
                v[j] = exp(u[j] - largest)
                value += v[j]
            total[r] = value
        else:
            for j in range(u.size):
                v[j] = u[j] - largest
    if not long:
        for i in range(e.size):
            e[i] = exp(e[i])
        for r in range(rows):
            v, value = e[columns * r : columns * (r + 1)], zero
            for j in range(v.size):
                value += v[j]
            total[r] = value


@register_jitable(**INSIDE)
def probabilities(p: Any, x: Any, top: Any, log_total: Any) -> None:
    """p = exp(x - top - log_total); shapes as above."""
    rows, columns = x.shape
    long = columns >= SHORT_ROW
    for r in range(rows):
        u, v = x[r], p[columns * r : columns * (r + 1)]
        largest, log_sum = top[r], log_total[r]
        # In this order: the maximum may be so large that adding log_sum to it is lost.
        if long:
            for j in range(u.size):
                shifted = u[j] - largest
                v[j] = exp(shifted - log_sum)
        else:
            for j in range(u.size):
                shifted = u[j] - largest
                v[j] = shifted - log_sum
    if not long:
        for i in range(p.size):
            p[i] = exp(p[i])
