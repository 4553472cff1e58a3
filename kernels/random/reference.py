"""Random arrays from Philox (see philox.py).

`state` is a uint32 array (4,) that lives with the backend: the low and high word of the seed, the
step, and how many streams the step has drawn from before. `stream` tells apart the draws after
these. Element i takes word i % 4 of block i // 4.
"""

from typing import Any

from ..spec import Array
from .philox import random_words

STATE_WORDS = 4


def words(xp: Any, count: int, state: Array, stream: int) -> Array:
    """`count` uint32 words for (state, stream)."""
    low, high, step, drawn = (int(v) for v in state)
    return random_words(xp, count, low | high << 32, drawn + stream, step)


def next_step(xp: Any, state: Array) -> None:
    """The step's number goes up by one, and no stream of the new step has been drawn from."""
    state[2] += 1
    state[3] = 0


def skip_streams(xp: Any, state: Array, *, count: int) -> None:
    """`count` more streams have been drawn from."""
    state[3] += xp.uint32(count)


def random_bits(xp: Any, out: Array, state: Array, *, shape: tuple[int, ...], stream: int) -> None:
    """out: uint32 of `shape`, every bit random."""
    out[...] = words(xp, out.size, state, stream).reshape(out.shape)


def random_uniform(
    xp: Any,
    out: Array,
    state: Array,
    *,
    shape: tuple[int, ...],
    dtype: str,
    stream: int,
    low: float,
    high: float,
) -> None:
    """out = low + (high - low) u, with u = (word >> 8) / 2^24 in [0, 1)."""
    u = (words(xp, out.size, state, stream) >> 8).astype(out.dtype) * 2.0**-24
    out[...] = (low + (high - low) * u).reshape(out.shape)
