"""Pooling: threads share the planes. Windows of 2 x 2 side by side have loops of their own.

Otherwise a row of windows is taken at once: its rows are brought together in vector code, column by
column, and then what is in each window of these columns.
"""

from typing import Any

import numpy as np
from numba.extending import register_jitable

from ..numba_intrinsics import maximum
from ..numba_loop import STRICT, loop, parts_for, share
from ..observing import workspace
from ..spec import Array
from .reference import Pair


@register_jitable(**STRICT)
def _span(
    i: Any, size: Any, output: Any, window: Any, stride: Any, padding: Any, dilation: Any
) -> Any:
    """The first element of window i along an axis, and where it ends."""
    if window == 0:
        return i * size // output, ((i + 1) * size + output - 1) // output
    start = i * stride - padding
    end = min(start + dilation * (window - 1) + 1, size)
    if start < 0:
        start += (dilation - 1 - start) // dilation * dilation
    return start, end


@register_jitable(**STRICT)
def _padded(i: Any, size: Any, window: Any, stride: Any, padding: Any) -> Any:
    """The length of window i along an axis, with elements of the padding."""
    start = i * stride - padding
    return min(start + window, size + padding) - start


@loop
def _max_forward(
    t: int,
    parts: int,
    out: Array,
    index: Array,
    x: Array,
    scratch: Array,
    scratch_places: Array,
    window: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
) -> None:
    """x: (planes, h, w); scratch[t], scratch_places[t]: the best of a row's columns."""
    low, high = share(x.shape[0], parts, t)
    _, height, width = x.shape
    _, rows, columns = out.shape
    lowest = x.dtype.type(-np.inf)
    tops, places = scratch[t], scratch_places[t]
    for p in range(low, high):
        for i in range(rows):
            o, k = out[p, i], index[p, i]
            first, end = _span(i, height, rows, window[0], stride[0], padding[0], dilation[0])
            for s in range(width):
                tops[s], places[s] = lowest, -1
            for r in range(first, end, dilation[0]):
                u, start = x[p, r], np.int32(r * width)
                for s in range(width):
                    better = (u[s] > tops[s]) | (places[s] < 0)
                    better |= (u[s] != u[s]) & (tops[s] == tops[s])
                    tops[s] = u[s] if better else tops[s]
                    places[s] = start + s if better else places[s]
            for j in range(columns):
                left, right = _span(
                    j, width, columns, window[1], stride[1], padding[1], dilation[1]
                )
                best, at = lowest, np.int32(-1)
                for s in range(left, right, dilation[1]):
                    v, place = tops[s], places[s]
                    # The first in the order of rows wins, and a NaN over all numbers.
                    same = v == best or (v != v and best != best)
                    if at < 0 or (same and place < at) or v > best or (v != v and best == best):
                        best, at = v, place
                o[j], k[j] = best, at


@loop
def _max_forward_2x2(t: int, parts: int, out: Array, index: Array, x: Array) -> None:
    low, high = share(x.shape[0], parts, t)
    width = x.shape[2]
    for p in range(low, high):
        for i in range(out.shape[1]):
            o, k = out[p, i], index[p, i]
            u, v = x[p, 2 * i], x[p, 2 * i + 1]
            for j in range(o.size):
                a, b, c, d = u[2 * j], u[2 * j + 1], v[2 * j], v[2 * j + 1]
                best = maximum(maximum(a, b), maximum(c, d))
                at = width if (c == best) | (c != c) else width + 1
                at = 1 if (b == best) | (b != b) else at
                at = 0 if (a == best) | (a != a) else at
                o[j], k[j] = best, 2 * i * width + 2 * j + at


@loop
def _max_backward(t: int, parts: int, dx: Array, dout: Array, index: Array) -> None:
    """dx: (planes, h w); dout, index: (planes, outputs)."""
    low, high = share(dx.shape[0], parts, t)
    for p in range(low, high):
        d, g, k = dx[p], dout[p], index[p]
        for j in range(d.size):
            d[j] = 0
        for j in range(g.size):
            if k[j] >= 0:
                d[k[j]] += g[j]


@loop
def _avg_forward(
    t: int,
    parts: int,
    out: Array,
    x: Array,
    scratch: Array,
    window: Pair,
    stride: Pair,
    padding: Pair,
    include_pad: bool,
    divisor: int,
) -> None:
    """scratch[t]: the sums of a row's columns."""
    low, high = share(x.shape[0], parts, t)
    _, height, width = x.shape
    _, rows, columns = out.shape
    zero = x.dtype.type(0)
    sums = scratch[t]
    for p in range(low, high):
        for i in range(rows):
            o = out[p, i]
            top, bottom = _span(i, height, rows, window[0], stride[0], padding[0], 1)
            down = bottom - top
            if include_pad:
                down = _padded(i, height, window[0], stride[0], padding[0])
            for s in range(width):
                sums[s] = zero
            for r in range(top, bottom):
                u = x[p, r]
                for s in range(width):
                    sums[s] += u[s]
            for j in range(columns):
                left, right = _span(j, width, columns, window[1], stride[1], padding[1], 1)
                across = right - left
                if include_pad:
                    across = _padded(j, width, window[1], stride[1], padding[1])
                total = zero
                for s in range(left, right):
                    total += sums[s]
                o[j] = total / x.dtype.type(divisor or down * across)


