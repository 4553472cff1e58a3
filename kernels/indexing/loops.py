"""Rows by index.

Gathering splits the rows of the output over threads. Scattering splits the output, too, so that
each of its elements is added to by one thread, in ascending order of i: every thread reads all
indices and adds to its own columns or, where these would be few, to its own rows.
"""

import numpy as np

from ..numba_loop import loop, parts_for, share
from ..spec import Array

# Columns below which a thread's own columns are too short to add quickly: own rows instead.
SHORT_ROW = 64


@loop
def _take_rows(t: int, parts: int, out: Array, x: Array, index: Array, missing: float) -> None:
    low, high = share(index.size, parts, t)
    for i in range(low, high):
        o, r = out[i], index[i]
        if 0 <= r < x.shape[0]:
            u = x[r]
            for j in range(o.size):
                o[j] = u[j]
        else:
            for j in range(o.size):
                o[j] = missing


@loop
def _scatter_add_rows(
    t: int, parts: int, dx: Array, dout: Array, index: Array, skip: int, by_columns: bool
) -> None:
    top, bottom, left, right = 0, dx.shape[0], 0, dx.shape[1]
    if by_columns:
        left, right = share(right, parts, t)
    else:
        top, bottom = share(bottom, parts, t)
    for r in range(top, bottom):
        d = dx[r, left:right]
        for j in range(d.size):
            d[j] = 0
    for i in range(index.size):
        r = index[i]
        if top <= r < bottom and r != skip:
            d, g = dx[r, left:right], dout[i, left:right]
            for j in range(d.size):
                d[j] += g[j]


def take_rows(out: Array, x: Array, index: Array) -> None:
    missing = x.dtype.type(np.nan if x.dtype.kind == "f" else 0)
    _take_rows(parts_for(out.size, index.size), out, x, index, missing)


def scatter_add_rows(dx: Array, dout: Array, index: Array, *, rows: int, skip: int) -> None:
    parts = parts_for(dx.size + dout.size)
    by_columns = dx.shape[1] >= SHORT_ROW * parts
    _scatter_add_rows(parts, dx, dout, index, skip, by_columns)


LOOPS = {"take_rows": take_rows, "scatter_add_rows": scatter_add_rows}
