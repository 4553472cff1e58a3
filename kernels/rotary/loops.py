"""Rotary position embedding row by row."""

from functools import cache

import numpy as np

from ..numba_loop import loop, parts_for, share
from ..spec import Array


@loop
def _turn(
    t: int,
    parts: int,
    out: Array,
    x: Array,
    table: Array,
    start: Array,
    heads: int,
    direction: float,
) -> None:
    """x, out: (batch, length, heads, width)."""
    half, width, sign = table.shape[2], x.shape[3], x.dtype.type(direction)
    length = x.shape[1]
    low, high = share(x.shape[0] * length, parts, t)
    for row in range(low, high):
        b, l = row // length, row % length
        place = min(start[0] + l, table.shape[1] - 1)
        cos, sin = table[0, place], table[1, place]
        for h in range(x.shape[2]):
            u, o = x[b, l, h], out[b, l, h]
            copied = 0
            if h < heads:
                a, c = u[:half], u[half : 2 * half]
                p, q = o[:half], o[half : 2 * half]
                for i in range(half):
                    p[i] = a[i] * cos[i] - c[i] * (sign * sin[i])
                for i in range(half):
                    q[i] = c[i] * cos[i] + a[i] * (sign * sin[i])
                copied = 2 * half
            for i in range(copied, width):
                o[i] = u[i]


@cache
def _zero() -> Array:
    return np.zeros(1, np.int64)


def rotary_forward(out: Array, x: Array, table: Array, start: Array | None, *, heads: int) -> None:
    _run(out, x, table, start, heads, 1.0)


def rotary_backward(
    dx: Array, dout: Array, table: Array, start: Array | None, *, heads: int
) -> None:
    _run(dx, dout, table, start, heads, -1.0)


def _run(
    out: Array, x: Array, table: Array, start: Array | None, heads: int, direction: float
) -> None:
    first = _zero() if start is None else start.reshape(1)
    _turn(parts_for(x.size), out, x, table, first, heads, direction)


LOOPS = {"rotary_forward": rotary_forward, "rotary_backward": rotary_backward}