@loop
def _avg_backward(
    t: int,
    parts: int,
    dx: Array,
    dout: Array,
    scratch: Array,
    window: Pair,
    stride: Pair,
    padding: Pair,
    include_pad: bool,
    divisor: int,
) -> None:
    """scratch[t]: the sums of a row's columns."""
    low, high = share(dx.shape[0], parts, t)
    _, height, width = dx.shape
    _, rows, columns = dout.shape
    zero = dx.dtype.type(0)
    sums = scratch[t]
    for p in range(low, high):
        dx[p] = zero
        for i in range(rows):
            g = dout[p, i]
            top, bottom = _span(i, height, rows, window[0], stride[0], padding[0], 1)
            down = bottom - top
            if include_pad:
                down = _padded(i, height, window[0], stride[0], padding[0])
            for s in range(width):
                sums[s] = zero
            for j in range(columns):
                left, right = _span(j, width, columns, window[1], stride[1], padding[1], 1)
                across = right - left
                if include_pad:
                    across = _padded(j, width, window[1], stride[1], padding[1])
                each = g[j] / dx.dtype.type(divisor or down * across)
                for s in range(left, right):
                    sums[s] += each
            for r in range(top, bottom):
                d = dx[p, r]
                for s in range(width):
                    d[s] += sums[s]


@loop
def _avg_forward_2x2(t: int, parts: int, out: Array, x: Array, factor: float) -> None:
    low, high = share(x.shape[0], parts, t)
    f = x.dtype.type(factor)
    for p in range(low, high):
        for i in range(out.shape[1]):
            o, u, v = out[p, i], x[p, 2 * i], x[p, 2 * i + 1]
            for j in range(o.size):
                o[j] = f * (u[2 * j] + u[2 * j + 1] + v[2 * j] + v[2 * j + 1])


@loop
def _avg_backward_2x2(t: int, parts: int, dx: Array, dout: Array, factor: float) -> None:
    low, high = share(dx.shape[0], parts, t)
    f, zero = dx.dtype.type(factor), dx.dtype.type(0)
    for p in range(low, high):
        if 2 * dout.shape[1] < dx.shape[1] or 2 * dout.shape[2] < dx.shape[2]:
            dx[p] = zero
        for i in range(dout.shape[1]):
            g = dout[p, i]
            for r in range(2):
                d = dx[p, 2 * i + r]
                for j in range(g.size):
                    each = g[j] * f
                    d[2 * j], d[2 * j + 1] = each, each


def _side_by_side(
    size: Pair, output: Pair, window: Pair, stride: Pair, padding: Pair, dilation: Pair = (1, 1)
) -> bool:
    """Whether windows are of 2 x 2, next to each other and all inside."""
    inside = 2 * output[0] <= size[0] and 2 * output[1] <= size[1]
    return (window, stride, padding, dilation) == ((2, 2), (2, 2), (0, 0), (1, 1)) and inside


def _planes(x: Array) -> Array:
    return x.reshape(x.shape[0] * x.shape[1], *x.shape[2:])


def max_pool_forward(
    out: Array,
    index: Array,
    x: Array,
    *,
    output: Pair,
    window: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
) -> None:
    arrays = _planes(out), _planes(index), _planes(x)
    parts = parts_for(x.size, arrays[0].shape[0])
    if _side_by_side(x.shape[2:], output, window, stride, padding, dilation):
        _max_forward_2x2(parts, *arrays)
    else:
        shape = parts, x.shape[3]
        scratch = workspace(shape, x.dtype), workspace(shape, np.int32)
        _max_forward(parts, *arrays, *scratch, window, stride, padding, dilation)


def max_pool_backward(
    dx: Array,
    dout: Array,
    index: Array,
    *,
    size: Pair,
    output: Pair,
    window: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
) -> None:
    planes = dx.shape[0] * dx.shape[1]
    sizes = (size[0] * size[1], *[output[0] * output[1]] * 2)
    rows = [a.reshape(planes, n) for a, n in zip((dx, dout, index), sizes, strict=True)]
    _max_backward(parts_for(dx.size, planes), *rows)


def avg_pool_forward(
    out: Array,
    x: Array,
    *,
    output: Pair,
    window: Pair,
    stride: Pair,
    padding: Pair,
    include_pad: bool,
    divisor: int,
) -> None:
    arrays = _planes(out), _planes(x)
    parts = parts_for(x.size, arrays[0].shape[0])
    if _side_by_side(x.shape[2:], output, window, stride, padding):
        _avg_forward_2x2(parts, *arrays, 1.0 / (divisor or 4))
    else:
        counted = include_pad and window != (0, 0)
        scratch = workspace((parts, x.shape[3]), x.dtype)
        _avg_forward(parts, *arrays, scratch, window, stride, padding, counted, divisor)


def avg_pool_backward(
    dx: Array,
    dout: Array,
    *,
    size: Pair,
    output: Pair,
    window: Pair,
    stride: Pair,
    padding: Pair,
    include_pad: bool,
    divisor: int,
) -> None:
    arrays = _planes(dx), _planes(dout)
    parts = parts_for(dx.size, arrays[0].shape[0])
    if _side_by_side(size, output, window, stride, padding):
        _avg_backward_2x2(parts, *arrays, 1.0 / (divisor or 4))
    else:
        counted = include_pad and window != (0, 0)
        scratch = workspace((parts, dx.shape[3]), dx.dtype)
        _avg_backward(parts, *arrays, scratch, window, stride, padding, counted, divisor)


LOOPS = {
    "max_pool_forward": max_pool_forward,
    "max_pool_backward": max_pool_backward,
    "avg_pool_forward": avg_pool_forward,
    "avg_pool_backward": avg_pool_backward,
}
