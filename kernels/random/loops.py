"""Random arrays, block by block of four Philox words; a part is a range of whole blocks."""

import numpy as np

from ..numba_loop import flat, loop, parts_for, share
from ..numba_philox import BLOCK, STRETCH, philox_words
from ..observing import workspace
from ..spec import Array

SERIAL_BELOW = 1 << 13  # elements; ten rounds a block cost more than a plain loop's pass
UNIT = 2.0**-24


@loop
def _bits(t: int, parts: int, out: Array, state: Array, scratch: Array, stream: int) -> None:
    """scratch: the words of the last block, which may not be whole."""
    n = out.size
    low, high = share((n + BLOCK - 1) // BLOCK, parts, t)
    whole = max(min(high, n // BLOCK), low)
    philox_words(out[BLOCK * low : BLOCK * whole], low, stream, state)
    if whole < high:
        philox_words(scratch, whole, stream, state)
        rest = out[BLOCK * whole :]
        for i in range(rest.size):
            rest[i] = scratch[i]


@loop
def _uniform(
    t: int,
    parts: int,
    out: Array,
    state: Array,
    scratch: Array,
    stream: int,
    low: float,
    high: float,
) -> None:
    """scratch[t]: a stretch of words."""
    n = out.size
    f = out.dtype.type
    start, width = f(low), f((high - low) * UNIT)
    words = scratch[t]
    first, end = share((n + BLOCK - 1) // BLOCK, parts, t)
    for block in range(first, end, STRETCH):
        last = min(block + STRETCH, end)
        philox_words(words[: BLOCK * (last - block)], block, stream, state)
        o = out[BLOCK * block : BLOCK * last]
        for i in range(o.size):
            o[i] = start + width * f(words[i] >> np.uint32(8))


def random_bits(out: Array, state: Array, *, shape: tuple[int, ...], stream: int) -> None:
    parts = parts_for(out.size, serial_below=SERIAL_BELOW)
    _bits(parts, flat(out), state, workspace((BLOCK,), np.uint32), stream)


def random_uniform(
    out: Array,
    state: Array,
    *,
    shape: tuple[int, ...],
    dtype: str,
    stream: int,
    low: float,
    high: float,
) -> None:
    parts = parts_for(out.size, serial_below=SERIAL_BELOW)
    scratch = workspace((parts, STRETCH * BLOCK), np.uint32)
    _uniform(parts, flat(out), state, scratch, stream, low, high)


@loop
def _next_step(t: int, parts: int, state: Array) -> None:
    state[2] += 1
    state[3] = 0


@loop
def _skip_streams(t: int, parts: int, state: Array, count: int) -> None:
    state[3] += count


def next_step(state: Array) -> None:
    _next_step(1, state)


def skip_streams(state: Array, *, count: int) -> None:
    _skip_streams(1, state, count)


LOOPS = {
    "random_bits": random_bits,
    "random_uniform": random_uniform,
    "next_step": next_step,
    "skip_streams": skip_streams,
}
