"""Philox 4x32-10 in Numba loops, equal bit for bit to random/philox.py, which explains it."""

from typing import Any

import numpy as np
from numba.extending import register_jitable

from .random.philox import MULTIPLIER_0, MULTIPLIER_1, ROUNDS, WEYL_0, WEYL_1

u4, u8 = np.uint32, np.uint64
M0, M1, W0, W1 = u8(MULTIPLIER_0), u8(MULTIPLIER_1), u4(WEYL_0), u4(WEYL_1)
HIGH = u8(32)


@register_jitable
def philox_block(block: Any, stream: Any, step: Any, key_0: Any, key_1: Any) -> Any:
    """The four uint32 words of a block."""
    c0, c1, c2, c3 = u4(block), u4(u8(block) >> HIGH), u4(stream), u4(step)
    k0, k1 = u4(key_0), u4(key_1)
    for _ in range(ROUNDS):
        p0, p1 = u8(c0) * M0, u8(c2) * M1
        # Casts, because Numba takes two uint32 to a uint64.
        c0, c1, c2, c3 = u4(p1 >> HIGH ^ c1 ^ k0), u4(p1), u4(p0 >> HIGH ^ c3 ^ k1), u4(p0)
        k0, k1 = u4(k0 + W0), u4(k1 + W1)
    return c0, c1, c2, c3
