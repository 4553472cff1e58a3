"""Matrix products inside Numba loops: our own, and the choice between it and NumPy's OpenBLAS.

Our own runs on one thread, for the block of c that is that thread's (see numba_tile for the vector
code). It keeps what it reads again close by, in scratch on the stack, so that no page is touched
for the first time in a step:

    panel   DEPTH rows of b, VECTORS vectors wide, in the first-level cache: copied where more
            rows of a meet them than DIRECT, or where b ends inside a vector; transposed if b is
    block   rows of a, DEPTH numbers each, in the second-level cache: copied where several panels
            meet them, since rows that lie a power of two apart fight for the same few lines

Few rows of a transposed b are dots: both lie along the sum, and transposing would cost more. A
product of one column is one of one row, transposed.

The choice. Measured by bench/products.py on an AMD Zen 4 (512-bit vectors), the tile is level with
OpenBLAS where all is large and up to 1.7 times as fast where something is small: less is copied.
Only where c is narrower than a vector, most lanes of a tile are idle, and OpenBLAS, which lays
vectors down the columns there, is up to twice as fast. So that is the rule: see `is_narrow`.
"""

from __future__ import annotations

from typing import Any

from numba.extending import register_jitable

from . import numba_blas
from .numba_blas import TRANSPOSED
from .numba_cache import cached_njit, of_these_sources
from .numba_tile import (
    DOTS,
    STRIP,
    VECTOR,
    VECTORS,
    copy,
    dots,
    panel,
    scratch,
    size_of,
    strip,
    transpose,
)

DEPTH = 256  # numbers of a sum before the next panel
STRIP_DEPTH = 32  # the same for a single row: as many rows of b are read side by side
DIRECT = 32  # rows of a that meet b where it lies
FEW = 4  # rows that are dots if b is transposed
WIDTH = VECTORS * VECTOR  # bytes of a panel's row
BLOCK = 1024  # bytes of a block's rows, and 256 float32 or 128 float64 of them
PAD = 64  # bytes between a block's rows, so that they begin in different cache lines

_panel_memory = scratch(DEPTH * WIDTH)
_block_memory = scratch(256 * (BLOCK + PAD))
_copy_inside = copy(VECTORS, masked=False)
_copy_edge = copy(VECTORS, masked=True)


@register_jitable
def copy_block(zero: Any, to: Any, pitch: Any, x: Any, x_row: Any, rows: Any, length: Any) -> None:
    """Rows of `length` bytes, `pitch` apart, which is whole panels at least."""
    whole = length // WIDTH * WIDTH
    for j in range(0, whole, WIDTH):
        _copy_inside(zero, (to + j, pitch, x + j, x_row, rows, 0))
    if whole < length:
        width = (length - whole) // size_of(zero)
        _copy_edge(zero, (to + whole, pitch, x + whole, x_row, rows, width))


@register_jitable
def transpose_panel(zero: Any, to: Any, b: Any, b_column: Any, depth: Any, width: Any) -> None:
    """A panel of `width` columns, `b_column` bytes apart, whose `depth` numbers are adjacent."""
    item = size_of(zero)
    lanes = VECTOR // item
    for j in range(0, width, lanes):
        for k in range(0, depth, lanes):
            x = b + j * b_column + k * item
            transpose(zero, (to + k * WIDTH + j * item, WIDTH, x, b_column, width - j, depth - k))


@register_jitable
def pitch_of(length: Any) -> Any:
    """Bytes between a block's rows of `length` bytes."""
    return (length + WIDTH - 1) // WIDTH * WIDTH + PAD


