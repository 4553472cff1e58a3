"""Convolutions block by block in cache: windows side by side, one product, bias and activation.

A block is some pixels of one image, or several small images. Its windows become the columns of a
matrix that stays in the second-level cache, as Chellapilla et al., "High performance convolutional
neural networks for document processing", 2006, had them of the whole batch:

    windows (c r s, pixels), weight (k, c r s), dz (k, pixels)

    forward     z = weight windows
    by weight   dweight += dz windows^T, for each thread; threads are added in their order
    by input    weight^T dz, and each of its rows is added to the places that it is the gradient of

The backward pass lays the windows out again rather than keep them: reading them from memory would
cost more. Copying is done by rows, from planes (numba_planes).

Windows of 3 x 3 on many channels need fewer products than that sum: `winograd.suits` tells which.

Few output channels, as each group of a depthwise convolution has, would leave a product's tile
idle: there the planes are added up directly, an element of the window at a time, over whole rows at
once. `is_direct` tells which.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numba.extending import register_jitable

from ..activation.loops import (
    KIND_NUMBER,
    activate,
    activation_backward,
    activation_forward,
    slope,
)
from ..dense.loops import SERIAL_PRODUCT
from ..numba_cache import cached_njit, of_these_sources
from ..numba_gemm import product_at
from ..numba_loop import loop, loops, parts_for, share
from ..numba_planes import (
    Plane,
    apart,
    lay_out,
    move_rows,
    numbers_of,
    plane_of,
    take_back,
)
from ..numba_tile import VECTOR
from ..observing import workspace
from ..spec import Array
from . import winograd
from .reference import Pair

# Bytes of a block's windows: half of the second-level cache of the CPUs that this was measured on.
BLOCK_BYTES = 384 << 10
# Pixels that a block may have, however long its windows are: fewer would leave vectors unfilled.
LEAST_PIXELS = 448
# Pixels of an image from which on windows of one pixel are read where they lie, image by image.
PLAIN_PIXELS = 128
# What a block costs by itself, in vectors of its pixels.
BLOCK_VECTORS = 1
# Numbers of a plane's rows that are added up at once, in the first-level cache.
DIRECT_NUMBERS = 2048
# Output channels of a group up to which its planes are added up directly: as measured, 2 to 5
# times as fast for one and 1.1 to 1.4 times for four; for eight the product was faster.
DIRECT_CHANNELS = 4
# Activations in the products' own loops; others are a pass of their own.
FUSED = ("identity", "relu")
# Elements of a window that are added in one pass.
TAPS = 4


class Geometry(NamedTuple):
    """A convolution in numbers. Channels (inputs, outputs) are those of one group.

    pitch    numbers from one row of a block's matrices to the next
    pixels   of a block, where an image has more
    images   of a block, where one has fewer
    """

    batch: Any
    groups: Any
    inputs: Any
    outputs: Any
    out_rows: Any
    out_columns: Any
    window_rows: Any
    window_columns: Any
    row_dilation: Any
    column_dilation: Any
    pitch: Any
    pixels: Any
    images: Any


SIZES = len(Geometry._fields)
PLANE_SIZES = len(Plane._fields)


@lru_cache(maxsize=1024)
def _describe(
    x: tuple[int, ...],
    weight: tuple[int, ...],
    z: tuple[int, ...],
    stride: Pair,
    padding: tuple[Pair, Pair],
    dilation: Pair,
    groups: int,
    itemsize: int,
    threads: int,
) -> tuple[Geometry, Plane, np.ndarray]:
    """The convolution that makes z (n, k, i, j) of x (n, c, h, w); all of it as one array, too."""
    reach = tuple(
        (n - 1) * s + d * (w - 1) + 1
        for n, s, d, w in zip(z[2:], stride, dilation, weight[2:], strict=True)
    )
    plane = plane_of(x[2:], (padding[0][0], padding[1][0]), stride, reach)  # type: ignore[arg-type]
    image = z[2] * z[3]
    window = int(np.prod(weight[1:]))
    most = max(BLOCK_BYTES // (itemsize * max(window, 1)), LEAST_PIXELS)
    lanes = VECTOR // itemsize
    images, pixels = 1, image
    plain = plane.itself and weight[2:] == (1, 1) and image >= PLAIN_PIXELS
    if image <= most and not plain:
        images = _each(-(-z[0] // threads), image, most, lanes)
    elif z[3] <= most:
        pixels = _each(z[2], z[3], most, lanes) * z[3]
    else:  # pieces of a row
        pixels = most
    sizes = (x[0], groups, x[1] // groups, z[1] // groups, *z[2:], *weight[2:], *dilation)
    geometry = Geometry._make((*sizes, apart(pixels * images, itemsize), pixels, images))
    return geometry, plane, np.array([*geometry, *plane], np.int64)


def _each(count: int, width: int, most: int, lanes: int) -> int:
    """How many of `count` things of `width` pixels make a block: the fewest vectors in all."""

    def vectors(each: int) -> int:
        whole, rest = divmod(count, each)
        return whole * (-(-each * width // lanes) + BLOCK_VECTORS) + -(-rest * width // lanes)

    return min(range(1, max(min(count, most // max(width, 1)), 1) + 1), key=vectors)


@register_jitable
def _geometry(n: Any) -> Any:
    return Geometry(n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7], n[8], n[9], n[10], n[11], n[12])


@register_jitable
def _plane(n: Any) -> Any:
    return Plane(n[13], n[14], n[15], n[16], n[17], n[18], n[19], n[20], n[21])


def is_direct(g: Geometry) -> bool:
    return bool(g.outputs <= DIRECT_CHANNELS)


@register_jitable
def _tap(g: Any, p: Any, r: Any, s: Any) -> Any:
    """Where in a channel's plane the first window has its element (r, s)."""
    down, across = r * g.row_dilation, s * g.column_dilation
    part = (down % p.down) * p.across + across % p.across
    return (part * p.rows + down // p.down) * p.columns + across // p.across


@cached_njit
@of_these_sources
def _move_windows(
    to_plane: bool,
    windows: Any,
    plane: Any,
    at: Any,
    step: Any,
    images: Any,
    low: Any,
    high: Any,
    g: Any,
    p: Any,
) -> None:
    """Between rows of windows and the plane, of pixels low to high of each of some images.

    The first image's planes begin at number `at`; to the next image's are `step` channels.

    Numbers are copied from the plane to the windows, or added from the windows to the plane.
    """
    zero = windows.dtype.type(0)
    item = windows.itemsize
    row, column = low // g.out_columns, low % g.out_columns
    width = min(g.out_columns, high - low)
    rows = (high - low) // max(width, 1)
    channel = numbers_of(p)
    for r in range(g.window_rows):
        for s in range(g.window_columns):
            tap = at + _tap(g, p, r, s) + row * p.columns + column
            for c in range(g.inputs):
                element = (c * g.window_rows + r) * g.window_columns + s
                here = windows.ctypes.data + element * g.pitch * item
                for i in range(images):
                    block = here + i * (high - low) * item
                    place = tap + (i * step + c) * channel
                    there = plane.ctypes.data + place * item
                    if to_plane:
                        move_rows(
                            True, zero, there, p.columns * item, block, width * item, rows, width
                        )
                    else:
                        move_rows(
                            False, zero, block, width * item, there, p.columns * item, rows, width
                        )


@register_jitable
def _block_of(item: Any, g: Any) -> Any:
    """The images and the pixels (first, last, low, high) of block number `item`."""
    image = g.out_rows * g.out_columns
    blocks = (image + g.pixels - 1) // max(g.pixels, 1)
    first = item // max(blocks, 1) * g.images
    low = item % max(blocks, 1) * g.pixels
    return first, min(first + g.images, g.batch), low, min(low + g.pixels, image)


@register_jitable
def _is_its_windows(images: Any, g: Any, p: Any) -> Any:
    """Whether a block of so many images lies in x as its windows would: those of one pixel each."""
    return p.itself and images == 1 and g.window_rows == 1 and g.window_columns == 1


@register_jitable
def _place_of(x: Any, columns: Any, at: Any, images: Any, low: Any, g: Any, p: Any) -> Any:
    """Where a block's windows lie, in x itself or in `columns`, and from row to row, in bytes."""
    item = columns.itemsize
    if _is_its_windows(images, g, p):
        return x.ctypes.data + (at + low) * item, g.out_rows * g.out_columns * item
    return columns.ctypes.data, g.pitch * item


@register_jitable
def _windows_of(
    x: Any,
    columns: Any,
    at: Any,
    step: Any,
    images: Any,
    low: Any,
    high: Any,
    g: Any,
    p: Any,
) -> Any:
    """The same, once they are there."""
    if not _is_its_windows(images, g, p):
        _move_windows(False, columns, x, at, step, images, low, high, g, p)
    return _place_of(x, columns, at, images, low, g, p)


def _blocks(g: Geometry) -> int:
    if not g.pixels:
        return 0
    return -(-g.batch // g.images) * -(-(g.out_rows * g.out_columns) // g.pixels)


@loops
def _forward(kind: int) -> Callable[..., None]:
    def convolution_forward(
        t: int,
        parts: int,
        out: Array,
        x: Array,
        weight: Array,
        bias: Array,
        planes: Array,
        windows: Array,
        products: Array,
        sizes: Array,
        items: int,
    ) -> None:
        g, p = _geometry(sizes), _plane(sizes)
        zero = x.dtype.type(0)
        item = x.itemsize
        first_item, last_item = share(items, parts, t)
        plane, columns, z = planes[t], windows[t], products[t]
        plane[:] = 0
        depth = g.inputs * g.window_rows * g.window_columns
        image = g.out_rows * g.out_columns
        laid = -1
        step = g.groups * g.inputs if p.itself else g.inputs
        for number in range(first_item, last_item):
            first, last, low, high = _block_of(number, g)
            images, count = last - first, high - low
            for group in range(g.groups):
                at = 0
                if p.itself:
                    at = (first * g.groups + group) * g.inputs * numbers_of(p)
                elif laid != first or g.groups > 1:
                    for i in range(images):
                        channels = ((first + i) * g.groups + group) * g.inputs
                        lay_out(
                            plane[i * g.inputs * numbers_of(p) :],
                            x,
                            channels * p.height * p.width,
                            g.inputs,
                            p,
                        )
                    laid = first
                source = x if p.itself else plane
                b_at, b_row = _windows_of(source, columns, at, step, images, low, high, g, p)
                product_at(
                    zero, g.outputs, images * count, depth, z.ctypes.data, g.pitch * item,
                    weight.ctypes.data + group * g.outputs * depth * item, depth * item, item,
                    b_at, b_row, item, False, False,
                )  # fmt: skip
                for i in range(images):
                    for k in range(g.outputs):
                        filter_ = group * g.outputs + k
                        b = zero if bias is None else bias[filter_]
                        begin = ((first + i) * g.groups * g.outputs + filter_) * image + low
                        o = out[begin : begin + count]
                        v = z[k * g.pitch + i * count : k * g.pitch + (i + 1) * count]
                        for j in range(o.size):
                            o[j] = activate(kind, v[j] + b, zero)

    return convolution_forward


@loops
def _backward(kind: int, finish: int) -> Callable[..., None]:
    def convolution_backward(
        t: int,
        parts: int,
        dx: Array,
        dweights: Array,
        dbiases: Array,
        dout: Array,
        x: Array,
        weight: Array,
        out: Array,
        bias: Array,
        planes: Array,
        gradients: Array,
        windows: Array,
        products: Array,
        sizes: Array,
        swapped: bool,
    ) -> None:
        """dx, and this thread's parts of dweight and dbias, each unless its array is empty.

        `finish` is an activation of dx + bias: dx is then the output of a transposed convolution.
        """
        g, p = _geometry(sizes), _plane(sizes)
        zero = dout.dtype.type(0)
        item = dout.itemsize
        depth = g.inputs * g.window_rows * g.window_columns
        image, channel = g.out_rows * g.out_columns, numbers_of(p)
        plane, gradient = planes[t], gradients[t]
        columns, z = windows[t], products[t]
        dw, db = dweights[t], dbiases[t]
        dw[:] = 0
        db[:] = 0
        plane[:] = 0
        blocks = (image + g.pixels - 1) // max(g.pixels, 1)
        step = g.groups * g.inputs if p.itself else g.inputs
        low_block, high_block = share((g.batch + g.images - 1) // g.images, parts, t)
        for block in range(low_block, high_block):
            first, last = block * g.images, min((block + 1) * g.images, g.batch)
            images = last - first
            for group in range(g.groups):
                start = (first * g.groups + group) * g.inputs
                at = start * channel if p.itself else 0
                if dw.size and not p.itself:
                    for i in range(images):
                        lay_out(
                            plane[i * g.inputs * channel :],
                            x,
                            (start + i * g.groups * g.inputs) * p.height * p.width,
                            g.inputs,
                            p,
                        )
                target = dx if p.itself else gradient
                plain = _is_its_windows(images, g, p)
                if dx.size and not plain:
                    for i in range(images):
                        here = at + i * step * channel
                        target[here : here + g.inputs * channel] = 0
                for number in range(blocks):
                    low = number * g.pixels
                    high = min(low + g.pixels, image)
                    count = high - low
                    for i in range(images):
                        for k in range(g.outputs):
                            filter_ = group * g.outputs + k
                            begin = ((first + i) * g.groups * g.outputs + filter_) * image + low
                            place = k * g.pitch + i * count
                            d, s = dout[begin : begin + count], out[begin : begin + count]
                            v = z[place : place + count]
                            for j in range(v.size):
                                v[j] = d[j] * slope(kind, s[j], zero) if kind else d[j]
                            if db.size:
                                total = zero
                                for j in range(v.size):
                                    total += v[j]
                                db[filter_] += total
                    if dw.size:
                        source = x if p.itself else plane
                        b_at, b_row = _windows_of(
                            source, columns, at, step, images, low, high, g, p
                        )
                        c = dw.ctypes.data + group * g.outputs * depth * item
                        if swapped:
                            product_at(
                                zero, depth, g.outputs, images * count, c, g.outputs * item,
                                b_at, b_row, item, z.ctypes.data, item, g.pitch * item, True, True,
                            )  # fmt: skip
                        else:
                            product_at(
                                zero, g.outputs, depth, images * count, c, depth * item,
                                z.ctypes.data, g.pitch * item, item, b_at, item, b_row, True, True,
                            )  # fmt: skip
                    if dx.size:
                        c_at, c_row = _place_of(target, columns, at, images, low, g, p)
                        product_at(
                            zero, depth, images * count, g.outputs, c_at, c_row,
                            weight.ctypes.data + group * g.outputs * depth * item, item,
                            depth * item, z.ctypes.data, g.pitch * item, item, False, False,
                        )  # fmt: skip
                        if not plain:
                            _move_windows(True, columns, target, at, step, images, low, high, g, p)
                if dx.size:
                    size = p.height * p.width
                    for i in range(images):
                        base = (start + i * g.groups * g.inputs) * size
                        if not p.itself:
                            part = gradient[i * g.inputs * channel :]
                            take_back(dx, part, base, g.inputs, p)
                        if finish or bias is not None:
                            for c in range(g.inputs):
                                v = dx[base + c * size : base + (c + 1) * size]
                                b = zero if bias is None else bias[group * g.inputs + c]
                                for j in range(v.size):
                                    v[j] = activate(finish, v[j] + b, zero)

    return convolution_backward


@loop
def _add_parts(
    t: int, parts: int, dweight: Array, dbias: Array, dweights: Array, dbiases: Array
) -> None:
    """The sums over threads of dweights (threads, groups, outputs, depth) and dbiases."""
    if t == 0:
        for i in range(dbias.size):
            total = dbiases[0, i]
            for k in range(1, dbiases.shape[0]):
                total += dbiases[k, i]
            dbias[i] = total
    rows = dweight.shape[0] * dweight.shape[1]
    low, high = share(rows, parts, t)
    for row in range(low, high):
        group, k = row // dweight.shape[1], row % dweight.shape[1]
        to = dweight[group, k]
        for thread in range(dweights.shape[0]):
            part = dweights[thread, group, k]
            for i in range(to.size):
                to[i] = part[i] if thread == 0 else to[i] + part[i]


@loops
def _forward_direct(kind: int) -> Callable[..., None]:
    def convolution_forward_direct(
        t: int,
        parts: int,
        out: Array,
        x: Array,
        weight: Array,
        bias: Array,
        planes: Array,
        sums: Array,
        sizes: Array,
        taps: Array,
    ) -> None:
        g, p = _geometry(sizes), _plane(sizes)
        zero = x.dtype.type(0)
        plane, total = planes[t], sums[t]
        plane[:] = 0
        channel, depth = numbers_of(p), taps.size
        step = max(DIRECT_NUMBERS // p.columns, 1)
        low, high = share(g.batch * g.groups, parts, t)
        for number in range(low, high):
            group = number % g.groups
            source, at = x, number * g.inputs * channel
            if not p.itself:
                source, at = plane, 0
                lay_out(plane, x, number * g.inputs * p.height * p.width, g.inputs, p)
            for k in range(g.outputs):
                filter_ = group * g.outputs + k
                w = weight[filter_ * depth : (filter_ + 1) * depth]
                b = zero if bias is None else bias[filter_]
                to = (number * g.outputs + k) * g.out_rows * g.out_columns
                for upper in range(0, g.out_rows, step):
                    rows = min(step, g.out_rows - upper)
                    here = at + upper * p.columns
                    v = total[: (rows - 1) * p.columns + g.out_columns]
                    v[:] = b
                    for tap in range(0, depth - TAPS + 1, TAPS):
                        q0, q1, q2, q3 = (
                            source[here + taps[tap + 0] :][: v.size],
                            source[here + taps[tap + 1] :][: v.size],
                            source[here + taps[tap + 2] :][: v.size],
                            source[here + taps[tap + 3] :][: v.size],
                        )
                        w0, w1, w2, w3 = w[tap], w[tap + 1], w[tap + 2], w[tap + 3]
                        for j in range(v.size):
                            v[j] += (w0 * q0[j] + w1 * q1[j]) + (w2 * q2[j] + w3 * q3[j])
                    for tap in range(depth // TAPS * TAPS, depth):
                        q0, w0 = source[here + taps[tap] :][: v.size], w[tap]
                        for j in range(v.size):
                            v[j] += w0 * q0[j]
                    for i in range(rows):
                        begin = to + (upper + i) * g.out_columns
                        o = out[begin : begin + g.out_columns]
                        u = v[i * p.columns : i * p.columns + g.out_columns]
                        for j in range(o.size):
                            o[j] = activate(kind, u[j], zero)

    return convolution_forward_direct


@loops
def _backward_direct(kind: int, finish: int) -> Callable[..., None]:
    def convolution_backward_direct(
        t: int,
        parts: int,
        dx: Array,
        dweights: Array,
        dbiases: Array,
        dout: Array,
        x: Array,
        weight: Array,
        out: Array,
        bias: Array,
        planes: Array,
        gradients: Array,
        slopes: Array,
        sizes: Array,
        taps: Array,
    ) -> None:
        """As _backward: `dweights` is not swapped."""
        g, p = _geometry(sizes), _plane(sizes)
        zero = dout.dtype.type(0)
        plane, gradient = planes[t], gradients[t]
        dw, db, z = dweights[t], dbiases[t], slopes[t]
        plane[:] = 0
        dw[:] = 0
        db[:] = 0
        z[:] = 0  # between the ends of rows it stays so
        channel, depth = numbers_of(p), taps.size
        size = p.height * p.width
        step = max(DIRECT_NUMBERS // p.columns, 1)
        low, high = share(g.batch * g.groups, parts, t)
        for number in range(low, high):
            group = number % g.groups
            start = number * g.inputs
            at = start * channel if p.itself else 0
            source, target = (x, dx) if p.itself else (plane, gradient)
            if dw.size and not p.itself:
                lay_out(plane, x, start * size, g.inputs, p)
            if dx.size:
                target[at : at + g.inputs * channel] = 0
            for k in range(g.outputs):
                filter_ = group * g.outputs + k
                w = weight[filter_ * depth : (filter_ + 1) * depth]
                of = (number * g.outputs + k) * g.out_rows * g.out_columns
                for upper in range(0, g.out_rows, step):
                    rows = min(step, g.out_rows - upper)
                    here = at + upper * p.columns
                    v = z[: (rows - 1) * p.columns + g.out_columns]
                    for i in range(rows):
                        begin = of + (upper + i) * g.out_columns
                        d = dout[begin : begin + g.out_columns]
                        s = out[begin : begin + g.out_columns]
                        u = v[i * p.columns : i * p.columns + g.out_columns]
                        for j in range(u.size):
                            u[j] = d[j] * slope(kind, s[j], zero) if kind else d[j]
                    if db.size:
                        total = zero
                        for j in range(v.size):
                            total += v[j]
                        db[filter_] += total
                    for tap in range(depth):
                        place = here + taps[tap]
                        if dw.size:
                            q = source[place : place + v.size]
                            total = zero
                            for j in range(v.size):
                                total += v[j] * q[j]
                            dw[filter_ * depth + tap] += total
                        if dx.size:
                            o, factor = target[place : place + v.size], w[tap]
                            for j in range(v.size):
                                o[j] += factor * v[j]
            if dx.size:
                if not p.itself:
                    take_back(dx, gradient, start * size, g.inputs, p)
                if finish or bias is not None:
                    for c in range(g.inputs):
                        v = dx[(start + c) * size : (start + c + 1) * size]
                        b = zero if bias is None else bias[group * g.inputs + c]
                        for j in range(v.size):
                            v[j] = activate(finish, v[j] + b, zero)

    return convolution_backward_direct


@lru_cache(maxsize=1024)
def _taps(g: Geometry, p: Plane) -> np.ndarray:
    """Where in the planes of a group the first window has its elements."""
    rows, columns = range(g.window_rows), range(g.window_columns)
    places = [
        c * numbers_of(p) + _tap(g, p, r, s) for c in range(g.inputs) for r in rows for s in columns
    ]
    return np.array(places, np.int64)


def _parts(products: int, items: int) -> int:
    return parts_for(products, items, SERIAL_PRODUCT)


def _run_forward(
    out: Array,
    x: Array,
    weight: Array,
    bias: Array | None,
    stride: Pair,
    padding: tuple[Pair, Pair],
    dilation: Pair,
    groups: int,
    activation: str,
    alpha: float,
) -> None:
    """out = f(the sum + bias)."""
    fused = activation if activation in FUSED else "identity"
    geometry = stride, padding, dilation, groups
    if winograd.suits(x.shape, weight.shape, out.shape, *geometry):
        before = padding[0][0], padding[1][0]
        winograd.forward(out, x, weight, bias, before, fused, turned=False)
    else:
        _run_products(out, x, weight, bias, *geometry, fused)
    if fused != activation:
        activation_forward(out, out, kind=activation, alpha=alpha)


def _run_products(
    out: Array,
    x: Array,
    weight: Array,
    bias: Array | None,
    stride: Pair,
    padding: tuple[Pair, Pair],
    dilation: Pair,
    groups: int,
    activation: str,
) -> None:
    products = out.size * (weight.size // max(weight.shape[0], 1))
    threads = _parts(products, max(out.shape[0], 1))
    g, p, sizes = _describe(
        x.shape, weight.shape, out.shape, stride, padding, dilation, groups, out.itemsize, threads
    )
    kind, plane = KIND_NUMBER[activation], _plane_numbers(g, p)
    arrays = (out.reshape(-1), x.reshape(-1), weight.reshape(-1), bias)
    if is_direct(g):
        parts = _parts(products, g.batch * g.groups)
        planes = workspace((parts, plane), out.dtype)
        sums = workspace((parts, _direct_numbers(g, p)), out.dtype)
        _forward_direct(kind)(parts, *arrays, planes, sums, sizes, _taps(g, p))
    else:
        items = _blocks(g)
        parts = _parts(products, items)
        planes = workspace((parts, plane), out.dtype)
        windows = workspace((parts, weight.size // weight.shape[0] * g.pitch), out.dtype)
        results = workspace((parts, g.outputs * g.pitch), out.dtype)
        _forward(kind)(parts, *arrays, planes, windows, results, sizes, items)


def _run_backward(
    dx: Array | None,
    dweight: Array | None,
    dbias: Array | None,
    dout: Array,
    x: Array | None,
    weight: Array,
    out: Array | None,
    bias: Array | None,
    shape: tuple[int, ...],
    stride: Pair,
    padding: tuple[Pair, Pair],
    dilation: Pair,
    groups: int,
    activation: str,
    finish: str,
    alpha: float,
) -> None:
    """The sums by input and by weight of dz = dout f'(out); finish(dx + bias)."""
    dtype = dout.dtype
    if activation not in FUSED:
        dout, activation = _through(dout, out, activation, alpha), "identity"
    fused = finish if finish in FUSED else "identity"
    depth = weight.size // max(weight.shape[0], 1)
    products = dout.size * depth
    threads = _parts(products, max(dout.shape[0], 1))
    g, p, sizes = _describe(
        shape, weight.shape, dout.shape, stride, padding, dilation, groups, dtype.itemsize, threads
    )
    direct = is_direct(g)
    parts = _parts(products, g.batch * g.groups if direct else -(-g.batch // g.images))
    absent = workspace((0,), dtype)
    plane = _plane_numbers(g, p)
    dweights = workspace((parts, 0 if dweight is None else dweight.size), dtype)
    dbiases = workspace((parts, 0 if dbias is None else dbias.size), dtype)
    arrays = (
        absent if dx is None else dx.reshape(-1),
        dweights,
        dbiases,
        dout.reshape(-1),
        absent if x is None else x.reshape(-1),
        weight.reshape(-1),
        dout.reshape(-1) if out is None else out.reshape(-1),
        bias,
        workspace((parts, 0 if dweight is None else plane), dtype),
        workspace((parts, 0 if dx is None else plane), dtype),
    )
    kinds = KIND_NUMBER[activation], KIND_NUMBER[fused]
    # The matrix that is transposed on its way through the product should be the smaller one.
    swapped = not direct and g.outputs <= depth
    if direct:
        slopes = workspace((parts, _direct_numbers(g, p)), dtype)
        _backward_direct(*kinds)(parts, *arrays, slopes, sizes, _taps(g, p))
    else:
        windows = workspace((parts, depth * g.pitch), dtype)
        slopes = workspace((parts, g.outputs * g.pitch), dtype)
        _backward(*kinds)(parts, *arrays, windows, slopes, sizes, swapped)
    if fused != finish:
        activation_forward(dx, dx, kind=finish, alpha=alpha)
    if dweight is None and dbias is None:
        return
    sums = dweights.reshape(parts, groups, *((depth, -1) if swapped else (-1, depth)))
    if swapped:
        sums = sums.swapaxes(2, 3)
    _add_parts(
        parts_for(dweights.size),
        absent.reshape(0, 0, 0) if dweight is None else dweight.reshape(groups, -1, depth),
        absent if dbias is None else dbias,
        sums,
        dbiases,
    )


def _through(dout: Array, out: Array, activation: str, alpha: float) -> Array:
    """dz = dout * f'(z)"""
    if activation == "identity":
        return dout
    dz = workspace(dout.shape, dout.dtype)
    activation_backward(dz, dout, out, kind=activation, alpha=alpha)
    return dz


def _plane_numbers(g: Geometry, p: Plane) -> int:
    """How many numbers the planes of a block have."""
    return 0 if p.itself else g.images * g.inputs * numbers_of(p)


def _direct_numbers(g: Geometry, p: Plane) -> int:
    return min(max(DIRECT_NUMBERS, p.columns), g.out_rows * p.columns)


def convolution_forward(
    out: Array,
    x: Array,
    weight: Array,
    bias: Array | None,
    *,
    stride: Pair,
    padding: tuple[Pair, Pair],
    dilation: Pair,
    groups: int,
    activation: str,
    alpha: float,
) -> None:
    _run_forward(out, x, weight, bias, stride, padding, dilation, groups, activation, alpha)


def convolution_backward(
    dx: Array | None,
    dweight: Array | None,
    dbias: Array | None,
    dout: Array,
    x: Array,
    weight: Array,
    out: Array,
    *,
    stride: Pair,
    padding: tuple[Pair, Pair],
    dilation: Pair,
    groups: int,
    activation: str,
    alpha: float,
    needs: tuple[bool, bool, bool],
) -> None:
    if not winograd.suits(x.shape, weight.shape, dout.shape, stride, padding, dilation, groups):
        _run_backward(
            dx, dweight, dbias, dout, x, weight, out, None, x.shape, stride, padding, dilation,
            groups, activation, "identity", alpha,
        )  # fmt: skip
        return
    dz = _through(dout, out, activation, alpha)
    top, left = padding[0][0], padding[1][0]
    if dx is not None:
        winograd.forward(dx, dz, weight, None, (2 - top, 2 - left), "identity", turned=True)
    if dweight is not None:
        winograd.by_weight(dweight, dz, x, (top, left))
    if dbias is not None:
        _add_up(dbias, dz)


def conv_transpose_forward(
    out: Array,
    x: Array,
    weight: Array,
    bias: Array | None,
    *,
    stride: Pair,
    padding: tuple[Pair, Pair],
    output_padding: Pair,
    dilation: Pair,
    groups: int,
    activation: str,
    alpha: float,
) -> None:
    _run_backward(
        out, None, None, x, None, weight, None, bias, out.shape, stride, padding, dilation, groups,
        "identity", activation, alpha,
    )  # fmt: skip


def conv_transpose_backward(
    dx: Array | None,
    dweight: Array | None,
    dbias: Array | None,
    dout: Array,
    x: Array,
    weight: Array,
    out: Array,
    *,
    stride: Pair,
    padding: tuple[Pair, Pair],
    output_padding: Pair,
    dilation: Pair,
    groups: int,
    activation: str,
    alpha: float,
    needs: tuple[bool, bool, bool],
) -> None:
    dz = _through(dout, out, activation, alpha)
    geometry = (stride, padding, dilation, groups)
    if dx is not None:
        _run_forward(dx, dz, weight, None, *geometry, "identity", alpha)
    if dweight is not None:
        _run_backward(
            None, dweight, None, x, dz, weight, None, None, dz.shape, *geometry, "identity",
            "identity", alpha,
        )  # fmt: skip
    if dbias is not None:
        _add_up(dbias, dz)


def _add_up(dbias: Array, dz: Array) -> None:
    rows = dz.reshape(*dz.shape[:2], dz.shape[2] * dz.shape[3])
    _sum_channels(parts_for(dz.size, dbias.size), dbias, rows)


@loop
def _sum_channels(t: int, parts: int, out: Array, x: Array) -> None:
    """out[c] = the sum of x[:, c]."""
    low, high = share(out.size, parts, t)
    for c in range(low, high):
        total = out.dtype.type(0)
        for n in range(x.shape[0]):
            v = x[n, c]
            for i in range(v.size):
                total += v[i]
        out[c] = total


LOOPS = {
    "convolution_forward": convolution_forward,
    "convolution_backward": convolution_backward,
    "conv_transpose_forward": conv_transpose_forward,
    "conv_transpose_backward": conv_transpose_backward,
}
