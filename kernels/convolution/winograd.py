"""Convolutions of 3 x 3 in 16 products a tile of 2 x 2 outputs, where the sum itself has 36.

A tile of outputs Y is made of 4 x 4 inputs d and of the weights g by

    Y = A^T [(G g G^T) * (B^T d B)] A

           1  0 -1  0           1   0   0
    B^T =  0  1  1  0     G =  1/2 1/2 1/2     A^T =  1  1  1  0
           0 -1  1  0          1/2-1/2 1/2            0  1 -1 -1
           0  1  0 -1           0   0   1

All of it is linear, so the sum over channels comes before A, and each of the 16 elements of the
transformed tiles is a matrix product of its own:

    forward     M_e (k, tiles) = U_e (k, c) V_e (c, tiles),  U = G g G^T,  V = B^T d B
    by input    the same of dz, with the weights turned by half and their channels exchanged
    by weight   dU_e (k, c) += D_e (k, tiles) V_e^T,  D = A dz A^T;  dg = G^T dU G

A block is some tiles whose V and M stay in the second-level cache: M for some output channels at a
time. The transformations are vector code of their own, in numba_winograd. They subtract, so an
infinite input makes NaN of its tile's outputs.

Source: Lavin and Gray, "Fast algorithms for convolutional neural networks", 2016, section 4.1.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numba.extending import register_jitable

from ..activation.loops import KIND_NUMBER, activate
from ..dense.loops import SERIAL_PRODUCT
from ..numba_cache import cached_njit, of_these_sources
from ..numba_gemm import product_at
from ..numba_loop import FAST, loop, loops, parts_for, share
from ..numba_planes import apart, move_rows
from ..numba_tile import VECTOR, join, split
from ..numba_winograd import across, down, gather, spread
from ..observing import workspace
from ..spec import Array
from .reference import Pair

# Bytes of a block's V and M.
BLOCK_BYTES = 768 << 10
# Tiles that a block has at least, however many channels, since it reads all of U.
LEAST_TILES = 64
# What the transformations have to be worth: channels both ways, and the share of all tiles' pixels
# that are there.
LEAST_CHANNELS = 8
LEAST_SHARE = 0.75
# Output channels whose M is there at a time.
CHANNELS = 32
# Rows of weights that are transposed at a time.
SIDE = 16
INSIDE: Any = {"fastmath": FAST, "error_model": "numpy", "forceinline": True}


class Tiling(NamedTuple):
    """A convolution in tiles.

    top, left      padding before the first row and column
    rows, columns  of tiles in an image
    pitch          numbers from one row of a block's matrices to the next
    tiles          of a block, where an image has more: whole rows of them
    images         of a block, where one has fewer
    """

    batch: Any
    inputs: Any
    outputs: Any
    height: Any
    width: Any
    out_rows: Any
    out_columns: Any
    top: Any
    left: Any
    rows: Any
    columns: Any
    pitch: Any
    tiles: Any
    images: Any


@lru_cache(maxsize=1024)
def _describe(
    x: tuple[int, ...], z: tuple[int, ...], before: Pair, itemsize: int, threads: int
) -> tuple[Tiling, np.ndarray]:
    """The tiles that make z (n, k, i, j) of x (n, c, h, w) padded by `before`; also as an array."""
    rows, columns = -(-z[2] // 2), -(-z[3] // 2)
    most = BLOCK_BYTES // (itemsize * 16 * (x[1] + min(z[1], CHANNELS)))
    most = max(most, LEAST_TILES)
    images, tiles = 1, rows * columns
    if tiles <= most:
        images = min(most // tiles, -(-z[0] // threads))
    else:
        tiles = max(most // columns, 1) * columns
    # With room for a vector behind each row.
    pitch = apart(tiles * images + VECTOR // itemsize, itemsize)
    sizes = (*x[:2], z[1], *x[2:], *z[2:], *before, rows, columns, pitch, tiles, images)
    tiling = Tiling._make(sizes)
    return tiling, np.array(tiling, np.int64)


@register_jitable
def _tiling(n: Any) -> Any:
    return Tiling(
        n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7], n[8], n[9], n[10], n[11], n[12], n[13]
    )


def _blocks(g: Tiling) -> int:
    return -(-g.batch // g.images) * -(-(g.rows * g.columns) // g.tiles)


@register_jitable
def _block_of(number: Any, g: Any) -> Any:
    """The images (first, last) and the rows of tiles (low, high) of block number `number`."""
    each = g.tiles // g.columns
    blocks = (g.rows + each - 1) // each
    first, low = number // blocks * g.images, number % blocks * each
    return first, min(first + g.images, g.batch), low, min(low + each, g.rows)


# The numbers of what `_tiles_of_inputs` needs for a channel: rows of the image, padded; and what
# becomes of its even and odd rows for a column of tiles. Both with room for vectors behind.


@register_jitable
def _band_numbers(g: Any, lanes: Any) -> Any:
    return (2 * (g.tiles // g.columns) + 2) * (2 * g.columns + 2) + 4 * lanes


@register_jitable
def _half_numbers(g: Any, lanes: Any) -> Any:
    return g.tiles + g.columns + lanes


@cached_njit
@of_these_sources
def _tiles_of_inputs(
    v: Any, band: Any, halves: Any, x: Any, first: Any, last: Any, low: Any, high: Any, g: Any
) -> None:
    """V (16, c, pitch) of rows of tiles low to high of some images; band is zero at its sides."""
    zero, item = v.dtype.type(0), v.itemsize
    count, line = (high - low) * g.columns, 2 * g.columns + 2
    matrix, half = g.inputs * g.pitch, _half_numbers(g, VECTOR // item)
    # Rows of the image that are there, of those from `begin` on.
    begin, rows = 2 * low - g.top, 2 * (high - low) + 2
    above = min(max(-begin, 0), rows)
    below = max(min(g.height - begin, rows), above)
    band[: above * line] = zero
    band[below * line : rows * line] = zero
    for c in range(g.inputs):
        for i in range(last - first):
            source = ((first + i) * g.inputs + c) * g.height + begin + above
            move_rows(
                False, zero, band.ctypes.data + (above * line + g.left) * item, line * item,
                x.ctypes.data + source * g.width * item, g.width * item, below - above, g.width,
            )  # fmt: skip
            for odd in range(2):
                across(
                    zero,
                    (halves.ctypes.data + odd * half * item, g.columns * item, 2 * half * item,
                     band.ctypes.data + odd * line * item, 2 * line * item, rows // 2, g.columns),
                )  # fmt: skip
            for s in range(4):
                to = v.ctypes.data + (s * matrix + c * g.pitch + i * count) * item
                even = halves.ctypes.data + 2 * s * half * item
                down(
                    zero, (to, 4 * matrix * item, even, even + half * item, g.columns * item, count)
                )


@loop
def _transform_weights(t: int, parts: int, u: Array, weight: Array, turned: bool) -> None:
    """U (16, k c) = G weight G^T; if `turned`, of weights turned by half, k and c exchanged."""
    rows, columns = (weight.shape[1], weight.shape[0]) if turned else weight.shape[:2]
    half = u.dtype.type(0.5)
    low, high = share(rows, parts, t)
    for first in range(low, high, SIDE):
        last = min(first + SIDE, high)
        for c in range(columns):
            for k in range(first, last):
                for r in range(3):
                    for s in range(3):
                        g = weight[c, k, 2 - r, 2 - s] if turned else weight[k, c, r, s]
                        u[4 * r + s, k * columns + c] = g
        for k in range(first, last):
            for s in range(3):
                _from_taps(u[s : s + 13 : 4], k * columns, (k + 1) * columns, half)
            for e in range(0, 16, 4):
                _from_taps(u[e : e + 4], k * columns, (k + 1) * columns, half)


@register_jitable(**INSIDE)
def _from_taps(v: Any, begin: Any, end: Any, half: Any) -> None:
    """G over the first three of four rows, from number `begin` to `end` of each."""
    v0, v1, v2, v3 = v[0, begin:end], v[1, begin:end], v[2, begin:end], v[3, begin:end]
    for j in range(v0.size):
        a, b, c = v0[j], v1[j], v2[j]
        v1[j], v2[j], v3[j] = half * (a + b + c), half * (a - b + c), c


@loops
def _forward(kind: int) -> Callable[..., None]:
    def winograd_forward(
        t: int,
        parts: int,
        out: Array,
        x: Array,
        u: Array,
        bias: Array,
        bands: Array,
        halves: Array,
        inputs: Array,
        outputs: Array,
        sizes: Array,
        items: int,
    ) -> None:
        g = _tiling(sizes)
        zero, item = x.dtype.type(0), x.itemsize
        low_item, high_item = share(items, parts, t)
        band, v, m = bands[t], inputs[t], outputs[t]
        band[:] = zero
        matrix = min(g.outputs, CHANNELS) * g.pitch
        for number in range(low_item, high_item):
            first, last, low, high = _block_of(number, g)
            count = (high - low) * g.columns
            width = (last - first) * count
            _tiles_of_inputs(v, band, halves[t], x, first, last, low, high, g)
            for lowest in range(0, g.outputs, CHANNELS):
                channels = min(CHANNELS, g.outputs - lowest)
                for e in range(16):
                    product_at(
                        zero, channels, width, g.inputs,
                        m.ctypes.data + e * matrix * item, g.pitch * item,
                        u.ctypes.data + (e * u.shape[1] + lowest * g.inputs) * item,
                        g.inputs * item, item,
                        v.ctypes.data + e * g.inputs * g.pitch * item, g.pitch * item, item,
                        False, False,
                    )  # fmt: skip
                for k in range(channels):
                    here = m.ctypes.data + k * g.pitch * item
                    gather(zero, (here, matrix * item, here, matrix * item, width))
                    b = zero if bias is None else bias[lowest + k]
                    for part in range(4):
                        z = m[part * matrix + k * g.pitch :][:width]
                        for j in range(z.size):
                            z[j] = activate(kind, z[j] + b, zero)
                    for i in range(last - first):
                        o = out[first + i, lowest + k]
                        for r in range(2):
                            left = here + (2 * r * matrix + i * count) * item
                            right = left + matrix * item
                            rows = (min(2 * high, g.out_rows) - 2 * low + 1 - r) // 2
                            to = o.ctypes.data + (2 * low + r) * g.out_columns * item
                            join(zero, (to, 2 * g.out_columns * item, left, right,
                                        g.columns * item, rows, g.out_columns // 2))  # fmt: skip
                            if g.out_columns % 2:
                                place = 2 * r * matrix + k * g.pitch + i * count + g.columns - 1
                                for row in range(rows):
                                    y = m[place + row * g.columns]
                                    o[2 * (low + row) + r, g.out_columns - 1] = y

    return winograd_forward


@loop
def _by_weight(
    t: int,
    parts: int,
    sums: Array,
    dz: Array,
    x: Array,
    bands: Array,
    halves: Array,
    inputs: Array,
    outputs: Array,
    sizes: Array,
    items: int,
) -> None:
    """sums[t]: dU (16, c k) over this thread's blocks."""
    g = _tiling(sizes)
    zero, item = x.dtype.type(0), x.itemsize
    low_item, high_item = share(items, parts, t)
    band, v, d, du = bands[t], inputs[t], outputs[t], sums[t]
    band[:] = zero
    du[:] = zero
    matrix = min(g.outputs, CHANNELS) * g.pitch
    for number in range(low_item, high_item):
        first, last, low, high = _block_of(number, g)
        count = (high - low) * g.columns
        width = (last - first) * count
        _tiles_of_inputs(v, band, halves[t], x, first, last, low, high, g)
        for lowest in range(0, g.outputs, CHANNELS):
            channels = min(CHANNELS, g.outputs - lowest)
            for k in range(channels):
                here = d.ctypes.data + k * g.pitch * item
                for i in range(last - first):
                    y = dz[first + i, lowest + k]
                    for r in range(2):
                        place = 2 * r * matrix + k * g.pitch + i * count
                        left = here + (2 * r * matrix + i * count) * item
                        right = left + matrix * item
                        rows = (min(2 * high, g.out_rows) - 2 * low + 1 - r) // 2
                        source = y.ctypes.data + (2 * low + r) * g.out_columns * item
                        split(
                            zero,
                            (left, right, g.columns * item, source, 2 * g.out_columns * item, rows,
                             g.out_columns // 2),
                        )  # fmt: skip
                        if g.out_columns % 2:
                            for row in range(rows):
                                at = place + row * g.columns + g.columns - 1
                                d[at] = y[2 * (low + row) + r, g.out_columns - 1]
                                d[at + matrix] = zero
                        for part in range(2):
                            after = place + part * matrix
                            d[after + rows * g.columns : after + count] = zero
                spread(zero, (here, matrix * item, here, matrix * item, width))
            for e in range(16):
                product_at(
                    zero, g.inputs, channels, width,
                    du.ctypes.data + (e * du.shape[1] + lowest) * item, g.outputs * item,
                    v.ctypes.data + e * g.inputs * g.pitch * item, g.pitch * item, item,
                    d.ctypes.data + e * matrix * item, item, g.pitch * item, True, True,
                )  # fmt: skip


@loop
def _add_sums(t: int, parts: int, dweight: Array, sums: Array) -> None:
    """dweight = G^T dU G, dU the sum of `sums` (threads, 16, c k) in their order."""
    outputs, half = dweight.shape[0], sums.dtype.type(0.5)
    low, high = share(dweight.shape[1], parts, t)
    for first in range(low, high, SIDE):
        last = min(first + SIDE, high)
        for c in range(first, last):
            begin, end = c * outputs, (c + 1) * outputs
            for e in range(16):
                to = sums[0, e, begin:end]
                for i in range(1, sums.shape[0]):
                    part = sums[i, e, begin:end]
                    for k in range(to.size):
                        to[k] += part[k]
            for s in range(4):
                _to_taps(sums[0, s : s + 13 : 4], begin, end, half)
            for e in range(0, 12, 4):
                _to_taps(sums[0, e : e + 4], begin, end, half)
        for k in range(outputs):
            for c in range(first, last):
                for r in range(3):
                    for s in range(3):
                        dweight[k, c, r, s] = sums[0, 4 * r + s, c * outputs + k]


@register_jitable(**INSIDE)
def _to_taps(v: Any, begin: Any, end: Any, half: Any) -> None:
    """G^T over four rows, from number `begin` to `end`; the first three have the results."""
    v0, v1, v2, v3 = v[0, begin:end], v[1, begin:end], v[2, begin:end], v[3, begin:end]
    for j in range(v0.size):
        a, b, c, d = v0[j], v1[j], v2[j], v3[j]
        v0[j], v1[j], v2[j] = a + half * (b + c), half * (b - c), half * (b + c) + d


def suits(
    x: tuple[int, ...],
    weight: tuple[int, ...],
    z: tuple[int, ...],
    stride: Pair,
    padding: tuple[Pair, Pair],
    dilation: Pair,
    groups: int,
) -> bool:
    """Whether tiles are the faster way: measured, 1.3 to 1.9 times as fast where they are."""
    tiles = -(-z[2] // 2) * -(-z[3] // 2)
    return (
        (weight[2:], stride, dilation, groups) == ((3, 3), (1, 1), (1, 1), 1)
        and max(max(pair) for pair in padding) <= 2  # by input, it is 2 less
        and min(weight[:2]) >= LEAST_CHANNELS
        and z[0] * tiles >= LEAST_TILES
        and z[2] * z[3] >= LEAST_SHARE * 4 * tiles
    )


def forward(
    out: Array, x: Array, weight: Array, bias: Array | None, before: Pair, kind: str, turned: bool
) -> None:
    """out = f(the sum + bias) of x padded by `before`; by input, if the weights are `turned`."""
    channels = out.shape[1], x.shape[1]
    g, sizes, items, parts = _work(x, out, before)
    u = workspace((16, apart(channels[0] * channels[1], out.itemsize)), out.dtype)
    _transform_weights(parts_for(u.size, channels[0]), u, weight, turned)
    arrays = out, x.reshape(-1), u, bias, *_scratch(parts, g, x)
    _forward(KIND_NUMBER[kind])(parts, *arrays, sizes, items)


def by_weight(dweight: Array, dz: Array, x: Array, before: Pair) -> None:
    """The sum by weight of dz."""
    g, sizes, items, parts = _work(x, dz, before)
    sums = workspace((parts, 16, apart(dz.shape[1] * x.shape[1], x.itemsize)), x.dtype)
    _by_weight(parts, sums, dz, x.reshape(-1), *_scratch(parts, g, x), sizes, items)
    _add_sums(parts_for(sums.size, x.shape[1]), dweight, sums)


def _work(x: Array, z: Array, before: Pair) -> tuple[Tiling, np.ndarray, int, int]:
    """The tiling, also as an array, its blocks, and into how many parts they go."""
    products = z.size * x.shape[1] * 4
    threads = parts_for(products, x.shape[0], SERIAL_PRODUCT)
    g, sizes = _describe(x.shape, z.shape, before, x.itemsize, threads)
    items = _blocks(g)
    return g, sizes, items, parts_for(products, items, SERIAL_PRODUCT)


def _scratch(parts: int, g: Tiling, x: Array) -> list[Array]:
    """For each part: a band and halves of it, V, and M or D."""
    lanes = VECTOR // x.itemsize
    numbers = (
        _band_numbers(g, lanes),
        8 * _half_numbers(g, lanes),
        16 * g.inputs * g.pitch,
        16 * min(g.outputs, CHANNELS) * g.pitch,
    )
    return [workspace((parts, n), x.dtype) for n in numbers]
