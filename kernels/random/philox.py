"""Philox 4x32-10, the counter-based generator behind every random number in tercet.

    (y0, y1, y2, y3) = Philox(counter = (c0, c1, c2, c3), key = (k0, k1))

Ten rounds of two 32x32 -> 64 bit products and a key schedule turn a 128-bit counter and a 64-bit
key into 128 random bits. There is no state to carry: the same counter and key give the same bits
on every backend, in any order, on any number of threads.

tercet's use of the words: the key is the 64-bit seed; the counter is (block index, low and high
word; stream; step). Element i of an array takes word i % 4 of block i // 4.

Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC'11, section 4.
"""

from typing import Any

import numpy as np

MULTIPLIER_0, MULTIPLIER_1 = 0xD2511F53, 0xCD9E8D57
WEYL_0, WEYL_1 = 0x9E3779B9, 0xBB67AE85
ROUNDS = 10
MASK = 0xFFFFFFFF


def philox(c0: Any, c1: Any, c2: Any, c3: Any, k0: int, k1: int) -> tuple[Any, Any, Any, Any]:
    """Random words for counters given as four uint64 arrays (of values below 2**32) and a key."""
    low = np.uint64(MASK)
    shift = np.uint64(32)
    for r in range(ROUNDS):
        key0 = np.uint64((k0 + r * WEYL_0) & MASK)
        key1 = np.uint64((k1 + r * WEYL_1) & MASK)
        p0 = c0 * np.uint64(MULTIPLIER_0)
        p1 = c2 * np.uint64(MULTIPLIER_1)
        c0, c1, c2, c3 = (p1 >> shift) ^ c1 ^ key0, p1 & low, (p0 >> shift) ^ c3 ^ key1, p0 & low
    return c0, c1, c2, c3


def random_words(
    xp: Any, count: int, seed: int, stream: int, step: int, first_block: int = 0
) -> Any:
    """`count` random uint32 words of (seed, stream, step), from a block on, as an array of `xp`."""
    block = xp.arange(first_block, first_block + (count + 3) // 4, dtype=np.uint64)
    words = philox(
        block & np.uint64(MASK),
        block >> np.uint64(32),
        xp.full_like(block, stream & MASK),
        xp.full_like(block, step & MASK),
        seed & MASK,
        (seed >> 32) & MASK,
    )
    return xp.stack(words, axis=1).reshape(-1)[:count].astype(np.uint32)
