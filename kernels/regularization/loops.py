"""Penalties in one pass: the sums of |w| and w^2 together, no array of either."""

import numpy as np

from ..numba_loop import flat, loop, parts_for, share
from ..observing import workspace
from ..spec import Array


@loop
def _forward(t: int, parts: int, sums: Array, w: Array) -> None:
    """sums[t] = (sum |w|, sum w^2) over part t."""
    low, high = share(w.size, parts, t)
    u = w[low:high]
    absolute = square = w.dtype.type(0)
    for i in range(u.size):
        absolute += abs(u[i])
        square += u[i] * u[i]
    sums[t, 0], sums[t, 1] = absolute, square


@loop
def _weigh(t: int, parts: int, out: Array, sums: Array, l1: float, l2: float) -> None:
    absolute = square = 0.0
    for i in range(sums.shape[0]):
        absolute += np.float64(sums[i, 0])
        square += np.float64(sums[i, 1])
    out[0] = l1 * absolute + l2 * square


@loop
def _backward(t: int, parts: int, dw: Array, dout: Array, w: Array, l1: float, l2: float) -> None:
    low, high = share(w.size, parts, t)
    d, u = dw[low:high], w[low:high]
    zero = w.dtype.type(0)
    first, second = dout[0] * w.dtype.type(l1), dout[0] * w.dtype.type(2 * l2)
    for i in range(u.size):
        sign = first if u[i] > zero else (-first if u[i] < zero else zero)
        d[i] = sign + second * u[i]


def penalty_forward(out: Array, w: Array, *, l1: float, l2: float) -> None:
    parts = parts_for(w.size)
    sums = workspace((parts, 2), w.dtype)
    _forward(parts, sums, flat(w))
    _weigh(1, flat(out), sums, float(l1), float(l2))


def penalty_backward(dw: Array, dout: Array, w: Array, *, l1: float, l2: float) -> None:
    _backward(parts_for(w.size), flat(dw), flat(dout), flat(w), float(l1), float(l2))


LOOPS = {"penalty_forward": penalty_forward, "penalty_backward": penalty_backward}
