"""Padding by rows: which row of x a row of the result repeats is looked up, its ends as well.

The tables are made once for a shape. Backward, each row of dx adds up the rows that repeat it, in
their order, so that threads share nothing.
"""

from collections.abc import Callable
from functools import lru_cache
from math import prod

import numpy as np

from ..numba_loop import loop, parts_for, share
from ..spec import Array
from .reference import NUMPY_MODES, Widths


@lru_cache(maxsize=256)
def _tables(
    shape: tuple[int, ...], widths: Widths, mode: str
) -> tuple[int, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """How many blocks are padded alike, and within one: the place of every row and column.

    -1 is no place. Then what to add up: row k of dx repeats in rows[begin[k] : begin[k + 1]].
    """
    padded = next((i for i, pair in enumerate(widths[:-1]) if pair != (0, 0)), len(shape) - 1)
    options = {"constant_values": -1} if mode == "zeros" else {}

    def places(sizes: tuple[int, ...], pairs: Widths) -> np.ndarray:
        numbers = np.arange(prod(sizes), dtype=np.int64).reshape(sizes)
        if pairs:
            numbers = np.pad(numbers, pairs, mode=NUMPY_MODES[mode], **options)  # type: ignore[call-overload]
        return numbers.reshape(-1)

    rows = places(shape[padded:-1], widths[padded:-1])
    columns = places(shape[-1:], widths[-1:])
    count = prod(shape[padded:-1])
    begin = np.searchsorted(np.sort(rows), np.arange(count + 1))
    return prod(shape[:padded]), rows, columns, np.argsort(rows, kind="stable"), begin


@loop
def _pad(
    t: int,
    parts: int,
    out: Array,
    x: Array,
    rows: Array,
    columns: Array,
    before: int,
    value: float,
) -> None:
    """out (blocks, rows, columns) of x (blocks, its rows, its columns)."""
    nothing = out.dtype.type(value)
    n = x.shape[2]
    low, high = share(out.shape[0] * out.shape[1], parts, t)
    for row in range(low, high):
        block, i = row // out.shape[1], row % out.shape[1]
        o, place = out[block, i], rows[i]
        if place < 0:
            for j in range(o.size):
                o[j] = nothing
            continue
        u = x[block, place]
        core = o[before : before + n]
        for j in range(n):
            core[j] = u[j]
        for j in range(before):
            o[j] = nothing if columns[j] < 0 else u[columns[j]]
        for j in range(before + n, o.size):
            o[j] = nothing if columns[j] < 0 else u[columns[j]]


@loop
def _pad_backward(
    t: int,
    parts: int,
    dx: Array,
    dout: Array,
    order: Array,
    begin: Array,
    columns: Array,
    before: int,
) -> None:
    n = dx.shape[2]
    low, high = share(dx.shape[0] * dx.shape[1], parts, t)
    for row in range(low, high):
        block, i = row // dx.shape[1], row % dx.shape[1]
        d = dx[block, i]
        for j in range(n):
            d[j] = 0
        for k in range(begin[i], begin[i + 1]):
            g = dout[block, order[k]]
            core = g[before : before + n]
            for j in range(n):
                d[j] += core[j]
            for j in range(before):
                if columns[j] >= 0:
                    d[columns[j]] += g[j]
            for j in range(before + n, g.size):
                if columns[j] >= 0:
                    d[columns[j]] += g[j]


def pad_forward(out: Array, x: Array, *, widths: Widths, mode: str, value: float) -> None:
    blocks, rows, columns, _, begin = _tables(x.shape, widths, mode)
    source = x.reshape(blocks, begin.size - 1, x.shape[-1])
    target = out.reshape(blocks, rows.size, columns.size)
    _pad(parts_for(out.size), target, source, rows, columns, widths[-1][0], float(value))


def pad_backward(dx: Array, dout: Array, *, widths: Widths, mode: str) -> None:
    blocks, rows, columns, order, begin = _tables(dx.shape, widths, mode)
    if dx.size == 0:
        return
    _pad_backward(
        parts_for(dout.size), dx.reshape(blocks, begin.size - 1, dx.shape[-1]),
        dout.reshape(blocks, rows.size, columns.size), order, begin, columns, widths[-1][0],
    )  # fmt: skip


LOOPS: dict[str, Callable[..., None]] = {"pad_forward": pad_forward, "pad_backward": pad_backward}
