"""Images laid out so that what one element of a window meets of them is contiguous.

A plane is an image of some channels, padded with zeros, of which rows and columns that lie a stride
apart come together:

    plane[c, a, b, i, j] = padded[c, i stride + a, j stride' + b]

Then element (r, s) of a window, at distance (r dilation, s dilation') from its first, meets for all
positions (i, j) of the window rows of one (a, b), adjacent elements in each, whatever the stride.
An image without padding and with strides of 1 is its own plane.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from numba.extending import register_jitable

from .numba_cache import cached_njit, of_these_sources
from .numba_tile import VECTOR, join, move, size_of, split

LINE = 64  # bytes of a cache line

_move = move(added=False)
_add = move(added=True)


class Plane(NamedTuple):
    """The sizes of an image and of its plane.

    height, width       of the image
    top, left           its padding before the first row and column
    down, across        the strides
    rows, columns       of each of the down by across parts of a channel in the plane
    itself              whether the image is its own plane
    """

    height: Any
    width: Any
    top: Any
    left: Any
    down: Any
    across: Any
    rows: Any
    columns: Any
    itself: Any


def plane_of(
    size: tuple[int, int],
    padding: tuple[int, int],
    stride: tuple[int, int],
    reach: tuple[int, int],
) -> Plane:
    """The plane of an image of `size`, as far as windows see it: `reach` padded rows and columns.

    >>> plane_of((28, 28), (0, 0), (1, 1), (28, 28)).itself
    1
    >>> plane_of((7, 7), (1, 1), (2, 2), (9, 9))[-3:]
    (5, 5, 0)
    """
    rows, columns = (
        -(-max(far, before + n) // step)
        for far, before, n, step in zip(reach, padding, size, stride, strict=True)
    )
    itself = stride == (1, 1) and padding == (0, 0) and (rows, columns) == size
    return Plane(*size, *padding, *stride, rows, columns, int(itself))


def apart(numbers: int, itemsize: int) -> int:
    """A row of at least so many numbers that is an odd number of cache lines.

    An even one could be a power of two, whose multiples share a few sets of the cache.

    >>> apart(98, 4), apart(1024, 4)
    (112, 1040)
    """
    return (-(-numbers * itemsize // LINE) | 1) * LINE // itemsize


@register_jitable
def numbers_of(p: Any) -> Any:
    """How many numbers a channel's plane has."""
    return p.down * p.across * p.rows * p.columns


@register_jitable
def move_rows(
    added: bool, zero: Any, to: Any, to_row: Any, x: Any, x_row: Any, rows: Any, width: Any
) -> None:
    """Rows of x to others, or added to them; from addresses and steps in bytes."""
    item = size_of(zero)
    most = 2 * VECTOR // item
    if to_row == width * item and x_row == to_row:
        rows, width = 1, rows * width
    if rows == 1 and width > most:  # as rows of two vectors, and what is left
        rows, step = width // most, 2 * VECTOR
        _move_short(added, zero, to, step, x, step, rows, most)
        done = rows * step
        to, x, rows, width = to + done, x + done, 1, width - rows * most
    if width == 0:
        return
    pieces = (width + most - 1) // most
    for piece in range(pieces):
        low, high = width * piece // pieces, width * (piece + 1) // pieces
        at = low * item
        _move_short(added, zero, to + at, to_row, x + at, x_row, rows, high - low)


@register_jitable
def _move_short(
    added: bool, zero: Any, to: Any, to_row: Any, x: Any, x_row: Any, rows: Any, width: Any
) -> None:
    if added:
        _add(zero, (to, to_row, x, x_row, rows, width))
    else:
        _move(zero, (to, to_row, x, x_row, rows, width))


@register_jitable
def _halves(to: Any, part: Any, p: Any) -> Any:
    """Where the even and the odd columns of an image's row go, of two parts that begin at `to`."""
    even, odd = p.left % 2, (p.left + 1) % 2
    return to + even * part + p.left // 2, to + odd * part + (p.left + 1) // 2


@cached_njit
@of_these_sources
def lay_out(plane: Any, x: Any, first: Any, channels: Any, p: Any) -> None:
    """The planes of `channels` channels of x from number `first` on, both in one dimension.

    The plane's padding is zero already, and stays so.
    """
    zero = plane.dtype.type(0)
    item = size_of(zero)
    size = p.height * p.width
    part = p.rows * p.columns
    for c in range(channels):
        of = first + c * size
        for a in range(p.down):
            y = (a - p.top) % p.down  # the first row of x that goes to part a
            if y >= p.height:
                continue
            row = (y + p.top) // p.down
            rows = (p.height - 1 - y) // p.down + 1
            to = (c * p.down + a) * p.across * part + row * p.columns
            if p.across == 1:
                move_rows(
                    False,
                    zero,
                    plane.ctypes.data + (to + p.left) * item,
                    p.columns * item,
                    x.ctypes.data + (of + y * p.width) * item,
                    p.down * p.width * item,
                    rows,
                    p.width,
                )
                continue
            pairs = 0
            if p.across == 2:
                pairs = p.width // 2
                even, odd = _halves(to, part, p)
                split(
                    zero,
                    (plane.ctypes.data + even * item, plane.ctypes.data + odd * item,
                     p.columns * item, x.ctypes.data + (of + y * p.width) * item,
                     p.down * p.width * item, rows, pairs),
                )  # fmt: skip
            for i in range(rows):
                source = of + (y + i * p.down) * p.width
                for b in range(p.across):
                    begin = (b - p.left) % p.across
                    target = to + b * part + i * p.columns + (begin + p.left) // p.across
                    count = (p.width - begin + p.across - 1) // p.across
                    for j in range(pairs, count):
                        plane[target + j] = x[source + begin + j * p.across]


@cached_njit
@of_these_sources
def take_back(x: Any, plane: Any, first: Any, channels: Any, p: Any) -> None:
    """The inverse: `channels` channels of x from number `first` on, out of their planes."""
    zero = plane.dtype.type(0)
    item = size_of(zero)
    size = p.height * p.width
    part = p.rows * p.columns
    for c in range(channels):
        of = first + c * size
        for a in range(p.down):
            y = (a - p.top) % p.down
            if y >= p.height:
                continue
            row = (y + p.top) // p.down
            rows = (p.height - 1 - y) // p.down + 1
            to = (c * p.down + a) * p.across * part + row * p.columns
            if p.across == 1:
                move_rows(
                    False,
                    zero,
                    x.ctypes.data + (of + y * p.width) * item,
                    p.down * p.width * item,
                    plane.ctypes.data + (to + p.left) * item,
                    p.columns * item,
                    rows,
                    p.width,
                )
                continue
            pairs = 0
            if p.across == 2:
                pairs = p.width // 2
                even, odd = _halves(to, part, p)
                join(
                    zero,
                    (x.ctypes.data + (of + y * p.width) * item, p.down * p.width * item,
                     plane.ctypes.data + even * item, plane.ctypes.data + odd * item,
                     p.columns * item, rows, pairs),
                )  # fmt: skip
            for i in range(rows):
                source = of + (y + i * p.down) * p.width
                for b in range(p.across):
                    begin = (b - p.left) % p.across
                    target = to + b * part + i * p.columns + (begin + p.left) // p.across
                    count = (p.width - begin + p.across - 1) // p.across
                    for j in range(pairs, count):
                        x[source + begin + j * p.across] = plane[target + j]
