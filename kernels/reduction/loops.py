"""Reductions of x (outer, n, inner) over the middle axis.

Forward, threads split whichever axis is long enough: `outer` or `inner`, where each result has one
thread, or else n, where each thread leaves its partial results and these are reduced in turn, in
the order of the threads. Memory is read in order: with inner = 1 a row is reduced in vector lanes,
otherwise rows of `inner` elements are accumulated.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numba.extending import register_jitable

from ..numba_intrinsics import maximum, minimum
from ..numba_loop import chosen_by_kind, flat, loop, loops, parts_for, share
from ..observing import host, workspace
from ..spec import Array
from . import reference

OUTER, MIDDLE, INNER = 0, 1, 2  # the axis that is split
SUM, MAX, MIN = 0, 1, 2
KIND_NUMBER = {"sum": SUM, "mean": SUM, "max": MAX, "min": MIN}
START = (0.0, -np.inf, np.inf)
# Inner elements below which a thread's own share of a row is too short to read quickly.
SHORT_ROW = 64
STRETCH = 64  # elements


@chosen_by_kind
def combine(f: Any) -> Sequence[Callable[..., Any]]:
    """combine(kind, x, y)"""
    return [lambda x, y: x + y, lambda x, y: maximum(x, y), lambda x, y: minimum(x, y)]


@register_jitable
def _shares(axis: Any, parts: Any, t: Any, shape: Any) -> Any:
    """The bounds of part t along the three axes."""
    first, last = share(shape[axis], parts, t)
    o0, o1 = (first, last) if axis == 0 else (0, shape[0])
    j0, j1 = (first, last) if axis == 1 else (0, shape[1])
    i0, i1 = (first, last) if axis == 2 else (0, shape[2])
    return o0, o1, j0, j1, i0, i1


@loops
def _rows(kind: int) -> Callable[..., None]:
    start = START[kind]

    def reduce_rows(t: int, parts: int, out: Array, x: Array, axis: int, divisor: float) -> None:
        """x: (outer, n); out: (1, outer), or (parts, outer) where the middle axis is split."""
        first, last = share(x.shape[0], parts, t) if axis == OUTER else (0, x.shape[0])
        low, high = share(x.shape[1], parts, t) if axis == MIDDLE else (0, x.shape[1])
        target = out[t if axis == MIDDLE else 0]
        for o in range(first, last):
            u = x[o, low:high]
            value = x.dtype.type(start)
            if kind == SUM:  # the loop's own sum may be split into lanes, a rule's may not
                for j in range(u.size):
                    value += u[j]
            else:
                for j in range(u.size):
                    value = combine(kind, value, u[j])
            target[o] = value / x.dtype.type(divisor)

    return reduce_rows


@loops
def _columns(kind: int) -> Callable[..., None]:
    start = START[kind]

    def reduce_columns(t: int, parts: int, out: Array, x: Array, axis: int, divisor: float) -> None:
        """out: (1, outer, inner), or (parts, outer, inner) where the middle axis is split."""
        o0, o1, j0, j1, i0, i1 = _shares(axis, parts, t, x.shape)
        target = out[t if axis == MIDDLE else 0]
        for o in range(o0, o1):
            values = target[o, i0:i1]
            for i in range(values.size):
                values[i] = start
            for j in range(j0, j1):
                row = x[o, j, i0:i1]
                for i in range(values.size):
                    values[i] = combine(kind, values[i], row[i])
            if divisor != 1.0:
                for i in range(values.size):
                    values[i] /= x.dtype.type(divisor)

    return reduce_columns


@loop
def _spread_rows(t: int, parts: int, dx: Array, dout: Array, scale: float) -> None:
    """dx[o, j] = scale dout[o] for all j, where a row is one number."""
    low, high = share(dx.size, parts, t)
    n, k = dx.shape[1], low
    while k < high:
        o = k // n
        d = dx[o, k - o * n : min(n, high - o * n)]
        value = dout[o] * dx.dtype.type(scale)
        for j in range(d.size):
            d[j] = value
        k += d.size


@loop
def _spread_columns(t: int, parts: int, dx: Array, dout: Array, scale: float) -> None:
    """dx[o, j] = scale dout[o] for all j."""
    outer, n, inner = dx.shape
    factor = dx.dtype.type(scale)
    low, high = share(outer * n, parts, t)
    for k in range(low, high):
        d, g = dx[k // n, k % n], dout[k // n]
        for i in range(inner):
            d[i] = g[i] * factor


# dx = dout, shared equally among the elements that equal out.
@loop
def _to_extremes_rows(t: int, parts: int, dx: Array, dout: Array, x: Array, out: Array) -> None:
    """x: (outer, n); out: (outer,)."""
    low, high = share(x.shape[0], parts, t)
    zero = x.dtype.type(0)
    for o in range(low, high):
        d, u, top = dx[o], x[o], out[o]
        hits = 0
        for j in range(u.size):
            hits += u[j] == top
        each = dout[o] / x.dtype.type(max(hits, 1))
        for j in range(u.size):
            d[j] = each if u[j] == top else zero


@loop
def _to_extremes_columns(
    t: int,
    parts: int,
    dx: Array,
    dout: Array,
    x: Array,
    out: Array,
    scratch: Array,
    axis: int,
) -> None:
    """x: (outer, n, inner); out: (outer, inner); scratch: (parts, inner)."""
    o0, o1, _, n, i0, i1 = _shares(axis, parts, t, x.shape)
    zero, one = x.dtype.type(0), x.dtype.type(1)
    each = scratch[t, i0:i1]
    for o in range(o0, o1):
        g, top = dout[o, i0:i1], out[o, i0:i1]
        for i in range(each.size):
            each[i] = zero
        for j in range(n):
            u = x[o, j, i0:i1]
            for i in range(each.size):
                each[i] += one if u[i] == top[i] else zero
        for i in range(each.size):
            each[i] = g[i] / maximum(each[i], one)
        for j in range(n):
            d, u = dx[o, j, i0:i1], x[o, j, i0:i1]
            for i in range(each.size):
                d[i] = each[i] if u[i] == top[i] else zero


@loops
def _arg_rows(kind: int) -> Callable[..., None]:
    start = START[kind]

    def argreduce_rows(t: int, parts: int, out: Array, x: Array) -> None:
        """x: (outer, n); out: (outer,)."""
        low, high = share(x.shape[0], parts, t)
        for o in range(low, high):
            u = x[o]
            best = x.dtype.type(start)
            for j in range(u.size):
                best = combine(kind, best, u[j])
            # By stretches, in vector code, then within the one that has it. NaN counts as both the
            # largest and the smallest number.
            at, hits = -STRETCH, 0
            while hits == 0:
                at += STRETCH
                v = u[at : at + STRETCH]
                for j in range(v.size):
                    hits += (v[j] == best) | (v[j] != v[j])
            while not (u[at] == best or u[at] != u[at]):
                at += 1
            out[o] = at

    return argreduce_rows


@loops
def _arg_columns(kind: int) -> Callable[..., None]:
    def argreduce_columns(
        t: int, parts: int, out: Array, x: Array, scratch: Array, axis: int
    ) -> None:
        """x: (outer, n, inner); out: (outer, inner); scratch: (parts, inner)."""
        o0, o1, _, n, i0, i1 = _shares(axis, parts, t, x.shape)
        best = scratch[t, i0:i1]
        for o in range(o0, o1):
            at, first = out[o, i0:i1], x[o, 0, i0:i1]
            for i in range(best.size):
                best[i], at[i] = first[i], 0
            for j in range(1, n):
                u = x[o, j, i0:i1]
                for i in range(best.size):
                    better = u[i] > best[i] if kind == MAX else u[i] < best[i]
                    better |= (u[i] != u[i]) & (best[i] == best[i])
                    best[i] = u[i] if better else best[i]
                    at[i] = j if better else at[i]

    return argreduce_columns


def reduce_forward(out: Array, x: Array, *, kind: str) -> None:
    outer, n, inner = x.shape
    number, parts = KIND_NUMBER[kind], parts_for(x.size)
    divisor = float(n) if kind == "mean" else 1.0
    if inner == 1:
        run, x, result = _rows(number), x.reshape(outer, n), out.reshape(outer)
    else:
        run, result = _columns(number), out
    if outer >= parts:
        run(parts, result[None], x, OUTER, divisor)
    elif inner >= SHORT_ROW * parts:
        run(parts, result[None], x, INNER, divisor)
    else:
        partial = workspace((parts, *result.shape), x.dtype)
        run(parts, partial, x, MIDDLE, 1.0)
        whole = out.reshape(1, 1, -1), partial.reshape(1, parts, -1)
        _columns(number)(1, *whole, OUTER, divisor)


def reduce_backward(dx: Array, dout: Array, x: Array, out: Array, *, kind: str) -> None:
    outer, n, inner = x.shape
    parts = parts_for(x.size)
    scale = 1.0 / max(n, 1) if kind == "mean" else 1.0
    if kind in ("sum", "mean"):
        if inner == 1:
            _spread_rows(parts, dx.reshape(outer, n), flat(dout), scale)
        else:
            _spread_columns(parts, dx, dout, scale)
    elif inner == 1:
        _to_extremes_rows(parts, dx.reshape(outer, n), flat(dout), x.reshape(outer, n), flat(out))
    else:
        scratch = workspace((parts, inner), x.dtype)
        _to_extremes_columns(parts, dx, dout, x, out, scratch, OUTER if outer >= inner else INNER)


def argreduce(out: Array, x: Array, *, kind: str) -> None:
    outer, n, inner = x.shape
    if x.dtype.kind != "f" or n == 0:  # of nothing, NumPy says what is wrong
        host(reference.argreduce, np, out, x, kind=kind)
    elif inner == 1:
        _arg_rows(KIND_NUMBER[kind])(parts_for(x.size, outer), flat(out), x.reshape(outer, n))
    else:
        axis, parts = OUTER if outer >= inner else INNER, parts_for(x.size)
        _arg_columns(KIND_NUMBER[kind])(parts, out, x, workspace((parts, inner), x.dtype), axis)


LOOPS = {
    "reduce_forward": reduce_forward,
    "reduce_backward": reduce_backward,
    "argreduce": argreduce,
}
