"""Normalization: a row, or a channel, is read from memory once and stays in cache for the rest."""

import math

import numpy as np

from ..numba_intrinsics import maximum
from ..numba_loop import flat, loop, parts_for, share
from ..observing import host, workspace
from ..spec import Array
from .moments import joined, moments

# Places of a channel in one sample from which on they are a vector loop of their own.
LONG_PLANE = 64
COLUMN_STRETCH = 1 << 14  # elements, which stay in the second cache


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
        first, second = zero, zero
        p = None if dscales is None else dscales[t]
        q = None if dshifts is None else dshifts[t]
        for j in range(g.size):
            apart = u[j] - m
            if p is not None:
                p[j] += g[j] * (apart * a)
            if q is not None:
                q[j] += g[j]
            slope = g[j] if scale is None else g[j] * scale[j]
            first += slope
            second += slope * apart
        if dx is not None:
            b = first / dout.dtype.type(g.size) if centered else zero
            c = a * a * second / dout.dtype.type(g.size)
            d = dx[r]
            for j in range(d.size):
                slope = g[j] if scale is None else g[j] * scale[j]
                value = a * (slope - b - (u[j] - m) * c)
                if dsummed is not None:
                    value += dsummed[r, j]
                d[j] = value


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


# --- Channels over a batch -----------------------------------------------------------------------
#
# Where a channel has many places in a sample, each thread owns channels: it reads one from memory,
# and finds it in its cache when it normalizes. Where it has few, rows of all channels and places
# are split, and a place of a channel is a column.


@loop
def _batch_forward_planes(
    t: int,
    parts: int,
    out: Array,
    stats: Array,
    x: Array,
    scale: Array,
    shift: Array,
    eps: float,
    training: bool,
    relu: bool,
) -> None:
    """stats: given unless training."""
    n, channels, places = x.shape
    low, high = share(channels, parts, t)
    f = x.dtype.type
    zero, one = f(0), f(1)
    for c in range(low, high):
        if training:
            count, mean, square = 0.0, 0.0, 0.0
            for i in range(n):
                more, more_square = moments(x[i, c])
                count, mean, square = joined(
                    count, mean, square, np.float64(places), more, more_square
                )
            stats[0, c], stats[1, c] = mean, square / count
        m = stats[0, c]
        a = one / np.sqrt(stats[1, c] + f(eps))
        if scale is not None:
            a *= scale[c]
        b = zero if shift is None else shift[c]
        least = zero if relu else f(-np.inf)
        for i in range(n):
            u, o = x[i, c], out[i, c]
            for j in range(o.size):
                o[j] = maximum((u[j] - m) * a + b, least)


@loop
def _batch_backward_planes(
    t: int,
    parts: int,
    dx: Array,
    dscale: Array,
    dshift: Array,
    dout: Array,
    x: Array,
    out: Array,
    stats: Array,
    scale: Array,
    eps: float,
    training: bool,
) -> None:
    n, channels, places = x.shape
    low, high = share(channels, parts, t)
    f = x.dtype.type
    zero, one = f(0), f(1)
    for c in range(low, high):
        m, a = stats[0, c], one / np.sqrt(stats[1, c] + f(eps))
        first, second = 0.0, 0.0
        for i in range(n):
            g, u = dout[i, c], x[i, c]
            y = None if out is None else out[i, c]
            level, tilt = zero, zero
            for j in range(g.size):
                d = g[j] if y is None else (g[j] if y[j] > zero else zero)
                level += d
                tilt += d * (u[j] - m)
            first += level
            second += tilt
        if dscale is not None:
            dscale[c] = second * a
        if dshift is not None:
            dshift[c] = first
        if dx is not None:
            count = np.float64(n * places)
            level = f(first / count) if training else zero
            tilt = f(second / count) * a * a if training else zero
            k = a if scale is None else a * scale[c]
            for i in range(n):
                g, u, e = dout[i, c], x[i, c], dx[i, c]
                y = None if out is None else out[i, c]
                for j in range(e.size):
                    d = g[j] if y is None else (g[j] if y[j] > zero else zero)
                    e[j] = k * (d - level - (u[j] - m) * tilt)


