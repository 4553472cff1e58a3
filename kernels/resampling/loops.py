"""Resampling: threads share the planes; a row of x is mixed of two, and then read out of order."""

from ..numba_loop import loop, parts_for, share
from ..observing import workspace
from ..spec import Array
from .reference import Pair, Scales, places


@loop
def _nearest_forward(t: int, parts: int, out: Array, x: Array, down: Array, across: Array) -> None:
    low, high = share(x.shape[0], parts, t)
    for p in range(low, high):
        for i in range(out.shape[1]):
            o, u = out[p, i], x[p, down[i]]
            for j in range(o.size):
                o[j] = u[across[j]]


@loop
def _nearest_backward(
    t: int, parts: int, dx: Array, dout: Array, scratch: Array, down: Array, across: Array
) -> None:
    """Neighbours never go back: those of one element follow each other. scratch[t]: a row."""
    low, high = share(dx.shape[0], parts, t)
    zero = dx.dtype.type(0)
    sums = scratch[t]
    for p in range(low, high):
        i = 0
        for r in range(dx.shape[1]):
            d = dx[p, r]
            for j in range(sums.size):
                sums[j] = zero
            while i < down.size and down[i] == r:
                g = dout[p, i]
                for j in range(sums.size):
                    sums[j] += g[j]
                i += 1
            j = 0
            for s in range(d.size):
                total = zero
                while j < across.size and across[j] == s:
                    total += sums[j]
                    j += 1
                d[s] = total


@loop
def _linear_forward(
    t: int,
    parts: int,
    out: Array,
    x: Array,
    scratch: Array,
    top: Array,
    bottom: Array,
    lower: Array,
    left: Array,
    right: Array,
    righter: Array,
) -> None:
    """lower, righter: the weights of the second neighbours; scratch[t]: a row."""
    low, high = share(x.shape[0], parts, t)
    one = x.dtype.type(1)
    mixed = scratch[t]
    for p in range(low, high):
        for i in range(out.shape[1]):
            o, u, v = out[p, i], x[p, top[i]], x[p, bottom[i]]
            b = x.dtype.type(lower[i])
            a = one - b
            for s in range(mixed.size):
                mixed[s] = a * u[s] + b * v[s]
            for j in range(o.size):
                w = x.dtype.type(righter[j])
                o[j] = (one - w) * mixed[left[j]] + w * mixed[right[j]]


@loop
def _linear_backward(
    t: int,
    parts: int,
    dx: Array,
    dout: Array,
    scratch: Array,
    top: Array,
    bottom: Array,
    lower: Array,
    left: Array,
    right: Array,
    righter: Array,
) -> None:
    low, high = share(dx.shape[0], parts, t)
    zero, one = dx.dtype.type(0), dx.dtype.type(1)
    sums = scratch[t]
    for p in range(low, high):
        dx[p] = zero
        for i in range(dout.shape[1]):
            g = dout[p, i]
            for s in range(sums.size):
                sums[s] = zero
            for j in range(g.size):
                w = dx.dtype.type(righter[j])
                sums[left[j]] += (one - w) * g[j]
                sums[right[j]] += w * g[j]
            b = dx.dtype.type(lower[i])
            d, e = dx[p, top[i]], dx[p, bottom[i]]
            for s in range(sums.size):
                d[s] += (one - b) * sums[s]
            for s in range(sums.size):  # d and e may be one row
                e[s] += b * sums[s]


def upsample_forward(
    out: Array,
    x: Array,
    *,
    mode: str,
    align_corners: bool,
    output: Pair,
    scale: Scales,
) -> None:
    arrays = _planes(out), _planes(x)
    parts = parts_for(out.size, arrays[0].shape[0])
    down, across = (
        places(mode, align_corners, x.shape[2 + a], output[a], scale[a]) for a in range(2)
    )
    if mode == "nearest":
        _nearest_forward(parts, *arrays, down[0], across[0])
    else:
        scratch = workspace((parts, x.shape[3]), x.dtype)
        _linear_forward(parts, *arrays, scratch, *down, *across)


def upsample_backward(
    dx: Array,
    dout: Array,
    *,
    size: Pair,
    mode: str,
    align_corners: bool,
    output: Pair,
    scale: Scales,
) -> None:
    down, across = (places(mode, align_corners, size[a], output[a], scale[a]) for a in range(2))
    arrays = _planes(dx), _planes(dout)
    parts = parts_for(dout.size, arrays[0].shape[0])
    if mode == "nearest":
        scratch = workspace((parts, output[1]), dx.dtype)
        _nearest_backward(parts, *arrays, scratch, down[0], across[0])
    else:
        scratch = workspace((parts, size[1]), dx.dtype)
        _linear_backward(parts, *arrays, scratch, *down, *across)


def _planes(x: Array) -> Array:
    return x.reshape(x.shape[0] * x.shape[1], *x.shape[2:])


LOOPS = {"upsample_forward": upsample_forward, "upsample_backward": upsample_backward}
