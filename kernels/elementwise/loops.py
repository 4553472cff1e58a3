"""Elementwise basics in one pass each.

NumPy's own loops for two operands are vector code already, and as fast until threads help. So for
these, arrays too small for threads, dtypes other than the floating ones, and operands that
broadcast in unusual ways are left to the reference. The loops here take the large common cases:
operands of one shape, a scalar, or a row repeated over all rows (a bias, a scale).
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..numba_intrinsics import maximum, minimum
from ..numba_loop import SERIAL_BELOW, chosen_by_kind, flat, loop, loops, parts_for, region, share
from ..numba_math import exp, expm1, log, log1p
from ..observing import host
from ..spec import Array
from . import reference
from .reference import ARITHMETIC, COMPARISON, UNARY

UNARY_NUMBER = {name: number for number, name in enumerate(UNARY)}
BINARY_NUMBER = {name: number for number, name in enumerate(ARITHMETIC + COMPARISON)}
WHOLE, ROW, SCALAR = 0, 1, 2  # how an operand spreads over the result

Rule = Callable[..., Any]


def _unary_pairs(f: Any) -> dict[str, tuple[Rule, Rule]]:
    """(kind(x), kind'(x, out)) in the float class `f`."""
    zero, half, one, two = f(0), f(0.5), f(1), f(2)

    def sign(x: Any) -> Any:
        return one if x > zero else (-one if x < zero else x)

    def sign_of(x: Any, out: Any) -> Any:
        return one if x > zero else (-one if x < zero else x)

    return {
        "negative": (lambda x: -x, lambda x, out: -one),
        "exp": (lambda x: exp(x), lambda x, out: out),
        "log": (lambda x: log(x), lambda x, out: one / x),
        "log1p": (lambda x: log1p(x), lambda x, out: one / (one + x)),
        "expm1": (lambda x: expm1(x), lambda x, out: out + one),
        "sqrt": (lambda x: np.sqrt(x), lambda x, out: half / out),
        "square": (lambda x: x * x, lambda x, out: two * x),
        "reciprocal": (lambda x: one / x, lambda x, out: -out * out),
        "absolute": (lambda x: abs(x), sign_of),
        "sign": (sign, lambda x, out: zero),
        "sin": (lambda x: math.sin(x), lambda x, out: math.cos(x)),
        "cos": (lambda x: math.cos(x), lambda x, out: -math.sin(x)),
    }


@chosen_by_kind
def _unary(f: Any) -> Sequence[Rule]:
    """_unary(kind, x)"""
    return [_unary_pairs(f)[name][0] for name in UNARY]


@chosen_by_kind
def _unary_slope(f: Any) -> Sequence[Rule]:
    """_unary_slope(kind, x, out)"""
    return [_unary_pairs(f)[name][1] for name in UNARY]


@chosen_by_kind
def _binary(f: Any) -> Sequence[Rule]:
    """_binary(kind, a, b), in the order of BINARY_NUMBER"""
    return [
        lambda a, b: a + b,
        lambda a, b: a - b,
        lambda a, b: a * b,
        lambda a, b: a / b,
        lambda a, b: a**b,
        lambda a, b: maximum(a, b),
        lambda a, b: minimum(a, b),
        lambda a, b: a == b,
        lambda a, b: a != b,
        lambda a, b: a < b,
        lambda a, b: a <= b,
        lambda a, b: a > b,
        lambda a, b: a >= b,
    ]


@chosen_by_kind
def _slope_a(f: Any) -> Sequence[Rule]:
    """_slope_a(kind, a, b, out): the derivative by a"""
    zero, half, one = f(0), f(0.5), f(1)

    def power(a: Any, b: Any, out: Any) -> Any:
        return zero if b == zero else b * a ** (b - one)

    def maximum(a: Any, b: Any, out: Any) -> Any:
        return one if a > b else (half if a == b else zero)

    def minimum(a: Any, b: Any, out: Any) -> Any:
        return one if a < b else (half if a == b else zero)

    def always_one(a: Any, b: Any, out: Any) -> Any:
        return one

    return [
        always_one,
        always_one,
        lambda a, b, out: b,
        lambda a, b, out: one / b,
        power,
        maximum,
        minimum,
    ]


@chosen_by_kind
def _slope_b(f: Any) -> Sequence[Rule]:
    """_slope_b(kind, a, b, out): the derivative by b"""
    zero, half, one = f(0), f(0.5), f(1)

    def power(a: Any, b: Any, out: Any) -> Any:
        return zero if a == zero else out * log(a)

    def maximum(a: Any, b: Any, out: Any) -> Any:
        return zero if a > b else (half if a == b else one)

    def minimum(a: Any, b: Any, out: Any) -> Any:
        return zero if a < b else (half if a == b else one)

    return [
        lambda a, b, out: one,
        lambda a, b, out: -one,
        lambda a, b, out: a,
        lambda a, b, out: -out / b,
        power,
        maximum,
        minimum,
    ]


@loops
def _unary_forward(kind: int) -> Callable[..., None]:
    def unary_forward(t: int, parts: int, out: Array, x: Array) -> None:
        low, high = share(x.size, parts, t)
        o, u = out[low:high], x[low:high]
        for i in range(o.size):
            o[i] = _unary(kind, u[i])

    return unary_forward


@loops
def _unary_backward(kind: int) -> Callable[..., None]:
    def unary_backward(t: int, parts: int, dx: Array, dout: Array, x: Array, out: Array) -> None:
        low, high = share(x.size, parts, t)
        d, g, u, o = dx[low:high], dout[low:high], x[low:high], out[low:high]
        for i in range(d.size):
            d[i] = g[i] * _unary_slope(kind, u[i], o[i])

    return unary_backward


# An operand (see _spread_of) is an array (rows, columns), a row (1, columns) or a scalar (1, 1). In
# the loops its row is chosen by the outer loop, its element by the inner one.
@loops
def _binary_forward(kind: int, a_spread: int, b_spread: int) -> Callable[..., None]:
    def binary_forward(t: int, parts: int, out: Array, a: Array, b: Array) -> None:
        top, bottom, left, right = region(parts, t, out.shape[0], out.shape[1])
        for r in range(top, bottom):
            o = out[r, left:right]
            u = a[r if a_spread == WHOLE else 0, left:right]
            v = b[r if b_spread == WHOLE else 0, left:right]
            x, y = a[0, 0], b[0, 0]
            for j in range(o.size):
                o[j] = _binary(
                    kind, x if a_spread == SCALAR else u[j], y if b_spread == SCALAR else v[j]
                )

    return binary_forward


@loops
def _binary_backward(kind: int, a_spread: int, b_spread: int) -> Callable[..., None]:
    def binary_backward(
        t: int, parts: int, da: Array, db: Array, dout: Array, a: Array, b: Array, out: Array
    ) -> None:
        top, bottom, left, right = region(parts, t, out.shape[0], out.shape[1])
        for r in range(top, bottom):
            g, o = dout[r, left:right], out[r, left:right]
            u = a[r if a_spread == WHOLE else 0, left:right]
            v = b[r if b_spread == WHOLE else 0, left:right]
            x, y = a[0, 0], b[0, 0]
            if da is not None:
                d = da[r, left:right]
                for j in range(o.size):
                    p = x if a_spread == SCALAR else u[j]
                    q = y if b_spread == SCALAR else v[j]
                    d[j] = g[j] * _slope_a(kind, p, q, o[j])
            if db is not None:
                d = db[r, left:right]
                for j in range(o.size):
                    p = x if a_spread == SCALAR else u[j]
                    q = y if b_spread == SCALAR else v[j]
                    d[j] = g[j] * _slope_b(kind, p, q, o[j])

    return binary_backward


@loops
def _where(a_spread: int, b_spread: int) -> Callable[..., None]:
    def where(t: int, parts: int, out: Array, condition: Array, a: Array, b: Array) -> None:
        low, high = share(out.size, parts, t)
        o, c, u, v = out[low:high], condition[low:high], a[low:high], b[low:high]
        for i in range(o.size):
            x = a[0] if a_spread == SCALAR else u[i]
            y = b[0] if b_spread == SCALAR else v[i]
            o[i] = x if c[i] else y

    return where


@loop
def _clip_forward(t: int, parts: int, out: Array, x: Array, low: float, high: float) -> None:
    first, last = share(x.size, parts, t)
    o, u = out[first:last], x[first:last]
    bottom, top = x.dtype.type(low), x.dtype.type(high)
    for i in range(o.size):
        raised = bottom if u[i] < bottom else u[i]
        o[i] = top if raised > top else raised


@loop
def _clip_backward(
    t: int, parts: int, dx: Array, dout: Array, x: Array, low: float, high: float
) -> None:
    first, last = share(x.size, parts, t)
    d, g, u = dx[first:last], dout[first:last], x[first:last]
    bottom, top, zero = x.dtype.type(low), x.dtype.type(high), x.dtype.type(0)
    for i in range(d.size):
        d[i] = g[i] if (u[i] >= bottom) & (u[i] <= top) else zero


@loop
def _copy(t: int, parts: int, out: Array, x: Array) -> None:
    low, high = share(x.size, parts, t)
    o, u = out[low:high], x[low:high]
    for i in range(o.size):
        o[i] = u[i]


@loop
def _copy_view(t: int, parts: int, out: Array, x: Array) -> None:
    """Any four axes; the second is split."""
    low, high = share(x.shape[1], parts, t)
    for i in range(x.shape[0]):
        for j in range(low, high):
            for k in range(x.shape[2]):
                o, u = out[i, j, k], x[i, j, k]
                for m in range(o.size):
                    o[m] = u[m]


@loop
def _fill(t: int, parts: int, out: Array, value: Any) -> None:
    low, high = share(out.size, parts, t)
    o = out[low:high]
    for i in range(o.size):
        o[i] = value


@loop
def _accumulate(t: int, parts: int, acc: Array, x: Array) -> None:
    low, high = share(x.size, parts, t)
    a, u = acc[low:high], x[low:high]
    for i in range(a.size):
        a[i] += u[i]


def _numpy(kernel: Callable[..., None], *arrays: Array | None, **attributes: Any) -> None:
    # Infinities and NaN are legitimate values of an array program, not warnings.
    with np.errstate(all="ignore"):
        host(kernel, np, *arrays, **attributes)


def unary_forward(out: Array, x: Array, *, kind: str) -> None:
    _unary_forward(UNARY_NUMBER[kind])(parts_for(x.size), flat(out), flat(x))


def unary_backward(dx: Array, dout: Array, x: Array, out: Array, *, kind: str) -> None:
    arrays = flat(dx), flat(dout), flat(x), flat(out)
    _unary_backward(UNARY_NUMBER[kind])(parts_for(x.size), *arrays)


def _spread_of(x: Array, shape: tuple[int, ...]) -> int | None:
    """How x spreads over `shape`, or None if not in a way that the loops here know."""
    if x.size == 1:
        return SCALAR
    if not x.flags.c_contiguous:
        return None
    if x.shape == shape:
        return WHOLE
    row = x.shape
    while row[0] == 1:
        row = row[1:]
    return ROW if shape[len(shape) - len(row) :] == row else None


def _spreads(out: Array, a: Array, b: Array) -> tuple[int, int] | None:
    """How a and b spread over out, or None if the reference had better do it."""
    if out.size < SERIAL_BELOW or a.dtype.kind != "f" or a.dtype != b.dtype:
        return None
    spreads = _spread_of(a, out.shape), _spread_of(b, out.shape)
    if None in spreads or WHOLE not in spreads:
        return None
    return spreads  # type: ignore[return-value]


def _as_matrix(x: Array | None, spread: int, columns: int) -> Array | None:
    if x is None:
        return None
    return x.reshape(1, 1) if spread == SCALAR else x.reshape(-1, columns)


def binary_forward(out: Array, a: Array, b: Array, *, kind: str) -> None:
    spreads = _spreads(out, a, b)
    if spreads is None:
        _numpy(reference.binary_forward, out, a, b, kind=kind)
        return
    columns = _columns(out, a, b, spreads)
    arrays = (out, WHOLE), (a, spreads[0]), (b, spreads[1])
    _binary_forward(BINARY_NUMBER[kind], *spreads)(
        parts_for(out.size), *(_as_matrix(x, spread, columns) for x, spread in arrays)
    )


def _columns(out: Array, a: Array, b: Array, spreads: tuple[int, int]) -> int:
    """The length of the row that repeats; everything is one row if none does."""
    if ROW not in spreads:
        return int(out.size)
    return int((a if spreads[0] == ROW else b).size)


def binary_backward(
    da: Array | None,
    db: Array | None,
    dout: Array,
    a: Array,
    b: Array,
    out: Array,
    *,
    kind: str,
    needs: tuple[bool, bool],
) -> None:
    spreads = _spreads(out, a, b)
    if spreads is None or not (dout.flags.c_contiguous and out.flags.c_contiguous):
        _numpy(reference.binary_backward, da, db, dout, a, b, out, kind=kind, needs=needs)
        return
    columns = _columns(out, a, b, spreads)
    whole = ((da, WHOLE), (db, WHOLE), (dout, WHOLE))
    arrays = (*whole, (a, spreads[0]), (b, spreads[1]), (out, WHOLE))
    _binary_backward(BINARY_NUMBER[kind], *spreads)(
        parts_for(out.size), *(_as_matrix(x, spread, columns) for x, spread in arrays)
    )


def where(out: Array, condition: Array, a: Array, b: Array) -> None:
    spreads = _spreads(out, a, b)
    if (
        spreads is None
        or ROW in spreads
        or condition.shape != out.shape
        or not condition.flags.c_contiguous
    ):
        _numpy(reference.where, out, condition, a, b)
    else:
        arrays = (flat(out), flat(condition), a.reshape(-1), b.reshape(-1))
        _where(*spreads)(parts_for(out.size), *arrays)


def clip_forward(out: Array, x: Array, *, low: float, high: float) -> None:
    _clip_forward(parts_for(x.size), flat(out), flat(x), float(low), float(high))


def clip_backward(dx: Array, dout: Array, x: Array, *, low: float, high: float) -> None:
    arrays = flat(dx), flat(dout), flat(x)
    _clip_backward(parts_for(x.size), *arrays, float(low), float(high))


def accumulate(acc: Array, x: Array) -> None:
    _accumulate(parts_for(x.size), flat(acc), flat(x))


def copy(out: Array, x: Array, *, dtype: str) -> None:
    parts = parts_for(x.size)
    if x.flags.c_contiguous and out.flags.c_contiguous:
        _copy(parts, flat(out), flat(x))
    elif x.ndim <= 4:
        # Not reshaped, which would copy: `out` may be a view of something larger.
        axes = (None,) * (4 - x.ndim)
        _copy_view(parts, out[axes], x[axes])
    else:
        _numpy(reference.copy, out, x, dtype=dtype)


def fill(out: Array, *, shape: tuple[int, ...], dtype: str, value: float) -> None:
    _fill(parts_for(out.size), flat(out), out.dtype.type(value))


LOOPS = {
    "unary_forward": unary_forward,
    "unary_backward": unary_backward,
    "binary_forward": binary_forward,
    "binary_backward": binary_backward,
    "where": where,
    "clip_forward": clip_forward,
    "clip_backward": clip_backward,
    "accumulate": accumulate,
    "copy": copy,
    "fill": fill,
}
