"""Rows of a matrix by integer index, and the adjoint of that.

    take_rows         out_i = x_(index_i)
    scatter_add_rows  dx_r  = sum over i with index_i = r of dout_i, in ascending order of i, so
                      that equal inputs give equal bits; 0 for r = skip, a row that is not trained

Indices lie in [0, rows): whoever calls has checked or wrapped them. A row outside it is read as NaN
(zero for integers) and not written, so that a wrong index never touches foreign memory.
"""

from typing import Any

from ..spec import Array


def take_rows(xp: Any, out: Array, x: Array, index: Array) -> None:
    """x: (rows, m); index: (k,) int64; out: (k, m)."""
    inside = (index >= 0) & (index < x.shape[0])
    missing = float("nan") if x.dtype.kind == "f" else 0
    if x.shape[0] == 0:
        out[...] = missing
        return
    out[...] = xp.where(inside[:, None], x[xp.where(inside, index, 0)], missing)


def scatter_add_rows(
    xp: Any, dx: Array, dout: Array, index: Array, *, rows: int, skip: int
) -> None:
    """dout: (k, m); index: (k,) int64; dx: (rows, m), written whole; skip: -1 for no row."""
    inside = (index >= 0) & (index < rows) & (index != skip)
    dx[...] = 0
    if rows:
        xp.add.at(dx, xp.where(inside, index, 0), xp.where(inside[:, None], dout, 0))
