"""Dropout in one pass: the mask is drawn where it is used, in both directions, and never stored."""

import numpy as np

from ..numba_loop import flat, loop, parts_for, share
from ..numba_philox import philox_block
from ..observing import host
from ..random.loops import BLOCK, SERIAL_BELOW
from ..spec import Array
from .reference import threshold


@loop
def _mask(
    t: int, parts: int, out: Array, x: Array, key: Array, stream: int, least: int, scale: float
) -> None:
    """out = x scale where the element's random word is `least` or more, else 0."""
    n = out.size
    seed_low, seed_high, step, drawn = key[0], key[1], key[2], key[3]
    factor, zero = x.dtype.type(scale), x.dtype.type(0)
    low, high = share((n + BLOCK - 1) // BLOCK, parts, t)
    whole = min(high, n // BLOCK)
    for block in range(low, whole):
        w0, w1, w2, w3 = philox_block(block, drawn + stream, step, seed_low, seed_high)
        i = BLOCK * block
        out[i] = x[i] * factor if w0 >= least else zero
        out[i + 1] = x[i + 1] * factor if w1 >= least else zero
        out[i + 2] = x[i + 2] * factor if w2 >= least else zero
        out[i + 3] = x[i + 3] * factor if w3 >= least else zero
    for block in range(whole, high):
        words = philox_block(block, drawn + stream, step, seed_low, seed_high)
        for j in range(n - BLOCK * block):
            i = BLOCK * block + j
            out[i] = x[i] * factor if words[j] >= least else zero


def dropout_forward(
    out: Array, key: Array, x: Array, state: Array, *, p: float, stream: int
) -> None:
    host(np.copyto, key, state)
    dropout_backward(out, x, state, p=p, stream=stream)


def dropout_backward(dx: Array, dout: Array, key: Array, *, p: float, stream: int) -> None:
    parts = parts_for(dx.size, serial_below=SERIAL_BELOW)
    _mask(parts, flat(dx), flat(dout), key, stream, threshold(p), 1.0 / (1.0 - p))


LOOPS = {"dropout_forward": dropout_forward, "dropout_backward": dropout_backward}
