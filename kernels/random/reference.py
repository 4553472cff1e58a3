"""Random arrays from Philox (see philox.py).

`state` is a uint32 array (3,) that lives with the backend: the low and high word of the seed, and
the step. `stream` tells apart the draws of one step. Element i takes word i % 4 of block i // 4.
"""

from typing import Any

from ..spec import Array
from .philox import random_words


def words(xp: Any, count: int, state: Array, stream: int) -> Array:
    """`count` uint32 words for (state, stream)."""
    low, high, step = (int(v) for v in state)
    return random_words(xp, count, low | high << 32, stream, step)


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
