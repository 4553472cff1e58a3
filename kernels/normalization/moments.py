"""Mean and variance of many elements: each is read from memory once.

Elements go in stretches that stay in the first cache, where they are read twice, and what
stretches give is put together: Chan, Golub and LeVeque, "Algorithms for computing the sample
variance", 1983. Sums within a stretch are in the elements' dtype, in vector lanes; sums of
stretches are in float64.
"""

from typing import Any

import numpy as np
from numba.extending import register_jitable

from ..numba_loop import STRICT
from ..numba_rows import INSIDE

STRETCH = 4096  # elements


@register_jitable(**STRICT)
def joined(
    count: Any, mean: Any, square: Any, more: Any, their_mean: Any, their_square: Any
) -> Any:
    """Count, mean and sum of squared deviations of two sets together."""
    whole = count + more
    if whole == 0.0:
        return 0.0, 0.0, 0.0
    apart, part = their_mean - mean, more / whole
    return whole, mean + apart * part, square + their_square + apart * apart * count * part


@register_jitable(**INSIDE)
def _of_stretch(v: Any) -> Any:
    """The same of no more elements than stay in the first cache."""
    zero = v.dtype.type(0)
    share = 1.0 / v.size
    total = zero
    for j in range(v.size):
        total += v[j]
    centre = total * v.dtype.type(share)
    # The mean is rounded: what it is off by is the mean of the deviations from it.
    drift, spread = zero, zero
    for j in range(v.size):
        apart = v[j] - centre
        drift += apart
        spread += apart * apart
    off = np.float64(drift)
    return np.float64(centre) + off * share, np.float64(spread) - off * off * share


@register_jitable(**INSIDE)
def moments(u: Any) -> Any:
    """Mean and sum of squared deviations of the vector u, in float64."""
    first = u[:STRETCH]
    mean, square = _of_stretch(first)
    count = np.float64(first.size)
    for low in range(STRETCH, u.size, STRETCH):
        v = u[low : low + STRETCH]
        more, more_square = _of_stretch(v)
        count, mean, square = joined(count, mean, square, np.float64(v.size), more, more_square)
    return mean, square
