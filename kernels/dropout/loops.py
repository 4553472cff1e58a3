"""Dropout in one pass: the mask is drawn where it is used, in both directions, and never stored."""

import numpy as np

from ..numba_loop import flat, loop, parts_for, share
from ..numba_philox import BLOCK, STRETCH, philox_words
from ..observing import workspace
from ..random.loops import SERIAL_BELOW
from ..spec import Array
from .reference import threshold


@loop
def _mask(
    t: int,
    parts: int,
    out: Array,
    kept: Array,
    x: Array,
    key: Array,
    scratch: Array,
    stream: int,
    least: int,
    scale: float,
) -> None:
    """out = x scale where the element's random word is `least` or more, else 0; kept = key.

    scratch[t]: a stretch of words.
    """
    if kept is not None and t == 0:
        for i in range(key.size):
            kept[i] = key[i]
    n = out.size
    factor, zero = x.dtype.type(scale), x.dtype.type(0)
    words = scratch[t]
    low, high = share((n + BLOCK - 1) // BLOCK, parts, t)
    for block in range(low, high, STRETCH):
        last = min(block + STRETCH, high)
        philox_words(words[: BLOCK * (last - block)], block, stream, key)
        o, u = out[BLOCK * block : BLOCK * last], x[BLOCK * block : BLOCK * last]
        for i in range(o.size):
            o[i] = u[i] * factor if words[i] >= least else zero


@loop
def _mask_spans(
    t: int,
    parts: int,
    out: Array,
    kept: Array,
    x: Array,
    key: Array,
    scratch: Array,
    stream: int,
    least: int,
    scale: float,
    span: int,
) -> None:
    """The same where `span` neighbours share one word."""
    if kept is not None and t == 0:
        for i in range(key.size):
            kept[i] = key[i]
    n = out.size // span
    factor, zero = x.dtype.type(scale), x.dtype.type(0)
    words = scratch[t]
    low, high = share((n + BLOCK - 1) // BLOCK, parts, t)
    for block in range(low, high, STRETCH):
        last = min(block + STRETCH, high)
        philox_words(words[: BLOCK * (last - block)], block, stream, key)
        first = BLOCK * block
        for i in range(first, min(BLOCK * last, n)):
            o, u = out[span * i : span * (i + 1)], x[span * i : span * (i + 1)]
            if words[i - first] >= least:
                for j in range(o.size):
                    o[j] = u[j] * factor
            else:
                o[:] = zero


def dropout_forward(
    out: Array, key: Array, x: Array, state: Array, *, p: float, span: int, stream: int
) -> None:
    _run(out, key, x, state, p, span, stream)


def dropout_backward(
    dx: Array, dout: Array, key: Array, *, p: float, span: int, stream: int
) -> None:
    _run(dx, None, dout, key, p, span, stream)


def _run(
    out: Array, kept: Array | None, x: Array, key: Array, p: float, span: int, stream: int
) -> None:
    parts = parts_for(x.size, serial_below=SERIAL_BELOW) if span == 1 else parts_for(x.size)
    arrays = flat(out), kept, flat(x), key, workspace((parts, STRETCH * BLOCK), np.uint32)
    numbers = stream, threshold(p), 1.0 / (1.0 - p)
    if span == 1:
        _mask(parts, *arrays, *numbers)
    else:
        _mask_spans(parts, *arrays, *numbers, span)


LOOPS = {"dropout_forward": dropout_forward, "dropout_backward": dropout_backward}
