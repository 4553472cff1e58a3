"""Padding: an array with something around it, and the gradient of that.

    out[j1, j2, ...] = x[place(j1), place(j2), ...]    place is per axis, with k = j - before

    zeros       k where x has it, else no place: out is `value` there
    reflect     |k|, and 2 (n - 1) - k beyond the end: a mirror in the first and the last element
    replicate   k, or the nearest end
    circular    k modulo n

    dx[k1, k2, ...] = the sum of dout over all (j1, j2, ...) whose place is (k1, k2, ...)

`widths` has a pair (before, after) for every axis.
"""

from typing import Any, TypeAlias

from ..spec import Array

Widths: TypeAlias = tuple[tuple[int, int], ...]
NUMPY_MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}
MODES = tuple(NUMPY_MODES)


def pad_forward(xp: Any, out: Array, x: Array, *, widths: Widths, mode: str, value: float) -> None:
    """x (a, b, ...), out (before + a + after, ...)."""
    options = {"constant_values": value} if mode == "zeros" else {}
    out[...] = xp.pad(x, widths, mode=NUMPY_MODES[mode], **options)


def pad_backward(xp: Any, dx: Array, dout: Array, *, widths: Widths, mode: str) -> None:
    """The parts of dout that were not there before go to where they came from, axis by axis."""
    d = dout
    for axis, (before, after) in enumerate(widths):
        if before == after == 0:
            continue
        end = d.shape[axis] - after
        first, core, last = xp.split(d, (before, end), axis=axis)
        if mode != "zeros":
            core = core.copy()
            rows, first, last = (xp.moveaxis(a, axis, 0) for a in (core, first, last))
            n = rows.shape[0]
            if mode == "reflect":
                rows[1 : before + 1] += first[::-1]
                rows[n - 1 - after : n - 1] += last[::-1]
            elif mode == "replicate":
                rows[0] += first.sum(axis=0)
                rows[n - 1] += last.sum(axis=0)
            else:
                rows[n - before :] += first
                rows[:after] += last
        d = core
    dx[...] = d
