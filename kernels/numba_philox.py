"""Philox 4x32-10 in Numba loops, equal bit for bit to random/philox.py, which explains it."""

from typing import Any

import numpy as np
from numba.extending import register_jitable

from .random.philox import MASK, MULTIPLIER_0, MULTIPLIER_1, ROUNDS, WEYL_0, WEYL_1

u4, u8 = np.uint32, np.uint64
M0, M1, W0, W1 = u8(MULTIPLIER_0), u8(MULTIPLIER_1), u8(WEYL_0), u8(WEYL_1)
LOW, HIGH = u8(MASK), u8(32)

BLOCK = 4  # words
# Blocks whose words a loop draws into a buffer, 4 KB, before it uses them: the drawing and the use
# are two loops, of each of which LLVM makes vector code.
STRETCH = 256


@register_jitable
def philox_words(words: Any, first: Any, stream: Any, state: Any) -> None:
    """Fill `words`, whole blocks of uint32, with those of the blocks from `first` on.

    All are held in 64 bits, where vector units multiply them.
    """
    seed_low, seed_high, step = u8(state[0]), u8(state[1]), u8(state[2])
    stream = u8(stream) + u8(state[3]) & LOW
    for i in range(words.size // BLOCK):
        block = u8(first + i)
        c0, c1, c2, c3 = block & LOW, block >> HIGH, stream, step
        k0, k1 = seed_low, seed_high
        for _ in range(ROUNDS):
            p0, p1 = c0 * M0, c2 * M1
            c0, c1 = p1 >> HIGH ^ c1 ^ k0, p1 & LOW
            c2, c3 = p0 >> HIGH ^ c3 ^ k1, p0 & LOW
            k0, k1 = k0 + W0 & LOW, k1 + W1 & LOW
        j = BLOCK * i
        words[j], words[j + 1], words[j + 2], words[j + 3] = u4(c0), u4(c1), u4(c2), u4(c3)