@loop
def _moments_of_columns(t: int, parts: int, partial: Array, x: Array, scratch: Array) -> None:
    """partial[t]: count, means and sums of squared deviations over t's rows of x, a column each.

    scratch[t]: some rows, here and below.
    """
    rows, columns = x.shape
    first, end = share(rows, parts, t)
    step = max(1, COLUMN_STRETCH // columns)
    f, zero = x.dtype.type, x.dtype.type(0)
    centre, drift, spread = scratch[t, 0], scratch[t, 1], scratch[t, 2]
    count, mean, square = partial[t, 0], partial[t, 1], partial[t, 2]
    count[:], mean[:], square[:] = 0.0, 0.0, 0.0
    for low in range(first, end, step):
        high = min(low + step, end)
        part = f(1.0 / (high - low))
        for j in range(columns):
            centre[j], drift[j], spread[j] = zero, zero, zero
        for r in range(low, high):
            u = x[r]
            for j in range(columns):
                centre[j] += u[j]
        for j in range(columns):
            centre[j] *= part
        for r in range(low, high):
            u = x[r]
            for j in range(columns):
                apart = u[j] - centre[j]
                drift[j] += apart
                spread[j] += apart * apart
        more = np.float64(high - low)
        for j in range(columns):
            off = np.float64(drift[j]) / more
            count[j], mean[j], square[j] = joined(
                count[j],
                mean[j],
                square[j],
                more,
                np.float64(centre[j]) + off,
                np.float64(spread[j]) - off * off * more,
            )


@loop
def _join_columns(t: int, parts: int, stats: Array, partial: Array) -> None:
    """stats (2, c) from partial (parts, 3, c, places)."""
    for c in range(stats.shape[1]):
        count, mean, square = 0.0, 0.0, 0.0
        for i in range(partial.shape[0]):
            p = partial[i, :, c]
            for j in range(p.shape[1]):
                count, mean, square = joined(count, mean, square, p[0, j], p[1, j], p[2, j])
        stats[0, c], stats[1, c] = mean, square / count


@loop
def _batch_forward_rows(
    t: int,
    parts: int,
    out: Array,
    x: Array,
    stats: Array,
    scale: Array,
    shift: Array,
    scratch: Array,
    eps: float,
    relu: bool,
) -> None:
    """x, out: (n, c places)."""
    low, high = share(x.shape[0], parts, t)
    channels, columns = stats.shape[1], x.shape[1]
    places = columns // max(channels, 1)
    f = x.dtype.type
    zero, one = f(0), f(1)
    m, a, b = scratch[t, 0], scratch[t, 1], scratch[t, 2]
    for c in range(channels):
        factor = one / np.sqrt(stats[1, c] + f(eps))
        if scale is not None:
            factor *= scale[c]
        own = slice(c * places, (c + 1) * places)
        m[own], a[own], b[own] = stats[0, c], factor, zero if shift is None else shift[c]
    least = zero if relu else f(-np.inf)
    for r in range(low, high):
        u, o = x[r], out[r]
        for j in range(o.size):
            o[j] = maximum((u[j] - m[j]) * a[j] + b[j], least)


@loop
def _sums_of_columns(
    t: int,
    parts: int,
    partial: Array,
    dout: Array,
    x: Array,
    out: Array,
    stats: Array,
    scratch: Array,
) -> None:
    """partial[t]: the sums of dout (x - mean) and of dout over t's rows, a column each."""
    rows, columns = x.shape
    first, end = share(rows, parts, t)
    step = max(1, COLUMN_STRETCH // columns)
    zero = x.dtype.type(0)
    channels = stats.shape[1]
    places = columns // max(channels, 1)
    m, tilt, level = scratch[t, 0], scratch[t, 1], scratch[t, 2]
    for c in range(channels):
        m[c * places : (c + 1) * places] = stats[0, c]
    second, whole = partial[t, 0], partial[t, 1]
    second[:], whole[:] = 0.0, 0.0
    for low in range(first, end, step):
        for j in range(columns):
            tilt[j], level[j] = zero, zero
        for r in range(low, min(low + step, end)):
            g, u = dout[r], x[r]
            y = None if out is None else out[r]
            for j in range(columns):
                d = g[j] if y is None else (g[j] if y[j] > zero else zero)
                level[j] += d
                tilt[j] += d * (u[j] - m[j])
        for j in range(columns):
            second[j] += tilt[j]
            whole[j] += level[j]


@loop
def _add_columns(
    t: int, parts: int, dscale: Array, dshift: Array, partial: Array, stats: Array, eps: float
) -> None:
    """dscale and dshift (c,) from partial (parts, 2, c, places)."""
    for c in range(stats.shape[1]):
        tilt, level = 0.0, 0.0
        for i in range(partial.shape[0]):
            for j in range(partial.shape[3]):
                tilt += partial[i, 0, c, j]
                level += partial[i, 1, c, j]
        dscale[c] = tilt / math.sqrt(stats[1, c] + eps)
        dshift[c] = level


@loop
def _batch_backward_rows(
    t: int,
    parts: int,
    dx: Array,
    dscale: Array,
    dshift: Array,
    dout: Array,
    x: Array,
    out: Array,
    stats: Array,
    scale: Array,
    scratch: Array,
    eps: float,
    training: bool,
) -> None:
    """dx, dout, x, out: (n, c places)."""
    low, high = share(x.shape[0], parts, t)
    channels, columns = stats.shape[1], x.shape[1]
    places = columns // max(channels, 1)
    f = x.dtype.type
    zero, one = f(0), f(1)
    part = f(1.0 / (x.shape[0] * places)) if training else zero
    m, k, level, tilt = scratch[t, 0], scratch[t, 1], scratch[t, 2], scratch[t, 3]
    for c in range(channels):
        a = one / np.sqrt(stats[1, c] + f(eps))
        own = slice(c * places, (c + 1) * places)
        m[own], k[own] = stats[0, c], a if scale is None else a * scale[c]
        level[own], tilt[own] = part * dshift[c], part * dscale[c] * a
    for r in range(low, high):
        g, u, e = dout[r], x[r], dx[r]
        y = None if out is None else out[r]
        for j in range(e.size):
            d = g[j] if y is None else (g[j] if y[j] > zero else zero)
            e[j] = k[j] * (d - level[j] - (u[j] - m[j]) * tilt[j])


@loop
def _track(
    t: int,
    parts: int,
    running_mean: Array,
    running_var: Array,
    tracked: Array,
    stats: Array,
    momentum: float,
    unbiased: float,
) -> None:
    """stats: (2, b, c); momentum: NaN for the average of all updates."""
    factor = momentum
    if tracked is not None:
        tracked[0] += 1
        if factor != factor:
            factor = 1.0 / tracked[0]
    b = stats.shape[1]
    for c in range(running_mean.size):
        mean, var = 0.0, 0.0
        for i in range(b):
            mean += stats[0, i, c]
            var += stats[1, i, c]
        running_mean[c] += factor * (mean / b - running_mean[c])
        running_var[c] += factor * (var / b * unbiased - running_var[c])


def batch_norm_forward(
    out: Array,
    stats: Array,
    x: Array,
    scale: Array | None,
    shift: Array | None,
    running_mean: Array | None,
    running_var: Array | None,
    *,
    eps: float,
    training: bool,
    activation: str,
) -> None:
    n, channels, places = x.shape
    relu, eps = activation == "relu", float(eps)
    if not training:
        for i, running in enumerate((running_mean, running_var)):
            host(np.copyto, stats[i], running)
    if places >= LONG_PLANE:
        parts = parts_for(x.size, channels)
        _batch_forward_planes(parts, out, stats, x, scale, shift, eps, training, relu)
        return
    rows = x.reshape(n, channels * places)
    parts = parts_for(x.size, n)
    scratch = workspace((parts, 3, channels * places), x.dtype)
    if training:
        partial = workspace((parts, 3, channels * places), np.float64)
        _moments_of_columns(parts, partial, rows, scratch)
        _join_columns(1, stats, partial.reshape(parts, 3, channels, places))
    arrays = (out.reshape(rows.shape), rows, stats, scale, shift, scratch)
    _batch_forward_rows(parts, *arrays, eps, relu)


def batch_norm_backward(
    dx: Array | None,
    dscale: Array | None,
    dshift: Array | None,
    dout: Array,
    x: Array,
    out: Array | None,
    stats: Array,
    scale: Array | None,
    *,
    eps: float,
    training: bool,
    activation: str,
    needs: tuple[bool, bool, bool],
) -> None:
    n, channels, places = x.shape
    eps = float(eps)
    if activation == "identity":
        out = None
    if places >= LONG_PLANE:
        arrays = (dx, dscale, dshift, dout, x, out, stats, scale)
        _batch_backward_planes(parts_for(x.size, channels), *arrays, eps, training)
        return
    shape = n, channels * places
    dx, dout, x, out = (a if a is None else a.reshape(shape) for a in (dx, dout, x, out))
    parts = parts_for(x.size, n)
    partial = workspace((parts, 2, shape[1]), np.float64)
    scratch = workspace((parts, 4, shape[1]), x.dtype)
    _sums_of_columns(parts, partial, dout, x, out, stats, scratch)
    dscale, dshift = (
        workspace((channels,), x.dtype) if whole is None else whole for whole in (dscale, dshift)
    )
    _add_columns(1, dscale, dshift, partial.reshape(parts, 2, channels, places), stats, eps)
    if dx is not None:
        wanted = (dx, dscale, dshift)
        _batch_backward_rows(parts, *wanted, dout, x, out, stats, scale, scratch, eps, training)


def track_statistics(
    running_mean: Array,
    running_var: Array,
    tracked: Array | None,
    stats: Array,
    *,
    momentum: float | None,
    count: int,
) -> None:
    factor = math.nan if momentum is None else float(momentum)
    each = stats.reshape(2, -1, running_mean.size)
    _track(1, running_mean, running_var, flat(tracked), each, factor, count / (count - 1))


# --- Groups of channels --------------------------------------------------------------------------


@loop
def _group_forward(
    t: int,
    parts: int,
    out: Array,
    stats: Array,
    x: Array,
    scale: Array,
    shift: Array,
    eps: float,
) -> None:
    """x, out: (n groups, channels of a group, places)."""
    low, high = share(x.shape[0], parts, t)
    f = x.dtype.type
    zero, own = f(0), x.shape[1]
    groups = 1 if scale is None else scale.size // own
    if shift is not None:
        groups = shift.size // own
    for r in range(low, high):
        row = x[r].reshape(-1)
        mean, square = moments(row)
        var = square / row.size
        stats[0, r], stats[1, r] = mean, var
        m, a = f(mean), f(1.0 / math.sqrt(var + eps))
        start = r % groups * own
        for c in range(own):
            k = a if scale is None else a * scale[start + c]
            b = zero if shift is None else shift[start + c]
            u, o = x[r, c], out[r, c]
            for j in range(o.size):
                o[j] = (u[j] - m) * k + b


@loop
def _group_backward(
    t: int,
    parts: int,
    dx: Array,
    dscales: Array,
    dshifts: Array,
    dout: Array,
    x: Array,
    stats: Array,
    scale: Array,
    groups: int,
    eps: float,
) -> None:
    """dscales[t], dshifts[t]: the sums over t's rows, where these are wanted."""
    low, high = share(x.shape[0], parts, t)
    f = x.dtype.type
    zero, one, own = f(0), f(1), x.shape[1]
    if dscales is not None:
        dscales[t, :] = zero
    if dshifts is not None:
        dshifts[t, :] = zero
    for r in range(low, high):
        m, a = stats[0, r], one / np.sqrt(stats[1, r] + f(eps))
        start = r % groups * own
        first, second = 0.0, 0.0
        for c in range(own):
            g, u = dout[r, c], x[r, c]
            level, tilt = zero, zero
            for j in range(g.size):
                level += g[j]
                tilt += g[j] * (u[j] - m)
            k = one if scale is None else scale[start + c]
            first += k * level
            second += k * tilt
            if dscales is not None:
                dscales[t, start + c] += tilt * a
            if dshifts is not None:
                dshifts[t, start + c] += level
        if dx is not None:
            count = np.float64(own * x.shape[2])
            level, tilt = f(first / count), f(second / count) * a * a
            for c in range(own):
                k = one if scale is None else scale[start + c]
                g, u, e = dout[r, c], x[r, c], dx[r, c]
                for j in range(e.size):
                    e[j] = a * (k * g[j] - level - (u[j] - m) * tilt)


def group_norm_forward(
    out: Array,
    stats: Array,
    x: Array,
    scale: Array | None,
    shift: Array | None,
    *,
    groups: int,
    eps: float,
) -> None:
    rows = x.shape[0] * groups, x.shape[1] // groups, x.shape[2]
    arrays = (out.reshape(rows), stats, x.reshape(rows), scale, shift)
    _group_forward(parts_for(x.size, rows[0]), *arrays, float(eps))


def group_norm_backward(
    dx: Array | None,
    dscale: Array | None,
    dshift: Array | None,
    dout: Array,
    x: Array,
    stats: Array,
    scale: Array | None,
    *,
    groups: int,
    eps: float,
    needs: tuple[bool, bool, bool],
) -> None:
    rows = x.shape[0] * groups, x.shape[1] // groups, x.shape[2]
    parts = parts_for(x.size, rows[0])
    dscales, dshifts = _partial(dscale, parts), _partial(dshift, parts)
    dx, dout, x = (a if a is None else a.reshape(rows) for a in (dx, dout, x))
    arrays = (dx, dscales, dshifts, dout, x, stats, scale)
    _group_backward(parts, *arrays, groups, float(eps))
    for sums, whole in ((dscales, dscale), (dshifts, dshift)):
        if sums is not None:
            _add_parts(1, whole, sums)


LOOPS = {
    "layer_norm_forward": layer_norm_forward,
    "layer_norm_backward": layer_norm_backward,
    "batch_norm_forward": batch_norm_forward,
    "batch_norm_backward": batch_norm_backward,
    "track_statistics": track_statistics,
    "group_norm_forward": group_norm_forward,
    "group_norm_backward": group_norm_backward,
}
