"""A host-side generator over Philox: initial weights, shuffles and splits.

The numbers are drawn on the host by the same code for every backend, so the same seed gives
weights that are equal bit for bit wherever the model is going to live.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from ..errors import OptionError
from ..kernels.random.philox import random_words

Shape = tuple[int, ...]
# Elements that are worked on at once: large arrays take no multiple of their memory, and the
# intermediate ones stay in cache. Even, so that pieces begin with a block of Philox.
PIECE = 1 << 16


def _pieces(n: int) -> Iterator[slice]:
    return (slice(i, min(i + PIECE, n)) for i in range(0, n, PIECE))


class Generator:
    """Random arrays on the host, from a seed; each draw takes the next stream.

    >>> g = Generator(0)
    >>> g.permutation(5).tolist() == Generator(0).permutation(5).tolist()
    True
    >>> float(abs(Generator(1).normal((1000,)).mean())) < 0.1
    True
    """

    def __init__(self, seed: int, step: int = 0) -> None:
        if not 0 <= seed < 2**64:
            raise OptionError(f"seed must be an integer in [0, 2**64), found {seed}")
        self.seed = int(seed)
        self.step = int(step)
        self.stream = 0

    def words(self, count: int) -> np.ndarray:
        """`count` uniform uint32 words."""
        out: np.ndarray = random_words(np, count, self.seed, self.stream, self.step)
        self.stream += 1
        return out

    def uniform(self, shape: Shape, low: float = 0.0, high: float = 1.0) -> np.ndarray:
        """float64 uniform on [low, high), with 53 random bits an element."""
        n = math.prod(shape)
        out = np.empty(n)
        for part in _pieces(n):
            # Two words an element, four a block.
            count, block = 2 * (part.stop - part.start), part.start // 2
            words = random_words(np, count, self.seed, self.stream, self.step, block)
            words = words.astype(np.uint64).reshape(-1, 2)
            unit = (
                (words[:, 0] >> np.uint64(5)) * 67108864.0 + (words[:, 1] >> np.uint64(6))
            ) / 2.0**53
            out[part] = low + (high - low) * unit
        self.stream += 1
        return out.reshape(shape)

    def normal(self, shape: Shape, mean: float = 0.0, std: float = 1.0) -> np.ndarray:
        """float64 normal by the Box-Muller transform (Box & Muller, 1958)."""
        n = math.prod(shape)
        draws = self.uniform((2, (n + 1) // 2))
        for part in _pieces(draws.shape[1]):
            radius = np.sqrt(-2.0 * np.log1p(-draws[0, part]))
            angle = 2.0 * np.pi * draws[1, part]
            draws[0, part] = mean + std * (radius * np.cos(angle))
            draws[1, part] = mean + std * (radius * np.sin(angle))
        return draws.reshape(-1)[:n].reshape(shape)

    def permutation(self, n: int) -> np.ndarray:
        """A random order of 0 .. n-1 (int64)."""
        return np.argsort(self.words(n), kind="stable")
