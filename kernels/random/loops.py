"""Random arrays, block by block of four Philox words; a part is a range of whole blocks."""

import numpy as np

from ..numba_loop import flat, loop, parts_for, share
from ..numba_philox import philox_block
from ..observing import workspace
from ..spec import Array

BLOCK = 4
SERIAL_BELOW = 1 << 12  # elements; ten rounds a block cost more than a plain loop's pass
UNIT = 2.0**-24


@loop
def _bits(t: int, parts: int, out: Array, state: Array, stream: int) -> None:
    n = out.size
    seed_low, seed_high, step, drawn = state[0], state[1], state[2], state[3]
    low, high = share((n + BLOCK - 1) // BLOCK, parts, t)
    for block in range(low, high):
        words = philox_block(block, drawn + stream, step, seed_low, seed_high)
        i = BLOCK * block
        if i + BLOCK <= n:
            out[i], out[i + 1], out[i + 2], out[i + 3] = words
        else:
            for j in range(n - i):
                out[i + j] = words[j]


@loop
def _uniform(t: int, parts: int, out: Array, bits: Array, low: float, high: float) -> None:
    first, last = share(out.size, parts, t)
    o, b = out[first:last], bits[first:last]
    f = out.dtype.type
    start, width = f(low), f((high - low) * UNIT)
    for i in range(o.size):
        o[i] = start + width * f(b[i] >> np.uint32(8))


def random_bits(out: Array, state: Array, *, shape: tuple[int, ...], stream: int) -> None:
    _bits(parts_for(out.size, serial_below=SERIAL_BELOW), flat(out), state, stream)


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
    # Two loops: of the bits alone LLVM makes vector code, and they stay in cache.
    bits = workspace((out.size,), np.uint32)
    parts = parts_for(out.size, serial_below=SERIAL_BELOW)
    _bits(parts, bits, state, stream)
    _uniform(parts, flat(out), bits, low, high)


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
