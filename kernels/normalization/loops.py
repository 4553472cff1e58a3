"""Normalization: a row, or a channel, is read from memory once and stays in cache for the rest."""

import math

import numpy as np

from ..numba_loop import loop, parts_for, share
from ..observing import workspace
from ..spec import Array
from .moments import moments


@loop
def _layer_norm_forward(
    t: int,
    parts: int,
    out: Array,
    summed: Array,
    stats: Array,
    x: Array,
    residual: Array,
    scale: Array,
    shift: Array,
    eps: float,
    centered: bool,
) -> None:
    low, high = share(x.shape[0], parts, t)
    zero = x.dtype.type(0)
    for r in range(low, high):
        u, o = x[r], out[r]
        if residual is not None:
            v, s = residual[r], summed[r]
            for j in range(s.size):
                s[j] = u[j] + v[j]
            u = s
        if centered:
            mean, square = moments(u)
        else:
            power = zero
            for j in range(u.size):
                power += u[j] * u[j]
            mean, square = 0.0, np.float64(power)
        var = square / u.size
        stats[0, r], stats[1, r] = mean, var
        m, a = x.dtype.type(mean), x.dtype.type(1.0 / math.sqrt(var + eps))
        for j in range(o.size):
            value = (u[j] - m) * a
            if scale is not None:
                value *= scale[j]
            if shift is not None:
                value += shift[j]
            o[j] = value


@loop
def _layer_norm_backward(
    t: int,
    parts: int,
    dx: Array,
    dscales: Array,
    dshifts: Array,
    dout: Array,
    dsummed: Array,
    summed: Array,
    stats: Array,
    scale: Array,
    eps: float,
    centered: bool,
) -> None:
    """dscales[t], dshifts[t]: the sums over t's rows, where these are wanted."""
    low, high = share(dout.shape[0], parts, t)
    zero, one = dout.dtype.type(0), dout.dtype.type(1)
    if dscales is not None:
        dscales[t, :] = zero
    if dshifts is not None:
        dshifts[t, :] = zero
    for r in range(low, high):
        g, u = dout[r], summed[r]
        m, a = stats[0, r], one / np.sqrt(stats[1, r] + dout.dtype.type(eps))
        if dx is not None:
            first, second = zero, zero
            for j in range(g.size):
                slope = g[j] if scale is None else g[j] * scale[j]
                first += slope
                second += slope * (u[j] - m)
            b = first / dout.dtype.type(g.size) if centered else zero
            c = a * a * second / dout.dtype.type(g.size)
            d = dx[r]
            for j in range(d.size):
                slope = g[j] if scale is None else g[j] * scale[j]
                value = a * (slope - b - (u[j] - m) * c)
                if dsummed is not None:
                    value += dsummed[r, j]
                d[j] = value
        if dscales is not None:
            p = dscales[t]
            for j in range(p.size):
                p[j] += g[j] * ((u[j] - m) * a)
        if dshifts is not None:
            q = dshifts[t]
            for j in range(q.size):
                q[j] += g[j]


@loop
def _add_parts(t: int, parts: int, out: Array, sums: Array) -> None:
    """out = the sum of the rows of `sums`, in their order."""
    for j in range(out.size):
        out[j] = sums[0, j]
    for i in range(1, sums.shape[0]):
        s = sums[i]
        for j in range(out.size):
            out[j] += s[j]


def layer_norm_forward(
    out: Array,
    summed: Array | None,
    stats: Array,
    x: Array,
    residual: Array | None,
    scale: Array | None,
    shift: Array | None,
    *,
    eps: float,
    centered: bool,
) -> None:
    arrays = (out, summed, stats, x, residual, scale, shift)
    _layer_norm_forward(parts_for(x.size, x.shape[0]), *arrays, float(eps), centered)


def layer_norm_backward(
    dx: Array | None,
    dscale: Array | None,
    dshift: Array | None,
    dout: Array,
    dsummed: Array | None,
    summed: Array,
    stats: Array,
    scale: Array | None,
    *,
    eps: float,
    centered: bool,
    needs: tuple[bool, bool, bool],
) -> None:
    parts = parts_for(dout.size, dout.shape[0])
    dscales, dshifts = _partial(dscale, parts), _partial(dshift, parts)
    arrays = (dx, dscales, dshifts, dout, dsummed, summed, stats, scale)
    _layer_norm_backward(parts, *arrays, float(eps), centered)
    for sums, whole in ((dscales, dscale), (dshifts, dshift)):
        if sums is not None:
            _add_parts(1, whole, sums)


def _partial(whole: Array | None, parts: int) -> Array | None:
    """Where each part leaves its share of a sum."""
    return None if whole is None else workspace((parts, whole.size), whole.dtype)


LOOPS = {
    "layer_norm_forward": layer_norm_forward,
    "layer_norm_backward": layer_norm_backward,
}
