"""Dropout: out = x * keep / (1 - p), keep_i = 1 with probability 1 - p.

Element i is kept when its random word (see random/philox.py) is at least p 2^32, so the mask is the
same on every backend and is never stored: the forward pass leaves its `key`, a copy of the random
state (4,), and the backward pass draws the mask again from it.

With a `span` above 1 so many neighbours share one word, that of number i // span: whole channels of
images (Tompson et al., CVPR 2015), whole samples (stochastic depth, Huang et al., ECCV 2016).

Source: Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting",
JMLR 15, 2014; scaled while training, section 10.
"""

from typing import Any

from ..random.reference import words
from ..spec import Array


def threshold(p: float) -> int:
    """The smallest random word that keeps its element."""
    return min(round(p * 2.0**32), 2**32 - 1)


def dropout_forward(
    xp: Any, out: Array, key: Array, x: Array, state: Array, *, p: float, span: int, stream: int
) -> None:
    """x, out: any one shape; state, key: (4,) uint32; 0 <= p < 1; span divides the size."""
    key[...] = state
    _mask(xp, out, x, state, p, span, stream)


def dropout_backward(
    xp: Any, dx: Array, dout: Array, key: Array, *, p: float, span: int, stream: int
) -> None:
    """dx = dout * keep / (1 - p)."""
    _mask(xp, dx, dout, key, p, span, stream)


def _mask(xp: Any, out: Array, x: Array, key: Array, p: float, span: int, stream: int) -> None:
    keep = words(xp, x.size // span, key, stream) >= threshold(p)
    keep = xp.repeat(keep, span).reshape(x.shape)
    out[...] = xp.where(keep, x * (1.0 / (1.0 - p)), 0)