@cached_njit
@of_these_sources
def product_at(
    zero: Any,
    m: int,
    n: int,
    k: int,
    c: int,
    c_row: int,
    a: int,
    a_row: int,
    a_step: int,
    b: int,
    b_step: int,
    b_column: int,
    along: bool,
    add: bool,
) -> None:
    """c = a b, or c += a b, from addresses and steps in bytes, for the dtype of `zero`.

    Steps of c and a to the next row, of a and b along the sum, of b to the next column; `along`
    tells that numbers of b are adjacent along the sum, not along its rows.
    """
    item = size_of(zero)
    lanes = VECTOR // item

    if along and m <= FEW and a_step == item and not add:
        count = min(DOTS, lanes)
        for j in range(0, n, count):
            b_now, width = b + j * b_column, min(count, n - j)
            for i in range(m):
                dots(zero, (c + i * c_row + j * item, a + i * a_row, b_now, b_column, k, width))
        return

    panel_at, block_at = _panel_memory(), _block_memory()
    strips = n // (STRIP * lanes) * (STRIP * lanes) if m == 1 and not along else 0
    most_depth = STRIP_DEPTH if strips else DEPTH
    most_height = BLOCK // item
    first = 0
    while first == 0 or first < k:
        depth, fresh = min(most_depth, k - first), first == 0 and not add
        for upper in range(0, m, most_height):
            height = min(most_height, m - upper)
            c_now = c + upper * c_row
            a_now, row, step = a + upper * a_row + first * a_step, a_row, a_step
            if n > 4 * VECTORS * lanes and m > 1:
                if a_step == item:
                    row = pitch_of(depth * item)
                    copy_block(zero, block_at, row, a_now, a_row, height, depth * item)
                else:
                    step = pitch_of(height * item)
                    copy_block(zero, block_at, step, a_now, a_step, depth, height * item)
                a_now = block_at
            b_first = b + first * b_step
            for j in range(0, strips, STRIP * lanes):
                strip(
                    zero, (c_now + j * item, a_now, step, b_first + j * item, b_step, depth, fresh)
                )
            for j in range(strips, n, VECTORS * lanes):
                width = min(VECTORS * lanes, n - j)
                b_now, b_row = b_first + j * b_column, b_step
                if along:
                    transpose_panel(zero, panel_at, b_now, b_column, depth, width)
                    b_now, b_row = panel_at, WIDTH
                elif width < VECTORS * lanes:
                    _copy_edge(zero, (panel_at, WIDTH, b_now, b_step, depth, width))
                    b_now, b_row = panel_at, WIDTH
                elif height > DIRECT:
                    _copy_inside(zero, (panel_at, WIDTH, b_now, b_step, depth, width))
                    b_now, b_row = panel_at, WIDTH
                c_here = c_now + j * item
                panel(
                    zero,
                    (c_here, c_row, height, a_now, row, step, b_now, b_row, depth, width, fresh),
                )
        first += depth if depth else 1


@cached_njit
@of_these_sources
def product(
    c: Any,
    a: Any,
    b: Any,
    trans_a: int,
    trans_b: int,
    top: int,
    bottom: int,
    left: int,
    right: int,
) -> None:
    """Rows top:bottom and columns left:right of c = op(a) op(b), op the transpose where TRANSPOSED.

    A row's elements are adjacent; rows may lie apart. An element of c is one chain of fused
    multiply-adds over k in ascending order, whatever block it is computed in, unless the block is
    made of dots (b transposed and at most FEW rows, or one column and a not transposed): those add
    lanes, whose number depends on the CPU alone. (The work is compiled on its own, once for a
    dtype, and linked into the loops that call it.)
    """
    m, n = bottom - top, right - left
    k = a.shape[0] if trans_a == TRANSPOSED else a.shape[1]
    if m <= 0 or n <= 0:
        return
    item = c.itemsize
    c_row = c.strides[0]
    a_row, a_step = a.strides[0], item
    if trans_a == TRANSPOSED:
        a_row, a_step = a_step, a_row
    b_step, b_column = b.strides[0], item
    along = trans_b == TRANSPOSED
    if along:
        b_step, b_column = b_column, b_step
    c_at = c.ctypes.data + top * c_row + left * item
    a_at = a.ctypes.data + top * a_row
    b_at = b.ctypes.data + left * b_column
    if n == 1 and c_row == item:
        m, n = n, m
        a_at, b_at = b_at, a_at
        a_row, a_step, b_step, b_column = b_column, b_step, a_step, a_row
        along = trans_a != TRANSPOSED
    zero = c.dtype.type(0)
    product_at(
        zero, m, n, k, c_at, c_row, a_at, a_row, a_step, b_at, b_step, b_column, along, False
    )


@register_jitable
def is_narrow(columns: int, itemsize: int) -> bool:
    """Whether OpenBLAS computes a block of c of so many columns: fewer than lanes of a vector.

    One column is a vector's product, which has a way of its own.
    """
    return columns > 1 and columns * itemsize < VECTOR


def _gemm(
    c: Any,
    a: Any,
    b: Any,
    trans_a: int,
    trans_b: int,
    top: int,
    bottom: int,
    left: int,
    right: int,
) -> None:
    """What `product` says, by the faster of the two."""
    if is_narrow(right - left, c.itemsize):
        numba_blas.gemm(c, a, b, trans_a, trans_b, top, bottom, left, right)
    else:
        product(c, a, b, trans_a, trans_b, top, bottom, left, right)


gemm: Any = cached_njit(of_these_sources(_gemm)) if numba_blas.AVAILABLE else product
