"""Softmax row by row: a row is read from memory once and stays in cache for its other passes."""

from collections.abc import Callable

from ..numba_loop import loop, parts_for, share
from ..numba_math import SERIAL_BELOW, exp, log
from ..numba_rows import exponentials, rows_of_stretch
from ..observing import workspace
from ..spec import Array


@loop
def _softmax_forward(t: int, parts: int, out: Array, x: Array, scratch: Array) -> None:
    """scratch[t]: the maxima and sums of a stretch of rows."""
    first, end = share(x.shape[0], parts, t)
    columns, step = x.shape[1], rows_of_stretch(x.shape[1])
    tops, totals = scratch[t, 0], scratch[t, 1]
    flat_out, one = out.reshape(-1), x.dtype.type(1)
    for low in range(first, end, step):
        high = min(low + step, end)
        exponentials(flat_out[columns * low : columns * high], tops, totals, x[low:high])
        # By way of memory: LLVM would make o / total of o * (1 / total), a division an element.
        for i in range(high - low):
            totals[i] = one / totals[i]
        for r in range(low, high):
            o, scale = out[r], totals[r - low]
            for j in range(o.size):
                o[j] *= scale


@loop
def _softmax_backward(t: int, parts: int, dx: Array, dout: Array, out: Array) -> None:
    low, high = share(out.shape[0], parts, t)
    zero = out.dtype.type(0)
    for r in range(low, high):
        d, g, o = dx[r], dout[r], out[r]
        inner = zero
        for j in range(o.size):
            inner += g[j] * o[j]
        for j in range(o.size):
            d[j] = o[j] * (g[j] - inner)


@loop
def _log_softmax_forward(t: int, parts: int, out: Array, x: Array, scratch: Array) -> None:
    first, end = share(x.shape[0], parts, t)
    columns, step = x.shape[1], rows_of_stretch(x.shape[1])
    tops, totals = scratch[t, 0], scratch[t, 1]
    flat_out = out.reshape(-1)
    for low in range(first, end, step):
        high = min(low + step, end)
        exponentials(flat_out[columns * low : columns * high], tops, totals, x[low:high])
        for i in range(high - low):
            totals[i] = log(totals[i])
        for r in range(low, high):
            u, o = x[r], out[r]
            top, log_total = tops[r - low], totals[r - low]
            for j in range(o.size):
                # In this order: the maximum may be so large that adding log_total to it is lost.
                shifted = u[j] - top
                o[j] = shifted - log_total


@loop
def _log_softmax_backward(t: int, parts: int, dx: Array, dout: Array, out: Array) -> None:
    low, high = share(out.shape[0], parts, t)
    zero = out.dtype.type(0)
    for r in range(low, high):
        d, g, o = dx[r], dout[r], out[r]
        total = zero
        for j in range(o.size):
            total += g[j]
        for j in range(o.size):
            d[j] = g[j] - exp(o[j]) * total


def softmax_forward(out: Array, x: Array) -> None:
    _by_stretches(_softmax_forward, out, x)


def softmax_backward(dx: Array, dout: Array, out: Array) -> None:
    _softmax_backward(parts_for(out.size, out.shape[0], SERIAL_BELOW), dx, dout, out)


def log_softmax_forward(out: Array, x: Array) -> None:
    _by_stretches(_log_softmax_forward, out, x)


def log_softmax_backward(dx: Array, dout: Array, out: Array) -> None:
    _log_softmax_backward(parts_for(out.size, out.shape[0], SERIAL_BELOW), dx, dout, out)


def _by_stretches(run: Callable[..., None], out: Array, x: Array) -> None:
    parts = parts_for(x.size, x.shape[0], SERIAL_BELOW)
    run(parts, out, x, workspace((parts, 2, rows_of_stretch(x.shape[1])), x.dtype))


LOOPS = {
    "softmax_forward": softmax_forward,
    "softmax_backward": softmax_backward,
    "log_softmax_forward": log_softmax_forward,
    "log_softmax_backward": log_softmax_backward,
}
